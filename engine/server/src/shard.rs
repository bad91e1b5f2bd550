//! The shards of one stream that one core owns.

use std::collections::BTreeMap;

use model::limits::{ReadRates, ShardRates};
use model::{ReadThrottle, ShardIndex, ShardThrottle};
use runtime::prefetch::prefetch;
use storage::shard::ShardSlot;

use crate::placement::StreamNumber;

/// One shard on its core.
pub(crate) struct OwnedShard {
    /// Its place in its log; `None` where the log is refused.
    pub(crate) slot: Option<ShardSlot>,
    /// Nothing is written to it: its log is refused, or acknowledged records of it are damaged.
    pub(crate) refused: bool,
    /// `None`: no limits.
    throttle: Option<ShardThrottle>,
    /// Made at the first read: most shards of a large stream are never read with limits on.
    read_throttle: Option<Box<ReadThrottle>>,
}

impl OwnedShard {
    /// A shard with full buckets.
    pub(crate) fn new(
        slot: Option<ShardSlot>,
        refused: bool,
        rates: Option<ShardRates>,
        now_ns: u64,
    ) -> OwnedShard {
        assert!(slot.is_some() || refused);
        let throttle = rates.map(|rates| ShardThrottle::new(rates, now_ns));
        OwnedShard { slot, refused, throttle, read_throttle: None }
    }

    /// Whether a record of `record_bytes`, key included, may be written now.
    pub(crate) fn admits_write(&mut self, now_ns: u64, record_bytes: u32) -> bool {
        match &mut self.throttle {
            Some(throttle) => throttle.admit(now_ns, record_bytes),
            None => true,
        }
    }

    /// Whether a call may read now.
    pub(crate) fn admits_read(&mut self, rates: ReadRates, now_ns: u64) -> bool {
        let new = || Box::new(ReadThrottle::new(rates, now_ns));
        self.read_throttle.get_or_insert_with(new).admit(now_ns)
    }

    /// Charges what an admitted call read.
    pub(crate) fn charge_read(&mut self, now_ns: u64, bytes: u32) {
        if let Some(throttle) = &mut self.read_throttle {
            throttle.charge(now_ns, bytes);
        }
    }
}

/// A stream's shards by the core's logs. Shard i of n logs is at i / n of its log's list: the shards
/// of a log are every n-th.
pub(crate) struct OwnedStream {
    by_log: Vec<Vec<OwnedShard>>,
    logs: u32,
}

impl OwnedStream {
    /// A stream without shards yet, on a core with `own_logs` of the folder's `logs` logs.
    pub(crate) fn new(own_logs: usize, logs: u16) -> OwnedStream {
        let mut by_log = Vec::new();
        by_log.resize_with(own_logs, Vec::new);
        OwnedStream { by_log, logs: u32::from(logs) }
    }

    /// Adds the next shard of one of the core's logs. Panics unless they come in order.
    pub(crate) fn push(&mut self, ordinal: usize, index: ShardIndex, shard: OwnedShard) {
        let shards = &mut self.by_log[ordinal];
        assert_eq!(shards.len(), (index.get() / self.logs) as usize, "shards come in order");
        shards.push(shard);
    }

    /// Says that a shard will be asked for.
    pub(crate) fn prefetch(&self, ordinal: usize, index: ShardIndex) {
        if let Some(shard) = self.by_log[ordinal].get((index.get() / self.logs) as usize) {
            prefetch(shard);
        }
    }

    /// A shard in the core's log `ordinal`; `None` where the stream does not have it.
    pub(crate) fn get_mut(&mut self, ordinal: usize, index: ShardIndex) -> Option<&mut OwnedShard> {
        self.by_log[ordinal].get_mut((index.get() / self.logs) as usize)
    }
}

/// The streams that a core knows.
pub(crate) type OwnedStreams = BTreeMap<StreamNumber, OwnedStream>;
