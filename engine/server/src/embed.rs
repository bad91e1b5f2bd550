//! The engine for others to start in their own process: everything that they may name.
//!
//! ```text
//! Engine::start(config) ─► client() ─► create_stream ─► put_records, shard_iterator, get_records,
//!                                                       follow ─► shutdown
//! ```
//! What stands here is a promise; what does not may change.

pub use crate::client::Client;
pub use crate::command::{DamagedPlace, OpenedLog, PreparedLog};
pub use crate::config::{EngineConfig, Limits};
pub use crate::engine::{Engine, LocalEngine};
pub use crate::error::StartError;
pub use crate::follow::Follower;
pub use crate::get::{GetResult, ShardIterator};
pub use crate::identity::Identity;
pub use crate::memory::{FRAME_BYTES, MemoryShares, WRITE_DEPTH};
pub use crate::placement::StreamNumber;
pub use crate::put::{Placed, PutBatch, PutOutcome, PutRecord, PutResult};
pub use crate::queues::FOLLOWERS_MAX;
pub use crate::report::StartReport;
pub use crate::stats::{CoreStats, LogCounters};
pub use crate::stream::{Stream, StreamDescription, StreamOptions};
pub use digest::Span;
pub use storage::catalog::CatalogError;
pub use storage::chunk::Chunk;
pub use storage::options::{Durability, FlushMethod};
pub use storage::record::Record;
