//! What one producer was told of its records, kept while it loads.
//!
//! Two rules of order are checked on the way, since only here it is known when what was sent: within
//! a shard, what was acknowledged before a record left stands before it; and records of one call keep
//! the order of the call.

use gyre::embed::{Placed, PutOutcome};
use model::{RecordError, ShardIndex};
use runtime::prefetch::prefetch;

use super::states::{State, States};
use super::sum::Sum;
use crate::record::Identity;

/// Sentences kept of each kind; the counters tell how many there were.
pub(super) const NAMED_MAX: usize = 10;

/// What was acknowledged in one shard. One cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct ShardLedger {
    pub(super) acked: Sum,
    pub(super) acked_count: u64,
    pub(super) sent_count: u64,
    pub(super) refused_count: u64,
    /// Index behind the highest that was acknowledged.
    end_acked: u64,
    /// Index behind the highest of the call `call`.
    end_in_call: u64,
    call: u32,
}

const _: () = assert!(size_of::<ShardLedger>() == 64);

/// See the module.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) producer: u32,
    pub(super) states: States,
    pub(super) shards: Vec<ShardLedger>,
    /// Records past the capacity of the states: not watched.
    pub(super) unwatched: u64,
    pub(super) out_of_order: u64,
    pub(super) wrong_shard: u64,
    pub(super) named: Vec<String>,
}

/// A call of which the ledger learns something.
#[derive(Clone, Copy, Debug)]
pub struct LedgerCall<'a> {
    /// Its first record; the others follow without a gap.
    pub first: Identity,
    /// Its number, from 1.
    pub number: u32,
    /// The shard that MD5 predicts for each record.
    pub shards: &'a [u32],
}

impl Ledger {
    /// The ledger of a producer of at most `capacity` records to `shards` shards.
    #[must_use]
    pub fn new(producer: u32, capacity: u64, shards: usize) -> Ledger {
        let mut lines = vec![ShardLedger { call: 1, ..ShardLedger::default() }; shards];
        lines.fill(ShardLedger::default());
        Ledger {
            producer,
            states: States::new(capacity),
            shards: lines,
            unwatched: 0,
            out_of_order: 0,
            wrong_shard: 0,
            named: Vec::with_capacity(2 * NAMED_MAX),
        }
    }

    /// Records that were acknowledged, by shard.
    pub fn acked_counts(&self) -> impl Iterator<Item = u64> {
        self.shards.iter().map(|line| line.acked_count)
    }

    /// Records that were acknowledged.
    #[must_use]
    pub fn acked_count(&self) -> u64 {
        self.acked_counts().sum()
    }

    /// Says that what is kept of a shard will be asked for.
    #[inline]
    pub fn prefetch(&self, shard: u32) {
        if let Some(line) = self.shards.get(shard as usize) {
            prefetch(line);
        }
    }

    /// A call leaves. For each record, the index behind the highest of its shard that is acknowledged
    /// now is appended to `ends`, which belongs to the call.
    pub fn sent(&mut self, call: LedgerCall<'_>, ends: &mut Vec<u64>) {
        let watched = self.watched(call);
        self.unwatched += call.shards.len() as u64 - watched;
        self.states.fill(call.first.sequence.min(self.states.capacity()), watched, State::Unknown);
        ends.clear();
        ends.extend(call.shards.iter().map(|shard| {
            let line = &mut self.shards[*shard as usize];
            line.sent_count += 1;
            line.end_acked
        }));
    }

    fn watched(&self, call: LedgerCall<'_>) -> u64 {
        let room = self.states.capacity().saturating_sub(call.first.sequence);
        room.min(call.shards.len() as u64)
    }

    /// A call came back. What is not known stays unknown.
    pub fn answered(&mut self, call: LedgerCall<'_>, ends: &[u64], outcomes: &[PutOutcome]) {
        assert_eq!(outcomes.len(), call.shards.len());
        assert_eq!(outcomes.len(), ends.len());
        let watched = self.watched(call);
        let all_acked = outcomes.iter().all(Result::is_ok);
        if all_acked {
            let first = call.first.sequence.min(self.states.capacity());
            self.states.fill(first, watched, State::Acked);
        }
        let records = (0..).zip(call.shards).zip(ends).zip(outcomes);
        for (((ordinal, shard), end), outcome) in records {
            match outcome {
                Ok(placed) => {
                    if !all_acked && ordinal < watched {
                        self.states.set(call.first.sequence + ordinal, State::Acked);
                    }
                    self.acked(call, ordinal, *shard, *end, *placed);
                }
                Err(RecordError::ThroughputExceeded { .. }) => {
                    self.shards[*shard as usize].refused_count += 1;
                    if ordinal < watched {
                        self.states.set(call.first.sequence + ordinal, State::Absent);
                    }
                }
                Err(RecordError::InternalFailure | RecordError::DiskFull { .. }) => {}
            }
        }
    }

