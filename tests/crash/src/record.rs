//! The records that a run writes. A record says which one it is, and all of it follows from the
//! run's seed and its name, so that the verifier needs no copy.
//!
//! ```text
//! data:  run 8 | life 4 | producer 4 | sequence 8 | seeded bytes      (little-endian)
//! ```

use fastrand::Rng;
use xxhash_rust::xxh3::Xxh3;

/// Bytes at the head of the data that name the record.
pub const HEAD_BYTES: usize = 24;

/// Which record of a run: `producer` sent it in process `life` as its `sequence`-th, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Count of processes before this one, over the whole run.
    pub life: u32,
    /// The task within the process; its records are sent one batch after another.
    pub producer: u32,
    /// Ordinal within the producer.
    pub sequence: u64,
}

/// A record as it is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The partition key.
    pub key: Vec<u8>,
    /// The data, with its head.
    pub data: Vec<u8>,
}

/// The record that `id` names in the run of seed `run`.
#[must_use]
pub fn content(run: u64, id: RecordId) -> Content {
    let lane = u64::from(id.life) << 32 | u64::from(id.producer);
    let mut rng = Rng::with_seed(mix(mix(run ^ mix(lane)) ^ id.sequence));
    // Mostly small as in production, some larger than a block, a few larger than a small frame.
    let body_bytes = match rng.u8(..) {
        0..2 => rng.usize(0..40_000),
        2..18 => rng.usize(0..5_000),
        _ => rng.usize(0..200),
    };
    let key = format!("{:016x}", rng.u64(..)).into_bytes();
    let mut data = Vec::with_capacity(HEAD_BYTES + body_bytes);
    data.extend(run.to_le_bytes());
    data.extend(id.life.to_le_bytes());
    data.extend(id.producer.to_le_bytes());
    data.extend(id.sequence.to_le_bytes());
    assert_eq!(data.len(), HEAD_BYTES);
    data.resize(HEAD_BYTES + body_bytes, 0);
    rng.fill(&mut data[HEAD_BYTES..]);
    Content { key, data }
}

/// The name in the head of some data, if it is of this run.
#[must_use]
pub fn parse_head(run: u64, head: &[u8; HEAD_BYTES]) -> Option<RecordId> {
    let (found_run, rest) = head.split_first_chunk()?;
    let (life, rest) = rest.split_first_chunk()?;
    let (producer, rest) = rest.split_first_chunk()?;
    let (sequence, _) = rest.split_first_chunk()?;
    (u64::from_le_bytes(*found_run) == run).then_some(RecordId {
        life: u32::from_le_bytes(*life),
        producer: u32::from_le_bytes(*producer),
        sequence: u64::from_le_bytes(*sequence),
    })
}

/// A checksum of the whole record; key and data cannot trade bytes.
#[must_use]
pub fn digest(key: &[u8], data: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(data);
    hasher.digest()
}

/// Spreads a value over 64 bits (the finaliser of SplitMix64).
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_itself() {
        for sequence in 0..500 {
            let id = RecordId { life: 3, producer: 7, sequence };
            let record = content(42, id);
            assert_eq!(record, content(42, id));
            let head = record.data.first_chunk().unwrap();
            assert_eq!(parse_head(42, head), Some(id));
            assert_eq!(parse_head(43, head), None);
        }
    }

    #[test]
    fn a_digest_covers_key_and_data_apart() {
        assert_ne!(digest(b"ab", b"c"), digest(b"a", b"bc"));
        assert_ne!(digest(b"ab", b"c"), digest(b"ab", b"d"));
    }
}
