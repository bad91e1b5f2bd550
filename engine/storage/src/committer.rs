//! From the open frame to the acknowledgement: seals, submits, flushes, advances the durable prefix.
//!
//! ```text
//!   open ──seal──▶ in flight ──written──▶ contiguous prefix ──flush──▶ durable ──▶ waiters, readers
//! ```
//! A frame is sealed at once when the log is idle; while it is busy, when the frame is full or when
//! the write before has returned and the linger has ended: thousands of shards share one write and
//! one flush. A flush covers exactly the frames that were written before it was issued.
//!
//! Budget per frame: one write, one gather; per flush: one fdatasync for each file it covers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime::buffer::Buffer;
use runtime::clock::{self, Instant};
use runtime::file::{File, IoError};
use runtime::task;

use crate::error::AppendError;
use crate::frame::{BLOCK_BYTES, FrameHeader, FrameKind};
use crate::gather::{Gathered, control_frame};
use crate::index::{FrameMeta, Part};
use crate::options::{Durability, FlushMethod};
use crate::planted::{Bug, planted};
use crate::pool::Ready;
use crate::sealer;
use crate::shard::ShardSlot;
use crate::shards::Shards;
use crate::state::{
    Appended, FullSegment, InFlight, LiveSegment, LogInner, OpenFrame, Phase, Stage, State, Waiter,
};
use crate::table;

/// How late a planted bug looks what has been written: a slow core, which meets more of it.
const CREDIT_AFTER: Duration = Duration::from_micros(500);

/// A frame on its way to the disk.
struct Submission {
    file: File,
    position: u64,
    buffer: Rc<Buffer>,
    number: u64,
}

/// Seals and submits all that may go now. Called after every event that could let a frame go.
pub(crate) fn pump(log: &Rc<LogInner>) {
    loop {
        let submission = next_submission(log, &mut log.state.borrow_mut());
        let Some(submission) = submission else { break };
        submit(log, submission);
    }
    arm_linger(log);
}

fn submit(log: &Rc<LogInner>, submission: Submission) {
    let Submission { file, position, buffer, number } = submission;
    let pending = file.write(position, buffer);
    let log = log.clone();
    drop(task::spawn(async move {
        let result = pending.await;
        on_written(&log, number, result);
    }));
}

fn next_submission(log: &LogInner, state: &mut State) -> Option<Submission> {
    if state.failed.is_some() {
        return None;
    }
    match state.phase {
        Phase::AwaitSeal => return submit_control(log, state, FrameKind::Seal),
        Phase::Sealing => return None,
        Phase::Open => {}
    }
    if !may_seal(log, state, clock::now()) {
        return None;
    }
    let frame_bytes_max = state.open.front()?.bytes_max.next_multiple_of(BLOCK_BYTES) as u64;
    if !make_place(log, state, frame_bytes_max) {
        return None;
    }
    let frame = state.open.pop_front().expect("the frame that may be sealed is still there");
    Some(seal_records(log, state, frame))
}

/// Whether the oldest waiting frame should be written now.
fn may_seal(log: &LogInner, state: &State, now: Instant) -> bool {
    let Some(frame) = state.open.front() else { return false };
    if state.writes_in_flight >= log.options.write_depth {
        return false;
    }
    // Recovery searches this window for evidence; see `recovery`.
    let window = log.options.write_depth * log.options.frame_bytes;
    let in_flight_bytes: usize = state.in_flight.iter().map(|frame| frame.frame_bytes).sum();
    if !state.in_flight.is_empty() && in_flight_bytes + frame.bytes_max > window {
        return false;
    }
    let is_idle = state.in_flight.is_empty();
    let has_lingered = state.writes_in_flight == 0 && now - frame.opened_at >= log.options.linger;
    frame.closed || is_idle || has_lingered || state.is_closed
}

/// Makes sure that the active segment takes a frame of `frame_bytes`, by going on to the next if it
/// does not. False if none is ready.
fn make_place(log: &LogInner, state: &mut State, frame_bytes: u64) -> bool {
    let shard_count = state.shards.count();
    loop {
        let active = state.active();
        if active.position + frame_bytes <= frames_end_max(active.entry.bytes, shard_count) {
            return true;
        }
        if state.unsealed_count() >= sealer::UNSEALED_SEGMENTS_MAX {
            // The sealer pumps when it has caught up.
            return false;
        }
        let Some(Ready { entry, file }) = log.pool.take() else { return false };
        retire(state);
        state.live.push_back(LiveSegment::new(entry, file));
        state.stats.segments += 1;
        log.full.notify_all();
    }
}

