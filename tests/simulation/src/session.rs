//! The folder as its users hold it during one life: the catalog, the logs, the shards' standings.
//!
//! What a server would do is done here in miniature: a shard's standing is durable in the catalog
//! before the log is told, and is told again after each opening.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use runtime::clock;
use storage::Log;
use storage::catalog::{CatalogClient, CatalogError, Mutation};
use storage::shard::{ShardKey, ShardSlot};

use crate::check::{Check, Finding};
use crate::coverage::Reached;
use crate::oracle::{History, Standing, Status};
use crate::reading::Following;
use crate::world::World;

/// Whatever is accepted is answered within this time, faults and slow disks included.
pub const ANSWER_AFTER_MAX: Duration = Duration::from_secs(30);

/// A shard as clients address it.
#[derive(Clone, Copy, Debug)]
pub struct ShardHandle {
    /// Its key.
    pub key: u64,
    /// Which log holds it.
    pub log: usize,
    /// Its slot there.
    pub slot: ShardSlot,
}

/// One life's handles.
pub struct Session {
    /// The seed's world.
    pub world: Rc<World>,
    /// The catalog.
    pub catalog: CatalogClient,
    /// The logs, by number.
    pub logs: Vec<Log>,
    /// Standings as the logs were told them, with the slots.
    shards: RefCell<BTreeMap<u64, (ShardHandle, Standing)>>,
    /// Shards whose standing somebody is changing.
    changing: RefCell<BTreeSet<u64>>,
    /// Durable tails of the logs that were found to have failed.
    frozen: RefCell<BTreeMap<usize, Vec<(ShardHandle, u64)>>>,
    /// Pairs of the catalog's keys that somebody is committing.
    committing: RefCell<BTreeSet<u64>>,
    /// Everybody who follows.
    pub followings: RefCell<Vec<Rc<Following>>>,
    /// Batches accepted and not answered.
    pub unanswered: Cell<u64>,
    /// Clients and followers should come to an end.
    pub ending: Cell<bool>,
}

/// The catalog's key of a shard.
pub fn standing_key(key: u64) -> Vec<u8> {
    format!("shard/{key:016x}").into_bytes()
}

/// The shard that a key of the catalog is about.
pub fn shard_of(key: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(key).ok()?.strip_prefix("shard/")?;
    u64::from_str_radix(digits, 16).ok()
}

impl Session {
    /// The handles of a folder that was opened.
    pub fn new(world: Rc<World>, catalog: CatalogClient, logs: Vec<Log>) -> Session {
        Session {
            world,
            catalog,
            logs,
            shards: RefCell::default(),
            changing: RefCell::default(),
            frozen: RefCell::default(),
            committing: RefCell::default(),
            followings: RefCell::default(),
            unanswered: Cell::new(0),
            ending: Cell::new(false),
        }
    }

    /// The log of a shard.
    pub fn log(&self, handle: ShardHandle) -> &Log {
        &self.logs[handle.log]
    }

    /// Every shard that the logs were told of.
    pub fn handles(&self) -> Vec<(ShardHandle, Standing)> {
        self.shards.borrow().values().copied().collect()
    }

    /// The standing of a shard as its log knows it.
    pub fn standing(&self, key: u64) -> Option<Standing> {
        self.shards.borrow().get(&key).map(|(_, standing)| *standing)
    }

    /// Tells the log of a shard what the catalog says of it.
    pub fn apply(&self, key: u64, log: u16, standing: Standing) {
        let number = usize::from(log);
        let handle = &self.logs[number];
        let slot = match standing.status {
            Status::Deleted => match handle.find_shard(ShardKey(key)) {
                None => {
                    self.shards.borrow_mut().remove(&key);
                    return;
                }
                Some(slot) => slot,
            },
            Status::Open | Status::Closed => {
                handle.open_shard(ShardKey(key), standing.retention_ms)
            }
        };
        match standing.status {
            Status::Open => {}
            Status::Closed => handle.close_shard(slot),
            Status::Deleted => handle.delete_shard(slot),
        }
        let shard = ShardHandle { key, log: number, slot };
        self.shards.borrow_mut().insert(key, (shard, standing));
    }

    /// Creates a shard: durable in the catalog first. False if the catalog refused.
    pub async fn create_shard(&self, retention_ms: u64) -> bool {
        let world = &self.world;
        let number = world.number();
        let log = (number % u64::from(world.plan.log_count)) as u16;
        let key = (number << 32) | u64::from(log);
        let history = History::new(key, log, retention_ms);
        world.oracle.borrow_mut().shards.insert(key, history);
        self.change(key, Standing { status: Status::Open, retention_ms }).await
    }

