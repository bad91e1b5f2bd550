//! One shard read in order, part by part, with reads in flight ahead of the reader.
//!
//! ```text
//!   postings    p0 p1 p2 p3 | p4 p5 p6 p7 | p8 ..      parts close together form a stretch
//!   stretches   [ in use   ]  [ read     ]  [ in flight ] ..   at most 8, 1 MiB each
//! ```
//! A reader has no handle: its next call is known by shard and index, and finds the stream that the
//! call before left there. A first call reads what it needs; one that goes on reads ahead, twice as
//! far each time. Streams that nobody comes back to are dropped, the oldest first, within a bound.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use runtime::buffer::Buffer;
use runtime::file::Pending;
use xxhash_rust::xxh3::xxh3_64;

use super::{Cold, Place, Wanted};
use crate::chunk::{Chunk, ReadLimit, cut};
use crate::error::ReadError;
use crate::frame::BLOCK_BYTES;
use crate::segment_set::Segment;
use crate::shard::ShardSlot;
use crate::table::{Posting, Row};

/// What is read at a time, bytes; a larger part is read alone.
const STRETCH_BYTES: usize = 1 << 20;
/// Strangers' bytes between two parts that are read along rather than skipped.
const GAP_BYTES_MAX: u32 = 64 << 10;
/// Stretches of one stream.
const DEPTH_MAX: usize = 8;
/// What all streams of a log may have read ahead together, bytes.
const AHEAD_BYTES_MAX: usize = 32 << 20;
/// Streams that wait for their readers.
const STREAMS_MAX: usize = 64;

/// Streams whose readers may come back.
#[derive(Default)]
pub(super) struct Streams {
    /// The oldest in front.
    waiting: RefCell<VecDeque<Stream>>,
    ahead_bytes: Rc<Cell<usize>>,
}

impl Streams {
    /// The stream whose reader goes on with this record.
    pub(super) fn take(&self, slot: ShardSlot, from: u64) -> Option<Stream> {
        let mut waiting = self.waiting.borrow_mut();
        let is_it = |stream: &Stream| stream.slot == slot && stream.next_index == from;
        let at = waiting.iter().position(is_it)?;
        let mut stream = waiting.remove(at).expect("it was just found");
        stream.ahead = (stream.ahead * 2).clamp(1, DEPTH_MAX);
        stream.resume().then_some(stream)
    }

    fn keep(&self, mut stream: Stream) {
        stream.pause();
        let mut waiting = self.waiting.borrow_mut();
        waiting.push_back(stream);
        while waiting.len() > STREAMS_MAX {
            waiting.pop_front();
        }
    }

    /// Whether `bytes` more may be read ahead; streams that wait give way to one that runs.
    fn has_room(&self, bytes: usize) -> bool {
        while self.ahead_bytes.get() + bytes > AHEAD_BYTES_MAX {
            if self.waiting.borrow_mut().pop_front().is_none() {
                return false;
            }
        }
        true
    }
}

enum Bytes {
    InFlight(Pending<Buffer>),
    Here(Buffer),
}

/// Parts that are read together.
struct Stretch {
    segment: u64,
    position: u64,
    /// Those that the reader has not had in full; the first may have been looked at.
    parts: VecDeque<Posting>,
    first_is_right: bool,
    bytes: Option<Bytes>,
    byte_count: usize,
    ahead_bytes: Rc<Cell<usize>>,
}

impl Drop for Stretch {
    fn drop(&mut self) {
        self.ahead_bytes.set(self.ahead_bytes.get() - self.byte_count);
    }
}

/// See the file's head.
pub(super) struct Stream {
    slot: ShardSlot,
    /// Where its reader goes on.
    next_index: u64,
    /// The segments in use, the one being planned last. While the reader is away they are not held:
    /// its file may be wanted for something else.
    segments: Vec<Rc<Segment>>,
    paused: Vec<Weak<Segment>>,
    /// Where the planning is: the next posting, one past the last, and the index that the next
    /// posting must have.
    posting: u32,
    posting_end: u32,
    planned_index: u64,
    /// There is nothing more to plan.
    is_at_end: bool,
    stretches: VecDeque<Stretch>,
    /// Stretches to have beyond what the reader asked for.
    ahead: usize,
}

