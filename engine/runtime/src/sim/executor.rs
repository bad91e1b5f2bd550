//! The simulation's scheduler: one thread, a random ready task at a time, virtual time.
//!
//! ```text
//!   fire what is due -> pick a random ready task -> poll it (a step; costs some virtual time)
//!                       none ready: jump to the next event
//!                       no event either: deadlock
//! ```
//!
//! When a run stops, whether done or crashed, the rest of the world stands still first and the
//! tasks are dropped afterwards: what their destructors submit, spawn or wake has no effect.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::disk::{Disk, State};
use super::events::{Due, Events, TimerState};
use super::faults::nanoseconds;
use super::network::Network;
use super::operation::Submitted;
use super::random::{Generator, Stream};
use super::socket::Connection;
use super::{CrashPoint, Options, Outcome};
use crate::driver::{self, DriverGuard};

/// A background task is chosen over a ready foreground task once in so many steps.
const BACKGROUND_ONE_IN: u64 = 8;

type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Run>>> = const { RefCell::new(None) };
}

/// Tells wakers of this run from those of an earlier one; never enters a decision.
static RUNS: AtomicU64 = AtomicU64::new(0);

struct Run {
    number: u64,
    disk: Disk,
    schedule: RefCell<Generator>,
    program: RefCell<Generator>,
    tasks: RefCell<Vec<Option<Task>>>,
    ready: RefCell<Ready>,
    events: RefCell<Events>,
    network: RefCell<Network>,
    steps: Cell<u64>,
    operations: Cell<u64>,
    crash: Cell<CrashLimits>,
    stopped: Cell<bool>,
}

/// Where the run stops dead, in the run's own counts.
#[derive(Clone, Copy)]
struct CrashLimits {
    step: u64,
    at_ns: u64,
    operation: u64,
}

impl CrashLimits {
    const NEVER: Self = Self { step: u64::MAX, at_ns: u64::MAX, operation: u64::MAX };
}

struct Task {
    future: TaskFuture,
    waker: Waker,
}

/// The tasks that have something to do, in no order. Bounded by the number of tasks: each is in it
/// at most once.
#[derive(Default)]
struct Ready {
    foreground: Vec<Arc<TaskWaker>>,
    background: Vec<Arc<TaskWaker>>,
}

struct TaskWaker {
    run: u64,
    task: usize,
    background: bool,
    /// Already among the ready.
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = CURRENT.try_with(|current| {
            if let Some(run) = current.borrow().as_ref()
                && run.number == self.run
            {
                run.make_ready(self);
            }
        });
        match woken {
            // A waker that outlives its thread has nobody left to wake.
            Ok(()) | Err(_) => {}
        }
    }
}

/// See [`super::run`].
pub(super) fn run<T: 'static>(
    seed: u64,
    disk: &Disk,
    options: &Options,
    main: impl Future<Output = T> + 'static,
) -> Outcome<T> {
    let driver = driver::enter_sim();
    disk.start_process();
    let run = Rc::new(Run {
        number: RUNS.fetch_add(1, Ordering::Relaxed),
        disk: disk.clone(),
        schedule: RefCell::new(Generator::new(seed, Stream::Schedule)),
        program: RefCell::new(Generator::new(seed, Stream::Program)),
        tasks: RefCell::default(),
        ready: RefCell::default(),
        events: RefCell::default(),
        network: RefCell::new(Network::new(seed)),
        steps: Cell::new(0),
        operations: Cell::new(0),
        crash: Cell::new(CrashLimits::NEVER),
        stopped: Cell::new(false),
    });
    CURRENT.set(Some(Rc::clone(&run)));
    let process = Process { run, seed, _driver: driver };
    process.run.disk.trace().note(seed);
    if let Some(point) = options.crash {
        process.run.crash_at(point);
    }
    let output = Rc::new(RefCell::new(None));
    let place = Rc::clone(&output);
    process.run.spawn(Box::pin(async move { *place.borrow_mut() = Some(main.await) }), false);
    let end = process.run.until_end(options, || output.borrow().is_some());
    process.run.stop();
    match end {
        End::Done => {
            Outcome::Done(output.take().expect("a run is done when the main future has returned"))
        }
        End::Crashed => Outcome::Crashed,
        End::Deadlock => Outcome::Deadlock { tasks: process.run.live_tasks() },
        End::Livelock => Outcome::Livelock { steps: process.run.steps.get() },
    }
}

