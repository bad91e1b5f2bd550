//! What each shard was offered and what it took: a cache line of counters and a histogram of 832
//! bytes, for thousands of shards.
//!
//! ```text
//!   26 octaves from 1 µs (1-2, 2-4, ... to 67 s) x 8 equal steps = 208 counters of 32 bits
//! ```
//!
//! A latency is counted once for each call and shard and is read back as the middle of its step: at
//! most 6.3 % off. Counting takes a multiplication, a shift and an addition.

use runtime::prefetch::prefetch;

/// Octaves of a shard's histogram.
const OCTAVES: usize = 26;
const STEPS: usize = 8;
const BUCKETS: usize = OCTAVES * STEPS;
const NS_PER_UNIT: u64 = 125;

/// A shard's latencies.
#[derive(Clone, Copy, Debug)]
pub struct Octaves([u32; BUCKETS]);

const _: () = assert!(size_of::<Octaves>() == 832);

impl Octaves {
    /// Nothing counted.
    pub const EMPTY: Self = Self([0; BUCKETS]);

    /// Counts a latency. Below 1 µs it counts as 1 µs, above 67 s as 67 s.
    #[inline]
    pub fn add(&mut self, ns: u64) {
        self.0[bucket_of(ns)] += 1;
    }

    /// Adds another worker's counts.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.0.iter_mut().zip(&other.0) {
            *ours += theirs;
        }
    }

    /// Latencies counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// A quantile in nanoseconds, the middle of its step; `None` where nothing was counted.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let all = self.count();
        let rank = ((q * all as f64).ceil() as u64).max(1);
        let mut sum = 0;
        let bucket = self.0.iter().position(|count| {
            sum += u64::from(*count);
            sum >= rank
        });
        bucket.filter(|_| all > 0).map(middle_of)
    }
}

#[inline]
fn bucket_of(ns: u64) -> usize {
    // In eighths of a microsecond: from 8 on, the leading bit is the octave, the next three the step.
    let units = (ns / NS_PER_UNIT).max(STEPS as u64);
    let octave = units.ilog2() - STEPS.ilog2();
    let step = (units >> octave) as usize - STEPS;
    (octave as usize * STEPS + step).min(BUCKETS - 1)
}

fn middle_of(bucket: usize) -> u64 {
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    let low = ((STEPS + step) as u64 * NS_PER_UNIT) << octave;
    low + ((NS_PER_UNIT << octave) / 2)
}

/// A shard's counters over the measured time.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub struct ShardCounters {
    /// Attempts sent.
    pub offered_records: u64,
    /// Attempts accepted.
    pub accepted_records: u64,
    /// Their data and keys.
    pub accepted_bytes: u64,
    /// Attempts refused by the throttle.
    pub throttled_records: u64,
    second_bytes: u64,
    peak_bytes: u64,
    second: u32,
    second_records: u32,
    peak_records: u32,
    last_call: u32,
}

const _: () = assert!(size_of::<ShardCounters>() == 64);

impl ShardCounters {
    /// Counts an accepted attempt in the second of its answer. Returns whether this is the first of
    /// its call on this shard; calls are numbered from 1.
    #[inline]
    pub fn accept(&mut self, cost_bytes: u32, second: u32, call: u32) -> bool {
        self.accepted_records += 1;
        self.accepted_bytes += u64::from(cost_bytes);
        if second != self.second {
            self.close_second();
            self.second = second;
        }
        self.second_records += 1;
        self.second_bytes += u64::from(cost_bytes);
        let is_first = self.last_call != call;
        self.last_call = call;
        is_first
    }

    fn close_second(&mut self) {
        self.peak_records = self.peak_records.max(self.second_records);
        self.peak_bytes = self.peak_bytes.max(self.second_bytes);
        self.second_records = 0;
        self.second_bytes = 0;
    }

    /// Most records accepted in one second.
    #[must_use]
    pub fn peak_1s_records(&self) -> u32 {
        self.peak_records.max(self.second_records)
    }

    /// Most bytes accepted in one second.
    #[must_use]
    pub fn peak_1s_bytes(&self) -> u64 {
        self.peak_bytes.max(self.second_bytes)
    }
}

/// All shards of a stream, as one worker saw them.
#[derive(Clone, Debug)]
pub struct ShardStats {
    counters: Vec<ShardCounters>,
    octaves: Vec<Octaves>,
}