/// Where frames must end in a segment, so that its table fits behind them, bytes.
pub(crate) fn frames_end_max(segment_bytes: u64, shard_count: usize) -> u64 {
    let postings_max = (segment_bytes / table::COARSE_PART_BYTES as u64) as usize;
    segment_bytes.saturating_sub(table::tail_bytes(shard_count, postings_max))
}

/// Takes the table of the active segment, which gets no more frames.
fn retire(state: &mut State) {
    // Once the log is open, its owners have named all shards, and those concerned have rows.
    let has_nameless_damage = state.has_nameless_damage && state.phase != Phase::Open;
    let State { shards, live, .. } = state;
    let active = live.back().expect("an open log has a segment to append to");
    let (slots, rows) = table_rows(shards, active);
    let full = FullSegment {
        rows,
        slots,
        next_frame: state.next_frame,
        last_checksum: state.last_checksum,
        arrival_ms: state.arrival_ms,
        has_nameless_damage,
    };
    state.active_mut().stage = Stage::Full(Box::new(full));
}

/// The table of the shards as it is behind the newest sealed frame. A shard without records has
/// no row: the room for the table is that of the shards that were known when the last frame was
/// sealed, and shards may have been opened since.
pub(crate) fn table_rows(
    shards: &Shards,
    active: &LiveSegment,
) -> (Vec<ShardSlot>, Vec<table::Row>) {
    let segment = active.entry.first;
    let of_damaged = !planted(Bug::DamagedWithoutRecordsHasNoRow);
    let written = shards
        .by_key()
        .filter(|(_, shard)| shard.sealed_index > 0 || (shard.damaged && of_damaged));
    let rows = written.map(|(slot, shard)| {
        let head = active.index.head(slot);
        let row = table::Row {
            key: shard.key,
            next_index: shard.sealed_index,
            last_arrival_ms: shard.last_arrival_ms,
            first_live_segment: segment.min(shard.horizon_segment),
            retention_ms: shard.retention_ms,
            count: head.count,
            bytes: head.bytes,
            first_posting: 0,
            postings: 0,
            closed: shard.closed,
            damaged: shard.damaged,
        };
        (slot, row)
    });
    let (mut slots, mut rows): (Vec<_>, Vec<_>) = rows.unzip();
    if planted(Bug::DropLastIndexEntry) {
        slots.pop();
        rows.pop();
    }
    (slots, rows)
}

fn header(log: &LogInner, state: &State, kind: FrameKind, base_ms: u64) -> FrameHeader {
    let active = state.active();
    FrameHeader {
        kind,
        previous: state.last_checksum,
        number: state.next_frame,
        durable_frames: match planted(Bug::HeaderCallsWrittenDurable) {
            false => state.durable_frames,
            true => state.written_frames(),
        },
        segment: active.entry.first,
        base_ms,
        life: log.options.life,
        generation: active.entry.generation,
        log: log.options.log,
        directory_count: 0,
        payload_bytes: 0,
        record_count: 0,
    }
}

fn seal_records(log: &LogInner, state: &mut State, frame: OpenFrame) -> Submission {
    let mut header = header(log, state, FrameKind::Records, frame.base_ms);
    let gathered = state.gather.gather(&frame.runs, &state.shards, &mut header);
    assert!(header.frame_bytes() <= frame.bytes_max.next_multiple_of(BLOCK_BYTES));
    assert!(state.waiting_bytes >= frame.waiting_bytes);
    state.waiting_bytes -= frame.waiting_bytes;
    state.stats.frames += 1;
    state.marked = false;
    let arrival_ms = frame.runs.last().map_or(frame.base_ms, |run| run.batch.arrival_ms);
    drop(frame.runs);
    log.room.notify_all();
    finish_seal(log, state, gathered, header, frame.waiters, arrival_ms)
}

