//! The fast path against the plain one.

use super::*;
use crate::structure;
use crate::structure::Blob;
use crate::structures::PutRecordsRequestEntry;

/// A request with its texts and data in place, comparable whatever the payload is.
fn plain_of(spans: &PutRecordsSpans) -> PutRecords {
    let text = |span: Option<Span>| span.map(|span| spans.text(span).to_owned());
    let record = |record: &RecordSpans| PutRecordsRequestEntry {
        data: Blob(record.data.of(&spans.payload).to_vec()),
        explicit_hash_key: text(record.explicit_hash_key),
        partition_key: text(record.partition_key),
    };
    PutRecords {
        records: spans.records.iter().map(record).collect(),
        stream_name: text(spans.stream_name),
        stream_arn: text(spans.stream_arn),
        stream_id: text(spans.stream_id),
        dry_run: spans.is_dry_run.then_some(true),
    }
}

/// Both paths on one body. Gives whether the fast one took it.
fn compare(encoding: Encoding, body: &[u8]) -> bool {
    let mut plain: Result<PutRecords, Refusal> = read(encoding, body);
    if let Ok(plain) = &mut plain {
        plain.dry_run = plain.dry_run.filter(|is_dry_run| *is_dry_run);
    }
    let shown = || String::from_utf8_lossy(body).into_owned();
    match PutRecordsSpans::scan(encoding, body.to_vec()) {
        Ok(spans) => {
            assert_eq!(Ok(plain_of(&spans)), plain, "{}", shown());
            true
        }
        Err(back) => {
            assert_eq!(back, body, "the body comes back as it was");
            let either = PutRecordsSpans::read(encoding, back);
            assert_eq!(either.map(|spans| plain_of(&spans)), plain);
            false
        }
    }
}

#[test]
fn bodies_for_the_fast_path() {
    let check = |body: &str| assert!(compare(Encoding::Json, body.as_bytes()), "{body}");
    check(r#"{"StreamName":"a","Records":[{"Data":"","PartitionKey":"k"}]}"#);
    check(
        r#" { "Records" : [ { "PartitionKey" : "é" , "Data" : "AAAA", "ExplicitHashKey":"17" } ,
        {"Data":"+/8="}, {"Data":"+w=="} ] , "StreamARN" : "arn:aws:kinesis:r:123456789012:stream/a",
        "StreamId":"abcdefghij0123456789-abc", "DryRun" : true } "#,
    );
    check(r#"{"Records":[{"Data":"AAAA"}],"DryRun":false}"#);
}

