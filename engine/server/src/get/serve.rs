//! The owner core's side of reading: where a reader starts, and the records from there on.
//!
//! Nothing here sees past the durable tail: storage does not give it.

use std::rc::Rc;

use model::IteratorType;
use model::limits::GET_RECORDS_BYTES_MAX;
use runtime::clock;
use storage::Log;
use storage::chunk::{Chunk, ReadLimit};
use storage::error::ReadError;
use storage::record::RECORD_HEADER_BYTES;
use storage::shard::ShardSlot;
use storage::shards::Refusal;

use crate::command::{ReadAnswer, ReadRefusal, ReadReply, ShardAddress};
use crate::owner::Owner;

/// A shard's log and its place there.
///
/// # Errors
/// `NotFound` for a stream or shard that is not here, `Failed` for one whose log is refused.
pub(crate) fn find(owner: &Owner, at: ShardAddress) -> Result<(Log, ShardSlot), ReadRefusal> {
    let number = owner.placement.log_of(at.stream, at.shard);
    assert_eq!(owner.placement.core_of_log(number), owner.core, "a message reached its core");
    let ordinal = owner.placement.ordinal_of_log(number);
    let mut streams = owner.streams.borrow_mut();
    let stream = streams.get_mut(&at.stream).ok_or(ReadRefusal::NotFound)?;
    let shard = stream.get_mut(ordinal, at.shard).ok_or(ReadRefusal::NotFound)?;
    let log = owner.logs[ordinal].log.clone().ok_or(ReadRefusal::Failed)?;
    let slot = shard.slot.expect("a shard has a slot in a log that is open");
    Ok((log, slot))
}

/// Where a reader starts.
///
/// # Errors
/// [`ReadRefusal`], but never `Throttled`.
pub(crate) async fn locate(
    owner: &Owner,
    at: ShardAddress,
    kind: IteratorType,
) -> Result<u64, ReadRefusal> {
    let (log, slot) = find(owner, at)?;
    Ok(match kind {
        IteratorType::TrimHorizon => log.shard(slot).horizon,
        IteratorType::Latest => log.shard(slot).durable_index,
        IteratorType::AtSequenceNumber(index) => index.get(),
        IteratorType::AfterSequenceNumber(index) => index.next().get(),
        IteratorType::AtTimestamp { ms } => {
            let now_ms = clock::wall_ms();
            if ms > now_ms {
                return Err(ReadRefusal::TimeInFuture { timestamp_ms: ms, now_ms });
            }
            log.find_by_time(slot, ms).await.map_err(of_read)?
        }
    })
}

/// At most `count` records and 10 MiB from record `from` on.
///
/// # Errors
/// [`ReadRefusal`].
pub(crate) async fn read(owner: &Rc<Owner>, at: ShardAddress, from: u64, count: u32) -> ReadReply {
    let (log, slot) = find(owner, at)?;
    if !admit(owner, at) {
        return Err(ReadRefusal::Throttled);
    }
    let bytes = (GET_RECORDS_BYTES_MAX as usize).min(owner.reads_bytes_max);
    // What is read is held here until it is sent; afterwards it is the caller's.
    let permit = owner.reads.acquire(bytes).await;
    let limit = ReadLimit { records: count as usize, bytes };
    let result = log.read(slot, from, limit).await.map_err(of_read)?;
    charge(owner, at, &result.chunks);
    drop(permit);
    let storage::reader::ReadResult { chunks, next, millis_behind } = result;
    assert!(next >= from || chunks.is_empty());
    Ok(ReadAnswer { chunks, next, millis_behind })
}

fn admit(owner: &Owner, at: ShardAddress) -> bool {
    let Some(rates) = owner.limits.read_rates() else { return true };
    let now_ns = clock::now().as_nanos();
    let ordinal = owner.placement.ordinal_of_log(owner.placement.log_of(at.stream, at.shard));
    let mut streams = owner.streams.borrow_mut();
    let shard = streams.get_mut(&at.stream).and_then(|stream| stream.get_mut(ordinal, at.shard));
    shard.is_none_or(|shard| shard.admits_read(rates, now_ns))
}

fn charge(owner: &Owner, at: ShardAddress, chunks: &[Chunk]) {
    if owner.limits.read_rates().is_none() {
        return;
    }
    let bytes: usize = chunks.iter().map(payload_bytes).sum();
    let bytes = u32::try_from(bytes).expect("an answer has at most 10 MiB and a record");
    let now_ns = clock::now().as_nanos();
    let ordinal = owner.placement.ordinal_of_log(owner.placement.log_of(at.stream, at.shard));
    let mut streams = owner.streams.borrow_mut();
    // The stream may have been deleted while it was read.
    if let Some(stream) = streams.get_mut(&at.stream)
        && let Some(shard) = stream.get_mut(ordinal, at.shard)
    {
        shard.charge_read(now_ns, bytes);
    }
}

/// Bytes of keys and data.
fn payload_bytes(chunk: &Chunk) -> usize {
    chunk.bytes.len() - chunk.count as usize * RECORD_HEADER_BYTES
}

/// What a reader is told about an error of the log's.
pub(crate) fn of_read(error: ReadError) -> ReadRefusal {
    match error {
        ReadError::Refused { refusal: Refusal::Deleted, .. } => ReadRefusal::NotFound,
        ReadError::Refused { .. }
        | ReadError::Damaged { .. }
        | ReadError::Missing { .. }
        | ReadError::Io(_) => ReadRefusal::Failed,
    }
}
