//! The sections that judge: `steady`, `validity`, `slo`.

use crate::outcome::{Outcome, SloOutcome, Trust};
use crate::report::figures::{Figure, KindFigures, QUANTILES};
use crate::report::round::to_places;
use crate::run::judge;
use crate::stats::steady::Steadiness;
use serde::Serialize;

/// `steady`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Steady {
    /// "steady", "not_steady", "overloaded" or "unknown".
    pub state: &'static str,
    /// Seconds at the start that MSER-5 would cut.
    pub warmup_cut_s: f64,
    /// Change over the measured time, per cent of the mean; null where it was too short.
    pub slope_pct: Option<f64>,
}

/// `validity`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValiditySection {
    /// Nothing speaks against the figures.
    pub ok: bool,
    /// What speaks against them, and what has to be known to read them.
    pub reasons: Vec<String>,
    /// Quantiles under the names of `latency_us` that are upper bounds: stalls of the generator, which
    /// only lengthen a response, are in them.
    pub upper_bounds: Vec<String>,
}

/// A row of `slo`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SloRow {
    /// As a person would write it: `response_p99<5ms`.
    pub expr: String,
    /// In the same unit.
    pub observed: String,
    /// Whether it held.
    pub pass: bool,
}

impl Steady {
    /// The section.
    #[must_use]
    pub fn new(found: &Steadiness) -> Self {
        Self {
            state: found.state.word(),
            warmup_cut_s: to_places(found.warmup_cut_s, 1),
            slope_pct: found.slope_pct.map(|[slope, ..]| to_places(slope, 2)),
        }
    }
}

impl ValiditySection {
    /// The section. Beside what the judge said stands what a reader of the numbers alone would miss:
    /// quantiles that are lower bounds, the generator's limits and values where it decided one, and
    /// what verification named.
    #[must_use]
    pub fn new(outcome: &Outcome, response: Option<&KindFigures>) -> Self {
        let mut reasons = outcome.validity.reasons.clone();
        reasons.extend(response.and_then(lower_bounds));
        let quantiles = outcome.validity.quantiles.iter();
        let touched = quantiles.filter(|quantile| quantile.trust != Trust::Exact);
        for sentence in touched.map(judge::sentence) {
            // Those that void the run have been told.
            if !reasons.contains(&sentence) {
                reasons.push(sentence);
            }
        }
        if outcome.validity.generator_limited {
            reasons.push("the rate is a lower bound: the generator was the limit".to_owned());
        }
        reasons.extend(outcome.verify.named.iter().cloned());
        reasons.extend(outcome.load.consumers.iter().flat_map(|all| all.named.iter().cloned()));
        let upper_bounds = response.map(upper_bounds).unwrap_or_default();
        Self { ok: outcome.validity.ok, reasons, upper_bounds }
    }
}

fn upper_bounds(response: &KindFigures) -> Vec<String> {
    let figures = QUANTILES.iter().zip(response.quantiles);
    let bounded = figures.filter(|(_, figure)| matches!(figure, Figure::AtMost(_)));
    bounded.map(|(q, _)| judge::quantile_name(*q).replace('.', "_")).collect()
}

fn lower_bounds(response: &KindFigures) -> Option<String> {
    let bounded = QUANTILES.iter().zip(response.quantiles);
    let bounded: Vec<String> = bounded
        .filter(|(_, figure)| matches!(figure, Figure::AtLeast(_)))
        .map(|(q, _)| judge::quantile_name(*q))
        .collect();
    let sentence = || {
        let count = response.censored;
        format!("response {} at least: {count} records were never sent", bounded.join(", "))
    };
    (!bounded.is_empty()).then(sentence)
}

impl SloRow {
    /// The row.
    #[must_use]
    pub fn new(slo: &SloOutcome) -> Self {
        Self { expr: slo.expression.clone(), observed: slo.observed.clone(), pass: slo.pass }
    }
}
