//! Durations of a probe, and their quantiles.

use std::time::Duration;

/// Durations in nanoseconds, in any order.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<u64>);

impl Samples {
    pub(super) fn push(&mut self, duration: Duration) {
        self.0.push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The sample that at least this share of all samples does not exceed, in microseconds; `None`
    /// where fewer than three samples are expected beyond it. A run's quantiles ask for ten
    /// (METHOD.md §2.7); a yardstick that is read twice does with less, and a disk that flushes 200
    /// times a second could not have ten in the time there is.
    pub(super) fn quantile_us(&mut self, share: f64) -> Option<f64> {
        let needed = 3.0 / (1.0 - share);
        if (self.0.len() as f64) < needed.round() {
            return None;
        }
        self.0.sort_unstable();
        let rank = (share * self.0.len() as f64).ceil() as usize;
        Some(self.0[rank.max(1) - 1] as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_ranks_and_need_enough_samples() {
        let mut samples = Samples::default();
        for number in (1..=1_000).rev() {
            samples.push(Duration::from_micros(number));
        }
        assert_eq!(samples.quantile_us(0.5), Some(500.0));
        assert_eq!(samples.quantile_us(0.99), Some(990.0));
        assert_eq!(samples.quantile_us(0.999), None, "that needs 3,000");
        assert_eq!(Samples::default().quantile_us(0.5), None);
    }
}
