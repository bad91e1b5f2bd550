//! `InvalidArgumentException`: the request is well formed, but asks for what cannot be.
//!
//! Texts recorded by kinesalite 3.3.3's tests against AWS, unless a variant says otherwise.

use crate::hash_key::{HashKey, HashKeyRange};
use crate::limits::{PUT_RECORDS_BYTES_MAX, RETENTION_HOURS_MAX, RETENTION_HOURS_MIN};
use crate::shard_id::ShardIndex;
use crate::stream::{StreamAddress, StreamName};
use std::fmt;

/// What is wrong with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidArgument {
    /// An `ExplicitHashKey` past 2^128 - 1.
    ExplicitHashKey {
        /// As the client wrote it.
        specified: Box<str>,
    },
    /// A `SequenceNumberForOrdering` of no known layout, or from the future.
    SequenceNumberForOrdering {
        /// As the client wrote it.
        specified: Box<str>,
        /// The stream that was written to.
        stream: StreamAddress,
    },
    /// The records of a PutRecords are too large together. AWS's text with its number of today: it
    /// was "5 MB" when it was quoted (2020, 2022).
    RecordsTooLarge,
    /// A GetShardIterator that names no position.
    Iterator(InvalidIterator),
    /// A text that no GetShardIterator and no GetRecords has given out.
    ShardIterator,
    /// A text that no list has given out. AWS's text is not known.
    NextToken,
    /// A SplitShard or MergeShards that cannot be.
    Reshard(InvalidReshard),
    /// A retention that cannot be.
    Retention(InvalidRetention),
}

impl fmt::Display for InvalidArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExplicitHashKey { specified } => write!(
                f,
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
                 Specified value was {specified}",
            ),
            Self::SequenceNumberForOrdering { specified, stream } => write!(
                f,
                "ExclusiveMinimumSequenceNumber {specified} used in PutRecord on stream {stream} \
                 is invalid.",
            ),
            Self::RecordsTooLarge => {
                write!(f, "Records size exceeds {} MB limit", PUT_RECORDS_BYTES_MAX >> 20)
            }
            Self::Iterator(error) => error.fmt(f),
            Self::ShardIterator => f.write_str("Invalid ShardIterator."),
            Self::NextToken => f.write_str("Invalid NextToken."),
            Self::Reshard(error) => error.fmt(f),
            Self::Retention(error) => error.fmt(f),
        }
    }
}

/// Why a GetShardIterator names no position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidIterator {
    /// The type needs a sequence number and came without.
    NeedsSequenceNumber {
        /// The type's name.
        kind: &'static str,
    },
    /// The type takes no sequence number and came with one.
    TakesNoSequenceNumber {
        /// The type's name.
        kind: &'static str,
    },
    /// The sequence number is of no known layout.
    Malformed {
        /// As the client wrote it.
        specified: Box<str>,
        /// The shard that was asked for.
        shard: ShardIndex,
        /// Its stream.
        stream: StreamAddress,
    },
    /// The sequence number is another shard's.
    OtherShard {
        /// The 32 bits in the shard's place; AWS prints them with a sign.
        encoded: u32,
        /// The shard that was asked for.
        shard: ShardIndex,
    },
    /// The sequence number is of a shard of the same index in another stream.
    OtherStream {
        /// As the client wrote it.
        specified: Box<str>,
        /// The shard that was asked for.
        shard: ShardIndex,
        /// Its stream.
        stream: StreamAddress,
    },
    /// `AT_TIMESTAMP` came without a time.
    TimestampMissing,
    /// `AT_TIMESTAMP` with a time that is not yet. Unix times in milliseconds.
    TimestampInFuture {
        /// What was asked for.
        timestamp_ms: u64,
        /// Our time.
        now_ms: u64,
    },
}

const ITERATOR_RULE: &str = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER \
                             and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
                             StartingSequenceNumber.";

