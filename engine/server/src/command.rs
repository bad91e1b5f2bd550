//! What a core is asked for beside puts, and how it answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{IteratorType, ShardIndex};
use runtime::mesh::{Reply, ReplySender, Sender};
use storage::catalog::{CatalogClient, CatalogError, CatalogState};
use storage::chunk::Chunk;
use storage::options::LogOptions;

use crate::follow::Delivery;
use crate::placement::StreamNumber;
use crate::stats::CoreStats;
use crate::stored::DeletedStream;
use crate::stream::Stream;

/// One shard of one stream, on the core that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardAddress {
    pub(crate) stream: StreamNumber,
    pub(crate) shard: ShardIndex,
}

/// A request to a core.
pub(crate) enum Command {
    /// Finds the shards that this core owns of a stream, or makes them where the stream is new.
    OpenStream { stream: Stream, is_new: bool, reply: ReplySender<()> },
    /// Forgets the shards of a stream that was durably deleted. Answers how many the logs knew.
    ForgetStream { deleted: DeletedStream, reply: ReplySender<usize> },
    /// Where a reader starts.
    Locate { at: ShardAddress, kind: IteratorType, reply: ReplySender<Result<u64, ReadRefusal>> },
    /// Records from an index on.
    Read { at: ShardAddress, from: u64, count: u32, reply: ReplySender<ReadReply> },
    /// Records as they become durable, until `cancelled` resolves.
    Follow { at: ShardAddress, from: u64, deliveries: Sender<Delivery>, cancelled: Reply<()> },
    /// Makes segments ready for so many bytes per log.
    Prepare { bytes_per_log: u64, reply: ReplySender<Result<Vec<PreparedLog>, CatalogError>> },
    /// What the core has done.
    Stats { reply: ReplySender<CoreStats> },
}

/// Opens a core's logs; the first thing that a core is told.
pub(crate) struct OpenLogs {
    pub(crate) logs: Vec<LogOptions>,
    pub(crate) catalog: CatalogClient,
    pub(crate) manifest: Arc<CatalogState>,
}

/// What a read gives.
#[derive(Clone, Debug)]
pub(crate) struct ReadAnswer {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) next: u64,
    pub(crate) millis_behind: u64,
}

pub(crate) type ReadReply = Result<ReadAnswer, ReadRefusal>;

/// Why a core gives no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadRefusal {
    /// The stream or the shard is not there, or not any more.
    NotFound,
    /// The shard's rate of reading is used up.
    Throttled,
    /// The time is not yet.
    TimeInFuture {
        /// What was asked for, Unix ms.
        timestamp_ms: u64,
        /// Our time, Unix ms.
        now_ms: u64,
    },
    /// Acknowledged records are damaged, or the disk refuses.
    Failed,
}

/// What `prepare` reached in one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreparedLog {
    /// The log.
    pub log: u16,
    /// Bytes of segments that are ready, or free and zeroed.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// What opening one log found.
#[derive(Clone, Debug)]
pub struct OpenedLog {
    /// The log.
    pub log: u16,
    /// The core that opened it.
    pub core: usize,
    /// Where its segments are.
    pub directory: PathBuf,
    /// Bytes of the unsealed tail that were read.
    pub scanned_bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// Shards that it knew.
    pub shard_count: usize,
    /// Places where acknowledged bytes are damaged, with the shards that are refused for it.
    pub damage: Vec<DamagedPlace>,
    /// Nothing expires for now, for the wall clock is more than an hour from the log's: a sentence.
    pub retention_pause: Option<String>,
    /// Why all of it is refused, if so: a sentence.
    pub refusal: Option<String>,
}

/// A place where acknowledged bytes are damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedPlace {
    /// Segment number.
    pub segment: u64,
    /// Position in the segment's file, bytes.
    pub position: u64,
    /// The shards that are refused for it, as stream number and shard.
    pub shards: Vec<(StreamNumber, ShardIndex)>,
}
