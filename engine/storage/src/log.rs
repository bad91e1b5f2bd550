//! One log: the handle that its core holds, and how it is opened and shut down.

use std::rc::Rc;
use std::time::Duration;

use runtime::clock;

use crate::appender::{self, Acknowledgement, Append};
use crate::catalog::{CatalogClient, CatalogError, CatalogState};
use crate::chunk::ReadLimit;
use crate::committer;
use crate::error::{AppendError, Damage, OpenError, ReadError};
use crate::follower::Follower;
use crate::frame::BLOCK_BYTES;
use crate::open;
use crate::options::LogOptions;
use crate::planted::{Bug, planted};
use crate::reader::{self, ReadResult};
use crate::retention::ClockPause;
use crate::shard::{ShardKey, ShardSlot};
use crate::shards::{Refusal, ShardState};
use crate::state::{LiveSegment, LogInner, Stage, State};
use crate::stats::LogStats;
use crate::time_search;

/// One log of a data folder, opened. Cheap to clone; lives on one core.
#[derive(Clone)]
pub struct Log {
    inner: Rc<LogInner>,
}

/// What opening a log found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Bytes of the unsealed tail that were read.
    pub scanned_bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// Acknowledged bytes that are damaged, with the shards that are refused for it.
    pub damage: Vec<Damage>,
    /// Full segments whose table was missing, torn or damaged, by number. Their frames were walked,
    /// and their tables are written anew. Older segments are not looked at: see `LogStats`.
    pub rebuilt_tables: Vec<u64>,
    /// Shards that the log knows.
    pub shard_count: usize,
    /// Nothing expires for now: the wall clock is far from the log's highest arrival time.
    pub retention_pause: Option<ClockPause>,
}

/// What `Log::prepare` reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Bytes of segments that are ready or free and zeroed.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

impl Log {
    /// Opens log `options.log` of the folder, whose catalog is open with `manifest` as its state,
    /// or creates it. On return all that was recovered is durable and may be read.
    ///
    /// # Errors
    /// [`OpenError`]. Damage to single shards is not an error: it is in [`Recovered`].
    pub async fn open(
        options: LogOptions,
        catalog: CatalogClient,
        manifest: &CatalogState,
    ) -> Result<(Log, Recovered), OpenError> {
        let (inner, recovered) = open::open(options, catalog, manifest).await?;
        Ok((Log { inner }, recovered))
    }

    /// The slot of a shard that may have existed in an earlier life; one that the log does not know
    /// starts empty. Its retention is set to `retention_ms`. Where a damaged frame does not say
    /// whose records it held, a shard that the log does not know is refused as damaged: all that was
    /// acknowledged of it may have stood there.
    pub fn open_shard(&self, key: ShardKey, retention_ms: u64) -> ShardSlot {
        let slot = {
            let mut state = self.inner.state.borrow_mut();
            let is_known = state.shards.find(key).is_some();
            let is_suspect = state.has_nameless_damage && !is_known;
            let slot = state.shards.find_or_create(key, retention_ms);
            state.shards.get_mut(slot).damaged |= is_suspect;
            slot
        };
        self.set_retention(slot, retention_ms);
        slot
    }

    /// The slot of a shard that was made just now: no damage can concern it. It starts empty.
    ///
    /// Panics if the log knows it.
    pub fn create_shard(&self, key: ShardKey, retention_ms: u64) -> ShardSlot {
        let slot = {
            let mut state = self.inner.state.borrow_mut();
            assert!(state.shards.find(key).is_none(), "the key of a new shard is new");
            state.shards.find_or_create(key, retention_ms)
        };
        self.set_retention(slot, retention_ms);
        slot
    }

    /// The slot of a shard that the log knows.
    pub fn find_shard(&self, key: ShardKey) -> Option<ShardSlot> {
        self.inner.state.borrow().shards.find(key)
    }

    /// Why appends to the shard are refused, if they are.
    pub fn append_refusal(&self, slot: ShardSlot) -> Option<Refusal> {
        self.inner.state.borrow().shards.get(slot).append_refusal()
    }

    /// A copy of the shard's state.
    pub fn shard(&self, slot: ShardSlot) -> ShardState {
        self.inner.state.borrow().shards.get(slot).clone()
    }

