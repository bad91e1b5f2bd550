//! Pagination tokens: where a list goes on.
//!
//! What the place is, is the server's to say: it gives a few bytes and gets them back.

use model::ApiError;
use model::api_error::InvalidArgument;
use model::limits::SHARD_ITERATOR_LIFE;

use crate::operation::Operation;
use crate::token::{Content, Kind, TokenKey, push_text};

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextToken {
    /// Which list.
    pub operation: Operation,
    /// Where, in the server's words.
    pub place: Vec<u8>,
    /// When it was given out, Unix ms.
    pub created_ms: u64,
}

impl NextToken {
    /// The text that a client gets.
    #[must_use]
    pub fn seal(&self, key: &TokenKey) -> String {
        let mut content = Vec::with_capacity(256);
        content.extend_from_slice(&self.created_ms.to_be_bytes());
        push_text(self.operation.name(), &mut content);
        let bytes = u32::try_from(self.place.len()).expect("a place is short");
        content.extend_from_slice(&bytes.to_be_bytes());
        content.extend_from_slice(&self.place);
        key.seal(Kind::NextToken, &content)
    }

    /// Reads what a client gives for this operation.
    ///
    /// # Errors
    /// `InvalidArgumentException` for what this key has not sealed for it,
    /// `ExpiredNextTokenException` past five minutes (API reference, ListShards: 300 seconds).
    pub fn open(
        text: &str,
        operation: Operation,
        key: &TokenKey,
        now_ms: u64,
    ) -> Result<Self, ApiError> {
        let content = key.open(Kind::NextToken, text);
        let token = content.as_deref().and_then(Self::read);
        let token = token.filter(|token| token.operation == operation);
        let token = token.ok_or(ApiError::InvalidArgument(InvalidArgument::NextToken))?;
        if u128::from(now_ms.saturating_sub(token.created_ms)) > SHARD_ITERATOR_LIFE.as_millis() {
            return Err(ApiError::ExpiredNextToken);
        }
        Ok(token)
    }

    fn read(content: &[u8]) -> Option<Self> {
        let mut content = Content(content);
        let created_ms = u64::from_be_bytes(content.take()?);
        let operation = Operation::of_name(content.take_text()?)?;
        let bytes = usize::try_from(u32::from_be_bytes(content.take()?)).ok()?;
        let place = content.0.get(..bytes)?.to_vec();
        Some(Self { operation, place, created_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_for_one_list_and_five_minutes() {
        let key = TokenKey::new(&[7; 32]);
        let operation = Operation::ListShards;
        for place in [vec![], vec![0; 5], vec![0xff; 400]] {
            let token = NextToken { operation, place, created_ms: 1_000_000 };
            let text = token.seal(&key);
            let check = |operation, now_ms, expected: Result<&NextToken, &str>| {
                let found = NextToken::open(&text, operation, &key, now_ms);
                let found = found.as_ref().map_err(ToString::to_string);
                assert_eq!(found, expected.map_err(str::to_owned));
            };
            check(operation, 1_300_000, Ok(&token));
            let expired = "The pagination token passed to the operation is expired.";
            check(operation, 1_300_001, Err(expired));
            check(Operation::ListStreams, 1_000_000, Err("Invalid NextToken."));
        }
        assert!(NextToken::open("a", operation, &key, 0).is_err());
        let nonsense = key.seal(Kind::NextToken, &[0xff; 50]);
        assert!(NextToken::open(&nonsense, operation, &key, 0).is_err());
    }
}
