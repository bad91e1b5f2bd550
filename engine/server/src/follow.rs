//! Reading by being fed: records are pushed as they become durable.
//!
//! ```text
//! owner core    log ─► storage's follower ─► this task ─► bounded queue ─► Follower   its core
//! ```
//! A follower that does not keep up gets nothing more until it has taken what is on its way; the
//! task lets go of its place in the log's feed meanwhile and holds no chunk. It reads on from where
//! the follower is, from the cache or the disk. So a stalled follower costs what fits its queue, and
//! all of them together what memory.rs gives them: past it chunks wait in the log, not in memory.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::api_error::ApiError;
use model::{RecordIndex, ShardIndex};
use runtime::clock;
use runtime::local::Permit;
use runtime::mesh::{Receiver, Reply, ReplySender, Sender, TrySendError};
use storage::Log;
use storage::chunk::Chunk;
use storage::shard::ShardSlot;

use crate::command::{ReadRefusal, ShardAddress};
use crate::get::refusal;
use crate::get::serve::{find, of_read};
use crate::owner::Owner;
use crate::race::{First, race};
use crate::stream::Stream;

/// How long to wait before looking again whether other followers have taken their chunks.
const FULL_WAIT: Duration = Duration::from_millis(5);

/// What is on its way to a follower.
pub(crate) enum Delivery {
    /// Records.
    Chunk(Chunk, Held),
    /// Nothing; it takes the place of what did not fit, to learn when there is room again.
    Turn,
    /// No more will come.
    End(ReadRefusal),
}

/// Bytes that are counted as on their way until this is dropped.
pub(crate) struct Held {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Held {
    /// Counts `bytes`; `None` where that would exceed `bytes_max`. One core alone counts up, so
    /// the check holds; a chunk past the bound is let in where nothing else is on its way.
    fn new(all: &Arc<AtomicUsize>, bytes: usize, bytes_max: usize) -> Option<Held> {
        let before = all.load(Ordering::Acquire);
        if before > 0 && before + bytes > bytes_max {
            return None;
        }
        all.fetch_add(bytes, Ordering::AcqRel);
        Some(Held { bytes, all: Arc::clone(all) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let before = self.all.fetch_sub(self.bytes, Ordering::AcqRel);
        assert!(before >= self.bytes);
    }
}

/// Follows one shard. Dropping it ends the subscription.
pub struct Follower {
    pub(crate) stream: Stream,
    pub(crate) shard: ShardIndex,
    pub(crate) index: RecordIndex,
    pub(crate) deliveries: Receiver<Delivery>,
    /// Dropped with the follower, which tells the owner core.
    pub(crate) _cancel: ReplySender<()>,
}

impl Follower {
    /// The shard.
    pub fn shard(&self) -> ShardIndex {
        self.shard
    }

    /// Index behind the last record that `next` gave.
    pub fn index(&self) -> RecordIndex {
        self.index
    }

    /// The next durable records; waits for them. Dropping the future loses nothing.
    ///
    /// # Errors
    /// `ResourceNotFoundException` once the stream is deleted, `InternalFailure` where records are
    /// damaged or the engine is shut down. Nothing follows an error.
    pub async fn next(&mut self) -> Result<Chunk, ApiError> {
        loop {
            match self.deliveries.recv().await {
                Some(Delivery::Chunk(chunk, held)) => {
                    assert!(chunk.first_index >= self.index.get(), "records come in order");
                    self.index = RecordIndex::new(chunk.end_index());
                    drop(held);
                    return Ok(chunk);
                }
                Some(Delivery::Turn) => {}
                Some(Delivery::End(error)) => {
                    return Err(refusal(error, &self.stream, self.shard));
                }
                None => return Err(ApiError::InternalFailure),
            }
        }
    }
}

/// A subscription on the owner core.
pub(crate) struct Subscription {
    pub(crate) at: ShardAddress,
    pub(crate) from: u64,
    pub(crate) deliveries: Sender<Delivery>,
}

/// Feeds a follower until it is gone, the shard is, or the core stops.
pub(crate) async fn feed(
    owner: Rc<Owner>,
    subscription: Subscription,
    cancelled: Reply<()>,
    permit: Permit,
) {
    let stopped = owner.stop.notified();
    if owner.stopping.get() {
        return;
    }
    match race(race(cancelled, stopped), push_to_end(&owner, subscription)).await {
        First::Left(First::Left(_) | First::Right(())) | First::Right(()) => drop(permit),
    }
}

/// Pushes records, and then the reason why there are no more.
async fn push_to_end(owner: &Owner, subscription: Subscription) {
    let ended = match find(owner, subscription.at) {
        Ok((log, slot)) => push(owner, &log, slot, &subscription).await,
        Err(refusal) => Some(refusal),
    };
    if let Some(refusal) = ended {
        // Where the follower is gone there is nobody to tell.
        drop(subscription.deliveries.send(Delivery::End(refusal)).await);
    }
}

/// Pushes records until the follower is gone (`None`) or there are no more.
async fn push(
    owner: &Owner,
    log: &Log,
    slot: ShardSlot,
    subscription: &Subscription,
) -> Option<ReadRefusal> {
    let mut position = subscription.from;
    loop {
        match push_until_full(owner, log, slot, subscription, &mut position).await {
            Pause::Full => {
                // Accepted when the follower has taken something. Nothing is held meanwhile.
                subscription.deliveries.send(Delivery::Turn).await.ok()?;
            }
            Pause::AllFull => clock::sleep(FULL_WAIT).await,
            Pause::Ended(refusal) => return Some(refusal),
            Pause::Gone => return None,
        }
    }
}

/// Why a follower is not fed for a while, or not any more.
enum Pause {
    /// Its queue is full.
    Full,
    /// All followers of this core together hold too much.
    AllFull,
    /// It left.
    Gone,
    /// The shard gives nothing more.
    Ended(ReadRefusal),
}

async fn push_until_full(
    owner: &Owner,
    log: &Log,
    slot: ShardSlot,
    subscription: &Subscription,
    position: &mut u64,
) -> Pause {
    let mut follower = log.follow(slot, *position);
    loop {
        let chunk = match follower.next().await {
            Ok(chunk) => chunk,
            Err(error) => return Pause::Ended(of_read(error)),
        };
        let bytes_max = owner.followers_bytes_max;
        let Some(held) = Held::new(&owner.followers_bytes, chunk.bytes.len(), bytes_max) else {
            return Pause::AllFull;
        };
        let end_index = chunk.end_index();
        match subscription.deliveries.try_send(Delivery::Chunk(chunk, held)) {
            Ok(()) => *position = end_index,
            Err(TrySendError::Full(_)) => return Pause::Full,
            Err(TrySendError::Closed(_)) => return Pause::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_but_never_stuck() {
        let all = Arc::default();
        let large = Held::new(&all, 200, 100).unwrap();
        assert!(Held::new(&all, 1, 100).is_none());
        drop(large);
        let half = Held::new(&all, 50, 100).unwrap();
        let other = Held::new(&all, 50, 100).unwrap();
        assert!(Held::new(&all, 1, 100).is_none());
        drop((half, other));
        assert_eq!(all.load(Ordering::Acquire), 0);
    }
}
