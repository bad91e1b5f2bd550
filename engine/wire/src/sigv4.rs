//! AWS's Signature Version 4: who signs a request, whether the signature is right, and signing.
//!
//! A request is signed in its `Authorization` header or in its query, never in both. The region of
//! the credential scope says which region's streams are meant, so it is read even where nobody
//! verifies. The clock comes in as an argument; keys of signatures are the caller's to keep, for
//! deriving one costs four hashes and it is good for a day.
//!
//! ```text
//!     canonical request   method, path, query, signed headers, their names, hash of the body
//!     string to sign      algorithm, time, scope, hash of the canonical request
//!     signature           HMAC(key of secret, day, region and service; string to sign)
//! ```
//! Texts of refusals: kinesalite 3.3.3's tests, AWS's "Troubleshoot signed requests", and answers
//! quoted in public threads.

mod canonical;
mod error;
mod read;
mod time;

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub use error::SignatureError;
pub use time::{SignatureTime, TimeText};

use canonical::Canonical;

/// The only service that is served.
pub const SERVICE: &str = "kinesis";
/// The only algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far clocks may be apart, seconds. Source: AWS's texts ("- 5 min.").
pub const SKEW_S_MAX: u64 = 300;

const TERMINATOR: &str = "aws4_request";

/// What of a request is signed.
#[derive(Clone, Copy, Debug)]
pub struct SignedParts<'a> {
    /// As `POST`.
    pub method: &'a str,
    /// As it came, escapes and all.
    pub path: &'a str,
    /// As it came, without the question mark.
    pub query: &'a str,
    /// Names of either case; `host` among them, which HTTP/2 calls `:authority`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The whole body.
    pub body: &'a [u8],
}

impl<'a> SignedParts<'a> {
    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, text)| *text)
    }
}

/// What a key of signatures is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope<'a> {
    /// As `20150830`.
    pub date: Cow<'a, str>,
    /// As `us-east-1`.
    pub region: Cow<'a, str>,
    /// As `kinesis`.
    pub service: Cow<'a, str>,
}

/// A key of signatures.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// From a secret key.
    #[must_use]
    pub fn derive(secret: &str, scope: &Scope<'_>) -> Self {
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), scope.date.as_bytes());
        for part in [&*scope.region, &*scope.service, TERMINATOR] {
            key = hmac(&key, part.as_bytes());
        }
        Self(key)
    }
}

/// A key is a secret, and must not end in a log.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Who signs a request, and how.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    /// The access key's id.
    pub access_key: Cow<'a, str>,
    /// What the signature is good for.
    pub scope: Scope<'a>,
    /// When it was signed.
    pub time: SignatureTime,
    /// How long a signature in the query holds, seconds.
    pub expires_s: Option<u64>,
    /// Names in small letters.
    signed_headers: Vec<Cow<'a, str>>,
    /// As it came.
    signature: Cow<'a, str>,
}

impl Authorization<'_> {
    /// Whether the signature is right. Unix time in seconds.
    ///
    /// # Errors
    /// `InvalidSignatureException`.
    pub fn verify(
        &self,
        parts: &SignedParts<'_>,
        key: &SigningKey,
        now_s: u64,
    ) -> Result<(), SignatureError> {
        self.check_scope()?;
        self.check_time(now_s)?;
        let names = || self.signed_headers.iter().map(|name| &**name);
        if !names().any(|name| name == "host") {
            return Err(SignatureError::HostNotSigned);
        }
        let canonical = Canonical { parts, signed_headers: &self.signed_headers };
        let signed = string_to_sign(&canonical, self.time, &self.scope);
        let given = read_hex(&self.signature).ok_or(SignatureError::Mismatch)?;
        // In constant time, as the crate does it.
        let mut mac = mac(&key.0);
        mac.update(signed.as_bytes());
        mac.verify_slice(&given).map_err(|_| SignatureError::Mismatch)
    }

    fn check_scope(&self) -> Result<(), SignatureError> {
        let Scope { date, service, .. } = &self.scope;
        if service != SERVICE {
            return Err(SignatureError::OtherService { service: (&**service).into() });
        }
        let time = self.time.text();
        if time.date() != date {
            return Err(SignatureError::OtherDate { date: (&**date).into(), time });
        }
        Ok(())
    }

    fn check_time(&self, now_s: u64) -> Result<(), SignatureError> {
        let signed_s = self.time.unix_s();
        let life_s = self.expires_s.unwrap_or(SKEW_S_MAX);
        let oldest_s = now_s.saturating_sub(life_s);
        if signed_s < oldest_s {
            return Err(SignatureError::Expired { signed_s, oldest_s, now_s });
        }
        let newest_s = now_s + SKEW_S_MAX;
        if signed_s > newest_s {
            return Err(SignatureError::NotYetCurrent { signed_s, newest_s, now_s });
        }
        Ok(())
    }
}

/// Signs a request for its `Authorization` header, whose text it gives. The headers must hold
/// `host` and an `x-amz-date` of this time; `signed_headers` are names in small letters, sorted.
#[must_use]
pub fn sign(
    parts: &SignedParts<'_>,
    signed_headers: &[&str],
    access_key: &str,
    scope: &Scope<'_>,
    key: &SigningKey,
    time: SignatureTime,
) -> String {
    assert!(signed_headers.is_sorted(), "the canonical request has its headers sorted");
    let names: Vec<Cow<'_, str>> = signed_headers.iter().map(|&name| name.into()).collect();
    let canonical = Canonical { parts, signed_headers: &names };
    let signature = hmac(&key.0, string_to_sign(&canonical, time, scope).as_bytes());
    let Scope { date, region, service } = scope;
    let mut text = format!(
        "{ALGORITHM} Credential={access_key}/{date}/{region}/{service}/{TERMINATOR}, \
         SignedHeaders={}, Signature=",
        signed_headers.join(";"),
    );
    write_hex(&signature, &mut text);
    text
}

fn string_to_sign(canonical: &Canonical<'_>, time: SignatureTime, scope: &Scope<'_>) -> String {
    let Scope { date, region, service } = scope;
    let time = time.text();
    let mut text = format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/{TERMINATOR}\n");
    write_hex(&Sha256::digest(canonical.text().as_bytes()).into(), &mut text);
    text
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = mac(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn write_hex(bytes: &[u8; 32], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
}

/// 64 small hexadecimal digits, as AWS takes them.
fn read_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
