//! The canonical request: the one text that both sides sign.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{SignedParts, write_hex};

/// A request as it is signed.
pub(super) struct Canonical<'a> {
    pub(super) parts: &'a SignedParts<'a>,
    pub(super) signed_headers: &'a [Cow<'a, str>],
}

impl Canonical<'_> {
    pub(super) fn text(&self) -> String {
        let SignedParts { method, path, query, body, .. } = *self.parts;
        let mut text = String::with_capacity(1024);
        text.push_str(method);
        text.push('\n');
        write_path(path, &mut text);
        text.push('\n');
        write_query(query, &mut text);
        text.push('\n');
        for name in self.signed_headers {
            self.write_header(name, &mut text);
        }
        text.push('\n');
        text.push_str(&self.signed_headers.join(";"));
        text.push('\n');
        write_hex(&Sha256::digest(body).into(), &mut text);
        text
    }

    /// Values of one name are joined by commas, runs of spaces become one.
    fn write_header(&self, name: &str, text: &mut String) {
        text.push_str(name);
        let mut separator = ':';
        for (other, value) in self.parts.headers {
            if other.eq_ignore_ascii_case(name) {
                text.push(separator);
                for (index, word) in value.split_ascii_whitespace().enumerate() {
                    if index > 0 {
                        text.push(' ');
                    }
                    text.push_str(word);
                }
                separator = ',';
            }
        }
        if separator == ':' {
            // A header that is not there: the signature cannot be right.
            text.push(':');
        }
        text.push('\n');
    }
}

/// Without dots and doubled slashes, and escaped once more than it came.
fn write_path(path: &str, text: &mut String) {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        text.push('/');
        write_escaped(segment.as_bytes(), text);
    }
    if segments.is_empty() || path.ends_with('/') {
        text.push('/');
    }
}

/// Sorted by name, then value, both escaped; without the signature itself.
fn write_query(query: &str, text: &mut String) {
    let mut pairs: Vec<(String, String)> = pairs(query)
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (escaped(&name), escaped(&value)))
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
}

/// The names and values of a query, unescaped.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescaped(name), unescaped(value))
    })
}

/// What is no escape stays as it is; what is no UTF-8 becomes something else, and is not signed
/// rightly by anybody.
fn unescaped(text: &str) -> String {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = digit(after.first()).zip(digit(after.get(1))).filter(|_| *first == b'%');
        if let Some((high, low)) = escape {
            bytes.push(u8::try_from(high << 4 | low).expect("two digits make a byte"));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    write_escaped(text.as_bytes(), &mut out);
    out
}

fn write_escaped(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
    }
}
