//! The highest rate that holds: doubling until one does not, then three bisections; where not even the
//! first does, two halvings. One stall of a disk is no verdict: a rate fails when it fails twice.

use std::time::Duration;

use runtime::clock;

use super::live::Live;
use super::load::{LoadPlan, Loaded, load};
use super::subject::Rig;
use super::{Failure, RunOptions, judge};
use crate::amount::{Span, show_short};
use crate::exit_code::ExitCode;
use crate::outcome::{Search, SearchStep};
use crate::scenario::{Rate, Scenario};
use crate::stats::recorder::Kind;
use crate::worker::Ended;

/// Where it begins.
const RATE_FIRST: u64 = 250_000;
const BISECTIONS: u32 = 3;
/// Below the first rate.
const HALVINGS: u32 = 2;
/// A step lasts as long as so many calls take, and at least a second: p99 needs them.
const STEP_CALLS: u64 = 1_000;
const STEP_MIN: Duration = Duration::from_secs(1);
const STEP_WARMUP: Duration = Duration::from_millis(250);
/// How often a rate is tried until it holds.
const TRIES_MAX: u32 = 4;
/// How many valid tries that did not hold decide against a rate.
const FAILURES_MAX: u32 = 2;
/// After this no step is repeated, and where a rate has held, none is added.
const SEARCH_MAX: Duration = Duration::from_secs(40);
/// The measured rates, as parts of the highest that held: the first that holds for the whole time.
pub(super) const MEASURED_PERCENTS: [u64; 3] = [90, 75, 50];

/// What is asked next; a function of what was found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Course {
    held: Option<u64>,
    failed: Option<u64>,
    bisections: u32,
    rate_max: u64,
}

impl Course {
    fn new(rate_max: u64) -> Course {
        Course { held: None, failed: None, bisections: 0, rate_max }
    }

    /// The rate to try; `None` when it is over.
    fn next(&self) -> Option<u64> {
        match (self.held, self.failed) {
            (None, None) => Some(RATE_FIRST.min(self.rate_max)),
            (Some(held), _) if held >= self.rate_max => None,
            (Some(held), None) => Some((2 * held).min(self.rate_max)),
            (None, Some(failed)) => (self.bisections < HALVINGS).then_some((failed / 2).max(1)),
            (Some(held), Some(failed)) => {
                (self.bisections < BISECTIONS).then_some(held.midpoint(failed))
            }
        }
    }

    fn tell(&mut self, rate: u64, held: bool) {
        self.bisections += u32::from(self.failed.is_some());
        if held {
            self.held = Some(rate);
        } else {
            self.failed = Some(rate);
        }
    }
}

/// What was tried of one rate.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    all: u32,
    failures: u32,
    held: bool,
}

impl Tries {
    fn count(&mut self, valid: bool, held: bool) {
        self.all += 1;
        self.failures += u32::from(valid && !held);
        self.held |= held;
    }

    fn are_enough(&self) -> bool {
        self.held || self.failures >= FAILURES_MAX || self.all >= TRIES_MAX
    }

    /// It did not hold, and no try says that it cannot.
    fn say_nothing(&self) -> bool {
        !self.held && self.failures == 0
    }
}

/// What a search comes to.
pub(super) struct Searched {
    pub search: Search,
    /// Somebody asked to stop: the load that was under way, and its rate.
    pub interrupted: Option<(u64, Loaded)>,
}

