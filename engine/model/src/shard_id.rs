//! A shard's index within its stream, and the text that stands for it in the API.
//!
//! Indices are given in the order of creation and never again; which shards exist is for
//! [`ShardMap`](crate::ShardMap) to know.

use std::fmt;

/// Ordinal of a shard among all that its stream ever had: 0 to 2^31 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(u32);

/// A text that names no shard: Kinesis answers `ResourceNotFoundException`, "Could not find shard".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedShardId;

impl ShardIndex {
    /// The last index that Kinesis takes (recorded by kinesalite 3.3.3: 2147483647 is unknown,
    /// 2147483648 is no shard).
    pub const MAX: Self = Self(i32::MAX.cast_unsigned());

    /// Panics past [`ShardIndex::MAX`]; what comes from outside goes through [`ShardIndex::parse`].
    #[must_use]
    pub const fn new(index: u32) -> Self {
        assert!(index <= Self::MAX.0, "a shard index has 31 bits");
        Self(index)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Reads a shard id as AWS does: what counts is the digits after the first hyphen (up to a
    /// second one), or the whole text where there are none, so that `shardId-000000000007`,
    /// `shard-7`, `-7` and `7` are one shard.
    ///
    /// # Errors
    /// Where these are not digits alone, or stand for more than 2^31 - 1.
    pub fn parse(text: &str) -> Result<Self, MalformedShardId> {
        let digits = match text.split('-').nth(1) {
            None | Some("") => text,
            Some(digits) => digits,
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MalformedShardId);
        }
        let mut index = 0_u32;
        for digit in digits.bytes() {
            index = index
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(u32::from(digit - b'0')))
                .filter(|&index| index <= Self::MAX.0)
                .ok_or(MalformedShardId)?;
        }
        Ok(Self(index))
    }

    /// The normal text.
    #[must_use]
    pub fn id(self) -> ShardId {
        ShardId::of(self)
    }
}

/// The normal text of a shard, `shardId-%012d`, without allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId([u8; ShardId::BYTES]);

impl ShardId {
    /// Length of every normal shard id.
    pub const BYTES: usize = 20;

    fn of(index: ShardIndex) -> Self {
        let mut text = *b"shardId-000000000000";
        let mut rest = index.get();
        for place in text.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *place = b'0' + u8::try_from(rest % 10).expect("a digit is below 10");
            rest /= 10;
        }
        assert!(rest == 0, "ten digits hold 31 bits");
        Self(text)
    }

    /// The text as bytes, all of them ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("a shard id is ASCII")
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Prints the normal text, so that an error that holds an index reads as Kinesis's does.
impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn texts_that_aws_takes_and_refuses() {
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(ShardIndex::parse(text).ok().map(ShardIndex::get), expected, "{text}");
        };
        check("shardId-000000000000", Some(0));
        check("0", Some(0));
        check("shard-0", Some(0));
        check("shardId-0", Some(0));
        check("-00002147483647", Some(2_147_483_647));
        check("a-00002147483647", Some(2_147_483_647));
        check("2147483647", Some(2_147_483_647));
        check("a-5-b", Some(5));
        check("2147483648", None);
        check("shardId-002147483648", None);
        check("99999999999999999999999999", None);
        check("ABKLFD8", None);
        check("2.14E4", None);
        check("5-", None);
        check("a-b", None);
        check("shardId-", None);
        check("-", None);
        check("", None);
        check("shardId-٣", None);
    }

    #[test]
    fn normal_texts() {
        let check = |index: u32, expected: &str| {
            assert_eq!(ShardIndex::new(index).to_string(), expected);
            assert_eq!(ShardIndex::new(index).id().as_bytes(), expected.as_bytes());
        };
        check(0, "shardId-000000000000");
        check(17, "shardId-000000000017");
        check(ShardIndex::MAX.get(), "shardId-002147483647");
    }

    #[test]
    fn text_and_parse_are_inverse_and_keep_the_order() {
        let mut random = Random::new(1);
        for _ in 0..10_000 {
            let [a, b] =
                [0; 2].map(|_: u8| ShardIndex::new(u32::try_from(random.of_bits(31)).unwrap()));
            assert_eq!(ShardIndex::parse(a.id().as_str()), Ok(a));
            assert_eq!(a.cmp(&b), a.id().cmp(&b.id()));
        }
    }

    #[test]
    #[should_panic(expected = "a shard index has 31 bits")]
    fn an_index_of_32_bits_is_a_bug() {
        let _index = ShardIndex::new(1 << 31);
    }
}
