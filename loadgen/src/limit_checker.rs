//! Does the server throttle too much or too little? What a client can prove of a shard's token
//! buckets from its own calls, in one pass, O(1) per event.
//!
//! A bucket holds at most a burst B and gains r a second; a record is admitted if and only if both
//! buckets (records, bytes) hold its cost; a refused one takes nothing. The client knows only that an
//! attempt was decided between its send s and its answer e. So per shard and resource, by time t:
//!
//! ```text
//!   lo(t)  cost accepted with its answer by t            what was certainly taken
//!   hi(t)  cost sent by t less what is known refused     what can have been taken at most; an
//!                                                        attempt without outcome stays for ever
//!   too much accepted:  lo(y) - hi(x-) > B + r+ (y - x) + tolerance           for some x <= y
//!   unjustly refused:   B + r- s - hi(e) + min over x <= s of (lo(x-) - r- x) >= w + tolerance
//!                       in both resources, for a record of cost w sent at s and refused at e
//! ```
//!
//! with r+ and r- the rate ± 2·10^-4 (two clocks) and a tolerance of one record and 5 ms of the rate.
//! The two extrema over x are kept running: `high` = max(r+ x - hi(x-)), `low` = min(lo(x-) - r- x).
//! After an excess the extrema are re-based, so that one excess is told once.
//!
//! Order of calls, for each answer: [`LimitChecker::refused`] for all of its refused records, then
//! [`LimitChecker::judge`] for them, then [`LimitChecker::accepted`]. Time may not run backwards.
//! One checker sees all writers of a stream, or its `unjust` says nothing; `excess` stays a proof.

use model::limits::{Rate, ShardRates};
use runtime::prefetch::prefetch;

/// How far two clocks may run apart, as a part of the rate.
const CLOCK_SKEW: f64 = 2e-4;

/// How much of the rate may be hidden in the moments between decision and answer.
const TOLERANCE_S: f64 = 5e-3;

const NEVER: u32 = u32::MAX;

/// What the checker has to remember of an attempt until its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    low_records: f64,
    low_bytes: f64,
}

/// Whether the stream's buckets were certainly full when the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamAge {
    /// This run made the stream: its buckets were full.
    Fresh,
    /// Somebody may have written before: the buckets may have been empty.
    Old,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct LimitChecker {
    records: Limit,
    bytes: Limit,
    shards: Vec<ShardState>,
    /// Apart from the states, which every record touches.
    verdicts: Vec<Verdict>,
}

/// What was found about one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Seconds in which an excess of accepted records ended.
    pub over_accept_s: u32,
    /// Seconds in which a record was refused that the buckets must have held.
    pub unjust_throttle_s: u32,
    last_excess_s: u32,
    last_unjust_s: u32,
}

impl Verdict {
    /// Adds what another checker found of the same shard: seconds that both found count twice.
    pub const fn merge(&mut self, other: Verdict) {
        self.over_accept_s += other.over_accept_s;
        self.unjust_throttle_s += other.unjust_throttle_s;
    }
}

/// One resource's declared bucket.
#[derive(Clone, Copy, Debug)]
struct Limit {
    burst: f64,
    rate: f64,
    rate_high: f64,
    rate_low: f64,
}

/// One cache line: what every send and every answer touches.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct ShardState {
    records: ResourceState,
    bytes: ResourceState,
}

const _: () = assert!(size_of::<ShardState>() == 64);

#[derive(Clone, Copy, Debug)]
struct ResourceState {
    lo: f64,
    hi: f64,
    high: f64,
    low: f64,
}

impl Limit {
    fn new(rate: Rate) -> Self {
        let per_second = f64::from(rate.per_second);
        Self {
            burst: f64::from(rate.burst),
            rate: per_second,
            rate_high: per_second * (1.0 + CLOCK_SKEW),
            rate_low: per_second * (1.0 - CLOCK_SKEW),
        }
    }

    fn tolerance(&self, record: f64) -> f64 {
        record + self.rate * TOLERANCE_S
    }
}

impl ResourceState {
    #[inline]
    fn sent(&mut self, limit: &Limit, now_s: f64, cost: f64) -> f64 {
        self.high = self.high.max(limit.rate_high * now_s - self.hi);
        self.low = self.low.min(self.lo - limit.rate_low * now_s);
        self.hi += cost;
        self.low
    }

