//! Reading by asking: shard iterators and GetRecords.
//!
//! An iterator is a value: it names a stream, a shard and a place, and when it was given out. How
//! it travels as text is for the wire to know.

use model::api_error::{
    ApiError, Constraint, InvalidArgument, InvalidIterator, Member, Shown, Validation, Violation,
};
use model::limits::{GET_RECORDS_COUNT_MAX, SHARD_ITERATOR_LIFE};
use model::{RecordIndex, ShardIndex};
use storage::chunk::Chunk;
use storage::record::Record;

use crate::command::ReadRefusal;
use crate::stream::Stream;

pub(crate) mod serve;

/// A place in a shard from which to read. Lives five minutes.
#[derive(Clone, Debug)]
pub struct ShardIterator {
    pub(crate) stream: Stream,
    pub(crate) shard: ShardIndex,
    pub(crate) index: RecordIndex,
    pub(crate) created_ms: u64,
}

impl ShardIterator {
    /// The stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The shard.
    pub fn shard(&self) -> ShardIndex {
        self.shard
    }

    /// Index of the next record, or of a record before it that has expired.
    pub fn index(&self) -> RecordIndex {
        self.index
    }

    /// # Errors
    /// `ExpiredIteratorException` past five minutes.
    pub(crate) fn check_life(&self, now_ms: u64) -> Result<(), ApiError> {
        let created_ms = self.created_ms;
        let life_ms = u64::try_from(SHARD_ITERATOR_LIFE.as_millis()).expect("five minutes");
        // A clock that was set back makes an iterator young again, never old.
        if now_ms.saturating_sub(created_ms) > life_ms {
            return Err(ApiError::ExpiredIterator { created_ms, now_ms });
        }
        Ok(())
    }
}

/// What GetRecords gives.
#[derive(Clone, Debug)]
pub struct GetResult {
    /// The records, as they stand in the log; none at the tip of the shard.
    pub chunks: Vec<Chunk>,
    /// Where to go on.
    pub next: ShardIterator,
    /// Age of the next unread record, 0 at the tip, ms.
    pub millis_behind: u64,
}

impl GetResult {
    /// The records in index order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.chunks.iter().flat_map(Chunk::records)
    }
}

/// Checks the `Limit` of a GetRecords; 10,000 if not told.
///
/// # Errors
/// `ValidationException` outside of 1 to 10,000.
pub(crate) fn check_limit(limit: Option<u32>) -> Result<u32, ApiError> {
    let limit = limit.unwrap_or(GET_RECORDS_COUNT_MAX);
    let constraint = match limit {
        0 => Constraint::AtLeast(1),
        1..=GET_RECORDS_COUNT_MAX => return Ok(limit),
        _ => Constraint::AtMost(i64::from(GET_RECORDS_COUNT_MAX)),
    };
    let shown = Shown::Text(limit.to_string().into());
    let violation = Violation { member: Member::Field("limit"), shown, constraint };
    Err(ApiError::Validation(Validation::Violations(vec![violation])))
}

/// What a client is told when a core gives no records.
pub(crate) fn refusal(error: ReadRefusal, stream: &Stream, shard: ShardIndex) -> ApiError {
    match error {
        ReadRefusal::NotFound => stream.no_such_shard(shard),
        ReadRefusal::Throttled => {
            let stream = stream.address().clone();
            ApiError::ProvisionedThroughputExceeded { shard, stream }
        }
        ReadRefusal::TimeInFuture { timestamp_ms, now_ms } => {
            let error = InvalidIterator::TimestampInFuture { timestamp_ms, now_ms };
            ApiError::InvalidArgument(InvalidArgument::Iterator(error))
        }
        ReadRefusal::Failed => ApiError::InternalFailure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_from_1_to_10000() {
        let check = |limit, expected: Result<u32, &str>| {
            let found = check_limit(limit).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        };
        check(None, Ok(10_000));
        check(Some(1), Ok(1));
        check(Some(10_000), Ok(10_000));
        check(
            Some(0),
            Err("1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: \
                 Member must have value greater than or equal to 1"),
        );
        check(
            Some(10_001),
            Err("1 validation error detected: Value '10001' at 'limit' failed to satisfy \
                 constraint: Member must have value less than or equal to 10000"),
        );
    }
}
