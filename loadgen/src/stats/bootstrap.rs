//! The interval of a quantile within one run: windows are drawn again with replacement.
//!
//! It says how much the run's own windows scatter, and is nominal: too narrow where stalls are rare.
//! SLOs, comparisons and gates never use it (METHOD.md). Resampling is by counts: for each window the
//! cumulated counts over the buckets that occur, so that a resample's quantile is a binary search.

use crate::random::Random;
use crate::stats::windows::BOOTSTRAP_WINDOWS_MIN;
use hdrhistogram::Histogram;

const RESAMPLES: usize = 1_000;

/// The 95 % interval of each quantile in nanoseconds, low then high; `None` with fewer than 30
/// windows that hold anything.
#[must_use]
pub fn intervals<const N: usize>(
    windows: &[Histogram<u64>],
    quantiles: [f64; N],
    seed: u64,
) -> Option<[[u64; 2]; N]> {
    let windows: Vec<&Histogram<u64>> =
        windows.iter().filter(|window| !window.is_empty()).collect();
    if windows.len() < BOOTSTRAP_WINDOWS_MIN {
        return None;
    }
    let cumulated = Cumulated::new(&windows);
    let mut random = Random::new(seed ^ 0x626f_6f74_7374_7261);
    let mut found = [(); N].map(|()| Vec::with_capacity(RESAMPLES));
    let mut weights = vec![0_u64; windows.len()];
    for _ in 0..RESAMPLES {
        weights.fill(0);
        for _ in 0..windows.len() {
            let drawn = random.below(windows.len() as u64);
            weights[usize::try_from(drawn).expect("below a length")] += 1;
        }
        for (found, q) in found.iter_mut().zip(quantiles) {
            found.push(cumulated.quantile(&weights, q));
        }
    }
    Some(found.map(|mut found| {
        found.sort_unstable();
        let at = |share: f64| found[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
        [at(0.025), at(0.975)]
    }))
}

/// For each bucket that occurs, in order: its value, and for each window how many values lie at or
/// below it.
struct Cumulated {
    values: Vec<u64>,
    /// Row by bucket, column by window.
    counts: Vec<u64>,
    windows: usize,
}

impl Cumulated {
    fn new(windows: &[&Histogram<u64>]) -> Self {
        let recorded = |window: &&Histogram<u64>| -> Vec<(u64, u64)> {
            let steps = window.iter_recorded();
            steps.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
        };
        let recorded: Vec<Vec<(u64, u64)>> = windows.iter().map(recorded).collect();
        let mut values: Vec<u64> = recorded.iter().flatten().map(|(value, _)| *value).collect();
        values.sort_unstable();
        values.dedup();
        let mut counts = vec![0; values.len() * windows.len()];
        for (column, steps) in recorded.iter().enumerate() {
            let (mut sum, mut step) = (0, 0);
            for (row, value) in values.iter().enumerate() {
                if let Some((at, count)) = steps.get(step)
                    && at == value
                {
                    sum += count;
                    step += 1;
                }
                counts[row * windows.len() + column] = sum;
            }
        }
        Self { values, counts, windows: windows.len() }
    }

    fn at_or_below(&self, row: usize, weights: &[u64]) -> u64 {
        let row = &self.counts[row * self.windows..][..self.windows];
        row.iter().zip(weights).map(|(count, weight)| count * weight).sum()
    }

    fn quantile(&self, weights: &[u64], q: f64) -> u64 {
        let all = self.at_or_below(self.values.len() - 1, weights);
        let rank = ((q * all as f64).ceil() as u64).max(1);
        let (mut low, mut high) = (0, self.values.len() - 1);
        while low < high {
            let middle = low.midpoint(high);
            if self.at_or_below(middle, weights) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.values[low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distribution::empty_histogram;

    fn windows(count: usize, value: impl Fn(usize, u64) -> u64) -> Vec<Histogram<u64>> {
        let window = |place: usize| {
            let mut histogram = empty_histogram();
            for i in 0..1_000 {
                histogram.record(value(place, i)).unwrap();
            }
            histogram
        };
        (0..count).map(window).collect()
    }

    #[test]
    fn fewer_than_30_windows_say_nothing() {
        assert!(intervals(&windows(29, |_, i| i + 1), [0.5], 1).is_none());
        assert!(intervals(&windows(30, |_, i| i + 1), [0.5], 1).is_some());
        let mut with_empty = windows(29, |_, i| i + 1);
        with_empty.push(empty_histogram());
        assert!(intervals(&with_empty, [0.5], 1).is_none());
    }

    #[test]
    fn equal_windows_have_an_interval_of_nothing() {
        let [p50, p99] = intervals(&windows(40, |_, i| i + 1), [0.5, 0.99], 1).unwrap();
        assert_eq!(p50, [500, 500]);
        assert_eq!(p99, [990, 990]);
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        // Exponential latencies with a scale that varies by window: the truth is the quantile of
        // many windows together.
        let draw = |seed: u64, count: usize| {
            let mut random = Random::new(seed);
            let scales: Vec<f64> = (0..count).map(|_| 1e6 * (0.8 + 0.4 * random.unit())).collect();
            let mut histograms = Vec::new();
            for scale in scales {
                let mut histogram = empty_histogram();
                for _ in 0..500 {
                    histogram.record((-scale * (1.0 - random.unit()).ln()) as u64 + 1).unwrap();
                }
                histograms.push(histogram);
            }
            histograms
        };
        let mut all = empty_histogram();
        draw(99, 4_000).iter().for_each(|window| all.add(window).unwrap());
        let truth = [all.value_at_quantile(0.5), all.value_at_quantile(0.99)];
        let mut held = [0, 0];
        for seed in 0..60 {
            let found = intervals(&draw(1_000 + seed, 40), [0.5, 0.99], seed).unwrap();
            for ((held, truth), [low, high]) in held.iter_mut().zip(truth).zip(found) {
                *held += u32::from((low..=high).contains(&truth));
            }
        }
        // 57 of 60 are expected at 95 %, 51 at 85 %.
        assert!(held.iter().all(|count| *count >= 50), "{held:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let windows = windows(40, |place, i| i * (place as u64 + 1) + 1);
        assert_eq!(intervals(&windows, [0.9], 5), intervals(&windows, [0.9], 5));
        let [[low, high]] = intervals(&windows, [0.9], 5).unwrap();
        assert!(low < high);
    }
}