/// A frame without records, if the active segment or the next takes it.
fn submit_control(log: &LogInner, state: &mut State, kind: FrameKind) -> Option<Submission> {
    if kind == FrameKind::Seal && planted(Bug::SkipSeal) {
        state.phase = Phase::Open;
        return None;
    }
    if !make_place(log, state, BLOCK_BYTES as u64) {
        return None;
    }
    if kind == FrameKind::Seal {
        state.phase = Phase::Sealing;
    }
    let header = header(log, state, kind, state.arrival_ms);
    let gathered = control_frame(&header);
    state.gather.parts.clear();
    state.marked = true;
    Some(finish_seal(log, state, gathered, header, Vec::new(), state.arrival_ms))
}

/// Enters a gathered frame into the index, the cache and the frames in flight.
fn finish_seal(
    log: &LogInner,
    state: &mut State,
    gathered: Gathered,
    header: FrameHeader,
    waiters: Vec<Waiter>,
    arrival_ms: u64,
) -> Submission {
    let buffer = Rc::new(gathered.buffer);
    let frame_bytes = buffer.len();
    let parts = enter_index(state, &header, &buffer, arrival_ms);
    let active = state.active_mut();
    let submission = Submission {
        file: active.file.clone(),
        position: active.position,
        buffer,
        number: header.number,
    };
    active.position += frame_bytes as u64;
    let in_flight = InFlight {
        number: header.number,
        segment: header.segment,
        parts,
        frame_bytes,
        written: false,
        waiters,
        is_seal: header.kind == FrameKind::Seal,
    };
    state.in_flight.push_back(in_flight);
    state.writes_in_flight += 1;
    state.next_frame += 1;
    state.last_checksum = gathered.checksum;
    state.stats.frame_bytes += frame_bytes as u64;
    log.pool.note_appended(frame_bytes as u64);
    evict(state, log.options.cache_bytes_max);
    submission
}

/// Adds the parts of the frame that was just gathered; returns their ordinals: from, one past.
fn enter_index(
    state: &mut State,
    header: &FrameHeader,
    buffer: &Rc<Buffer>,
    arrival_ms: u64,
) -> (u32, u32) {
    let State { live, shards, blocks, gather, cached_bytes, .. } = state;
    let active = live.back_mut().expect("an open log has a segment to append to");
    let from = active.index.part_count();
    if gather.parts.is_empty() {
        return (from, from);
    }
    let frame = u32::try_from(active.index.frames.len()).expect("a segment has < 2^32 frames");
    let position = u32::try_from(active.position).expect("a segment has < 2^32 bytes");
    let segment_number = active.entry.first;
    active.index.frames.push(FrameMeta {
        number: header.number,
        position,
        bytes: buffer.len() as u32,
        base_ms: header.base_ms,
        buffer: Some(buffer.clone()),
    });
    *cached_bytes += buffer.taken_bytes();
    for part in &gather.parts {
        let shard = shards.get_mut(part.slot);
        assert_eq!(part.first_index, shard.sealed_index, "frames take records in index order");
        if shard.horizon_segment == u64::MAX {
            shard.horizon_segment = segment_number;
        }
        shard.sealed_index += u64::from(part.count);
        shard.last_arrival_ms = arrival_ms;
        let position = position + part.start;
        let entry = Part::new(part.slot, part.first_index, part.count, position, part.bytes, frame);
        active.index.push(blocks, entry);
    }
    (from, active.index.part_count())
}

/// Drops the oldest durable frames from the cache until cache and indices are within their bound,
/// and with them the indices of sealed segments that have no frame in the cache any more.
pub(crate) fn evict(state: &mut State, cache_bytes_max: usize) {
    loop {
        drop_done_segments(state);
        if state.memory_bytes() <= cache_bytes_max || !evict_frame(state) {
            return;
        }
    }
}

/// Drops the oldest frame from the cache; false if there is none that is durable.
fn evict_frame(state: &mut State) -> bool {
    let State { live, cached_bytes, durable_frames, .. } = state;
    let has_frames =
        |segment: &&mut LiveSegment| segment.evicted_frames < segment.index.frames.len();
    let Some(segment) = live.iter_mut().find(has_frames) else { return false };
    let frame = &mut segment.index.frames[segment.evicted_frames];
    if frame.number >= *durable_frames {
        return false;
    }
    if let Some(buffer) = frame.buffer.take() {
        *cached_bytes -= buffer.taken_bytes();
    }
    segment.evicted_frames += 1;
    true
}

