//! Everything that a worker counts and measures, call by call.
//!
//! Budget: 35 ns a record for histograms, shard counters, limit check and the digest of what was
//! acknowledged; all memory is there before the start.

use std::ops::Range;

use gyre::embed::{PutOutcome, PutResult};
use model::limits::ShardRates;
use model::{ApiError, RecordError};

use super::call::{Call, CallTimes};
use crate::limit_checker::{LimitChecker, StreamAge};
use crate::schedule::{Lane, Schedule};
use crate::stats::SLICE_NS;
use crate::stats::distribution::Distribution;
use crate::stats::recorder::{Kind, Measured, Recorder};
use crate::stats::series::Series;
use crate::stats::shards::{AnswerMoment, ShardStats};
use crate::stats::throughput::Counters;
use crate::verify::Ledger;

/// Ticks so near each other that were never sent share a lower bound, ns.
const UNSENT_STEP_NS: usize = 1_000_000;
const _: () = assert!(SLICE_NS.is_multiple_of(UNSENT_STEP_NS as u64), "a step lies in one slice");

/// What a worker's account is to hold.
#[derive(Clone, Copy, Debug)]
pub struct AccountPlan {
    /// The time that counts.
    pub measured: Measured,
    /// Shards of the stream.
    pub shards: usize,
    /// The buckets that the checker expects; `None` without limits.
    pub rates: Option<ShardRates>,
    /// Ticks are planned: there is a lag and a back-pressure.
    pub open_loop: bool,
}

/// See the module.
pub struct Account {
    plan: AccountPlan,
    recorder: Option<Recorder>,
    /// The counters of the measured time.
    pub counters: Counters,
    /// The same by time.
    pub series: Series,
    /// The same by shard.
    pub shards: ShardStats,
    /// What the stream's limits allow, against what was accepted.
    pub checker: Option<LimitChecker>,
    /// What was acknowledged, to be compared with what is read.
    pub ledger: Ledger,
    /// Calls sent and not answered: records in the measured time.
    outstanding: u64,
    calls: u32,
    is_over: bool,
    /// Responses that were never had: a lower bound, ns, and how many have it.
    unsent: Vec<(u64, u64)>,
    /// The first error of a record or of a whole call, as text.
    pub first_error: Option<String>,
}

impl Account {
    /// An account with all its memory.
    #[must_use]
    pub fn new(plan: AccountPlan, ledger: Ledger) -> Account {
        let checker =
            plan.rates.map(|rates| LimitChecker::new(rates, plan.shards, StreamAge::Fresh));
        Account {
            plan,
            recorder: Some(Recorder::new(plan.measured)),
            counters: Counters::default(),
            series: Series::new(plan.measured),
            shards: ShardStats::new(plan.shards),
            checker,
            ledger,
            outstanding: 0,
            calls: 0,
            is_over: false,
            unsent: Vec::new(),
            first_error: None,
        }
    }

    /// The account itself, with one that counts nothing more in its place: answers may still come.
    pub(super) fn take(&mut self) -> Account {
        let plan = AccountPlan { shards: 0, rates: None, ..self.plan };
        let over = Account {
            plan,
            recorder: None,
            counters: Counters::default(),
            series: self.series.clone(),
            shards: ShardStats::new(0),
            checker: None,
            ledger: Ledger::new(0, 0, 0),
            outstanding: 0,
            calls: 0,
            is_over: true,
            unsent: Vec::new(),
            first_error: None,
        };
        std::mem::replace(self, over)
    }

    /// What was acknowledged, once.
    #[must_use]
    pub fn take_ledger(&mut self) -> Ledger {
        std::mem::replace(&mut self.ledger, Ledger::new(0, 0, 0))
    }

    /// The eight kinds in the order of [`Kind::ALL`], once everything has been counted.
    ///
    /// # Panics
    /// When it is called twice.
    #[must_use]
    pub fn distributions(&mut self) -> [Distribution; Kind::ALL.len()] {
        let recorder = self.recorder.take().expect("the distributions are taken once");
        let mut distributions = recorder.finish();
        let response = &mut distributions[Kind::Response as usize];
        self.unsent.drain(..).for_each(|(at_least_ns, count)| response.censor(at_least_ns, count));
        distributions
    }

