//! The nouns of Kinesis: hash keys, shards, sequence numbers, limits, errors.
//!
//! This crate reads no clock, touches no file or socket, draws no random number and holds no lock:
//! times come in as numbers, and the same calls give the same answers.
//!
//! | module | noun |
//! | --- | --- |
//! | [`hash_key`] | where a partition key falls, and ranges of such places |
//! | [`shard_id`] | a shard's index and its text `shardId-000000000000` |
//! | [`shard_map`] | a stream's shards, open and closed; routing, split, merge |
//! | [`sequence_number`] | the 56 digits that clients see |
//! | [`record`] | a record's index, key and size |
//! | [`stream`] | a stream's name and state, its account and region |
//! | [`position`] | where a reader starts |
//! | [`limits`] | Kinesis's numbers, and the buckets that hold them |
//! | [`api_error`] | Kinesis's exceptions with their texts |

#![forbid(unsafe_code)]

pub mod api_error;
pub mod hash_key;
pub mod limits;
pub mod position;
pub mod record;
pub mod sequence_number;
pub mod shard_id;
pub mod shard_map;
pub mod stream;

#[cfg(test)]
mod random;

pub use api_error::{ApiError, RecordError};
/// Where a key or a record's data lies in a request's bytes.
pub use digest::Span;
pub use hash_key::{HashKey, HashKeyRange};
pub use limits::{ReadThrottle, ShardThrottle, TokenBucket};
pub use position::IteratorType;
pub use record::RecordIndex;
pub use sequence_number::SequenceNumber;
pub use shard_id::{ShardId, ShardIndex};
pub use shard_map::{Shard, ShardMap};
pub use stream::{AccountId, Region, StreamAddress, StreamName, StreamStatus};