impl Stream {
    /// A stream from `wanted.from` on, or from the first record of `place`.
    pub(super) async fn new(
        cold: &Cold,
        wanted: Wanted,
        place: &Place,
    ) -> Result<Stream, ReadError> {
        let Place { segment, row } = place;
        let from = wanted.from.max(row.first_index());
        let (posting, posting_end) = (row.first_posting, row.first_posting + row.postings);
        let posting = first_posting_behind(cold, segment, posting, posting_end, from).await?;
        Ok(Stream {
            slot: wanted.slot,
            next_index: from,
            segments: vec![segment.clone()],
            paused: Vec::new(),
            posting,
            posting_end,
            planned_index: from,
            is_at_end: false,
            stretches: VecDeque::new(),
            ahead: 0,
        })
    }

    fn segment(&self) -> &Rc<Segment> {
        self.segments.last().expect("a stream that is not paused has a segment")
    }

    /// Lets go of the segments.
    fn pause(&mut self) {
        let first = self.stretches.front().map_or(u64::MAX, |stretch| stretch.segment);
        let last = self.segment().entry().first;
        let is_in_use = |segment: &&Rc<Segment>| {
            segment.entry().first >= first || segment.entry().first == last
        };
        self.paused = self.segments.iter().filter(is_in_use).map(Rc::downgrade).collect();
        self.segments.clear();
    }

    /// Takes the segments back; false if one has been replaced or removed since: then what was read
    /// ahead may be of another use of its file.
    fn resume(&mut self) -> bool {
        assert!(self.segments.is_empty());
        let paused = std::mem::take(&mut self.paused);
        let count = paused.len();
        let held = paused.iter().filter_map(Weak::upgrade);
        self.segments = held.filter(|segment| !segment.is_retired()).collect();
        self.segments.len() == count
    }

    fn planned_bytes(&self) -> usize {
        self.stretches.iter().map(|stretch| stretch.byte_count).sum()
    }

    /// Goes on to the next segment, if it holds the shard's next records and has postings.
    async fn go_to_next_segment(&mut self, cold: &Cold, wanted: &Wanted) -> Result<(), ReadError> {
        self.is_at_end = true;
        let Some(segment) = cold.set.from(self.segment().entry().last + 1) else { return Ok(()) };
        if !cold.tables.shape(&segment).await?.has_postings {
            return Ok(());
        }
        let row = cold.tables.row(&segment, wanted.key).await?;
        let goes_on = |row: &Row| row.postings > 0 && row.first_index() == self.planned_index;
        let Some(row) = row.filter(goes_on) else { return Ok(()) };
        self.segments.push(segment);
        self.posting = row.first_posting;
        self.posting_end = row.first_posting + row.postings;
        self.is_at_end = false;
        Ok(())
    }

    /// Submits the read of the next stretch, of at most `bytes_max` where it has several parts.
    async fn plan(
        &mut self,
        cold: &Cold,
        wanted: &Wanted,
        bytes_max: usize,
    ) -> Result<(), ReadError> {
        while self.posting == self.posting_end && !self.is_at_end {
            self.go_to_next_segment(cold, wanted).await?;
        }
        if self.is_at_end || self.planned_index >= wanted.end {
            self.is_at_end = true;
            return Ok(());
        }
        let mut parts: VecDeque<Posting> = VecDeque::new();
        let (mut position, mut end) = (0, 0);
        while self.posting < self.posting_end {
            let part = cold.tables.posting(self.segment(), self.posting).await?;
            let part_end = block_end(&part);
            if let Some(last) = parts.back() {
                let gap = part.position.checked_sub(last.position + last.bytes);
                let fits = part_end - position <= bytes_max as u64;
                if !fits || gap.is_none_or(|gap| gap > GAP_BYTES_MAX) {
                    break;
                }
            } else {
                position = block_start(&part);
            }
            end = part_end;
            self.planned_index = part.end_index();
            self.posting += 1;
            parts.push_back(part);
        }
        let byte_count = (end - position) as usize;
        let file = cold.set.file(self.segment()).await?;
        let read = file.read(position, byte_count);
        cold.count(|stats| {
            stats.misses += 1;
            stats.read_bytes += byte_count as u64;
        });
        let ahead_bytes = cold.streams.ahead_bytes.clone();
        ahead_bytes.set(ahead_bytes.get() + byte_count);
        self.stretches.push_back(Stretch {
            segment: self.segment().entry().first,
            position,
            parts,
            first_is_right: false,
            bytes: Some(Bytes::InFlight(read)),
            byte_count,
            ahead_bytes,
        });
        Ok(())
    }