    #[inline]
    fn refused(&mut self, limit: &Limit, now_s: f64, cost: f64) {
        self.low = self.low.min(self.lo - limit.rate_low * now_s);
        self.hi -= cost;
    }

    /// Whether the bucket certainly held `cost` when an attempt sent at `sent_s` was decided.
    fn must_have_held(&self, limit: &Limit, sent_s: f64, low_at_send: f64, cost: f64) -> bool {
        let held = limit.burst + limit.rate_low * sent_s - self.hi + low_at_send;
        held >= cost + limit.tolerance(cost)
    }

    /// Whether more was accepted than any bucket of this limit can have given.
    #[inline]
    fn accepted(&mut self, limit: &Limit, now_s: f64, cost: f64) -> bool {
        self.low = self.low.min(self.lo - limit.rate_low * now_s);
        self.lo += cost;
        let excess = self.lo - limit.rate_high * now_s + self.high - limit.burst;
        if excess <= limit.tolerance(cost) {
            return false;
        }
        self.high -= excess;
        self.low = self.low.min(self.hi - limit.burst - limit.rate_low * now_s);
        true
    }
}

impl LimitChecker {
    /// Says that a shard will be asked for.
    #[inline]
    pub fn prefetch(&self, shard: u32) {
        if let Some(state) = self.shards.get(shard as usize) {
            prefetch(state);
        }
    }

    /// A checker of `shards` shards whose buckets are declared as `rates`. Times of all calls are
    /// nanoseconds since a moment at which the buckets of a fresh stream are full.
    #[must_use]
    pub fn new(rates: ShardRates, shards: usize, age: StreamAge) -> Self {
        let (records, bytes) = (Limit::new(rates.records), Limit::new(rates.bytes));
        let start = |limit: &Limit| {
            let low = match age {
                StreamAge::Fresh => 0.0,
                StreamAge::Old => -limit.burst,
            };
            ResourceState { lo: 0.0, hi: 0.0, high: 0.0, low }
        };
        let state = ShardState { records: start(&records), bytes: start(&bytes) };
        let verdict = Verdict {
            over_accept_s: 0,
            unjust_throttle_s: 0,
            last_excess_s: NEVER,
            last_unjust_s: NEVER,
        };
        Self { records, bytes, shards: vec![state; shards], verdicts: vec![verdict; shards] }
    }

    /// An attempt leaves. What comes back belongs to it until [`LimitChecker::judge`].
    #[inline]
    pub fn sent(&mut self, now_ns: u64, shard: u32, cost_bytes: u32) -> Kept {
        let now_s = seconds(now_ns);
        let state = &mut self.shards[place(shard)];
        Kept {
            low_records: state.records.sent(&self.records, now_s, 1.0),
            low_bytes: state.bytes.sent(&self.bytes, now_s, f64::from(cost_bytes)),
        }
    }

    /// An attempt came back refused by the throttle. For all of an answer before any other call.
    pub fn refused(&mut self, now_ns: u64, shard: u32, cost_bytes: u32) {
        let now_s = seconds(now_ns);
        let state = &mut self.shards[place(shard)];
        state.records.refused(&self.records, now_s, 1.0);
        state.bytes.refused(&self.bytes, now_s, f64::from(cost_bytes));
    }

    /// Whether that refusal was unjust, and counts it. After [`LimitChecker::refused`] for every
    /// refused record of the answer.
    pub fn judge(
        &mut self,
        now_ns: u64,
        shard: u32,
        cost_bytes: u32,
        sent_ns: u64,
        kept: Kept,
    ) -> bool {
        let sent_s = seconds(sent_ns);
        let state = &self.shards[place(shard)];
        let (records, bytes) = (&state.records, &state.bytes);
        let cost = f64::from(cost_bytes);
        let unjust = records.must_have_held(&self.records, sent_s, kept.low_records, 1.0)
            && bytes.must_have_held(&self.bytes, sent_s, kept.low_bytes, cost);
        if unjust {
            let second = whole_second(now_ns);
            let verdict = &mut self.verdicts[place(shard)];
            verdict.unjust_throttle_s += u32::from(verdict.last_unjust_s != second);
            verdict.last_unjust_s = second;
        }
        unjust
    }

