//! The highest rate that holds: doubling until one does not, then three bisections.

use std::time::Duration;

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
/// A step lasts as long as so many calls take, and at least a second: p99 needs them.
const STEP_CALLS: u64 = 1_000;
const STEP_MIN: Duration = Duration::from_secs(1);
const STEP_WARMUP: Duration = Duration::from_millis(250);
/// A void step is tried so often in all.
const TRIES: u32 = 2;
/// The measured rate is this part of the highest that held.
const MEASURED_PERCENT: u64 = 90;

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
            (held, Some(failed)) => {
                let middle = held.unwrap_or(0).midpoint(failed);
                (self.bisections < BISECTIONS).then_some(middle.max(1))
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

/// Searches. The scenario's rate is the most that is tried, its `response_p99` what must hold.
pub(super) async fn search(
    rig: &Rig,
    scenario: &Scenario,
    options: &RunOptions,
    live: &mut Live,
) -> Result<Search, Failure> {
    let Rate::PerSecond(rate_max) = scenario.producer.rate else {
        return Err(Failure::usage("a search needs the highest rate that it may try".to_owned()));
    };
    let mut course = Course::new(rate_max);
    let mut search = Search::default();
    while let Some(rate) = course.next() {
        let mut tries = 0;
        let held = loop {
            tries += 1;
            let loaded = try_rate(rig, scenario, options, rate, live).await?;
            let step = step(rate, scenario, &loaded);
            let (valid, held) = (step.valid, step.held);
            search.steps.push(step);
            if matches!(loaded.ended, Ended::Interrupted { .. }) {
                let sentence = "interrupted while it searched a rate".to_owned();
                return Err(Failure { code: ExitCode::Interrupted, sentence });
            }
            if valid || tries == TRIES {
                break valid && held;
            }
            search.repeated += 1;
        };
        course.tell(rate, held);
    }
    search.held_per_s = course.held;
    search.limited_by_shards = course.held == Some(rate_max);
    Ok(search)
}

/// Puts the rate to measure into the scenario.
pub(super) fn settle(scenario: &mut Scenario, found: &Search) -> Result<(), Failure> {
    let Some(held) = found.held_per_s else {
        let reason = found.steps.last().map_or("", |step| step.reason.as_str());
        return Err(Failure {
            code: ExitCode::Void,
            sentence: format!("no rate held, down to the lowest that was tried: {reason}"),
        });
    };
    scenario.producer.rate = Rate::PerSecond(held * MEASURED_PERCENT / 100);
    Ok(())
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
    let loaded = load(rig, &LoadPlan::new(&scenario, options, false), "search", live).await?;
    rig.client.delete_stream(loaded.stream.name()).await.map_err(Failure::could_not)?;
    Ok(loaded)
}

fn step(rate: u64, scenario: &Scenario, loaded: &Loaded) -> SearchStep {
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
        assert_eq!(rates(0, 3_891_200), (vec![250_000, 125_000, 62_500, 31_250], None));
        assert_eq!(rates(40_000, 3_891_200).1, Some(31_250));
    }
}
