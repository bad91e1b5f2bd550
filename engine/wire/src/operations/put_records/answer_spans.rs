//! The answer of a PutRecords as spans: the fast path of a client that puts millions of records.

use model::Span;

use crate::encoding::Encoding;
use crate::scan::{BODY_BYTES_MAX, cbor, json, set};

/// What became of one record, as spans of the answer; texts without escapes, which are UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordAnswer {
    /// `SequenceNumber`.
    pub sequence_number: Option<Span>,
    /// `ShardId`.
    pub shard_id: Option<Span>,
    /// `ErrorCode`.
    pub error_code: Option<Span>,
    /// `ErrorMessage`.
    pub error_message: Option<Span>,
}

/// Reads an answer into `records`, whose room is used again, and gives its `FailedRecordCount`.
/// `None` where it is not for the fast path: [`crate::call::decode_output`] may still read it.
#[must_use]
pub fn scan_answer(
    encoding: Encoding,
    body: &[u8],
    records: &mut Vec<RecordAnswer>,
) -> Option<u32> {
    records.clear();
    if body.len() > BODY_BYTES_MAX {
        return None;
    }
    match encoding {
        Encoding::Json => scan_json(body, records),
        Encoding::Cbor => scan_cbor(body, records),
    }
}

fn scan_json(body: &[u8], records: &mut Vec<RecordAnswer>) -> Option<u32> {
    const NAMES: [&[u8]; 3] = [b"FailedRecordCount\"", b"Records\"", b"EncryptionType\""];
    const RECORD: [&[u8]; 4] =
        [b"SequenceNumber\"", b"ShardId\"", b"ErrorCode\"", b"ErrorMessage\""];
    let mut scanner = json::Scanner::new(body);
    let (mut failed, mut has_records, mut encryption) = (None, None, None);
    scanner.members(NAMES, |scanner, name| match name {
        0 => set(&mut failed, scanner.number()?),
        1 => {
            set(&mut has_records, ())?;
            scanner.elements(|scanner| {
                let mut record = RecordAnswer::default();
                scanner.members(RECORD, |scanner, name| {
                    set(record.place(name), is_utf8(scanner.text()?, body)?)
                })?;
                records.push(record);
                Some(())
            })
        }
        _ => set(&mut encryption, is_encryption(scanner.text()?, body)?),
    })?;
    has_records?;
    if scanner.is_at_end() { failed } else { None }
}

fn scan_cbor(body: &[u8], records: &mut Vec<RecordAnswer>) -> Option<u32> {
    let mut scanner = cbor::Scanner::new(body);
    let (mut failed, mut has_records, mut encryption) = (None, None, None);
    scanner.members(|scanner, name| match name {
        b"FailedRecordCount" => set(&mut failed, scanner.number()?),
        b"Records" => {
            set(&mut has_records, ())?;
            scanner.elements(|scanner| {
                let mut record = RecordAnswer::default();
                scanner.members(|scanner, name| {
                    let place = match name {
                        b"SequenceNumber" => record.place(0),
                        b"ShardId" => record.place(1),
                        b"ErrorCode" => record.place(2),
                        b"ErrorMessage" => record.place(3),
                        _ => return None,
                    };
                    set(place, is_utf8(scanner.text()?, body)?)
                })?;
                records.push(record);
                Some(())
            })
        }
        b"EncryptionType" => set(&mut encryption, is_encryption(scanner.text()?, body)?),
        _ => None,
    })?;
    has_records?;
    // More have not failed than an i32 counts, or the plain path says what it is.
    let failed = failed.filter(|failed| i32::try_from(*failed).is_ok());
    if scanner.is_at_end() { failed } else { None }
}

impl RecordAnswer {
    fn place(&mut self, member: usize) -> &mut Option<Span> {
        match member {
            0 => &mut self.sequence_number,
            1 => &mut self.shard_id,
            2 => &mut self.error_code,
            _ => &mut self.error_message,
        }
    }
}

fn is_utf8(found: Span, body: &[u8]) -> Option<Span> {
    str::from_utf8(found.of(body)).is_ok().then_some(found)
}

