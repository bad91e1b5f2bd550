//! What may be said of a run, and how the process ends because of it (METHOD.md §2.3, §3.1, §3.2,
//! §7). Pure: everything it needs is in what the run has left.

use gyre::embed::CoreStats;

use super::Failure;
use super::load::Loaded;
use crate::environment::roofline::{DISK_RATIO, ENGINE_CORE_PCT, GENERATOR_LOAD_PCT};
use crate::exit_code::ExitCode;
use crate::outcome::{
    EngineOutcome, GeneratorOutcome, Load, Outcome, QuantileValidity, Search, SloOutcome, Trust,
    Validity, Verdict, Verification,
};
use crate::scenario::{Scenario, SloSettings};
use crate::stats::distribution::{QUANTILES, calls_needed};
use crate::stats::recorder::Kind;
use crate::stats::steady::State;
use crate::stats::throughput::Counters;
use crate::worker::Ended;

/// The generator's lateness that no quantile is void for.
const LAG_NS_MAX: u64 = 100_000;
/// The part of a quantile that the generator's lateness may be.
const LAG_SHARE_MAX: f64 = 0.1;
/// The part of 1 - q that stalls of the generator may take.
const STALL_SHARE_MAX: f64 = 0.1;
/// The same where the quantile is to be an upper bound: the other half of the values beyond it are then
/// the engine's own.
const STALL_SHARE_BOUND_MAX: f64 = 0.5;

/// Stalls of the generator that a closed loop's times may have in them without a word, per cent.
const CLOSED_STALL_PCT_MAX: f64 = 0.1;

/// What the machine says about the measured time.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// What it says against the run.
    pub complaints: Vec<String>,
    /// What a reader should know, and what does not speak against it.
    pub notes: Vec<String>,
    /// The busiest engine core.
    pub engine_core_pct: Option<f64>,
    /// The busiest generator core.
    pub generator_core_pct: Option<f64>,
    /// Bytes written, of what the disk's probe reached.
    pub disk_write_ratio: Option<f64>,
    /// Somebody asked to stop, whatever was under way: the load, reading back, or a probe.
    pub interrupted: bool,
    /// What could not be done once everything was measured: the run is not finished.
    pub failures: Vec<String>,
}

/// Puts everything together.
///
/// # Errors
/// Where the counts do not balance, which is a bug of ours, or nothing was measured.
pub(super) fn outcome(
    scenario: Scenario,
    search: Option<Search>,
    loaded: Loaded,
    verify: Verification,
    engine: EngineOutcome,
    planted: Vec<String>,
    machine: &Machine,
) -> Result<Outcome, Failure> {
    let Loaded { load, ended, generator, started_unix_ms, .. } = loaded;
    load.counters
        .check_balance()
        .map_err(|imbalance| Failure { code: ExitCode::OwnBug, sentence: imbalance.to_string() })?;
    let interrupted = machine.interrupted || matches!(ended, Ended::Interrupted { .. });
    let searched = search.as_ref().is_some_and(|search| !search.steps.is_empty());
    if interrupted && load.measured_ns == 0 && !searched {
        let sentence = "interrupted before anything was measured".to_owned();
        return Err(Failure { code: ExitCode::Interrupted, sentence });
    }
    let mut validity = validity(&load, &generator, &scenario.slo, machine);
    if let Some(search) = &search {
        judge_search(search, &mut validity);
    }
    let planted_words = |defect: &String| format!("a defect was planted on purpose: {defect}");
    validity.reasons.extend(planted.iter().map(planted_words));
    validity.reasons.extend(unanswered(&scenario.slo, &load));
    validity.reasons.extend(machine.failures.iter().cloned());
    let slo = slo(&scenario.slo, &load, &validity);
    let mut outcome = Outcome {
        scenario,
        started_unix_ms,
        interrupted,
        search,
        load,
        verify,
        engine,
        generator,
        validity,
        slo,
        planted,
        exit: ExitCode::Ok,
    };
    outcome.exit = exit(&outcome);
    if !machine.failures.is_empty() {
        outcome.exit = outcome.exit.and(ExitCode::CouldNotRun);
    }
    Ok(outcome)
}

