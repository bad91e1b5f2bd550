//! Records to readers, written one by one as the log has them: the fast path of GetRecords and of
//! SubscribeToShard's events.
//!
//! The plain path makes a [`crate::structures::Record`] of each; both write the same bytes.

use model::SequenceNumber;

use crate::encoding::{Encoder, Encoding};
use crate::shapes::{LONG, SEQUENCE_NUMBER, SHARD_ITERATOR, list};
use crate::structure::{Structure, structure};
use crate::structures::ChildShard;
use crate::timestamp::Timestamp;

/// A record as the log has it.
#[derive(Clone, Copy, Debug)]
pub struct StoredRecord<'a> {
    /// Which it is.
    pub number: SequenceNumber,
    /// When it arrived.
    pub arrival: Timestamp,
    /// Its data.
    pub data: &'a [u8],
    /// Its key; absent where the service has distributed it.
    pub partition_key: Option<&'a str>,
    /// Whether it was written while the stream was encrypted.
    pub is_encrypted: bool,
}

structure! {
    /// What follows the records in the answer of a GetRecords.
    GetRecordsRest {
        /// Absent exactly where there are child shards: the shard has ended.
        next_shard_iterator: Option<String> => "NextShardIterator", SHARD_ITERATOR;
        millis_behind_latest: Option<i64> => "MillisBehindLatest", LONG;
        child_shards: Option<Vec<ChildShard>> => "ChildShards", list(&ChildShard::SHAPE);
    }
}

structure! {
    /// What follows the records in an event of a SubscribeToShard.
    EventRest {
        /// Absent exactly where there are child shards: the shard has ended.
        continuation_sequence_number: Option<String> =>
            "ContinuationSequenceNumber", SEQUENCE_NUMBER;
        millis_behind_latest: i64 => "MillisBehindLatest", LONG;
        child_shards: Option<Vec<ChildShard>> => "ChildShards", list(&ChildShard::SHAPE);
    }
}

/// Writes records, then what follows them.
#[derive(Debug)]
pub struct RecordsWriter(Encoder);

impl RecordsWriter {
    /// Writes behind what `out` holds. A writer whose capacity is about the answer's length makes
    /// no copies as it grows.
    #[must_use]
    pub fn new(encoding: Encoding, out: Vec<u8>) -> Self {
        let mut encoder = Encoder::new(encoding, out);
        encoder.open_structure();
        encoder.member("Records");
        encoder.open_list();
        Self(encoder)
    }

    /// The next record.
    pub fn record(&mut self, record: &StoredRecord<'_>) {
        let StoredRecord { number, arrival, data, partition_key, is_encrypted } = *record;
        let encoder = &mut self.0;
        encoder.element();
        encoder.open_structure();
        encoder.member("SequenceNumber");
        let digits = number.to_digits();
        encoder.text(str::from_utf8(&digits).expect("digits are ASCII"));
        encoder.member("ApproximateArrivalTimestamp");
        encoder.timestamp(arrival);
        encoder.member("Data");
        encoder.blob(data);
        if let Some(key) = partition_key {
            encoder.member("PartitionKey");
            encoder.text(key);
        }
        if is_encrypted {
            encoder.member("EncryptionType");
            encoder.text("KMS");
        }
        encoder.close_structure();
    }

    /// Ends the answer: a [`GetRecordsRest`] or an [`EventRest`].
    #[must_use]
    pub fn finish<T: Structure>(mut self, rest: &T) -> Vec<u8> {
        self.0.close_list();
        rest.write_members(&mut self.0);
        self.0.close_structure();
        self.0.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::EncryptionType;
    use crate::operations::get_records::GetRecordsOutput;
    use crate::structure::{self, Blob};
    use crate::structures::{HashKeyRange, Record, SubscribeToShardEvent};
    use model::{RecordIndex, ShardIndex};

    fn children() -> Option<Vec<ChildShard>> {
        let [starting_hash_key, ending_hash_key] = ["0", "9"].map(str::to_owned);
        Some(vec![ChildShard {
            shard_id: "shardId-000000000001".to_owned(),
            parent_shards: vec!["shardId-000000000000".to_owned()],
            hash_key_range: HashKeyRange { starting_hash_key, ending_hash_key },
        }])
    }

    fn numbers() -> [SequenceNumber; 2] {
        [5, 6].map(|index| SequenceNumber {
            shard_created_s: 1_488_269_257,
            shard: ShardIndex::new(0),
            record: RecordIndex::new(index),
            arrival_s: 1_491_587_454,
        })
    }

    fn written(encoding: Encoding) -> RecordsWriter {
        let [first, second] = numbers();
        let mut writer = RecordsWriter::new(encoding, Vec::new());
        let record = StoredRecord {
            number: first,
            arrival: Timestamp(1_491_587_454_120),
            data: b"data",
            partition_key: Some("k\"é"),
            is_encrypted: false,
        };
        writer.record(&record);
        writer.record(&StoredRecord {
            number: second,
            data: b"",
            partition_key: None,
            is_encrypted: true,
            ..record
        });
        writer
    }

    fn plain() -> Vec<Record> {
        let [first, second] = numbers().map(|number| number.to_string());
        let record = Record {
            sequence_number: first,
            approximate_arrival_timestamp: Some(Timestamp(1_491_587_454_120)),
            data: Blob(b"data".to_vec()),
            partition_key: Some("k\"é".to_owned()),
            encryption_type: None,
        };
        let encrypted = Record {
            sequence_number: second,
            data: Blob(Vec::new()),
            partition_key: None,
            encryption_type: Some(EncryptionType::Kms),
            ..record.clone()
        };
        vec![record, encrypted]
    }

    #[test]
    fn answers_and_events_are_the_plain_ones() {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            for child_shards in [None, children()] {
                let next = child_shards.is_none().then(|| "AAAA".to_owned());
                let plain_answer = GetRecordsOutput {
                    records: plain(),
                    next_shard_iterator: next.clone(),
                    millis_behind_latest: Some(7),
                    child_shards: child_shards.clone(),
                };
                let rest = GetRecordsRest {
                    next_shard_iterator: next.clone(),
                    millis_behind_latest: Some(7),
                    child_shards: child_shards.clone(),
                };
                let found = written(encoding).finish(&rest);
                assert_eq!(found, structure::encode(&plain_answer, encoding));
                let plain_event = SubscribeToShardEvent {
                    records: plain(),
                    continuation_sequence_number: next.clone(),
                    millis_behind_latest: 7,
                    child_shards: child_shards.clone(),
                };
                let rest = EventRest {
                    continuation_sequence_number: next,
                    millis_behind_latest: 7,
                    child_shards,
                };
                let found = written(encoding).finish(&rest);
                assert_eq!(found, structure::encode(&plain_event, encoding));
            }
        }
    }

    #[test]
    fn no_records_are_an_empty_list() {
        let rest = GetRecordsRest {
            next_shard_iterator: None,
            millis_behind_latest: None,
            child_shards: None,
        };
        let found = RecordsWriter::new(Encoding::Json, Vec::new()).finish(&rest);
        assert_eq!(found, b"{\"Records\":[]}");
    }
}
