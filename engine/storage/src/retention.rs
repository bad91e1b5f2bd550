//! Keeps the disk near what is wanted: what has expired or was deleted goes, in the background.
//!
//! ```text
//!   look      at the table of a segment when it is sealed, when something in it expires, and when
//!             a shard was deleted: who is kept, how many bytes; horizons move
//!   cap       the oldest segments go while the sealed files are above `log_bytes_max`
//!   remove    segments of which nothing is wanted: manifest, set, and the file back to the pool
//!   rewrite   what a reader waits for, what is a third dead, what is small (see `plan`, `rewrite`)
//! ```
//! It must never act on what it does not know for sure:
//! - A shard keeps everything until this life's owner has said how long it is kept (`open_shard`):
//!   what an old table says may have been raised since.
//! - Nothing expires while the wall clock is far from retention's; see [`clock`].
//! - A file is taken back only when the manifest says durably that it is free, and its last reader
//!   has let go.
//!
//! All of it runs at the background's share, one step at a time; what waits for a step is a flag, a
//! number or a segment's own mark, so nothing here grows with the load.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use runtime::clock::{self as time, Instant};
use runtime::local::Notify;

use crate::catalog::CatalogError;
use crate::committer;
use crate::segment_set::{Census, Segment};
use crate::shard::ShardSlot;
use crate::state::{LogInner, State};
use crate::table::Row;

pub use self::clock::ClockPause;
pub(crate) use self::clock::RetentionClock;
use self::count::{Count, Fate};
use self::keeper::Keeper;

mod clock;
mod count;
mod keeper;
mod plan;
pub(crate) mod rows;

/// What readers and the log's owner tell the background, and what it remembers.
pub(crate) struct Retention {
    clock: Cell<RetentionClock>,
    /// Rises when a shard was deleted or its retention changed: every table is looked at again.
    round: Cell<u32>,
    /// There may be something to do.
    wanted: Notify,
    /// Segments that readers want ordered by shard, by number.
    requested: RefCell<BTreeMap<u64, Request>>,
    /// A request was answered.
    answered: Notify,
    /// The last error that kept the background from something.
    trouble: RefCell<Option<String>>,
    /// The background has ended, or was never started.
    ended: Cell<bool>,
    has_ended: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Waits,
    /// It stays as it is; asked for again not before this.
    Refused(Instant),
}

impl Retention {
    /// For a log whose highest arrival time is `arrival_ms`.
    pub(crate) fn new(arrival_ms: u64) -> Retention {
        let clock = RetentionClock::new(arrival_ms, time::now(), time::wall_ms());
        Retention {
            clock: Cell::new(clock),
            round: Cell::new(1),
            wanted: Notify::new(),
            requested: RefCell::default(),
            answered: Notify::new(),
            trouble: RefCell::default(),
            ended: Cell::new(true),
            has_ended: Notify::new(),
        }
    }

    /// Something was deleted or is kept for another time from now on.
    pub(crate) fn look_again(&self) {
        self.round.set(self.round.get() + 1);
        self.wanted.notify_all();
    }

    /// Wakes the background: the log is finished, or a file became free.
    pub(crate) fn wake(&self) {
        self.wanted.notify_all();
        self.answered.notify_all();
    }

    /// Why nothing expires, if so.
    pub(crate) fn pause(&self) -> Option<ClockPause> {
        self.clock.get().pause()
    }

    /// The last error that kept the background from something.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Retention's time, or `None` while deletion pauses.
    fn tick(&self) -> Option<u64> {
        let mut clock = self.clock.get();
        let now_ms = clock.tick(time::now(), time::wall_ms());
        self.clock.set(clock);
        now_ms
    }

    /// Returns when the background has done its last step.
    pub(crate) async fn ended(&self) {
        loop {
            let has_ended = self.has_ended.notified();
            if self.ended.get() {
                return;
            }
            has_ended.await;
        }
    }

    fn end(&self) {
        self.ended.set(true);
        // Nobody answers any more.
        self.requested.borrow_mut().clear();
        self.has_ended.notify_all();
        self.answered.notify_all();
    }
}

/// Asks that a sealed segment be written anew in the order of its shards, and waits until it was.
/// False if it stays as it is: it does not fit the memory, cannot be read in full, or the disk is
/// full. Look the segment up again by its number afterwards.
pub(crate) async fn ordered(log: &LogInner, segment: &Rc<Segment>) -> bool {
    let retention = &log.retention;
    let number = segment.entry().first;
    if retention.ended.get() || segment.is_retired() {
        return segment.is_retired();
    }
    {
        let mut requested = retention.requested.borrow_mut();
        if let Some(Request::Refused(until)) = requested.get(&number)
            && time::now() < *until
        {
            return false;
        }
        requested.insert(number, Request::Waits);
    }
    retention.wanted.notify_all();
    loop {
        let answered = retention.answered.notified();
        if segment.is_retired() {
            return true;
        }
        if retention.requested.borrow().get(&number) != Some(&Request::Waits) {
            return false;
        }
        answered.await;
    }
}

/// What is wanted of a segment that has just been sealed with these rows.
pub(crate) fn census_of_sealed(
    retention: &Retention,
    state: &mut State,
    number: u64,
    rows: &[Row],
    slots: &[ShardSlot],
) -> Census {
    assert_eq!(rows.len(), slots.len());
    let now_ms = retention.tick();
    let mut count = Count::new(retention.round.get());
    for (row, slot) in rows.iter().zip(slots) {
        let life = Some(state.shards.life_of(*slot));
        if count.add(row, life, now_ms) == Fate::Expires {
            state.shards.get_mut(*slot).expire(row.next_index, number + 1);
        }
    }
    count.census()
}

/// Keeps the log small for as long as it lives.
pub(crate) async fn keep_forever(log: Rc<LogInner>) {
    log.retention.ended.set(false);
    let mut keeper = Keeper::new(log.clone());
    let freed = log.segments.freed();
    loop {
        let wanted = log.retention.wanted.notified();
        let sealed = log.sealed.notified();
        let changed = freed.changed();
        if log.is_finished() {
            break;
        }
        let wake_at = match keeper.work().await {
            Ok(wake_at) => wake_at,
            // Nothing has changed.
            Err(error) if error.is_for_space() => {
                keeper.note(&error);
                time::now() + keeper::REST
            }
            Err(CatalogError::Io(error)) => {
                committer::fail(&log, error);
                break;
            }
            // The folder is being shut down; nothing more is taken back.
            Err(CatalogError::Closed) => break,
            Err(error) => unreachable!("a step is small, and what is for space is above: {error}"),
        };
        time::timeout_at(wake_at, any(any(wanted, sealed), changed)).await;
    }
    log.retention.end();
}

/// Ready when one of the two is.
async fn any(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        let is_ready =
            one.as_mut().poll(context).is_ready() || other.as_mut().poll(context).is_ready();
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