impl fmt::Display for InvalidIterator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsSequenceNumber { kind } => {
                write!(f, "{ITERATOR_RULE} Request specified {kind} and no StartingSequenceNumber.")
            }
            Self::TakesNoSequenceNumber { kind } => write!(
                f,
                "{ITERATOR_RULE} Request specified {kind} and also a StartingSequenceNumber.",
            ),
            Self::Malformed { specified, shard, stream } => write!(
                f,
                "StartingSequenceNumber {specified} used in GetShardIterator on shard {shard} in \
                 stream {stream} is invalid.",
            ),
            Self::OtherShard { encoded, shard } => write!(
                f,
                "Invalid StartingSequenceNumber. It encodes shardId-{:012}, while it was used in a \
                 call to a shard with {shard}",
                encoded.cast_signed(),
            ),
            Self::OtherStream { specified, shard, stream } => write!(
                f,
                "StartingSequenceNumber {specified} used in GetShardIterator on shard {shard} in \
                 stream {stream} is invalid because it did not come from this stream.",
            ),
            Self::TimestampMissing => f.write_str(
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. \
                 Current request has no timestamp parameter.",
            ),
            Self::TimestampInFuture { timestamp_ms, now_ms } => write!(
                f,
                "The timestampInMillis parameter cannot be greater than the \
                 currentTimestampInMillis. timestampInMillis: {timestamp_ms}, \
                 currentTimestampInMillis: {now_ms}",
            ),
        }
    }
}

/// Why shards cannot be split or merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidReshard {
    /// A `NewStartingHashKey` that leaves one half empty.
    StartOutOfRange {
        /// The shard to split.
        shard: ShardIndex,
        /// Where its upper half was to start.
        new_start: HashKey,
        /// The shard's range.
        range: HashKeyRange,
        /// Its stream.
        stream: StreamAddress,
    },
    /// Two shards of which the second's range does not follow the first's.
    NotAdjacent {
        /// In the order of the request.
        pair: [ShardIndex; 2],
        /// Their stream.
        stream: StreamAddress,
    },
    /// The shard was split or merged before (text as moto 0af643a gives it).
    Closed {
        /// The shard.
        shard: ShardIndex,
        /// Its stream.
        stream: StreamAddress,
    },
}

impl fmt::Display for InvalidReshard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartOutOfRange { shard, new_start, range, stream } => write!(
                f,
                "NewStartingHashKey {new_start} used in SplitShard() on shard {shard} in stream \
                 {stream} is not both greater than one plus the shard's StartingHashKey {} and \
                 less than the shard's EndingHashKey {}.",
                range.start(),
                range.end(),
            ),
            Self::NotAdjacent { pair: [first, second], stream } => write!(
                f,
                "Shards {first} and {second} in stream {stream} are not an adjacent pair of shards \
                 eligible for merging",
            ),
            Self::Closed { shard, stream } => write!(
                f,
                "Shard {shard} in stream {stream} has already been merged or split, and thus is \
                 not eligible for merging or splitting.",
            ),
        }
    }
}

/// Why a stream cannot have a retention. Hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidRetention {
    /// Less than a day.
    TooShort {
        /// What was asked for.
        hours: u32,
    },
    /// More than a year (text as moto 0af643a gives it).
    TooLong {
        /// What was asked for.
        hours: u32,
    },
    /// A decrease that would be an increase.
    AboveCurrent {
        /// What was asked for.
        hours: u32,
        /// What the stream has.
        current_hours: u32,
        /// The stream, whose account AWS does not name here.
        stream: StreamName,
    },
    /// An increase that would be a decrease.
    BelowCurrent {
        /// What was asked for.
        hours: u32,
        /// What the stream has.
        current_hours: u32,
        /// The stream, whose account AWS does not name here.
        stream: StreamName,
    },
}

impl fmt::Display for InvalidRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { hours } => write!(
                f,
                "Minimum allowed retention period is {RETENTION_HOURS_MIN} hours. Requested \
                 retention period ({hours} hours) is too short.",
            ),
            Self::TooLong { hours } => write!(
                f,
                "Maximum allowed retention period is {RETENTION_HOURS_MAX} hours. Requested \
                 retention period ({hours} hours) is too long.",
            ),
            Self::AboveCurrent { hours, current_hours, stream } => write!(
                f,
                "Requested retention period ({hours} hours) for stream {stream} can not be longer \
                 than existing retention period ({current_hours} hours). Use \
                 IncreaseRetentionPeriod API.",
            ),
            Self::BelowCurrent { hours, current_hours, stream } => write!(
                f,
                "Requested retention period ({hours} hours) for stream {stream} can not be shorter \
                 than existing retention period ({current_hours} hours). Use \
                 DecreaseRetentionPeriod API.",
            ),
        }
    }
}
