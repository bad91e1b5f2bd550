//! A client: appends, reads, commits, changes shards, one operation after the other.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use runtime::clock;
use runtime::task;
use storage::error::AppendError;
use storage::frame::DIRECTORY_ENTRY_BYTES;
use storage::record;
use storage::shards::Refusal;
use storage::{Acknowledgement, Append, AppendRecord};

use crate::check::{Check, Finding};
use crate::content::{self, KEY_BYTES_MIN, RecordId};
use crate::oracle::{Fact, Standing, Status};
use crate::plan::pick;
use crate::reading::{Following, draw_limit, follow};
use crate::session::{ANSWER_AFTER_MAX, Session, ShardHandle};

/// A log that is busy has room again within this time.
const ROOM_AFTER_MAX: Duration = Duration::from_secs(20);
/// Followers of one life, at most.
const FOLLOWERS_MAX: usize = 6;
/// Shards of one seed, at most.
const SHARDS_MAX: usize = 40;

/// One client.
pub struct Client {
    session: Rc<Session>,
    random: Rng,
    until: u64,
}

/// A batch with what the oracle has to know of it.
struct Batch {
    append: Append,
    facts: Vec<(ShardHandle, Fact)>,
}

impl Client {
    /// A client that works until operation `until` of the seed.
    pub fn new(session: Rc<Session>, random: Rng, until: u64) -> Client {
        Client { session, random, until }
    }

    /// Works.
    pub async fn run(mut self) {
        let session = Rc::clone(&self.session);
        let world = &session.world;
        while world.operation() < self.until && !session.have_all_failed() {
            world.begin_operation();
            match self.random.u8(0..100) {
                0..55 => self.append().await,
                55..75 => self.read().await,
                75..80 => self.find_by_time().await,
                80..87 => self.commit_pair().await,
                87..89 => self.create().await,
                89..92 => self.change_shard().await,
                92..95 => self.follow(),
                95..97 => self.read_all().await,
                _ => {
                    session.check_failures();
                    clock::sleep(Duration::from_micros(self.random.u64(0..12_000))).await;
                }
            }
        }
    }

    fn any_shard(&mut self, choose: impl Fn(ShardHandle, Standing) -> bool) -> Option<ShardHandle> {
        let mut handles = self.session.handles();
        handles.retain(|(shard, standing)| choose(*shard, *standing));
        let at = (!handles.is_empty()).then(|| self.random.usize(..handles.len()))?;
        Some(handles[at].0)
    }

    async fn append(&mut self) {
        let log = self.random.usize(..self.session.logs.len());
        let is_any = self.random.u8(0..50) == 0;
        let choose = |shard: ShardHandle, standing: Standing| {
            shard.log == log && (is_any || standing.status == Status::Open)
        };
        let mut shards = Vec::new();
        for _ in 0..self.random.usize(1..=4) {
            shards.extend(self.any_shard(choose));
        }
        if shards.is_empty() {
            return;
        }
        let batch = self.draw_batch(&shards);
        self.session.world.tell(|| {
            let bytes = batch.append.payload.len();
            format!("log {log}: {} records, {bytes} bytes", batch.facts.len())
        });
        let Some(acknowledgement) = self.accepted(log, &batch.append).await else { return };
        let awaited = self.note_accepted(log, batch, acknowledgement);
        if self.random.u8(0..5) < 2 {
            awaited.await;
        }
    }

