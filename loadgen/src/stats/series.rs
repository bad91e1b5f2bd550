//! Counters by 100 ms slice of the measured time, by the tick of the records: what a plot over time
//! and the verdict "steady" are made of.

use crate::stats::recorder::Measured;
use crate::stats::{SLICE_NS, slices};

/// One slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Records meant to be sent.
    pub offered: u64,
    /// Of these, acknowledged.
    pub acked: u64,
    /// Of these, refused by the throttle.
    pub throttled: u64,
    /// Sum of the responses of the calls with their first tick here.
    pub response_ns_sum: u64,
    /// Those calls.
    pub calls: u64,
    /// The longest of their responses.
    pub response_ns_max: u64,
}

/// All slices of a run.
#[derive(Clone, Debug)]
pub struct Series {
    measured: Measured,
    slices: Vec<Slice>,
}

impl Series {
    /// Empty slices for a measured time; every page is written.
    #[must_use]
    pub fn new(measured: Measured) -> Self {
        let mut series = vec![Slice { offered: 1, ..Slice::default() }; slices(measured.span_ns())];
        series.fill(Slice::default());
        Self { measured, slices: series }
    }

    /// The slice of a moment. Moments outside of the measured time belong to its ends.
    #[inline]
    pub fn at(&mut self, at_ns: u64) -> &mut Slice {
        let last = self.slices.len() - 1;
        let place = self.measured.slice(at_ns).min(last);
        &mut self.slices[place]
    }

    /// The slices in their order.
    #[must_use]
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        assert!(self.slices.len() == other.slices.len(), "workers share a run");
        for (ours, theirs) in self.slices.iter_mut().zip(&other.slices) {
            ours.offered += theirs.offered;
            ours.acked += theirs.acked;
            ours.throttled += theirs.throttled;
            ours.response_ns_sum += theirs.response_ns_sum;
            ours.calls += theirs.calls;
            ours.response_ns_max = ours.response_ns_max.max(theirs.response_ns_max);
        }
    }

    /// Forgets what lies behind the part that was measured, to the last whole slice.
    pub fn cut(&mut self, measured_ns: u64) {
        if measured_ns < self.measured.span_ns() {
            let whole = usize::try_from(measured_ns / SLICE_NS).expect("few slices");
            self.slices.truncate(whole);
        }
    }

    /// Mean responses of the calls by slice, for an open loop's steadiness; a slice without calls
    /// repeats the one before.
    #[must_use]
    pub fn mean_responses_ns(&self) -> Vec<f64> {
        let mut last = 0.0;
        let mean = |slice: &Slice| {
            if slice.calls > 0 {
                last = slice.response_ns_sum as f64 / slice.calls as f64;
            }
            last
        };
        self.slices.iter().map(mean).collect()
    }

    /// Acknowledged records by slice, for a closed loop's steadiness.
    #[must_use]
    pub fn acked(&self) -> Vec<f64> {
        self.slices.iter().map(|slice| slice.acked as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_find_their_slices() {
        let mut series = Series::new(Measured { from_ns: 1_000_000_000, until_ns: 1_250_000_000 });
        for at_ns in [0, 1_000_000_000, 1_099_999_999, 1_100_000_000, 1_249_999_999, 9_000_000_000]
        {
            let slice = series.at(at_ns);
            slice.acked += 1;
            slice.calls += 1;
            slice.response_ns_sum += 10;
        }
        let acked: Vec<u64> = series.slices().iter().map(|slice| slice.acked).collect();
        assert_eq!(acked, [3, 1, 2]);
        let copy = series.clone();
        series.merge(&copy);
        assert_eq!(series.acked(), [6.0, 2.0, 4.0]);
        assert_eq!(series.mean_responses_ns(), [10.0, 10.0, 10.0]);
        series.cut(250_000_000);
        assert_eq!(series.slices().len(), 3, "all of it was measured");
        series.cut(249_999_999);
        assert_eq!(series.acked(), [6.0, 2.0]);
        series.cut(0);
        assert!(series.slices().is_empty());
    }
}
