//! Push: a follower is fed with parts as they become durable, and reads for itself when it is slow.
//!
//! A feed holds a bounded queue of chunks. What does not fit is not queued: the follower then reads
//! from the cache or the disk until it meets the durable tail again, and is fed from there. A slow
//! follower therefore never holds memory, and never loses its place.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use runtime::local::Notify;

use crate::chunk::{Chunk, ReadLimit};
use crate::error::ReadError;
use crate::index::{FrameMeta, Part};
use crate::planted::{Bug, planted};
use crate::reader;
use crate::shard::ShardSlot;
use crate::state::LogInner;

/// What all feeds of a log may hold together, bytes.
const QUEUED_BYTES_MAX: usize = 32 << 20;
/// What a follower that fell behind reads at a time.
const CATCH_UP: ReadLimit = ReadLimit { records: 10_000, bytes: 1 << 20 };

/// The feeds of one log.
#[derive(Default)]
pub(crate) struct Followers {
    feeds: RefCell<BTreeMap<ShardSlot, Vec<Rc<Feed>>>>,
    queued_bytes: Rc<Cell<usize>>,
}

struct Feed {
    queue: RefCell<VecDeque<Chunk>>,
    /// Index behind the newest record that was queued or read.
    next: Cell<u64>,
    ready: Notify,
    queued_bytes: Rc<Cell<usize>>,
}

impl Followers {
    /// Feeds a part that has just become durable to all that wait for exactly it.
    pub(crate) fn feed(&self, part: &Part, frame: &FrameMeta) {
        let feeds = self.feeds.borrow();
        let Some(feeds) = feeds.get(&part.slot) else { return };
        let mut chunk = None;
        for feed in feeds {
            let is_at_the_tail =
                feed.next.get() == part.first_index || planted(Bug::FeedWhileCatchingUp);
            let bytes = part.bytes as usize;
            if is_at_the_tail && self.queued_bytes.get() + bytes <= QUEUED_BYTES_MAX {
                let Some(chunk) = chunk.get_or_insert_with(|| chunk_of(part, frame)) else {
                    // The frame has left the cache already: the follower reads it.
                    continue;
                };
                feed.push(chunk.clone());
            }
            feed.ready.notify_all();
        }
    }

    /// Wakes all followers of a shard, that it may not be read any more or that the log failed.
    pub(crate) fn wake(&self, slot: ShardSlot) {
        if let Some(feeds) = self.feeds.borrow().get(&slot) {
            feeds.iter().for_each(|feed| feed.ready.notify_all());
        }
    }
}

fn chunk_of(part: &Part, frame: &FrameMeta) -> Option<Chunk> {
    let buffer = frame.buffer.as_ref()?;
    let start = (part.position - frame.position) as usize;
    Some(Chunk {
        base_ms: frame.base_ms,
        first_index: part.first_index,
        count: part.count,
        bytes: buffer[start..start + part.bytes as usize].into(),
    })
}

impl Feed {
    fn push(&self, chunk: Chunk) {
        self.queued_bytes.set(self.queued_bytes.get() + chunk.bytes.len());
        self.next.set(chunk.end_index());
        self.queue.borrow_mut().push_back(chunk);
    }

    fn pop(&self) -> Option<Chunk> {
        let chunk = self.queue.borrow_mut().pop_front()?;
        self.queued_bytes.set(self.queued_bytes.get() - chunk.bytes.len());
        Some(chunk)
    }
}

/// Follows one shard from an index on. Dropping it ends the subscription.
pub struct Follower {
    log: Rc<LogInner>,
    slot: ShardSlot,
    feed: Rc<Feed>,
    position: u64,
}

impl Follower {
    pub(crate) fn new(log: Rc<LogInner>, slot: ShardSlot, from: u64) -> Follower {
        let feed = Rc::new(Feed {
            queue: RefCell::default(),
            next: Cell::new(from),
            ready: Notify::new(),
            queued_bytes: log.followers.queued_bytes.clone(),
        });
        log.followers.feeds.borrow_mut().entry(slot).or_default().push(feed.clone());
        log.state.borrow_mut().shards.get_mut(slot).follower_count += 1;
        Follower { log, slot, feed, position: from }
    }

    /// Index of the next record that `next` gives.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next durable records of the shard; waits for them.
    ///
    /// # Errors
    /// [`ReadError`], as for a read.
    pub async fn next(&mut self) -> Result<Chunk, ReadError> {
        loop {
            let log = self.log.clone();
            let feed = self.feed.clone();
            let notified = feed.ready.notified();
            if let Some(chunk) = feed.pop() {
                // A gap is what had expired when the follower read for itself.
                assert!(chunk.first_index >= self.position, "a feed never goes back");
                self.position = chunk.end_index();
                return Ok(chunk);
            }
            let durable_index = reader::readable(&log, self.slot)?;
            if self.position >= durable_index {
                feed.next.set(self.position);
                notified.await;
                continue;
            }
            // While it reads it is not fed: what it would get is not behind its position yet.
            feed.next.set(u64::MAX);
            let permit = log.own_reads.acquire(1).await;
            let result = reader::read(&log, self.slot, self.position, CATCH_UP).await?;
            drop(permit);
            if let Some(chunk) = self.queue_all(result.chunks, result.next) {
                return Ok(chunk);
            }
        }
    }

    /// Keeps the chunks that were read for the next calls, as far as there is room for them; gives
    /// the first.
    fn queue_all(&mut self, chunks: Vec<Chunk>, next: u64) -> Option<Chunk> {
        let mut chunks = chunks.into_iter();
        let first = chunks.next();
        let mut behind = next;
        for chunk in chunks {
            if self.feed.queued_bytes.get() + chunk.bytes.len() > QUEUED_BYTES_MAX {
                // Read again when its turn comes.
                behind = chunk.first_index;
                break;
            }
            self.feed.push(chunk);
        }
        self.feed.next.set(behind);
        // What has expired meanwhile is passed over.
        self.position = first.as_ref().map_or(next, Chunk::end_index);
        first
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        while self.feed.pop().is_some() {}
        let mut feeds = self.log.followers.feeds.borrow_mut();
        if let Some(of_slot) = feeds.get_mut(&self.slot) {
            of_slot.retain(|feed| !Rc::ptr_eq(feed, &self.feed));
            if of_slot.is_empty() {
                feeds.remove(&self.slot);
            }
        }
        self.log.state.borrow_mut().shards.get_mut(self.slot).follower_count -= 1;
    }
}
