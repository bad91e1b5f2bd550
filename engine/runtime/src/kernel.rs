//! The kernel's driver: what every other file here asks of glommio 0.9, in one place.
//!
//! Facts of its source that this file relies on, or works around:
//! - `spawn_local` polls the new future at once, inside its caller (executor/multitask.rs,
//!   `spawn_and_run`). Operations use that: their entry is in the ring's queue when the call
//!   returns. Tasks must not: they go through `spawn_local_into`, which only schedules.
//! - A task's header is freed when its handle goes and no waker is left. A foreign thread that
//!   drops the last waker reads the header once more after its decrement (task/raw.rs,
//!   `drop_waker`). While a `JoinHandle` exists, the owner could free the header in between. So
//!   every handle is dropped at once, also that of the main future: then the foreign thread that
//!   brought the count to zero is the only one left that could free it, and it does so through
//!   the owner's queue.
//! - Dropping the executor frees the buffers of operations in flight while the kernel may still
//!   write into them, and a blocking thread that cannot answer panics. So a core ends only when
//!   nothing is in flight: see `drain`.
//! - Completions and foreign wake-ups are noticed between turns of the task queues; a turn ends
//!   when no task is ready or when the preemption timer fires (100 ms unless set: far too long).
//! - Latency::Matters would make each foreign wake-up a system call, even to a core that is awake
//!   (sys/mod.rs, `notify(force)`). Latency::NotImportant writes the eventfd only for a sleeper, and
//!   the preemption timer bounds the delay for one that is awake. Both task queues use it.
//! - A core can fall asleep with a task that is ready, see `heartbeat`, or with events in its second
//!   ring, see `watchdog`.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use glommio::{Latency, Shares, TaskQueueHandle};

use crate::buffer;
use crate::local::{Notify, oneshot};

mod heartbeat;
mod watchdog;

/// How long tasks may run before completions and messages are looked at again. Each look costs a
/// few system calls (about 3 µs), so this bounds both the delay and the cost (below 1 %).
pub(crate) const PREEMPT_AFTER: Duration = Duration::from_micros(500);

/// Of a core's time under full load; the foreground has glommio's default of 1000.
const BACKGROUND_SHARES: usize = 50;

/// What this driver keeps for the core of the current thread.
struct Core {
    background: TaskQueueHandle,
    /// Addresses of the registered pool, all of them initialised.
    pool: Range<usize>,
    /// Operations that the kernel or a blocking thread has not finished.
    in_flight: Cell<usize>,
    landed: Notify,
    /// The main future is done: nothing new may start, or the end would never come.
    ending: Cell<bool>,
}

thread_local! {
    static CORE: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
    /// The thread's last core has ended: what its tasks and their destructors still ask for does
    /// not happen.
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

/// The thread's core; `None` once it has ended.
fn core() -> Option<Rc<Core>> {
    let core = CORE.with_borrow(Option::clone);
    assert!(core.is_some() || ENDED.get(), "a thread with the kernel's driver has a core");
    core
}

/// Whether the current thread's core can start operations.
pub(crate) fn is_running() -> bool {
    CORE.with_borrow(Option::is_some)
}

/// Runs `main` as a task of its own on the executor that has just started on this thread, and
/// returns when it is done and nothing is in flight. Tasks that still wait are never polled again.
pub(crate) fn run_main<T, Fut>(main: impl FnOnce() -> Fut) -> impl Future<Output = T>
where
    T: 'static,
    Fut: Future<Output = T> + 'static,
{
    // This thread may have had a core before.
    ENDED.set(false);
    abort_on_panic(run_main_unguarded(main))
}

async fn run_main_unguarded<T, Fut>(main: impl FnOnce() -> Fut) -> T
where
    T: 'static,
    Fut: Future<Output = T> + 'static,
{
    let background = glommio::executor().create_task_queue(
        Shares::Static(BACKGROUND_SHARES),
        Latency::NotImportant,
        "background",
    );
    let core = Rc::new(Core {
        background,
        pool: buffer::initialise_pool(),
        in_flight: Cell::new(0),
        landed: Notify::new(),
        ending: Cell::new(false),
    });
    CORE.set(Some(Rc::clone(&core)));
    let _watch = watchdog::watch();
    spawn(heartbeat::beat());
    let (sender, receiver) = oneshot();
    let main = main();
    spawn(async move { sender.send(main.await) });
    let output = receiver.await.expect("a task that ends without its output aborts the process");
    core.ending.set(true);
    while core.in_flight.get() > 0 {
        core.landed.notified().await;
    }
    CORE.set(None);
    // The turn of the task queues goes on behind this task: see `abort_on_panic`.
    ENDED.set(true);
    output
}

/// Schedules a task at normal shares.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    if core().is_some() {
        spawn_into(future, TaskQueueHandle::default());
    }
}