    /// An attempt came back accepted. Returns whether that was too much, and counts it.
    #[inline]
    pub fn accepted(&mut self, now_ns: u64, shard: u32, cost_bytes: u32) -> bool {
        let now_s = seconds(now_ns);
        let state = &mut self.shards[place(shard)];
        let records = state.records.accepted(&self.records, now_s, 1.0);
        let bytes = state.bytes.accepted(&self.bytes, now_s, f64::from(cost_bytes));
        let excess = records | bytes;
        if excess {
            let second = whole_second(now_ns);
            let verdict = &mut self.verdicts[place(shard)];
            verdict.over_accept_s += u32::from(verdict.last_excess_s != second);
            verdict.last_excess_s = second;
        }
        excess
    }

    /// What was found, by shard.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }
}

fn place(shard: u32) -> usize {
    usize::try_from(shard).expect("usize has at least 32 bits here")
}

fn seconds(ns: u64) -> f64 {
    ns as f64 * 1e-9
}

fn whole_second(ns: u64) -> u32 {
    u32::try_from(ns / 1_000_000_000).expect("no run lasts 136 years")
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn checker(age: StreamAge) -> LimitChecker {
        LimitChecker::new(ShardRates::AWS, 2, age)
    }

    /// Sends and answers `count` records of 100 bytes at one moment; true where all was conform.
    fn accept_at(checker: &mut LimitChecker, now_ns: u64, count: u32) -> bool {
        for _ in 0..count {
            checker.sent(now_ns, 1, 100);
        }
        (0..count).filter(|_| checker.accepted(now_ns, 1, 100)).count() == 0
    }

    #[test]
    fn a_burst_is_accepted_and_a_little_more_is_not() {
        // A burst of 1,000 and a tolerance of six: one record and 5 ms of the rate.
        assert!(accept_at(&mut checker(StreamAge::Fresh), MS, 1_006));
        let mut over = checker(StreamAge::Fresh);
        assert!(!accept_at(&mut over, MS, 1_007));
        assert_eq!(over.verdicts()[1].over_accept_s, 1);
        assert_eq!(over.verdicts()[0].over_accept_s, 0);
    }

    #[test]
    fn one_excess_is_told_once_and_the_next_again() {
        let mut checker = checker(StreamAge::Fresh);
        assert!(!accept_at(&mut checker, MS, 1_100));
        assert!(
            accept_at(&mut checker, 1_000 * MS, 999),
            "a second later a second's worth is right"
        );
        assert!(!accept_at(&mut checker, 2_500 * MS, 2_600));
        assert_eq!(checker.verdicts()[1].over_accept_s, 2);
    }

    #[test]
    fn bytes_have_their_own_bucket() {
        let mut checker = checker(StreamAge::Fresh);
        let mut accept = |count: u32| {
            (0..count).any(|_| {
                checker.sent(MS, 0, 100_000);
                checker.accepted(MS, 0, 100_000)
            })
        };
        assert!(!accept(10), "1,000,000 of 1,048,576 bytes");
        assert!(accept(2), "1,200,000 bytes at once");
    }

    #[test]
    fn a_refusal_is_unjust_when_both_buckets_were_full() {
        let refuse = |age, accepted: u32, cost_bytes: u32| {
            let mut checker = checker(age);
            accept_at(&mut checker, MS, accepted);
            let kept = checker.sent(2 * MS, 1, cost_bytes);
            checker.refused(3 * MS, 1, cost_bytes);
            let unjust = checker.judge(3 * MS, 1, cost_bytes, 2 * MS, kept);
            assert_eq!(checker.verdicts()[1].unjust_throttle_s, u32::from(unjust));
            unjust
        };
        assert!(refuse(StreamAge::Fresh, 0, 100));
        assert!(refuse(StreamAge::Fresh, 900, 100));
        assert!(!refuse(StreamAge::Fresh, 1_000, 100), "the bucket was empty");
        assert!(!refuse(StreamAge::Fresh, 0, 1_100_000), "never fits the bytes");
        assert!(!refuse(StreamAge::Old, 0, 100), "somebody else may have emptied it");
    }

    #[test]
    fn an_attempt_without_outcome_excuses_a_refusal() {
        let mut checker = checker(StreamAge::Fresh);
        for _ in 0..1_000 {
            checker.sent(MS, 1, 100);
        }
        let kept = checker.sent(2 * MS, 1, 100);
        checker.refused(3 * MS, 1, 100);
        assert!(!checker.judge(3 * MS, 1, 100, 2 * MS, kept), "those may have taken it all");
    }
}
