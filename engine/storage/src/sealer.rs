//! Gives every full segment its table: behind its frames, durable, and only once all of its frames
//! are. Then the segment joins the set of sealed ones, and its index may leave the memory.
//!
//! It must never write a table that promises a frame which a crash could still take.
//!
//! Memory of what is not sealed: appends wait while [`UNSEALED_SEGMENTS_MAX`] segments are full, so
//! there are at most that many indices and the active one's that cannot be dropped. An index takes
//! 32 bytes a part, and a part at least 36 in its frame (a directory entry and a record's header):
//! never more than the segment, a quarter of it for records of 100 bytes that each have a part of
//! their own. Cached frames and all indices together stay within `cache_bytes_max`, as far as frames
//! can be dropped for it: the bound is
//! `max(cache_bytes_max, (UNSEALED_SEGMENTS_MAX + 1) * segment_bytes + frames in flight)`.
//!
//! Budget per segment: one or a few writes and one flush; where parts are read one by one, one
//! checksum over all of its bytes.

use std::rc::Rc;
use std::sync::Arc;

use runtime::buffer::Buffer;
use runtime::file::{File, IoError};
use runtime::{random, task};
use xxhash_rust::xxh3::xxh3_64;

use crate::catalog::SegmentEntry;
use crate::committer;
use crate::frame::{self, BLOCK_BYTES};
use crate::index::{FrameMeta, Part};
use crate::options::Durability;
use crate::planted::{Bug, planted};
use crate::retention::census_of_sealed;
use crate::segment_set::Shape;
use crate::shard::ShardSlot;
use crate::state::{FullSegment, LogInner, Stage};
use crate::table::{COARSE_PART_BYTES, Footer, Posting, Table};

/// Segments that may be full without a table. One is written while the other fills; with more, the
/// memory of their indices would grow for nothing.
pub(crate) const UNSEALED_SEGMENTS_MAX: usize = 2;
/// A table is written in pieces of so many blocks, so that encoding gives way to appends.
const PIECE_BLOCKS: usize = 64;

/// A full segment that is being sealed.
struct Work {
    entry: SegmentEntry,
    file: File,
    frames_end: u64,
    full: FullSegment,
}

/// Seals full segments, the oldest first, for as long as the log lives.
pub(crate) async fn seal_forever(log: Rc<LogInner>) {
    loop {
        let full = log.full.notified();
        let Some(work) = next_work(&log) else {
            if log.is_finished() {
                return;
            }
            full.await;
            continue;
        };
        if let Err(error) = seal(&log, work).await {
            committer::fail(&log, Arc::new(error));
            return;
        }
        committer::pump(&log);
        log.room.notify_all();
        log.sealed.notify_all();
        // Now there is something to rewrite: the log wants a reserve.
        log.pool.wanted.notify_all();
    }
}

/// The oldest full segment, if all of its frames are durable.
fn next_work(log: &LogInner) -> Option<Work> {
    let mut state = log.state.borrow_mut();
    let state = &mut *state;
    if state.failed.is_some() {
        return None;
    }
    let durable_frames = state.durable_frames;
    let is_full = |stage: &Stage| matches!(stage, Stage::Full(_));
    let segment = state.live.iter_mut().find(|segment| is_full(&segment.stage))?;
    let Stage::Full(full) = &segment.stage else { return None };
    if full.next_frame > durable_frames && !planted(Bug::SealBeforeDurable) {
        return None;
    }
    let stage = std::mem::replace(&mut segment.stage, Stage::Sealing);
    let Stage::Full(full) = stage else { unreachable!("it was just seen to be full") };
    Some(Work {
        entry: segment.entry,
        file: segment.file.clone(),
        frames_end: segment.position,
        full: *full,
    })
}

async fn seal(log: &Rc<LogInner>, work: Work) -> Result<(), IoError> {
    let Work { entry, file, frames_end, full } = work;
    assert_eq!(entry.first, entry.last);
    assert!(!entry.clustered);
    if log.options.durability == Durability::Written {
        // Its frames were acknowledged without a flush: the table must not survive them.
        file.flush().await?;
    }
    let FullSegment { mut rows, slots, next_frame, last_checksum, arrival_ms, .. } = full;
    let mut postings = Vec::new();
    if let Some(checksums) = part_checksums(log, entry.first, &file).await? {
        let state = log.state.borrow();
        let segment = state.live_segment(entry.first).expect("a segment stays until it is sealed");
        for (row, slot) in rows.iter_mut().zip(&slots) {
            row.first_posting = u32::try_from(postings.len()).expect("a segment has < 2^32 parts");
            let first = postings.len();
            postings.extend(segment.index.ordinals_newest_first(*slot).map(|ordinal| {
                let part = segment.index.part(ordinal);
                let frame = &segment.index.frames[part.frame as usize];
                posting(part, frame, checksums[ordinal as usize])
            }));
            postings[first..].reverse();
            row.postings = (postings.len() - first) as u32;
        }
    }
    let footer = Footer {
        first: entry.first,
        last: entry.last,
        generation: entry.generation,
        log: entry.log,
        clustered: false,
        has_postings: !postings.is_empty(),
        has_nameless_damage: full.has_nameless_damage,
        frames_end: u32::try_from(frames_end).expect("a segment has < 2^32 bytes"),
        next_frame,
        last_checksum,
        arrival_ms,
        life: log.options.life,
        seed: random::seed(),
        ..Footer::default()
    };
    let table = Table::new(footer, rows, postings, entry.bytes);
    write_table(&file, &table).await?;
    file.flush().await?;
    finish(log, &entry, &table, &slots);
    Ok(())
}

