//! Event streams: a message that is read has written itself so.

use wire::Encoding;
use wire::event_stream::{Message, write_event, write_exception, write_initial_response};

pub(super) fn feed(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some((message, used))) = Message::decode(rest) {
        let mut written = Vec::new();
        message.encode(&mut written);
        assert_eq!(written, rest[..used]);
        rest = &rest[used..];
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut stream = Vec::new();
    write_initial_response(Encoding::Json, &mut stream);
    let event = |mut out: Vec<u8>| {
        out.extend_from_slice(b"{}");
        out
    };
    let mut stream = write_event(Encoding::Cbor, stream, event);
    write_exception(&model::ApiError::InternalFailure.into(), Encoding::Json, &mut stream);
    vec![stream]
}
