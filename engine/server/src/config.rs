//! How an engine is started.

use std::path::PathBuf;

use model::limits::{ReadRates, SHARDS_PER_ACCOUNT_DEFAULT, ShardRates};
use model::record::RecordBytesMax;
use model::stream::{AccountId, Region};
use storage::frame::{BLOCK_BYTES, FRAME_BYTES_MAX};
use storage::options::{Durability, FlushMethod, LogOptions};

use crate::error::StartError;
use crate::identity::{Identity, LOGS_MAX};
use crate::memory::{FRAME_BYTES, MemoryShares, WRITE_DEPTH};

/// A segment holds the largest frame and its table, bytes.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 16 << 20;
/// Positions in a segment are below 2^32, and all of one may have to be read at once, bytes.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

const _: () = assert!(FRAME_BYTES_MAX as u64 <= SEGMENT_BYTES_MIN * 3 / 4);

/// Whether Kinesis's rates per shard hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// As AWS has them.
    Aws,
    /// As AWS has them, but for the buckets of writing: for tests of whoever checks the limits.
    Buckets(ShardRates),
    /// None: a shard takes what the machine can. Sizes of records and requests are checked all the
    /// same.
    Off,
}

impl Limits {
    /// The buckets for writing to a shard of a stream; `None` where there are none.
    pub(crate) fn write_rates(self, record_bytes_max: RecordBytesMax) -> Option<ShardRates> {
        match self {
            Limits::Aws if record_bytes_max.is_large() => Some(ShardRates::AWS_LARGE_RECORDS),
            Limits::Aws => Some(ShardRates::AWS),
            Limits::Buckets(rates) => Some(rates),
            Limits::Off => None,
        }
    }

    /// The buckets for reading from a shard; `None` where there are none.
    pub(crate) fn read_rates(self) -> Option<ReadRates> {
        match self {
            Limits::Aws | Limits::Buckets(_) => Some(ReadRates::AWS),
            Limits::Off => None,
        }
    }
}

/// How to start an engine. [`EngineConfig::new`] has sensible values for everything.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The data folder; made if it is not there.
    pub data: PathBuf,
    /// Engine cores. More than there are logs leaves some idle.
    pub cores: usize,
    /// CPUs to pin the cores to, in turn. Empty: not pinned.
    pub cpus: Vec<usize>,
    /// Logs of a folder that is made now; the number of cores if not told. A folder that exists
    /// keeps its own.
    pub logs: Option<u16>,
    /// Bound on the engine's resident memory, bytes; `memory` says how it is spent.
    pub memory_bytes: usize,
    /// Rates per shard.
    pub limits: Limits,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// How a durable log flushes.
    pub flush: FlushMethod,
    /// Size of the segment files of a folder that is made now, bytes.
    pub segment_bytes: u64,
    /// Cap on every stream's retention, ms.
    pub retention_ms_max: Option<u64>,
    /// Cap on the sealed bytes of all logs together.
    pub log_bytes_max: Option<u64>,
    /// Whether a file system without direct I/O will do.
    pub allow_buffered: bool,
    /// Open shards of all streams together, at most. A shard costs some 200 bytes of memory.
    pub shards_max: u32,
    /// The account in Kinesis's texts.
    pub account: AccountId,
    /// The region in Kinesis's texts.
    pub region: Region,
}

impl EngineConfig {
    /// One core, not pinned, 1 GiB, AWS's limits, durable, in the folder `data`.
    pub fn new(data: PathBuf) -> EngineConfig {
        EngineConfig {
            data,
            cores: 1,
            cpus: Vec::new(),
            logs: None,
            memory_bytes: 1 << 30,
            limits: Limits::Aws,
            durability: Durability::Durable,
            flush: FlushMethod::Fdatasync,
            segment_bytes: 64 << 20,
            retention_ms_max: None,
            log_bytes_max: None,
            allow_buffered: false,
            shards_max: SHARDS_PER_ACCOUNT_DEFAULT,
            account: AccountId::DEFAULT,
            region: Region::new("us-east-1").expect("a region's name"),
        }
    }

    /// # Errors
    /// The first field that is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let bad = |field, must| Err(StartError::Config { field, must });
        if !(1..=usize::from(LOGS_MAX)).contains(&self.cores) {
            return bad("cores", "1 to 1,024");
        }
        if self.logs.is_some_and(|logs| !(1..=LOGS_MAX).contains(&logs)) {
            return bad("logs", "1 to 1,024");
        }
        let in_blocks = self.segment_bytes.is_multiple_of(BLOCK_BYTES as u64);
        if !in_blocks || !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return bad("segment_bytes", "a multiple of 4,096 from 16 MiB to 1 GiB");
        }
        Ok(())
    }

    /// The CPU of a core, if it is to be pinned.
    pub(crate) fn cpu_of(&self, core: usize) -> Option<usize> {
        self.cpus.get(core % self.cpus.len().max(1)).copied()
    }

    /// How a log of the folder is opened.
    pub(crate) fn log_options(
        &self,
        log: u16,
        life: u32,
        identity: Identity,
        shares: &MemoryShares,
    ) -> LogOptions {
        let mut options = LogOptions::new(self.data.clone(), log, life);
        options.segment_bytes = identity.segment_bytes;
        options.first_segment_bytes = options.first_segment_bytes.min(identity.segment_bytes);
        options.frame_bytes = FRAME_BYTES;
        options.write_depth = WRITE_DEPTH;
        options.durability = self.durability;
        options.flush = self.flush;
        options.waiting_bytes_max = shares.waiting_bytes_per_log;
        options.cache_bytes_max = shares.cache_bytes_per_log;
        options.table_cache_bytes_max = shares.table_cache_bytes_per_log;
        options.rewriting_bytes_max = shares.rewriting_bytes_per_log;
        options.image_cache_bytes_max = shares.images_bytes_per_log;
        options.retention_ms_max = self.retention_ms_max;
        let logs = u64::from(identity.logs);
        options.log_bytes_max = self.log_bytes_max.map(|bytes| bytes / logs);
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Shape;

    #[test]
    fn what_a_log_may_hold_is_cut_from_the_one_bound() {
        let shape = Shape { logs: 4, cores: 2 };
        let shares = MemoryShares::cut(1 << 30, shape).unwrap();
        let identity = Identity { logs: 4, segment_bytes: 64 << 20 };
        let config = EngineConfig::new(PathBuf::from("data"));
        let options = config.log_options(0, 1, identity, &shares);
        let held = options.write_depth * options.frame_bytes
            + options.waiting_bytes_max
            + options.cache_bytes_max
            + options.table_cache_bytes_max
            + options.rewriting_bytes_max
            + options.image_cache_bytes_max;
        let own = shares.memory_bytes - shares.reserve_bytes;
        assert!(held * shape.logs <= own, "{held} of {own}");
        assert_eq!(options.image_cache_bytes_max, shares.images_bytes_per_log);
    }
}
