//! Short real runs against the embedded engine: what is counted balances, everything is read back,
//! and planted defects are found. How fast it is does not matter here: the machine may be busy.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use loadgen::amount::{Bytes, Span};
use loadgen::exit_code::ExitCode;
use loadgen::outcome::{Outcome, Verdict};
use loadgen::run::{RunOptions, run};
use loadgen::scenario::{LimitsSetting, Rate, Scenario, SizeSetting};
use loadgen::stats::recorder::Kind;

/// Runs share CPUs and disk: one at a time.
static TURN: Mutex<()> = Mutex::new(());

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("loadgen-{name}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

fn carry_out(name: &str, plant: &[&str], change: impl FnOnce(&mut Scenario)) -> Outcome {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut scenario = Scenario::run_default();
    scenario.stream.shards = 16;
    scenario.target.memory = Bytes(512 << 20);
    scenario.run.warmup = Span(Duration::from_millis(200));
    scenario.run.measure = Span(Duration::from_secs(1));
    change(&mut scenario);
    scenario.check().unwrap();
    let data = folder(name);
    let options = RunOptions {
        plant: plant.iter().map(|plant| plant.parse().unwrap()).collect(),
        data: Some(data.clone()),
        ..RunOptions::default()
    };
    let ran = run(&scenario, &options).unwrap_or_else(|failure| panic!("{}", failure.sentence));
    assert!(!data.exists(), "the data folder goes with the run");
    let generator = &ran.environment.resources.generator;
    assert!(generator.cpu_pct.is_some_and(|pct| pct > 0.0), "{generator:?}");
    drop(turn);
    ran.outcome
}

fn check_sound(outcome: &Outcome) {
    let counters = &outcome.load.counters;
    assert_eq!(counters.check_balance(), Ok(()));
    assert!(counters.acked_records > 0);
    assert_eq!(counters.failed_records, 0, "{:?}", outcome.load.first_error);
    let verify = &outcome.verify;
    assert_eq!(verify.verdict, Verdict::Ok, "{:?}", verify.named);
    assert!(verify.checked >= counters.acked_records);
    let accepted = outcome.load.shards.stats.counters().iter().map(|shard| shard.accepted_records);
    assert_eq!(accepted.sum::<u64>(), verify.checked, "what was accepted, warm-up included");
    assert_eq!(outcome.load.latency(Kind::Response).count(), counters.acked_records);
    let consumers = u64::from(outcome.scenario.consumer.groups);
    let arrived = outcome.load.latency(Kind::EndToEnd).count();
    assert_eq!(arrived, consumers * counters.acked_records, "each of them once for each consumer");
    assert_eq!(outcome.load.consumers.is_some(), consumers > 0);
    assert!(outcome.load.in_flight_max > 0);
}

#[test]
fn an_open_loop_balances_and_is_read_back() {
    let outcome = carry_out("open", &[], |scenario| {
        scenario.producer.rate = Rate::PerSecond(10_000);
    });
    check_sound(&outcome);
    assert_eq!(outcome.load.counters.offered_records, 10_000);
    assert!(outcome.load.open_loop);
    for kind in [Kind::Service, Kind::Lag, Kind::BatchWait, Kind::BackPressure] {
        let counted = outcome.load.latency(kind).count();
        assert_eq!(counted, outcome.load.counters.acked_records, "{}", kind.name());
    }
}

#[test]
fn a_closed_loop_balances_and_is_read_back() {
    let outcome = carry_out("closed", &[], |scenario| {
        scenario.stream.limits = LimitsSetting::Off;
        scenario.producer.in_flight_max = Some(loadgen::amount::Count(4));
        scenario.producer.batch.max_records = 100;
    });
    check_sound(&outcome);
    assert!(!outcome.load.open_loop);
    assert!(outcome.load.in_flight_max <= 4);
    assert!(outcome.load.shards.limits.is_none());
    let [response, service] =
        [Kind::Response, Kind::Service].map(|kind| outcome.load.latency(kind).max_ns());
    assert_eq!(response, service, "a closed loop counts from sending");
}

fn check_consumers(outcome: &Outcome, count: u32) {
    check_sound(outcome);
    let consumers = outcome.load.consumers.as_ref().unwrap();
    assert_eq!((consumers.count, consumers.verdict), (count, Verdict::Ok), "{consumers:?}");
    assert_eq!(consumers.received_records, u64::from(count) * outcome.verify.checked);
    assert!(consumers.chunks > 0 && consumers.cpu_ns_per_record.is_some_and(|ns| ns > 0.0));
}

#[test]
fn a_consumer_gets_every_record_and_says_when() {
    let outcome = carry_out("consumer", &[], |scenario| {
        scenario.consumer.groups = 1;
        scenario.producer.rate = Rate::PerSecond(10_000);
    });
    check_consumers(&outcome, 1);
    let [end_to_end, response] =
        [Kind::EndToEnd, Kind::Response].map(|kind| outcome.load.latency(kind));
    assert!(end_to_end.calls() > 0 && end_to_end.calls() <= response.calls());
    assert!(end_to_end.max_ns().is_some_and(|ns| ns > 100_000), "a flush takes its time");
    assert!(end_to_end.windows().count() > 1, "it is recorded while it happens");
}

#[test]
fn two_consumers_of_short_records_get_them_twice() {
    let outcome = carry_out("consumers", &[], |scenario| {
        scenario.consumer.groups = 2;
        scenario.stream.shards = 256;
        scenario.producer.rate = Rate::PerSecond(20_000);
        scenario.producer.size = SizeSetting::Fixed { bytes: Bytes(32) };
    });
    check_consumers(&outcome, 2);
}

#[test]
fn a_consumer_of_a_closed_loop_falls_behind_and_catches_up() {
    let outcome = carry_out("consumer-closed", &[], |scenario| {
        scenario.consumer.groups = 1;
        scenario.stream.limits = LimitsSetting::Off;
    });
    let consumers = outcome.load.consumers.as_ref().unwrap();
    assert_eq!(consumers.verdict, Verdict::Ok, "{consumers:?}");
    assert_eq!(consumers.received_records, outcome.verify.checked);
    assert!(outcome.load.latency(Kind::EndToEnd).count() > 0);
}

#[test]
fn more_followers_than_the_engine_feeds_are_a_usage_error() {
    let mut scenario = Scenario::run_default();
    scenario.consumer.groups = 5;
    scenario.target.cores = Some(1);
    let options = RunOptions { data: Some(folder("followers")), ..RunOptions::default() };
    let failure = run(&scenario, &options).unwrap_err();
    assert_eq!(failure.code, ExitCode::Usage);
    assert!(failure.sentence.contains("20480 followers"), "{}", failure.sentence);
}

/// Twice what four shards may take, for two seconds.
fn twice_the_limit(scenario: &mut Scenario) {
    scenario.stream.shards = 4;
    scenario.producer.rate = Rate::PerSecond(8_000);
    scenario.run.warmup = Span(Duration::ZERO);
    scenario.run.measure = Span(Duration::from_secs(2));
}

fn limit_seconds(outcome: &Outcome) -> (u32, u32) {
    let shards = outcome.load.shards.limits.as_ref().unwrap().iter();
    shards.fold((0, 0), |(over, unjust), shard| {
        (over + shard.over_accept_s, unjust + shard.unjust_throttle_s)
    })
}

#[test]
fn the_right_bucket_conforms() {
    let outcome = carry_out("conforms", &[], twice_the_limit);
    check_sound(&outcome);
    assert!(outcome.load.counters.throttled_records > 0);
    assert_eq!(limit_seconds(&outcome), (0, 0));
    assert!(outcome.load.shards.all_writers_seen, "on a machine of any size");
    assert_ne!(outcome.exit, ExitCode::Incorrect);
}

#[test]
fn a_bucket_that_gives_too_much_is_found() {
    let outcome = carry_out("over", &["bucket=1200,1000"], twice_the_limit);
    let (over, unjust) = limit_seconds(&outcome);
    assert!(over > 0 && unjust == 0, "{over} {unjust}");
    assert_eq!(outcome.planted, ["bucket=1200,1000"]);
    assert_eq!(outcome.exit, ExitCode::Incorrect);
}

#[test]
fn a_bucket_that_gives_too_little_is_found() {
    let outcome = carry_out("under", &["bucket=800,1000"], twice_the_limit);
    let (over, unjust) = limit_seconds(&outcome);
    assert!(over == 0 && unjust > 0, "{over} {unjust}");
    assert_eq!(outcome.exit, ExitCode::Incorrect);
}

#[test]
fn a_slow_generator_voids_the_run() {
    let outcome = carry_out("slow", &["slow-generator=5ms"], |scenario| {
        scenario.producer.rate = Rate::PerSecond(10_000);
        scenario.producer.batch.max_records = 100;
    });
    assert_eq!(outcome.verify.verdict, Verdict::Ok, "{:?}", outcome.verify.named);
    assert!(!outcome.validity.ok);
    assert!(outcome.validity.reasons.iter().any(|reason| reason.contains("the generator decided")));
    assert_eq!(outcome.exit, ExitCode::Void);
}
