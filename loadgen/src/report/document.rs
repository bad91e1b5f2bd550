//! run.json, version 1: what a program reads of a run. The names are fixed; a change of one is a new
//! version. A figure that may not be printed is null and never a zero.

pub mod about;
pub mod latency;
pub mod load;
pub mod shards;
pub mod verdicts;

use crate::environment::affinity::Affinity;
use crate::environment::hardware::Hardware;
use crate::environment::preflight::Preflight;
use crate::environment::probes::Probes;
use crate::environment::resources::Resources;
use crate::environment::roofline::Roofline;
use crate::environment::system::System;
use crate::outcome::{ConsumersOutcome, Outcome, SloOutcome, Verdict, Verification};
use crate::report::Finished;
use crate::report::figures::{KindFigures, QUANTILES, figures_of};
use crate::report::provenance::utc;
use crate::stats::recorder::Kind;
use crate::stats::steady::Steadiness;
use about::{Generator, ScenarioSection, Subject};
use latency::LatencyUs;
use load::{Load, LoadContext};
use serde::Serialize;
use shards::{ShardRow, SkewSection};
use std::collections::BTreeMap;
use verdicts::ValiditySection;

/// The version of the form.
pub const SCHEMA_VERSION: u32 = 1;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program that measured.
    pub loadgen: Generator,
    /// Names this run among all: time, commit, and a part of the scenario's hash.
    pub run_id: String,
    /// When the measured time began.
    pub started_utc: String,
    /// What was run.
    pub scenario: ScenarioSection,
    /// Everything random follows from it.
    pub seed: u64,
    /// What the user gave with `--tag`.
    pub tags: BTreeMap<String, String>,
    /// What the user gave with `--note`.
    pub note: Option<String>,
    /// Ctrl-C or SIGTERM came before the plan was over.
    pub interrupted: bool,
    /// What was measured.
    pub subject: Subject,
    /// The machine.
    pub hw: Hardware,
    /// Its kernel and settings.
    pub os: System,
    /// What its disk, memory and timers can do.
    pub probes: Probes,
    /// Whether it was calm.
    pub preflight: Preflight,
    /// Who ran on which CPU.
    pub affinity: Affinity,
    /// What was offered and what became of it.
    pub load: Load,
    /// How long it took.
    pub latency_us: LatencyUs,
    /// What those got who read while it was written; null where nobody did.
    pub consumers: Option<ConsumersOutcome>,
    /// By shard.
    pub shards: Vec<ShardRow>,
    /// How uneven the shards are.
    pub skew: SkewSection,
    /// What reading back found.
    pub verify: Verification,
    /// What it cost.
    pub resources: Resources,
    /// How near it came to what the machine can do.
    pub roofline: Roofline,
    /// Whether the load was steady.
    pub steady: Steadiness,
    /// Whether the figures say something about the subject.
    pub validity: ValiditySection,
    /// What had to hold.
    pub slo: Vec<SloOutcome>,
    /// Faults that were put in on purpose.
    pub faults: Vec<Fault>,
    /// Money: nothing yet that costs any.
    pub cost: Cost,
    /// How the process ends.
    pub exit_code: u8,
}

/// A row of `faults`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// "plant": a defect to test the judge with.
    pub kind: &'static str,
    /// As it was typed.
    pub defect: String,
}

impl Fault {
    fn planted(defect: String) -> Self {
        Self { kind: "plant", defect }
    }
}

/// `cost`: empty where nothing has a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {}

