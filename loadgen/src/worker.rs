//! One generator core: makes calls when the plan says, lets them go, and takes their answers.
//!
//! ```text
//!   plan ── fill a call ahead of its time ── wait until due ── cap on calls in flight ── send
//!                                                                      ▲                   │
//!                                            calls come back ──────────┴──── account ◀── answer
//! ```
//! Nothing is sent before it is due. A call is filled before its time, so that its making is not
//! lateness. When the first tick of the next call is later than the bound, issuing stops: what the
//! plan still holds counts as unsent, with a lower bound in the response.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gyre::embed::{Client, Stream};
use runtime::clock::{self, Instant};
use runtime::{signal, task};

use crate::batch::{BatchMaker, Intended};
use crate::schedule::{BatchRule, Lane, PlannedBatch, Schedule};
use crate::stats::recorder::Measured;

pub use self::account::{Account, AccountPlan};
use self::call::{Call, CallTimes};
use self::flight::{Flight, Waited, wait_until};
pub use self::heartbeat::Stalls;
pub use self::progress::{Progress, Seen};
use self::work_time::WorkTime;

mod account;
mod call;
mod flight;
mod heartbeat;
mod progress;
mod work_time;

/// How late the next tick may be before issuing stops; above any stall that a plan contains.
const LATENESS_MAX: Duration = Duration::from_secs(1);

/// When calls are made.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each record has its tick.
    Open {
        /// The ticks of all workers.
        schedule: Schedule,
        /// What closes a call.
        rule: BatchRule,
    },
    /// A call starts when another ends.
    Closed {
        /// Records of each call.
        records: u32,
    },
}

/// What one worker does.
pub struct WorkerPlan {
    /// Its share of the ticks, and its name in every record.
    pub lane: Lane,
    /// When calls are made.
    pub pace: Pace,
    /// Calls in flight at most.
    pub in_flight_max: usize,
    /// The time that counts; the plan ends with it.
    pub measured: Measured,
    /// A defect on purpose: how long it stops before each call.
    pub slow: Option<Duration>,
    /// What others may see of it while it works.
    pub progress: Arc<Progress>,
}

/// What a worker leaves.
pub struct Worked {
    /// All that was counted and measured.
    pub account: Account,
    /// The first sequence that was not used.
    pub next_sequence: u64,
    /// Most calls that were in flight at once.
    pub in_flight_max: usize,
    /// Gaps in which the generator's core did not run.
    pub stalls: Stalls,
    /// Time in useful work within the measured time.
    pub work_time: Duration,
    /// How it ended.
    pub ended: Ended,
    /// Call buffers that had to be allocated on the way.
    pub arenas_replaced: u64,
}

impl Worked {
    /// Useful work over the measured time as far as it went, per cent.
    #[must_use]
    pub fn load_pct(&self) -> f64 {
        let watched = self.stalls.watched.as_secs_f64();
        if watched > 0.0 { 100.0 * self.work_time.as_secs_f64() / watched } else { 0.0 }
    }
}

/// How the issuing of calls ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The plan was over.
    Planned,
    /// The engine let calls go too late.
    Overloaded,
    /// Somebody asked to stop, at this moment of the plan.
    Interrupted {
        /// When, ns since the start.
        at_ns: u64,
    },
}

struct Worker {
    plan: WorkerPlan,
    /// The moment zero of the plan.
    start: Instant,
    maker: BatchMaker,
    client: Client,
    stream: Stream,
    account: RefCell<Account>,
    free: RefCell<Vec<Call>>,
    flight: Flight,
    work_time: Rc<WorkTime>,
}

/// Makes a worker with all the memory that it needs. On a generator core.
pub fn prepare(
    plan: WorkerPlan,
    maker: BatchMaker,
    client: Client,
    stream: Stream,
    account: Account,
) -> Prepared {
    // The usual number of calls is there before the start; an overloaded engine makes it grow.
    let ready = plan.in_flight_max.min(64);
    let free = (0..ready).map(|_| Call::new(&maker)).collect();
    let work_time = Rc::new(WorkTime::new(plan.measured));
    let flight = Flight::new(plan.in_flight_max);
    Prepared(Worker {
        plan,
        start: Instant::from_nanos(0),
        maker,
        client,
        stream,
        account: RefCell::new(account),
        free: RefCell::new(free),
        flight,
        work_time,
    })
}

/// A worker that only waits for its moment zero.
pub struct Prepared(Worker);

impl Prepared {
    /// Works the plan off, from `start` on.
    pub async fn work(self, start: Instant) -> Worked {
        let Prepared(mut worker) = self;
        worker.start = start;
        let worker = Rc::new(worker);
        let heartbeat = heartbeat::start(start, worker.plan.measured);
        clock::sleep_until(start).await;
        let pace = worker.plan.pace;
        let issuing = async {
            match pace {
                Pace::Open { schedule, rule } => open_loop(&worker, schedule, rule).await,
                Pace::Closed { records } => closed_loop(&worker, records).await,
            }
        };
        let (next_sequence, ended) = worker.work_time.watch(start, issuing).await;
        if !worker.flight.all_came_back().await {
            worker.account.borrow_mut().timed_out();
        }
        let stalls = heartbeat.stop();
        let account = worker.account.borrow_mut().take();
        let free = worker.free.borrow();
        let arenas_replaced = free.iter().map(|call| call.batch.arenas_replaced()).sum();
        Worked {
            account,
            next_sequence,
            in_flight_max: worker.flight.seen_max(),
            stalls,
            work_time: worker.work_time.total(),
            ended,
            arenas_replaced,
        }
    }
}

