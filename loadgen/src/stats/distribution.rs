//! One kind of latency over a whole run, and which of its quantiles may be printed.
//!
//! - A quantile q needs at least 10 / (1 - q) **calls**: the 500 records of a call are one event.
//! - Beside it stands k, the number of episodes beyond it: adjacent 100 ms slices count once. A p99.9
//!   out of one stall is one event, however many calls it held up.
//! - Records that were never sent stand in the histogram with a lower bound. A quantile that could be
//!   moved by what they would really have taken is printed as "at least".
//! - For an SLO, records that were refused for good, failed or timed out took for ever.

use crate::stats::windows::Windows;
use hdrhistogram::Histogram;

/// Longest latency that is told apart: an hour. Longer ones are counted as overflow.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

const SIGNIFICANT_DIGITS: u8 = 3;

/// An empty histogram as all of them are: 1 ns to 1 h, three digits, about 270 KB.
#[must_use]
pub fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_DIGITS).expect("valid bounds")
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Distribution {
    histogram: Histogram<u64>,
    calls: u64,
    overflow: u64,
    max_ns: u64,
    censored: u64,
    censored_ns_min: u64,
    /// The longest latency of each slice of the measured time.
    slices_max_ns: Vec<u64>,
    windows: Windows,
}

/// A quantile as it may be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// Nanoseconds, to three digits.
    Value(u64),
    /// Nanoseconds that it is not below.
    AtLeast(u64),
    /// Not printed: so many calls would be needed.
    NeedsCalls(u64),
}

impl Quantile {
    /// The number, where there is one.
    #[must_use]
    pub const fn ns(self) -> Option<u64> {
        match self {
            Self::Value(ns) | Self::AtLeast(ns) => Some(ns),
            Self::NeedsCalls(_) => None,
        }
    }
}

/// What recording leaves behind, for [`Distribution::new`].
#[derive(Clone, Debug)]
pub struct Recorded {
    /// All values, those above [`LATENCY_NS_MAX`] at that.
    pub histogram: Histogram<u64>,
    /// Calls that the values come from.
    pub calls: u64,
    /// Values above [`LATENCY_NS_MAX`].
    pub overflow: u64,
    /// The longest, exactly.
    pub max_ns: u64,
    /// The longest of each slice.
    pub slices_max_ns: Vec<u64>,
    /// The same values by window.
    pub windows: Windows,
}

impl Distribution {
    /// A distribution of what was recorded.
    #[must_use]
    pub fn new(recorded: Recorded) -> Self {
        Self {
            histogram: recorded.histogram,
            calls: recorded.calls,
            overflow: recorded.overflow,
            max_ns: recorded.max_ns,
            censored: 0,
            censored_ns_min: u64::MAX,
            slices_max_ns: recorded.slices_max_ns,
            windows: recorded.windows,
        }
    }