    fn draw_batch(&mut self, shards: &[ShardHandle]) -> Batch {
        let plan = &self.session.world.plan;
        let random = &mut self.random;
        let count = match random.u8(0..4) {
            0 => random.usize(1..=40),
            _ => random.usize(1..=5),
        };
        let mut left = plan.batch_bytes_max;
        let mut payload = Vec::new();
        let (mut records, mut facts) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let shard = pick(random, shards);
            let key_bytes = random.usize(KEY_BYTES_MIN..=KEY_BYTES_MIN + 8);
            let data_bytes = match random.u8(0..40) {
                0 => random.usize(0..=plan.record_bytes_max() - key_bytes),
                1..10 => random.usize(0..=2_500),
                _ => random.usize(0..=300),
            };
            let needed = record::encoded_bytes(key_bytes, data_bytes) + DIRECTORY_ENTRY_BYTES;
            if needed > left {
                break;
            }
            left -= needed;
            let id = RecordId(self.session.world.number());
            let key_start = payload.len() as u32;
            content::push_key(&mut payload, id, key_bytes);
            let data_start = payload.len() as u32;
            content::push_data(&mut payload, id, data_bytes);
            records.push(AppendRecord {
                slot: shard.slot,
                key_start,
                data_start,
                data_bytes: data_bytes as u32,
                key_bytes: key_bytes as u16,
            });
            facts.push((shard, Fact::new(id, key_bytes, data_bytes)));
        }
        Batch { append: Append { payload: Arc::new(payload), records }, facts }
    }

    /// Appends, waiting while the log is busy. `None`: refused, with a cause.
    async fn accepted(&self, log: usize, append: &Append) -> Option<Acknowledgement> {
        let session = &self.session;
        let deadline = clock::now() + ROOM_AFTER_MAX;
        loop {
            let room = session.logs[log].room();
            match session.logs[log].append(append.clone()) {
                Ok(acknowledgement) => return Some(acknowledgement),
                Err(AppendError::Busy) => {
                    if clock::timeout_at(deadline, room).await.is_none() {
                        if !session.world.may_be_full() {
                            let finding = Finding::new(Check::NeverRoom, "room", "a busy log");
                            session.world.judge(None, Err::<(), _>(finding));
                        }
                        return None;
                    }
                }
                Err(error) => {
                    self.judge_refusal(log, &error).await;
                    return None;
                }
            }
        }
    }

    async fn judge_refusal(&self, log: usize, error: &AppendError) {
        let session = &self.session;
        let world = &session.world;
        world.tell(|| format!("log {log} refuses: {error}"));
        let is_right = match error {
            AppendError::DiskFull { .. } => {
                world.note_refused_as_full();
                world.may_be_full()
            }
            AppendError::Failed(_) => {
                session.note_failure(log);
                true
            }
            AppendError::Refused { key, refusal } => {
                let status = session.standing(key.0).map(|standing| standing.status);
                match refusal {
                    Refusal::Deleted => status.is_none_or(|status| status == Status::Deleted),
                    Refusal::Closed => status == Some(Status::Closed),
                    Refusal::Damaged => {
                        let rot = world.rot.borrow();
                        rot.as_ref().is_some_and(|rot| rot.excuses(log, key.0))
                    }
                }
            }
            AppendError::Busy | AppendError::RecordTooLarge { .. } | AppendError::ShutDown => false,
        };
        if !is_right {
            let finding = Finding::new(Check::RefusedWithoutCause, "an append", error);
            world.judge(None, Err::<(), _>(finding));
        }
        clock::sleep(Duration::from_millis(1)).await;
    }

    /// Tells the oracle of an accepted batch; the task ends when it was answered.
    fn note_accepted(
        &self,
        log: usize,
        batch: Batch,
        acknowledgement: Acknowledgement,
    ) -> task::Task<()> {
        let session = Rc::clone(&self.session);
        session.world.note_accepted();
        let mut expected = Vec::with_capacity(batch.facts.len());
        for (shard, fact) in batch.facts {
            if session.standing(shard.key).map(|it| it.status) != Some(Status::Open) {
                let finding = Finding::new(Check::ClosedAccepted, "a refusal", "an append");
                session.world.judge(Some(shard.key), Err::<(), _>(finding));
            }
            let index = session.world.oracle.borrow_mut().shard(shard.key).assign(fact);
            expected.push((shard.key, index));
        }
        session.unanswered.set(session.unanswered.get() + 1);
        task::spawn(async move {
            await_answer(&session, log, &expected, acknowledgement).await;
            session.unanswered.set(session.unanswered.get() - 1);
        })
    }

    async fn read(&mut self) {
        let Some(shard) = self.any_shard(|_, _| true) else { return };
        let tail = self.session.world.oracle.borrow_mut().shard(shard.key).tail();
        let from = match self.random.u8(0..3) {
            0 => 0,
            1 => self.random.u64(0..=tail),
            _ => tail.saturating_sub(self.random.u64(0..=20)),
        };
        // Nobody asks for what was never said to exist.
        let from = from.min(self.session.log(shard).shard(shard.slot).durable_index);
        let limit = draw_limit(&mut self.random);
        self.session.read(shard, from, limit).await;
    }

    async fn read_all(&mut self) {
        let is_there = |_, standing: Standing| standing.status != Status::Deleted;
        let Some(shard) = self.any_shard(is_there) else { return };
        self.session.read_all(shard, &mut self.random).await;
    }

    async fn find_by_time(&mut self) {
        let Some(shard) = self.any_shard(|_, _| true) else { return };
        let arrival_ms = {
            let mut oracle = self.session.world.oracle.borrow_mut();
            let history = oracle.shard(shard.key);
            let index = self.random.u64(0..=history.firm());
            let known_ms = history.fact(index).and_then(|fact| fact.arrival_ms);
            known_ms.map_or(0, |known_ms| known_ms.saturating_add(self.random.u64(0..=2)))
        };
        self.session.find_by_time(shard, arrival_ms).await;
    }

    /// Two keys that always have the same value.
    async fn commit_pair(&mut self) {
        let number = self.random.u64(0..6);
        let keys = ["left", "right"].map(|side| format!("pair/{side}/{number}").into_bytes());
        if !self.session.begin_commit(number) {
            return;
        }
        let value = match self.random.u8(0..5) {
            0 => None,
            _ => {
                let mut value = Vec::new();
                let bytes = pick(&mut self.random, &[8, 300, 3_000]);
                let id = RecordId(self.session.world.number());
                content::push_data(&mut value, id, bytes);
                Some(value)
            }
        };
        let [left, right] = &keys;
        self.session.world.oracle.borrow_mut().entries.pair(left, right);
        let values = keys.map(|key| (key, value.clone()));
        self.session.commit(&values).await;
        self.session.end_commit(number);
    }

    async fn create(&mut self) {
        if self.session.world.oracle.borrow().shards.len() < SHARDS_MAX {
            let retention_ms = pick(&mut self.random, &self.session.world.plan.retentions_ms);
            self.session.create_shard(retention_ms).await;
        }
    }

    async fn change_shard(&mut self) {
        let is_there = |_, standing: Standing| standing.status != Status::Deleted;
        let Some(shard) = self.any_shard(is_there) else { return };
        let Some(standing) = self.session.standing(shard.key) else { return };
        let changed = match self.random.u8(0..6) {
            0 => Standing { status: Status::Deleted, ..standing },
            1 | 2 => Standing { status: Status::Closed, ..standing },
            _ => {
                let retention_ms = pick(&mut self.random, &self.session.world.plan.retentions_ms);
                Standing { retention_ms, ..standing }
            }
        };
        self.session.change(shard.key, changed).await;
    }

    fn follow(&mut self) {
        let session = &self.session;
        if session.followings.borrow().len() >= FOLLOWERS_MAX {
            return;
        }
        let is_there = |_, standing: Standing| standing.status != Status::Deleted;
        let Some(shard) = self.any_shard(is_there) else { return };
        let durable_index = self.session.log(shard).shard(shard.slot).durable_index;
        let from = self.random.u64(0..=durable_index);
        let following =
            Rc::new(Following { shard, position: Cell::new(from), ended: Cell::new(false) });
        self.session.followings.borrow_mut().push(Rc::clone(&following));
        let session = Rc::clone(&self.session);
        drop(task::spawn(follow(session, following, self.random.fork())));
    }
}

