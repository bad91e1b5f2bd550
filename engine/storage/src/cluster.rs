//! Rewriting in memory: the live records of adjacent segments, ordered by retention and shard.
//!
//! ```text
//!   tables of the segments ──▶ Selection   who is kept, from which index on, how many bytes
//!   their frames, in order ──▶ Gathering   [ A A A | B B | C C C C ]  one arena, a place per shard
//!                              Image       pieces of at most 256 KiB; reads, frames, postings
//! ```
//! The rows of the tables say how many bytes each shard has, so every part is copied once, from its
//! frame to its final place: no list of a million parts, no sort. What does not fit the memory at
//! once is gathered in passes over the same frames. Pure: no file, no clock.
//!
//! It must never leave out a record that is wanted: what the tables promise and the frames do not
//! hold is a [`Hole`], and an image with holes is never written in place of its segments.

use std::collections::BTreeMap;

use crate::frame::{BLOCK_BYTES, DIRECTORY_ENTRY_BYTES, HEADER_BYTES};
use crate::life::ShardLife;
use crate::planted::{Bug, planted};
use crate::shard::ShardKey;
use crate::table::{Row, tail_bytes};

pub use self::gathering::{Gathering, Hole};
pub use self::image::{Image, ImagePart, Written, table_of};

mod gathering;
mod image;

/// A frame of a rewritten segment is closed when the next piece would make it longer, bytes. It is
/// gathered and checked in one turn of about 150 microseconds: twice as much would be felt by
/// appends, and longer frames gain nothing, since a reader reads pieces and not frames.
pub const FRAME_BYTES_TARGET: usize = 512 << 10;
/// A piece takes records up to this size, bytes: what a reader has to read and check at least. A
/// longer record is a piece of its own.
pub const PIECE_BYTES_MAX: usize = 256 << 10;

const _: () = assert!(PIECE_BYTES_MAX < FRAME_BYTES_TARGET);

/// What is kept of one shard over all segments of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    retention_ms: u64,
    first_index: u64,
    next_index: u64,
    bytes: u64,
}

/// Which records of a run of adjacent segments are kept. Fed with the tables in order.
#[derive(Default)]
pub struct Selection {
    kept: BTreeMap<ShardKey, Kept>,
    /// The table of the segment that was begun last, without deleted shards.
    rows: Vec<Row>,
    bytes: u64,
}

impl Selection {
    /// The rows that follow are those of the next segment of the run.
    pub fn begin_segment(&mut self) {
        self.rows.clear();
    }

    /// Adds the next row of the segment, in the order of its table. `life` is what is wanted of
    /// the shard; `None` for one that was deleted.
    pub fn add(&mut self, row: &Row, life: Option<ShardLife>) {
        if row.count == 0 && planted(Bug::RewriteSkipsSilentRows) {
            return;
        }
        if let Some(kept) = self.kept.get_mut(&row.key) {
            // What follows kept records is kept too, or a shard would have a gap.
            kept.next_index = row.next_index;
            kept.bytes += u64::from(row.bytes);
            self.bytes += u64::from(row.bytes);
            self.rows.push(Row { retention_ms: kept.retention_ms, ..*row });
            return;
        }
        let Some(life) = life.filter(|life| !life.deleted) else { return };
        if life.keeps(row) {
            let kept = Kept {
                retention_ms: life.retention_ms,
                first_index: row.first_index(),
                next_index: row.next_index,
                bytes: u64::from(row.bytes),
            };
            self.kept.insert(row.key, kept);
            self.bytes += kept.bytes;
        }
        self.rows.push(Row { retention_ms: life.retention_ms, ..*row });
    }

    /// Takes what is gathered next in `bytes_max` of memory: shards in the order of the output, as
    /// many as fit; at least one, which is gathered in part if it is larger.
    pub fn take_pass(&mut self, bytes_max: u64) -> Selection {
        let mut ordered: Vec<_> =
            self.kept.iter().map(|(key, kept)| (kept.retention_ms, *key)).collect();
        ordered.sort_unstable();
        let mut pass = Selection { rows: self.rows.clone(), ..Selection::default() };
        for (_, key) in ordered {
            let bytes = self.kept[&key].bytes;
            if pass.bytes + bytes > bytes_max && !pass.kept.is_empty() {
                break;
            }
            let kept = self.kept.remove(&key).expect("it was just looked at");
            self.bytes -= bytes;
            pass.bytes += bytes;
            pass.kept.insert(key, kept);
        }
        pass
    }

    /// Whether no records are left to be gathered.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The table of the segment that was begun last, without deleted shards.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Bytes of a file that is sure to take all of it, gathered in passes of `bytes_max`.
    pub fn file_bytes_max(&self, bytes_max: u64) -> u64 {
        passes_file_bytes(self.bytes, self.kept.len(), self.rows.len(), bytes_max)
    }

    /// Bytes of the records that are kept.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Shards of which something is kept.
    pub fn shard_count(&self) -> usize {
        self.kept.len()
    }

    /// Rows that the table will have.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }
}

/// Bytes of a file that is sure to take `live_bytes` of records of `live_shards` shards and a table
/// of `row_count` rows, gathered in passes of `bytes_max`.
pub fn passes_file_bytes(
    live_bytes: u64,
    live_shards: usize,
    row_count: usize,
    bytes_max: u64,
) -> u64 {
    // Two pieces, frames or passes that follow each other are together larger than one may be.
    let halves = |limit: u64| live_bytes * 2 / limit + 1;
    let passes = halves(bytes_max.max(1)) + 1;
    let pieces = live_shards as u64 + halves(PIECE_BYTES_MAX as u64) + passes;
    let content = live_bytes + pieces * DIRECTORY_ENTRY_BYTES as u64;
    let frames = content * 2 / FRAME_BYTES_TARGET as u64 + halves(PIECE_BYTES_MAX as u64) + passes;
    let around = frames * (HEADER_BYTES + BLOCK_BYTES) as u64;
    let pieces = usize::try_from(pieces).expect("a run fits a segment");
    (content + around).next_multiple_of(BLOCK_BYTES as u64) + tail_bytes(row_count, pieces)
}

#[cfg(test)]
mod tests;
