//! The last block of a sealed segment: what the file holds and where its table is.

use xxhash_rust::xxh3::xxh3_64;

use super::{Region, block_count};
use crate::bytes::{read_u16, read_u32, read_u64, write_u16, write_u32, write_u64};
use crate::frame::BLOCK_BYTES;

const MAGIC: u64 = u64::from_le_bytes(*b"GYRESEAL");
const CHECKSUMMED: std::ops::Range<usize> = 16..128;
const CLUSTERED: u16 = 1;
const HAS_POSTINGS: u16 = 2;
const NAMELESS_DAMAGE: u16 = 4;

/// What a sealed segment's file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// First segment number covered.
    pub first: u64,
    /// Last segment number covered.
    pub last: u64,
    /// Generation of the file.
    pub generation: u32,
    /// Log that it belongs to.
    pub log: u16,
    /// Its frames are of kind 5, ordered by retention and shard.
    pub clustered: bool,
    /// Every part has a posting.
    pub has_postings: bool,
    /// Before the end of this segment stands a damaged frame that does not say whose it was, and
    /// shards that have no row may have had records there.
    pub has_nameless_damage: bool,
    /// First byte behind the last frame.
    pub frames_end: u32,
    /// Where the rows start, bytes.
    pub rows_position: u32,
    /// How many rows.
    pub row_count: u32,
    /// Where the postings start, bytes.
    pub postings_position: u32,
    /// How many postings.
    pub posting_count: u32,
    /// Where the sparse keys start, bytes.
    pub sparse_position: u32,
    /// Number of the frame behind the last of the segment; of the chain, also where it was
    /// rewritten.
    pub next_frame: u64,
    /// Header checksum of the last frame of the chain's segment.
    pub last_checksum: u64,
    /// Highest arrival time of the log so far, Unix ms.
    pub arrival_ms: u64,
    /// How often the log had been opened.
    pub life: u32,
    /// Seed of the checksums of the table's blocks, drawn anew for each writing.
    pub seed: u64,
}

impl Footer {
    /// Fills in counts and positions for a table at the end of a file of `file_bytes`.
    pub(super) fn place(&mut self, row_count: usize, posting_count: usize, file_bytes: u64) {
        let position = |blocks_from_end: usize| {
            let from_end = (blocks_from_end * BLOCK_BYTES) as u64;
            let position = file_bytes.checked_sub(from_end).expect("the table fits its file");
            u32::try_from(position).expect("a segment has < 2^32 bytes")
        };
        let blocks = block_count(row_count, posting_count);
        let row_blocks = Region::Rows.blocks(row_count);
        let posting_blocks = Region::Postings.blocks(posting_count);
        self.row_count = u32::try_from(row_count).expect("a log has fewer than 2^32 shards");
        self.posting_count = u32::try_from(posting_count).expect("a segment has < 2^32 parts");
        self.rows_position = position(blocks);
        self.postings_position = position(blocks - row_blocks);
        self.sparse_position = position(blocks - row_blocks - posting_blocks);
    }

    /// The same footer for a table of so many rows and postings at the end of a file.
    #[must_use]
    pub fn placed(mut self, row_count: usize, posting_count: usize, file_bytes: u64) -> Footer {
        self.place(row_count, posting_count, file_bytes);
        self
    }

    /// Entries of a region.
    pub fn count(&self, region: Region) -> usize {
        match region {
            Region::Rows => self.row_count as usize,
            Region::Postings => self.posting_count as usize,
            Region::SparseKeys => Region::Rows.blocks(self.row_count as usize),
        }
    }

    /// Where block `block` of a region is in the file, bytes.
    pub fn block_position(&self, region: Region, block: usize) -> u64 {
        assert!(block < region.blocks(self.count(region)));
        let start = match region {
            Region::Rows => self.rows_position,
            Region::Postings => self.postings_position,
            Region::SparseKeys => self.sparse_position,
        };
        u64::from(start) + (block * BLOCK_BYTES) as u64
    }

