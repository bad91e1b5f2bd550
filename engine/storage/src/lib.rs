//! The log of one core: frames, segments, commit, recovery, reading, retention.
//!
//! Knows shards as opaque keys; it must never know what a stream is, and never read time or chance
//! but through `runtime`. The bytes are in FORMAT.md.
#![forbid(unsafe_code)]

pub mod frame;
pub mod record;
pub mod shard;

mod bytes;