/// The simulated process. Dropping it, also by a panic's unwinding, ends it.
struct Process {
    run: Rc<Run>,
    seed: u64,
    _driver: DriverGuard,
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let steps = self.run.steps.get();
            eprintln!("the simulation with seed {} panicked at step {steps}", self.seed);
        }
        self.run.stop();
        self.run.drop_tasks();
        CURRENT.set(None);
    }
}

enum End {
    Done,
    Crashed,
    Deadlock,
    Livelock,
}

impl Run {
    fn until_end(&self, options: &Options, is_done: impl Fn() -> bool) -> End {
        let step_ns_max = nanoseconds(options.step_max);
        loop {
            if self.has_crashed() {
                return End::Crashed;
            }
            if self.steps.get() >= options.steps_max {
                return End::Livelock;
            }
            self.fire_due();
            let Some(task) = self.choose() else {
                if !self.jump() {
                    return End::Deadlock;
                }
                continue;
            };
            self.poll(&task);
            let spent_ns = self.schedule.borrow_mut().between(0, step_ns_max);
            self.advance_to(self.disk.now_ns().saturating_add(spent_ns));
            // A crash in the same step wins: nobody has heard of the result.
            if is_done() && !self.has_crashed() {
                return End::Done;
            }
        }
    }

    fn has_crashed(&self) -> bool {
        let crash = self.crash.get();
        self.stopped.get()
            || self.steps.get() >= crash.step
            || self.disk.now_ns() >= crash.at_ns
            || self.operations.get() >= crash.operation
    }

    /// Never past the moment of the crash.
    fn advance_to(&self, now_ns: u64) {
        self.disk.advance_to(now_ns.min(self.crash.get().at_ns).max(self.disk.now_ns()));
    }

