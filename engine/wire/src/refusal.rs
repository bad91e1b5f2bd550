//! Why a request is not answered as asked, and how that is said.
//!
//! What the API's model knows is [`ApiError`]; here are the errors that come before an operation is
//! known, and the bytes of all of them. An error has its request's encoding: `__type` and `message`;
//! `SerializationException` spells the latter `Message`, and some come without (recorded by
//! kinesalite 3.3.3's tests against AWS).

use std::fmt;

use model::ApiError;

use crate::encoding::{Encoder, Encoding};
use crate::operation::Operation;
use crate::sigv4::SignatureError;
use crate::typed::TypeError;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body is empty, or not of its encoding.
    NotReadable,
    /// The target names no operation.
    UnknownOperation,
    /// The operation is one that Gyre does not have yet.
    NotYet(Operation),
    /// The request is not signed as it should be.
    Signature(SignatureError),
    /// A member is of another type.
    Type(TypeError),
    /// The operation refuses.
    Api(ApiError),
}

impl Refusal {
    /// The exception's name, as in `__type`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotReadable | Self::Type(_) => "SerializationException",
            Self::UnknownOperation | Self::NotYet(_) => "UnknownOperationException",
            Self::Signature(error) => error.code(),
            Self::Api(error) => error.code(),
        }
    }

    /// The status of the HTTP answer.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        if let Self::Api(error) = self { error.http_status() } else { 400 }
    }

    /// The body of the HTTP answer.
    #[must_use]
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let mut encoder = Encoder::new(encoding, Vec::new());
        encoder.open_structure();
        encoder.member("__type");
        encoder.text(self.code());
        if let Some(name) = self.message_name() {
            encoder.member(name);
            encoder.text(&self.to_string());
        }
        encoder.close_structure();
        encoder.into_bytes()
    }

    fn message_name(&self) -> Option<&'static str> {
        match self {
            Self::NotReadable | Self::UnknownOperation => None,
            Self::Type(_) => Some("Message"),
            Self::NotYet(_) | Self::Signature(_) | Self::Api(_) => Some("message"),
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}

/// The text; of the first two AWS says none, and it is not sent.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReadable => f.write_str("The body cannot be read."),
            Self::UnknownOperation => f.write_str("There is no such operation."),
            Self::NotYet(operation) => {
                write!(f, "The operation {} is not supported by this server.", operation.name())
            }
            Self::Signature(error) => error.fmt(f),
            Self::Type(error) => error.fmt(f),
            Self::Api(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: &Refusal, status: u16, json: &str) {
        assert_eq!(refusal.http_status(), status);
        assert_eq!(String::from_utf8(refusal.encode(Encoding::Json)).unwrap(), json);
    }

    #[test]
    fn errors_in_json() {
        check(&Refusal::NotReadable, 400, r#"{"__type":"SerializationException"}"#);
        check(&Refusal::UnknownOperation, 400, r#"{"__type":"UnknownOperationException"}"#);
        check(
            &Refusal::Type(TypeError::NotList),
            400,
            r#"{"__type":"SerializationException","Message":"Expected list or null"}"#,
        );
        check(
            &Refusal::NotYet(Operation::CreateQueue),
            400,
            r#"{"__type":"UnknownOperationException","message":"The operation CreateQueue is not supported by this server."}"#,
        );
        check(
            &SignatureError::Missing.into(),
            400,
            r#"{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}"#,
        );
        check(
            &ApiError::InternalFailure.into(),
            500,
            r#"{"__type":"InternalFailure","message":"Internal service failure."}"#,
        );
    }

    #[test]
    fn errors_in_cbor() {
        let found = Refusal::from(ApiError::AccessDenied).encode(Encoding::Cbor);
        let text = ApiError::AccessDenied.to_string();
        let head = [0x78, u8::try_from(text.len()).unwrap()];
        let expected = [
            &b"\xbf\x66__type\x75AccessDeniedException\x67message"[..],
            &head,
            text.as_bytes(),
            b"\xff",
        ];
        assert_eq!(found, expected.concat());
    }
}
