//! A record's bytes within a part: to values and back. See FORMAT.md.
//!
//! Pure; decoding ends with a typed error at the first byte that does not add up.

use crate::bytes::{read_u16, read_u32, write_u16, write_u32};

/// What stands before a record's partition key, bytes.
pub const RECORD_HEADER_BYTES: usize = 12;

/// One record, borrowed from the part that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Ordinal within the shard.
    pub index: u64,
    /// When it was accepted, Unix ms; never falls within a shard.
    pub arrival_ms: u64,
    /// The partition key's UTF-8 bytes.
    pub key: &'a [u8],
    /// The data blob.
    pub data: &'a [u8],
}

/// Bytes that a record takes in a part.
pub fn encoded_bytes(key_bytes: usize, data_bytes: usize) -> usize {
    RECORD_HEADER_BYTES + key_bytes + data_bytes
}

/// Writes a record at the start of `out` and returns how many bytes it took.
pub fn encode(out: &mut [u8], delta_ms: u32, key: &[u8], data: &[u8]) -> usize {
    let total = encoded_bytes(key.len(), data.len());
    let key_bytes = u16::try_from(key.len()).expect("a partition key has at most 1,024 bytes");
    let data_bytes = u32::try_from(data.len()).expect("a record has at most 10 MiB");
    write_u32(out, 0, data_bytes);
    write_u16(out, 4, key_bytes);
    write_u16(out, 6, 0);
    write_u32(out, 8, delta_ms);
    out[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + key.len()].copy_from_slice(key);
    out[RECORD_HEADER_BYTES + key.len()..total].copy_from_slice(data);
    total
}

/// The records of one part, in index order. Ends early, once, if the bytes do not add up.
pub struct Records<'a> {
    bytes: &'a [u8],
    base_ms: u64,
    next_index: u64,
}

impl<'a> Records<'a> {
    /// Walks `bytes`, a part whose first record has index `first_index`, in a frame with `base_ms`.
    pub fn new(bytes: &'a [u8], base_ms: u64, first_index: u64) -> Records<'a> {
        Records { bytes, base_ms, next_index: first_index }
    }

    /// Bytes not walked yet; not empty after the end if the part was malformed.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.bytes.len() < RECORD_HEADER_BYTES {
            return None;
        }
        let data_bytes = read_u32(self.bytes, 0) as usize;
        let key_bytes = usize::from(read_u16(self.bytes, 4));
        let delta_ms = u64::from(read_u32(self.bytes, 8));
        let total = encoded_bytes(key_bytes, data_bytes);
        if self.bytes.len() < total {
            return None;
        }
        let (record, rest) = self.bytes.split_at(total);
        let index = self.next_index;
        self.bytes = rest;
        self.next_index += 1;
        let (key, data) = record[RECORD_HEADER_BYTES..].split_at(key_bytes);
        Some(Record { index, arrival_ms: self.base_ms + delta_ms, key, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_with_index_and_arrival() {
        let mut part = vec![0; encoded_bytes(1, 0) + encoded_bytes(2, 5)];
        let at = encode(&mut part, 0, b"k", b"");
        encode(&mut part[at..], 9, b"kk", b"hello");
        let records: Vec<_> = Records::new(&part, 1_000, 7).collect();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0], Record { index: 7, arrival_ms: 1_000, key: b"k", data: b"" });
        let second = Record { index: 8, arrival_ms: 1_009, key: b"kk", data: b"hello" };
        assert_eq!(records[1], second);
    }

    #[test]
    fn a_part_that_does_not_add_up_ends_without_a_panic() {
        let mut part = vec![0; encoded_bytes(1, 4)];
        encode(&mut part, 0, b"k", b"data");
        for bytes in 0..part.len() {
            let mut records = Records::new(&part[..bytes], 0, 0);
            assert_eq!(records.next(), None);
            assert_eq!(records.rest().len(), bytes);
        }
    }
}
