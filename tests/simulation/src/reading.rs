//! Reads of every sort, each judged by the oracle.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use runtime::clock;
use storage::chunk::{Chunk, ReadLimit};
use storage::error::ReadError;
use storage::shards::Refusal;

use crate::check::{Check, Finding};
use crate::coverage::Reached;
use crate::oracle::Status;
use crate::session::{ANSWER_AFTER_MAX, Session, ShardHandle};

impl Session {
    /// Reads once from `from` on and judges the answer. Gives where to go on; `None` if the shard
    /// gave nothing, and had a reason.
    pub async fn read(&self, shard: ShardHandle, from: u64, limit: ReadLimit) -> Option<u64> {
        let world = &self.world;
        let firm = world.oracle.borrow_mut().shard(shard.key).firm();
        let read = self.log(shard).read(shard.slot, from, limit);
        let Some(answer) = clock::timeout_at(clock::now() + ANSWER_AFTER_MAX, read).await else {
            let finding = Finding::new(Check::NeverAcknowledged, "an answer to a read", "none");
            world.judge(Some(shard.key), Err::<(), _>(finding));
            return None;
        };
        let result = match answer {
            Ok(result) => result,
            Err(error) => {
                self.judge_refusal(shard, &error);
                return None;
            }
        };
        let count: usize = result.chunks.iter().map(|chunk| chunk.count as usize).sum();
        if count > limit.records || is_too_long(&result.chunks, limit) {
            let finding = Finding::new(Check::WrongAmount, format!("{limit:?}"), count);
            world.judge(Some(shard.key), Err::<(), _>(finding));
        }
        let next = self.judge_chunks(shard, from, &result.chunks)?;
        if result.next < next {
            let finding = Finding::new(Check::Gap, format!("next {next}"), result.next);
            world.judge(Some(shard.key), Err::<(), _>(finding));
        }
        if result.next > next {
            self.judge_expired(shard, result.next)?;
        }
        if count == 0 && result.next < firm {
            let expected = format!("records from {from} to {firm}");
            let finding = Finding::new(Check::WrongAmount, expected, "none").at(result.next);
            world.judge(Some(shard.key), Err::<(), _>(finding))?;
        }
        Some(result.next)
    }

    /// Judges records that a reader got who asked for `from`: gives the index behind the last.
    fn judge_chunks(&self, shard: ShardHandle, from: u64, chunks: &[Chunk]) -> Option<u64> {
        let mut next = from;
        for chunk in chunks {
            if chunk.first_index < next {
                let finding = Finding::new(Check::Gap, format!("index {next}"), chunk.first_index);
                self.world.judge(Some(shard.key), Err::<(), _>(finding))?;
            }
            if chunk.first_index > next {
                self.judge_expired(shard, chunk.first_index)?;
            }
            let mut count = 0;
            for record in chunk.records() {
                let saw = self.world.oracle.borrow_mut().shard(shard.key).saw(&record);
                self.world.judge(Some(shard.key), saw)?;
                self.world.note_clock(record.arrival_ms);
                count += 1;
            }
            if count != chunk.count {
                let finding = Finding::new(Check::WrongAmount, chunk.count, count);
                self.world.judge(Some(shard.key), Err::<(), _>(finding))?;
            }
            next = chunk.end_index();
        }
        Some(next)
    }

    /// Whether all from `from` on has expired or is refused: a follower passes over that in silence,
    /// or is told so itself.
    pub async fn has_nothing_from(&self, shard: ShardHandle, from: u64) -> bool {
        let one = ReadLimit { records: 1, bytes: 1 };
        let read = self.log(shard).read(shard.slot, from, one).await;
        read.map_or(true, |result| result.chunks.is_empty())
    }

    fn judge_expired(&self, shard: ShardHandle, index: u64) -> Option<()> {
        let world = &self.world;
        let mut oracle = world.oracle.borrow_mut();
        let history = oracle.shard(shard.key);
        if self.standing(shard.key).is_none_or(|it| it.status == Status::Deleted) {
            // It was deleted while it was read: what is left of it is nobody's concern.
            return Some(());
        }
        if index > history.horizon() {
            world.reach(Reached::Expired);
        }
        if index > history.tail() {
            let expected = format!("at most {}", history.tail());
            let finding = Finding::new(Check::Invented, expected, index);
            return world.judge(Some(shard.key), Err(finding));
        }
        // A cap on the log's bytes takes the oldest even within their retention.
        let clock_ms = match world.plan.options.log_bytes_max {
            Some(_) => u64::MAX,
            None => world.clock_ms_max(),
        };
        world.judge(Some(shard.key), history.expired(index, clock_ms))
    }

    fn judge_refusal(&self, shard: ShardHandle, error: &ReadError) {
        let world = &self.world;
        let is_deleted = self.standing(shard.key).is_none_or(|it| it.status == Status::Deleted);
        let is_rotten = || {
            let rot = world.rot.borrow();
            rot.as_ref().is_some_and(|rot| rot.excuses(shard.log, shard.key))
        };
        let is_right = match error {
            ReadError::Refused { refusal: Refusal::Deleted, .. } => is_deleted,
            ReadError::Refused { refusal: Refusal::Closed, .. } => false,
            ReadError::Refused { refusal: Refusal::Damaged, .. } | ReadError::Damaged { .. } => {
                is_rotten()
            }
            ReadError::Missing { .. } => false,
            ReadError::Io(_) => world.is_excused(),
        };
        if !is_right {
            let finding = Finding::new(Check::RefusedWithoutCause, "records", error);
            world.judge(Some(shard.key), Err::<(), _>(finding));
        }
    }

