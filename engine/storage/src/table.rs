//! The end of a sealed segment: the table of all shards, where their parts are, and the footer.
//!
//! ```text
//!   frames .. | rows | postings | sparse keys | footer |   the file's end
//!               63     102        510           1          entries per block of 4,096 bytes
//! ```
//! Pure: values to blocks and back. Every block has a checksum whose seed stands in the footer and
//! is new for each writing: a block that an earlier use of the file or a torn writing left behind
//! is never taken for one of this table. See FORMAT.md for the layout.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::bytes::{read_u32, read_u64, write_u32, write_u64};
use crate::frame::BLOCK_BYTES;
use crate::shard::ShardKey;

pub use self::footer::Footer;

mod footer;

/// Parts of at least this many bytes on average are read one by one where they are; smaller ones
/// would cost more in blocks shared with strangers than they hold. Bytes.
pub const COARSE_PART_BYTES: usize = 16 << 10;

/// One of the three lists of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Region {
    /// [`Row`]s, sorted by shard key.
    Rows,
    /// [`Posting`]s, by shard in the order of the rows, then by index.
    Postings,
    /// The shard key of the first row of each block of rows.
    SparseKeys,
}

impl Region {
    /// Bytes of one entry.
    pub const fn entry_bytes(self) -> usize {
        match self {
            Region::Rows => 64,
            Region::Postings => 40,
            Region::SparseKeys => 8,
        }
    }

    /// Entries in a full block.
    pub const fn per_block(self) -> usize {
        match self {
            Region::Rows => 63,
            Region::Postings => 102,
            Region::SparseKeys => 510,
        }
    }

    /// Blocks for `count` entries.
    pub const fn blocks(self, count: usize) -> usize {
        count.div_ceil(self.per_block())
    }

    /// Where a block's checksum stands; it covers the bytes before.
    const fn checksum_at(self) -> usize {
        self.entry_bytes() * self.per_block()
    }

    /// Whether `block` is a whole block of this region, written with `seed`.
    pub fn is_whole(self, block: &[u8], seed: u64) -> bool {
        assert_eq!(block.len(), BLOCK_BYTES);
        let checksum_at = self.checksum_at();
        self.checksum(&block[..checksum_at], seed) == read_u64(block, checksum_at)
    }

    /// The region is part of the seed: a block of postings is no block of sparse keys.
    fn checksum(self, bytes: &[u8], seed: u64) -> u64 {
        xxh3_64_with_seed(bytes, seed.wrapping_add(self as u64))
    }

    fn seal(self, block: &mut [u8], seed: u64) {
        let checksum_at = self.checksum_at();
        let checksum = self.checksum(&block[..checksum_at], seed);
        write_u64(block, checksum_at, checksum);
    }
}

const _: () = assert!(Region::Rows.checksum_at() + 8 <= BLOCK_BYTES);
const _: () = assert!(Region::Postings.checksum_at() + 8 <= BLOCK_BYTES);
const _: () = assert!(Region::SparseKeys.checksum_at() + 8 <= BLOCK_BYTES);

/// One shard of the log, as it was behind the segment's last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which shard.
    pub key: ShardKey,
    /// Index of its next record behind this segment.
    pub next_index: u64,
    /// Arrival time of its newest record, Unix ms; 0 if it has had none.
    pub last_arrival_ms: u64,
    /// First segment that may hold records of it that have not expired.
    pub first_live_segment: u64,
    /// How long its records are kept, ms.
    pub retention_ms: u64,
    /// Its records in this segment: those before `next_index`.
    pub count: u32,
    /// Their bytes.
    pub bytes: u32,
    /// Ordinal of its first posting.
    pub first_posting: u32,
    /// Its postings; 0 where the segment has none.
    pub postings: u32,
    /// Whether it took no more records.
    pub closed: bool,
    /// Whether acknowledged records of it are damaged: it is refused until repaired.
    pub damaged: bool,
}

const CLOSED: u32 = 1;
const DAMAGED: u32 = 2;

