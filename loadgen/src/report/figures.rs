//! The figures of one kind of latency, each as it may be printed: the terminal and run.json show the
//! same ones.

use crate::outcome::Trust;
use crate::stats::bootstrap;
pub use crate::stats::distribution::QUANTILES;
use crate::stats::distribution::{Distribution, Quantile};
use crate::stats::recorder::Kind;

/// Places in [`QUANTILES`].
pub const P50: usize = 0;
/// See [`P50`].
pub const P90: usize = 1;
/// See [`P50`].
pub const P95: usize = 2;
/// See [`P50`].
pub const P99: usize = 3;
/// See [`P50`].
pub const P99_9: usize = 4;
/// See [`P50`].
pub const P99_99: usize = 5;

/// A quantile as it is printed, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// It is this.
    Value(u64),
    /// It is not below this: records that were never sent stand in it with lower bounds.
    AtLeast(u64),
    /// It is not above this: stalls of the generator, which only lengthen, are in it.
    AtMost(u64),
    /// Not printed: so many calls would be needed.
    Needs(u64),
    /// Not printed: the generator's own lateness decided it.
    Generator,
}

impl Figure {
    /// The number, where one may be printed.
    #[must_use]
    pub const fn ns(self) -> Option<u64> {
        match self {
            Self::Value(ns) | Self::AtLeast(ns) | Self::AtMost(ns) => Some(ns),
            Self::Needs(_) | Self::Generator => None,
        }
    }
}

/// What the generator left of each of [`QUANTILES`].
pub type Trusts = [Trust; QUANTILES.len()];

/// All that is printed of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct KindFigures {
    /// Values: records, or calls of the kind `call`.
    pub count: u64,
    /// Calls that they come from.
    pub calls: u64,
    /// In the order of [`QUANTILES`].
    pub quantiles: [Figure; QUANTILES.len()],
    /// The longest.
    pub max_ns: u64,
    /// The mean.
    pub mean_ns: f64,
    /// The 95 % interval of the median over the run's windows, nominal.
    pub ci95_p50_ns: Option<[u64; 2]>,
    /// The same of the 99th percentile.
    pub ci95_p99_ns: Option<[u64; 2]>,
    /// Episodes beyond the 99th percentile.
    pub episodes_p99: Option<u64>,
    /// Episodes beyond the 99.9th.
    pub episodes_p99_9: Option<u64>,
    /// Values above an hour.
    pub overflow: u64,
    /// Values that are lower bounds.
    pub censored: u64,
}

/// The figures of all kinds in the order of [`Kind::ALL`]; `None` where nothing was measured.
#[must_use]
pub fn figures_of(
    kinds: &[Distribution; Kind::ALL.len()],
    trusts: Trusts,
    seed: u64,
) -> [Option<KindFigures>; Kind::ALL.len()] {
    Kind::ALL.map(|kind| {
        let distribution = &kinds[kind as usize];
        // Lag is the generator's own, by which the others are judged; waiting for a full call is the
        // plan's, and for a free place among those in flight the server's.
        let is_its_own = matches!(kind, Kind::Lag | Kind::BatchWait | Kind::BackPressure);
        let trusts = if is_its_own { Trusts::default() } else { trusts };
        (distribution.count() > 0).then(|| KindFigures::new(distribution, trusts, seed))
    })
}

