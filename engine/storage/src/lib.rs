//! The log of one core: frames, segments, commit, recovery, reading, retention.
//!
//! Knows shards as opaque keys; it must never know what a stream is, and never read time or chance
//! but through `runtime`. The bytes are in FORMAT.md.
#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod bench_support;
pub mod catalog;
pub mod chunk;
pub mod cluster;
pub mod error;
pub mod follower;
pub mod frame;
pub mod inspect;
pub mod life;
pub mod log;
pub mod options;
pub mod planted;
pub mod reader;
pub mod record;
pub mod segment_set;
pub mod shard;
pub mod shards;
pub mod stats;
pub mod table;

mod appender;
mod arrival;
mod bytes;
mod cold;
mod committer;
mod gather;
mod index;
mod open;
mod pool;
mod rebuild;
mod recovery;
mod retention;
mod rewrite;
mod sealer;
mod service;
mod state;
mod tables;
mod time_search;

pub use appender::{Acknowledgement, Append};
pub use gather::AppendRecord;
pub use log::{Log, Prepared, Recovered};
pub use retention::ClockPause;
pub use state::Appended;
