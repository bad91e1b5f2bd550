//! Requests as bodies, with every refusal that is recorded of AWS: kinesalite 3.3.3's tests, with
//! the bounds of today.

use crate::operations::Request;
use crate::{Encoding, Operation};

/// What a JSON body is refused with: the sentences after the count.
fn refused(operation: Operation, body: &str, expected: &[String]) {
    let refusal = Request::read(operation, Encoding::Json, body.as_bytes()).unwrap_err();
    assert_eq!(refusal.code(), "ValidationException");
    let plural = if expected.len() == 1 { "" } else { "s" };
    let prefix = format!("{} validation error{plural} detected: ", expected.len());
    let text = refusal.to_string();
    let sentences: Vec<&str> = text.strip_prefix(&prefix).expect(&text).split("; ").collect();
    assert_eq!(sentences, expected);
}

/// One sentence; `shown` has its space.
fn sentence(shown: &str, member: &str, constraint: impl std::fmt::Display) -> String {
    format!("Value {shown}at '{member}' failed to satisfy constraint: {constraint}")
}

const NOT_NULL: &str = "Member must not be null";
const NAME: &str = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
const LEAST_1: &str = "Member must have length greater than or equal to 1";

fn most(length: u32) -> String {
    format!("Member must have length less than or equal to {length}")
}