    /// Adds what another worker recorded of the same run.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all histograms have the same bounds");
        self.calls += other.calls;
        self.overflow += other.overflow;
        self.max_ns = self.max_ns.max(other.max_ns);
        self.censored += other.censored;
        self.censored_ns_min = self.censored_ns_min.min(other.censored_ns_min);
        let slices = self.slices_max_ns.len().max(other.slices_max_ns.len());
        self.slices_max_ns.resize(slices, 0);
        for (ours, theirs) in self.slices_max_ns.iter_mut().zip(&other.slices_max_ns) {
            *ours = (*ours).max(*theirs);
        }
        self.windows.merge(&other.windows);
    }

    /// The values come from no more than so many calls, in however many pieces they arrived.
    pub fn limit_calls(&mut self, calls: u64) {
        self.calls = self.calls.min(calls);
    }

    /// Adds records that were never sent, or never arrived, with a lower bound of what each would have
    /// taken.
    pub fn censor(&mut self, at_least_ns: u64, count: u64) {
        self.histogram.saturating_record_n(at_least_ns.min(LATENCY_NS_MAX), count);
        if at_least_ns > LATENCY_NS_MAX {
            self.overflow += count;
        }
        self.max_ns = self.max_ns.max(at_least_ns);
        self.censored += count;
        self.censored_ns_min = self.censored_ns_min.min(at_least_ns);
    }

    /// Values, censored ones included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Calls that they come from.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Values above an hour.
    #[must_use]
    pub const fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Values that are lower bounds.
    #[must_use]
    pub const fn censored(&self) -> u64 {
        self.censored
    }

    /// The longest, exactly; `None` where nothing was recorded.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// The mean, to three digits; `None` where nothing was recorded.
    #[must_use]
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.histogram.mean())
    }

    /// All values.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// The same values by window.
    #[must_use]
    pub const fn windows(&self) -> &Windows {
        &self.windows
    }

    /// A quantile, `0 < q < 1`, as it may be printed.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Quantile {
        let needed = calls_needed(q);
        if self.calls < needed {
            return Quantile::NeedsCalls(needed);
        }
        let ns = self.value_at(q);
        // Below the smallest bound no unsent record can come in from above; above it, or above the
        // share that was sent, the true value may be anything higher.
        let share_sent = 1.0 - self.censored as f64 / self.count() as f64;
        if self.censored > 0 && (q > share_sent || ns >= self.censored_ns_min) {
            return Quantile::AtLeast(ns);
        }
        Quantile::Value(ns)
    }

    /// A quantile without the rule of printing: for comparing with a limit.
    #[must_use]
    pub fn value_at(&self, q: f64) -> u64 {
        // The highest value of a bucket may lie above the longest one recorded.
        self.histogram.value_at_quantile(q).min(self.max_ns)
    }

    /// A quantile where `lost` more records took for ever; `None` is for ever, or nothing recorded.
    #[must_use]
    pub fn quantile_with_lost(&self, q: f64, lost: u64) -> Option<u64> {
        let (count, all) = (self.count(), self.count() + lost);
        let rank = ((q * all as f64).ceil() as u64).clamp(1, all.max(1));
        if rank > count {
            return None;
        }
        Some(self.value_at(rank as f64 / count as f64))
    }

    /// Records within a bound, for goodput.
    #[must_use]
    pub fn count_within(&self, bound_ns: u64) -> u64 {
        let within = self.histogram.count_between(0, bound_ns);
        within.saturating_sub(if self.censored_ns_min <= bound_ns { self.censored } else { 0 })
    }

    /// How many episodes go beyond a latency: runs of adjacent slices with a longer one in them.
    #[must_use]
    pub fn episodes_beyond(&self, ns: u64) -> u64 {
        let runs = self.slices_max_ns.chunk_by(|one, next| (*one > ns) == (*next > ns));
        runs.filter(|run| run[0] > ns).count() as u64
    }
}

/// The quantiles that are judged and printed, in their order.
pub const QUANTILES: [f64; 6] = [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999];