impl Document {
    /// The document of a finished run with its figures, see [`figures`].
    #[must_use]
    pub fn new(finished: &Finished<'_>, figures: &[Option<KindFigures>; Kind::ALL.len()]) -> Self {
        let Finished { outcome, environment, provenance, .. } = finished;
        let response = figures[Kind::Response as usize].as_ref();
        Self {
            schema_version: SCHEMA_VERSION,
            loadgen: Generator::new(provenance),
            run_id: finished.run_id(),
            started_utc: utc(outcome.started_unix_ms),
            scenario: ScenarioSection::new(&outcome.scenario),
            seed: outcome.scenario.seed,
            tags: finished.tags.clone(),
            note: finished.note.clone(),
            interrupted: outcome.interrupted,
            subject: Subject::embedded(outcome, finished.flush, provenance),
            hw: environment.hardware.clone(),
            os: environment.system.clone(),
            probes: environment.probes.clone(),
            preflight: environment.preflight.clone(),
            affinity: environment.affinity.clone(),
            load: Load::new(&outcome.load.counters, load_context(outcome)),
            latency_us: LatencyUs::new(figures),
            consumers: outcome.load.consumers.clone(),
            shards: shards::rows(&outcome.load.shards),
            skew: SkewSection::new(&outcome.load.shards),
            verify: outcome.verify.clone(),
            resources: environment.resources.clone(),
            roofline: environment.roofline.clone(),
            steady: outcome.load.steady,
            validity: ValiditySection::new(outcome, response),
            slo: outcome.slo.clone(),
            faults: outcome.planted.iter().cloned().map(Fault::planted).collect(),
            cost: Cost::default(),
            exit_code: outcome.exit.number(),
        }
    }
}

/// The figures of all kinds as they may be printed.
#[must_use]
pub fn figures(outcome: &Outcome) -> [Option<KindFigures>; Kind::ALL.len()] {
    let trusts = QUANTILES.map(|q| outcome.validity.trust(q));
    figures_of(&outcome.load.distributions, trusts, outcome.scenario.seed)
}

fn load_context(outcome: &Outcome) -> LoadContext {
    let is_verified = matches!(outcome.verify.verdict, Verdict::Ok | Verdict::Partial);
    LoadContext {
        measured_ns: outcome.load.measured_ns,
        in_flight_max: outcome.load.in_flight_max as u64,
        good_records: is_verified.then(|| good_records(outcome)),
    }
}

