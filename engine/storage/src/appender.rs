//! Accepts batches: checks room, assigns indices and an arrival time, and puts them in line.
//!
//! Budget per record: one line of shard state, one index stored. Nothing is copied here.

use std::rc::Rc;
use std::sync::Arc;

use runtime::clock;
use runtime::local::{Oneshot, oneshot};

use crate::error::AppendError;
use crate::frame::{DIRECTORY_ENTRY_BYTES, FRAME_BYTES_MAX, HEADER_BYTES};
use crate::gather::{AppendRecord, Batch, Run};
use crate::options::LogOptions;
use crate::planted::{Bug, planted};
use crate::shards::Shards;
use crate::state::{Appended, LogInner, OpenFrame, State, Waiter};

/// A batch to be appended. Its records stay in request order within each shard.
#[derive(Clone, Debug)]
pub struct Append {
    /// Holds keys and data of all records.
    pub payload: Arc<Vec<u8>>,
    /// The records, at least one.
    pub records: Vec<AppendRecord>,
}

/// The promise of an acknowledgement.
pub type Acknowledgement = Oneshot<Result<Appended, AppendError>>;

/// Accepts `append` or refuses all of it.
pub(crate) fn accept(log: &Rc<LogInner>, append: Append) -> Result<Acknowledgement, AppendError> {
    assert!(!append.records.is_empty());
    let mut state = log.state.borrow_mut();
    let state = &mut *state;
    check_open(state)?;
    let bytes = check_records(&append, &state.shards)?;
    check_room(log, state, bytes)?;
    let arrival_ms = tick_arrival(state);
    let indices = assign(&append.records, &mut state.shards);
    let Append { payload, records } = append;
    let batch = Rc::new(Batch { payload, records, indices, arrival_ms });
    let (done, acknowledgement) = oneshot();
    enqueue(state, &log.options, Waiter { batch, done });
    Ok(acknowledgement)
}

fn check_open(state: &State) -> Result<(), AppendError> {
    if let Some(error) = &state.failed {
        return Err(AppendError::Failed(error.clone()));
    }
    if state.is_closed {
        return Err(AppendError::ShutDown);
    }
    Ok(())
}

/// Bytes that the records take in the log, with a directory entry each.
fn check_records(append: &Append, shards: &Shards) -> Result<usize, AppendError> {
    let mut bytes = 0;
    append.records.iter().for_each(|record| shards.prefetch(record.slot));
    for record in &append.records {
        let state = shards.get(record.slot);
        if let Some(refusal) = state.append_refusal() {
            return Err(AppendError::Refused { key: state.key, refusal });
        }
        let record_bytes = record.encoded_bytes() + DIRECTORY_ENTRY_BYTES;
        if HEADER_BYTES + record_bytes > FRAME_BYTES_MAX {
            return Err(AppendError::RecordTooLarge { frame_bytes: HEADER_BYTES + record_bytes });
        }
        bytes += record_bytes;
    }
    Ok(bytes)
}

/// A batch is accepted only if the segments that are ready hold all that waits and the batch too:
/// what has an index must never depend on space that the disk may not have.
fn check_room(log: &LogInner, state: &State, bytes: usize) -> Result<(), AppendError> {
    // A batch larger than the bound is let in when nothing waits, or it would wait for ever.
    let over = state.waiting_bytes + bytes > log.options.waiting_bytes_max;
    if over && state.waiting_bytes > 0 {
        return Err(AppendError::Busy);
    }
    let needed = (state.waiting_bytes + bytes) as u64;
    if needed <= log.room_bytes(state) {
        return Ok(());
    }
    log.pool.note_used();
    match log.pool.is_out_of_space() {
        true => Err(AppendError::DiskFull { needed_bytes: log.options.segment_bytes }),
        false => Err(AppendError::Busy),
    }
}

/// Arrival times never fall, whatever the wall clock does.
fn tick_arrival(state: &mut State) -> u64 {
    let believed_ms = state.arrival_clock.tick(clock::wall_ms(), clock::now());
    if believed_ms > state.arrival_ms || planted(Bug::ArrivalFollowsWallClock) {
        state.arrival_ms = believed_ms;
    }
    state.arrival_ms
}

fn assign(records: &[AppendRecord], shards: &mut Shards) -> Vec<u64> {
    let mut indices = Vec::with_capacity(records.len());
    for record in records {
        let shard = shards.get_mut(record.slot);
        indices.push(shard.next_index);
        shard.next_index += 1;
    }
    indices
}

/// Puts the batch into the open frame, and into further frames where it does not fit.
fn enqueue(state: &mut State, options: &LogOptions, waiter: Waiter) {
    let batch = waiter.batch.clone();
    let mut from = 0;
    while from < batch.records.len() {
        // Records carry their distance to the frame's base time in 32 bits: a clock that was set
        // ahead by more than 49 days ends the frame.
        if let Some(frame) = state.open.back_mut()
            && batch.arrival_ms.saturating_sub(frame.base_ms) > u64::from(u32::MAX)
        {
            frame.closed = true;
        }
        if state.open.back().is_none_or(|frame| frame.closed) {
            state.open.push_back(open_frame(batch.arrival_ms));
        }
        let frame = state.open.back_mut().expect("an open frame was just made sure of");
        let (to, bytes, record_bytes) = fitting(&batch, from, frame.bytes_max, options.frame_bytes);
        if to > from {
            frame.runs.push(Run { batch: batch.clone(), from, to });
            frame.bytes_max = bytes;
            frame.waiting_bytes += record_bytes;
            state.waiting_bytes += record_bytes;
        }
        frame.closed = to < batch.records.len() || bytes >= options.frame_bytes;
        from = to;
    }
    let is_own =
        |frame: &&mut OpenFrame| frame.runs.iter().any(|run| Rc::ptr_eq(&run.batch, &batch));
    let frame = match planted(Bug::AcksSplitBatchWithItsFirstFrame) {
        false => state.open.back_mut(),
        true => state.open.iter_mut().find(is_own),
    };
    frame.expect("a batch has at least one record").waiters.push(waiter);
}

/// How many records from `from` on fit a frame that has `bytes` already: one past the last, the
/// frame's bytes with them, and their own. A frame takes at least one record.
fn fitting(batch: &Batch, from: usize, mut bytes: usize, max: usize) -> (usize, usize, usize) {
    let mut to = from;
    let mut added = 0;
    for record in &batch.records[from..] {
        let record_bytes = record.encoded_bytes() + DIRECTORY_ENTRY_BYTES;
        let is_first = bytes == HEADER_BYTES;
        if bytes + record_bytes > max && !is_first {
            break;
        }
        bytes += record_bytes;
        added += record_bytes;
        to += 1;
    }
    (to, bytes, added)
}

fn open_frame(base_ms: u64) -> OpenFrame {
    OpenFrame {
        runs: Vec::new(),
        waiters: Vec::new(),
        bytes_max: HEADER_BYTES,
        waiting_bytes: 0,
        base_ms,
        opened_at: clock::now(),
        closed: false,
    }
}
