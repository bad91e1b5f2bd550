//! What a read gives: consecutive records of one shard, as they stand in the log.

use std::sync::Arc;

use crate::record::Records;

/// Consecutive records of one shard, in index order. Cheap to clone and to send to another core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Base of the arrival times, Unix ms.
    pub base_ms: u64,
    /// Index of the first record.
    pub first_index: u64,
    /// Records, at least one.
    pub count: u32,
    /// The records, encoded as FORMAT.md says.
    pub bytes: Arc<[u8]>,
}

impl Chunk {
    /// The records in index order.
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.bytes, self.base_ms, self.first_index)
    }

    /// Index behind the last record.
    pub fn end_index(&self) -> u64 {
        self.first_index + u64::from(self.count)
    }
}

/// How much a read may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Records, at least one.
    pub records: usize,
    /// Bytes of keys and data. The first record is given even if it is longer.
    pub bytes: usize,
}

impl ReadLimit {
    /// Whether nothing more may be given.
    pub fn is_exhausted(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// Cuts out of `part`, which starts with record `first_index`, the records from `from` on that
/// `limit` allows, and takes them off the limit. `None` if the part ends before `from`.
pub fn cut(
    part: &[u8],
    base_ms: u64,
    first_index: u64,
    from: u64,
    limit: &mut ReadLimit,
    is_first: bool,
) -> Option<Chunk> {
    let mut records = Records::new(part, base_ms, first_index);
    let mut start = None;
    let mut end = 0;
    let mut count = 0;
    loop {
        let before = part.len() - records.rest().len();
        let Some(record) = records.next() else { break };
        if record.index < from {
            continue;
        }
        let payload_bytes = record.key.len() + record.data.len();
        let must = is_first && start.is_none();
        if limit.records == 0 || (payload_bytes > limit.bytes && !must) {
            // What follows does not fit either: the order of a shard has no gaps.
            limit.bytes = 0;
            break;
        }
        start.get_or_insert(before);
        end = part.len() - records.rest().len();
        count += 1;
        limit.records -= 1;
        limit.bytes = limit.bytes.saturating_sub(payload_bytes);
    }
    let start = start?;
    let first_index = from.max(first_index);
    Some(Chunk { base_ms, first_index, count, bytes: part[start..end].into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{encode, encoded_bytes};

    fn part() -> Vec<u8> {
        let mut part = vec![0; 5 * encoded_bytes(1, 10)];
        for (ordinal, out) in part.chunks_exact_mut(encoded_bytes(1, 10)).enumerate() {
            encode(out, ordinal as u32, b"k", &[ordinal as u8; 10]);
        }
        part
    }

    fn check(from: u64, records: usize, bytes: usize, expected: Option<(u64, u32)>) {
        let mut limit = ReadLimit { records, bytes };
        let chunk = cut(&part(), 100, 20, from, &mut limit, true);
        assert_eq!(chunk.as_ref().map(|chunk| (chunk.first_index, chunk.count)), expected);
        if let Some(chunk) = chunk {
            let indices: Vec<_> = chunk.records().map(|record| record.index).collect();
            let expected: Vec<_> = (chunk.first_index..chunk.end_index()).collect();
            assert_eq!(indices, expected);
            assert_eq!(chunk.records().next().unwrap().arrival_ms, 80 + chunk.first_index);
        }
    }

    #[test]
    fn a_part_is_cut_by_index_count_and_bytes() {
        check(20, 10, 1_000, Some((20, 5)));
        check(0, 10, 1_000, Some((20, 5)));
        check(22, 10, 1_000, Some((22, 3)));
        check(22, 2, 1_000, Some((22, 2)));
        check(20, 10, 22, Some((20, 2)));
        check(20, 10, 1, Some((20, 1)));
        check(25, 10, 1_000, None);
    }
}
