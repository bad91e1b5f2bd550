//! A record's CPU with many shards against one, at the same rate: runs of loadgen, in pairs that
//! alternate, each on a folder of its own.
//!
//! CPU time is that of the engine's threads, user and system, the kernel's workers for their rings
//! included, over the measured time and the records acknowledged in it.

use loadgen::amount::{Bytes, Span};
use loadgen::outcome::Verdict;
use loadgen::run::{self, Failure, Ran, RunOptions};
use loadgen::scenario::{LimitsSetting, Rate, Scenario, SizeSetting};
use loadgen::stats::recorder::Kind;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

use crate::cli::{CpuFlags, Shared};
use crate::fill::KEY_BYTES;
use crate::place::{Cpus, Place};
use crate::report::{Figure, Gate, Report, Unit};
use crate::rig::Rig;
use crate::subject::Subject;
use crate::{check_interrupted, progress};

/// Many shards over one.
const RATIO_MAX: f64 = 1.5;
/// Of the rate that is offered; with less it is not the same load.
const ACKED_RATIO_MIN: f64 = 0.99;
/// What the log puts around a record, at most, and what else is written, of the data.
const AROUND_BYTES: u64 = 60;
/// Seconds of load beside those that are measured: warming up, and the log's spare segments.
const SECONDS_BESIDE: u64 = 5;

/// One run.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    shards: u32,
    acked_per_s: f64,
    /// Null where the kernel does not say.
    cpu_us_per_record: Option<f64>,
    /// Of one CPU.
    cpu_pct: Option<f64>,
    /// From the intended start; null where there were too few calls.
    p99_ms: Option<f64>,
    /// Why the run says little, if so.
    complaints: Vec<String>,
}

/// Measures the row.
///
/// # Errors
/// It could not be measured, or the engine lost a record.
pub(crate) fn run(flags: &CpuFlags, shared: &Shared) -> Result<Report, Failure> {
    let record_bytes = flags.record_bytes + KEY_BYTES + AROUND_BYTES;
    let seconds = flags.duration.as_secs() + SECONDS_BESIDE;
    let place = Place::open(shared, flags.rate.saturating_mul(record_bytes * seconds))?;
    let data = place.engine();
    let mut pairs = Vec::new();
    let mut last = None;
    for pair in 0..flags.pairs {
        let mut of = |shards| -> Result<Measured, Failure> {
            progress(&format!("pair {} of {}: {shards} shards", pair + 1, flags.pairs));
            let (measured, ran) = measure(flags, shared, shards, data.clone())?;
            last = Some(ran);
            Ok(measured)
        };
        // Whatever drifts meets both.
        let (one, many) = match pair % 2 {
            0 => (of(1)?, of(flags.shards)?),
            _ => {
                let many = of(flags.shards)?;
                (of(1)?, many)
            }
        };
        pairs.push((one, many));
    }
    let ran = last.expect("there is a pair");
    let config = Rig::config(shared, Cpus::choose(), &data, flags.shards);
    let subject = Subject::new(&config, &ran.outcome.engine.report, &run::home());
    place.close()?;
    let parameters = json!({
        "rate": flags.rate, "shards": [1, flags.shards], "record_bytes": flags.record_bytes,
        "duration_s": flags.duration.as_secs_f64(), "pairs": flags.pairs,
        "scenario": ran.outcome.scenario.to_toml(),
    });
    let figures = figures(&pairs, flags);
    let pairs: Vec<_> =
        pairs.iter().map(|(one, many)| json!({ "one": one, "many": many })).collect();
    Ok(Report::new("cpu", figures, parameters, subject, json!({ "pairs": pairs })))
}

fn measure(
    flags: &CpuFlags,
    shared: &Shared,
    shards: u32,
    data: PathBuf,
) -> Result<(Measured, Ran), Failure> {
    let mut scenario = Scenario::run_default();
    scenario.stream.shards = shards;
    scenario.stream.limits = LimitsSetting::Off;
    scenario.target.memory = Bytes(shared.memory);
    scenario.producer.rate = Rate::PerSecond(flags.rate);
    scenario.producer.size = SizeSetting::Fixed { bytes: Bytes(flags.record_bytes) };
    scenario.run.measure = Span(flags.duration);
    scenario.check().map_err(|error| Failure::usage(error.to_string()))?;
    let options = RunOptions { data: Some(data), ..RunOptions::default() };
    let ran = run::run(&scenario, &options)?;
    check_interrupted()?;
    let outcome = &ran.outcome;
    if outcome.verify.verdict != Verdict::Ok {
        let named = &outcome.verify.named;
        return Err(Failure::could_not(format!("not every record came back right: {named:?}")));
    }
    let load = &outcome.load;
    let server = &ran.environment.resources.server;
    let measured = Measured {
        shards,
        acked_per_s: load.counters.acked_records as f64 / (load.measured_ns as f64 / 1e9),
        cpu_us_per_record: server.cpu_us_per_record,
        cpu_pct: server.cpu_pct,
        p99_ms: load.latency(Kind::Response).quantile(0.99).ns().map(|ns| ns as f64 / 1e6),
        complaints: outcome.validity.reasons.clone(),
    };
    Ok((measured, ran))
}

fn figures(pairs: &[(Measured, Measured)], flags: &CpuFlags) -> Vec<Figure> {
    let CpuFlags { shards, rate, .. } = flags;
    let cpu_of = |pick: fn(&(Measured, Measured)) -> &Measured| {
        median(pairs.iter().map(|pair| pick(pair).cpu_us_per_record).collect())
    };
    let mut figures = vec![
        Figure::plain(
            "a record's CPU, 1 shard, median",
            cpu_of(|pair| &pair.0),
            Unit::Microseconds,
        ),
        Figure::plain(
            format!("a record's CPU, {shards} shards, median"),
            cpu_of(|pair| &pair.1),
            Unit::Microseconds,
        ),
    ];
    let ratios: Vec<_> = pairs
        .iter()
        .map(|(one, many)| Some(many.cpu_us_per_record? / one.cpu_us_per_record?))
        .collect();
    for (number, ratio) in (1..).zip(&ratios) {
        figures.push(Figure::plain(format!("many over one, pair {number}"), *ratio, Unit::Ratio));
    }
    let median = median(ratios);
    figures.push(Figure::gated(
        "many over one, median",
        median,
        Unit::Ratio,
        Gate::AtMost(RATIO_MAX),
    ));
    let runs = pairs.iter().flat_map(|(one, many)| [one, many]);
    let least = runs.map(|run| run.acked_per_s / *rate as f64).fold(f64::INFINITY, f64::min);
    let least_ok = Gate::AtLeast(ACKED_RATIO_MIN);
    figures.push(Figure::gated(
        "acknowledged, of the rate, least",
        Some(least),
        Unit::Ratio,
        least_ok,
    ));
    figures
}

/// The middle one, or the mean of the two there; nothing where one is missing.
fn median(values: Vec<Option<f64>>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(middle)?);
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_all_or_of_none() {
        assert_eq!(median(vec![Some(3.0), Some(1.0), Some(2.0)]), Some(2.0));
        assert_eq!(median(vec![Some(4.0), Some(1.0)]), Some(2.5));
        assert_eq!(median(vec![Some(4.0), None]), None);
        assert_eq!(median(Vec::new()), None);
    }
}
