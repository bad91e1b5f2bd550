//! Head and body of a request, the operation drawn from the input; and the two paths of PutRecords,
//! which must agree.

use model::Span;
use wire::head::Head;
use wire::operations::put_records::{PutRecords, PutRecordsSpans};
use wire::{Encoding, Operation, Refusal, Request};

/// One byte names the operation, one the encoding; the rest is the body.
pub(super) fn feed(input: &[u8]) {
    let [operation, encoding, body @ ..] = input else { return };
    let encoding = if encoding % 2 == 0 { Encoding::Json } else { Encoding::Cbor };
    let operation = match usize::from(*operation) {
        // A quarter of all: the one with two paths.
        192.. => Operation::PutRecords,
        number => Operation::ALL[number % Operation::ALL.len()],
    };
    feed_head(body);
    let read = Request::read(operation, encoding, body);
    if let Err(refusal) = &read {
        let answer = refusal.encode(encoding);
        assert!(encoding.parse(&answer).is_ok(), "an error is a body");
    }
    if operation == Operation::PutRecords {
        compare(encoding, body, read);
    }
}

fn feed_head(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let (content_type, target) = text.split_once(',').unwrap_or((&text, ""));
    let head = Head {
        method: "POST",
        content_type: Some(content_type),
        target: Some(target),
        is_body_empty: body.len().is_multiple_of(2),
    };
    if let Err(bad) = head.read() {
        let (status, _, _) = bad.answer();
        assert!(matches!(status, 400 | 403 | 404));
    }
}

/// What the fast path takes, the plain one takes, and finds the same in it.
fn compare(encoding: Encoding, body: &[u8], plain: Result<Request, Refusal>) {
    let spans = match PutRecordsSpans::scan(encoding, body.to_vec()) {
        Ok(spans) => spans,
        Err(back) => {
            assert_eq!(back, body, "a body that is not for the fast path stays as it was");
            return;
        }
    };
    let Ok(Request::PutRecords(plain)) = plain else {
        panic!("the fast path has taken what the plain one refuses: {plain:?}")
    };
    let PutRecords { records, stream_name, stream_arn, stream_id, dry_run } = plain;
    let text = |span: Option<Span>| span.map(|span| spans.text(span).to_owned());
    assert_eq!(text(spans.stream_name), stream_name);
    assert_eq!(text(spans.stream_arn), stream_arn);
    assert_eq!(text(spans.stream_id), stream_id);
    assert_eq!(spans.is_dry_run, dry_run.unwrap_or(false));
    assert_eq!(spans.records.len(), records.len());
    for (found, plain) in spans.records.iter().zip(records) {
        assert_eq!(found.data.of(&spans.payload), plain.data.0);
        assert_eq!(text(found.partition_key), plain.partition_key);
        assert_eq!(text(found.explicit_hash_key), plain.explicit_hash_key);
    }
}

const JSON: [&str; 5] = [
    r#"{"StreamName":"a","Records":[{"Data":"AAAA","PartitionKey":"k","ExplicitHashKey":"17"},{"Data":"+/8=","PartitionKey":"é"}],"DryRun":true}"#,
    r#"{"Records":[{"Data":""}],"StreamARN":"arn:aws:kinesis:r:123456789012:stream/a","StreamId":"abcdefghij0123456789-abc"}"#,
    r#"{"StreamName":"a","Tags":{"a":"b"},"ShardCount":1,"StreamModeDetails":{"StreamMode":"ON_DEMAND"}}"#,
    r#"{"ShardIterator":"AAAA","Limit":10000,"DryRun":false,"ShardId":"0","ShardIteratorType":"LATEST"}"#,
    r#"{"ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1.5},"TagKeys":["a"],"ShardLevelMetrics":["ALL"]}"#,
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for operation in (0..57).chain([200; 40]) {
        for body in JSON {
            seeds.push([&[operation, 0], body.as_bytes()].concat());
        }
        for body in super::cbor::BODIES {
            seeds.push([&[operation, 1], body].concat());
        }
    }
    seeds.push(b"\x00\x00application/x-amz-json-1.1,Kinesis_20131202.ListStreams".to_vec());
    seeds
}