    /// Reads all that a shard has, in pieces, and that it is all there.
    pub async fn read_all(&self, shard: ShardHandle, random: &mut Rng) {
        let firm = self.world.oracle.borrow_mut().shard(shard.key).firm();
        let mut from = 0;
        while from < firm {
            let limit = draw_limit(random);
            match self.read(shard, from, limit).await {
                Some(next) if next > from => from = next,
                Some(_) | None => return,
            }
        }
    }

    /// Reads all that all shards have.
    pub async fn read_everything(&self, random: &mut Rng) {
        let mut handles = self.handles();
        random.shuffle(&mut handles);
        self.world.tell(|| "everything is read");
        for (shard, standing) in handles {
            match standing.status {
                Status::Open | Status::Closed => self.read_all(shard, random).await,
                Status::Deleted => {
                    let one = ReadLimit { records: 1, bytes: 1 };
                    if self.read(shard, 0, one).await.is_some() {
                        let finding =
                            Finding::new(Check::DeletedCameBack, "a refusal", "an answer");
                        self.world.judge(Some(shard.key), Err::<(), _>(finding));
                    }
                }
            }
        }
    }

    /// Asks for the first record of a time and judges the answer.
    pub async fn find_by_time(&self, shard: ShardHandle, arrival_ms: u64) {
        // What became durable meanwhile may be of any time.
        let tail = self.log(shard).shard(shard.slot).durable_index;
        let find = self.log(shard).find_by_time(shard.slot, arrival_ms);
        let found = match clock::timeout_at(clock::now() + ANSWER_AFTER_MAX, find).await {
            Some(Ok(found)) => found,
            Some(Err(error)) => return self.judge_refusal(shard, &error),
            None => {
                let finding = Finding::new(Check::NeverAcknowledged, "an index by time", "none");
                self.world.judge(Some(shard.key), Err::<(), _>(finding));
                return;
            }
        };
        let finding = {
            let mut oracle = self.world.oracle.borrow_mut();
            let history = oracle.shard(shard.key);
            let arrival = |index| history.fact(index).and_then(|fact| fact.arrival_ms);
            // What is below the horizon may be passed over whatever its time.
            let too_late = (history.horizon()..found.min(history.firm()))
                .rev()
                .find(|&index| arrival(index).is_some_and(|known_ms| known_ms >= arrival_ms));
            let known_ms = arrival(found).filter(|_| found < tail);
            let too_early = known_ms.filter(|&known_ms| known_ms < arrival_ms);
            match (too_late, too_early) {
                // Unless they have expired since, which the next read says.
                (Some(index), _) if history.retention_ms_min == crate::plan::LONG_MS => {
                    let expected = format!("{index}, which is of {arrival_ms} ms or later");
                    Some(Finding::new(Check::WrongTime, expected, found).at(index))
                }
                (_, Some(known_ms)) => {
                    let expected = format!("a record of {arrival_ms} ms or later");
                    let seen = format!("{found}, of {known_ms} ms");
                    Some(Finding::new(Check::WrongTime, expected, seen).at(found))
                }
                _ => None,
            }
        };
        if let Some(finding) = finding.filter(|_| self.world.plan.options.log_bytes_max.is_none()) {
            self.world.judge(Some(shard.key), Err::<(), _>(finding));
        }
    }
}

fn is_too_long(chunks: &[Chunk], limit: ReadLimit) -> bool {
    let records = chunks.iter().flat_map(Chunk::records);
    let bytes: usize = records.map(|record| record.key.len() + record.data.len()).sum();
    let count: u32 = chunks.iter().map(|chunk| chunk.count).sum();
    count > 1 && bytes > limit.bytes
}

/// Limits from one record to all there are.
pub fn draw_limit(random: &mut Rng) -> ReadLimit {
    let records = match random.u8(0..4) {
        0 => random.usize(1..=5),
        _ => random.usize(5..=500),
    };
    let bytes = match random.u8(0..4) {
        0 => random.usize(1..=2_000),
        _ => random.usize(10_000..=1_000_000),
    };
    ReadLimit { records, bytes }
}

/// How far a follower has come.
pub struct Following {
    /// Whom it follows.
    pub shard: ShardHandle,
    /// Index of the next record that it waits for.
    pub position: Cell<u64>,
    /// It was told why it gets nothing more.
    pub ended: Cell<bool>,
}

/// Follows a shard for as long as the life lasts, now and then slowly.
pub async fn follow(session: Rc<Session>, following: Rc<Following>, mut random: Rng) {
    let shard = following.shard;
    let mut follower = session.log(shard).follow(shard.slot, following.position.get());
    loop {
        match follower.next().await {
            Ok(chunk) => {
                let from = following.position.get();
                let Some(next) = session.judge_chunks(shard, from, &[chunk]) else { return };
                following.position.set(next);
            }
            Err(error) => {
                session.judge_refusal(shard, &error);
                following.ended.set(true);
                return;
            }
        }
        if random.u8(0..8) == 0 && !session.ending.get() {
            clock::sleep(Duration::from_micros(random.u64(0..5_000))).await;
        }
    }
}