async fn await_answer(
    session: &Session,
    log: usize,
    expected: &[(u64, u64)],
    acknowledgement: Acknowledgement,
) {
    let world = &session.world;
    let answer = clock::timeout_at(clock::now() + ANSWER_AFTER_MAX, acknowledgement).await;
    let appended = match answer {
        Some(Ok(Ok(appended))) => appended,
        Some(Ok(Err(AppendError::Failed(_)))) => return session.note_failure(log),
        Some(Ok(Err(error))) => {
            let finding = Finding::new(Check::NeverAcknowledged, "an acknowledgement", error);
            world.judge(None, Err::<(), _>(finding));
            return;
        }
        Some(Err(_)) | None => {
            let finding = Finding::new(Check::NeverAcknowledged, "an acknowledgement", "none");
            world.judge(None, Err::<(), _>(finding));
            return;
        }
    };
    world.note_clock(appended.arrival_ms);
    let indices: Vec<u64> = expected.iter().map(|(_, index)| *index).collect();
    if indices != appended.indices {
        let (expected, seen) = (format!("{indices:?}"), format!("{:?}", appended.indices));
        world.judge(None, Err::<(), _>(Finding::new(Check::WrongIndex, expected, seen)));
        return;
    }
    for (key, index) in expected {
        let mut oracle = world.oracle.borrow_mut();
        let known = oracle.shard(*key).acknowledged(*index, appended.arrival_ms);
        drop(oracle);
        if world.judge(Some(*key), known).is_none() {
            return;
        }
    }
}
