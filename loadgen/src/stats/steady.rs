//! Was the load steady? A warm-up cut by MSER-5 over 100 ms slices, and the slope of what is left.
//!
//! MSER-5 (White 1997): means of five slices each; cut the first d of them such that the squared
//! error of the mean of the rest, sum of (x - mean)^2 / (n - d)^2, is smallest. A run whose best cut
//! takes more than half never settled. The slope is the least-squares line through the means that are
//! left; a run whose 95 % interval of it, as a change over the measured time, lies beyond 2 % of the
//! mean was drifting. Such a run is kept and flagged.

use crate::report::round::to_places;
use serde::{Serialize, Serializer};

/// Slices that one mean is taken of.
const BATCH: usize = 5;

/// Means below which nothing is said.
const MEANS_MIN: usize = 10;

const SLOPE_PCT_MAX: f64 = 2.0;

/// What `steady.state` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Settled and level.
    Steady,
    /// Never settled, or drifting.
    NotSteady,
    /// Fell behind its schedule for good.
    Overloaded,
    /// Too short to say.
    Unknown,
}

/// `steady` of run.json: the verdict on a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Steadiness {
    /// The word.
    pub state: State,
    /// Seconds at the start that MSER-5 would cut.
    #[serde(serialize_with = "one_place")]
    pub warmup_cut_s: f64,
    /// Change over what is left of the measured time, per cent of the mean, with its 95 % interval, which
    /// run.json leaves out.
    #[serde(serialize_with = "slope_alone")]
    pub slope_pct: Option<[f64; 3]>,
}

fn one_place<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    to_places(*number, 1).serialize(serializer)
}

fn slope_alone<S: Serializer>(
    slope_pct: &Option<[f64; 3]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    slope_pct.map(|[slope, ..]| to_places(slope, 2)).serialize(serializer)
}

/// Judges a series of slices: acknowledged records of a closed loop, mean responses of an open one.
/// `slice_s` is a slice's length in seconds.
#[must_use]
pub fn judge(series: &[f64], slice_s: f64) -> Steadiness {
    let means: Vec<f64> = series.chunks_exact(BATCH).map(mean).collect();
    if means.len() < MEANS_MIN {
        return Steadiness { state: State::Unknown, warmup_cut_s: 0.0, slope_pct: None };
    }
    let cut = mser_cut(&means);
    let warmup_cut_s = (cut * BATCH) as f64 * slice_s;
    let kept = &means[cut..];
    let slope_pct = slope_pct(kept);
    let cuts_too_much = cut * 2 > means.len();
    let drifts =
        slope_pct.is_some_and(|[_, low, high]| low > SLOPE_PCT_MAX || high < -SLOPE_PCT_MAX);
    let state = if cuts_too_much || drifts { State::NotSteady } else { State::Steady };
    Steadiness { state, warmup_cut_s, slope_pct }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The number of leading means to cut. The last five are never judged alone: their error is small by
/// chance.
fn mser_cut(means: &[f64]) -> usize {
    let last_cut = means.len() - BATCH;
    let error = |cut: &usize| {
        let kept = &means[*cut..];
        let level = mean(kept);
        let squares: f64 = kept.iter().map(|value| (value - level).powi(2)).sum();
        squares / (kept.len() as f64).powi(2)
    };
    let best = (0..=last_cut).map(|cut| (cut, error(&cut)));
    best.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(0, |(cut, _)| cut)
}

/// The line's rise over the whole series and its 95 % interval, per cent of the mean.
fn slope_pct(values: &[f64]) -> Option<[f64; 3]> {
    let count = values.len() as f64;
    let level = mean(values);
    if values.len() < 4 || level == 0.0 {
        return None;
    }
    let centre = (count - 1.0) / 2.0;
    let spread: f64 = (0..values.len()).map(|i| (i as f64 - centre).powi(2)).sum();
    let products =
        values.iter().enumerate().map(|(i, value)| (i as f64 - centre) * (value - level));
    let slope = products.sum::<f64>() / spread;
    let residual =
        |(i, value): (usize, &f64)| (value - level - slope * (i as f64 - centre)).powi(2);
    let residuals: f64 = values.iter().enumerate().map(residual).sum();
    let freedom = count - 2.0;
    let error = (residuals / freedom / spread).sqrt();
    let reach = student_95(freedom) * error;
    let to_pct = 100.0 * count / level;
    Some([slope * to_pct, (slope - reach) * to_pct, (slope + reach) * to_pct])
}

/// The 97.5th percentile of Student's t by the expansion of Cornish and Fisher: within 1 % from three
/// degrees of freedom on, which is the fewest that a kept series leaves.
pub(crate) fn student_95(freedom: f64) -> f64 {
    let z = 1.959_964_f64;
    let first = (z.powi(3) + z) / (4.0 * freedom);
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom.powi(2));
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z)
        / (384.0 * freedom.powi(3));
    z + first + second + third
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn noisy(seed: u64, count: usize, level: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut random = Random::new(seed);
        let noise = |random: &mut Random| (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        (0..count)
            .map(|i| level(i as f64 / count as f64) * (1.0 + 0.05 * noise(&mut random)))
            .collect()
    }

    #[test]
    fn a_level_series_is_steady() {
        let steady = |seed| judge(&noisy(seed, 300, |_| 100.0), 0.1).state == State::Steady;
        let count = (0..100).filter(|seed| steady(*seed)).count();
        assert!(count >= 90, "{count} of 100");
    }

    #[test]
    fn a_warm_up_is_cut() {
        for seed in 0..20 {
            // The first 3 of 30 s are three times as slow.
            let verdict = judge(&noisy(seed, 300, |at| if at < 0.1 { 300.0 } else { 100.0 }), 0.1);
            assert!(verdict.warmup_cut_s >= 3.0, "{verdict:?}");
            assert!(verdict.warmup_cut_s < 15.0, "{verdict:?}");
        }
    }

    #[test]
    fn what_never_settles_or_drifts_is_not_steady() {
        for seed in 0..20 {
            let rising = judge(&noisy(seed, 300, |at| 100.0 + 50.0 * at), 0.1);
            assert_eq!(rising.state, State::NotSteady, "{rising:?}");
            // 80 % of the run is warm-up.
            let late = judge(
                &noisy(seed, 300, |at| if at < 0.8 { 900.0 - 1_000.0 * at } else { 100.0 }),
                0.1,
            );
            assert_eq!(late.state, State::NotSteady, "{late:?}");
        }
    }

    #[test]
    fn a_slope_has_its_number() {
        let line: Vec<f64> = (0..300).map(|i| 100.0 + f64::from(i) / 10.0).collect();
        let [slope, low, high] = slope_pct(&line).unwrap();
        // From 100 to 130 around a mean of 115.
        assert!((slope - 100.0 * 30.0 / 114.95).abs() < 0.1, "{slope}");
        assert!(high - low < 1e-6);
    }

    #[test]
    fn a_short_series_is_unknown() {
        assert_eq!(judge(&[1.0; 49], 0.1).state, State::Unknown);
        assert_eq!(judge(&[1.0; 50], 0.1).state, State::Steady);
        assert_eq!(judge(&[0.0; 100], 0.1).slope_pct, None);
    }

    #[test]
    fn students_t() {
        for (freedom, expected) in
            [(3.0, 3.182), (4.0, 2.776), (8.0, 2.306), (30.0, 2.042), (200.0, 1.972)]
        {
            assert!((student_95(freedom) / expected - 1.0).abs() < 0.01, "{freedom}");
        }
    }
}
