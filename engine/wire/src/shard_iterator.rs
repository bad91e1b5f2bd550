//! Shard iterators: a place in a shard that a client holds for five minutes.
//!
//! The server keeps nothing of them. They survive its restart where it keeps its key.

use model::api_error::InvalidArgument;
use model::limits::{SHARD_ITERATOR_CHARACTERS_MAX, SHARD_ITERATOR_LIFE};
use model::{AccountId, ApiError, RecordIndex, Region, ShardIndex, StreamName};

use crate::token::{Content, Kind, TokenKey, push_text};

/// A place in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIterator {
    /// Whose stream it is.
    pub account: AccountId,
    /// In which region.
    pub region: Region,
    /// Its name, for refusals when it is gone.
    pub stream: StreamName,
    /// Which of the streams that have had this name, by the server's count.
    pub stream_number: u64,
    /// The shard.
    pub shard: ShardIndex,
    /// The next record.
    pub index: RecordIndex,
    /// When it was given out, Unix ms.
    pub created_ms: u64,
}

impl ShardIterator {
    /// The text that a client gets.
    #[must_use]
    pub fn seal(&self, key: &TokenKey) -> String {
        let mut content = Vec::with_capacity(256);
        content.extend_from_slice(&self.created_ms.to_be_bytes());
        content.extend_from_slice(&self.stream_number.to_be_bytes());
        content.extend_from_slice(&self.index.get().to_be_bytes());
        content.extend_from_slice(&self.shard.get().to_be_bytes());
        content.extend_from_slice(self.account.as_str().as_bytes());
        push_text(self.region.as_str(), &mut content);
        push_text(self.stream.as_str(), &mut content);
        let text = key.seal(Kind::ShardIterator, &content);
        assert!(text.len() <= SHARD_ITERATOR_CHARACTERS_MAX, "names are short");
        text
    }

    /// Reads what a client gives. It may have put it in quotes, as users of the AWS CLI do.
    ///
    /// # Errors
    /// `InvalidArgumentException` for what this key has not sealed, `ExpiredIteratorException` past
    /// five minutes. A clock that was set back makes an iterator young again, never old.
    pub fn open(text: &str, key: &TokenKey, now_ms: u64) -> Result<Self, ApiError> {
        let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let content = key.open(Kind::ShardIterator, unquoted.unwrap_or(text));
        let iterator = content.as_deref().and_then(Self::read);
        let invalid = || ApiError::InvalidArgument(InvalidArgument::ShardIterator);
        let iterator = iterator.ok_or_else(invalid)?;
        let created_ms = iterator.created_ms;
        if u128::from(now_ms.saturating_sub(created_ms)) > SHARD_ITERATOR_LIFE.as_millis() {
            return Err(ApiError::ExpiredIterator { created_ms, now_ms });
        }
        Ok(iterator)
    }

    /// `None` where the content is another version's: the seal holds, but not our reading.
    fn read(content: &[u8]) -> Option<Self> {
        let mut content = Content(content);
        let created_ms = u64::from_be_bytes(content.take()?);
        let stream_number = u64::from_be_bytes(content.take()?);
        let index = u64::from_be_bytes(content.take()?);
        let shard = u32::from_be_bytes(content.take()?);
        let account = AccountId::new(str::from_utf8(&content.take::<12>()?).ok()?)?;
        let region = Region::new(content.take_text()?)?;
        let stream = StreamName::new(content.take_text()?).ok()?;
        if index > RecordIndex::MAX.get() || shard > ShardIndex::MAX.get() {
            return None;
        }
        let (shard, index) = (ShardIndex::new(shard), RecordIndex::new(index));
        Some(Self { account, region, stream, stream_number, shard, index, created_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_583_283_760_123;

    fn key() -> TokenKey {
        TokenKey::new(&[7; 32])
    }

    fn iterator(region: &str, stream: &str) -> ShardIterator {
        ShardIterator {
            account: AccountId::DEFAULT,
            region: Region::new(region).unwrap(),
            stream: StreamName::new(stream).unwrap(),
            stream_number: u64::MAX,
            shard: ShardIndex::MAX,
            index: RecordIndex::MAX,
            created_ms: NOW_MS,
        }
    }

    #[test]
    fn what_is_sealed_opens() {
        let check = |region: &str, stream: &str, characters: usize| {
            let iterator = iterator(region, stream);
            let text = iterator.seal(&key());
            assert_eq!(text.len(), characters);
            assert_eq!(ShardIterator::open(&text, &key(), NOW_MS), Ok(iterator.clone()));
            let quoted = format!("\"{text}\"");
            assert_eq!(ShardIterator::open(&quoted, &key(), NOW_MS), Ok(iterator));
        };
        check("us-east-1", "a", 204);
        check("us-east-1", &"a".repeat(60), 204);
        check("us-east-1", &"a".repeat(61), 224);
        check(&"a".repeat(64), &"a".repeat(128), 376);
    }

    #[test]
    fn iterators_live_five_minutes() {
        let text = iterator("us-east-1", "orders").seal(&key());
        let open = |now_ms| ShardIterator::open(&text, &key(), now_ms).map_err(|e| e.to_string());
        assert!(open(NOW_MS + 300_000).is_ok());
        assert!(open(NOW_MS - 1).is_ok());
        assert!(open(0).is_ok());
        let expired = "Iterator expired. The iterator was created at time Wed Mar 04 01:02:40 UTC \
                       2020 while right now it is Wed Mar 04 01:07:40 UTC 2020 which is further in \
                       the future than the tolerated delay of 300000 milliseconds.";
        assert_eq!(open(NOW_MS + 300_001), Err(expired.to_owned()));
    }

    #[test]
    fn what_is_not_ours_is_invalid() {
        let check = |text: &str| {
            let error = ShardIterator::open(text, &key(), NOW_MS).unwrap_err();
            assert_eq!(error.to_string(), "Invalid ShardIterator.");
        };
        let text = iterator("us-east-1", "orders").seal(&key());
        check("");
        check("\"");
        check("orders");
        check(&text[..text.len() - 4]);
        check(&format!("\"{text}"));
        check(&format!("{text} "));
        check(&iterator("us-east-1", "orders").seal(&TokenKey::new(&[8; 32])));
        // Sealed by us, but of a content that makes no sense.
        check(&key().seal(Kind::ShardIterator, &[0xff; 100]));
        check(&key().seal(Kind::ShardIterator, &[]));
        check(&key().seal(Kind::NextToken, &[0; 100]));
    }
}