/// Calls that a quantile needs before it is printed: 10 / (1 - q).
#[must_use]
pub fn calls_needed(q: f64) -> u64 {
    // 1 - 0.999 is a little more than 0.001 in binary; the nearest whole number is meant.
    (10.0 / (1.0 - q)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn distribution(values: impl Iterator<Item = u64>, slices: &[u64]) -> Distribution {
        let mut histogram = empty_histogram();
        let (mut calls, mut max_ns) = (0, 0);
        for value in values {
            histogram.saturating_record(value);
            calls += 1;
            max_ns = max_ns.max(value);
        }
        let windows = Windows::new(SECOND, 0);
        let slices_max_ns = slices.to_vec();
        Distribution::new(Recorded {
            histogram,
            calls,
            overflow: 0,
            max_ns,
            slices_max_ns,
            windows,
        })
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_quantile_needs_its_calls() {
        let check = |calls: u64, q: f64, printed: bool| {
            let quantile = distribution(1..=calls, &[]).quantile(q);
            assert_eq!(quantile.ns().is_some(), printed, "{calls} {q}: {quantile:?}");
        };
        check(19, 0.5, false);
        check(20, 0.5, true);
        check(99, 0.9, false);
        check(100, 0.9, true);
        check(200, 0.95, true);
        check(999, 0.99, false);
        check(1_000, 0.99, true);
        check(9_999, 0.999, false);
        check(10_000, 0.999, true);
        check(99_999, 0.9999, false);
        check(100_000, 0.9999, true);
        assert_eq!(distribution(1..=5, &[]).quantile(0.999), Quantile::NeedsCalls(10_000));
    }

    #[test]
    fn values_are_right_to_three_digits() {
        let distribution = distribution((1..=100_000).map(|i| i * 1_000), &[]);
        for (q, expected) in [(0.5, 50_000_000.0), (0.99, 99_000_000.0), (0.9999, 99_990_000.0)] {
            let ns = distribution.quantile(q).ns().unwrap() as f64;
            assert!((ns / expected - 1.0).abs() < 1e-3, "{q}: {ns}");
        }
        assert_eq!(distribution.max_ns(), Some(100_000_000));
        assert!((distribution.mean_ns().unwrap() / 50_000_500.0 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn percentiles_are_merged_not_averaged() {
        // METHOD.md: eight producers, one of them on a slow shard.
        let mut merged = distribution((0..100_000).map(|_| 4 * MS), &[]);
        for _ in 0..6 {
            merged.merge(&distribution((0..100_000).map(|_| 4 * MS), &[]));
        }
        merged.merge(&distribution(
            (0..100_000).map(|i| if i % 8 == 0 { 40 * MS } else { 4 * MS }),
            &[],
        ));
        let p99 = merged.quantile(0.99).ns().unwrap();
        assert!((39 * MS..41 * MS).contains(&p99), "1.56 % of all are slow: {p99}");
    }

    #[test]
    fn unsent_records_bound_the_quantiles_from_below() {
        let mut half = distribution((0..2_000).map(|_| MS), &[]);
        half.censor(SECOND, 2_000);
        assert_eq!(half.count(), 4_000);
        assert_eq!(half.censored(), 2_000);
        assert!(matches!(half.quantile(0.49), Quantile::Value(ns) if ns < 2 * MS));
        assert!(matches!(half.quantile(0.9), Quantile::AtLeast(ns) if ns >= SECOND * 99 / 100));
        assert!(matches!(half.quantile(0.99), Quantile::AtLeast(_)));
        // A slow accepted record above a bound: unsent ones may stand between, so it is a bound too.
        let mut mixed = distribution((0..2_000).map(|_| 5 * SECOND), &[]);
        mixed.censor(SECOND, 1);
        assert!(matches!(mixed.quantile(0.5), Quantile::AtLeast(_)));
    }

    #[test]
    fn lost_records_take_for_ever_in_an_slo() {
        let distribution = distribution((0..980).map(|_| MS), &[]);
        assert!(distribution.quantile_with_lost(0.99, 0).is_some());
        assert!(distribution.quantile_with_lost(0.99, 9).is_some());
        assert_eq!(distribution.quantile_with_lost(0.99, 20), None);
        assert!(distribution.quantile_with_lost(0.5, 20).is_some());
        assert_eq!(super::tests::distribution(0..0, &[]).quantile_with_lost(0.5, 0), None);
    }

    #[test]
    fn adjacent_slices_are_one_episode() {
        let check = |slices: &[u64], expected: u64| {
            assert_eq!(distribution(1..10, slices).episodes_beyond(5), expected, "{slices:?}");
        };
        check(&[], 0);
        check(&[1, 5, 2], 0);
        check(&[6, 1, 6], 2);
        check(&[1, 6, 7, 8, 1], 1);
        check(&[6, 6, 1, 1, 6, 1, 6], 3);
    }

    #[test]
    fn goodput_counts_what_was_acknowledged_in_time() {
        let mut distribution = distribution((1..=100).map(|i| i * MS), &[]);
        let within = distribution.count_within(10 * MS);
        assert_eq!(within, 10);
        distribution.censor(5 * MS, 1);
        assert_eq!(distribution.count_within(10 * MS), 10);
    }
}