fn drop_done_segments(state: &mut State) {
    let State { live, blocks, .. } = state;
    while let Some(oldest) = live.front() {
        let is_done = matches!(oldest.stage, Stage::Sealed)
            && oldest.evicted_frames == oldest.index.frames.len()
            && Rc::strong_count(&oldest.readers) == 1;
        if !is_done || live.len() == 1 {
            break;
        }
        let done = live.pop_front().expect("there is an oldest segment");
        blocks.recycle(done.index);
    }
}

fn on_written(log: &Rc<LogInner>, number: u64, result: Result<(), IoError>) {
    if let Err(error) = result {
        fail(log, Arc::new(error));
        return;
    }
    let written = {
        let mut state = log.state.borrow_mut();
        let state = &mut *state;
        if state.failed.is_some() {
            return;
        }
        assert!(state.writes_in_flight > 0);
        state.writes_in_flight -= 1;
        let first = state.in_flight.front().expect("a write in flight is listed").number;
        let at = usize::try_from(number - first).expect("few frames are in flight");
        assert_eq!(state.in_flight[at].number, number);
        state.in_flight[at].written = true;
        if planted(Bug::AcknowledgeOutOfOrder) { number + 1 } else { state.written_frames() }
    };
    let needs_flush = log.options.durability == Durability::Durable
        && log.options.flush == FlushMethod::Fdatasync
        && !planted(Bug::AcknowledgeBeforeFlush);
    if needs_flush {
        log.written.notify_all();
    } else {
        if log.options.durability == Durability::Durable {
            log.state.borrow_mut().stats.flushes += 1;
        }
        commit(log, written);
    }
    pump(log);
}

/// Flushes what has been written, for as long as the log lives. One flush is in flight at a time.
pub(crate) async fn flush_forever(log: Rc<LogInner>) {
    loop {
        let notified = log.written.notified();
        let (target, files) = flush_target(&log.state.borrow());
        if files.is_empty() {
            if log.is_finished() {
                return;
            }
            notified.await;
            continue;
        }
        for file in &files {
            let mut result = file.flush().await;
            if result.is_err() && planted(Bug::RetryFailedFlush) {
                result = file.flush().await;
            }
            if let Err(error) = result {
                fail(&log, Arc::new(error));
                return;
            }
        }
        if log.state.borrow().failed.is_some() && !planted(Bug::AcknowledgeAfterFailure) {
            // A write failed meanwhile, and its waiters were told so.
            return;
        }
        let target = match planted(Bug::FlushCreditsLaterWrites) {
            true => {
                clock::sleep(CREDIT_AFTER).await;
                log.state.borrow().written_frames()
            }
            false => target,
        };
        log.state.borrow_mut().stats.flushes += files.len() as u64;
        commit(&log, target);
        pump(&log);
    }
}

/// The frames that a flush issued now makes durable, and the files that it must cover.
fn flush_target(state: &State) -> (u64, Vec<File>) {
    let target = state.written_frames();
    let mut files = Vec::new();
    if state.failed.is_some() {
        return (target, files);
    }
    let mut newest = None;
    for frame in state.in_flight.iter().take_while(|frame| frame.number < target) {
        if newest != Some(frame.segment) {
            newest = Some(frame.segment);
            let segment = state.live_segment(frame.segment);
            files.push(segment.expect("a segment with frames in flight is live").file.clone());
        }
    }
    if planted(Bug::ForgetFlushOfPreviousSegment) && files.len() > 1 {
        files.drain(..files.len() - 1);
    }
    (target, files)
}

/// Makes all frames below `target` durable: readers may see them, waiters are told.
fn commit(log: &Rc<LogInner>, target: u64) {
    let mut acknowledged = Vec::new();
    {
        let mut state = log.state.borrow_mut();
        let state = &mut *state;
        while state.in_flight.front().is_some_and(|frame| frame.number < target) {
            let frame = state.in_flight.pop_front().expect("there is a first frame");
            assert!(frame.written || planted(Bug::AcknowledgeOutOfOrder));
            advance_shards(log, state, &frame);
            state.durable_frames = frame.number + 1;
            if frame.is_seal {
                assert_eq!(state.phase, Phase::Sealing);
                state.phase = Phase::Open;
            }
            acknowledged.extend(frame.waiters);
        }
        for waiter in &acknowledged {
            state.stats.records += waiter.batch.records.len() as u64;
        }
        evict(state, log.options.cache_bytes_max);
    }
    // Readers may see the records only now: before this they could vanish in a crash.
    for waiter in acknowledged {
        acknowledge(waiter);
    }
    log.durable.notify_all();
    log.room.notify_all();
    log.full.notify_all();
}

