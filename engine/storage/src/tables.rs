//! Tables of sealed segments, read from their files: whole at the start, block by block afterwards.
//!
//! A log of thousands of segments has too many tables to read or to keep: opening reads the newest
//! one, and a reader reads the blocks that it needs. Blocks that were read stay in memory within
//! `table_cache_bytes_max`, the longest unused leave first. A block is checked when it is read; what
//! does not pass is never used and never kept.
//!
//! Budget for a row that is not in memory: three reads of a block (footer, once per segment; sparse
//! keys; rows).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use runtime::file::{File, IoError};

use crate::catalog::SegmentEntry;
use crate::error::ReadError;
use crate::frame::BLOCK_BYTES;
use crate::segment_set::{Segment, SegmentSet, Shape};
use crate::shard::ShardKey;
use crate::table::{self, Footer, Posting, Region, Row};

/// Blocks are read in pieces of so many where all of a table is wanted.
const PIECE_BLOCKS: usize = 64;

/// Reads the footer of a segment's file; `None` if it is not whole or of another use of the file.
///
/// # Errors
/// The disk's.
pub(crate) async fn read_footer(
    file: &File,
    entry: &SegmentEntry,
) -> Result<Option<Footer>, IoError> {
    let block = BLOCK_BYTES as u64;
    if file.bytes() != entry.bytes || entry.bytes < block {
        return Ok(None);
    }
    let buffer = file.read(entry.bytes - block, BLOCK_BYTES).await?;
    let footer = Footer::decode(&buffer, entry.bytes).filter(|footer| {
        footer.log == entry.log
            && footer.generation == entry.generation
            && (footer.first, footer.last) == (entry.first, entry.last)
            && footer.clustered == entry.clustered
    });
    Ok(footer)
}

/// All rows of a table; `None` if any block of the table, whatever its region, is damaged.
///
/// # Errors
/// The disk's.
pub(crate) async fn read_whole(file: &File, footer: &Footer) -> Result<Option<Vec<Row>>, IoError> {
    for region in [Region::SparseKeys, Region::Postings] {
        if read_region(file, footer, region, |_, _| {}).await?.is_some() {
            return Ok(None);
        }
    }
    match read_rows(file, footer).await? {
        Ok(rows) => Ok(Some(rows)),
        Err(Damaged { .. }) => Ok(None),
    }
}

/// Where a damaged block stands in its file, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub position: u64,
}

/// All rows of a table, if all of their blocks are whole.
///
/// # Errors
/// The disk's.
pub(crate) async fn read_rows(
    file: &File,
    footer: &Footer,
) -> Result<Result<Vec<Row>, Damaged>, IoError> {
    let mut rows = Vec::with_capacity(footer.count(Region::Rows));
    let damaged = read_region(file, footer, Region::Rows, |block, count| {
        rows.extend((0..count).map(|slot| table::row_at(block, slot)));
    });
    Ok(damaged.await?.map_or(Ok(rows), Err))
}

/// Reads a region and gives each whole block with its count of entries; stops at a damaged one.
async fn read_region(
    file: &File,
    footer: &Footer,
    region: Region,
    mut take: impl FnMut(&[u8], usize),
) -> Result<Option<Damaged>, IoError> {
    let block_count = region.blocks(footer.count(region));
    let mut first = 0;
    while first < block_count {
        let count = (block_count - first).min(PIECE_BLOCKS);
        let position = footer.block_position(region, first);
        let buffer = file.read(position, count * BLOCK_BYTES).await?;
        for (ordinal, block) in buffer.chunks_exact(BLOCK_BYTES).enumerate() {
            if !region.is_whole(block, footer.seed) {
                let position = position + (ordinal * BLOCK_BYTES) as u64;
                return Ok(Some(Damaged { position }));
            }
            take(block, footer.count_in_block(region, first + ordinal));
        }
        first += count;
    }
    Ok(None)
}

/// Which block: first number and file of its segment, seed of its table, region, ordinal.
type BlockKey = (u64, u32, u64, Region, usize);

/// Blocks that were read and found whole.
#[derive(Default)]
struct Cache {
    /// With the time of the last use, counted in uses.
    blocks: BTreeMap<BlockKey, (Rc<[u8]>, u64)>,
    by_use: BTreeMap<u64, BlockKey>,
    uses: u64,
}

impl Cache {
    fn get(&mut self, key: &BlockKey) -> Option<Rc<[u8]>> {
        let (block, last_use) = self.blocks.get_mut(key)?;
        self.by_use.remove(last_use);
        self.uses += 1;
        *last_use = self.uses;
        self.by_use.insert(self.uses, *key);
        Some(block.clone())
    }

    fn insert(&mut self, key: BlockKey, block: Rc<[u8]>, count_max: usize) {
        self.uses += 1;
        if let Some((_, last_use)) = self.blocks.insert(key, (block, self.uses)) {
            // Somebody else read it at the same time.
            self.by_use.remove(&last_use);
        }
        self.by_use.insert(self.uses, key);
        while self.blocks.len() > count_max {
            let (_, oldest) = self.by_use.pop_first().expect("every block has a last use");
            self.blocks.remove(&oldest);
        }
        assert_eq!(self.blocks.len(), self.by_use.len());
    }
}

/// What reading tables has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableStats {
    /// Blocks found in memory.
    pub hits: u64,
    /// Blocks that were read.
    pub misses: u64,
}

