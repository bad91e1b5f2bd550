//! What one engine core holds: its logs, its shards, its bounds, its counters.
//!
//! Lives on its core alone; borrowed between two awaits, never across one.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use runtime::local::{Notify, Semaphore};
use storage::Log;

use crate::config::Limits;
use crate::memory::MemoryShares;
use crate::placement::Placement;
use crate::queues::{COMMANDS_UNDER_WAY_MAX, FOLLOWERS_MAX, PUTS_UNDER_WAY_MAX};
use crate::shard::OwnedStreams;

/// One of the core's logs.
pub(crate) struct OwnedLog {
    /// Its number in the folder.
    pub(crate) number: u16,
    /// `None`: refused, because acknowledged entries of the catalog or its tables are damaged.
    pub(crate) log: Option<Log>,
}

/// See the module.
pub(crate) struct Owner {
    pub(crate) core: usize,
    pub(crate) placement: Placement,
    pub(crate) limits: Limits,
    /// In ascending order of their numbers: see [`Placement::ordinal_of_log`].
    pub(crate) logs: Vec<OwnedLog>,
    pub(crate) streams: RefCell<OwnedStreams>,
    pub(crate) puts_under_way: Semaphore,
    pub(crate) commands_under_way: Semaphore,
    /// Bytes of answers to GetRecords in the making.
    pub(crate) reads: Semaphore,
    pub(crate) reads_bytes_max: usize,
    /// How many more followers there may be.
    pub(crate) followers: Semaphore,
    /// Bytes on their way to followers; counted down on the followers' cores.
    pub(crate) followers_bytes: Arc<AtomicUsize>,
    pub(crate) followers_bytes_max: usize,
    pub(crate) counters: Counters,
    /// The core is told to stop.
    pub(crate) stopping: Cell<bool>,
    pub(crate) stop: Notify,
}

/// What a core has done.
#[derive(Default)]
pub(crate) struct Counters {
    /// Requests of PutRecords received.
    pub(crate) put_messages: Cell<u64>,
    /// Answers to them sent.
    pub(crate) put_replies: Cell<u64>,
    /// Other requests received.
    pub(crate) command_messages: Cell<u64>,
    /// Records refused by a throttle.
    pub(crate) throttled_records: Cell<u64>,
    /// Times that a put had to wait for room in a log.
    pub(crate) busy_waits: Cell<u64>,
}

/// Counts one.
pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Owner {
    pub(crate) fn new(
        core: usize,
        placement: Placement,
        limits: Limits,
        shares: &MemoryShares,
        logs: Vec<OwnedLog>,
    ) -> Owner {
        for (ordinal, log) in logs.iter().enumerate() {
            assert_eq!(placement.core_of_log(log.number), core);
            assert_eq!(placement.ordinal_of_log(log.number), ordinal);
        }
        Owner {
            core,
            placement,
            limits,
            logs,
            streams: RefCell::default(),
            puts_under_way: Semaphore::new(PUTS_UNDER_WAY_MAX),
            commands_under_way: Semaphore::new(COMMANDS_UNDER_WAY_MAX),
            reads: Semaphore::new(shares.reads_bytes_per_core),
            reads_bytes_max: shares.reads_bytes_per_core,
            followers: Semaphore::new(FOLLOWERS_MAX),
            followers_bytes: Arc::default(),
            followers_bytes_max: shares.followers_bytes_per_core,
            counters: Counters::default(),
            stopping: Cell::new(false),
            stop: Notify::new(),
        }
    }

    /// Tells every loop of this core to end.
    pub(crate) fn stop(&self) {
        self.stopping.set(true);
        self.stop.notify_all();
    }
}
