//! One call's records as bytes: keys and data one after the other in an arena, with their spans and
//! the shard that each key's MD5 predicts.
//!
//! ```text
//!   arena   key 0 | data 0 | key 1 | data 1 | ...          one allocation, reused by later calls
//! ```
//!
//! The arena is shared with whoever sends it. It is filled again only when nobody else holds it;
//! where somebody still does, a new one is allocated and counted, for that would disturb a
//! measurement. Nothing else is allocated per call or record.

use crate::keys::{KEY_BYTES_MAX, KeyDistribution, Keys};
use crate::payload::Payloads;
use crate::record::Identity;
use crate::schedule::{Lane, Schedule};
use crate::sizes::Sizes;
use digest::Span;
use model::{HashKey, ShardMap};
use std::sync::Arc;

/// Where one record lies in its batch's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpan {
    /// The partition key.
    pub key: Span,
    /// The data.
    pub data: Span,
}

impl RecordSpan {
    /// What the record costs of a shard's limit in bytes: data and key.
    #[must_use]
    pub const fn cost_bytes(self) -> u32 {
        self.key.bytes + self.data.bytes
    }
}

/// See the module.
#[derive(Debug)]
pub struct Batch {
    arena: Arc<Vec<u8>>,
    records: Vec<RecordSpan>,
    keys: Vec<Span>,
    hash_keys: Vec<u128>,
    shards: Vec<u32>,
    first: Identity,
    arenas_replaced: u64,
}

/// When the records of a batch are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intended {
    /// Each at its own tick.
    Ticks(Schedule),
    /// All at one moment, in nanoseconds since t0: a closed loop has no ticks.
    At(u64),
}

/// Fills batches of one producer.
#[derive(Clone, Debug)]
pub struct BatchMaker {
    keys: Keys,
    payloads: Arc<Payloads>,
    sizes: Sizes,
    lane: Lane,
    shards: ShardMap,
    records_max: usize,
}

/// What a producer's batches have in common.
#[derive(Clone, Debug)]
pub struct BatchPlan {
    /// Of keys.
    pub seed: u64,
    /// Of keys.
    pub keys: KeyDistribution,
    /// Of data.
    pub sizes: Sizes,
    /// Shared by all producers.
    pub payloads: Arc<Payloads>,
    /// Which producer, of how many.
    pub lane: Lane,
    /// The stream's shards, for the prediction.
    pub shards: ShardMap,
    /// Largest batch.
    pub records_max: u32,
}

impl BatchMaker {
    /// The maker of one producer's batches.
    #[must_use]
    pub fn new(plan: BatchPlan) -> Self {
        Self {
            keys: Keys::new(plan.keys, plan.seed),
            payloads: plan.payloads,
            sizes: plan.sizes,
            lane: plan.lane,
            shards: plan.shards,
            records_max: usize::try_from(plan.records_max).expect("32 bits fit"),
        }
    }

    /// Which producer it makes for, of how many.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.lane
    }

    /// An empty batch with room for the largest that this maker makes, all of it touched, so that
    /// filling it takes no page fault.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let count = self.records_max;
        let nowhere = Span { start: u32::MAX, bytes: 0 };
        Batch {
            arena: Arc::new(touched(1, self.arena_bytes())),
            records: touched(RecordSpan { key: nowhere, data: nowhere }, count),
            keys: touched(nowhere, count),
            hash_keys: touched(u128::MAX, count),
            shards: touched(u32::MAX, count),
            first: Identity { producer: self.lane.producer, sequence: 0 },
            arenas_replaced: 0,
        }
    }

    fn arena_bytes(&self) -> usize {
        let data = usize::try_from(self.sizes.bytes_max()).expect("32 bits fit");
        self.records_max * (KEY_BYTES_MAX + data)
    }

    /// Makes `count` records from `first_sequence` on. Everything that was in the batch is gone.
    pub fn fill(&self, batch: &mut Batch, first_sequence: u64, count: u32, intended: Intended) {
        let count = usize::try_from(count).expect("32 bits fit");
        assert!(count <= self.records_max, "the batch was allocated for less");
        batch.first = Identity { producer: self.lane.producer, sequence: first_sequence };
        batch.records.clear();
        batch.keys.clear();
        if Arc::get_mut(&mut batch.arena).is_none() {
            batch.arena = Arc::new(touched(1, self.arena_bytes()));
            batch.arenas_replaced += 1;
        }
        let arena = Arc::get_mut(&mut batch.arena).expect("the only holder of a new arena");
        arena.clear();
        match intended {
            Intended::Ticks(schedule) => {
                let ticks = schedule.walk(self.lane, first_sequence);
                for (sequence, tick_ns) in (first_sequence..).zip(ticks).take(count) {
                    self.append(sequence, tick_ns, arena, &mut batch.records, &mut batch.keys);
                }
            }
            Intended::At(now_ns) => {
                for sequence in (first_sequence..).take(count) {
                    self.append(sequence, now_ns, arena, &mut batch.records, &mut batch.keys);
                }
            }
        }
        assert!(arena.len() <= self.arena_bytes(), "the arena never grows");
        batch.hash_keys.resize(count, 0);
        digest::md5_spans(arena, &batch.keys, &mut batch.hash_keys);
        batch.shards.clear();
        let located = batch.hash_keys.iter().map(|key| self.shards.locate(HashKey(*key)).get());
        batch.shards.extend(located);
    }

    #[inline]
    fn append(
        &self,
        sequence: u64,
        intended_ns: u64,
        arena: &mut Vec<u8>,
        records: &mut Vec<RecordSpan>,
        keys: &mut Vec<Span>,
    ) {
        let record = Identity { producer: self.lane.producer, sequence };
        let key_at = arena.len();
        self.keys.append(record, arena);
        let data_at = arena.len();
        let Sizes::Fixed { bytes } = self.sizes;
        let data_bytes = usize::try_from(bytes).expect("32 bits fit");
        self.payloads.append(record, intended_ns, data_bytes, arena);
        let key = span(key_at, data_at);
        keys.push(key);
        records.push(RecordSpan { key, data: span(data_at, arena.len()) });
    }
}