    /// A call leaves.
    pub(super) fn sent(&mut self, call: &mut Call, times: CallTimes, sent_ns: u64) {
        // From 1. In a day of short calls it may begin again: it tells neighbours apart.
        self.calls = self.calls.wrapping_add(1).max(1);
        call.number = self.calls;
        call.times = times;
        call.sent_ns = sent_ns;
        if !self.plan.open_loop {
            // No record had its time: it counts from when it was sent.
            call.ticks.fill(sent_ns);
        }
        self.prefetch(call, None);
        let mut ends = std::mem::take(&mut call.ends);
        self.ledger.sent(call.for_ledger(), &mut ends);
        call.ends = ends;
        let costs = call.batch.records().iter().map(|record| record.cost_bytes());
        call.kept.clear();
        for (&shard, cost) in call.batch.shards().iter().zip(costs) {
            self.shards.offer(shard);
            if let Some(checker) = &mut self.checker {
                call.kept.push(checker.sent(sent_ns, shard, cost));
            }
        }
        let counted = self.counted(&call.ticks);
        self.counters.offered_records += counted;
        self.counters.sent_records += counted;
        self.outstanding += counted;
        for &tick in call.ticks.iter().filter(|&&tick| self.plan.measured.contains(tick)) {
            self.series.at(tick).offered += 1;
        }
    }

    fn counted(&self, ticks: &[u64]) -> u64 {
        let measured = self.plan.measured;
        match (ticks.first(), ticks.last()) {
            // Ticks rise: where both ends are inside, all are.
            (Some(&first), Some(&last)) if measured.contains(first) && measured.contains(last) => {
                ticks.len() as u64
            }
            _ => ticks.iter().filter(|&&tick| measured.contains(tick)).count() as u64,
        }
    }

    /// A call's answer is there.
    pub(super) fn answered(
        &mut self,
        call: &mut Call,
        result: Result<PutResult, ApiError>,
        done_ns: u64,
    ) {
        if self.is_over {
            return;
        }
        self.outstanding -= self.counted(&call.ticks);
        match result {
            Ok(result) => {
                self.prefetch(call, Some(done_ns - call.ticks[0]));
                self.check_limits(call, &result.records, done_ns);
                self.ledger.answered(call.for_ledger(), &call.ends, &result.records);
                self.count(call, &result.records, done_ns);
            }
            Err(error) => {
                self.counters.failed_records += self.counted(&call.ticks);
                // Whether its records were written is not known: the ledger leaves them so.
                self.first_error.get_or_insert_with(|| error.to_string());
            }
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.tend(done_ns);
        }
    }

    /// Says that all that is kept of the call's shards will be asked for.
    fn prefetch(&self, call: &Call, response_ns: Option<u64>) {
        for &shard in call.batch.shards() {
            self.ledger.prefetch(shard);
            self.shards.prefetch(shard, response_ns);
            if let Some(checker) = &self.checker {
                checker.prefetch(shard);
            }
        }
    }

    fn check_limits(&mut self, call: &Call, outcomes: &[PutOutcome], done_ns: u64) {
        let Some(checker) = &mut self.checker else { return };
        let costs = call.batch.records().iter().map(|record| record.cost_bytes());
        let records = || call.batch.shards().iter().copied().zip(costs.clone()).zip(outcomes);
        for ((shard, cost), outcome) in records() {
            if is_throttled(outcome) {
                checker.refused(done_ns, shard, cost);
            }
        }
        for (((shard, cost), outcome), &kept) in records().zip(&call.kept) {
            if is_throttled(outcome) {
                checker.judge(done_ns, shard, cost, call.sent_ns, kept);
            }
        }
        for ((shard, cost), outcome) in records() {
            if outcome.is_ok() {
                checker.accepted(done_ns, shard, cost);
            }
        }
    }

    fn count(&mut self, call: &Call, outcomes: &[PutOutcome], done_ns: u64) {
        assert_eq!(outcomes.len(), call.ticks.len(), "an answer has an outcome for every record");
        let measured = self.plan.measured;
        let moment = AnswerMoment {
            call: call.number,
            second: u32::try_from(done_ns / 1_000_000_000).expect("no run lasts 136 years"),
        };
        let call_response_ns = done_ns - call.ticks[0];
        let mut acked = 0;
        for (ordinal, outcome) in outcomes.iter().enumerate() {
            let tick = call.ticks[ordinal];
            let is_measured = measured.contains(tick);
            let shard = call.batch.shards()[ordinal];
            let record = call.batch.records()[ordinal];
            match outcome {
                Ok(_) => {
                    self.shards.accept(shard, record.cost_bytes(), call_response_ns, moment);
                    if is_measured {
                        acked += 1;
                        self.counters.acked_bytes += u64::from(record.data.bytes);
                        if self.plan.open_loop {
                            self.record_response(tick, call, done_ns);
                        }
                    }
                }
                Err(RecordError::ThroughputExceeded { .. }) => {
                    self.shards.throttle(shard);
                    if is_measured {
                        self.counters.throttled_records += 1;
                        self.counters.throttled_final_records += 1;
                        self.series.at(tick).throttled += 1;
                        self.record(Kind::Throttle, done_ns - tick);
                    }
                }
                Err(error @ (RecordError::InternalFailure | RecordError::DiskFull { .. })) => {
                    self.counters.failed_records += u64::from(is_measured);
                    self.first_error.get_or_insert_with(|| error.to_string());
                }
            }
        }
        if !self.plan.open_loop && acked > 0 {
            // All records of a closed loop's call have the same time.
            self.series.at(call.ticks[0]).acked += acked;
            if let Some(recorder) = &mut self.recorder {
                recorder.kind(Kind::Response).add_many(call_response_ns, acked);
            }
        }
        self.counters.acked_records += acked;
        self.close_call(call, acked, done_ns);
    }