/// Whether a step of a search holds: `Ok(None)` if so, `Ok(Some(why not))`, or `Err(why it says
/// nothing)`.
pub(super) fn step(
    scenario: &Scenario,
    load: &Load,
    generator: &GeneratorOutcome,
) -> Result<Option<String>, String> {
    let validity = validity(load, generator, &scenario.slo, &Machine::default());
    if !validity.ok {
        return Err(validity.reasons.join("; "));
    }
    if load.steady.state == State::Overloaded {
        return Ok(Some("the engine fell behind for good".to_owned()));
    }
    let slo = slo(&scenario.slo, load, &validity);
    let words = |slo: &SloOutcome| format!("{} was {}", slo.expression, slo.observed);
    // What is known to be broken is so whatever else is not known.
    if let Some(broken) = slo.iter().find(|slo| !slo.pass && !slo.undecided) {
        return Ok(Some(words(broken)));
    }
    match slo.iter().find(|slo| slo.undecided) {
        Some(undecided) => Err(format!("{}, which decides nothing", words(undecided))),
        None => Ok(None),
    }
}

/// Why a run is not finished whose records failed or were never answered. An SLO on errors decides
/// instead, where there is one.
fn unanswered(slo: &SloSettings, load: &Load) -> Option<String> {
    let Counters { failed_records: failed, timed_out_records: timed_out, .. } = load.counters;
    if slo.error_ratio.is_some() || failed + timed_out == 0 {
        return None;
    }
    let why = load.first_error.as_deref().unwrap_or("no answer came in time");
    Some(format!("{failed} records failed and {timed_out} timed out: {why}"))
}

/// What the search says about the run as a whole.
fn judge_search(search: &Search, validity: &mut Validity) {
    if search.generator_limited {
        let sentence = "the generator, not the engine, may have lowered the rate that was found";
        validity.reasons.push(sentence.to_owned());
    }
}

/// Whether the generator left the figures alone.
fn validity(
    load: &Load,
    generator: &GeneratorOutcome,
    slo: &SloSettings,
    machine: &Machine,
) -> Validity {
    let mut validity = Validity {
        ok: machine.complaints.is_empty(),
        reasons: [&machine.complaints[..], &machine.notes[..]].concat(),
        ..Validity::default()
    };
    if !load.open_loop {
        judge_closed_loop(load, generator, machine, &mut validity);
        return validity;
    }
    let promised = promised(slo);
    let calls = load.latency(Kind::Response).calls();
    for q in QUANTILES {
        let is_promised = promised.contains(&q);
        // What has too few calls is not printed anyway.
        if calls < calls_needed(q) && !is_promised {
            continue;
        }
        let found = quantile_validity(load, generator, q);
        if found.trust == Trust::Void && (is_promised || ALWAYS.contains(&q)) {
            validity.ok = false;
            validity.reasons.push(sentence(&found));
        }
        validity.quantiles.push(found);
    }
    validity
}

/// A closed loop's rate is a lower bound where the generator was busy and nothing else was; its times
/// are the engine's as far as nobody else is in them.
fn judge_closed_loop(
    load: &Load,
    generator: &GeneratorOutcome,
    machine: &Machine,
    validity: &mut Validity,
) {
    let reaches = |share: Option<f64>, limit: f64| share.is_some_and(|share| share >= limit);
    let engine_is_busy = reaches(machine.engine_core_pct, ENGINE_CORE_PCT);
    let disk_is_busy = reaches(machine.disk_write_ratio, DISK_RATIO);
    let generator_is_busy = generator.load_pct >= GENERATOR_LOAD_PCT
        || reaches(machine.generator_core_pct, GENERATOR_LOAD_PCT);
    validity.generator_limited = generator_is_busy && !engine_is_busy && !disk_is_busy;
    let throttled = load.counters.throttled_records;
    if throttled > 0 {
        validity.ok = false;
        validity.reasons.push(format!(
            "the shards' limits, not the engine, decided this closed loop: they refused {throttled} \
             records; without limits: --limits off, at a rate: --rate",
        ));
    }
    if generator.self_stall_pct > CLOSED_STALL_PCT_MAX {
        validity.reasons.push(format!(
            "the times include the generator's own stalls: its core stood still for {:.3} % of the time",
            generator.self_stall_pct,
        ));
    }
}

