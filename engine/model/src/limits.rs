//! Kinesis's limits, each once, with its source, and the buckets that hold rates.
//!
//! "Quotas" is AWS's page "Quotas and limits" of the Kinesis Data Streams guide; "API reference"
//! its pages by operation; "model" is botocore 1.44.5's service model; all read 2026-11-24. AWS
//! writes MB and means 1,048,576 bytes. Limits of operations that Gyre does not have yet come with
//! those.

mod read_throttle;
mod shard_throttle;
mod token_bucket;

pub use read_throttle::{ReadRates, ReadThrottle};
pub use shard_throttle::{ShardRates, ShardThrottle};
pub use token_bucket::{Rate, TokenBucket};

use std::time::Duration;

const MIB: u32 = 1 << 20;

/// Characters of a stream's name. Source: model, `StreamName`.
pub const STREAM_NAME_CHARACTERS_MAX: usize = 128;

/// Characters of a partition key. Source: API reference, `PutRecord`: "Unicode strings with a
/// maximum length limit of 256 characters for each key".
pub const PARTITION_KEY_CHARACTERS_MAX: usize = 256;

/// Bytes of a partition key: 256 characters of at most four bytes of UTF-8.
pub const PARTITION_KEY_BYTES_MAX: usize = PARTITION_KEY_CHARACTERS_MAX * 4;

/// Default largest record, data plus partition key, in bytes. A stream may raise it to
/// [`RECORD_BYTES_MAX_LARGEST`] (`UpdateMaxRecordSize`). Source: AWS guide, "Handle large records".
pub const RECORD_BYTES_MAX_DEFAULT: u32 = MIB;

/// Largest record that any stream may allow, in bytes. Source: as above; model,
/// `MaxRecordSizeInKiB` 1024..10240.
pub const RECORD_BYTES_MAX_LARGEST: u32 = 10 * MIB;

/// Records of one `PutRecords`. Source: API reference, `PutRecords`.
pub const PUT_RECORDS_COUNT_MAX: usize = 500;

/// Bytes of one `PutRecords`, keys included. Source: API reference, `PutRecords` (5 MiB until
/// October 2025).
pub const PUT_RECORDS_BYTES_MAX: u32 = 10 * MIB;

/// Records of one `GetRecords`. Source: quotas; model, `GetRecordsInputLimit`.
pub const GET_RECORDS_COUNT_MAX: u32 = 10_000;

/// Bytes of one `GetRecords`. Source: quotas.
pub const GET_RECORDS_BYTES_MAX: u32 = 10 * MIB;

/// Bytes that may be written to a shard each second, keys included. Source: quotas.
pub const SHARD_WRITE_BYTES_PER_SECOND: u32 = MIB;

/// Records that may be written to a shard each second. Source: quotas.
pub const SHARD_WRITE_RECORDS_PER_SECOND: u32 = 1000;

/// Bytes that may be read from a shard each second by all `GetRecords` together. Source: quotas.
pub const SHARD_READ_BYTES_PER_SECOND: u32 = 2 * MIB;

/// `GetRecords` calls to a shard each second. Source: quotas.
pub const SHARD_READ_CALLS_PER_SECOND: u32 = 5;

/// How long a shard iterator lives. Source: API reference, `GetShardIterator` ("expires 5 minutes
/// after it is returned").
pub const SHARD_ITERATOR_LIFE: Duration = Duration::from_secs(300);

/// Characters of a shard iterator. Source: model, `ShardIterator`.
pub const SHARD_ITERATOR_CHARACTERS_MAX: usize = 512;

/// Retention of a new stream, and the shortest there is, in hours. Source: API reference,
/// `IncreaseStreamRetentionPeriod`.
pub const RETENTION_HOURS_MIN: u32 = 24;

/// Longest retention, in hours: 365 days. Source: as above.
pub const RETENTION_HOURS_MAX: u32 = 8760;

/// Shards of an account and region until it asks for more, in the largest regions. Source: quotas.
pub const SHARDS_PER_ACCOUNT_DEFAULT: u32 = 20_000;

const _: () = assert!(RECORD_BYTES_MAX_LARGEST <= PUT_RECORDS_BYTES_MAX);
const _: () = assert!(RECORD_BYTES_MAX_DEFAULT <= SHARD_WRITE_BYTES_PER_SECOND);
// "If a call to GetRecords returns 10 MB, subsequent calls made within the next 5 seconds throw".
const _: () = assert!(GET_RECORDS_BYTES_MAX == 5 * SHARD_READ_BYTES_PER_SECOND);
