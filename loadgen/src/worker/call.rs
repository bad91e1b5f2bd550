//! One call on its way: its records, its request, and when what happened to it.

use std::sync::Arc;

use gyre::embed::{PutBatch, PutRecord, Span};

use crate::batch::{Batch, BatchMaker, Intended};
use crate::limit_checker::Kept;
use crate::verify::ledger::LedgerCall;

/// The moments of a call before it was sent, ns since the start of the plan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallTimes {
    /// When it was due.
    pub due_ns: u64,
    /// When the cap on calls in flight let it go.
    pub sendable_ns: u64,
}

/// See the module. Reused: nothing is allocated for a call but the engine's own message.
pub(super) struct Call {
    pub batch: Batch,
    request: PutBatch,
    pub times: CallTimes,
    pub sent_ns: u64,
    /// Its number, from 1.
    pub number: u32,
    /// What the limit checker keeps of each record until the answer.
    pub kept: Vec<Kept>,
    /// The tick of each record, ns since the start.
    pub ticks: Vec<u64>,
    /// What the ledger keeps of each record until the answer.
    pub ends: Vec<u64>,
}

impl Call {
    pub(super) fn new(maker: &BatchMaker) -> Call {
        Call {
            batch: maker.batch(),
            request: PutBatch { payload: Arc::default(), records: Vec::with_capacity(500) },
            times: CallTimes::default(),
            sent_ns: 0,
            number: 0,
            kept: Vec::with_capacity(500),
            ticks: Vec::with_capacity(500),
            ends: Vec::with_capacity(500),
        }
    }

    /// Makes its records.
    pub(super) fn fill(
        &mut self,
        maker: &BatchMaker,
        first_sequence: u64,
        count: u32,
        intended: Intended,
    ) {
        maker.fill(&mut self.batch, first_sequence, count, intended);
        self.ticks.clear();
        match intended {
            Intended::Ticks(schedule) => {
                let ticks = schedule.walk(maker.lane(), first_sequence);
                self.ticks.extend(ticks.take(count as usize));
            }
            Intended::At(now_ns) => self.ticks.resize(count as usize, now_ns),
        }
        self.request.payload = self.batch.arena();
        self.request.records.clear();
        let records = self.batch.records().iter().map(|record| PutRecord {
            key: Span { start: record.key.start, bytes: record.key.bytes },
            data: Span { start: record.data.start, bytes: record.data.bytes },
            explicit_hash_key: None,
        });
        self.request.records.extend(records);
    }

    /// How the ledger knows it.
    pub(super) fn for_ledger(&self) -> LedgerCall<'_> {
        LedgerCall { first: self.batch.first(), number: self.number, shards: self.batch.shards() }
    }

    pub(super) fn request(&self) -> &PutBatch {
        &self.request
    }

    /// Lets go of the arena, so that it can be filled again.
    pub(super) fn release(&mut self) {
        self.request.payload = Arc::default();
    }
}
