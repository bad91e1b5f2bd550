//! The API's named shapes, with the bounds and patterns of its model (botocore 1.44.5).
//!
//! Patterns read as AWS's texts print them, recorded by kinesalite 3.3.3's tests; where the model
//! of today writes `^(…)$` around one, it means the same.

use model::api_error::Bounds;
use model::limits::{
    PARTITION_KEY_CHARACTERS_MAX, PUT_RECORDS_COUNT_MAX, RECORD_BYTES_MAX_LARGEST,
    SHARD_ITERATOR_CHARACTERS_MAX, STREAM_NAME_CHARACTERS_MAX,
};

use crate::names::MetricsName;
use crate::pattern::Pattern;
use crate::schema::Shape;

const fn text(least: u64, most: u64) -> Shape {
    Shape::Text { length: Some(Bounds { least, most }), pattern: None }
}

const fn pattern(least: u64, most: u64, pattern: Pattern) -> Shape {
    Shape::Text { length: Some(Bounds { least, most }), pattern: Some(pattern) }
}

const fn digits(pattern: Pattern) -> Shape {
    Shape::Text { length: None, pattern: Some(pattern) }
}

const fn integer(least: i64, most: i64) -> Shape {
    Shape::Integer { least: Some(least), most: Some(most) }
}

/// A list without bounds.
#[must_use]
pub const fn list(element: &'static Shape) -> Shape {
    Shape::List { length: None, element }
}

/// `PutRecordsRequestEntryList` and `PutRecordsResultEntryList`.
#[must_use]
pub const fn records(element: &'static Shape) -> Shape {
    Shape::List { length: Some(Bounds { least: 1, most: PUT_RECORDS_COUNT_MAX as u64 }), element }
}

/// `StreamName`.
pub const STREAM_NAME: Shape = pattern(1, STREAM_NAME_CHARACTERS_MAX as u64, Pattern::Name);
/// `StreamARN`.
pub const STREAM_ARN: Shape = pattern(1, 2048, Pattern::StreamArn);
/// `StreamId`.
pub const STREAM_ID: Shape = pattern(1, 24, Pattern::StreamId);
/// `ConsumerName`.
pub const CONSUMER_NAME: Shape = pattern(1, 128, Pattern::Name);
/// `ConsumerARN`.
pub const CONSUMER_ARN: Shape = pattern(1, 2048, Pattern::ConsumerArn);
/// `ResourceARN`.
pub const RESOURCE_ARN: Shape = pattern(1, 2048, Pattern::ResourceArn);
/// `ShardId`.
pub const SHARD_ID: Shape = pattern(1, 128, Pattern::Name);
/// `HashKey`.
pub const HASH_KEY: Shape = digits(Pattern::HashKey);
/// `SequenceNumber`.
pub const SEQUENCE_NUMBER: Shape = digits(Pattern::SequenceNumber);
/// `ShardIterator`.
pub const SHARD_ITERATOR: Shape = text(1, SHARD_ITERATOR_CHARACTERS_MAX as u64);
/// `NextToken`.
pub const NEXT_TOKEN: Shape = text(1, 1 << 20);
/// `PartitionKey`.
pub const PARTITION_KEY: Shape = text(1, PARTITION_KEY_CHARACTERS_MAX as u64);
/// `Data`: the largest of any stream; a stream's own bound is not the wire's to know.
pub const DATA: Shape = Shape::Blob { bytes_max: RECORD_BYTES_MAX_LARGEST as u64 };
/// `MetricsNameList`.
pub const METRICS_NAMES: Shape =
    Shape::List { length: Some(Bounds { least: 1, most: 7 }), element: &MetricsName::SHAPE };
/// `KeyId`.
pub const KEY_ID: Shape = text(1, 2048);
/// `Policy`, `ErrorCode`, `ErrorMessage`: texts without bounds.
pub const FREE_TEXT: Shape = Shape::Text { length: None, pattern: None };
/// `TagKey`.
pub const TAG_KEY: Shape = text(TAG_KEY_LENGTH.least, TAG_KEY_LENGTH.most);
/// `TagValue`.
pub const TAG_VALUE: Shape = text(TAG_VALUE_LENGTH.least, TAG_VALUE_LENGTH.most);
/// `TagMap`.
pub const TAG_MAP: Shape = Shape::Map {
    length: Bounds { least: 1, most: 200 },
    key: TAG_KEY_LENGTH,
    value: TAG_VALUE_LENGTH,
};
/// `TagKeyList`.
pub const TAG_KEYS: Shape =
    Shape::List { length: Some(Bounds { least: 1, most: 50 }), element: &TAG_KEY };
/// `PositiveIntegerObject`.
pub const POSITIVE: Shape = Shape::Integer { least: Some(1), most: None };
/// `NaturalIntegerObject`.
pub const NATURAL: Shape = Shape::Integer { least: Some(0), most: None };
/// `RetentionPeriodHours`: the action says what is too little or too much.
pub const RETENTION_HOURS: Shape = Shape::Integer { least: None, most: None };
/// `MaxRecordSizeInKiB`.
pub const RECORD_KIB_MAX: Shape = integer(1024, 10_240);
/// `GetRecordsInputLimit`, `ListShardsInputLimit` and the like.
pub const LIMIT: Shape = integer(1, 10_000);
/// `ListTagsForStreamInputLimit`.
pub const TAG_LIMIT: Shape = integer(1, 50);
/// `ShardCountObject` and other counts.
pub const COUNT: Shape = integer(0, 1_000_000);
/// `MillisBehindLatest`.
pub const LONG: Shape = Shape::Long;
/// `BooleanObject`.
pub const BOOLEAN: Shape = Shape::Boolean;
/// `Timestamp`.
pub const TIMESTAMP: Shape = Shape::Timestamp;

const TAG_KEY_LENGTH: Bounds = Bounds { least: 1, most: 128 };
const TAG_VALUE_LENGTH: Bounds = Bounds { least: 0, most: 256 };