/// Quantiles that void the run where they are printed and the generator decided them.
const ALWAYS: [f64; 2] = [0.5, 0.99];

/// Quantiles that void it anyway: those of an SLO.
fn promised(slo: &SloSettings) -> Vec<f64> {
    let bounds = [(0.5, slo.response_p50), (0.99, slo.response_p99), (0.999, slo.response_p99_9)];
    bounds.into_iter().filter(|(_, bound)| bound.is_some()).map(|(q, _)| q).collect()
}

fn quantile_validity(load: &Load, generator: &GeneratorOutcome, q: f64) -> QuantileValidity {
    let response_ns = load.latency(Kind::Response).value_at(q);
    let lag_ns = load.latency(Kind::Lag).value_at(q);
    let lag_ns_max = LAG_NS_MAX.max((response_ns as f64 * LAG_SHARE_MAX) as u64);
    let stall_pct = generator.self_stall_pct;
    let stall_pct_max = 100.0 * (1.0 - q) * STALL_SHARE_MAX;
    let stall_pct_bound_max = 100.0 * (1.0 - q) * STALL_SHARE_BOUND_MAX;
    let trust = if lag_ns > lag_ns_max || stall_pct > stall_pct_bound_max {
        Trust::Void
    } else if stall_pct > stall_pct_max {
        Trust::UpperBound
    } else {
        Trust::Exact
    };
    QuantileValidity { q, lag_ns, lag_ns_max, stall_pct, stall_pct_max, stall_pct_bound_max, trust }
}

/// What there is to say of a quantile that the generator touched: the limit and its value.
#[must_use]
pub fn sentence(found: &QuantileValidity) -> String {
    let name = quantile_name(found.q);
    if found.lag_ns > found.lag_ns_max {
        return format!(
            "the generator decided {name}: its lag there is {:.3} ms, at most {:.3} ms would do",
            found.lag_ns as f64 / 1e6,
            found.lag_ns_max as f64 / 1e6,
        );
    }
    let (words, limit_pct) = match found.trust {
        Trust::Void => (format!("the generator decided {name}"), found.stall_pct_bound_max),
        _ => (format!("{name} is an upper bound"), found.stall_pct_max),
    };
    format!(
        "{words}: the generator's core stood still for {:.3} % of the time, at most {limit_pct:.3} % \
         would do",
        found.stall_pct,
    )
}

