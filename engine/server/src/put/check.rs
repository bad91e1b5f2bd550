//! Whether a request may be put at all. Pure; any broken constraint refuses all of it.
//!
//! In Kinesis's order: the constraints of the API's model, all that are broken in one text, then
//! the size of the whole.

use model::api_error::{
    ApiError, Constraint, InvalidArgument, Member, Shown, Validation, Violation,
};
use model::limits::{PARTITION_KEY_CHARACTERS_MAX, PUT_RECORDS_BYTES_MAX, PUT_RECORDS_COUNT_MAX};
use model::record::{PartitionKeyError, RecordBytes, RecordBytesMax, check_partition_key};

use super::{PutBatch, PutRecord};

/// Violations listed in one text; the rest is cut off.
const VIOLATIONS_MAX: usize = 10;

/// Checks a request for a stream whose largest record is `record_bytes_max`.
///
/// Panics where a span does not lie within the payload: the caller made both.
///
/// # Errors
/// `ValidationException` and `InvalidArgumentException` with Kinesis's texts.
pub(crate) fn check(batch: &PutBatch, record_bytes_max: RecordBytesMax) -> Result<(), ApiError> {
    let mut violations = Vec::new();
    let count = batch.records.len();
    if count == 0 {
        violations.push(of_records(Constraint::LengthAtLeast(1)));
    } else if count > PUT_RECORDS_COUNT_MAX {
        violations.push(of_records(Constraint::LengthAtMost(PUT_RECORDS_COUNT_MAX as u64)));
    }
    let mut request_bytes = 0;
    if violations.is_empty() {
        for (position, record) in batch.records.iter().enumerate() {
            request_bytes += bytes_of(record).total();
            if !is_right(record, &batch.payload, record_bytes_max) {
                describe(position, record, &batch.payload, record_bytes_max, &mut violations);
            }
        }
    }
    if !violations.is_empty() {
        violations.truncate(VIOLATIONS_MAX);
        return Err(ApiError::Validation(Validation::Violations(violations)));
    }
    if request_bytes > u64::from(PUT_RECORDS_BYTES_MAX) {
        return Err(ApiError::InvalidArgument(InvalidArgument::RecordsTooLarge));
    }
    Ok(())
}

fn is_right(record: &PutRecord, payload: &[u8], record_bytes_max: RecordBytesMax) -> bool {
    record_bytes_max.admits(bytes_of(record))
        && record.data.of(payload).len() == record.data.bytes as usize
        && check_partition_key(record.key.of(payload)).is_ok()
}

fn bytes_of(record: &PutRecord) -> RecordBytes {
    RecordBytes { key: record.key.bytes, data: record.data.bytes }
}

#[cold]
fn describe(
    position: usize,
    record: &PutRecord,
    payload: &[u8],
    record_bytes_max: RecordBytesMax,
    violations: &mut Vec<Violation>,
) {
    let number = u32::try_from(position + 1).expect("a request has at most 500 records");
    let element = |field| Member::Element { list: "records", number, field };
    let mut violate = |field, constraint| {
        let member = element(field);
        violations.push(Violation { member, shown: Shown::Hidden, constraint });
    };
    if !record_bytes_max.admits(bytes_of(record)) {
        violate("data", Constraint::LengthAtMost(u64::from(record_bytes_max.get())));
    }
    match check_partition_key(record.key.of(payload)) {
        Ok(()) => {}
        Err(PartitionKeyError::Empty) => violate("partitionKey", Constraint::LengthAtLeast(1)),
        Err(PartitionKeyError::TooLong) => {
            let most = PARTITION_KEY_CHARACTERS_MAX as u64;
            violate("partitionKey", Constraint::LengthAtMost(most));
        }
        // No wire of Kinesis's can carry such a key, so AWS has no text for it.
        Err(PartitionKeyError::NotUtf8) => violate("partitionKey", Constraint::Pattern("UTF-8")),
    }
}

fn of_records(constraint: Constraint) -> Violation {
    Violation { member: Member::Field("records"), shown: Shown::Hidden, constraint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use digest::Span;
    use std::sync::Arc;

    /// A batch with a key and a data blob of these sizes each.
    fn batch(records: &[(usize, usize)]) -> PutBatch {
        let mut payload = Vec::new();
        let mut add = |byte: u8, bytes: usize| {
            let start = u32::try_from(payload.len()).unwrap();
            payload.resize(payload.len() + bytes, byte);
            Span { start, bytes: u32::try_from(bytes).unwrap() }
        };
        let records = records.iter().map(|(key, data)| PutRecord {
            key: add(b'k', *key),
            data: add(0xff, *data),
            explicit_hash_key: None,
        });
        let records = records.collect();
        PutBatch { payload: Arc::new(payload), records }
    }

    fn text(batch: &PutBatch) -> Option<String> {
        check(batch, RecordBytesMax::DEFAULT).err().map(|error| error.to_string())
    }

    #[test]
    fn what_kinesis_takes_is_taken() {
        assert_eq!(text(&batch(&[(1, 0)])), None);
        assert_eq!(text(&batch(&vec![(256, 1); 500])), None);
        assert_eq!(text(&batch(&[(1, (1 << 20) - 1)])), None);
        assert_eq!(text(&batch(&[(1, (1 << 20) - 1); 10])), None);
    }

    #[test]
    fn what_kinesis_refuses_is_refused_with_its_texts() {
        let check = |batch: &PutBatch, expected: &str| {
            assert_eq!(text(batch).as_deref(), Some(expected));
        };
        check(
            &batch(&[]),
            "1 validation error detected: Value at 'records' failed to satisfy constraint: Member \
             must have length greater than or equal to 1",
        );
        check(
            &batch(&vec![(1, 1); 501]),
            "1 validation error detected: Value at 'records' failed to satisfy constraint: Member \
             must have length less than or equal to 500",
        );
        check(
            &batch(&[(1, 1), (0, 1 << 20), (257, 1)]),
            "2 validation errors detected: Value at 'records.2.member.partitionKey' failed to \
             satisfy constraint: Member must have length greater than or equal to 1; Value at \
             'records.3.member.partitionKey' failed to satisfy constraint: Member must have length \
             less than or equal to 256",
        );
        check(
            &batch(&[(1, 1 << 20)]),
            "1 validation error detected: Value at 'records.1.member.data' failed to satisfy \
             constraint: Member must have length less than or equal to 1048576",
        );
        let mut whole = vec![(1, (1 << 20) - 1); 10];
        whole.push((1, 0));
        check(&batch(&whole), "Records size exceeds 10 MB limit");
    }

    #[test]
    fn many_violations_are_cut_off() {
        let text = text(&batch(&vec![(0, 0); 500])).unwrap();
        assert!(text.starts_with("10 validation errors detected: "), "{text}");
    }
}
