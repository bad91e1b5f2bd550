//! Reads by position: from the cache, from segments that are not sealed, and from sealed ones.
//!
//! ```text
//!   sealed segments (cold)        | live segments: index in memory         | durable tail
//!   rows, postings, direct reads  | cached frame, else the frame from disk |   no further
//! ```

use std::rc::Rc;

use runtime::file::File;

use crate::chunk::{Chunk, ReadLimit, cut};
use crate::cold::Wanted;
use crate::error::ReadError;
use crate::frame;
use crate::index::{FrameMeta, Part};
use crate::planted::{Bug, planted};
use crate::rebuild;
use crate::shard::ShardSlot;
use crate::state::{LogInner, Stage};

/// What a read gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadResult {
    /// Records without gaps but for what has expired, in index order. Empty at the durable tail.
    pub chunks: Vec<Chunk>,
    /// Where the next read goes on.
    pub next: u64,
    /// Age of the next unread record, 0 at the durable tail, ms.
    pub millis_behind: u64,
}

/// The durable tail of a shard that may be read.
pub(crate) fn readable(log: &LogInner, slot: ShardSlot) -> Result<u64, ReadError> {
    let state = log.state.borrow();
    let shard = state.shards.get(slot);
    if let Some(refusal) = shard.read_refusal() {
        return Err(ReadError::Refused { key: shard.key, refusal });
    }
    if planted(Bug::ReadPastDurableTail) {
        return Ok(shard.sealed_index);
    }
    Ok(shard.durable_index)
}