    fn fire_due(&self) {
        loop {
            let due = self.events.borrow_mut().pop_due(self.disk.now_ns());
            match due {
                Some(Due::Timer(timer)) => timer.fire(),
                Some(Due::Disk(slot)) => {
                    self.disk.trace().note(slot as u64);
                    let waker = self.disk.with(|state| state.complete(slot));
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
                Some(Due::Network(connection)) => connection.arrive(),
                None => return,
            }
        }
    }

    fn choose(&self) -> Option<Arc<TaskWaker>> {
        let mut ready = self.ready.borrow_mut();
        let mut random = self.schedule.borrow_mut();
        let Ready { foreground, background } = &mut *ready;
        let list = match (foreground.is_empty(), background.is_empty()) {
            (true, true) => return None,
            (false, true) => foreground,
            (true, false) => background,
            (false, false) => match random.below(BACKGROUND_ONE_IN) {
                0 => background,
                _ => foreground,
            },
        };
        let index = random.index(list.len());
        Some(list.swap_remove(index))
    }

    /// Time passes until the next event or the crash. False when nothing will ever happen.
    fn jump(&self) -> bool {
        let next_ns = self.events.borrow_mut().next_ns();
        let at_ns = self.crash.get().at_ns;
        match next_ns {
            None if at_ns == u64::MAX => return false,
            None => self.advance_to(at_ns),
            Some(next_ns) => self.advance_to(next_ns),
        }
        true
    }

    fn poll(&self, woken: &Arc<TaskWaker>) {
        woken.queued.store(false, Ordering::Relaxed);
        let taken = self.tasks.borrow_mut()[woken.task].take();
        // It may have finished since somebody woke it.
        let Some(mut task) = taken else { return };
        self.steps.set(self.steps.get() + 1);
        self.disk.trace().note(woken.task as u64);
        let mut context = Context::from_waker(&task.waker);
        if task.future.as_mut().poll(&mut context).is_pending() {
            self.tasks.borrow_mut()[woken.task] = Some(task);
        }
    }

    fn spawn(&self, future: TaskFuture, background: bool) {
        if self.stopped.get() {
            return;
        }
        let mut tasks = self.tasks.borrow_mut();
        let waker = Arc::new(TaskWaker {
            run: self.number,
            task: tasks.len(),
            background,
            queued: AtomicBool::new(false),
        });
        tasks.push(Some(Task { future, waker: Waker::from(Arc::clone(&waker)) }));
        self.make_ready(&waker);
    }

    fn make_ready(&self, waker: &Arc<TaskWaker>) {
        if self.stopped.get() || waker.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut ready = self.ready.borrow_mut();
        let list = if waker.background { &mut ready.background } else { &mut ready.foreground };
        list.push(Arc::clone(waker));
    }

    fn at(&self, at_ns: u64, due: Due) {
        let tie = self.schedule.borrow_mut().next();
        self.events.borrow_mut().push(at_ns, tie, due);
    }

    fn crash_at(&self, point: CrashPoint) {
        let mut crash = CrashLimits::NEVER;
        match point {
            CrashPoint::Steps(count) => crash.step = self.steps.get().saturating_add(count),
            CrashPoint::Elapsed(time) => {
                crash.at_ns = self.disk.now_ns().saturating_add(nanoseconds(time));
            }
            CrashPoint::Operations(count) => {
                crash.operation = self.operations.get().saturating_add(count);
            }
        }
        self.crash.set(crash);
    }

    /// One more operation is under way, perhaps the last one before the crash.
    fn count_operation(&self) {
        self.operations.set(self.operations.get() + 1);
        self.disk.with(|state| state.counts.operations += 1);
        if self.operations.get() >= self.crash.get().operation {
            self.stop();
        }
    }

    /// From here on nothing that a task does has an effect. The first call counts.
    fn stop(&self) {
        if !self.stopped.replace(true) {
            self.disk.end_process();
        }
    }

    fn live_tasks(&self) -> usize {
        self.tasks.borrow().iter().flatten().count()
    }

    fn drop_tasks(&self) {
        assert!(self.stopped.get());
        let mut index = 0;
        loop {
            // Taken out first: a destructor may look at the tasks.
            let task = match self.tasks.borrow_mut().get_mut(index) {
                Some(task) => task.take(),
                None => return,
            };
            drop(task);
            index += 1;
        }
    }
}

fn current() -> Rc<Run> {
    let current = CURRENT.with_borrow(Clone::clone);
    current.expect("the simulation's driver works within sim::run")
}

/// The disk of the current run.
pub(super) fn disk() -> Disk {
    current().disk.clone()
}

/// Whether the run is over and its tasks are being dropped, or gone.
pub(super) fn has_stopped() -> bool {
    CURRENT.with_borrow(|run| run.as_ref().is_none_or(|run| run.stopped.get()))
}

/// Counts an operation on names; those on files count themselves in [`submit`].
pub(super) fn count_operation() {
    current().count_operation();
}

pub(super) fn crash_at(point: CrashPoint) {
    current().crash_at(point);
}

/// Submits an operation on a file of the current run's disk; nothing when the run is over.
pub(super) fn submit(disk: &Disk, start: impl FnOnce(&mut State) -> Submitted) {
    let run = current();
    if run.stopped.get() {
        return;
    }
    let Submitted { slot, latency_ns } = disk.with(start);
    disk.trace().note(latency_ns);
    run.at(disk.now_ns() + latency_ns, Due::Disk(slot));
    run.count_operation();
}

/// The network of the current run, with its disk's faults and counts.
pub(super) fn with_network<R>(act: impl FnOnce(&mut Network, &mut State) -> R) -> R {
    let run = current();
    run.disk.with(|state| act(&mut run.network.borrow_mut(), state))
}

/// Notes a decision of the network.
pub(super) fn note(what: u64) {
    current().disk.trace().note(what);
}

/// Something will arrive at an end of the connection; nothing when the run is over.
pub(super) fn arrive_at(at_ns: u64, connection: Rc<Connection>) {
    let run = current();
    if !run.stopped.get() {
        run.at(at_ns, Due::Network(connection));
    }
}

/// The monotonic clock.
pub(crate) fn now() -> u64 {
    current().disk.now_ns()
}

/// The wall clock, in Unix milliseconds. May have jumped.
pub(crate) fn wall_ms() -> u64 {
    current().disk.read_wall_ms()
}

/// The next of the run's own stream of entropy.
pub(crate) fn seed() -> u64 {
    current().program.borrow_mut().next()
}

/// Starts a task.
pub(crate) fn spawn(future: TaskFuture) {
    current().spawn(future, false);
}

/// Starts a task that gives way to the others.
pub(crate) fn spawn_background(future: TaskFuture) {
    current().spawn(future, true);
}

/// Lets other tasks go first; perhaps, for the next task is chosen by chance.
pub(crate) fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Waits until the clock shows `at_ns` or later.
pub(crate) fn timer(at_ns: u64) -> Timer {
    Timer { at_ns, state: None }
}

#[derive(Debug)]
pub(crate) struct Timer {
    at_ns: u64,
    state: Option<Arc<TimerState>>,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let run = current();
        if run.stopped.get() {
            return Poll::Pending;
        }
        if run.disk.now_ns() >= self.at_ns {
            return Poll::Ready(());
        }
        match &self.state {
            Some(state) => state.renew(context.waker()),
            None => {
                let tie = run.schedule.borrow_mut().next();
                let waker = context.waker().clone();
                self.state = Some(run.events.borrow_mut().timer(self.at_ns, tie, waker));
            }
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            state.cancel();
        }
    }
}
