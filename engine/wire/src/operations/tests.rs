//! The tables against PROTOCOL.md, and every structure there and back.

use super::*;
use crate::operation::{Plane, Presence};
use crate::schema::Shape;
use crate::structure;
use crate::typed::Typed;

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

/// The members of a structure, `*` behind required ones, of structures inside in brackets.
fn members(members: &[Member]) -> String {
    let text = |member: &Member| {
        let star = if member.is_required { "*" } else { "" };
        let inside = match member.shape {
            Shape::Structure(inside) => format!("{{{}}}", self::members(inside)),
            Shape::List { element: Shape::Structure(inside), .. } => {
                format!("[{}]", self::members(inside))
            }
            _ => String::new(),
        };
        format!("{}{star}{inside}", member.name)
    };
    members.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[test]
fn protocol_md_has_the_table_of_operations() {
    let mut expected = String::new();
    for &operation in Operation::ALL {
        let plane = if operation.plane() == Plane::Data { "data" } else { "control" };
        let table = TABLES.iter().find(|(name, _, _)| *name == operation.name());
        assert_eq!(table.is_some(), operation.presence() == Presence::Here);
        let (takes, gives) = match table {
            Some((_, takes, gives)) => (members(takes), members(gives)),
            None => ("refused".to_owned(), String::new()),
        };
        let gives = if operation.is_streamed() { "events".to_owned() } else { gives };
        expected += &format!("| {} | {plane} | {takes} | {gives} |\n", operation.name());
    }
    assert!(PROTOCOL.contains(&expected), "PROTOCOL.md should have this table:\n{expected}");
}

/// A value of a shape that keeps its constraints.
fn sample(shape: &Shape, random: &mut fastrand::Rng) -> Typed<'static> {
    match shape {
        Shape::Text { pattern, .. } => Typed::Text(match pattern.map(|pattern| pattern.text()) {
            None => "é\"\\\u{1}".into(),
            Some(text) if text.contains("consumer") => {
                "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/b:1".into()
            }
            Some(text) if text.contains("arn") => {
                "arn:aws:kinesis:us-east-1:123456789012:stream/a".into()
            }
            Some(text) if text.contains("{20}") => "abcdefghij0123456789-abc".into(),
            Some(_) => random.u32(1..1000).to_string().into(),
        }),
        Shape::OneOf(names) => Typed::Text(names[random.usize(..names.len())].into()),
        Shape::Integer { least, most } => {
            Typed::Integer(random.i64(least.unwrap_or(-5)..=most.unwrap_or(1 << 30)))
        }
        Shape::Long => Typed::Integer(random.i64(0..)),
        Shape::Boolean => Typed::Boolean(random.bool()),
        Shape::Timestamp => Typed::Timestamp(crate::Timestamp(random.i64(-(1 << 42)..1 << 42))),
        Shape::Blob { .. } => Typed::Blob(vec![random.u8(..); random.usize(..5)].into()),
        Shape::List { element, .. } => {
            Typed::List((0..random.usize(1..4)).map(|_| Some(sample(element, random))).collect())
        }
        Shape::Map { .. } => {
            Typed::Map((0..3).map(|_| (random.u8(..).to_string().into(), "".into())).collect())
        }
        Shape::Structure(members) => Typed::Structure(samples(members, random)),
    }
}

fn samples(members: &[Member], random: &mut fastrand::Rng) -> Vec<Option<Typed<'static>>> {
    let sample = |member: &Member| {
        (member.is_required || random.bool()).then(|| sample(member.shape, random))
    };
    members.iter().map(sample).collect()
}

/// Made of samples, written and read again, in both encodings.
fn there_and_back<T: Structure + PartialEq + std::fmt::Debug>(random: &mut fastrand::Rng) {
    for _ in 0..50 {
        let made = T::from_members(structure::Members::new(samples(T::MEMBERS, random)));
        let made = made.expect("samples keep the constraints");
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let body = structure::encode(&made, encoding);
            assert_eq!(structure::decode::<T>(encoding, &body).as_ref(), Some(&made));
        }
    }
}

macro_rules! all_there_and_back {
    ($($name:ident)*) => { $(
        let mut random = fastrand::Rng::with_seed(11);
        there_and_back::<$name>(&mut random);
        there_and_back::<<$name as Call>::Output>(&mut random);
        for _ in 0..50 {
            let made = <$name as Structure>::from_members(structure::Members::new(samples(
                <$name as Structure>::MEMBERS,
                &mut random,
            )));
            let made = made.expect("samples keep the constraints");
            let body = structure::encode(&made, Encoding::Cbor);
            let found = Request::read(Operation::$name, Encoding::Cbor, &body);
            assert_eq!(found, Ok(Request::$name(made)));
            assert_eq!(<$name as Call>::OPERATION, Operation::$name);
        }
    )* };
}

#[test]
fn every_structure_there_and_back() {
    all_there_and_back! {
        AddTagsToStream CreateStream DecreaseStreamRetentionPeriod DeleteResourcePolicy DeleteStream
        DeregisterStreamConsumer DescribeAccountSettings DescribeLimits DescribeStream
        DescribeStreamConsumer DescribeStreamSummary DisableEnhancedMonitoring
        EnableEnhancedMonitoring GetRecords GetResourcePolicy GetShardIterator
        IncreaseStreamRetentionPeriod ListShards ListStreamConsumers ListStreams ListTagsForResource
        ListTagsForStream MergeShards PutRecord PutRecords PutResourcePolicy RegisterStreamConsumer
        RemoveTagsFromStream SplitShard StartStreamEncryption StopStreamEncryption SubscribeToShard
        TagResource UntagResource UpdateAccountSettings UpdateMaxRecordSize UpdateShardCount
        UpdateStreamMode UpdateStreamRecordDistributionStrategy UpdateStreamWarmThroughput
    }
}

#[test]
fn answers_as_they_are_sent() {
    use crate::call::{Nothing, decode_output, encode_output};
    use crate::structures::PutRecordsResultEntry;
    assert_eq!(encode_output(&Nothing {}, Encoding::Json), b"");
    assert_eq!(decode_output::<Nothing>(Encoding::Json, b""), Some(Nothing {}));
    let written = PutRecordsResultEntry {
        sequence_number: Some("7".to_owned()),
        shard_id: Some("shardId-000000000000".to_owned()),
        error_code: None,
        error_message: None,
    };
    let refused = PutRecordsResultEntry {
        sequence_number: None,
        shard_id: None,
        error_code: Some("InternalFailure".to_owned()),
        error_message: Some("Internal service failure.".to_owned()),
    };
    let output = put_records::PutRecordsOutput {
        failed_record_count: Some(1),
        records: vec![written, refused],
        encryption_type: None,
    };
    let expected = r#"{"FailedRecordCount":1,"Records":[{"SequenceNumber":"7","ShardId":"shardId-000000000000"},{"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure."}]}"#;
    let body = encode_output(&output, Encoding::Json);
    assert_eq!(String::from_utf8(body).unwrap(), expected);
    let body = encode_output(&output, Encoding::Cbor);
    assert!(
        body.starts_with(
            b"\xbf\x71FailedRecordCount\x01\x67Records\x9f\xbf\x6eSequenceNumber\x617"
        )
    );
    assert!(body.ends_with(b"\xff\xff\xff"));
    assert_eq!(decode_output(Encoding::Cbor, &body), Some(output));
    assert_eq!(decode_output::<PutRecordsOutput>(Encoding::Json, b"{\"Records\":1}"), None);
}

use put_records::PutRecordsOutput;