fn posting(part: &Part, frame: &FrameMeta, checksum: u64) -> Posting {
    Posting {
        position: part.position,
        bytes: part.bytes,
        first_index: part.first_index,
        count: part.count,
        base_ms: frame.base_ms,
        checksum,
    }
}

/// The table is durable: the segment joins the set.
fn finish(log: &LogInner, entry: &SegmentEntry, table: &Table, slots: &[ShardSlot]) {
    let segment = log.segments.insert(*entry);
    segment.set_shape(Some(Shape::of(table.footer())));
    let mut state = log.state.borrow_mut();
    let state = &mut *state;
    let retention = &log.retention;
    let rows = table.rows();
    segment.set_census(census_of_sealed(retention, state, entry.last, rows, slots));
    state.stats.table_bytes += (table.block_count() * BLOCK_BYTES) as u64;
    state.stats.sealed_segments += 1;
    let live = state.live_segment_mut(entry.first).expect("a segment stays until it is sealed");
    assert!(matches!(live.stage, Stage::Sealing));
    live.stage = Stage::Sealed;
    committer::evict(state, log.options.cache_bytes_max);
}

/// The checksum of every part of the segment by ordinal, if its parts are large enough to be read
/// one by one. `None` also if a frame turns out damaged: what was not seen whole gets no checksum
/// of its own, and readers come to see the frame's.
async fn part_checksums(
    log: &LogInner,
    number: u64,
    file: &File,
) -> Result<Option<Vec<u64>>, IoError> {
    let (frame_count, is_coarse) = {
        let state = log.state.borrow();
        let segment = state.live_segment(number).expect("a segment stays until it is sealed");
        let bytes: u64 = segment.index.heads().iter().map(|head| u64::from(head.bytes)).sum();
        let part_count = u64::from(segment.index.part_count());
        let is_coarse = part_count > 0 && bytes >= part_count * COARSE_PART_BYTES as u64;
        (segment.index.frames.len(), is_coarse)
    };
    if !is_coarse {
        return Ok(None);
    }
    let mut checksums = Vec::new();
    for ordinal in 0..frame_count {
        let meta = {
            let state = log.state.borrow();
            let segment = state.live_segment(number).expect("a segment stays until it is sealed");
            segment.index.frames[ordinal].clone()
        };
        let buffer = match meta.buffer.clone() {
            Some(buffer) => buffer,
            None => Rc::new(file.read(u64::from(meta.position), meta.bytes as usize).await?),
        };
        let is_cached = meta.buffer.is_some();
        let is_it = |bytes: &[u8]| {
            frame::decode(bytes).is_ok_and(|checked| {
                checked.header.number == meta.number && checked.header.segment == number
            })
        };
        if !is_cached && !is_it(&buffer) {
            return Ok(None);
        }
        add_checksums(log, number, ordinal, &buffer, &mut checksums);
        if task::should_yield() {
            task::yield_now().await;
        }
    }
    Ok(Some(checksums))
}

fn add_checksums(
    log: &LogInner,
    number: u64,
    frame_ordinal: usize,
    frame: &Buffer,
    checksums: &mut Vec<u64>,
) {
    let state = log.state.borrow();
    let segment = state.live_segment(number).expect("a segment stays until it is sealed");
    let frame_position = segment.index.frames[frame_ordinal].position;
    for ordinal in checksums.len() as u32..segment.index.part_count() {
        let part = segment.index.part(ordinal);
        if part.frame as usize != frame_ordinal {
            break;
        }
        let start = (part.position - frame_position) as usize;
        checksums.push(xxh3_64(&frame[start..start + part.bytes as usize]));
    }
}

/// Writes a table to the end of its file; it is durable after a flush.
///
/// # Errors
/// The disk's.
pub(crate) async fn write_table(file: &File, table: &Table) -> Result<(), IoError> {
    let mut first = 0;
    while first < table.block_count() {
        let count = (table.block_count() - first).min(PIECE_BLOCKS);
        let mut buffer = Buffer::reused(count * BLOCK_BYTES);
        for (ordinal, block) in buffer.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            table.encode_block(first + ordinal, block);
        }
        let position = table.position() + (first * BLOCK_BYTES) as u64;
        file.write(position, Rc::new(buffer)).await?;
        first += count;
    }
    Ok(())
}