/// Reads from record `from` on, or from the first that has not expired.
pub(crate) async fn read(
    log: &Rc<LogInner>,
    slot: ShardSlot,
    from: u64,
    mut limit: ReadLimit,
) -> Result<ReadResult, ReadError> {
    let durable_index = readable(log, slot)?;
    let mut next = from.max(horizon(log, slot));
    let mut chunks = Vec::new();
    while next < durable_index && !limit.is_exhausted() {
        let found = match locate(log, slot, next, limit, durable_index) {
            Located::Live(pieces) => {
                read_live(log, pieces, next, &mut limit, chunks.is_empty()).await?
            }
            Located::Cold { end } => {
                match read_cold(log, slot, next, end, &mut limit, chunks.is_empty()).await {
                    Ok(Some(found)) => found,
                    Ok(None) => {
                        // What was there has expired: see `cold::proof`.
                        next = end;
                        continue;
                    }
                    // It expired while it was looked for, and what was found no longer has it.
                    Err(ReadError::Damaged { .. } | ReadError::Missing { .. })
                        if horizon(log, slot) > next =>
                    {
                        next = horizon(log, slot);
                        continue;
                    }
                    // What stands before the damage is given first.
                    Err(ReadError::Damaged { .. } | ReadError::Missing { .. })
                        if !chunks.is_empty() =>
                    {
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let Some(last) = found.last() else { break };
        next = last.end_index();
        chunks.extend(found);
    }
    let millis_behind = millis_behind(log, next, durable_index, chunks.last());
    Ok(ReadResult { chunks, next, millis_behind })
}

fn horizon(log: &LogInner, slot: ShardSlot) -> u64 {
    log.state.borrow().shards.get(slot).horizon
}

fn millis_behind(log: &LogInner, next: u64, durable_index: u64, last: Option<&Chunk>) -> u64 {
    if next >= durable_index {
        return 0;
    }
    let now_ms = log.state.borrow().arrival_ms;
    let last_ms = last.and_then(|chunk| chunk.records().last()).map(|record| record.arrival_ms);
    // The next record is at most as old as the last one that was read.
    last_ms.map_or(1, |last_ms| now_ms.saturating_sub(last_ms).max(1))
}

/// A part in a live segment, and how to get at it.
struct Piece {
    part: Part,
    frame: FrameMeta,
    file: File,
    segment: u64,
    /// Keeps the file from being given up.
    _readers: Rc<()>,
}

enum Located {
    Live(Vec<Piece>),
    /// The record stands in a sealed segment. Indices in memory begin with `end`.
    Cold {
        end: u64,
    },
}

/// The parts from the one that holds `from` on, as many as `limit` can use.
fn locate(log: &LogInner, slot: ShardSlot, from: u64, limit: ReadLimit, end: u64) -> Located {
    let state = log.state.borrow();
    let mut newest_first = Vec::new();
    let mut oldest = u64::MAX;
    'live: for segment in state.live.iter().rev() {
        let is_sealed = matches!(segment.stage, Stage::Sealed);
        for part in segment.index.newest_first(slot) {
            if is_sealed && (part.frame as usize) < segment.evicted_frames {
                // Its table leads to the part alone; here the whole frame would be read for it.
                break 'live;
            }
            oldest = part.first_index;
            if part.first_index < end {
                newest_first.push((segment, *part));
            }
            if part.first_index <= from {
                break;
            }
        }
        if oldest <= from {
            break;
        }
    }
    if oldest > from {
        return Located::Cold { end: oldest.min(end) };
    }
    let mut left = limit;
    let mut pieces = Vec::new();
    for (segment, part) in newest_first.into_iter().rev() {
        if left.is_exhausted() {
            break;
        }
        left.records = left.records.saturating_sub(part.count as usize);
        left.bytes = left.bytes.saturating_sub(part.bytes as usize);
        let frame = segment.index.frames[part.frame as usize].clone();
        let file = segment.file.clone();
        let _readers = segment.readers.clone();
        pieces.push(Piece { part, frame, file, segment: segment.entry.first, _readers });
    }
    Located::Live(pieces)
}

async fn read_cold(
    log: &LogInner,
    slot: ShardSlot,
    from: u64,
    end: u64,
    limit: &mut ReadLimit,
    is_first: bool,
) -> Result<Option<Vec<Chunk>>, ReadError> {
    let (key, horizon_segment) = {
        let state = log.state.borrow();
        let shard = state.shards.get(slot);
        (shard.key, shard.horizon_segment)
    };
    let wanted = Wanted { slot, key, from, end, horizon_segment };
    let limit_before = *limit;
    loop {
        match log.cold.read(log, wanted, limit, is_first).await {
            Err(error) if rebuild::mends(log, &error).await? => *limit = limit_before,
            other => return other,
        }
    }
}

async fn read_live(
    log: &LogInner,
    pieces: Vec<Piece>,
    from: u64,
    limit: &mut ReadLimit,
    mut is_first: bool,
) -> Result<Vec<Chunk>, ReadError> {
    let mut chunks = Vec::new();
    for piece in pieces {
        let Piece { part, frame, .. } = &piece;
        let start = (part.position - frame.position) as usize;
        let range = start..start + part.bytes as usize;
        let chunk = match &frame.buffer {
            Some(buffer) => {
                log.state.borrow_mut().stats.cache_hits += 1;
                let bytes = &buffer[range];
                cut(bytes, frame.base_ms, part.first_index, from, limit, is_first)
            }
            None => {
                let buffer = read_frame(log, &piece).await?;
                let bytes = &buffer[range];
                cut(bytes, frame.base_ms, part.first_index, from, limit, is_first)
            }
        };
        let Some(chunk) = chunk else { break };
        chunks.push(chunk);
        is_first = false;
        if limit.is_exhausted() {
            break;
        }
    }
    Ok(chunks)
}

/// Reads a frame that has left the cache, and checks it.
async fn read_frame(log: &LogInner, piece: &Piece) -> Result<runtime::buffer::Buffer, ReadError> {
    let position = u64::from(piece.frame.position);
    let buffer = piece.file.read(position, piece.frame.bytes as usize).await?;
    {
        let mut state = log.state.borrow_mut();
        state.stats.cache_misses += 1;
        state.stats.read_bytes += buffer.len() as u64;
    }
    let is_right = matches!(frame::decode(&buffer), Ok(checked)
        if checked.header.number == piece.frame.number && checked.header.segment == piece.segment);
    if !is_right {
        return Err(ReadError::Damaged { segment: piece.segment, position });
    }
    Ok(buffer)
}