fn advance_shards(log: &LogInner, state: &mut State, frame: &InFlight) {
    if frame.parts.0 == frame.parts.1 {
        return;
    }
    let segment = state.live_segment(frame.segment).expect("its frames are not evicted yet");
    let mut fed = Vec::new();
    let mut ends = Vec::with_capacity((frame.parts.1 - frame.parts.0) as usize);
    for ordinal in frame.parts.0..frame.parts.1 {
        let part = segment.index.part(ordinal);
        ends.push((part.slot, part.end_index()));
        state.shards.prefetch(part.slot);
        if state.shards.get(part.slot).follower_count > 0 {
            fed.push((*part, segment.index.frames[part.frame as usize].clone()));
        }
    }
    for (slot, end_index) in ends {
        let shard = state.shards.get_mut(slot);
        assert!(end_index > shard.durable_index || planted(Bug::AcknowledgeOutOfOrder));
        shard.durable_index = end_index;
    }
    for (part, frame) in fed {
        log.followers.feed(&part, &frame);
    }
}

fn acknowledge(waiter: Waiter) {
    if planted(Bug::AcksSplitBatchWithItsFirstFrame) {
        let batch = &waiter.batch;
        let appended = Appended { indices: batch.indices.clone(), arrival_ms: batch.arrival_ms };
        return waiter.done.send(Ok(appended));
    }
    let batch = Rc::into_inner(waiter.batch).expect("frames in flight hold no batch");
    let appended = Appended { indices: batch.indices, arrival_ms: batch.arrival_ms };
    waiter.done.send(Ok(appended));
}

/// Stops acknowledging: whether what is in flight is durable is unknown from now on.
pub(crate) fn fail(log: &Rc<LogInner>, error: Arc<IoError>) {
    let waiters: Vec<_> = {
        let mut state = log.state.borrow_mut();
        let state = &mut *state;
        let error = state.failed.get_or_insert(error).clone();
        let in_flight = state.in_flight.iter_mut().flat_map(|frame| frame.waiters.drain(..));
        let open = state.open.iter_mut().flat_map(|frame| frame.waiters.drain(..));
        in_flight.chain(open).map(|waiter| (waiter, error.clone())).collect()
    };
    for (waiter, error) in waiters {
        waiter.done.send(Err(AppendError::Failed(error)));
    }
    for notify in [&log.written, &log.durable, &log.room, &log.full, &log.sealed] {
        notify.notify_all();
    }
}

/// A busy log's open frame is written at the latest when its linger ends.
fn arm_linger(log: &Rc<LogInner>) {
    let mut state = log.state.borrow_mut();
    if state.linger_armed || state.failed.is_some() {
        return;
    }
    let Some(frame) = state.open.front() else { return };
    let deadline = frame.opened_at + log.options.linger;
    if deadline <= clock::now() {
        // It waits for a completion or for a segment, and either will pump.
        return;
    }
    state.linger_armed = true;
    let log = log.clone();
    drop(task::spawn(async move {
        clock::sleep_until(deadline).await;
        log.state.borrow_mut().linger_armed = false;
        pump(&log);
    }));
}

/// Writes a mark behind the last acknowledged frame, if there is none yet.
pub(crate) fn mark(log: &Rc<LogInner>) {
    if planted(Bug::SkipMark) {
        return;
    }
    let submission = {
        let mut state = log.state.borrow_mut();
        let state = &mut *state;
        let is_idle = state.open.is_empty()
            && (state.in_flight.is_empty() || planted(Bug::MarkJoinsTheFlight));
        let may = is_idle && !state.marked && state.failed.is_none();
        if !may || state.phase != Phase::Open {
            return;
        }
        state.stats.marks += 1;
        submit_control(log, state, FrameKind::Mark)
    };
    if let Some(submission) = submission {
        submit(log, submission);
    }
}
