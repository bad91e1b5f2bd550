//! The end of one segment's file: whether there is a table, and whether it is whole.

use runtime::file::{File, IoError};
use xxhash_rust::xxh3::xxh3_64;

use crate::catalog::SegmentEntry;
use crate::frame::BLOCK_BYTES;
use crate::shard::ShardKey;
use crate::table::{self, Footer, Posting, Region, Row};

/// Blocks read at a time.
const PIECE_BLOCKS: usize = 64;

/// The last block of a segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastBlock {
    /// Zeros, or what an earlier use of the file left: the segment is not sealed.
    Unsealed,
    /// The footer of this segment.
    Footer(Footer),
    /// Neither.
    Damaged,
}

/// Reads the last block of a file that has the size that the manifest says.
pub(super) async fn last_block(file: &File, entry: &SegmentEntry) -> Result<LastBlock, IoError> {
    let position = file.bytes() - BLOCK_BYTES as u64;
    let block = file.read(position, BLOCK_BYTES).await?;
    let Some(footer) = Footer::decode(&block, file.bytes()) else {
        let is_zero = block.iter().all(|byte| *byte == 0);
        return Ok(if is_zero { LastBlock::Unsealed } else { LastBlock::Damaged });
    };
    let is_ours = footer.generation == entry.generation
        && footer.log == entry.log
        && (footer.first, footer.last) == (entry.first, entry.last)
        && footer.clustered == entry.clustered;
    Ok(if is_ours { LastBlock::Footer(footer) } else { LastBlock::Unsealed })
}

/// Damaged blocks of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DamagedBlocks {
    pub region: Region,
    /// Which is the first, from the region's start.
    pub first: usize,
    pub count: usize,
}

/// What a table says, as far as it is whole.
#[derive(Default)]
pub(super) struct TableSeen {
    /// All rows, where all of their blocks are whole.
    pub rows: Option<Vec<Row>>,
    /// Where every part is, by position, where all of their blocks are whole.
    pub places: Vec<PartPlace>,
    pub damaged: Vec<DamagedBlocks>,
    /// Keys between which the rows of damaged blocks lie: behind the first, before the second.
    pub bounds: Option<(Option<ShardKey>, Option<ShardKey>)>,
    /// The sparse keys are whole and not those of the rows, or the rows are out of order.
    pub disagrees: bool,
}

/// A part and its checksum, as a posting says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartPlace {
    pub position: u32,
    pub bytes: u32,
    pub checksum: u64,
}

impl From<Posting> for PartPlace {
    fn from(posting: Posting) -> PartPlace {
        let Posting { position, bytes, checksum, .. } = posting;
        PartPlace { position, bytes, checksum }
    }
}

impl TableSeen {
    /// Whether the part at `position` is the one that a posting promises. True where there are no
    /// postings.
    pub(super) fn promises(&self, position: u64, part: &[u8]) -> bool {
        if self.places.is_empty() {
            return true;
        }
        let found = self.places.binary_search_by_key(&position, |place| u64::from(place.position));
        found.is_ok_and(|at| {
            let place = &self.places[at];
            place.bytes as usize == part.len() && place.checksum == xxh3_64(part)
        })
    }

    /// Those of `keys` whose rows lie in damaged blocks, as far as that can be told.
    pub(super) fn concerned(&self, keys: impl Iterator<Item = ShardKey>) -> Vec<ShardKey> {
        let (after, before) = self.bounds.unwrap_or_default();
        let is_within = |key: &ShardKey| {
            after.is_none_or(|after| *key > after) && before.is_none_or(|before| *key < before)
        };
        keys.filter(is_within).collect()
    }
}