impl KindFigures {
    /// The figures of a kind of which something was measured.
    #[must_use]
    pub fn new(distribution: &Distribution, trusts: Trusts, seed: u64) -> Self {
        let mut quantiles = QUANTILES.map(|q| match distribution.quantile(q) {
            Quantile::Value(ns) => Figure::Value(ns),
            Quantile::AtLeast(ns) => Figure::AtLeast(ns),
            Quantile::NeedsCalls(calls) => Figure::Needs(calls),
        });
        for (figure, trust) in quantiles.iter_mut().zip(trusts) {
            *figure = match (*figure, trust) {
                (figure, Trust::Exact) | (figure @ Figure::Needs(_), _) => figure,
                (Figure::Value(ns), Trust::UpperBound) => Figure::AtMost(ns),
                // A bound from below that may be too high is none.
                (_, Trust::UpperBound | Trust::Void) => Figure::Generator,
            };
        }
        let intervals = bootstrap::intervals(&distribution.windows().decode(), [0.5, 0.99], seed);
        // An interval beside a lower bound, or beside nothing, would say what is not known.
        let interval = |place: usize, found: fn([[u64; 2]; 2]) -> [u64; 2]| {
            intervals.map(found).filter(|_| matches!(quantiles[place], Figure::Value(_)))
        };
        let episodes =
            |place: usize| quantiles[place].ns().map(|ns| distribution.episodes_beyond(ns));
        Self {
            count: distribution.count(),
            calls: distribution.calls(),
            quantiles,
            max_ns: distribution.max_ns().unwrap_or(0),
            mean_ns: distribution.mean_ns().unwrap_or(0.0),
            ci95_p50_ns: interval(P50, |[p50, _]| p50),
            ci95_p99_ns: interval(P99, |[_, p99]| p99),
            episodes_p99: episodes(P99),
            episodes_p99_9: episodes(P99_9),
            overflow: distribution.overflow(),
            censored: distribution.censored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::recorder::{Measured, Recorder};

    const SECOND: u64 = 1_000_000_000;
    const MEASURED: Measured = Measured { from_ns: 0, until_ns: 10 * SECOND };

    fn recorded(calls: u64) -> [Distribution; Kind::ALL.len()] {
        let mut recorder = Recorder::new(MEASURED);
        for i in 0..calls {
            let now_ns = i * 10 * SECOND / calls;
            let ns = 1_000_000 + i % 100 * 10_000;
            for kind in [Kind::Response, Kind::Lag] {
                recorder.record_call(kind, ns, 5, MEASURED.slice(now_ns));
            }
            recorder.tend(now_ns);
        }
        recorder.finish()
    }

    #[test]
    fn a_quantile_is_a_number_or_says_why_not() {
        let [response, service, ..] = figures_of(&recorded(1_000), Trusts::default(), 1);
        let response = response.unwrap();
        assert!(matches!(response.quantiles[P99], Figure::Value(ns) if ns > 1_900_000));
        assert_eq!(response.quantiles[P99_9], Figure::Needs(10_000));
        assert_eq!(response.quantiles[P99_99], Figure::Needs(100_000));
        assert_eq!((response.count, response.calls), (5_000, 1_000));
        assert!(response.ci95_p99_ns.is_some_and(|[low, high]| low <= high));
        assert!(response.episodes_p99.is_some() && response.episodes_p99_9.is_none());
        assert_eq!(service, None);
    }

    #[test]
    fn what_the_generator_decided_is_not_the_servers() {
        let mut trusts = Trusts::default();
        trusts[P90] = Trust::UpperBound;
        trusts[P99] = Trust::Void;
        trusts[P99_99] = Trust::Void;
        let [response, _, lag, ..] = figures_of(&recorded(1_000), trusts, 1);
        let response = response.unwrap();
        assert!(matches!(response.quantiles[P90], Figure::AtMost(ns) if ns > 1_800_000));
        assert_eq!(response.quantiles[P99], Figure::Generator);
        assert_eq!(response.quantiles[P99_99], Figure::Needs(100_000));
        assert_eq!((response.ci95_p99_ns, response.episodes_p99), (None, None));
        assert!(response.ci95_p50_ns.is_some());
        assert!(matches!(lag.unwrap().quantiles[P99], Figure::Value(_)));
    }

    #[test]
    fn a_lower_bound_stays_one_and_has_no_interval() {
        let mut kinds = recorded(1_000);
        kinds[0].censor(SECOND, 1_000);
        let [response, ..] = figures_of(&kinds, Trusts::default(), 1);
        let response = response.unwrap();
        assert!(matches!(response.quantiles[P99], Figure::AtLeast(ns) if ns >= SECOND * 99 / 100));
        assert_eq!(response.ci95_p99_ns, None);
        assert!(matches!(response.quantiles[P50], Figure::Value(_)));
        assert_eq!(response.censored, 1_000);
        let [response, ..] = figures_of(&kinds, [Trust::UpperBound; QUANTILES.len()], 1);
        let quantiles = response.unwrap().quantiles;
        assert_eq!(quantiles[P99], Figure::Generator, "bounded from neither side");
        assert!(matches!(quantiles[P50], Figure::AtMost(_)));
    }
}