/// Searches. The scenario's rate is the most that is tried, its `response_p99` what must hold.
pub(super) async fn search(
    rig: &Rig,
    scenario: &Scenario,
    options: &RunOptions,
    live: &mut Live,
) -> Result<Searched, Failure> {
    let Rate::PerSecond(rate_max) = scenario.producer.rate else {
        return Err(Failure::usage("a search needs the highest rate that it may try".to_owned()));
    };
    let mut course = Course::new(rate_max);
    let mut search = Search::default();
    let ends = clock::now() + SEARCH_MAX;
    let mut tries = Tries::default();
    while let Some(rate) = course.next() {
        let is_late = clock::now() >= ends;
        if is_late && course.held.is_some() {
            break;
        }
        let loaded = try_rate(rig, scenario, options, rate, live).await?;
        if matches!(loaded.ended, Ended::Interrupted { .. }) {
            search.held_per_s = course.held;
            return Ok(Searched { search, interrupted: Some((rate, loaded)) });
        }
        rig.client.delete_stream(loaded.stream.name()).await.map_err(Failure::could_not)?;
        let step = step(rate, scenario, &loaded);
        let (valid, held) = (step.valid, step.held);
        live.note(&words(&step));
        search.steps.push(step);
        tries.count(valid, held);
        if !tries.are_enough() && !is_late {
            search.repeated += u32::from(!valid);
            continue;
        }
        search.generator_limited |= tries.say_nothing();
        course.tell(rate, tries.held);
        tries = Tries::default();
    }
    search.held_per_s = course.held;
    search.limited_by_shards = course.held == Some(rate_max);
    Ok(Searched { search, interrupted: None })
}

pub(super) fn words(step: &SearchStep) -> String {
    match (step.held, step.valid) {
        (true, _) => format!("{}/s held", show_short(step.rate as f64)),
        (false, true) => format!("did not hold: {}", step.reason),
        (false, false) => format!("void: {}", step.reason),
    }
}

/// The rates to measure.
pub(super) fn measured(found: &Search) -> Result<[u64; MEASURED_PERCENTS.len()], Failure> {
    let held = found.held_per_s.ok_or_else(|| nothing_held(found))?;
    Ok(MEASURED_PERCENTS.map(|percent| (held * percent / 100).max(1)))
}

/// Why there is nothing to measure, and what can be done about it.
fn nothing_held(found: &Search) -> Failure {
    let last = found.steps.last();
    let reason = last.map_or("", |step| step.reason.as_str());
    let (code, advice) = match last {
        Some(step) if step.valid && step.throttled_records > 0 => (
            ExitCode::SloBroken,
            "the shards' limits refused records at a rate far below them: try `loadgen run --rate 10k`",
        ),
        Some(step) if step.valid => (
            ExitCode::SloBroken,
            "the engine is slower here than the bound on its response: compare it with the probe's \
             \"4 KiB write + flush\" above, and see where its time goes with `loadgen run --rate 10k`",
        ),
        _ => (
            ExitCode::Void,
            "others use the CPU that the generator needs: stop them and try again, or give it a CPU \
             that is free with `loadgen run --rate 10k --generator-cpus LIST`",
        ),
    };
    let sentence =
        format!("no rate held, down to the lowest that was tried ({reason}). What to do: {advice}");
    Failure { code, sentence }
}

async fn try_rate(
    rig: &Rig,
    scenario: &Scenario,
    options: &RunOptions,
    rate: u64,
    live: &mut Live,
) -> Result<Loaded, Failure> {
    let mut scenario = scenario.clone();
    scenario.producer.rate = Rate::PerSecond(rate);
    let calls_per_s = rate as f64 / f64::from(scenario.producer.batch.max_records);
    let long_enough = Duration::from_secs_f64(STEP_CALLS as f64 / calls_per_s);
    scenario.run.measure = Span(long_enough.max(STEP_MIN));
    scenario.run.warmup = Span(STEP_WARMUP);
    load(rig, &LoadPlan::new(&scenario, options, false), "search", live).await
}