/// The tables of a log's sealed segments.
pub(crate) struct Tables {
    set: SegmentSet,
    cache: RefCell<Cache>,
    block_count_max: usize,
    stats: Cell<TableStats>,
}

impl Tables {
    pub(crate) fn new(set: SegmentSet, bytes_max: usize) -> Tables {
        Tables {
            set,
            cache: RefCell::default(),
            // Fewer than these and a single search would evict what it has just read.
            block_count_max: (bytes_max / BLOCK_BYTES).max(16),
            stats: Cell::default(),
        }
    }

    pub(crate) fn stats(&self) -> TableStats {
        self.stats.get()
    }

    /// The shape of a segment's table.
    ///
    /// # Errors
    /// `Damaged` if its footer is not whole, or the disk's.
    pub(crate) async fn shape(&self, segment: &Rc<Segment>) -> Result<Shape, ReadError> {
        if let Some(shape) = segment.shape() {
            return Ok(shape);
        }
        let file = self.set.file(segment).await?;
        let entry = segment.entry();
        match read_footer(&file, entry).await? {
            Some(footer) => {
                let shape = Shape::of(&footer);
                segment.set_shape(Some(shape));
                Ok(shape)
            }
            None => Err(damaged(segment, entry.bytes - BLOCK_BYTES as u64)),
        }
    }

    /// The row of a shard in a segment's table.
    ///
    /// # Errors
    /// `Damaged` if a block on the way is not whole, or the disk's.
    pub(crate) async fn row(
        &self,
        segment: &Rc<Segment>,
        key: ShardKey,
    ) -> Result<Option<Row>, ReadError> {
        let footer = segment.footer_of(&self.shape(segment).await?);
        let mut row_block = None;
        for at in 0..segment_blocks(&footer, Region::SparseKeys) {
            let block = self.block(segment, &footer, Region::SparseKeys, at).await?;
            let count = footer.count_in_block(Region::SparseKeys, at);
            let Some(slot) = table::find_sparse(&block, count, key) else { break };
            row_block = Some(at * Region::SparseKeys.per_block() + slot);
            if slot + 1 < count {
                break;
            }
        }
        let Some(at) = row_block else { return Ok(None) };
        let block = self.block(segment, &footer, Region::Rows, at).await?;
        Ok(table::find_row(&block, footer.count_in_block(Region::Rows, at), key))
    }

    /// All rows of a segment's table, read past the cache.
    ///
    /// # Errors
    /// `Damaged` if a block is not whole, or the disk's.
    pub(crate) async fn rows(&self, segment: &Rc<Segment>) -> Result<Vec<Row>, ReadError> {
        let footer = segment.footer_of(&self.shape(segment).await?);
        let file = self.set.file(segment).await?;
        let rows = read_rows(&file, &footer).await?;
        rows.map_err(|Damaged { position }| damaged(segment, position))
    }

    /// The posting with this ordinal.
    ///
    /// # Errors
    /// `Damaged` if its block is not whole, or the disk's.
    pub(crate) async fn posting(
        &self,
        segment: &Rc<Segment>,
        ordinal: u32,
    ) -> Result<Posting, ReadError> {
        let footer = segment.footer_of(&self.shape(segment).await?);
        let per_block = Region::Postings.per_block();
        let at = ordinal as usize / per_block;
        let block = self.block(segment, &footer, Region::Postings, at).await?;
        Ok(table::posting_at(&block, ordinal as usize % per_block))
    }

    async fn block(
        &self,
        segment: &Rc<Segment>,
        footer: &Footer,
        region: Region,
        at: usize,
    ) -> Result<Rc<[u8]>, ReadError> {
        let entry = segment.entry();
        let key = (entry.first, entry.file, footer.seed, region, at);
        let mut stats = self.stats.get();
        if let Some(block) = self.cache.borrow_mut().get(&key) {
            stats.hits += 1;
            self.stats.set(stats);
            return Ok(block);
        }
        stats.misses += 1;
        self.stats.set(stats);
        let file = self.set.file(segment).await?;
        let position = footer.block_position(region, at);
        let buffer = file.read(position, BLOCK_BYTES).await?;
        if !region.is_whole(&buffer, footer.seed) {
            return Err(damaged(segment, position));
        }
        // Copied out: buffers of reads are for what is in flight.
        let block: Rc<[u8]> = buffer[..].into();
        self.cache.borrow_mut().insert(key, block.clone(), self.block_count_max);
        Ok(block)
    }
}

/// A block of the segment's table is damaged: `rebuild::mends` builds it anew.
fn damaged(segment: &Segment, position: u64) -> ReadError {
    segment.note_damaged_table();
    ReadError::Damaged { segment: segment.entry().first, position }
}

fn segment_blocks(footer: &Footer, region: Region) -> usize {
    region.blocks(footer.count(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(block: usize) -> BlockKey {
        (0, 0, 0, Region::Rows, block)
    }

    #[test]
    fn the_longest_unused_block_leaves_first() {
        let mut cache = Cache::default();
        for block in 0..3 {
            cache.insert(key(block), [block as u8].as_slice().into(), 3);
        }
        assert!(cache.get(&key(0)).is_some());
        cache.insert(key(3), [3].as_slice().into(), 3);
        let present: Vec<_> = (0..4).filter(|&block| cache.get(&key(block)).is_some()).collect();
        assert_eq!(present, [0, 2, 3]);
        cache.insert(key(3), [4].as_slice().into(), 3);
        assert_eq!(&*cache.get(&key(3)).unwrap(), [4]);
    }
}
