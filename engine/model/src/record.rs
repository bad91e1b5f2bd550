//! A record: its place in a shard, the rules for its key, and its size.
//!
//! What a record's bytes hold is the client's business; nothing here looks at data.

use crate::limits::{
    PARTITION_KEY_BYTES_MAX, PARTITION_KEY_CHARACTERS_MAX, RECORD_BYTES_MAX_DEFAULT,
    RECORD_BYTES_MAX_LARGEST,
};

/// Ordinal of a record in its shard, from 0: what we carry where clients see a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordIndex(u64);

impl RecordIndex {
    /// The first record of a shard.
    pub const ZERO: Self = Self(0);
    /// Stands in the `EndingSequenceNumber` of a closed shard (7fffffffffffffff, as AWS's); no
    /// record has it.
    pub const MAX: Self = Self(i64::MAX.cast_unsigned());

    /// Panics past [`RecordIndex::MAX`], which takes 292,000 years at a million records per second.
    #[must_use]
    pub const fn new(index: u64) -> Self {
        assert!(index <= Self::MAX.0, "a record index has 63 bits");
        Self(index)
    }

    /// The one behind it. Behind [`RecordIndex::MAX`], which any client can ask for, stands itself.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0 < Self::MAX.0 {
            true => Self(self.0 + 1),
            false => self,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Why a partition key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKeyError {
    /// A key has at least one character.
    Empty,
    /// A key has at most 256 characters.
    TooLong,
    /// JSON and CBOR carry keys as text.
    NotUtf8,
}

/// Whether the bytes are a partition key: UTF-8 of 1 to 256 characters. A character is a Unicode
/// scalar value: AWS says "Unicode characters"; whether it counts one past U+FFFF twice, as Java
/// does, is not known, and the longer key is what a client would rather see accepted.
///
/// # Errors
/// Names the rule that is broken.
pub fn check_partition_key(key: &[u8]) -> Result<(), PartitionKeyError> {
    if key.is_empty() {
        return Err(PartitionKeyError::Empty);
    }
    if key.len() > PARTITION_KEY_BYTES_MAX {
        // Too long whatever it is, and nobody shall make us read a megabyte to say which.
        return Err(PartitionKeyError::TooLong);
    }
    let text = str::from_utf8(key).map_err(|_| PartitionKeyError::NotUtf8)?;
    // A character has at least one byte: short keys, nearly all, need no count.
    if key.len() > PARTITION_KEY_CHARACTERS_MAX
        && text.chars().count() > PARTITION_KEY_CHARACTERS_MAX
    {
        return Err(PartitionKeyError::TooLong);
    }
    Ok(())
}

/// The two parts of a record that count in every limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBytes {
    /// Bytes of the partition key in UTF-8.
    pub key: u32,
    /// Bytes of the data, after base64 where there was one.
    pub data: u32,
}

impl RecordBytes {
    /// What the record costs: key and data.
    #[must_use]
    pub fn total(self) -> u64 {
        u64::from(self.key) + u64::from(self.data)
    }
}

/// Largest record of one stream, key and data, in bytes: 1 MiB unless `UpdateMaxRecordSize` has
/// said more, up to 10 MiB, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordBytesMax(u32);

impl RecordBytesMax {
    /// What a stream has at birth.
    pub const DEFAULT: Self = Self(RECORD_BYTES_MAX_DEFAULT);

    /// From `MaxRecordSizeInKiB`. `None` outside of 1,024 to 10,240.
    #[must_use]
    pub fn from_kib(kib: u32) -> Option<Self> {
        let bytes = kib.checked_mul(1024)?;
        (RECORD_BYTES_MAX_DEFAULT..=RECORD_BYTES_MAX_LARGEST)
            .contains(&bytes)
            .then_some(Self(bytes))
    }

    /// The bound in bytes.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Whether large records are on: they come with a larger burst.
    #[must_use]
    pub fn is_large(self) -> bool {
        self > Self::DEFAULT
    }

    /// Whether a record of this size may be put.
    #[must_use]
    pub fn admits(self, record: RecordBytes) -> bool {
        record.total() <= u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_1_to_256_characters() {
        let check = |key: &[u8], expected: Result<(), PartitionKeyError>| {
            assert_eq!(check_partition_key(key), expected, "{} bytes", key.len());
        };
        check(b"", Err(PartitionKeyError::Empty));
        check(b"a", Ok(()));
        check(&[b'a'; 256], Ok(()));
        check(&[b'a'; 257], Err(PartitionKeyError::TooLong));
        check("é".repeat(256).as_bytes(), Ok(()));
        check("é".repeat(257).as_bytes(), Err(PartitionKeyError::TooLong));
        check("🦀".repeat(256).as_bytes(), Ok(()));
        check("🦀".repeat(257).as_bytes(), Err(PartitionKeyError::TooLong));
        check(&[0xff], Err(PartitionKeyError::NotUtf8));
        check(&[b'a', 0xc3], Err(PartitionKeyError::NotUtf8));
        check(&vec![0xff; 1 << 20], Err(PartitionKeyError::TooLong));
    }

    #[test]
    fn key_and_data_count() {
        let check = |max: RecordBytesMax, key: u32, data: u32, expected: bool| {
            assert_eq!(max.admits(RecordBytes { key, data }), expected, "{key} + {data}");
        };
        check(RecordBytesMax::DEFAULT, 1, (1 << 20) - 1, true);
        check(RecordBytesMax::DEFAULT, 1, 1 << 20, false);
        check(RecordBytesMax::DEFAULT, u32::MAX, u32::MAX, false);
        let largest = RecordBytesMax::from_kib(10_240).unwrap();
        check(largest, 1024, (10 << 20) - 1024, true);
        check(largest, 1024, (10 << 20) - 1023, false);
    }

    #[test]
    fn record_sizes_from_1_to_10_mib() {
        let check = |kib: u32, expected: Option<u32>| {
            assert_eq!(RecordBytesMax::from_kib(kib).map(RecordBytesMax::get), expected, "{kib}");
        };
        check(1023, None);
        check(1024, Some(1 << 20));
        check(10_240, Some(10 << 20));
        check(10_241, None);
        check(u32::MAX, None);
        assert!(!RecordBytesMax::from_kib(1024).unwrap().is_large());
        assert!(RecordBytesMax::from_kib(1025).unwrap().is_large());
    }
}