/// `p50`, `p99.9`.
#[must_use]
pub fn quantile_name(q: f64) -> String {
    let percent = format!("{:.2}", q * 100.0);
    format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// What had to hold. Overloaded, nothing holds. An upper bound proves that it held, and never that it
/// did not; a quantile that is not printed proves nothing.
fn slo(settings: &SloSettings, load: &Load, validity: &Validity) -> Vec<SloOutcome> {
    let overloaded = load.steady.state == State::Overloaded;
    let counters = &load.counters;
    let lost = counters.lost_records() + counters.unsent_records;
    let response = load.latency(Kind::Response);
    // Unsent records stand in the histogram already, as lower bounds.
    let lost_ns = lost - response.censored();
    let mut found = Vec::new();
    let bounds = [
        (0.5, "p50", settings.response_p50),
        (0.99, "p99", settings.response_p99),
        (0.999, "p99_9", settings.response_p99_9),
    ];
    for (q, name, bound) in bounds {
        let Some(bound) = bound else { continue };
        let observed = response.quantile_with_lost(q, lost_ns);
        let within = observed.is_some_and(|ns| u128::from(ns) <= bound.0.as_nanos());
        let trust = validity.trust(q);
        let needed = calls_needed(q);
        let (text, is_known) = match observed {
            // Records that took for ever are beyond every bound, whoever decided the others.
            None => ("for ever".to_owned(), true),
            Some(_) if trust == Trust::Void => ("n/a, the generator decided it".to_owned(), false),
            Some(_) if response.calls() < needed => (format!("n/a, needs {needed} calls"), false),
            Some(ns) if trust == Trust::UpperBound => (format!("≤ {}", ms(ns)), within),
            Some(ns) => (ms(ns), true),
        };
        let undecided = !is_known && !overloaded;
        found.push(SloOutcome {
            expression: format!("response_{name}<{bound}"),
            // In run.json this word alone tells it from a broken one.
            observed: if undecided { format!("undecided: {text}") } else { text },
            pass: within && is_known && !overloaded,
            undecided,
        });
    }
    let ratio = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let errors = counters.failed_records + counters.timed_out_records;
    let ratios = [
        ("errors", settings.error_ratio, ratio(errors, counters.offered_records)),
        (
            "throttled",
            settings.throttled_ratio,
            ratio(counters.throttled_records, counters.sent_records),
        ),
    ];
    for (name, bound, observed) in ratios {
        let Some(bound) = bound else { continue };
        found.push(SloOutcome {
            expression: match bound {
                0.0 => format!("{name}=0"),
                bound => format!("{name}<{}%", bound * 100.0),
            },
            observed: format!("{:.4}%", observed * 100.0),
            pass: observed <= bound && !overloaded,
            undecided: false,
        });
    }
    found
}

fn ms(ns: u64) -> String {
    format!("{:.3}ms", ns as f64 / 1e6)
}

/// How the process ends.
fn exit(outcome: &Outcome) -> ExitCode {
    let broke_limits = outcome.load.shards.limits.iter().flatten().any(|shard| {
        let unjust = outcome.load.shards.all_writers_seen && shard.unjust_throttle_s > 0;
        shard.over_accept_s > 0 || unjust
    });
    let verdicts = [Some(outcome.verify.verdict), consumers_verdict(&outcome.load)];
    let lost = verdicts.contains(&Some(Verdict::Failed));
    let causes = [
        (lost || broke_limits, ExitCode::Incorrect),
        (log_failure(&outcome.engine.last).is_some(), ExitCode::CouldNotRun),
        (unanswered(&outcome.scenario.slo, &outcome.load).is_some(), ExitCode::CouldNotRun),
        (outcome.interrupted, ExitCode::Interrupted),
        (!outcome.validity.ok, ExitCode::Void),
        (outcome.load.steady.state == State::Overloaded, ExitCode::SloBroken),
        (outcome.slo.iter().any(|slo| !slo.pass && !slo.undecided), ExitCode::SloBroken),
        (outcome.slo.iter().any(|slo| slo.undecided), ExitCode::Inconclusive),
        (is_unverified(&outcome.verify), ExitCode::Inconclusive),
    ];
    let codes = causes.into_iter().filter(|(is_so, _)| *is_so);
    codes.fold(ExitCode::Ok, |sum, (_, code)| sum.and(code))
}

/// What should have been read back was not: records too short to be told apart are another matter.
fn is_unverified(verify: &Verification) -> bool {
    verify.verdict == Verdict::NotVerified || verify.not_read > 0 || verify.unwatched > 0
}

fn consumers_verdict(load: &Load) -> Option<Verdict> {
    load.consumers.as_ref().map(|consumers| consumers.verdict)
}

/// The first log that has failed, with the reason.
#[must_use]
pub fn log_failure(stats: &[CoreStats]) -> Option<&str> {
    stats.iter().flat_map(|core| &core.logs).find_map(|log| log.failure.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Span;
    use crate::report::sample;
    use std::time::Duration;

    /// A run of the sample, whose response has a p99 of 2.5 ms, judged with stalls of the generator.
    fn judged(stall_pct: f64, bound_ms: u64) -> (Validity, Vec<SloOutcome>, Scenario, Outcome) {
        let mut outcome = sample::outcome();
        outcome.generator.self_stall_pct = stall_pct;
        let mut scenario = outcome.scenario.clone();
        scenario.slo.response_p99 = Some(Span(Duration::from_millis(bound_ms)));
        let machine = Machine::default();
        let validity = validity(&outcome.load, &outcome.generator, &scenario.slo, &machine);
        let slo = slo(&scenario.slo, &outcome.load, &validity);
        (validity, slo, scenario, outcome)
    }

    #[test]
    fn a_stalled_generator_leaves_upper_bounds_and_then_nothing() {
        let check = |stall_pct: f64, expected: [Trust; 2], ok: bool| {
            let (validity, ..) = judged(stall_pct, 5);
            let found = [validity.trust(0.5), validity.trust(0.99)];
            assert_eq!((found, validity.ok), (expected, ok), "{stall_pct}");
        };
        check(0.1, [Trust::Exact, Trust::Exact], true);
        check(0.11, [Trust::Exact, Trust::UpperBound], true);
        check(0.5, [Trust::Exact, Trust::UpperBound], true);
        check(0.51, [Trust::Exact, Trust::Void], false);
        check(6.0, [Trust::UpperBound, Trust::Void], false);
        // p99.9 has its own limits, and never voids the run alone.
        assert_eq!(judged(0.1, 5).0.trust(0.999), Trust::Void);
    }

    #[test]
    fn an_upper_bound_proves_that_an_slo_holds_and_never_that_it_does_not() {
        let check = |stall_pct: f64, bound_ms: u64, expected: (bool, bool)| {
            let (_, slo, ..) = judged(stall_pct, bound_ms);
            assert_eq!((slo[0].pass, slo[0].undecided), expected, "{stall_pct} {slo:?}");
        };
        check(0.0, 5, (true, false));
        check(0.3, 5, (true, false));
        check(0.0, 1, (false, false));
        check(0.3, 1, (false, true));
        let exit_of = |stall_pct: f64, bound_ms: u64| {
            let (validity, slo, scenario, outcome) = judged(stall_pct, bound_ms);
            exit(&Outcome { validity, slo, scenario, ..outcome })
        };
        assert_eq!(exit_of(0.3, 5), ExitCode::Ok);
        assert_eq!(exit_of(0.0, 1), ExitCode::SloBroken);
        assert_eq!(exit_of(0.3, 1), ExitCode::Inconclusive);
        assert_eq!(exit_of(0.6, 1), ExitCode::Void);
    }

    #[test]
    fn a_quantile_that_is_not_printed_decides_no_slo() {
        let (_, found, ..) = judged(0.6, 5);
        assert_eq!((found[0].pass, found[0].undecided), (false, true));
        assert_eq!(found[0].observed, "undecided: n/a, the generator decided it");
        let (validity, _, mut scenario, mut outcome) = judged(0.0, 5);
        let response = &mut outcome.load.distributions[Kind::Response as usize];
        response.limit_calls(999);
        scenario.slo.response_p50 = Some(Span(Duration::from_millis(5)));
        let found = slo(&scenario.slo, &outcome.load, &validity);
        assert_eq!((found[0].pass, found[0].undecided), (true, false), "{found:?}");
        assert_eq!((found[1].pass, found[1].undecided), (false, true), "{found:?}");
        assert_eq!(found[1].observed, "undecided: n/a, needs 1000 calls");
        outcome.load.counters.throttled_final_records = 1_000_000;
        let found = slo(&scenario.slo, &outcome.load, &validity);
        assert_eq!((found[1].pass, found[1].undecided), (false, false), "lost for ever: {found:?}");
    }

    #[test]
    fn a_quantile_that_is_neither_printed_nor_promised_voids_nothing() {
        let mut outcome = sample::outcome();
        outcome.generator.self_stall_pct = 3.0;
        outcome.scenario.slo = SloSettings::default();
        let judged = |outcome: &Outcome| {
            validity(&outcome.load, &outcome.generator, &outcome.scenario.slo, &Machine::default())
        };
        assert!(!judged(&outcome).ok, "p99 is printed");
        outcome.load.distributions[Kind::Response as usize].limit_calls(999);
        assert!(judged(&outcome).ok, "{:?}", judged(&outcome).reasons);
        outcome.scenario.slo.response_p99 = Some(Span(Duration::from_millis(5)));
        assert!(!judged(&outcome).ok, "p99 is promised");
    }

    #[test]
    fn a_closed_loop_says_who_decided_it() {
        let mut outcome = sample::outcome();
        outcome.load.open_loop = false;
        let judged = |outcome: &Outcome, generator_core_pct| {
            let machine = Machine { generator_core_pct, ..Machine::default() };
            validity(&outcome.load, &outcome.generator, &outcome.scenario.slo, &machine)
        };
        let found = judged(&outcome, Some(80.0));
        assert!(found.ok && !found.generator_limited && found.reasons.is_empty(), "{found:?}");
        assert!(judged(&outcome, Some(90.0)).generator_limited, "executor and ring are work too");
        outcome.generator.self_stall_pct = 24.5;
        let found = judged(&outcome, None);
        assert!(found.ok && found.reasons[0].contains("stood still for 24.500 %"), "{found:?}");
        outcome.load.counters.throttled_records = 84_353;
        let found = judged(&outcome, None);
        assert!(!found.ok && found.reasons[0].contains("refused 84353 records"), "{found:?}");
    }

    #[test]
    fn records_without_an_acknowledgement_end_the_run_unless_an_slo_judges_them() {
        let mut outcome = sample::outcome();
        outcome.load.counters.failed_records = 3;
        outcome.load.first_error = Some("the disk is full".to_owned());
        outcome.scenario.slo.error_ratio = None;
        assert_eq!(exit(&outcome), ExitCode::CouldNotRun);
        let sentence = unanswered(&outcome.scenario.slo, &outcome.load).unwrap();
        assert_eq!(sentence, "3 records failed and 0 timed out: the disk is full");
        outcome.scenario.slo.error_ratio = Some(0.01);
        assert_eq!(exit(&outcome), ExitCode::Ok);
        outcome.load.counters.failed_records = 0;
        outcome.load.counters.timed_out_records = 1;
        outcome.scenario.slo.error_ratio = None;
        assert_eq!(exit(&outcome), ExitCode::CouldNotRun);
    }

    #[test]
    fn what_was_not_read_back_is_inconclusive() {
        let exit_of = |change: fn(&mut Verification)| {
            let mut outcome = sample::outcome();
            change(&mut outcome.verify);
            exit(&outcome)
        };
        assert_eq!(exit_of(|verify| verify.not_read = 1), ExitCode::Inconclusive);
        assert_eq!(exit_of(|verify| verify.unwatched = 1), ExitCode::Inconclusive);
        assert_eq!(exit_of(|verify| verify.verdict = Verdict::NotVerified), ExitCode::Inconclusive);
        // Records below 16 bytes are counted, as the report says.
        assert_eq!(exit_of(|verify| verify.verdict = Verdict::Partial), ExitCode::Ok);
    }

    #[test]
    fn a_step_holds_with_upper_bounds_and_is_void_where_they_do_not_decide() {
        let step_of = |stall_pct: f64, bound_ms: u64| {
            let (_, _, scenario, outcome) = judged(stall_pct, bound_ms);
            step(&scenario, &outcome.load, &outcome.generator)
        };
        assert_eq!(step_of(0.3, 5), Ok(None));
        assert!(step_of(0.0, 1).is_ok_and(|why| why.is_some()));
        assert!(step_of(0.3, 1).is_err_and(|why| why.contains("which decides nothing")));
        assert!(step_of(0.6, 5).is_err_and(|why| why.contains("the generator decided p99")));
    }

    #[test]
    fn what_was_found_before_the_run_is_told_and_what_was_during_it_voids() {
        let outcome = sample::outcome();
        let judged = |complaints: &[&str], notes: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let (complaints, notes) = (owned(complaints), owned(notes));
            let machine = Machine { complaints, notes, ..Machine::default() };
            validity(&outcome.load, &outcome.generator, &outcome.scenario.slo, &machine)
        };
        let noted = judged(&[], &["before"]);
        assert_eq!((noted.ok, noted.reasons), (true, vec!["before".to_owned()]));
        assert!(!judged(&["during"], &[]).ok);
    }
}