    /// A record of an open loop was acknowledged.
    #[inline]
    fn record_response(&mut self, tick: u64, call: &Call, done_ns: u64) {
        self.series.at(tick).acked += 1;
        let Some(recorder) = &mut self.recorder else { return };
        recorder.kind(Kind::Response).add(done_ns - tick);
        recorder.kind(Kind::BatchWait).add(call.times.due_ns - tick);
    }

    fn record(&mut self, kind: Kind, ns: u64) {
        if let Some(recorder) = &mut self.recorder {
            recorder.kind(kind).add(ns);
        }
    }

    /// What is the same for all records of a call.
    fn close_call(&mut self, call: &Call, acked: u64, done_ns: u64) {
        let measured = self.plan.measured;
        // A call on an edge of the measured time counts with its records that lie in it.
        let counted = call.ticks.iter().copied().find(|&tick| measured.contains(tick));
        let Some(first) = counted else { return };
        let is_refused = acked < self.counted(&call.ticks);
        self.counters.calls += 1;
        let response_ns = done_ns - first;
        let slice = self.series.at(first);
        slice.calls += 1;
        slice.response_ns_sum += response_ns;
        slice.response_ns_max = slice.response_ns_max.max(response_ns);
        let at = measured.slice(first);
        let open_loop = self.plan.open_loop;
        let Some(recorder) = &mut self.recorder else { return };
        let CallTimes { due_ns, sendable_ns, .. } = call.times;
        if acked > 0 {
            recorder.kind(Kind::Response).close_call(response_ns, at);
            recorder.record_call(Kind::Service, done_ns - call.sent_ns, acked, at);
            if open_loop {
                recorder.kind(Kind::BatchWait).close_call(due_ns - first, at);
                recorder.record_call(Kind::BackPressure, sendable_ns - due_ns, acked, at);
                recorder.record_call(Kind::Lag, call.sent_ns - sendable_ns, acked, at);
            }
        }
        if is_refused {
            recorder.kind(Kind::Throttle).close_call(response_ns, at);
        }
        recorder.record_call(Kind::Call, done_ns - call.sent_ns, 1, at);
    }

    /// The ticks of `sequences` are given up: each is known to have taken until the end of the plan,
    /// or the bound on lateness.
    pub(super) fn unsent(
        &mut self,
        schedule: Schedule,
        lane: Lane,
        sequences: Range<u64>,
        lateness_ns: u64,
    ) {
        let Measured { from_ns, until_ns } = self.plan.measured;
        let before =
            |at_ns| schedule.records_before(lane, at_ns).clamp(sequences.start, sequences.end);
        // By the millisecond, which is exact enough for a bound and divides a slice.
        for begin_ns in (from_ns..until_ns).step_by(UNSENT_STEP_NS) {
            let end_ns = (begin_ns + UNSENT_STEP_NS as u64).min(until_ns);
            let count = before(end_ns) - before(begin_ns);
            if count == 0 {
                continue;
            }
            self.counters.offered_records += count;
            self.counters.unsent_records += count;
            self.series.at(begin_ns).offered += count;
            self.unsent.push(((until_ns - end_ns).max(lateness_ns), count));
        }
    }

    /// What is still out has timed out; answers that come later are not counted.
    pub(super) fn timed_out(&mut self) {
        self.counters.timed_out_records += self.outstanding;
        self.outstanding = 0;
        self.is_over = true;
    }
}

fn is_throttled(outcome: &PutOutcome) -> bool {
    matches!(outcome, Err(RecordError::ThroughputExceeded { .. }))
}