fn span(start: usize, end: usize) -> Span {
    let start_u32 = u32::try_from(start).expect("an arena has less than 4 GiB");
    let bytes = u32::try_from(end - start).expect("an arena has less than 4 GiB");
    Span { start: start_u32, bytes }
}

/// An empty vector whose pages have been written: `value` must not be all zeros, for which the
/// allocator may hand out pages that do not exist yet.
fn touched<T: Clone>(value: T, count: usize) -> Vec<T> {
    let mut items = vec![value; count];
    items.clear();
    items
}

impl Batch {
    /// The bytes, to be shared with whoever sends them.
    #[must_use]
    pub fn arena(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.arena)
    }

    /// The records in their order.
    #[must_use]
    pub fn records(&self) -> &[RecordSpan] {
        &self.records
    }

    /// The shard index that MD5 predicts for each record.
    #[must_use]
    pub fn shards(&self) -> &[u32] {
        &self.shards
    }

    /// Which record is the first; the others follow without a gap.
    #[must_use]
    pub const fn first(&self) -> Identity {
        self.first
    }

    /// Bytes of data of all records, without keys.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.records.iter().map(|record| u64::from(record.data.bytes)).sum()
    }

    /// How often the arena was still held by somebody and had to be allocated anew.
    #[must_use]
    pub const fn arenas_replaced(&self) -> u64 {
        self.arenas_replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    fn maker(keys: &str, bytes: u32) -> BatchMaker {
        BatchMaker::new(BatchPlan {
            seed: 42,
            keys: keys.parse().unwrap(),
            sizes: Sizes::Fixed { bytes },
            payloads: Arc::new(Payloads::new(42, 9, bytes)),
            lane: Lane { producer: 1, producers: 2 },
            shards: ShardMap::uniform(64, 0),
            records_max: 500,
        })
    }

    #[test]
    fn a_batch_holds_its_records() {
        let maker = maker("uniform", 100);
        let schedule = Schedule::fixed(NonZeroU64::new(1_000).unwrap());
        let mut batch = maker.batch();
        maker.fill(&mut batch, 7, 500, Intended::Ticks(schedule));
        assert_eq!(batch.records().len(), 500);
        assert_eq!(batch.data_bytes(), 50_000);
        let arena = batch.arena();
        for (place, (record, shard)) in batch.records().iter().zip(batch.shards()).enumerate() {
            assert_eq!(record.cost_bytes(), 116);
            let key = HashKey::from_partition_key(record.key.of(&arena));
            assert_eq!(maker.shards.locate(key).get(), *shard);
            let decoded = maker.payloads.decode(record.data.of(&arena)).unwrap();
            let sequence = 7 + place as u64;
            assert_eq!(decoded.record, Identity { producer: 1, sequence });
            assert_eq!(decoded.intended_ns, Some((2 * sequence + 1) * 1_000_000));
        }
    }

    #[test]
    fn an_arena_is_reused_when_it_came_back_and_else_replaced() {
        let maker = maker("zipf:1", 1_000);
        let mut batch = maker.batch();
        maker.fill(&mut batch, 0, 500, Intended::At(5));
        let before = batch.arena.as_ptr();
        maker.fill(&mut batch, 500, 500, Intended::At(6));
        assert_eq!(batch.arena.as_ptr(), before, "no allocation for a second call");
        let held = batch.arena();
        maker.fill(&mut batch, 1_000, 3, Intended::At(7));
        assert_eq!(batch.arenas_replaced(), 1);
        let first = maker.payloads.decode(&held[8..1_008]).unwrap();
        assert_eq!(first.record.sequence, 500, "whoever holds the old arena keeps its bytes");
        assert_eq!(first.intended_ns, Some(6));
        assert_eq!(batch.records().len(), 3);
        assert_eq!(batch.shards().len(), 3);
    }
}
