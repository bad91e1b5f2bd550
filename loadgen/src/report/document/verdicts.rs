//! The section that judges: `validity`.

use crate::outcome::{Outcome, Trust};
use crate::report::figures::{Figure, KindFigures, QUANTILES};
use crate::report::round::ns_to_us;
use crate::run::judge;
use serde::Serialize;
use std::collections::BTreeMap;

/// `validity`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValiditySection {
    /// Nothing speaks against the figures.
    pub ok: bool,
    /// What speaks against them, and what has to be known to read them.
    pub reasons: Vec<String>,
    /// Quantiles of the response that are upper bounds, under the names of `latency_us`, where they are
    /// null: stalls of the generator are in them. Microseconds.
    pub upper_bounds: BTreeMap<String, f64>,
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

fn upper_bounds(response: &KindFigures) -> BTreeMap<String, f64> {
    let figures = QUANTILES.iter().zip(response.quantiles);
    let bounded = figures.filter_map(|(q, figure)| match figure {
        Figure::AtMost(ns) => {
            let name = judge::quantile_name(*q).replace('.', "_");
            Some((name, ns_to_us(ns as f64)))
        }
        _ => None,
    });
    bounded.collect()
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
