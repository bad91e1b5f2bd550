//! What others may see of a worker while it works: a few counters, written once a call.

use std::sync::atomic::{AtomicU64, Ordering};

use gyre::embed::PutResult;
use model::ApiError;

/// See the module. Written by one worker, read by anybody.
#[derive(Debug, Default)]
pub struct Progress {
    sent: AtomicU64,
    acked: AtomicU64,
    refused: AtomicU64,
    in_flight: AtomicU64,
}

/// A reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Records sent.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acked: u64,
    /// Of these, refused or failed.
    pub refused: u64,
    /// Calls in flight.
    pub in_flight: u64,
}

impl Progress {
    pub(super) fn sent(&self, records: usize, in_flight: usize) {
        add(&self.sent, records);
        self.in_flight.store(in_flight as u64, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, result: &Result<PutResult, ApiError>, in_flight: usize) {
        if let Ok(result) = result {
            add(&self.acked, result.records.len() - result.failed);
            add(&self.refused, result.failed);
        }
        self.in_flight.store(in_flight as u64, Ordering::Relaxed);
    }

    /// What it is now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Seen {
            sent: read(&self.sent),
            acked: read(&self.acked),
            refused: read(&self.refused),
            in_flight: read(&self.in_flight),
        }
    }
}

/// The worker alone writes: no read-modify-write is needed.
fn add(counter: &AtomicU64, count: usize) {
    counter.store(counter.load(Ordering::Relaxed) + count as u64, Ordering::Relaxed);
}

impl Seen {
    /// Several workers together.
    #[must_use]
    pub const fn and(self, other: Seen) -> Seen {
        Seen {
            sent: self.sent + other.sent,
            acked: self.acked + other.acked,
            refused: self.refused + other.refused,
            in_flight: self.in_flight + other.in_flight,
        }
    }
}
