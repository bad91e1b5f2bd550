//! The owner core's side of a put: throttle, append, answer when durable.
//!
//! One message at a time is taken as far as the log's acceptance, so that records of a shard keep
//! the order in which the messages came. The wait for the disk happens in a task per message.

use std::rc::Rc;
use std::sync::Arc;

use model::RecordError;
use runtime::clock;
use runtime::local::Permit;
use runtime::mesh::Receiver;
use runtime::task;
use storage::error::AppendError;
use storage::shard::ShardKey;
use storage::{Acknowledgement, Append, AppendRecord, Log};

use super::{Placed, PutMessage, PutOutcome, RoutedRecord};
use crate::owner::{Owner, count};
use crate::placement::shard_key;
use crate::race::{First, race};

/// Serves the puts of a core until it stops or nobody is left who could send one.
pub(crate) async fn serve(owner: Rc<Owner>, mut puts: Receiver<PutMessage>) {
    loop {
        let stopped = owner.stop.notified();
        if owner.stopping.get() {
            return;
        }
        let First::Left(Some(message)) = race(puts.recv(), stopped).await else { return };
        count(&owner.counters.put_messages);
        let permit = owner.puts_under_way.acquire(1).await;
        take(&owner, message, permit).await;
        if task::should_yield() {
            task::yield_now().await;
        }
    }
}

/// The admitted records of a message that belong to one log.
struct Share {
    /// Where they stand in the message.
    positions: Vec<u32>,
    records: Vec<AppendRecord>,
}

/// A share that its log has accepted.
struct Accepted {
    positions: Vec<u32>,
    acknowledgement: Acknowledgement,
}

/// A share of which its log takes nothing.
struct Declined {
    positions: Vec<u32>,
    error: RecordError,
}

async fn take(owner: &Rc<Owner>, message: PutMessage, permit: Permit) {
    let Some((mut outcomes, shares)) = admit(owner, &message) else {
        reply(owner, message, None);
        return;
    };
    let mut accepted = Vec::with_capacity(shares.len());
    for (ordinal, share) in shares.into_iter().enumerate() {
        if share.positions.is_empty() {
            continue;
        }
        let log = owner.logs[ordinal].log.as_ref().expect("a refused log admits nothing");
        match submit(owner, log, ordinal, &message, share).await {
            Ok(share) => accepted.push(share),
            Err(Declined { positions, error }) => {
                positions.iter().for_each(|position| outcomes[*position as usize] = Err(error));
            }
        }
    }
    let owner = Rc::clone(owner);
    drop(task::spawn(async move {
        let outcomes = acknowledge(&message.records, outcomes, accepted).await;
        reply(&owner, message, Some(outcomes));
        drop(permit);
    }));
}

fn reply(owner: &Owner, message: PutMessage, outcomes: Option<Vec<PutOutcome>>) {
    count(&owner.counters.put_replies);
    message.reply.send(outcomes);
}

/// Asks the throttle for every record, in order. `None`: the stream is not known here.
///
/// The outcomes of admitted records are internal failures until the log has acknowledged them.
fn admit(owner: &Owner, message: &PutMessage) -> Option<(Vec<PutOutcome>, Vec<Share>)> {
    let placement = owner.placement;
    let count = message.records.len();
    let mut streams = owner.streams.borrow_mut();
    let stream = streams.get_mut(&message.stream)?;
    let now_ns = clock::now().as_nanos();
    let mut throttled = 0;
    let mut outcomes = Vec::with_capacity(count);
    let mut shares: Vec<Share> = Vec::with_capacity(owner.logs.len());
    // Nearly always all records of a message are for one log: room for all of them at once.
    let room = if owner.logs.len() == 1 { count } else { 0 };
    shares.resize_with(owner.logs.len(), || Share {
        positions: Vec::with_capacity(room),
        records: Vec::with_capacity(room),
    });
    for record in &message.records {
        let ordinal = placement.ordinal_of_log(placement.log_of(message.stream, record.shard));
        stream.prefetch(ordinal, record.shard);
    }
    for (position, record) in message.records.iter().enumerate() {
        let ordinal = placement.ordinal_of_log(placement.log_of(message.stream, record.shard));
        let shard =
            stream.get_mut(ordinal, record.shard).expect("a record's shard is its stream's");
        outcomes.push(Err(RecordError::InternalFailure));
        if shard.refused {
            continue;
        }
        let record_bytes = u32::from(record.key_bytes) + record.data_bytes;
        if !shard.admits_write(now_ns, record_bytes) {
            outcomes[position] = Err(RecordError::ThroughputExceeded { shard: record.shard });
            throttled += 1;
            continue;
        }
        let share = &mut shares[ordinal];
        share.positions.push(u32::try_from(position).expect("a request has at most 500 records"));
        let slot = shard.slot.expect("a shard without a log is refused");
        share.records.push(append_record(record, slot));
    }
    let counter = &owner.counters.throttled_records;
    counter.set(counter.get() + throttled);
    Some((outcomes, shares))
}

