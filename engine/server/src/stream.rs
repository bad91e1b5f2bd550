//! A stream as its users hold it: what never changes while it exists, and how it is described.

use std::sync::Arc;

use model::api_error::{
    ApiError, Constraint, InvalidArgument, InvalidIterator, Member, ResourceNotFound, Shown,
    Validation, Violation,
};
use model::record::RecordBytesMax;
use model::stream::{StreamAddress, StreamStatus};
use model::{RecordIndex, SequenceNumber, ShardIndex, ShardMap, StreamName};

use crate::placement::StreamNumber;

/// What a stream is created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// How long records are kept after their arrival, ms. Kinesis's bounds (24 h to a year) are
    /// for the API's edge; here any time but zero will do.
    pub retention_ms: u64,
    /// The largest record.
    pub record_bytes_max: RecordBytesMax,
}

impl Default for StreamOptions {
    /// 24 hours, records up to 1 MiB.
    fn default() -> StreamOptions {
        StreamOptions {
            retention_ms: u64::from(model::limits::RETENTION_HOURS_MIN) * 3_600_000,
            record_bytes_max: RecordBytesMax::DEFAULT,
        }
    }
}

/// A handle of one stream. Cheap to clone, usable on any core; outlives the stream's deletion, and
/// then finds nothing, also where a new stream has the name.
#[derive(Clone, Debug)]
pub struct Stream {
    inner: Arc<StreamInner>,
}

#[derive(Debug)]
pub(crate) struct StreamInner {
    pub(crate) number: StreamNumber,
    pub(crate) address: StreamAddress,
    pub(crate) shards: ShardMap,
    pub(crate) options: StreamOptions,
    pub(crate) created_ms: u64,
}

impl Stream {
    pub(crate) fn new(inner: StreamInner) -> Stream {
        Stream { inner: Arc::new(inner) }
    }

    /// Its number in the data folder.
    pub fn number(&self) -> StreamNumber {
        self.inner.number
    }

    /// Its name.
    pub fn name(&self) -> &StreamName {
        &self.inner.address.name
    }

    /// Its name and account, as Kinesis's texts have them.
    pub fn address(&self) -> &StreamAddress {
        &self.inner.address
    }

    /// Its shards.
    pub fn shards(&self) -> &ShardMap {
        &self.inner.shards
    }

    /// What it was created with.
    pub fn options(&self) -> StreamOptions {
        self.inner.options
    }

    /// When it was created, Unix ms.
    pub fn created_ms(&self) -> u64 {
        self.inner.created_ms
    }

    /// What clients see of a record's place. Panics for a shard that the stream does not have.
    pub fn sequence_number(
        &self,
        shard: ShardIndex,
        record: RecordIndex,
        arrival_ms: u64,
    ) -> SequenceNumber {
        let shard = self.inner.shards.get(shard).expect("a record's shard is its stream's");
        SequenceNumber {
            shard_created_s: shard.created_s,
            shard: shard.index,
            record,
            arrival_s: arrival_ms / 1000,
        }
    }

    /// The place that a client means by a sequence number, for a reader of `shard`.
    ///
    /// # Errors
    /// `InvalidArgumentException` where it is malformed, another shard's or another stream's, and
    /// `ResourceNotFoundException` where the stream has no such shard.
    pub fn record_index(&self, shard: ShardIndex, text: &str) -> Result<RecordIndex, ApiError> {
        let created_s = self.shard_created_s(shard)?;
        let stream = self.address().clone();
        let specified: Box<str> = text.into();
        let invalid = |error| ApiError::InvalidArgument(InvalidArgument::Iterator(error));
        let Ok(number) = SequenceNumber::parse(text.as_bytes()) else {
            return Err(invalid(InvalidIterator::Malformed { specified, shard, stream }));
        };
        if number.shard != shard {
            let encoded = number.shard.get();
            return Err(invalid(InvalidIterator::OtherShard { encoded, shard }));
        }
        if number.shard_created_s != created_s {
            return Err(invalid(InvalidIterator::OtherStream { specified, shard, stream }));
        }
        Ok(number.record)
    }

    fn shard_created_s(&self, shard: ShardIndex) -> Result<u64, ApiError> {
        let found = self.inner.shards.get(shard).map(|shard| shard.created_s);
        found.ok_or_else(|| self.no_such_shard(shard))
    }

    pub(crate) fn no_such_shard(&self, shard: ShardIndex) -> ApiError {
        let stream = self.address().clone();
        ApiError::ResourceNotFound(ResourceNotFound::Shard { shard, stream })
    }

    pub(crate) fn not_found(&self) -> ApiError {
        let stream = self.address().clone();
        ApiError::ResourceNotFound(ResourceNotFound::Stream(stream))
    }
}

/// A stream as DescribeStream shows it.
#[derive(Clone, Debug)]
pub struct StreamDescription {
    /// Its handle; usable while it is `ACTIVE`.
    pub stream: Stream,
    /// Its state.
    pub status: StreamStatus,
}

/// Checks the `ShardCount` of a CreateStream.
///
/// # Errors
/// `ValidationException` for 0, or more shards than there are indices.
pub(crate) fn check_shard_count(shard_count: u32) -> Result<(), ApiError> {
    let most = ShardIndex::MAX.get();
    let constraint = match shard_count {
        0 => Constraint::AtLeast(1),
        count if count <= most => return Ok(()),
        _ => Constraint::AtMost(i64::from(most)),
    };
    let shown = Shown::Text(shard_count.to_string().into());
    let violation = Violation { member: Member::Field("shardCount"), shown, constraint };
    Err(ApiError::Validation(Validation::Violations(vec![violation])))
}