    /// Changes a shard's standing, unless somebody else is doing so. False if it was not changed.
    pub async fn change(&self, key: u64, standing: Standing) -> bool {
        if !self.changing.borrow_mut().insert(key) {
            return false;
        }
        self.world.tell(|| format!("shard {key:#x} becomes {standing:?}"));
        let log = {
            let mut oracle = self.world.oracle.borrow_mut();
            let history = oracle.shard(key);
            // Whether or not the commit succeeds, the log may hear of it in a later life.
            history.retention_ms_min = history.retention_ms_min.min(standing.retention_ms);
            history.log
        };
        let committed = self.commit(&[(standing_key(key), Some(standing.encode()))]).await;
        if committed {
            self.apply(key, log, standing);
            if standing.status == Status::Deleted {
                self.world.reach(Reached::Deleted);
            }
        }
        self.changing.borrow_mut().remove(&key);
        committed
    }

    /// Keys are committed by one task at a time. False if this pair is being committed.
    pub fn begin_commit(&self, pair: u64) -> bool {
        self.committing.borrow_mut().insert(pair)
    }

    /// The commit of a pair has ended.
    pub fn end_commit(&self, pair: u64) {
        self.committing.borrow_mut().remove(&pair);
    }

    /// Commits values of keys together. False if the catalog refused.
    pub async fn commit(&self, values: &[(Vec<u8>, Option<Vec<u8>>)]) -> bool {
        let world = &self.world;
        for (key, value) in values {
            world.oracle.borrow_mut().entries.tried(key, value.as_deref());
        }
        let mutation = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| match value.clone() {
            Some(value) => Mutation::Set { key: key.clone(), value },
            None => Mutation::Remove { key: key.clone() },
        };
        let commit = self.catalog.commit(values.iter().map(mutation).collect());
        match clock::timeout_at(clock::now() + ANSWER_AFTER_MAX, commit).await {
            Some(Ok(())) => {
                world.tell(|| format!("committed {}", String::from_utf8_lossy(&values[0].0)));
                for (key, _) in values {
                    world.oracle.borrow_mut().entries.committed(key);
                }
                true
            }
            Some(Err(error)) => {
                self.catalog_refused(&error);
                false
            }
            None => {
                let finding = Finding::new(Check::NeverAcknowledged, "an answer", "none");
                world.judge(None, Err::<(), _>(finding));
                false
            }
        }
    }

    fn catalog_refused(&self, error: &CatalogError) {
        let world = &self.world;
        world.tell(|| format!("the catalog refuses: {error}"));
        if matches!(error, CatalogError::Io(_)) && world.is_excused() {
            world.reach(Reached::CatalogFailed);
        }
        let is_full = world.may_be_full() && is_no_space(error);
        if !world.is_excused() && !is_full {
            let finding = Finding::new(Check::FailedWithoutCause, "a commit", error);
            world.judge(None, Err::<(), _>(finding));
        }
    }

    /// Notes that a log has failed, which the disk must have given a reason for; from now on
    /// nothing of it may become durable.
    pub fn note_failure(&self, log: usize) {
        let Some(error) = self.logs[log].failure() else { return };
        if self.frozen.borrow().contains_key(&log) {
            return;
        }
        self.world.tell(|| format!("log {log} has failed: {error}"));
        self.world.reach(Reached::LogFailed);
        if !self.world.is_excused() {
            let finding = Finding::new(Check::FailedWithoutCause, "a log that works", error);
            self.world.judge(None, Err::<(), _>(finding));
        }
        let tails = self.tails(log);
        self.frozen.borrow_mut().insert(log, tails);
    }

    fn tails(&self, log: usize) -> Vec<(ShardHandle, u64)> {
        let shards = self.shards.borrow();
        let of_log = shards.values().filter(|(shard, _)| shard.log == log);
        let state = |shard: &ShardHandle| self.logs[log].shard(shard.slot);
        of_log.map(|(shard, _)| (*shard, state(shard).durable_index)).collect()
    }

    /// Checks all logs for failures, and that those that have failed stand still.
    pub fn check_failures(&self) {
        for log in 0..self.logs.len() {
            self.note_failure(log);
            for (shard, tail) in self.frozen.borrow().get(&log).into_iter().flatten() {
                let now = self.logs[log].shard(shard.slot).durable_index;
                if now != *tail {
                    let expected = format!("a durable tail that stays at {tail}");
                    let seen = format!("{now}");
                    let finding = Finding::new(Check::AcknowledgedAfterFailure, expected, seen);
                    self.world.judge(Some(shard.key), Err::<(), _>(finding));
                }
            }
        }
    }

    /// Whether any log is known to have failed.
    pub fn has_any_failed(&self) -> bool {
        !self.frozen.borrow().is_empty()
    }

    /// Whether every log has failed.
    pub fn have_all_failed(&self) -> bool {
        self.frozen.borrow().len() == self.logs.len()
    }
}

fn is_no_space(error: &CatalogError) -> bool {
    use runtime::file::IoErrorKind;
    matches!(error, CatalogError::Io(error) if matches!(error.kind, IoErrorKind::NoSpace))
}