/// Schedules a task at low shares.
pub(crate) fn spawn_background(future: impl Future<Output = ()> + 'static) {
    if let Some(core) = core() {
        spawn_into(future, core.background);
    }
}

fn spawn_into(future: impl Future<Output = ()> + 'static, queue: TaskQueueHandle) {
    let task = glommio::spawn_local_into(abort_on_panic(future), queue)
        .expect("both task queues live as long as their executor");
    // No handle may outlive this line: see above.
    drop(task.detach());
}

/// Polls `operation` at once, which queues it, and owns it until its completion. When the core is
/// ending the operation is dropped instead: as at the end of the process, it does not happen.
pub(crate) fn start_operation(operation: impl Future<Output = ()> + 'static) {
    if let Some(core) = core().filter(|core| !core.ending.get()) {
        own_operation(core, operation);
    }
}

/// As `start_operation`, also when the core is ending. Only for what gives something back.
pub(crate) fn start_closing(operation: impl Future<Output = ()> + 'static) {
    own_operation(core().expect("who closes has seen the core running"), operation);
}

fn own_operation(core: Rc<Core>, operation: impl Future<Output = ()> + 'static) {
    core.in_flight.set(core.in_flight.get() + 1);
    let task = glommio::spawn_local(abort_on_panic(async move {
        operation.await;
        core.in_flight.set(core.in_flight.get() - 1);
        core.landed.notify_all();
    }));
    drop(task.detach());
}

/// Runs `work` on a thread of glommio's pool, away from the core's CPU.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = oneshot();
    // `spawn_blocking` queues at the call; only its answer needs an owner.
    start_operation(async move {
        let running = glommio::executor().spawn_blocking(move || {
            crate::cores::leave_core_cpu();
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| abort(&*panic))
        });
        sender.send(running.await);
    });
    match receiver.await {
        Ok(output) => output,
        // The core is ending: this task, too, is not polled again.
        Err(_) => std::future::pending().await,
    }
}

/// True where the turn of the current task queue is over.
pub(crate) fn should_yield() -> bool {
    glommio::executor().need_preempt()
}

/// Whether this memory belongs to the core's initialised pool.
pub(crate) fn pool_contains(address: usize, bytes: usize) -> bool {
    CORE.with_borrow(|core| {
        core.as_ref()
            .is_some_and(|core| address >= core.pool.start && address + bytes <= core.pool.end)
    })
}

/// Bytes of the core's initialised pool.
pub(crate) fn pool_capacity() -> usize {
    CORE.with_borrow(|core| core.as_ref().map_or(0, |core| core.pool.len()))
}

/// A panic in a task is a broken invariant: the process ends before any destructor runs, for these
/// would free the buffers of operations that the kernel has not finished.
///
/// A task that is ready when its core ends is not polled again: it would find no core.
async fn abort_on_panic<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        if ENDED.get() {
            return Poll::Pending;
        }
        watchdog::count_poll();
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)))
            .unwrap_or_else(|panic| abort(&*panic))
    })
    .await
}

fn abort(panic: &(dyn std::any::Any + Send)) -> ! {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    // Straight to the descriptor: a test harness that captures `eprintln!` dies with the process.
    // If even that fails there is nobody left to tell.
    drop(writeln!(std::io::stderr(), "a task of core '{name}' panicked, aborting: {message}"));
    std::process::abort()
}