impl Row {
    /// Index of its first record in this segment; `next_index` if there is none.
    pub fn first_index(&self) -> u64 {
        self.next_index - u64::from(self.count)
    }

    fn encode(&self, out: &mut [u8]) {
        write_u64(out, 0, self.key.0);
        write_u64(out, 8, self.next_index);
        write_u64(out, 16, self.last_arrival_ms);
        write_u64(out, 24, self.first_live_segment);
        write_u64(out, 32, self.retention_ms);
        write_u32(out, 40, self.count);
        write_u32(out, 44, self.bytes);
        write_u32(out, 48, self.first_posting);
        write_u32(out, 52, self.postings);
        let flags = if self.closed { CLOSED } else { 0 } | if self.damaged { DAMAGED } else { 0 };
        write_u32(out, 56, flags);
    }

    fn decode(bytes: &[u8]) -> Row {
        Row {
            key: ShardKey(read_u64(bytes, 0)),
            next_index: read_u64(bytes, 8),
            last_arrival_ms: read_u64(bytes, 16),
            first_live_segment: read_u64(bytes, 24),
            retention_ms: read_u64(bytes, 32),
            count: read_u32(bytes, 40),
            bytes: read_u32(bytes, 44),
            first_posting: read_u32(bytes, 48),
            postings: read_u32(bytes, 52),
            closed: read_u32(bytes, 56) & CLOSED != 0,
            damaged: read_u32(bytes, 56) & DAMAGED != 0,
        }
    }
}

/// Where one part of a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Position in the file, bytes.
    pub position: u32,
    /// Bytes of its records.
    pub bytes: u32,
    /// Index of its first record.
    pub first_index: u64,
    /// Records, at least one.
    pub count: u32,
    /// Base of the arrival times of its frame, Unix ms.
    pub base_ms: u64,
    /// XXH3-64 of its bytes.
    pub checksum: u64,
}

impl Posting {
    /// Index behind its last record.
    pub fn end_index(&self) -> u64 {
        self.first_index + u64::from(self.count)
    }

    fn encode(&self, out: &mut [u8]) {
        write_u32(out, 0, self.position);
        write_u32(out, 4, self.bytes);
        write_u64(out, 8, self.first_index);
        write_u32(out, 16, self.count);
        write_u64(out, 24, self.base_ms);
        write_u64(out, 32, self.checksum);
    }

    fn decode(bytes: &[u8]) -> Posting {
        Posting {
            position: read_u32(bytes, 0),
            bytes: read_u32(bytes, 4),
            first_index: read_u64(bytes, 8),
            count: read_u32(bytes, 16),
            base_ms: read_u64(bytes, 24),
            checksum: read_u64(bytes, 32),
        }
    }
}

fn entry(block: &[u8], region: Region, slot: usize) -> &[u8] {
    assert!(slot < region.per_block());
    let bytes = region.entry_bytes();
    &block[slot * bytes..(slot + 1) * bytes]
}

/// Row `slot` of a whole block of rows.
pub fn row_at(block: &[u8], slot: usize) -> Row {
    Row::decode(entry(block, Region::Rows, slot))
}

/// The row of `key` among the first `count` of a whole block of rows.
pub fn find_row(block: &[u8], count: usize, key: ShardKey) -> Option<Row> {
    let key_at = |slot| ShardKey(read_u64(entry(block, Region::Rows, slot), 0));
    let slot = lower_bound(count, |slot| key_at(slot) < key);
    (slot < count && key_at(slot) == key).then(|| row_at(block, slot))
}

/// Posting `slot` of a whole block of postings.
pub fn posting_at(block: &[u8], slot: usize) -> Posting {
    Posting::decode(entry(block, Region::Postings, slot))
}

/// Which of the first `count` keys of a whole block of sparse keys is the last not above `key`;
/// `None` if all are above.
pub fn find_sparse(block: &[u8], count: usize, key: ShardKey) -> Option<usize> {
    let key_at = |slot| ShardKey(read_u64(entry(block, Region::SparseKeys, slot), 0));
    lower_bound(count, |slot| key_at(slot) <= key).checked_sub(1)
}

