//! What the head of a request says before its body is looked at: which operation, in which encoding.
//!
//! The order of refusals, their statuses and bodies are AWS's as kinesalite 3.3.3's tests recorded
//! them, with one choice of ours: `application/json` is taken for JSON 1.1, as newer servers do.

use crate::encoding::Encoding;
use crate::operation::{Operation, TARGET_PREFIX};
use crate::refusal::Refusal;

/// Largest body that whoever reads sockets should take, bytes: a PutRecords of 10 MiB is 13.4 MiB of
/// base64 and some text around it. What is longer is [`BadHead::TooLarge`] before it is read.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// The parts of a request's head that count.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// As `POST`.
    pub method: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `X-Amz-Target`.
    pub target: Option<&'a str>,
    /// Whether nothing follows.
    pub is_body_empty: bool,
}

/// Why a head leads to no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// In the encoding that the client understands, or may.
    Refused(Encoding, Refusal),
    /// Nothing says what is wanted: XML and no `Content-Type`.
    Undetermined,
    /// A `Content-Type` of no encoding: XML and no `Content-Type`.
    UnknownContentType,
    /// A body past [`BODY_BYTES_MAX`], which the caller has to see: nothing and no `Content-Type`.
    TooLarge,
}

impl BadHead {
    /// Status, `Content-Type` and body of the HTTP answer.
    #[must_use]
    pub fn answer(&self) -> (u16, Option<&'static str>, Vec<u8>) {
        match self {
            Self::Refused(encoding, refusal) => {
                (refusal.http_status(), Some(encoding.content_type()), refusal.encode(*encoding))
            }
            Self::Undetermined => (403, None, UNDETERMINED.to_vec()),
            Self::UnknownContentType => (404, None, b"<UnknownOperationException/>\n".to_vec()),
            Self::TooLarge => (413, None, Vec::new()),
        }
    }
}

const UNDETERMINED: &[u8] =
    b"<AccessDeniedException>\n  <Message>Unable to determine service/operation \
    name to be authorized</Message>\n</AccessDeniedException>\n";

impl Head<'_> {
    /// Which operation is asked for, and how its body is encoded. An operation that is unknown is
    /// `Err` in second place: the body must be readable before that is said.
    ///
    /// # Errors
    /// Where that much cannot be told.
    pub fn read(self) -> Result<(Encoding, Result<Operation, Refusal>), BadHead> {
        if self.method != "POST" {
            return Err(BadHead::Undetermined);
        }
        let target = self.target.unwrap_or_default();
        let operation = Operation::of_target(target);
        let encoding = self.content_type.and_then(Encoding::of_content_type);
        if self.is_body_empty {
            // AWS answers in CBOR what it does not take for JSON 1.1.
            let encoding = encoding.unwrap_or(Encoding::Cbor);
            let refusal =
                if operation.is_some() { Refusal::NotReadable } else { Refusal::UnknownOperation };
            return Err(BadHead::Refused(encoding, refusal));
        }
        match encoding {
            Some(encoding) => Ok((encoding, operation.ok_or(Refusal::UnknownOperation))),
            None if target
                .split_once('.')
                .is_some_and(|(service, name)| service == TARGET_PREFIX && !name.is_empty()) =>
            {
                Err(BadHead::UnknownContentType)
            }
            None => Err(BadHead::Undetermined),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/x-amz-json-1.1");
    const LIST: Option<&str> = Some("Kinesis_20131202.ListStreams");

    #[test]
    fn heads_that_lead_somewhere() {
        let check = |content_type, target, expected| {
            let head = Head { method: "POST", content_type, target, is_body_empty: false };
            assert_eq!(head.read(), Ok(expected));
        };
        check(JSON, LIST, (Encoding::Json, Ok(Operation::ListStreams)));
        check(
            Some("application/x-amz-cbor-1.1"),
            LIST,
            (Encoding::Cbor, Ok(Operation::ListStreams)),
        );
        check(Some("application/json"), LIST, (Encoding::Json, Ok(Operation::ListStreams)));
        check(JSON, None, (Encoding::Json, Err(Refusal::UnknownOperation)));
        check(JSON, Some("Whatever.ListStreams"), (Encoding::Json, Err(Refusal::UnknownOperation)));
    }

    #[test]
    fn heads_that_do_not() {
        let check = |method, content_type, target, is_body_empty, status, kind, body: &str| {
            let bad = Head { method, content_type, target, is_body_empty }.read().unwrap_err();
            let (found_status, found_kind, found_body) = bad.answer();
            assert_eq!((found_status, found_kind), (status, kind));
            assert_eq!(String::from_utf8_lossy(&found_body), body);
        };
        let xml = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to \
                   be authorized</Message>\n</AccessDeniedException>\n";
        check("GET", JSON, LIST, true, 403, None, xml);
        check("PUT", JSON, LIST, false, 403, None, xml);
        check("POST", None, None, false, 403, None, xml);
        check("POST", None, Some("Whatever"), false, 403, None, xml);
        let unknown = "<UnknownOperationException/>\n";
        check("POST", Some("text/plain"), LIST, false, 404, None, unknown);
        check("POST", JSON, LIST, true, 400, JSON, r#"{"__type":"SerializationException"}"#);
        check("POST", JSON, None, true, 400, JSON, r#"{"__type":"UnknownOperationException"}"#);
        assert_eq!(BadHead::TooLarge.answer(), (413, None, Vec::new()));
        let cbor = Some("application/x-amz-cbor-1.1");
        let (_, _, body) = BadHead::Refused(Encoding::Cbor, Refusal::NotReadable).answer();
        let body = String::from_utf8_lossy(&body).into_owned();
        check("POST", None, LIST, true, 400, cbor, &body);
    }
}