/// Acknowledged records within the SLO's latency; all of them where it has none.
fn good_records(outcome: &Outcome) -> u64 {
    let acked = outcome.load.counters.acked_records;
    let Some(bound) = outcome.scenario.slo.response_p99 else { return acked };
    // A bound past 584 years is none.
    let bound_ns = u64::try_from(bound.0.as_nanos()).unwrap_or(u64::MAX);
    outcome.load.latency(Kind::Response).count_within(bound_ns).min(acked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{QuantileValidity, Trust};
    use crate::report::figures::{P99, P99_9};
    use crate::report::{Environment, json, sample};
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn document(outcome: &Outcome, environment: &Environment) -> Value {
        let finished = sample::finished(outcome, environment);
        let document = Document::new(&finished, &figures(outcome));
        serde_json::from_str(&json::to_text(&document)).unwrap()
    }

    /// All names below a value, those of lists by their first item. Where the list of names has a
    /// name itself, what is below it has no fixed form.
    fn names_below(
        value: &Value,
        path: &str,
        listed: &BTreeSet<String>,
        into: &mut BTreeSet<String>,
    ) {
        if listed.contains(path) {
            into.insert(path.to_owned());
            return;
        }
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, field) in fields {
                    let below =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    names_below(field, &below, listed, into);
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for item in items {
                    names_below(item, &format!("{path}[]"), listed, into);
                }
            }
            _ => {
                into.insert(path.to_owned());
            }
        }
    }

    #[test]
    fn the_names_are_exactly_those_that_are_promised() {
        let kinds = Kind::ALL.map(Kind::name);
        let lines = include_str!("document/names.txt").lines();
        let listed: BTreeSet<String> = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .flat_map(|line| match line.contains("KIND") {
                true => kinds.iter().map(|kind| line.replace("KIND", kind)).collect(),
                false => vec![line.to_owned()],
            })
            .collect();
        let (outcome, environment) = (sample::outcome(), sample::environment());
        let mut found = BTreeSet::new();
        names_below(&document(&outcome, &environment), "", &listed, &mut found);
        let missing: Vec<_> = listed.difference(&found).collect();
        let extra: Vec<_> = found.difference(&listed).collect();
        assert!(missing.is_empty() && extra.is_empty(), "missing {missing:?}, extra {extra:?}");
    }

    #[test]
    fn figures_are_in_their_units() {
        let found = document(&sample::outcome(), &sample::environment());
        assert_eq!(found["schema_version"], 1);
        assert_eq!(found["run_id"].as_str().unwrap().len(), "20261125T074502Z-0123456-".len() + 8);
        assert_eq!(found["started_utc"], "2026-11-25T07:45:02Z");
        assert_eq!(found["load"]["acked_per_s"], 500_000.0);
        assert_eq!(found["load"]["goodput_per_s"], 500_000.0);
        assert_eq!(found["load"]["acked_mb_s"], 50.0);
        assert_eq!(found["load"]["wire_bytes"], Value::Null);
        let p50 = found["latency_us"]["response"]["p50"].as_f64().unwrap();
        assert!((p50 / 1_500.0 - 1.0).abs() < 0.01, "{p50}");
        assert_eq!(found["latency_us"]["response"]["p99_99"], Value::Null, "10,000 calls");
        assert_eq!(found["shards"].as_array().unwrap().len(), 128);
        assert_eq!(found["subject"]["flush"], "fdatasync");
        assert_eq!(found["subject"]["data_fs"], "ext4");
        assert_eq!(found["verify"]["verdict"], "ok");
        assert_eq!(found["scenario"]["resolved"]["stream"]["shards"], 128);
        assert_eq!(found["consumers"]["verdict"], "ok");
        assert_eq!(found["consumers"]["cpu_ns_per_record"], 31.3);
        assert_eq!(found["exit_code"], 0);
    }

    #[test]
    fn what_may_not_be_printed_is_null_and_has_its_reason() {
        let mut outcome = sample::outcome();
        outcome.validity.quantiles[P99_9] = QuantileValidity {
            q: 0.999,
            lag_ns: 900_000,
            lag_ns_max: 250_000,
            stall_pct: 0.5,
            stall_pct_max: 0.01,
            stall_pct_bound_max: 0.05,
            trust: Trust::Void,
        };
        outcome.verify.verdict = Verdict::NotVerified;
        let found = document(&outcome, &sample::environment());
        assert_eq!(found["latency_us"]["response"]["p99_9"], Value::Null);
        assert_ne!(found["latency_us"]["response"]["p99"], Value::Null);
        assert_ne!(
            found["latency_us"]["lag"]["p99_9"],
            Value::Null,
            "it is the judge's own figure"
        );
        assert_eq!(found["load"]["goodput_per_s"], Value::Null);
        let reasons = found["validity"]["reasons"].to_string();
        let expected = "the generator decided p99.9: its lag there is 0.900 ms, at most 0.250 ms";
        assert!(reasons.contains(expected), "{reasons}");
    }

    #[test]
    fn an_upper_bound_is_null_and_listed() {
        let mut outcome = sample::outcome();
        let validity = &mut outcome.validity.quantiles[P99];
        (validity.stall_pct, validity.trust) = (0.3, Trust::UpperBound);
        let found = document(&outcome, &sample::environment());
        assert_eq!(found["latency_us"]["response"]["p99"], Value::Null);
        assert!(found["latency_us"]["response"]["p50"].is_number());
        let bounds = found["validity"]["upper_bounds"].as_object().unwrap();
        let p99 = bounds["p99"].as_f64().unwrap();
        assert_eq!(bounds.len(), 1);
        assert!((p99 / 2_480.0 - 1.0).abs() < 0.01, "{p99}");
        let reasons = found["validity"]["reasons"].to_string();
        assert!(reasons.contains("p99 is an upper bound: the generator's core"), "{reasons}");
    }

    #[test]
    fn a_planted_defect_stands_in_it() {
        let outcome = Outcome { planted: vec!["bucket=1200,1000".to_owned()], ..sample::outcome() };
        let found = document(&outcome, &sample::environment());
        let expected = serde_json::json!([{ "kind": "plant", "defect": "bucket=1200,1000" }]);
        assert_eq!(found["faults"], expected);
    }

    #[test]
    fn a_lower_bound_is_told() {
        let mut outcome = sample::outcome();
        let response = &mut outcome.load.distributions[Kind::Response as usize];
        response.censor(2_000_000_000, 100_000);
        let found = document(&outcome, &sample::environment());
        assert_eq!(found["latency_us"]["response"]["censored"], 100_000);
        let reasons = found["validity"]["reasons"].to_string();
        let expected = "response p99, p99.9 at least: 100000 records were never sent";
        assert!(reasons.contains(expected), "{reasons}");
    }
}