/// Reads and checks the whole table of `footer`. Memory: the rows and the postings.
pub(super) async fn read_table(file: &File, footer: &Footer) -> Result<TableSeen, IoError> {
    let mut seen = TableSeen::default();
    let mut rows = Vec::new();
    let mut bounds = Bounds::default();
    let damaged = each_block(file, footer, Region::Rows, |block, count| match block {
        Some(block) => {
            let before = rows.len();
            rows.extend((0..count).map(|slot| table::row_at(block, slot)));
            bounds.whole(rows[before].key, rows[rows.len() - 1].key);
        }
        None => bounds.damaged(),
    });
    seen.damaged.extend(damaged.await?);
    let damaged = each_block(file, footer, Region::Postings, |block, count| {
        let places = block.into_iter().flat_map(|block| {
            (0..count).map(|slot| PartPlace::from(table::posting_at(block, slot)))
        });
        seen.places.extend(places);
    });
    let postings = damaged.await?;
    if postings.is_some() {
        seen.places.clear();
    }
    seen.places.sort_unstable();
    seen.damaged.extend(postings);
    let rows_are_whole = !seen.damaged.iter().any(|damaged| damaged.region == Region::Rows);
    let mut firsts = rows.iter().step_by(Region::Rows.per_block());
    let mut sparse_are_right = true;
    let damaged = each_block(file, footer, Region::SparseKeys, |block, count| {
        for (slot, row) in firsts.by_ref().take(count).enumerate() {
            let found = block.map(|block| table::find_sparse(block, count, row.key));
            sparse_are_right &= found.is_none_or(|found| found == Some(slot));
        }
    });
    seen.damaged.extend(damaged.await?);
    seen.bounds = bounds.found;
    if rows_are_whole {
        seen.disagrees = !sparse_are_right || !rows.is_sorted_by(|a, b| a.key < b.key);
        seen.rows = Some(rows);
    }
    Ok(seen)
}

/// Between which keys the damaged blocks of rows lie, all of them together.
#[derive(Default)]
struct Bounds {
    found: Option<(Option<ShardKey>, Option<ShardKey>)>,
    last: Option<ShardKey>,
    is_open: bool,
}

impl Bounds {
    fn whole(&mut self, first: ShardKey, last: ShardKey) {
        if std::mem::take(&mut self.is_open)
            && let Some((_, before)) = &mut self.found
        {
            *before = Some(first);
        }
        self.last = Some(last);
    }

    fn damaged(&mut self) {
        let (after, _) = self.found.unwrap_or((self.last, None));
        self.found = Some((after, None));
        self.is_open = true;
    }
}

/// Gives every block of a region, `None` for a damaged one, with the count of its entries.
async fn each_block(
    file: &File,
    footer: &Footer,
    region: Region,
    mut visit: impl FnMut(Option<&[u8]>, usize),
) -> Result<Option<DamagedBlocks>, IoError> {
    let blocks = region.blocks(footer.count(region));
    let mut damaged: Option<DamagedBlocks> = None;
    for from in (0..blocks).step_by(PIECE_BLOCKS) {
        let to = (from + PIECE_BLOCKS).min(blocks);
        let position = footer.block_position(region, from);
        let piece = file.read(position, (to - from) * BLOCK_BYTES).await?;
        for (ordinal, block) in (from..).zip(piece.chunks_exact(BLOCK_BYTES)) {
            let is_whole = region.is_whole(block, footer.seed);
            if !is_whole {
                let first = DamagedBlocks { region, first: ordinal, count: 0 };
                damaged.get_or_insert(first).count += 1;
            }
            visit(is_whole.then_some(block), footer.count_in_block(region, ordinal));
        }
    }
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_rows_lie_between_their_neighbours() {
        let mut bounds = Bounds::default();
        bounds.whole(ShardKey(0), ShardKey(9));
        bounds.damaged();
        bounds.damaged();
        bounds.whole(ShardKey(30), ShardKey(39));
        let seen = TableSeen { bounds: bounds.found, ..TableSeen::default() };
        let keys = [0, 9, 10, 29, 30, 50].map(ShardKey);
        assert_eq!(seen.concerned(keys.into_iter()), [ShardKey(10), ShardKey(29)]);
        let mut bounds = Bounds::default();
        bounds.damaged();
        let seen = TableSeen { bounds: bounds.found, ..TableSeen::default() };
        assert_eq!(seen.concerned(keys.into_iter()), keys, "there is no neighbour");
    }
}