    #[inline]
    fn acked(&mut self, call: LedgerCall<'_>, ordinal: u64, shard: u32, end: u64, placed: Placed) {
        let record = Identity { sequence: call.first.sequence + ordinal, ..call.first };
        let line = &mut self.shards[shard as usize];
        line.acked.add(record, placed.index, placed.arrival_ms);
        line.acked_count += 1;
        let end_in_call = if line.call == call.number { line.end_in_call } else { 0 };
        let is_in_order = placed.index >= end && placed.index >= end_in_call;
        line.call = call.number;
        line.end_in_call = placed.index + 1;
        line.end_acked = line.end_acked.max(placed.index + 1);
        if !is_in_order || placed.shard != ShardIndex::new(shard) {
            self.tell(record, shard, end.max(end_in_call), placed);
        }
    }

    #[cold]
    fn tell(&mut self, record: Identity, shard: u32, end: u64, placed: Placed) {
        let Identity { producer, sequence } = record;
        let index = placed.index;
        let sentence = if placed.shard.get() != shard {
            self.wrong_shard += 1;
            let found = placed.shard.get();
            format!(
                "record {sequence} of producer {producer} was acknowledged in shard {found}; the MD5 \
                 of its key says {shard}"
            )
        } else {
            self.out_of_order += 1;
            format!(
                "record {sequence} of producer {producer} was acknowledged in shard {shard} at \
                 {index}, where all below {end} came before it"
            )
        };
        if self.named.len() < NAMED_MAX {
            self.named.push(sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Identity = Identity { producer: 0, sequence: 0 };

    fn placed(shard: u32, index: u64) -> PutOutcome {
        Ok(Placed { shard: ShardIndex::new(shard), index, arrival_ms: 5 })
    }

    fn call(number: u32, sequence: u64, shards: &[u32]) -> LedgerCall<'_> {
        LedgerCall { first: Identity { sequence, ..FIRST }, number, shards }
    }

    #[test]
    fn outcomes_decide_what_may_be_found() {
        let mut ledger = Ledger::new(0, 10, 2);
        let mut ends = Vec::new();
        let call = call(1, 0, &[0, 1, 0, 1]);
        ledger.sent(call, &mut ends);
        assert_eq!(ledger.states.get(3), State::Unknown);
        let refused = Err(RecordError::ThroughputExceeded { shard: ShardIndex::new(1) });
        let failed = Err(RecordError::InternalFailure);
        ledger.answered(call, &ends, &[placed(0, 0), refused, placed(0, 1), failed]);
        let states: Vec<State> = (0..5).map(|at| ledger.states.get(at)).collect();
        use State::{Absent, Acked, Unknown};
        assert_eq!(states, [Acked, Absent, Acked, Unknown, Absent]);
        assert_eq!((ledger.out_of_order, ledger.wrong_shard), (0, 0));
        assert_eq!((ledger.shards[1].sent_count, ledger.shards[1].refused_count), (2, 1));
    }

    #[test]
    fn what_was_acknowledged_before_a_record_left_stands_before_it() {
        let mut ledger = Ledger::new(0, 10, 1);
        let (mut one, mut two, mut three) = (Vec::new(), Vec::new(), Vec::new());
        ledger.sent(call(1, 0, &[0]), &mut one);
        ledger.sent(call(2, 1, &[0]), &mut two);
        // Both were under way: either order is right.
        ledger.answered(call(2, 1, &[0]), &two, &[placed(0, 4)]);
        ledger.answered(call(1, 0, &[0]), &one, &[placed(0, 6)]);
        assert_eq!(ledger.out_of_order, 0);
        ledger.sent(call(3, 2, &[0]), &mut three);
        ledger.answered(call(3, 2, &[0]), &three, &[placed(0, 5)]);
        assert_eq!(ledger.out_of_order, 1);
        assert!(ledger.named[0].contains("record 2 of producer 0"), "{:?}", ledger.named);
    }

    #[test]
    fn records_of_a_call_keep_its_order() {
        let mut ledger = Ledger::new(0, 10, 2);
        let mut ends = Vec::new();
        let call = call(1, 0, &[0, 1, 0]);
        ledger.sent(call, &mut ends);
        ledger.answered(call, &ends, &[placed(0, 1), placed(1, 0), placed(0, 0)]);
        assert_eq!(ledger.out_of_order, 1);
    }

    #[test]
    fn another_shard_than_predicted_is_told() {
        let mut ledger = Ledger::new(0, 10, 2);
        let mut ends = Vec::new();
        ledger.sent(call(1, 0, &[0]), &mut ends);
        ledger.answered(call(1, 0, &[0]), &ends, &[placed(1, 0)]);
        assert_eq!(ledger.wrong_shard, 1);
        assert!(ledger.named[0].contains("acknowledged in shard 1"), "{:?}", ledger.named);
    }

    #[test]
    fn past_its_capacity_it_says_so() {
        let mut ledger = Ledger::new(0, 3, 1);
        let mut ends = Vec::new();
        let call = call(1, 2, &[0, 0]);
        ledger.sent(call, &mut ends);
        ledger.answered(call, &ends, &[placed(0, 0), placed(0, 1)]);
        assert_eq!((ledger.unwatched, ledger.states.get(2)), (1, State::Acked));
    }
}
