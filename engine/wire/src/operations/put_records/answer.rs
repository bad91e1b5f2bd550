//! The answer of a PutRecords, written record by record: the fast path.
//!
//! What is the same in every record is copied as one piece, and no record costs an allocation.

use model::stream::StreamAddress;
use model::{RecordError, SequenceNumber};

use crate::encoding::{Encoder, Encoding};
use crate::names::EncryptionType;

/// Writes an answer, in the order of the request.
#[derive(Debug)]
pub struct PutRecordsWriter {
    encoder: Encoder,
    parts: &'static Parts,
}

/// What stands around a record's sequence number and shard.
#[derive(Debug)]
struct Parts {
    before: &'static [u8],
    between: &'static [u8],
    behind: &'static [u8],
}

const JSON: Parts =
    Parts { before: br#"{"SequenceNumber":""#, between: br#"","ShardId":""#, behind: br#""}"# };
/// Texts of 56 and of 20 bytes in a map of indefinite length.
const CBOR: Parts = Parts {
    before: b"\xbf\x6eSequenceNumber\x78\x38",
    between: b"\x67ShardId\x74",
    behind: b"\xff",
};

/// Bytes of a record in either encoding, and some for the rest.
const RECORD_BYTES: usize = 128;

impl PutRecordsWriter {
    /// Starts an answer for so many records, of which so many have failed.
    #[must_use]
    pub fn new(encoding: Encoding, count: usize, failed: usize) -> Self {
        let out = Vec::with_capacity((count + 1) * RECORD_BYTES);
        let mut encoder = Encoder::new(encoding, out);
        encoder.open_structure();
        encoder.member("FailedRecordCount");
        encoder.integer(i64::try_from(failed).expect("a request has at most 500 records"));
        encoder.member("Records");
        encoder.open_list();
        let parts = if encoding == Encoding::Json { &JSON } else { &CBOR };
        Self { encoder, parts }
    }

    /// The next record was written.
    pub fn written(&mut self, number: SequenceNumber) {
        self.encoder.element();
        self.encoder.raw(self.parts.before);
        self.encoder.raw(&number.to_digits());
        self.encoder.raw(self.parts.between);
        self.encoder.raw(number.shard.id().as_bytes());
        self.encoder.raw(self.parts.behind);
    }

    /// The next record was refused.
    pub fn refused(&mut self, error: RecordError, stream: &StreamAddress) {
        self.encoder.element();
        self.encoder.open_structure();
        self.encoder.member("ErrorCode");
        self.encoder.text(error.code());
        self.encoder.member("ErrorMessage");
        self.encoder.text(&error.message(stream).to_string());
        self.encoder.close_structure();
    }

    /// Ends the answer. AWS names no encryption where there is none.
    #[must_use]
    pub fn finish(mut self, encryption: Option<EncryptionType>) -> Vec<u8> {
        self.encoder.close_list();
        if let Some(encryption) = encryption {
            self.encoder.member("EncryptionType");
            self.encoder.text(encryption.name());
        }
        self.encoder.close_structure();
        self.encoder.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::PutRecordsOutput;
    use super::*;
    use crate::structure;
    use crate::structures::PutRecordsResultEntry;
    use model::{AccountId, RecordIndex, ShardIndex, StreamName};

    #[test]
    fn answers_are_the_plain_ones() {
        let stream =
            StreamAddress { account: AccountId::DEFAULT, name: StreamName::new("orders").unwrap() };
        let number = SequenceNumber {
            shard_created_s: 1_488_269_257,
            shard: ShardIndex::new(17),
            record: RecordIndex::new(663_152_097),
            arrival_s: 1_491_587_454,
        };
        let errors = [
            RecordError::ThroughputExceeded { shard: ShardIndex::new(3) },
            RecordError::InternalFailure,
        ];
        for encoding in [Encoding::Json, Encoding::Cbor] {
            for encryption in [None, Some(EncryptionType::Kms)] {
                let mut writer = PutRecordsWriter::new(encoding, 4, 2);
                writer.written(number);
                for error in errors {
                    writer.refused(error, &stream);
                }
                writer.written(number);
                let written = PutRecordsResultEntry {
                    sequence_number: Some(number.to_string()),
                    shard_id: Some("shardId-000000000017".to_owned()),
                    error_code: None,
                    error_message: None,
                };
                let refused = errors.map(|error| PutRecordsResultEntry {
                    sequence_number: None,
                    shard_id: None,
                    error_code: Some(error.code().to_owned()),
                    error_message: Some(error.message(&stream).to_string()),
                });
                let [second, third] = refused;
                let plain = PutRecordsOutput {
                    failed_record_count: Some(2),
                    records: vec![written.clone(), second, third, written],
                    encryption_type: encryption,
                };
                assert_eq!(writer.finish(encryption), structure::encode(&plain, encoding));
            }
        }
    }
}