    /// Entries in block `block` of a region.
    pub fn count_in_block(&self, region: Region, block: usize) -> usize {
        let before = block * region.per_block();
        assert!(before < self.count(region));
        (self.count(region) - before).min(region.per_block())
    }

    /// Whether the block at a position of the table, this footer included, is whole.
    pub fn has_whole_block(&self, position: u64, block: &[u8], file_bytes: u64) -> bool {
        if position + BLOCK_BYTES as u64 == file_bytes {
            return Footer::decode(block, file_bytes).as_ref() == Some(self);
        }
        let region = match position {
            _ if position >= u64::from(self.sparse_position) => Region::SparseKeys,
            _ if position >= u64::from(self.postings_position) => Region::Postings,
            _ => Region::Rows,
        };
        region.is_whole(block, self.seed)
    }

    pub(super) fn encode(&self, out: &mut [u8]) {
        let flags = if self.clustered { CLUSTERED } else { 0 }
            | if self.has_postings { HAS_POSTINGS } else { 0 }
            | if self.has_nameless_damage { NAMELESS_DAMAGE } else { 0 };
        write_u64(out, 0, MAGIC);
        write_u64(out, 16, self.first);
        write_u64(out, 24, self.last);
        write_u32(out, 32, self.generation);
        write_u16(out, 36, self.log);
        write_u16(out, 38, flags);
        write_u32(out, 40, self.frames_end);
        write_u32(out, 44, self.rows_position);
        write_u32(out, 48, self.row_count);
        write_u32(out, 52, self.postings_position);
        write_u32(out, 56, self.posting_count);
        write_u32(out, 60, self.sparse_position);
        write_u64(out, 64, self.next_frame);
        write_u64(out, 72, self.last_checksum);
        write_u64(out, 80, self.arrival_ms);
        write_u32(out, 88, self.life);
        write_u64(out, 96, self.seed);
        let checksum = xxh3_64(&out[CHECKSUMMED]);
        write_u64(out, 8, checksum);
    }

    /// Reads the last block of a file of `file_bytes`; `None` if it is no whole footer, or its
    /// positions do not add up to the file.
    pub fn decode(block: &[u8], file_bytes: u64) -> Option<Footer> {
        assert_eq!(block.len(), BLOCK_BYTES);
        if read_u64(block, 0) != MAGIC || read_u64(block, 8) != xxh3_64(&block[CHECKSUMMED]) {
            return None;
        }
        let flags = read_u16(block, 38);
        let footer = Footer {
            first: read_u64(block, 16),
            last: read_u64(block, 24),
            generation: read_u32(block, 32),
            log: read_u16(block, 36),
            clustered: flags & CLUSTERED != 0,
            has_postings: flags & HAS_POSTINGS != 0,
            has_nameless_damage: flags & NAMELESS_DAMAGE != 0,
            frames_end: read_u32(block, 40),
            rows_position: read_u32(block, 44),
            row_count: read_u32(block, 48),
            postings_position: read_u32(block, 52),
            posting_count: read_u32(block, 56),
            sparse_position: read_u32(block, 60),
            next_frame: read_u64(block, 64),
            last_checksum: read_u64(block, 72),
            arrival_ms: read_u64(block, 80),
            life: read_u32(block, 88),
            seed: read_u64(block, 96),
        };
        footer.adds_up(file_bytes).then_some(footer)
    }

    fn adds_up(&self, file_bytes: u64) -> bool {
        let counts = self.count(Region::Rows) + self.count(Region::Postings);
        // So many entries cannot fit; looked at first, so that the sums below cannot overflow.
        if counts as u64 * 40 > file_bytes || file_bytes > u64::from(u32::MAX) {
            return false;
        }
        let blocks = block_count(self.row_count as usize, self.posting_count as usize);
        if (blocks * BLOCK_BYTES) as u64 > file_bytes {
            return false;
        }
        let mut placed = *self;
        placed.place(self.row_count as usize, self.posting_count as usize, file_bytes);
        placed == *self && self.frames_end <= self.rows_position && self.first <= self.last
    }
}
