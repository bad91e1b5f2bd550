//! All mutable state of one log. Borrowed between two awaits, never across one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use runtime::clock::Instant;
use runtime::file::{File, IoError};
use runtime::local::{Notify, OneshotSender, Semaphore};

use crate::arrival::ArrivalClock;
use crate::catalog::SegmentEntry;
use crate::cold::Cold;
use crate::error::{AppendError, Damage};
use crate::follower::Followers;
use crate::gather::{Batch, Gather, Run};
use crate::index::{PartBlocks, SegmentIndex};
use crate::options::LogOptions;
use crate::pool::Pool;
use crate::retention::Retention;
use crate::segment_set::SegmentSet;
use crate::shard::ShardSlot;
use crate::shards::Shards;
use crate::stats::LogStats;
use crate::table::Row;

/// What an append resolves to when it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The index of each record, in the order of the request.
    pub indices: Vec<u64>,
    /// When the records arrived, Unix ms.
    pub arrival_ms: u64,
}

/// Somebody who waits for a batch.
pub(crate) struct Waiter {
    pub batch: Rc<Batch>,
    pub done: OneshotSender<Result<Appended, AppendError>>,
}

/// A frame that is still being filled, or waits to be written.
pub(crate) struct OpenFrame {
    pub runs: Vec<Run>,
    /// Batches whose last record is in this frame.
    pub waiters: Vec<Waiter>,
    /// Bytes of the frame if every record had a directory entry of its own.
    pub bytes_max: usize,
    /// Bytes of its records, for the bound on what waits.
    pub waiting_bytes: usize,
    pub base_ms: u64,
    pub opened_at: Instant,
    /// Takes no more records.
    pub closed: bool,
}

/// A frame that was submitted and is not durable yet.
pub(crate) struct InFlight {
    pub number: u64,
    /// Segment number.
    pub segment: u64,
    /// Its parts in the segment's index: from, and one past.
    pub parts: (u32, u32),
    pub frame_bytes: usize,
    pub written: bool,
    pub waiters: Vec<Waiter>,
    pub is_seal: bool,
}

/// How far a segment in memory has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Frames are appended to it.
    Appending,
    /// It takes no more frames and waits for its table.
    Full(Box<FullSegment>),
    /// Its table is being written.
    Sealing,
    /// Its table is durable; only its cached frames keep it in memory.
    Sealed,
}

/// What the table of a full segment says, taken when it became full.
#[derive(Debug)]
pub(crate) struct FullSegment {
    /// Of all shards that have had records, in the order of their keys.
    pub rows: Vec<Row>,
    /// The slot of each row's shard.
    pub slots: Vec<ShardSlot>,
    pub next_frame: u64,
    pub last_checksum: u64,
    pub arrival_ms: u64,
    /// See the footer.
    pub has_nameless_damage: bool,
}

/// A segment whose index is in memory.
pub(crate) struct LiveSegment {
    pub entry: SegmentEntry,
    pub file: File,
    /// Where the next frame goes, bytes.
    pub position: u64,
    pub index: SegmentIndex,
    pub stage: Stage,
    /// Frames before this ordinal have left the cache.
    pub evicted_frames: usize,
    /// Held by everybody who reads the file without holding the sealed segment: as long as it is,
    /// the segment stays here, and its file is not given up.
    pub readers: Rc<()>,
}

impl LiveSegment {
    pub(crate) fn new(entry: SegmentEntry, file: File) -> LiveSegment {
        LiveSegment {
            entry,
            file,
            position: 0,
            index: SegmentIndex::default(),
            stage: Stage::Appending,
            evicted_frames: 0,
            readers: Rc::new(()),
        }
    }
}

/// Where the log stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Recovered; nothing may be written before the seal frame.
    AwaitSeal,
    /// The seal frame is in flight; nothing else may be.
    Sealing,
    /// Frames may be written.
    Open,
}

/// The state that changes with every append and every completion.
pub(crate) struct State {
    pub shards: Shards,
    pub gather: Gather,
    pub blocks: PartBlocks,
    /// Frames to be written, the oldest in front; only the last may be open.
    pub open: VecDeque<OpenFrame>,
    pub waiting_bytes: usize,
    /// Segments with an index in memory, oldest in front; appends go to the last.
    pub live: VecDeque<LiveSegment>,
    pub in_flight: VecDeque<InFlight>,
    pub writes_in_flight: usize,
    /// Number of the next frame.
    pub next_frame: u64,
    /// Header checksum of the newest frame.
    pub last_checksum: u64,
    /// All frames below are durable.
    pub durable_frames: u64,
    /// The newest frame is a mark, a seal, or there is none.
    pub marked: bool,
    /// The highest arrival time given out, Unix ms.
    pub arrival_ms: u64,
    pub arrival_clock: ArrivalClock,
    pub cached_bytes: usize,
    pub failed: Option<Arc<IoError>>,
    pub phase: Phase,
    /// Shut down: nothing more is accepted, and what waits is written without lingering.
    pub is_closed: bool,
    pub linger_armed: bool,
    pub damage: Vec<Damage>,
    /// A damaged frame does not say whose records it held: a shard that is known to others and not
    /// to the log may have had all of its records there.
    pub has_nameless_damage: bool,
    pub stats: LogStats,
}

