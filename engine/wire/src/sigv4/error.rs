//! Why a request's signature is refused.

use std::fmt;

use super::time::{SignatureTime, TimeText};

/// What is wrong with a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// There is none.
    Missing,
    /// There are two.
    BothPlaces,
    /// The header lacks parts.
    IncompleteHeader {
        /// Names of the parts.
        missing: Vec<&'static str>,
        /// Whether there is no date either.
        has_date: bool,
        /// As it came.
        header: Box<str>,
    },
    /// The query lacks parts.
    IncompleteQuery {
        /// Names of the parts.
        missing: Vec<&'static str>,
    },
    /// Another algorithm.
    Algorithm {
        /// As it came.
        algorithm: Box<str>,
    },
    /// A credential of other than five parts.
    Credential {
        /// As it came.
        credential: Box<str>,
    },
    /// A scope that does not end as it must.
    Terminator {
        /// As it came.
        terminator: Box<str>,
    },
    /// A time that is none.
    Date {
        /// As it came.
        date: Box<str>,
    },
    /// An `X-Amz-Expires` that is no number, or more than a week.
    Expires {
        /// As it came.
        expires: Box<str>,
    },
    /// Nobody has such an access key.
    UnrecognizedClient,
    /// A scope of another service.
    OtherService {
        /// As it came.
        service: Box<str>,
    },
    /// A scope of another day than the request's.
    OtherDate {
        /// As it came.
        date: Box<str>,
        /// When the request was signed.
        time: TimeText,
    },
    /// The host is not signed.
    HostNotSigned,
    /// Signed too long ago. Unix seconds.
    Expired {
        /// When.
        signed_s: u64,
        /// The oldest that is taken.
        oldest_s: u64,
        /// Our time.
        now_s: u64,
    },
    /// Signed in the future. Unix seconds.
    NotYetCurrent {
        /// When.
        signed_s: u64,
        /// The newest that is taken.
        newest_s: u64,
        /// Our time.
        now_s: u64,
    },
    /// Another secret, or another request.
    Mismatch,
}

impl SignatureError {
    /// The exception's name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::IncompleteHeader { .. }
            | Self::IncompleteQuery { .. }
            | Self::Algorithm { .. }
            | Self::Credential { .. }
            | Self::Date { .. }
            | Self::Expires { .. } => "IncompleteSignatureException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::BothPlaces
            | Self::Terminator { .. }
            | Self::OtherService { .. }
            | Self::OtherDate { .. }
            | Self::HostNotSigned
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing Authentication Token"),
            Self::BothPlaces => f.write_str(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP \
                 header.",
            ),
            Self::IncompleteHeader { missing, has_date, header } => {
                write_incomplete_header(missing, *has_date, header, f)
            }
            Self::IncompleteQuery { missing } => write_incomplete_query(missing, f),
            Self::Algorithm { algorithm } => {
                write!(f, "Unsupported AWS 'algorithm': '{algorithm}'.")
            }
            Self::Credential { credential } => write!(
                f,
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'",
            ),
            Self::Terminator { terminator } => write!(
                f,
                "Credential should be scoped with a valid terminator: 'aws4_request', not \
                 '{terminator}'.",
            ),
            Self::Date { date } => write!(
                f,
                "Date must be in ISO-8601 'basic format'. Got '{date}'. See \
                 http://en.wikipedia.org/wiki/ISO_8601",
            ),
            Self::Expires { expires } => {
                write!(f, "X-Amz-Expires must be a number between 0 and 604800. Got '{expires}'.",)
            }
            Self::UnrecognizedClient => {
                f.write_str("The security token included in the request is invalid.")
            }
            Self::OtherService { service } => write!(
                f,
                "Credential should be scoped to correct service: 'kinesis', not '{service}'.",
            ),
            Self::OtherDate { date, time } => write!(
                f,
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{date}' != '{}', from '{time}'.",
                time.date(),
            ),
            Self::HostNotSigned => f.write_str(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
            ),
            Self::Expired { signed_s, oldest_s, now_s } => {
                let minutes = (now_s - oldest_s) / 60;
                let [signed, oldest, now] = [*signed_s, *oldest_s, *now_s].map(text);
                write!(
                    f,
                    "Signature expired: {signed} is now earlier than {oldest} ({now} - {minutes} min.)",
                )
            }
            Self::NotYetCurrent { signed_s, newest_s, now_s } => {
                let [signed, newest, now] = [*signed_s, *newest_s, *now_s].map(text);
                write!(
                    f,
                    "Signature not yet current: {signed} is still later than {newest} ({now} + 5 min.)",
                )
            }
            Self::Mismatch => f.write_str(
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details.",
            ),
        }
    }
}

fn write_incomplete_header(
    missing: &[&str],
    has_date: bool,
    header: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for name in missing {
        write!(f, "Authorization header requires '{name}' parameter. ")?;
    }
    if !has_date {
        f.write_str(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
        )?;
    }
    write!(f, "Authorization={header}")
}

fn write_incomplete_query(missing: &[&str], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for name in missing {
        write!(f, "AWS query-string parameters must include '{name}'. ")?;
    }
    f.write_str("Re-examine the query-string parameters.")
}

fn text(unix_s: u64) -> TimeText {
    SignatureTime::of_unix_s(unix_s).text()
}

impl std::error::Error for SignatureError {}
