//! Finds the first record of a shard that arrived at a time or later.
//!
//! Arrival times of a shard never fall. Rows say when a shard's newest record arrived, indices and
//! postings when a frame began: halving over them leaves one part, and only that is read.

use std::rc::Rc;

use crate::chunk::ReadLimit;
use crate::error::ReadError;
use crate::planted::{Bug, planted};
use crate::reader;
use crate::rebuild;
use crate::shard::{ShardKey, ShardSlot};
use crate::state::LogInner;
use crate::table::Row;

/// The part in which the record may stand: its first index, and one past its last. If none of it is
/// late enough, the one behind it is.
type Candidate = (u64, u64);

/// What the part is read with.
const SCAN_BYTES: usize = 1 << 20;

/// The first record that arrived at `arrival_ms` or later, or the durable tail.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn find_by_time(
    log: &Rc<LogInner>,
    slot: ShardSlot,
    arrival_ms: u64,
) -> Result<u64, ReadError> {
    let _permit = log.own_reads.acquire(1).await;
    let durable_index = reader::readable(log, slot)?;
    let found = match live_candidate(log, slot, arrival_ms, durable_index) {
        Live::In(candidate) => scan(log, slot, candidate, arrival_ms).await?,
        Live::NotAfter(index) => match sealed_candidate(log, slot, arrival_ms).await? {
            Sealed::In(candidate) => scan(log, slot, candidate, arrival_ms).await?,
            Sealed::At(index) => index,
            Sealed::Behind => index,
        },
    };
    // Of a shard that was deleted meanwhile, what was found says nothing.
    reader::readable(log, slot)?;
    let horizon = log.state.borrow().shards.get(slot).horizon;
    Ok(found.clamp(horizon.min(durable_index), durable_index))
}

enum Live {
    /// The record stands in this part, or is the one behind it.
    In(Candidate),
    /// The record is this one, or stands in a segment whose index is not in memory.
    NotAfter(u64),
}

fn live_candidate(log: &LogInner, slot: ShardSlot, arrival_ms: u64, durable_index: u64) -> Live {
    let state = log.state.borrow();
    let mut oldest = durable_index;
    for segment in state.live.iter().rev() {
        for part in segment.index.newest_first(slot) {
            if part.first_index >= durable_index {
                continue;
            }
            let base_ms = segment.index.frames[part.frame as usize].base_ms;
            let is_equal = base_ms == arrival_ms;
            if base_ms < arrival_ms || (is_equal && planted(Bug::TimeSearchStopsAtAnEqualBase)) {
                return Live::In((part.first_index, part.end_index().min(durable_index)));
            }
            oldest = part.first_index;
        }
    }
    Live::NotAfter(oldest)
}

enum Sealed {
    In(Candidate),
    /// The record is the first that its segment holds.
    At(u64),
    /// All records of sealed segments are older.
    Behind,
}

async fn sealed_candidate(
    log: &Rc<LogInner>,
    slot: ShardSlot,
    arrival_ms: u64,
) -> Result<Sealed, ReadError> {
    let (key, horizon_segment) = {
        let state = log.state.borrow();
        let shard = state.shards.get(slot);
        (shard.key, shard.horizon_segment)
    };
    let find = async || sealed_part(log, slot, key, horizon_segment, arrival_ms).await;
    loop {
        match find().await {
            Err(error) if rebuild::mends(log, &error).await? => {}
            other => return other,
        }
    }
}

async fn sealed_part(
    log: &Rc<LogInner>,
    slot: ShardSlot,
    key: ShardKey,
    horizon_segment: u64,
    arrival_ms: u64,
) -> Result<Sealed, ReadError> {
    let is_behind = |row: &Row| row.next_index > 0 && row.last_arrival_ms >= arrival_ms;
    let Some(place) = log.cold.ordered_first_where(log, key, horizon_segment, is_behind).await?
    else {
        return Ok(Sealed::Behind);
    };
    let first_ms = async |index| arrival_of(log, slot, index).await;
    let candidate = log.cold.last_part_before(&place, arrival_ms, first_ms).await?;
    Ok(candidate.map_or(Sealed::At(place.row.first_index()), Sealed::In))
}

/// When the record arrived, Unix ms.
async fn arrival_of(log: &Rc<LogInner>, slot: ShardSlot, index: u64) -> Result<u64, ReadError> {
    let result = reader::read(log, slot, index, ReadLimit { records: 1, bytes: 1 }).await?;
    let first = result.chunks.first().and_then(|chunk| chunk.records().next());
    // It has expired meanwhile: older than whatever is asked for.
    Ok(first.map_or(0, |record| record.arrival_ms))
}

/// The first record of the candidate that is late enough, or the one behind it.
async fn scan(
    log: &Rc<LogInner>,
    slot: ShardSlot,
    candidate: Candidate,
    arrival_ms: u64,
) -> Result<u64, ReadError> {
    let (mut next, end) = candidate;
    while next < end {
        let limit = ReadLimit { records: (end - next) as usize, bytes: SCAN_BYTES };
        let result = reader::read(log, slot, next, limit).await?;
        let records = result.chunks.iter().flat_map(|chunk| chunk.records());
        let late = records.into_iter().find(|record| record.arrival_ms >= arrival_ms);
        if let Some(record) = late {
            return Ok(record.index);
        }
        if result.next <= next {
            break;
        }
        next = result.next;
    }
    Ok(next)
}