pub(super) fn step(rate: u64, scenario: &Scenario, loaded: &Loaded) -> SearchStep {
    let load = &loaded.load;
    let judged = judge::step(scenario, load, &loaded.generator);
    let response = load.latency(Kind::Response);
    let lost = load.counters.lost_records();
    SearchStep {
        rate,
        measured_ns: load.measured_ns,
        response_p99_ns: response.quantile_with_lost(0.99, lost),
        acked_per_s: load.counters.acked_records as f64 / (load.measured_ns.max(1) as f64 / 1e9),
        throttled_records: load.counters.throttled_records,
        valid: judged.is_ok(),
        held: matches!(judged, Ok(None)),
        reason: match judged {
            Ok(None) => String::new(),
            Ok(Some(reason)) => format!("{}/s: {reason}", show_short(rate as f64)),
            Err(reason) => format!("{}/s: {reason}", show_short(rate as f64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates tried where everything up to `limit` holds, and what is found.
    fn rates(limit: u64, rate_max: u64) -> (Vec<u64>, Option<u64>) {
        let mut course = Course::new(rate_max);
        let mut tried = Vec::new();
        while let Some(rate) = course.next() {
            tried.push(rate);
            course.tell(rate, rate <= limit);
        }
        (tried, course.held)
    }

    #[test]
    fn it_doubles_then_halves_three_times() {
        let k = 1_000;
        let (tried, held) = rates(1_300 * k, 3_891_200);
        assert_eq!(
            tried,
            [250 * k, 500 * k, 1_000 * k, 2_000 * k, 1_500 * k, 1_250 * k, 1_375 * k]
        );
        assert_eq!(held, Some(1_250 * k));
    }

    #[test]
    fn the_shards_limits_end_it() {
        let (tried, held) = rates(u64::MAX, 3_891_200);
        assert_eq!(tried, [250_000, 500_000, 1_000_000, 2_000_000, 3_891_200]);
        assert_eq!(held, Some(3_891_200));
        assert_eq!(rates(u64::MAX, 1_000), (vec![1_000], Some(1_000)));
    }

    #[test]
    fn where_nothing_holds_it_ends() {
        assert_eq!(rates(0, 3_891_200), (vec![250_000, 125_000, 62_500], None));
        assert_eq!(
            rates(70_000, 3_891_200),
            (vec![250_000, 125_000, 62_500, 93_750], Some(62_500))
        );
        assert_eq!(rates(0, 1), (vec![1, 1, 1], None));
    }

    #[test]
    fn one_stall_is_no_verdict_and_void_tries_say_nothing() {
        let tries = |outcomes: &[(bool, bool)]| {
            let mut tries = Tries::default();
            for (place, &(valid, held)) in outcomes.iter().enumerate() {
                assert!(!tries.are_enough(), "{outcomes:?} at {place}");
                tries.count(valid, held);
            }
            assert!(tries.are_enough(), "{outcomes:?}");
            (tries.held, tries.say_nothing())
        };
        const HELD: (bool, bool) = (true, true);
        const FAILED: (bool, bool) = (true, false);
        const VOID: (bool, bool) = (false, false);
        assert_eq!(tries(&[HELD]), (true, false));
        assert_eq!(tries(&[FAILED, VOID, HELD]), (true, false));
        assert_eq!(tries(&[FAILED, VOID, FAILED]), (false, false));
        assert_eq!(tries(&[VOID, VOID, VOID, FAILED]), (false, false));
        assert_eq!(tries(&[VOID, VOID, VOID, VOID]), (false, true));
    }

    #[test]
    fn what_did_not_hold_says_why_and_what_to_do() {
        let check = |valid: bool, code: ExitCode, advice: &str| {
            let step = SearchStep {
                rate: 62_500,
                measured_ns: 1_000_000_000,
                response_p99_ns: Some(9_000_000),
                acked_per_s: 62_500.0,
                throttled_records: 0,
                valid,
                held: false,
                reason: "62.5 k/s: because".to_owned(),
            };
            let found = Search { steps: vec![step], ..Search::default() };
            let failure = measured(&found).unwrap_err();
            assert_eq!(failure.code, code);
            assert!(failure.sentence.contains("62.5 k/s: because"), "{}", failure.sentence);
            assert!(failure.sentence.contains(advice), "{}", failure.sentence);
        };
        check(true, ExitCode::SloBroken, "slower here than the bound");
        check(false, ExitCode::Void, "--generator-cpus");
    }
}