#[test]
fn put_records() {
    let refused = |body: &str, expected: &[String]| refused(Operation::PutRecords, body, expected);
    refused("{}", &[sentence("null ", "records", NOT_NULL)]);
    refused(
        r#"{"StreamName":"","Records":[]}"#,
        &[
            sentence("", "records", LEAST_1),
            sentence("'' ", "streamName", NAME),
            sentence("'' ", "streamName", LEAST_1),
        ],
    );
    refused(
        r#"{"StreamName":"a","Records":[{"PartitionKey":"","Data":"","ExplicitHashKey":""},{}]}"#,
        &[
            sentence("'' ", "records.1.member.explicitHashKey", HASH_KEY),
            sentence("'' ", "records.1.member.partitionKey", LEAST_1),
            sentence("null ", "records.2.member.data", NOT_NULL),
        ],
    );
    refused(
        r#"{"StreamName":"a","Records":[{"Data":""},null]}"#,
        &[sentence("null ", "records.2.member", NOT_NULL)],
    );
    let data = "A".repeat((10 << 20) / 3 * 4 + 4);
    refused(
        &format!(r#"{{"StreamName":"a","Records":[{{"Data":"{data}"}}]}}"#),
        &[sentence("", "records.1.member.data", most(10 << 20))],
    );
    let records = vec![r#"{"PartitionKey":"","Data":""}"#; 501].join(",");
    let mut expected = vec![sentence("", "records", most(500))];
    expected.extend(
        (1..10).map(|number| {
            sentence("'' ", &format!("records.{number}.member.partitionKey"), LEAST_1)
        }),
    );
    // Ten at most.
    refused(&format!(r#"{{"StreamName":"","Records":[{records}]}}"#), &expected);
}

const HASH_KEY: &str = r"Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})";

#[test]
fn get_records_and_iterators() {
    refused(Operation::GetRecords, "{}", &[sentence("null ", "shardIterator", NOT_NULL)]);
    refused(
        Operation::GetRecords,
        r#"{"ShardIterator":"","Limit":0}"#,
        &[
            sentence("'' ", "shardIterator", LEAST_1),
            sentence("'0' ", "limit", "Member must have value greater than or equal to 1"),
        ],
    );
    refused(
        Operation::GetRecords,
        r#"{"ShardIterator":"a","Limit":10001}"#,
        &[sentence("'10001' ", "limit", "Member must have value less than or equal to 10000")],
    );
    refused(
        Operation::GetShardIterator,
        r#"{"ShardIteratorType":"HELLO","StartingSequenceNumber":"01"}"#,
        &[
            sentence("null ", "shardId", NOT_NULL),
            sentence(
                "'HELLO' ",
                "shardIteratorType",
                "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, \
                 AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
            ),
            sentence(
                "'01' ",
                "startingSequenceNumber",
                r"Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})",
            ),
        ],
    );
}

#[test]
fn tags_and_metrics() {
    let bounds = |least: u32, length: u32| {
        format!("[{}, Member must have length greater than or equal to {least}]", most(length))
    };
    let long = "a".repeat(129);
    refused(
        Operation::AddTagsToStream,
        &format!(r#"{{"StreamName":"a","Tags":{{"a":"1","{long}":"3","b":"2"}}}}"#),
        &[format!(
            "Value '{{a=1, {long}=3, b=2}}' at 'tags' failed to satisfy constraint: Map keys must \
             satisfy constraint: {}",
            bounds(1, 128),
        )],
    );
    let value = "a".repeat(257);
    refused(
        Operation::AddTagsToStream,
        &format!(r#"{{"StreamName":"a","Tags":{{"c":"{value}"}}}}"#),
        &[format!(
            "Value '{{c={value}}}' at 'tags' failed to satisfy constraint: Map value must satisfy \
             constraint: {}",
            bounds(0, 256),
        )],
    );
    refused(Operation::AddTagsToStream, r#"{"Tags":{}}"#, &[sentence("'{}' ", "tags", LEAST_1)]);
    refused(
        Operation::RemoveTagsFromStream,
        &format!(r#"{{"StreamName":"a","TagKeys":["a","{long}","b"]}}"#),
        &[format!(
            "Value '[a, {long}, b]' at 'tagKeys' failed to satisfy constraint: Member must satisfy \
             constraint: {}",
            bounds(1, 128),
        )],
    );
    refused(
        Operation::EnableEnhancedMonitoring,
        r#"{"ShardLevelMetrics":["ALL","None"]}"#,
        &[sentence(
            "'[ALL, None]' ",
            "shardLevelMetrics",
            "Member must satisfy constraint: [Member must satisfy enum value set: [IncomingBytes, \
             IncomingRecords, OutgoingBytes, OutgoingRecords, WriteProvisionedThroughputExceeded, \
             ReadProvisionedThroughputExceeded, IteratorAgeMilliseconds, ALL]]",
        )],
    );
}

#[test]
fn members_of_structures() {
    refused(
        Operation::CreateStream,
        r#"{"StreamName":"a","ShardCount":0,"StreamModeDetails":{"StreamMode":"FREE"}}"#,
        &[
            sentence("'0' ", "shardCount", "Member must have value greater than or equal to 1"),
            sentence(
                "'FREE' ",
                "streamModeDetails.streamMode",
                "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]",
            ),
        ],
    );
    refused(
        Operation::SubscribeToShard,
        r#"{"ConsumerARN":"a","ShardId":"0","StartingPosition":{}}"#,
        &[
            sentence(
                "'a' ",
                "consumerARN",
                r"Member must satisfy regular expression pattern: ^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+",
            ),
            sentence("null ", "startingPosition.type", NOT_NULL),
        ],
    );
}

#[test]
fn bodies_and_operations_that_are_not_read() {
    let check = |operation, encoding, body: &[u8], code: &str, text: &str| {
        let refusal = Request::read(operation, encoding, body).unwrap_err();
        assert_eq!((refusal.code(), &*refusal.to_string()), (code, text));
    };
    let (code, text) = ("SerializationException", "The body cannot be read.");
    check(Operation::ListStreams, Encoding::Json, b"hello", code, text);
    check(Operation::ListStreams, Encoding::Cbor, b"\xff", code, text);
    check(Operation::ListStreams, Encoding::Json, b"1", code, "Expected null");
    check(
        Operation::ListQueues,
        Encoding::Json,
        b"{}",
        "UnknownOperationException",
        "The operation ListQueues is not supported by this server.",
    );
}

/// Every operation that is here reads `{}` in both encodings without a panic, and bodies made of
/// pieces of the API's own.
#[test]
fn any_members_are_read_or_refused() {
    const VALUES: [&str; 14] = [
        "null",
        "1",
        "-1",
        "1e300",
        "\"\"",
        "\"a\"",
        "\"AAAA\"",
        "[]",
        "[null]",
        "[{}]",
        "{}",
        "[\"a\"]",
        "{\"a\":\"b\"}",
        "true",
    ];
    let mut random = fastrand::Rng::with_seed(3);
    let mut read = 0;
    for &(name, taken, _) in crate::operations::TABLES {
        let operation = Operation::of_name(name).unwrap();
        for _ in 0..500 {
            let members: Vec<String> = taken
                .iter()
                .filter_map(|member| {
                    let value = VALUES[random.usize(..VALUES.len())];
                    random.bool().then(|| format!("\"{}\":{value}", member.name))
                })
                .collect();
            let body = format!("{{{}}}", members.join(","));
            read += usize::from(Request::read(operation, Encoding::Json, body.as_bytes()).is_ok());
        }
        let _is_read = Request::read(operation, Encoding::Cbor, b"\xbf\xff").is_ok();
    }
    assert!(read > 100, "{read} requests were read");
}
