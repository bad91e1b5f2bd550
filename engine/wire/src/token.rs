//! Tokens that clients hold for us: sealed with a key, so that nobody else can make one.
//!
//! ```text
//!     0 0 0 0 0 0 0 1 | kind: u8 | content | zeros up to a block | HMAC-SHA-256: 32
//! ```
//! as base64. After the first eight bytes come blocks of 16, nine at least: this is what is known of
//! the shape of AWS's shard iterators (recorded by kinesalite 3.3.3), and some tests of others check
//! it. The content can be read by whoever decodes it; it holds nothing that its client does not
//! know. The time is the caller's to give, and so is the key: with the same key a token outlives its
//! server.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What every token starts with.
const PREFIX: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const BLOCK_BYTES: usize = 16;
const SEAL_BYTES: usize = 32;
/// Blocks of the shortest token.
const BLOCKS_MIN: usize = 9;

/// The key that seals a server's tokens.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("HMAC takes a key of any length"))
    }

    /// Makes a token.
    pub(crate) fn seal(&self, kind: Kind, content: &[u8]) -> String {
        let bytes = (1 + content.len()).next_multiple_of(BLOCK_BYTES);
        let bytes = PREFIX.len() + bytes.max(BLOCKS_MIN * BLOCK_BYTES - SEAL_BYTES);
        let mut token = Vec::with_capacity(bytes + SEAL_BYTES);
        token.extend_from_slice(&PREFIX);
        token.push(kind as u8);
        token.extend_from_slice(content);
        token.resize(bytes, 0);
        let seal = self.0.clone().chain_update(&token).finalize().into_bytes();
        token.extend_from_slice(&seal);
        base64_simd::STANDARD.encode_to_string(token)
    }

    /// The content of a token that this key has sealed, with the zeros behind it. `None` where it
    /// has not.
    pub(crate) fn open(&self, kind: Kind, text: &str) -> Option<Vec<u8>> {
        let mut token = base64_simd::STANDARD.decode_to_vec(text).ok()?;
        let (sealed, seal) = token.split_last_chunk::<SEAL_BYTES>()?;
        // In constant time, as the crate does it.
        self.0.clone().chain_update(sealed).verify_slice(seal).ok()?;
        let content = sealed.strip_prefix(&PREFIX)?.strip_prefix(&[kind as u8])?;
        let (start, end) = (sealed.len() - content.len(), sealed.len());
        token.truncate(end);
        Some(token.split_off(start))
    }
}

/// A key is a secret, and must not end in a log.
impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// What a token is for: one cannot be used as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ShardIterator = 1,
    NextToken = 2,
}

/// Reads a token's content from front to back.
pub(crate) struct Content<'a>(pub(crate) &'a [u8]);

impl<'a> Content<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// A text with its length in one byte before it.
    pub(crate) fn take_text(&mut self) -> Option<&'a str> {
        let [bytes] = self.take()?;
        let (text, rest) = self.0.split_at_checked(usize::from(bytes))?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }
}

/// A text with its length in one byte before it.
pub(crate) fn push_text(text: &str, content: &mut Vec<u8>) {
    content.push(u8::try_from(text.len()).expect("names in tokens are short"));
    content.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind::ShardIterator;

    #[test]
    fn tokens_of_every_length_have_the_shape_of_awss() {
        let key = TokenKey::new(&[7; 32]);
        for count in 0..300 {
            let content = vec![0xa5; count];
            let token = key.seal(KIND, &content);
            let bytes = base64_simd::STANDARD.decode_to_vec(&token).unwrap();
            assert_eq!(bytes[..8], PREFIX);
            assert!(bytes.len() >= 152);
            assert_eq!((bytes.len() - 152) % 16, 0);
            let opened = key.open(KIND, &token).unwrap();
            assert_eq!(opened[..count], content);
            assert!(opened[count..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn tokens_of_others_do_not_open() {
        let key = TokenKey::new(&[7; 32]);
        let token = key.seal(KIND, b"content");
        assert!(key.open(KIND, &token).is_some());
        assert_eq!(key.open(Kind::NextToken, &token), None);
        assert_eq!(TokenKey::new(&[8; 32]).open(KIND, &token), None);
        assert_eq!(key.open(KIND, ""), None);
        assert_eq!(key.open(KIND, "AAAAAAAAAAE="), None);
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.open(KIND, &changed), None, "{position}");
        }
    }
}