impl ShardStats {
    /// Nothing counted for `shards` shards; every page is written.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let mut octaves = vec![Octaves([1; BUCKETS]); shards];
        octaves.fill(Octaves::EMPTY);
        let mut counters = vec![ShardCounters { last_call: 1, ..ShardCounters::default() }; shards];
        counters.fill(ShardCounters::default());
        Self { counters, octaves }
    }

    /// Says that a shard will be asked for, and the latency counted that is told.
    #[inline]
    pub fn prefetch(&self, shard: u32, response_ns: Option<u64>) {
        let shard = shard as usize;
        if let Some(counters) = self.counters.get(shard) {
            prefetch(counters);
        }
        if let (Some(octaves), Some(ns)) = (self.octaves.get(shard), response_ns) {
            prefetch(&octaves.0[bucket_of(ns)]);
        }
    }

    /// Counts an attempt that leaves.
    #[inline]
    pub fn offer(&mut self, shard: u32) {
        self.counters[shard as usize].offered_records += 1;
    }

    /// Counts an accepted attempt; its call's response once for each shard.
    #[inline]
    pub fn accept(&mut self, shard: u32, cost_bytes: u32, response_ns: u64, at: AnswerMoment) {
        let shard = shard as usize;
        if self.counters[shard].accept(cost_bytes, at.second, at.call) {
            self.octaves[shard].add(response_ns);
        }
    }

    /// Counts an attempt refused by the throttle.
    #[inline]
    pub fn throttle(&mut self, shard: u32) {
        self.counters[shard as usize].throttled_records += 1;
    }

    /// Adds what another worker saw. The peaks of a second add up to an upper bound: the two need not
    /// have been in the same second.
    pub fn merge(&mut self, other: &Self) {
        assert!(self.counters.len() == other.counters.len(), "workers share a stream");
        for (ours, theirs) in self.counters.iter_mut().zip(&other.counters) {
            ours.offered_records += theirs.offered_records;
            ours.accepted_records += theirs.accepted_records;
            ours.accepted_bytes += theirs.accepted_bytes;
            ours.throttled_records += theirs.throttled_records;
            ours.close_second();
            ours.peak_records += theirs.peak_1s_records();
            ours.peak_bytes += theirs.peak_1s_bytes();
        }
        for (ours, theirs) in self.octaves.iter_mut().zip(&other.octaves) {
            ours.merge(theirs);
        }
    }

    /// The counters, by shard.
    #[must_use]
    pub fn counters(&self) -> &[ShardCounters] {
        &self.counters
    }

    /// The latencies, by shard.
    #[must_use]
    pub fn octaves(&self) -> &[Octaves] {
        &self.octaves
    }
}

/// What all records of an answer have in common.
#[derive(Clone, Copy, Debug)]
pub struct AnswerMoment {
    /// The call's number, from 1.
    pub call: u32,
    /// The whole second of the answer since t0.
    pub second: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_read_back_within_6_3_per_cent() {
        let mut ns = 1_000;
        while ns < 67_000_000_000 {
            let mut octaves = Octaves::EMPTY;
            octaves.add(ns);
            let read = octaves.quantile(0.99).unwrap();
            let error = (read as f64 / ns as f64 - 1.0).abs();
            assert!(error <= 0.063, "{ns}: {read}");
            ns += ns / 97 + 1;
        }
    }

    #[test]
    fn the_ends_take_what_lies_beyond() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(1_000), 0);
        assert_eq!(bucket_of(1_999), 7);
        assert_eq!(bucket_of(2_000), 8);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(Octaves::EMPTY.quantile(0.5), None);
    }

    #[test]
    fn quantiles_and_merging() {
        let (mut one, mut two) = (Octaves::EMPTY, Octaves::EMPTY);
        (0..90).for_each(|_| one.add(1_000_000));
        (0..10).for_each(|_| two.add(100_000_000));
        one.merge(&two);
        assert_eq!(one.count(), 100);
        let about = |q: f64, expected: f64| {
            let ns = one.quantile(q).unwrap() as f64;
            assert!((ns / expected - 1.0).abs() < 0.063, "{q}: {ns}");
        };
        about(0.5, 1e6);
        about(0.9, 1e6);
        about(0.91, 1e8);
        about(0.99, 1e8);
    }

    #[test]
    fn a_shard_counts_its_peak_second_and_one_latency_a_call() {
        let mut stats = ShardStats::new(2);
        let answers = [(1, 5, 100), (1, 5, 100), (2, 5, 100), (3, 6, 900), (4, 8, 50)];
        for (call, second, cost) in answers {
            stats.offer(1);
            stats.accept(1, cost, 2_000_000, AnswerMoment { call, second });
        }
        stats.throttle(1);
        let shard = &stats.counters()[1];
        assert_eq!((shard.offered_records, shard.accepted_records), (5, 5));
        assert_eq!((shard.accepted_bytes, shard.throttled_records), (1_250, 1));
        assert_eq!((shard.peak_1s_records(), shard.peak_1s_bytes()), (3, 900));
        assert_eq!(stats.octaves()[1].count(), 4);
        assert_eq!(stats.octaves()[0].count(), 0);
        let mut sum = stats.clone();
        sum.merge(&stats);
        assert_eq!(sum.counters()[1].accepted_records, 10);
        assert_eq!(sum.counters()[1].peak_1s_records(), 6);
    }
}
