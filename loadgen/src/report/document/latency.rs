//! `latency_us`: microseconds, null where METHOD.md says not to print.
//!
//! Where `censored` is above 0, a quantile that reaches the records never sent is a lower bound; the
//! terminal prints it with "≥".

use crate::report::figures::{Figure, KindFigures, P50, P90, P95, P99, P99_9, P99_99};
use crate::report::round::ns_to_us;
use crate::stats::recorder::Kind;
use serde::Serialize;

/// `latency_us`: a kind that was not measured is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyUs {
    /// From a record's tick to its acknowledgement.
    pub response: Option<KindUs>,
    /// From sending to the acknowledgement, by record.
    pub service: Option<KindUs>,
    /// The generator's own lateness.
    pub lag: Option<KindUs>,
    /// From a record's tick to when its batch was due.
    pub batch_wait: Option<KindUs>,
    /// Held back by the cap on calls in flight.
    pub back_pressure: Option<KindUs>,
    /// From a record's tick to its refusal by the throttle.
    pub throttle: Option<KindUs>,
    /// From sending to the answer, once a call.
    pub call: Option<KindUs>,
    /// From a record's tick to its arrival at a consumer.
    pub end_to_end: Option<KindUs>,
}

/// One kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindUs {
    /// Values: records, or calls of the kind `call`.
    pub n: u64,
    /// Calls that they come from.
    pub calls: u64,
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 95th.
    pub p95: Option<f64>,
    /// The 99th.
    pub p99: Option<f64>,
    /// The 99.9th.
    pub p99_9: Option<f64>,
    /// The 99.99th.
    pub p99_99: Option<f64>,
    /// The longest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// Intervals over the run's windows, nominal.
    pub ci95: Ci95,
    /// Runs of adjacent 100 ms slices with a value beyond the quantile.
    pub episodes: Episodes,
    /// Values above an hour.
    pub overflow: u64,
    /// Values that are lower bounds.
    pub censored: u64,
}

/// Low and high, µs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ci95 {
    /// Of the median.
    pub p50: Option<[f64; 2]>,
    /// Of the 99th percentile.
    pub p99: Option<[f64; 2]>,
}

/// See [`KindUs::episodes`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episodes {
    /// Beyond the 99th percentile.
    pub p99: Option<u64>,
    /// Beyond the 99.9th.
    pub p99_9: Option<u64>,
}

impl LatencyUs {
    /// The section of these figures, which are in the order of [`Kind::ALL`].
    #[must_use]
    pub fn new(figures: &[Option<KindFigures>; Kind::ALL.len()]) -> Self {
        let of = |kind: Kind| figures[kind as usize].as_ref().map(KindUs::new);
        Self {
            response: of(Kind::Response),
            service: of(Kind::Service),
            lag: of(Kind::Lag),
            batch_wait: of(Kind::BatchWait),
            back_pressure: of(Kind::BackPressure),
            throttle: of(Kind::Throttle),
            call: of(Kind::Call),
            end_to_end: of(Kind::EndToEnd),
        }
    }
}

impl KindUs {
    fn new(figures: &KindFigures) -> Self {
        let us = |figure: Figure| match figure {
            // A number would be taken for the engine's own: it stands in `validity.upper_bounds`.
            Figure::AtMost(_) => None,
            figure => figure.ns().map(|ns| ns_to_us(ns as f64)),
        };
        let interval = |ns: Option<[u64; 2]>| ns.map(|ns| ns.map(|ns| ns_to_us(ns as f64)));
        let quantiles = figures.quantiles;
        Self {
            n: figures.count,
            calls: figures.calls,
            p50: us(quantiles[P50]),
            p90: us(quantiles[P90]),
            p95: us(quantiles[P95]),
            p99: us(quantiles[P99]),
            p99_9: us(quantiles[P99_9]),
            p99_99: us(quantiles[P99_99]),
            max: ns_to_us(figures.max_ns as f64),
            mean: ns_to_us(figures.mean_ns),
            ci95: Ci95 { p50: interval(figures.ci95_p50_ns), p99: interval(figures.ci95_p99_ns) },
            episodes: Episodes { p99: figures.episodes_p99, p99_9: figures.episodes_p99_9 },
            overflow: figures.overflow,
            censored: figures.censored,
        }
    }
}