/// One log: its state, and what its tasks wait for.
pub(crate) struct LogInner {
    pub options: LogOptions,
    pub state: RefCell<State>,
    pub pool: Pool,
    /// The segments whose tables are durable.
    pub segments: SegmentSet,
    /// Reads them.
    pub cold: Cold,
    pub retention: Retention,
    /// Something was written completely: the flusher may have work.
    pub written: Notify,
    /// The durable prefix moved, or the log failed.
    pub durable: Notify,
    /// There may be room for an append again.
    pub room: Notify,
    /// A segment became full, or a full one became durable.
    pub full: Notify,
    /// A segment was sealed.
    pub sealed: Notify,
    /// One table is mended at a time, and by one.
    pub mending: Semaphore,
    /// Reads of followers that fell behind and searches by time, which nobody else counts.
    pub own_reads: Semaphore,
    /// Who is fed at commit.
    pub followers: Followers,
    /// Shut down and drained: the log's tasks end.
    pub finished: Cell<bool>,
}

impl LogInner {
    /// Number of the oldest segment of which all frames are in the cache, or that is not sealed.
    pub(crate) fn oldest_cached(&self) -> u64 {
        let state = self.state.borrow();
        let is_cached = |segment: &&LiveSegment| {
            !matches!(segment.stage, Stage::Sealed) || segment.evicted_frames == 0
        };
        let oldest = state.live.iter().find(is_cached);
        oldest.expect("an open log has a segment to append to").entry.first
    }
}

impl State {
    /// The segment that frames are appended to.
    pub(crate) fn active(&self) -> &LiveSegment {
        self.live.back().expect("an open log has a segment to append to")
    }

    pub(crate) fn active_mut(&mut self) -> &mut LiveSegment {
        self.live.back_mut().expect("an open log has a segment to append to")
    }

    /// Number of the first frame that has not been written completely.
    pub(crate) fn written_frames(&self) -> u64 {
        let unwritten = self.in_flight.iter().find(|frame| !frame.written);
        unwritten.map_or(self.next_frame, |frame| frame.number)
    }

    /// Segments that take no more frames and have no table yet.
    pub(crate) fn unsealed_count(&self) -> usize {
        let is_unsealed =
            |segment: &&LiveSegment| matches!(segment.stage, Stage::Full(_) | Stage::Sealing);
        self.live.iter().filter(is_unsealed).count()
    }

    /// Bytes of cached frames and of indices; see `sealer` for their bound.
    pub(crate) fn memory_bytes(&self) -> usize {
        let indices = self.live.iter().map(|segment| segment.index.memory_bytes());
        self.cached_bytes + self.blocks.memory_bytes() + indices.sum::<usize>()
    }

    /// Lets the indices and cached frames of all segments up to `number` go, which are sealed, so
    /// that their files may be given up. False if one of them is being read.
    pub(crate) fn release(&mut self, number: u64) -> bool {
        while let Some(oldest) = self.live.front().filter(|oldest| oldest.entry.first <= number) {
            assert!(matches!(oldest.stage, Stage::Sealed));
            if Rc::strong_count(&oldest.readers) > 1 {
                return false;
            }
            let oldest = self.live.pop_front().expect("there is an oldest segment");
            let cached = oldest.index.frames.iter().filter_map(|frame| frame.buffer.as_ref());
            self.cached_bytes -= cached.map(|buffer| buffer.taken_bytes()).sum::<usize>();
            self.blocks.recycle(oldest.index);
        }
        true
    }

    /// The live segment with this number.
    pub(crate) fn live_segment(&self, number: u64) -> Option<&LiveSegment> {
        let first = self.live.front()?.entry.first;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        let segment = self.live.get(at)?;
        assert_eq!(segment.entry.first, number, "live segments are numbered without gaps");
        Some(segment)
    }

    pub(crate) fn live_segment_mut(&mut self, number: u64) -> Option<&mut LiveSegment> {
        let first = self.live.front()?.entry.first;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.live.get_mut(at)
    }
}