/// The first of `0..count` for which `is_before` is false; it must be true up to there.
pub(crate) fn lower_bound(count: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match is_before(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

/// Bytes that a table takes at the end of its file, the footer included.
pub fn tail_bytes(row_count: usize, posting_count: usize) -> u64 {
    (block_count(row_count, posting_count) * BLOCK_BYTES) as u64
}

fn block_count(row_count: usize, posting_count: usize) -> usize {
    let row_blocks = Region::Rows.blocks(row_count);
    row_blocks + Region::Postings.blocks(posting_count) + Region::SparseKeys.blocks(row_blocks) + 1
}

/// A table to be written: encoded block by block, so that the writer can give way in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    footer: Footer,
    rows: Vec<Row>,
    postings: Vec<Posting>,
}

impl Table {
    /// A table at the end of a file of `file_bytes`. Counts and positions of `footer` are filled
    /// in here; `rows` are sorted by shard key, without doubles.
    ///
    /// # Panics
    /// If it does not fit behind the last frame: who wrote the frames left no room for it.
    pub fn new(
        mut footer: Footer,
        rows: Vec<Row>,
        postings: Vec<Posting>,
        file_bytes: u64,
    ) -> Table {
        debug_assert!(rows.is_sorted_by(|a, b| a.key < b.key));
        footer.place(rows.len(), postings.len(), file_bytes);
        assert!(footer.frames_end <= footer.rows_position);
        Table { footer, rows, postings }
    }

    /// The footer, with all positions.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The rows, in the order of their keys.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The postings, by shard in the order of the rows, then by index.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// Where it starts in the file, bytes.
    pub fn position(&self) -> u64 {
        u64::from(self.footer.rows_position)
    }

    /// Blocks of 4,096 bytes.
    pub fn block_count(&self) -> usize {
        block_count(self.rows.len(), self.postings.len())
    }

    /// Writes block `ordinal`, of `block_count`, to all of `out`.
    pub fn encode_block(&self, ordinal: usize, out: &mut [u8]) {
        assert_eq!(out.len(), BLOCK_BYTES);
        assert!(ordinal < self.block_count());
        out.fill(0);
        let row_blocks = Region::Rows.blocks(self.rows.len());
        let postings_at = row_blocks;
        let sparse_at = postings_at + Region::Postings.blocks(self.postings.len());
        if ordinal + 1 == self.block_count() {
            self.footer.encode(out);
        } else if ordinal < postings_at {
            encode_entries(Region::Rows, &self.rows, ordinal, out, Row::encode);
            Region::Rows.seal(out, self.footer.seed);
        } else if ordinal < sparse_at {
            let ordinal = ordinal - postings_at;
            encode_entries(Region::Postings, &self.postings, ordinal, out, Posting::encode);
            Region::Postings.seal(out, self.footer.seed);
        } else {
            let first = (ordinal - sparse_at) * Region::SparseKeys.per_block();
            let keys = self.rows.iter().step_by(Region::Rows.per_block()).skip(first);
            for (row, out) in keys.zip(out.chunks_exact_mut(8)).take(510) {
                write_u64(out, 0, row.key.0);
            }
            Region::SparseKeys.seal(out, self.footer.seed);
        }
    }

    /// All blocks, for tests and for tables that are known to be small.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.block_count() * BLOCK_BYTES];
        for (ordinal, block) in bytes.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            self.encode_block(ordinal, block);
        }
        bytes
    }
}

fn encode_entries<T>(
    region: Region,
    entries: &[T],
    block: usize,
    out: &mut [u8],
    encode: fn(&T, &mut [u8]),
) {
    let first = block * region.per_block();
    let end = (first + region.per_block()).min(entries.len());
    for (entry, out) in entries[first..end].iter().zip(out.chunks_exact_mut(region.entry_bytes())) {
        encode(entry, out);
    }
}

#[cfg(test)]
mod tests;
