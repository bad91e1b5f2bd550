//! Where a partition key falls: a place among 2^128, and ranges of places.
//!
//! A place is the MD5 of the key's bytes read as a big-endian number, or the number that a client
//! gives itself as `ExplicitHashKey`. Nothing here knows of shards.

use std::fmt;

/// A place in the space 0 to 2^128 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(pub u128);

/// Why a text is not a hash key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKeyError {
    /// Not of the form `0|([1-9]\d{0,38})`: a constraint of the API's model is violated.
    NotDecimal,
    /// Of that form but past 2^128 - 1: an `InvalidArgumentException`.
    OutOfRange,
}

impl HashKey {
    /// The first place.
    pub const MIN: Self = Self(0);
    /// The last place.
    pub const MAX: Self = Self(u128::MAX);

    /// The place of one partition key. Many at once: `digest::md5_spans`, which gives the same.
    #[must_use]
    pub fn from_partition_key(key: &[u8]) -> Self {
        Self(u128::from_be_bytes(digest::md5(key)))
    }

    /// Reads an `ExplicitHashKey`, `NewStartingHashKey` and the like.
    ///
    /// # Errors
    /// Where the text is not `0|([1-9]\d{0,38})`, or is past 2^128 - 1.
    pub fn parse(text: &[u8]) -> Result<Self, HashKeyError> {
        const DIGITS_MAX: usize = 39;
        let has_leading_zero = text.len() > 1 && text[0] == b'0';
        if text.is_empty() || text.len() > DIGITS_MAX || has_leading_zero {
            return Err(HashKeyError::NotDecimal);
        }
        if !text.iter().all(u8::is_ascii_digit) {
            return Err(HashKeyError::NotDecimal);
        }
        let mut place = 0_u128;
        for digit in text {
            place = place
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(u128::from(digit - b'0')))
                .ok_or(HashKeyError::OutOfRange)?;
        }
        Ok(Self(place))
    }
}

/// Decimal, as Kinesis prints hash keys.
impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Places from `start` to `end`, both included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashKeyRange {
    start: HashKey,
    end: HashKey,
}

impl HashKeyRange {
    /// The whole space.
    pub const WHOLE: Self = Self { start: HashKey::MIN, end: HashKey::MAX };

    /// `None` where the end lies before the start.
    #[must_use]
    pub fn new(start: HashKey, end: HashKey) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// Kinesis's `StartingHashKey`.
    #[must_use]
    pub fn start(self) -> HashKey {
        self.start
    }

    /// Kinesis's `EndingHashKey`; it still belongs to the range.
    #[must_use]
    pub fn end(self) -> HashKey {
        self.end
    }

    /// Whether a place lies in the range.
    #[must_use]
    pub fn contains(self, key: HashKey) -> bool {
        self.start <= key && key <= self.end
    }

    /// Whether `next` starts at the place after this range's last.
    #[must_use]
    pub fn is_followed_by(self, next: Self) -> bool {
        self.end.0.checked_add(1) == Some(next.start.0)
    }

    /// The two halves where the upper one starts at `new_start`, low first. `None` unless
    /// `new_start` is greater than one plus the start and less than the end, which is Kinesis's
    /// rule (the text of its `InvalidArgumentException`, recorded by kinesalite 3.3.3).
    #[must_use]
    pub fn split(self, new_start: HashKey) -> Option<[Self; 2]> {
        let after_start = new_start.0.checked_sub(self.start.0)?;
        if after_start <= 1 || new_start >= self.end {
            return None;
        }
        let low = Self { start: self.start, end: HashKey(new_start.0 - 1) };
        let high = Self { start: new_start, end: self.end };
        assert!(low.is_followed_by(high));
        Some([low, high])
    }

    /// The union of two ranges of which `next` follows this one; else `None`.
    #[must_use]
    pub fn merge(self, next: Self) -> Option<Self> {
        self.is_followed_by(next).then_some(Self { start: self.start, end: next.end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn partition_keys_fall_where_md5_says() {
        let check = |key: &str, expected: u128| {
            assert_eq!(HashKey::from_partition_key(key.as_bytes()), HashKey(expected));
        };
        check("a", 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
        check("", 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
    }

    #[test]
    fn parse_takes_what_the_pattern_and_the_space_allow() {
        let check = |text: &str, expected: Result<u128, HashKeyError>| {
            assert_eq!(HashKey::parse(text.as_bytes()), expected.map(HashKey), "{text}");
        };
        check("0", Ok(0));
        check("7", Ok(7));
        check("340282366920938463463374607431768211455", Ok(u128::MAX));
        check("340282366920938463463374607431768211456", Err(HashKeyError::OutOfRange));
        check("999999999999999999999999999999999999999", Err(HashKeyError::OutOfRange));
        for text in ["", "00", "01", "-1", "+1", "1 ", "0x1", "1e3", "１"] {
            check(text, Err(HashKeyError::NotDecimal));
        }
        check("1000000000000000000000000000000000000000", Err(HashKeyError::NotDecimal));
    }

    #[test]
    fn display_and_parse_are_inverse() {
        let mut random = Random::new(1);
        for _ in 0..10_000 {
            let key = HashKey(random.u128() >> random.below(128));
            assert_eq!(HashKey::parse(key.to_string().as_bytes()), Ok(key));
        }
    }

    #[test]
    fn split_follows_kinesis_rule() {
        let range = HashKeyRange::new(HashKey(10), HashKey(20)).unwrap();
        let check = |new_start: u128, expected: Option<[(u128, u128); 2]>| {
            let halves = range.split(HashKey(new_start));
            let found = halves.map(|halves| halves.map(|half| (half.start.0, half.end.0)));
            assert_eq!(found, expected, "{new_start}");
        };
        check(9, None);
        check(10, None);
        check(11, None);
        check(12, Some([(10, 11), (12, 20)]));
        check(19, Some([(10, 18), (19, 20)]));
        check(20, None);
        check(21, None);
    }

    #[test]
    fn what_was_split_merges_again() {
        let mut random = Random::new(2);
        for _ in 0..10_000 {
            let new_start = HashKey(random.u128().clamp(2, u128::MAX - 1));
            let [low, high] = HashKeyRange::WHOLE.split(new_start).unwrap();
            assert!(low.contains(HashKey(new_start.0 - 1)));
            assert!(!low.contains(new_start));
            assert!(high.contains(new_start));
            assert_eq!(low.merge(high), Some(HashKeyRange::WHOLE));
            assert_eq!(high.merge(low), None);
        }
    }

    #[test]
    fn a_range_is_never_empty() {
        assert!(HashKeyRange::new(HashKey(1), HashKey(0)).is_none());
        assert!(HashKeyRange::new(HashKey(1), HashKey(1)).is_some());
        let last = HashKeyRange::new(HashKey::MAX, HashKey::MAX).unwrap();
        assert!(!last.is_followed_by(HashKeyRange::WHOLE));
    }
}
