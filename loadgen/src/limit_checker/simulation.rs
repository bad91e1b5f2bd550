//! Servers that throttle rightly and wrongly, under random delays and lost answers: the checker
//! must accuse none of the right ones and each of the wrong ones.

use super::{Kept, LimitChecker, StreamAge};
use crate::random::Random;
use model::ShardThrottle;
use model::limits::{Rate, ShardRates};

const SECOND: u64 = 1_000_000_000;

/// What a server does with a record at the moment it decides.
enum Server {
    Buckets(ShardThrottle),
    /// So many records in each second of the wall clock.
    Window {
        second: u64,
        used: u32,
    },
}

impl Server {
    fn admit(&mut self, now_ns: u64, cost_bytes: u32) -> bool {
        match self {
            Self::Buckets(throttle) => throttle.admit(now_ns, cost_bytes),
            Self::Window { second, used } => {
                if now_ns / SECOND != *second {
                    (*second, *used) = (now_ns / SECOND, 0);
                }
                *used += 1;
                *used <= ShardRates::AWS.records.per_second
            }
        }
    }
}

/// A call of some records, as client and server see it.
struct Call {
    sent_ns: u64,
    decided_ns: u64,
    answered_ns: u64,
    costs: Vec<u32>,
    kept: Vec<Kept>,
    /// Empty until decided.
    admitted: Vec<bool>,
    is_lost: bool,
}

struct Load {
    seed: u64,
    seconds: u64,
    /// Of the limit in records.
    load_max: f64,
    delay_ns_max: u64,
    lost_share: f64,
}

/// Phases of a second or two at random loads, pauses among them, in calls of random sizes.
fn calls(load: &Load) -> Vec<Call> {
    let mut random = Random::new(load.seed);
    let per_second = f64::from(ShardRates::AWS.records.per_second);
    let record_bytes = [100, 1_000, 2_000][usize::try_from(random.below(3)).unwrap()];
    let records_max = 1 + random.below(40);
    let mut calls = Vec::new();
    let (mut now_ns, mut phase_end_ns, mut rate) = (0, 0, 0.0);
    while now_ns < load.seconds * SECOND {
        if now_ns >= phase_end_ns {
            phase_end_ns = now_ns + SECOND / 2 + random.below(3 * SECOND / 2);
            let is_pause = random.below(4) == 0;
            rate = if is_pause { 0.0 } else { per_second * load.load_max * random.unit() };
        }
        let count = 1 + random.below(records_max);
        if rate < per_second * 0.1 {
            now_ns = phase_end_ns;
            continue;
        }
        now_ns += (count as f64 * 2.0 * random.unit() / rate * 1e9) as u64;
        let decided_ns = now_ns + random.below(load.delay_ns_max + 1);
        calls.push(Call {
            sent_ns: now_ns,
            decided_ns,
            answered_ns: decided_ns + random.below(load.delay_ns_max + 1),
            costs: (0..count)
                .map(|_| 1 + record_bytes / 2 + draw(&mut random, record_bytes))
                .collect(),
            kept: Vec::new(),
            admitted: Vec::new(),
            is_lost: random.unit() < load.lost_share,
        });
    }
    calls
}

fn draw(random: &mut Random, bound: u32) -> u32 {
    u32::try_from(random.below(u64::from(bound))).unwrap()
}

/// Sends in order of sending, decisions in order of deciding, answers in order of answering, all
/// merged by time. Returns (excess, unjust) seconds.
fn run(server: &mut Server, load: &Load, age: StreamAge) -> (u32, u32) {
    let mut calls = calls(load);
    let mut events = Vec::new();
    for (place, call) in calls.iter().enumerate() {
        events.push((call.sent_ns, 0, place));
        events.push((call.decided_ns, 1, place));
        events.push((call.answered_ns, 2, place));
    }
    events.sort_unstable();
    let mut checker = LimitChecker::new(ShardRates::AWS, 1, age);
    for (now_ns, event, place) in events {
        let call = &mut calls[place];
        match event {
            0 => call.kept = call.costs.iter().map(|cost| checker.sent(now_ns, 0, *cost)).collect(),
            1 => call.admitted = call.costs.iter().map(|c| server.admit(now_ns, *c)).collect(),
            _ if call.is_lost => {}
            _ => answer(&mut checker, now_ns, call),
        }
    }
    let verdict = checker.verdicts()[0];
    (verdict.over_accept_s, verdict.unjust_throttle_s)
}