    /// Accepts a batch, all or nothing: indices are assigned on return, in request order. The
    /// acknowledgement resolves when all of it is durable; the engine holds the payload until then.
    ///
    /// # Errors
    /// [`AppendError`]; after [`AppendError::Busy`] wait for [`Log::room`] and try again.
    pub fn append(&self, append: Append) -> Result<Acknowledgement, AppendError> {
        let acknowledgement = appender::accept(&self.inner, append)?;
        committer::pump(&self.inner);
        Ok(acknowledgement)
    }

    /// Resolves when there may be room for an append again; may resolve too early.
    pub async fn room(&self) {
        if planted(Bug::ForgetRoom) {
            std::future::pending::<()>().await;
        }
        self.inner.room.notified().await;
    }

    /// Reads from record `from` on, or from the first that has not expired; never past the durable
    /// tail. An empty result means that `from` is the durable tail.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(
        &self,
        slot: ShardSlot,
        from: u64,
        limit: ReadLimit,
    ) -> Result<ReadResult, ReadError> {
        reader::read(&self.inner, slot, from, limit).await
    }

    /// The first record of the shard that arrived at `arrival_ms` or later, or the durable tail.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn find_by_time(&self, slot: ShardSlot, arrival_ms: u64) -> Result<u64, ReadError> {
        time_search::find_by_time(&self.inner, slot, arrival_ms).await
    }

    /// Follows the shard from record `from` on.
    pub fn follow(&self, slot: ShardSlot, from: u64) -> Follower {
        Follower::new(self.inner.clone(), slot, from)
    }

    /// Keeps the shard's records for `retention_ms` after their arrival from now on, or for the
    /// log's cap if that is shorter. What has expired already does not come back.
    pub fn set_retention(&self, slot: ShardSlot, retention_ms: u64) {
        let retention_ms =
            retention_ms.min(self.inner.options.retention_ms_max.unwrap_or(u64::MAX));
        let is_news = {
            let mut state = self.inner.state.borrow_mut();
            let shard = state.shards.get_mut(slot);
            let was_kept_for = shard.is_owned.then_some(shard.retention_ms);
            shard.retention_ms = retention_ms;
            shard.is_owned = true;
            shard.sealed_index > 0 && was_kept_for != Some(retention_ms)
        };
        if is_news {
            self.inner.retention.look_again();
        }
    }

    /// Refuses further appends to the shard; reads go on.
    pub fn close_shard(&self, slot: ShardSlot) {
        self.inner.state.borrow_mut().shards.get_mut(slot).closed = true;
        self.inner.followers.wake(slot);
    }

    /// Forgets the shard: it is refused from now on, and its space is freed in the background. The
    /// caller has made durable before that the shard is gone.
    pub fn delete_shard(&self, slot: ShardSlot) {
        {
            let mut state = self.inner.state.borrow_mut();
            state.shards.get_mut(slot).deleted = true;
            state.shards.forget(slot);
        }
        self.inner.followers.wake(slot);
        self.inner.retention.look_again();
    }

    /// Prepares segments for `bytes` of frames, so that a measurement does not wait for zeros.
    ///
    /// # Errors
    /// The disk's or the catalog's.
    pub async fn prepare(&self, bytes: u64) -> Result<Prepared, CatalogError> {
        let started = clock::now();
        let inner = &self.inner;
        let shard_count = inner.state.borrow().shards.count();
        let each = committer::frames_end_max(inner.options.segment_bytes, shard_count);
        let count = usize::try_from(bytes.div_ceil(each)).expect("a folder fits the address space");
        let stocked = inner.pool.stock(count).await?;
        Ok(Prepared { bytes: stocked as u64 * each, took: clock::now() - started })
    }

    /// What the log has done since it was opened.
    pub fn stats(&self) -> LogStats {
        let mut stats = self.inner.state.borrow().stats;
        let inner = &self.inner;
        stats.zeroed_bytes = inner.pool.zeroed_bytes();
        stats.sealed_bytes = inner.segments.bytes();
        stats.file_bytes = inner.file_bytes();
        stats.is_disk_full = inner.pool.is_out_of_space();
        stats.retention_pause = inner.retention.pause();
        let cold = inner.cold.stats();
        stats.cache_hits += cold.hits;
        stats.cache_misses += cold.misses;
        stats.read_bytes += cold.read_bytes;
        stats.image_bytes = cold.image_bytes as u64;
        let tables = inner.cold.tables.stats();
        stats.table_block_hits = tables.hits;
        stats.table_block_misses = tables.misses;
        stats
    }

    /// The last error that kept the background from freeing or ordering something, if there was
    /// one. Nothing of the log is harmed by it.
    pub fn background_trouble(&self) -> Option<String> {
        self.inner.retention.trouble()
    }

    /// Bytes that were accepted and are not in a frame yet.
    pub fn waiting_bytes(&self) -> usize {
        self.inner.state.borrow().waiting_bytes
    }

    /// Acknowledged bytes that were found damaged, with the shards that are refused for it.
    pub fn damage(&self) -> Vec<Damage> {
        self.inner.state.borrow().damage.clone()
    }

    /// The write or flush that failed, if one did: the log acknowledges nothing more.
    pub fn failure(&self) -> Option<String> {
        self.inner.state.borrow().failed.as_ref().map(|error| error.to_string())
    }

    /// Accepts nothing more, writes what waits, a mark behind it, and the tables of full segments.
    /// All accepted batches are acknowledged on return, or have failed.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        inner.state.borrow_mut().is_closed = true;
        committer::pump(inner);
        inner.drained().await;
        committer::mark(inner);
        inner.drained().await;
        inner.all_sealed().await;
        inner.finished.set(true);
        inner.notify_everything();
        inner.retention.ended().await;
        inner.pool.stop().await;
    }
}