fn is_encryption(found: Span, body: &[u8]) -> Option<Span> {
    matches!(found.of(body), b"NONE" | b"KMS").then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::PutRecordsOutput;
    use super::*;
    use crate::call::decode_output;
    use crate::structure;
    use crate::structures::PutRecordsResultEntry;

    /// The fast path and the plain one on one answer. Gives whether the fast one took it.
    fn compare(encoding: Encoding, body: &[u8]) -> bool {
        let plain: Option<PutRecordsOutput> = decode_output(encoding, body);
        let mut records = vec![RecordAnswer::default()];
        let Some(failed) = scan_answer(encoding, body, &mut records) else { return false };
        let plain = plain.expect("the fast path takes what the plain one takes");
        assert_eq!(plain.failed_record_count, i32::try_from(failed).ok());
        let text = |span: Option<Span>| {
            span.map(|span| String::from_utf8(span.of(body).to_vec()).unwrap())
        };
        let entry = |record: &RecordAnswer| PutRecordsResultEntry {
            sequence_number: text(record.sequence_number),
            shard_id: text(record.shard_id),
            error_code: text(record.error_code),
            error_message: text(record.error_message),
        };
        assert_eq!(records.iter().map(entry).collect::<Vec<_>>(), plain.records);
        true
    }

    fn output(message: &str) -> PutRecordsOutput {
        let entry = |texts: [Option<&str>; 4]| {
            let [sequence_number, shard_id, error_code, error_message] =
                texts.map(|text| text.map(str::to_owned));
            PutRecordsResultEntry { sequence_number, shard_id, error_code, error_message }
        };
        PutRecordsOutput {
            failed_record_count: Some(1),
            records: vec![
                entry([Some("17"), Some("shardId-000000000000"), None, None]),
                entry([None, None, Some("InternalFailure"), Some(message)]),
            ],
            encryption_type: Some(crate::names::EncryptionType::Kms),
        }
    }

    #[test]
    fn answers_of_both_encodings() {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            assert!(compare(encoding, &structure::encode(&output("é"), encoding)));
        }
        // A message with an escape is one of JSON alone.
        let quoted = output("\"");
        assert!(!compare(Encoding::Json, &structure::encode(&quoted, Encoding::Json)));
        assert!(compare(Encoding::Cbor, &structure::encode(&quoted, Encoding::Cbor)));
    }

    #[test]
    fn answers_of_others() {
        let check = |body: &str, is_fast: bool| {
            assert_eq!(compare(Encoding::Json, body.as_bytes()), is_fast, "{body}");
        };
        check(r#" { "Records" : [ ] , "FailedRecordCount" : 0 } "#, true);
        check(r#"{"Records":[{"ShardId":"a","SequenceNumber":"1"}],"FailedRecordCount":12}"#, true);
        check(r#"{"FailedRecordCount":0}"#, false);
        check(r#"{"Records":[]}"#, false);
        check(r#"{"FailedRecordCount":00,"Records":[]}"#, false);
        check(r#"{"FailedRecordCount":1.0,"Records":[]}"#, false);
        check(r#"{"FailedRecordCount":-1,"Records":[]}"#, false);
        check(r#"{"FailedRecordCount":9999999999,"Records":[]}"#, false);
        check(r#"{"FailedRecordCount":0,"Records":[],"Records":[]}"#, false);
        check(r#"{"FailedRecordCount":0,"Records":[{"ErrorCode":null}]}"#, false);
        check(r#"{"FailedRecordCount":0,"Records":[],"EncryptionType":"AES"}"#, false);
        check(r#"{"__type":"InternalFailure"}"#, false);
    }

    #[test]
    fn damaged_answers() {
        let mut random = fastrand::Rng::with_seed(19);
        let mut fast = 0;
        for _ in 0..20_000 {
            let encoding = if random.bool() { Encoding::Json } else { Encoding::Cbor };
            let mut body = structure::encode(&output("é"), encoding);
            let position = random.usize(..body.len());
            body[position] = random.u8(..);
            fast += u32::from(compare(encoding, &body));
        }
        assert!(fast > 1000, "{fast} answers went the fast way");
    }
}
