//! The sections that judge: `verify`, `steady`, `validity`, `slo`.

use crate::outcome::{Outcome, SloOutcome, Trust, Verification};
use crate::report::figures::{Figure, KindFigures, QUANTILES};
use crate::report::round::{to_digits, to_places};
use crate::run::judge;
use crate::stats::steady::Steadiness;
use serde::Serialize;

/// `verify`: what reading everything back found, in records.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verify {
    /// Read and compared.
    pub checked: u64,
    /// Acknowledged and not there.
    pub missing: u64,
    /// There more often than they may be.
    pub duplicated: u64,
    /// Not as they were sent.
    pub corrupt: u64,
    /// Not in the order of their shard.
    pub out_of_order: u64,
    /// In another shard than the MD5 of their key says.
    pub wrong_shard: u64,
    /// Read with another sequence number than acknowledged.
    pub sequence_violations: u64,
    /// Sent, and no answer says what became of them.
    pub unknown_outcome: u64,
    /// Dropped before their retention, because of a cap on bytes.
    pub expired_early: u64,
    /// CPU time of checking; null where nothing was read.
    pub cpu_ns_per_record: Option<f64>,
    /// "ok", "failed", "partial" or "not_verified".
    pub verdict: &'static str,
}

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

impl Verify {
    /// The section.
    #[must_use]
    pub fn new(found: &Verification) -> Self {
        Self {
            checked: found.checked,
            missing: found.missing,
            duplicated: found.duplicated,
            corrupt: found.corrupt,
            out_of_order: found.out_of_order,
            wrong_shard: found.wrong_shard,
            sequence_violations: found.sequence_violations,
            unknown_outcome: found.unknown_outcome,
            expired_early: found.expired_early,
            cpu_ns_per_record: found.cpu_ns_per_record.map(|ns| to_digits(ns, 3)),
            verdict: found.verdict.word(),
        }
    }
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
