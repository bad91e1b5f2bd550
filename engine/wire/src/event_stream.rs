//! Event streams: what SubscribeToShard answers, `application/vnd.amazon.eventstream`.
//!
//! ```text
//!     total bytes: u32 | headers bytes: u32 | CRC-32 of the two       all big-endian
//!     headers                                 each: name length: u8, name, type: u8, value
//!     payload                                 a structure in the request's encoding
//!     CRC-32 of all before
//! ```
//! The first message of every answer is `initial-response`, without which botocore refuses and the
//! Go SDK waits for ever. Then come events, and perhaps one exception, which ends the stream.

mod message;

pub use message::{Header, HeaderValue, Message, NotMessage};

use crate::encoding::Encoding;
use crate::refusal::Refusal;
use crate::structure;

/// The `Content-Type` of the answer.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Appends the message with which every stream starts.
pub fn write_initial_response(encoding: Encoding, out: &mut Vec<u8>) {
    let empty = structure::encode(&crate::call::Nothing {}, encoding);
    write(&event("initial-response", encoding), &empty, out);
}

/// Appends an event whose payload `write` appends, as a
/// [`RecordsWriter`](crate::records::RecordsWriter) does: it is not copied again.
pub fn write_event(
    encoding: Encoding,
    mut out: Vec<u8>,
    write: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Vec<u8> {
    let start = message::open(&event("SubscribeToShardEvent", encoding), &mut out);
    let mut out = write(out);
    message::close(start, &mut out);
    out
}

/// Appends the exception that ends a stream.
pub fn write_exception(refusal: &Refusal, encoding: Encoding, out: &mut Vec<u8>) {
    let headers = [
        text(":exception-type", exception_type(refusal)),
        text(":content-type", encoding.content_type()),
        text(":message-type", "exception"),
    ];
    write(&headers, &refusal.encode(encoding), out);
}

fn event(kind: &'static str, encoding: Encoding) -> [Header<'static>; 3] {
    [
        text(":event-type", kind),
        text(":content-type", encoding.content_type()),
        text(":message-type", "event"),
    ]
}

fn text(name: &'static str, value: &'static str) -> Header<'static> {
    Header { name, value: HeaderValue::Text(value) }
}

fn write(headers: &[Header<'_>], payload: &[u8], out: &mut Vec<u8>) {
    Message { headers: headers.to_vec(), payload }.encode(out);
}

/// In a stream it is the name of the union's member, which for our own faults is longer.
fn exception_type(refusal: &Refusal) -> &'static str {
    match refusal.code() {
        "InternalFailure" => "InternalFailureException",
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::structure::Blob;
    use crate::structures::{Record, SubscribeToShardEvent};
    use model::ApiError;

    /// The messages in `bytes` as text: headers, then the payload.
    fn messages(mut bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        while let Some((message, used)) = Message::decode(bytes).unwrap() {
            let mut text = String::new();
            for header in &message.headers {
                let HeaderValue::Text(value) = header.value else { panic!("{header:?}") };
                text += &format!("{}={value} ", header.name);
            }
            text += &String::from_utf8_lossy(message.payload);
            found.push(text);
            bytes = &bytes[used..];
        }
        assert!(bytes.is_empty());
        found
    }

    #[test]
    fn a_stream_in_json() {
        let record = Record {
            sequence_number: "7".to_owned(),
            approximate_arrival_timestamp: Some(Timestamp(1_500)),
            data: Blob(b"abc".to_vec()),
            partition_key: Some("k".to_owned()),
            encryption_type: None,
        };
        let event = SubscribeToShardEvent {
            records: vec![record],
            continuation_sequence_number: Some("8".to_owned()),
            millis_behind_latest: 0,
            child_shards: None,
        };
        let mut out = Vec::new();
        write_initial_response(Encoding::Json, &mut out);
        let payload = structure::encode(&event, Encoding::Json);
        let mut out = write_event(Encoding::Json, out, |out| [out, payload].concat());
        write_exception(&ApiError::InternalFailure.into(), Encoding::Json, &mut out);
        let kind = ":content-type=application/x-amz-json-1.1";
        let expected = [
            format!(":event-type=initial-response {kind} :message-type=event {{}}"),
            format!(
                ":event-type=SubscribeToShardEvent {kind} :message-type=event \
                 {{\"Records\":[{{\"SequenceNumber\":\"7\",\"ApproximateArrivalTimestamp\":1.5,\
                 \"Data\":\"YWJj\",\"PartitionKey\":\"k\"}}],\"ContinuationSequenceNumber\":\"8\",\
                 \"MillisBehindLatest\":0}}",
            ),
            format!(
                ":exception-type=InternalFailureException {kind} :message-type=exception \
                 {{\"__type\":\"InternalFailure\",\"message\":\"Internal service failure.\"}}",
            ),
        ];
        assert_eq!(messages(&out), expected);
    }

    #[test]
    fn a_stream_in_cbor_starts_with_an_empty_map() {
        let mut out = Vec::new();
        write_initial_response(Encoding::Cbor, &mut out);
        let (message, _) = Message::decode(&out).unwrap().unwrap();
        assert_eq!(message.payload, [0xbf, 0xff]);
    }
}