impl LogInner {
    /// Waits until nothing waits and nothing is in flight, or the log has failed.
    async fn drained(&self) {
        loop {
            let notified = self.durable.notified();
            let is_drained = {
                let state = self.state.borrow();
                let is_empty = state.open.is_empty() && state.in_flight.is_empty();
                is_empty || state.failed.is_some()
            };
            if is_drained {
                return;
            }
            notified.await;
        }
    }

    /// Waits until no full segment lacks its table, or the log has failed.
    async fn all_sealed(&self) {
        loop {
            let sealed = self.sealed.notified();
            {
                let state = self.state.borrow();
                if state.unsealed_count() == 0 || state.failed.is_some() {
                    return;
                }
            }
            sealed.await;
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.get() || self.state.borrow().failed.is_some()
    }

    pub(crate) fn notify_everything(&self) {
        for notify in [&self.written, &self.durable, &self.room, &self.full, &self.sealed] {
            notify.notify_all();
        }
        self.retention.wake();
        self.pool.wanted.notify_all();
        self.pool.changed.notify_all();
    }

    /// Bytes of all files of the log.
    fn file_bytes(&self) -> u64 {
        let state = self.state.borrow();
        let is_sealed = |segment: &&LiveSegment| matches!(segment.stage, Stage::Sealed);
        let in_use = state.live.iter().filter(|segment| !is_sealed(segment));
        let in_use_bytes: u64 = in_use.map(|segment| segment.entry.bytes).sum();
        self.segments.bytes() + in_use_bytes + self.pool.file_bytes()
    }

    /// Bytes of records that the active segment and the ready ones are sure to take.
    pub(crate) fn room_bytes(&self, state: &State) -> u64 {
        let shard_count = state.shards.count();
        // The last frame of a segment may leave nearly a frame's bytes unused, and every frame
        // nearly a block.
        let per_frame = BLOCK_BYTES as u64;
        let frame_bytes = self.options.frame_bytes as u64;
        let usable = |room: u64| {
            let room = room.saturating_sub(frame_bytes + per_frame);
            room - room / frame_bytes.div_ceil(per_frame)
        };
        let active = state.active();
        let end = committer::frames_end_max(active.entry.bytes, shard_count);
        let ready = self
            .pool
            .ready_bytes()
            .map(|bytes| usable(committer::frames_end_max(bytes, shard_count)));
        usable(end.saturating_sub(active.position)) + ready.sum::<u64>()
    }
}

#[cfg(test)]
mod tests;