fn answer(checker: &mut LimitChecker, now_ns: u64, call: &Call) {
    let records = || call.costs.iter().zip(&call.admitted).zip(&call.kept);
    for ((cost, _), _) in records().filter(|((_, admitted), _)| !**admitted) {
        checker.refused(now_ns, 0, *cost);
    }
    for ((cost, _), kept) in records().filter(|((_, admitted), _)| !**admitted) {
        checker.judge(now_ns, 0, *cost, call.sent_ns, *kept);
    }
    for ((cost, _), _) in records().filter(|((_, admitted), _)| **admitted) {
        checker.accepted(now_ns, 0, *cost);
    }
}

fn buckets(rate: f64, burst: f64) -> Server {
    let scaled = |declared: Rate| Rate {
        per_second: (f64::from(declared.per_second) * rate) as u32,
        burst: (f64::from(declared.burst) * burst) as u32,
    };
    let ShardRates { records, bytes } = ShardRates::AWS;
    let rates = ShardRates { records: scaled(records), bytes: scaled(bytes) };
    Server::Buckets(ShardThrottle::new(rates, 0))
}

#[test]
fn none_of_400_right_servers_is_accused() {
    let mut call_count = 0;
    for seed in 0..400 {
        let load = Load {
            seed,
            seconds: 40,
            load_max: [0.9, 1.5, 3.0, 6.0][usize::try_from(seed % 4).unwrap()],
            delay_ns_max: [0, 1_000_000, 5_000_000, 50_000_000]
                [usize::try_from(seed / 4 % 4).unwrap()],
            lost_share: [0.0, 0.01, 0.05][usize::try_from(seed % 3).unwrap()],
        };
        call_count += calls(&load).len();
        let found = run(&mut buckets(1.0, 1.0), &load, StreamAge::Fresh);
        assert_eq!(found, (0, 0), "seed {seed}");
    }
    assert!(call_count > 1_000_000, "{call_count} calls");
}

#[test]
fn a_stream_that_was_used_before_is_not_accused_either() {
    for seed in 1_000..1_100 {
        let load =
            Load { seed, seconds: 20, load_max: 3.0, delay_ns_max: 5_000_000, lost_share: 0.0 };
        let mut server = buckets(1.0, 1.0);
        while server.admit(0, 1_000) {}
        let found = run(&mut server, &load, StreamAge::Old);
        assert_eq!(found, (0, 0), "seed {seed}");
    }
}

/// Each of 40 wrong servers must be found out, in the direction that it errs to.
fn check_found(name: &str, server: impl Fn() -> Server, find: impl Fn((u32, u32)) -> bool) {
    for seed in 0..40 {
        let delay_ns_max =
            [0, 1_000_000, 5_000_000, 50_000_000][usize::try_from(seed % 4).unwrap()];
        let load = Load { seed, seconds: 60, load_max: 6.0, delay_ns_max, lost_share: 0.0 };
        let found = run(&mut server(), &load, StreamAge::Fresh);
        assert!(find(found), "{name}, seed {seed}: {found:?}");
    }
}

#[test]
fn a_rate_too_high_is_found() {
    check_found("rate * 1.05", || buckets(1.05, 1.0), |(excess, unjust)| excess > 0 && unjust == 0);
}

#[test]
fn a_rate_too_low_is_found() {
    check_found("rate * 0.95", || buckets(0.95, 1.0), |(excess, unjust)| excess == 0 && unjust > 0);
}

#[test]
fn a_burst_too_large_is_found() {
    check_found("burst * 1.1", || buckets(1.0, 1.1), |(excess, unjust)| excess > 0 && unjust == 0);
}

#[test]
fn a_burst_too_small_is_found() {
    check_found("burst * 0.9", || buckets(1.0, 0.9), |(excess, unjust)| excess == 0 && unjust > 0);
}

#[test]
fn a_fixed_window_is_found() {
    check_found(
        "window",
        || Server::Window { second: 0, used: 0 },
        |(excess, unjust)| excess > 0 || unjust > 0,
    );
}