/// Issues what the schedule plans. Returns the first sequence not used, and how it ended.
async fn open_loop(worker: &Rc<Worker>, schedule: Schedule, rule: BatchRule) -> (u64, Ended) {
    let lane = worker.plan.lane;
    let span_ns = worker.plan.measured.until_ns;
    let count = schedule.records_before(lane, span_ns);
    let lateness_ns = nanos(LATENESS_MAX);
    let mut next = 0;
    while let Some(planned) = schedule.batch(lane, next, count, rule) {
        let now_ns = worker.now_ns();
        if signal::is_interrupted() {
            return (next, Ended::Interrupted { at_ns: now_ns });
        }
        let overloaded = || {
            worker.account.borrow_mut().unsent(schedule, lane, next..count, lateness_ns);
            (next, Ended::Overloaded)
        };
        let late_ns = planned.first_ns + lateness_ns;
        if now_ns > late_ns {
            return overloaded();
        }
        // Since then only answers have come: what it is now says whether the next call finds a place.
        let was_full = worker.flight.is_full();
        let mut call = worker.free_call();
        worker.fill(&mut call, &planned, Intended::Ticks(schedule));
        let due = wait_until(worker.at(planned.due_ns)).await;
        // A call may be due later than it would be late: with a long linger.
        let late = worker.at(late_ns.max(planned.due_ns + lateness_ns));
        let place = if due == Waited::There { worker.flight.place_free(late).await } else { due };
        match place {
            Waited::There => {}
            Waited::Late => return overloaded(),
            Waited::Interrupted => {
                return (next, Ended::Interrupted { at_ns: worker.now_ns() });
            }
        }
        // The place was free when the generator's core took the answer that freed it; from there to
        // sending is lag. What the core took to get there is in the service of the call before.
        let freed_ns = if was_full { worker.flight.freed_ns() } else { 0 };
        let sendable_ns = planned.due_ns.max(freed_ns);
        let times = CallTimes { due_ns: planned.due_ns, sendable_ns };
        worker.send(call, times).await;
        next = planned.first_sequence + u64::from(planned.count);
    }
    (next, Ended::Planned)
}

async fn closed_loop(worker: &Rc<Worker>, records: u32) -> (u64, Ended) {
    let span_ns = worker.plan.measured.until_ns;
    let mut next = 0;
    loop {
        let place = worker.flight.place_free(worker.at(span_ns)).await;
        let now_ns = worker.now_ns();
        if now_ns >= span_ns {
            return (next, Ended::Planned);
        }
        if place == Waited::Interrupted || signal::is_interrupted() {
            return (next, Ended::Interrupted { at_ns: now_ns });
        }
        let mut call = worker.free_call();
        let planned =
            PlannedBatch { first_sequence: next, count: records, first_ns: now_ns, due_ns: now_ns };
        worker.fill(&mut call, &planned, Intended::At(now_ns));
        let sent_ns = worker.now_ns();
        let times = CallTimes { due_ns: sent_ns, sendable_ns: sent_ns };
        worker.send(call, times).await;
        next += u64::from(records);
        if task::should_yield() {
            task::yield_now().await;
        }
    }
}

impl Worker {
    fn now_ns(&self) -> u64 {
        nanos(clock::now() - self.start)
    }

    fn at(&self, ns: u64) -> Instant {
        self.start + Duration::from_nanos(ns)
    }

    fn free_call(&self) -> Call {
        let call = self.free.borrow_mut().pop();
        call.unwrap_or_else(|| Call::new(&self.maker))
    }

    fn fill(&self, call: &mut Call, planned: &PlannedBatch, intended: Intended) {
        call.fill(&self.maker, planned.first_sequence, planned.count, intended);
    }

    async fn send(self: &Rc<Self>, mut call: Call, times: CallTimes) {
        if let Some(slow) = self.plan.slow {
            clock::sleep(slow).await;
        }
        // Where the due time fell between two readings of the clock, it was sent when it was due.
        let sent_ns = self.now_ns().max(times.sendable_ns);
        self.account.borrow_mut().sent(&mut call, times, sent_ns);
        self.flight.left();
        self.plan.progress.sent(call.ticks.len(), self.flight.count());
        let worker = Rc::clone(self);
        let answer = async move {
            let result = worker.client.put_records(&worker.stream, call.request()).await;
            let done_ns = worker.now_ns();
            worker.flight.came_back(done_ns);
            worker.plan.progress.answered(&result, worker.flight.count());
            worker.account.borrow_mut().answered(&mut call, result, done_ns);
            call.release();
            worker.free.borrow_mut().push(call);
        };
        let work_time = Rc::clone(&self.work_time);
        let start = self.start;
        drop(task::spawn(async move { work_time.watch(start, answer).await }));
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("no run lasts 584 years")
}