#[test]
fn bodies_that_it_leaves_to_the_plain_one() {
    let check = |body: &str| assert!(!compare(Encoding::Json, body.as_bytes()), "{body}");
    check("");
    check("{}");
    check("[]");
    check(r#"{"Records":[]}"#);
    check(r#"{"Records":[{}]}"#);
    check(r#"{"Records":[{"Data":"AAAA"}]"#);
    check(r#"{"Records":[{"Data":"AAAA"}]} x"#);
    check(r#"{"Records":[{"Data":"AAAA"},]}"#);
    check(r#"{"Records":[{"Data":"AAAA"}],}"#);
    check(r#"{"Records":[{"Data":"AAAA",}]}"#);
    check(r#"{"Records":[{"Data":"AAAA"}],"Other":1}"#);
    check(r#"{"Records":[{"Data":"AAAA","Other":{}}]}"#);
    check(r#"{"Records":[{"Data":"AAAA"}],"Records":[{"Data":"BBBB"}]}"#);
    check(r#"{"Records":[{"Data":"AAAA","Data":"BBBB"}]}"#);
    check(r#"{"Records":[{"Data":"AAAA","PartitionKey":null}]}"#);
    check(r#"{"Records":[{"Data":"AA\/A"}]}"#);
    check(r#"{"Records":[{"Data":"AAA"}]}"#);
    check(r#"{"Records":[{"Data":"AA=="},{"Data":"AB=="}]}"#);
    check(r#"{"Records":[{"Data":"AAAA","PartitionKey":"\u0061"}]}"#);
    check(r#"{"Records":[{"Data":"AAAA","PartitionKey":""}]}"#);
    check("{\"Records\":[{\"Data\":\"AAAA\",\"PartitionKey\":\"\t\"}]}");
    check(&format!(r#"{{"Records":[{{"Data":"AAAA","PartitionKey":"{}"}}]}}"#, "a".repeat(257)));
    check(r#"{"Records":[{"Data":"AAAA","ExplicitHashKey":"01"}]}"#);
    check(r#"{"Records":[{"Data":"AAAA"}],"StreamName":"a b"}"#);
    check(r#"{"Records":[{"Data":"AAAA"}],"DryRun":"true"}"#);
    check(&format!(r#"{{"Records":[{}]}}"#, vec![r#"{"Data":""}"#; 501].join(",")));
}

#[test]
fn counts_and_sizes_at_their_bounds() {
    let check = |count: usize, data_bytes: usize, key: &str, is_fast: bool| {
        let data = Blob(vec![7; data_bytes]);
        let record = PutRecordsRequestEntry {
            data,
            explicit_hash_key: None,
            partition_key: Some(key.to_owned()),
        };
        let request = PutRecords {
            records: vec![record; count],
            stream_name: Some("a".repeat(128)),
            stream_arn: None,
            stream_id: None,
            dry_run: None,
        };
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let body = structure::encode(&request, encoding);
            assert_eq!(compare(encoding, &body), is_fast, "{count} {data_bytes} {encoding:?}");
        }
    };
    check(500, 100, &"🦀".repeat(256), true);
    check(500, 101, "a", true);
    check(501, 1, "a", false);
    check(1, 10 << 20, "a", true);
    check(1, (10 << 20) + 1, "a", false);
    check(1, (10 << 20) + 2, "a", false);
}

#[test]
fn cbor_of_either_length() {
    let check = |body: &[u8], is_fast: bool| {
        assert_eq!(compare(Encoding::Cbor, body), is_fast, "{body:02x?}");
    };
    let data = b"\x64Data\x43\x01\x02\x03";
    check(&[b"\xa1\x67Records\x81\xa1", &data[..]].concat(), true);
    check(&[b"\xbf\x67Records\x9f\xbf", &data[..], b"\xff\xff\xff"].concat(), true);
    check(
        &[b"\xbf\x67Records\x9f\xbf", &data[..], b"\x6cPartitionKey\x61k\xff\xff\xff"].concat(),
        true,
    );
    // Bytes in pieces, base64, and what is no request.
    check(b"\xa1\x67Records\x81\xa1\x64Data\x5f\x41\x01\xff", false);
    check(b"\xa1\x67Records\x81\xa1\x64Data\x64AAAA", false);
    check(&[b"\xbf\x67Records\x9f\xbf", &data[..], b"\xff\xff"].concat(), false);
    check(&[b"\xa1\x67Records\x82\xa1", &data[..]].concat(), false);
    check(b"\xa1\x67Records\x80", false);
    check(b"", false);
}

/// Bodies of a seeded generator, right and then damaged in one place: both paths agree on every one.
#[test]
fn agrees_with_the_plain_path() {
    let mut random = fastrand::Rng::with_seed(13);
    let (mut fast, mut slow) = (0, 0);
    for _ in 0..20_000 {
        let record = |random: &mut fastrand::Rng| PutRecordsRequestEntry {
            data: Blob((0..random.usize(..40)).map(|_| random.u8(..)).collect()),
            explicit_hash_key: random.bool().then(|| random.u64(..).to_string()),
            partition_key: random.bool().then(|| "é\\k\u{1}"[..random.usize(1..=3) * 2 - 2].into()),
        };
        let request = PutRecords {
            records: (0..random.usize(1..4)).map(|_| record(&mut random)).collect(),
            stream_name: random.bool().then(|| "orders".to_owned()),
            stream_arn: None,
            stream_id: None,
            dry_run: random.bool().then(|| random.bool()),
        };
        let encoding = if random.bool() { Encoding::Json } else { Encoding::Cbor };
        let mut body = structure::encode(&request, encoding);
        if random.bool() {
            let position = random.usize(..body.len());
            match random.u8(..3) {
                0 => body[position] = random.u8(..),
                1 => drop(body.remove(position)),
                _ => body.insert(position, b" \"\\,=A{}[]:"[random.usize(..11)]),
            }
        }
        if compare(encoding, &body) { fast += 1 } else { slow += 1 }
    }
    assert!(fast > 4000, "{fast} bodies went the fast way");
    assert!(slow > 4000, "{slow} went the plain way");
}
