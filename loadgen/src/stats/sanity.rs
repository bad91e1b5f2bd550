//! The sanity rows of METHOD.md in virtual time: a harness that cannot tell these stalls cannot tell
//! any. 1,000 requests/s for 100 s; the server stands still from 50 s to 55 s.

use super::distribution::Distribution;
use super::recorder::{Kind, Measured, Recorder};
use crate::schedule::{Lane, Schedule};
use std::collections::VecDeque;
use std::num::NonZeroU64;

const SECOND: u64 = 1_000_000_000;
const MEASURED: Measured = Measured { from_ns: 0, until_ns: 100 * SECOND };
const SERVICE_NS: u64 = 500_000;
const STALL: std::ops::Range<u64> = 50 * SECOND..55 * SECOND;

/// A server that stands still during the stall.
#[derive(Clone, Copy)]
enum Server {
    /// One request at a time, in order.
    Serial { free_ns: u64 },
    /// All at once.
    Parallel,
}

impl Server {
    /// When a request that arrives at `at_ns` is answered.
    fn serve(&mut self, at_ns: u64) -> u64 {
        let start = match self {
            Self::Serial { free_ns } => at_ns.max(*free_ns),
            Self::Parallel => at_ns,
        };
        let start = if STALL.contains(&start) { STALL.end } else { start };
        let done = start + SERVICE_NS;
        if let Self::Serial { free_ns } = self {
            *free_ns = done;
        }
        done
    }
}

/// An open loop with a cap on calls in flight; response and the four parts that add up to it.
fn open_loop(mut server: Server, cap: usize) -> [Distribution; 8] {
    let schedule = Schedule::fixed(NonZeroU64::new(1_000).unwrap());
    let mut recorder = Recorder::new(MEASURED);
    let mut in_flight: VecDeque<u64> = VecDeque::new();
    let ticks = schedule.ticks_before(MEASURED.until_ns);
    for tick_ns in schedule.walk(Lane::ONLY, 0).take(usize::try_from(ticks).unwrap()) {
        let freed_ns = if in_flight.len() < cap { 0 } else { in_flight.pop_front().unwrap() };
        let sendable_ns = tick_ns.max(freed_ns);
        let done_ns = server.serve(sendable_ns);
        in_flight.push_back(done_ns);
        let slice = MEASURED.slice(tick_ns);
        recorder.record_call(Kind::Response, done_ns - tick_ns, 1, slice);
        recorder.record_call(Kind::BackPressure, sendable_ns - tick_ns, 1, slice);
        recorder.record_call(Kind::Service, done_ns - sendable_ns, 1, slice);
        recorder.tend(done_ns);
    }
    recorder.finish()
}

/// One connection that sends the next request when the last is answered.
fn closed_loop(mut server: Server) -> Distribution {
    let mut recorder = Recorder::new(MEASURED);
    let mut now_ns = 0;
    while now_ns < MEASURED.until_ns {
        let done_ns = server.serve(now_ns);
        recorder.record_call(Kind::Response, done_ns - now_ns, 1, MEASURED.slice(now_ns));
        now_ns = done_ns;
    }
    let [response, ..] = recorder.finish();
    response
}

fn check(response: &Distribution, expected_ms: &[(f64, f64)]) {
    for (q, expected) in expected_ms {
        let ms = response.quantile(*q).ns().unwrap() as f64 / 1e6;
        assert!((ms / expected - 1.0).abs() < 0.02, "{q}: {ms} ms, not {expected}");
    }
}

#[test]
fn a_serial_server_shows_the_whole_backlog_whatever_the_cap() {
    for cap in [1, 64, usize::MAX] {
        let [response, service, ..] = open_loop(Server::Serial { free_ns: 0 }, cap);
        check(&response, &[(0.95, 2_500.0), (0.99, 4_500.0), (0.999, 4_950.0)]);
        assert_eq!(response.episodes_beyond(response.value_at(0.99)), 1, "one stall");
        if cap == 1 {
            // What a harness sees that counts from sending.
            check(&service, &[(0.5, 0.5), (0.99, 0.5), (0.999, 0.5)]);
        }
    }
}

#[test]
fn a_parallel_server_shows_the_stall_itself() {
    let [response, ..] = open_loop(Server::Parallel, usize::MAX);
    check(&response, &[(0.9, 0.5), (0.99, 4_000.0), (0.999, 4_900.0)]);
}

#[test]
fn a_closed_loop_betrays_the_stall_only_by_its_maximum() {
    let response = closed_loop(Server::Serial { free_ns: 0 });
    check(&response, &[(0.5, 0.5), (0.9, 0.5), (0.99, 0.5), (0.999, 0.5), (0.9999, 0.5)]);
    assert_eq!(response.max_ns(), Some(5 * SECOND + SERVICE_NS));
}

#[test]
fn the_parts_add_up() {
    let found = open_loop(Server::Serial { free_ns: 0 }, 1);
    let mean = |kind: Kind| found[kind as usize].mean_ns().unwrap();
    let sum = mean(Kind::BackPressure) + mean(Kind::Service);
    assert!((mean(Kind::Response) / sum - 1.0).abs() < 1e-3);
}