    /// Plans what the reader needs now, and what is read ahead for it.
    async fn plan_enough(
        &mut self,
        cold: &Cold,
        wanted: &Wanted,
        limit: &ReadLimit,
    ) -> Result<(), ReadError> {
        loop {
            let count = self.stretches.len();
            let is_needed = count == 0 || self.planned_bytes() < limit.bytes && count < DEPTH_MAX;
            let is_ahead = count <= self.ahead && count < DEPTH_MAX;
            let may = count == 0 || cold.streams.has_room(STRETCH_BYTES);
            if self.is_at_end || !(is_needed || is_ahead) || !may {
                return Ok(());
            }
            let bytes_max = match is_ahead && self.ahead > 0 {
                true => STRETCH_BYTES,
                false => limit.bytes.clamp(BLOCK_BYTES, STRETCH_BYTES),
            };
            match self.plan(cold, wanted, bytes_max).await {
                // What is damaged further on is told to the reader who comes there.
                Err(_) if count > 0 => return Ok(()),
                other => other?,
            }
        }
    }
}

impl Stretch {
    /// The bytes of the first part, if its checksum is right.
    async fn first_part(&mut self, part: &Posting) -> Result<&[u8], ReadError> {
        let buffer = match self.bytes.take().expect("a stretch always has its bytes") {
            Bytes::InFlight(read) => read.await?,
            Bytes::Here(buffer) => buffer,
        };
        self.bytes = Some(Bytes::Here(buffer));
        let Some(Bytes::Here(buffer)) = &self.bytes else { unreachable!("they are here now") };
        let start = (u64::from(part.position) - self.position) as usize;
        let bytes = &buffer[start..start + part.bytes as usize];
        if !self.first_is_right && xxh3_64(bytes) != part.checksum {
            let position = u64::from(part.position);
            return Err(ReadError::Damaged { segment: self.segment, position });
        }
        self.first_is_right = true;
        Ok(bytes)
    }
}

impl Cold {
    pub(super) async fn read_stream(
        &self,
        mut stream: Stream,
        wanted: Wanted,
        limit: &mut ReadLimit,
        mut is_first: bool,
    ) -> Result<Vec<Chunk>, ReadError> {
        let mut chunks: Vec<Chunk> = Vec::new();
        while !limit.is_exhausted() {
            stream.plan_enough(self, &wanted, limit).await?;
            let Some(stretch) = stream.stretches.front_mut() else { break };
            let Some(part) = stretch.parts.front().copied() else {
                stream.stretches.pop_front();
                continue;
            };
            let segment = stretch.segment;
            let bytes = match stretch.first_part(&part).await {
                Ok(bytes) => bytes,
                // Those before it are given; the next call begins with it and is refused.
                Err(ReadError::Damaged { .. }) if !chunks.is_empty() => return Ok(chunks),
                Err(error) => return Err(error),
            };
            if part.first_index > stream.next_index {
                let position = u64::from(part.position);
                return Err(ReadError::Damaged { segment, position });
            }
            let from = stream.next_index;
            let chunk = cut(bytes, part.base_ms, part.first_index, from, limit, is_first);
            let Some(chunk) = chunk else { break };
            is_first = false;
            stream.next_index = chunk.end_index();
            self.count(|stats| stats.hits += 1);
            chunks.push(chunk);
            if stream.next_index == part.end_index() {
                stretch.parts.pop_front();
                stretch.first_is_right = false;
            }
        }
        if !stream.is_at_end || stream.next_index < stream.planned_index {
            self.streams.keep(stream);
        }
        Ok(chunks)
    }
}

fn block_start(part: &Posting) -> u64 {
    u64::from(part.position) / BLOCK_BYTES as u64 * BLOCK_BYTES as u64
}

fn block_end(part: &Posting) -> u64 {
    (u64::from(part.position) + u64::from(part.bytes)).next_multiple_of(BLOCK_BYTES as u64)
}

/// The first of the postings `low..high` that ends behind record `from`.
async fn first_posting_behind(
    cold: &Cold,
    segment: &Rc<Segment>,
    mut low: u32,
    mut high: u32,
    from: u64,
) -> Result<u32, ReadError> {
    while low < high {
        let middle = low + (high - low) / 2;
        let posting = cold.tables.posting(segment, middle).await?;
        match posting.end_index() > from {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Ok(low)
}