fn append_record(record: &RoutedRecord, slot: storage::shard::ShardSlot) -> AppendRecord {
    AppendRecord {
        slot,
        key_start: record.key_start,
        data_start: record.data_start,
        data_bytes: record.data_bytes,
        key_bytes: record.key_bytes,
    }
}

/// Appends a share, waiting for room.
///
/// # Errors
/// What the records of the share are told if the log takes nothing of it.
async fn submit(
    owner: &Owner,
    log: &Log,
    ordinal: usize,
    message: &PutMessage,
    mut share: Share,
) -> Result<Accepted, Declined> {
    loop {
        let records = std::mem::take(&mut share.records);
        let append = Append { payload: Arc::clone(&message.payload), records };
        match log.append(append) {
            Ok(acknowledgement) => {
                return Ok(Accepted { positions: share.positions, acknowledgement });
            }
            Err(AppendError::Busy) => {
                count(&owner.counters.busy_waits);
                log.room().await;
            }
            Err(AppendError::Refused { key, .. }) => {
                refuse(owner, ordinal, message, key, &mut share.positions);
            }
            Err(AppendError::DiskFull { needed_bytes }) => {
                let error = RecordError::DiskFull { needed_bytes };
                return Err(Declined { positions: share.positions, error });
            }
            // The outcomes say "internal failure", which clients try again.
            Err(
                AppendError::RecordTooLarge { .. } | AppendError::Failed(_) | AppendError::ShutDown,
            ) => {
                let error = RecordError::InternalFailure;
                return Err(Declined { positions: share.positions, error });
            }
        }
        let Some(records) = rebuild(owner, ordinal, message, &share.positions) else {
            let error = RecordError::InternalFailure;
            return Err(Declined { positions: share.positions, error });
        };
        share.records = records;
    }
}

/// Takes a shard that its log refuses out of the share, and out of all later ones.
fn refuse(
    owner: &Owner,
    ordinal: usize,
    message: &PutMessage,
    key: ShardKey,
    positions: &mut Vec<u32>,
) {
    let of = |position: u32| message.records[position as usize].shard;
    let is_refused = |position: u32| shard_key(message.stream, of(position)) == key;
    let mut streams = owner.streams.borrow_mut();
    let stream = streams.get_mut(&message.stream);
    let refused = positions.iter().copied().find(|position| is_refused(*position));
    if let (Some(stream), Some(position)) = (stream, refused)
        && let Some(shard) = stream.get_mut(ordinal, of(position))
    {
        shard.refused = true;
    }
    let before = positions.len();
    positions.retain(|position| !is_refused(*position));
    assert!(positions.len() < before, "a log refuses only shards of the batch");
}

/// The records at `positions` once more: the log has kept the last list. `None` if nothing is left,
/// or the stream was deleted meanwhile.
fn rebuild(
    owner: &Owner,
    ordinal: usize,
    message: &PutMessage,
    positions: &[u32],
) -> Option<Vec<AppendRecord>> {
    let mut streams = owner.streams.borrow_mut();
    let stream = streams.get_mut(&message.stream)?;
    let records = positions.iter().map(|position| {
        let record = &message.records[*position as usize];
        let slot = stream.get_mut(ordinal, record.shard).and_then(|shard| shard.slot);
        append_record(record, slot.expect("an admitted record has a slot"))
    });
    let records: Vec<_> = records.collect();
    (!records.is_empty()).then_some(records)
}

/// Waits until every share is durable, or has failed, and fills in what was acknowledged.
async fn acknowledge(
    records: &[RoutedRecord],
    mut outcomes: Vec<PutOutcome>,
    accepted: Vec<Accepted>,
) -> Vec<PutOutcome> {
    for Accepted { positions, acknowledgement } in accepted {
        // A failed log leaves its records as internal failures: whether they are durable is unknown.
        let Ok(Ok(appended)) = acknowledgement.await else { continue };
        assert_eq!(appended.indices.len(), positions.len());
        for (position, index) in positions.iter().zip(appended.indices) {
            let position = *position as usize;
            let shard = records[position].shard;
            outcomes[position] = Ok(Placed { shard, index, arrival_ms: appended.arrival_ms });
        }
    }
    outcomes
}
