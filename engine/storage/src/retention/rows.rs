//! Reads all rows of a sealed segment's table, past the cache: each is looked at once.

use runtime::file::{File, IoError};
use runtime::task;

use crate::catalog::SegmentEntry;
use crate::frame::BLOCK_BYTES;
use crate::table::{Footer, Region, Row, row_at};

/// Read at a time, blocks: little memory, and few reads for a log of many shards.
const PIECE_BLOCKS: usize = 64;

/// The footer of a segment's file, if it is whole and of this use of the file.
///
/// # Errors
/// The disk's.
pub(crate) async fn read_footer(
    file: &File,
    entry: &SegmentEntry,
) -> Result<Option<Footer>, IoError> {
    let position = entry.bytes - BLOCK_BYTES as u64;
    let block = file.read(position, BLOCK_BYTES).await?;
    let is_of_entry = |footer: &Footer| {
        footer.log == entry.log
            && footer.generation == entry.generation
            && (footer.first, footer.last) == (entry.first, entry.last)
            && footer.clustered == entry.clustered
    };
    Ok(Footer::decode(&block, entry.bytes).filter(is_of_entry))
}

/// Calls `each` with every row, in the order of their keys. False if a block is damaged: what came
/// before it was right.
///
/// # Errors
/// The disk's.
pub(crate) async fn each_row(
    file: &File,
    footer: &Footer,
    mut each: impl FnMut(&Row),
) -> Result<bool, IoError> {
    let blocks = Region::Rows.blocks(footer.count(Region::Rows));
    let mut first = 0;
    while first < blocks {
        let count = (blocks - first).min(PIECE_BLOCKS);
        let position = footer.block_position(Region::Rows, first);
        let piece = file.read(position, count * BLOCK_BYTES).await?;
        for (at, block) in piece.chunks_exact(BLOCK_BYTES).enumerate() {
            if !Region::Rows.is_whole(block, footer.seed) {
                return Ok(false);
            }
            for slot in 0..footer.count_in_block(Region::Rows, first + at) {
                each(&row_at(block, slot));
            }
        }
        first += count;
        if task::should_yield() {
            task::yield_now().await;
        }
    }
    Ok(true)
}
