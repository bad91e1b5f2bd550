//! The kernel's driver: one io_uring and one loop for each core.
//!
//! ```text
//!   run ready tasks, until none is left or the turn is over
//!   take the tasks that other threads have woken; fire the timers that are due
//!   ready again?   hand over what was started (a system call only where there is something)
//!   else           sleep in the ring: the same call hands over and waits
//!   call the closures of what has completed: they wake tasks
//! ```
//!
//! A turn makes one system call, and one for each 16 polls that started something. The order of the
//! steps decides that nothing is slept through: whatever makes a task ready is either on this thread,
//! and then looked at after it, or rings the doorbell (`doorbell`), or is a completion or a deadline,
//! which end the sleep.
//!
//! What must never happen: a core ends while the kernel still works for it (`run_main`); a panic
//! unwinds past an operation in flight (`abort_on_panic`).

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use io_uring::{opcode, squeue, types};

use crate::buffer::{self, Memory};
use crate::clock::{self, Instant};
use crate::cores;
use crate::environment::StartError;
use crate::local::Closed;
use crate::mesh;
use doorbell::Doorbell;
use helper::Helper;
use ring::{Key, Ring};
use task::{Class, TaskWaker, Tasks};
pub(crate) use timers::Timer;
use timers::Timers;

mod doorbell;
mod helper;
mod readiness;
mod ring;
pub(crate) mod socket;
mod task;
mod timers;

/// How long tasks may run before completions, timers and foreign wake-ups are looked at again.
/// Each look costs less than a microsecond where there is nothing to see.
const TURN: Duration = Duration::from_micros(500);

/// Polls after which operations that were started are handed over although tasks are ready.
const POLLS_BETWEEN_SUBMISSIONS: u32 = 16;

/// While there is foreground work, a background task waits this many times as long as it ran.
const BACKGROUND_REST: u32 = 20;

/// The longest that one poll makes the background wait, however long it was.
const BACKGROUND_REST_MAX: Duration = Duration::from_millis(10);

/// A background task may run so long whatever else is ready. Its rest is then longer than a turn:
/// were it shorter, the background would get less than its share, for its time comes once a turn.
const BACKGROUND_RUN_MIN: Duration = Duration::from_micros(50);

const _: () = assert!(BACKGROUND_RUN_MIN.as_micros() * BACKGROUND_REST as u128 >= TURN.as_micros());

/// What this driver keeps for the core of the current thread.
pub(crate) struct Core {
    doorbell: Arc<Doorbell>,
    /// What the doorbell's eventfd is read into; the read has it while it is in flight.
    event: Cell<Option<Memory>>,
    tasks: RefCell<Tasks>,
    timers: RefCell<Timers>,
    ring: RefCell<Ring>,
    helper: Helper,
    closer: Helper,
    buffer_bytes: usize,
    /// When the tasks of the current turn should give way.
    turn_end: Cell<Instant>,
    /// A background task is being polled: from then on it gives way to whatever comes.
    gives_way_from: Cell<Option<Instant>>,
    /// Until then foreground tasks go first.
    background_from: Cell<Instant>,
    /// The main future is done: nothing new may start, or the end would never come.
    ending: Cell<bool>,
}

thread_local! {
    static CORE: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

fn with_core<T>(act: impl FnOnce(&Core) -> T) -> T {
    CORE.with_borrow(|core| {
        act(core.as_ref().expect("a thread with the kernel's driver has a core"))
    })
}

/// `None` on a thread that is no core of this driver, also while it ends.
fn try_with_core<T>(act: impl FnOnce(&Core) -> T) -> Option<T> {
    CORE.try_with(|core| core.borrow().as_deref().map(act)).ok().flatten()
}

/// Makes what a core needs, on the thread that is to be the core.
///
/// # Errors
/// With the system's reason for which there is no ring, doorbell or thread.
pub(crate) fn prepare(name: &str, buffer_bytes: usize) -> Result<Rc<Core>, StartError> {
    let ring_error = |error: io::Error| StartError::Ring { errno: error.raw_os_error() };
    let doorbell = Doorbell::new().map_err(ring_error)?;
    let ring = Ring::new(&cores::process_cpu_set()).map_err(ring_error)?;
    let helper = |duty| Helper::start(name, duty).map_err(|error| StartError::of_thread(&error));
    Ok(Rc::new(Core {
        doorbell: Arc::new(doorbell),
        event: Cell::new(Some(Memory::zeroed(doorbell::EVENT_BYTES))),
        tasks: RefCell::new(Tasks::new()),
        timers: RefCell::default(),
        ring: RefCell::new(ring),
        helper: helper("block")?,
        closer: helper("close")?,
        buffer_bytes,
        turn_end: Cell::new(Instant::from_nanos(0)),
        gives_way_from: Cell::new(None),
        background_from: Cell::new(Instant::from_nanos(0)),
        ending: Cell::new(false),
    }))
}

/// Runs `main` as a task of its own on this thread, and returns when it is done and nothing is in
/// flight. Tasks that still wait are dropped.
pub(crate) fn run<T, Fut>(core: Rc<Core>, main: impl FnOnce() -> Fut) -> T
where
    T: 'static,
    Fut: Future<Output = T> + 'static,
{
    abort_on_panic(|| run_main(core, main))
}

fn run_main<T, Fut>(core: Rc<Core>, main: impl FnOnce() -> Fut) -> T
where
    T: 'static,
    Fut: Future<Output = T> + 'static,
{
    CORE.set(Some(Rc::clone(&core)));
    buffer::open_pool(core.buffer_bytes);
    let output = Rc::new(Cell::new(None));
    let place = Rc::clone(&output);
    let main = main();
    spawn(async move { place.set(Some(main.await)) });
    let output = loop {
        core.run_ready();
        if let Some(output) = output.take() {
            break output;
        }
        core.between_turns();
    };
    core.ending.set(true);
    // While there is still a core, for destructors that look for one.
    let tasks = core.tasks.borrow_mut().take_all();
    drop(tasks);
    // Of sockets that the tasks have left to others.
    core.ring.borrow_mut().cancel_waits();
    // The read of the doorbell is an operation in flight, too.
    core.doorbell.ring();
    while core.ring.borrow().in_flight() > 0 {
        core.ring.borrow_mut().wait(None);
        core.complete();
    }
    core.doorbell.close();
    buffer::close_pool();
    CORE.set(None);
    output
}

impl Core {
    /// The core's number in this process, never used again.
    fn number(&self) -> u64 {
        self.doorbell.number()
    }

    /// Sees to it that a read of the doorbell's eventfd is in flight, or handed over by the same call
    /// that sleeps: only sleep needs one, and a call of its own before the work that the ring was for
    /// would make that work late. A ring that comes before the read is found by it.
    fn listen(&self, ring: &mut Ring) {
        let Some(mut count) = self.event.take() else { return };
        let event = types::Fd(self.doorbell.event().as_raw_fd());
        let bytes = u32::try_from(count.len()).expect("eight bytes");
        let entry = opcode::Read::new(event, count.as_mut_ptr(), bytes).build();
        let done = move |result: i32| {
            // EINTR and the like would be found again; a doorbell that cannot be read never rings.
            assert!(result > 0 || result == -libc::EINTR || result == -libc::EAGAIN);
            with_core(|core| core.event.set(Some(count)));
        };
        // SAFETY: the closure owns `count`, heap memory that does not move with it, of the length
        // told, initialised, and looked at by nobody else; the doorbell's descriptor lives as long
        // as the core, which waits for all operations before it ends.
        unsafe { ring.start(entry, Box::new(done)) };
    }

    /// Between two turns: takes what has come, hands over what was started, or sleeps.
    fn between_turns(&self) {
        self.take_foreign();
        self.fire_timers();
        if self.is_ready() {
            self.ring.borrow_mut().submit();
        } else {
            self.sleep();
        }
        self.complete();
    }

    fn is_ready(&self) -> bool {
        let tasks = self.tasks.borrow();
        tasks.is_ready(Class::Foreground) || tasks.is_ready(Class::Background)
    }

    /// Polls foreground tasks until none is ready or the turn is over, and a background task first
    /// if its time has come, or last if there is nothing else.
    fn run_ready(&self) {
        if !self.is_ready() {
            return;
        }
        let start = clock::now();
        self.turn_end.set(start + TURN);
        if start >= self.background_from.get() && self.poll_background() {
            return;
        }
        let mut polls = 0;
        while self.poll_next(Class::Foreground) {
            polls += 1;
            // A reading of the clock takes about 25 ns.
            if clock::now() >= self.turn_end.get() {
                return;
            }
            if polls % POLLS_BETWEEN_SUBMISSIONS == 0 {
                // The device can work while we do.
                self.ring.borrow_mut().submit();
            }
        }
        if polls == 0 {
            self.poll_background();
        }
    }

    /// False where no background task is ready.
    fn poll_background(&self) -> bool {
        if !self.tasks.borrow().is_ready(Class::Background) {
            return false;
        }
        let start = clock::now();
        self.gives_way_from.set(Some(start + BACKGROUND_RUN_MIN));
        let polled = self.poll_next(Class::Background);
        self.gives_way_from.set(None);
        if polled {
            let end = clock::now();
            let rest = ((end - start) * BACKGROUND_REST).min(BACKGROUND_REST_MAX);
            self.background_from.set(end + rest);
        }
        polled
    }

    /// False where no task of the class is ready.
    fn poll_next(&self, class: Class) -> bool {
        let Some((woken, mut task)) = self.tasks.borrow_mut().next(class) else { return false };
        if task.poll().is_pending() {
            self.tasks.borrow_mut().put_back(&woken, task);
        } else {
            // Its destructor may wake and spawn others.
            drop(task);
            self.tasks.borrow_mut().retire(&woken);
        }
        true
    }

    fn take_foreign(&self) {
        while let Some(woken) = self.doorbell.pop() {
            self.tasks.borrow_mut().enqueue(woken);
        }
    }

    fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now_ns = clock::now().as_nanos();
        loop {
            let due = self.timers.borrow_mut().pop_due(now_ns);
            match due {
                Some(waker) => waker.wake(),
                None => return,
            }
        }
    }

    /// Nothing is ready: waits for something that makes a task ready.
    fn sleep(&self) {
        let mut ring = self.ring.borrow_mut();
        if ring.has_completions() {
            return ring.submit();
        }
        if !self.doorbell.fall_asleep() {
            return ring.submit();
        }
        self.listen(&mut ring);
        let deadline = self.timers.borrow().next_ns();
        ring.wait(deadline.map(|at_ns| Instant::from_nanos(at_ns) - clock::now()));
        self.doorbell.wake_up();
    }

    fn complete(&self) {
        loop {
            let completed = self.ring.borrow_mut().next();
            match completed {
                Some((done, result)) => done(result),
                None => return,
            }
        }
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static, class: Class) {
        if !self.ending.get() {
            let doorbell = Arc::clone(&self.doorbell);
            self.tasks.borrow_mut().spawn(Box::pin(future), class, doorbell);
        }
    }
}

/// Schedules a task at normal shares; drops it when the core is ending.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    with_core(|core| core.spawn(future, Class::Foreground));
}

/// Schedules a task at low shares; drops it when the core is ending.
pub(crate) fn spawn_background(future: impl Future<Output = ()> + 'static) {
    with_core(|core| core.spawn(future, Class::Background));
}

/// A task whose flag says that it is queued: into the queue of this thread's core, or back to the
/// caller where it belongs to another.
fn enqueue_own(woken: Arc<TaskWaker>) -> Option<Arc<TaskWaker>> {
    let mut woken = Some(woken);
    // Where the thread or its core is gone, nobody is left who would take it out again; that of
    // another core is there.
    try_with_core(|core| {
        if let Some(own) = woken.take_if(|woken| woken.core() == core.number()) {
            core.tasks.borrow_mut().enqueue(own);
        }
    });
    woken
}

/// Lets the tasks that are ready go first.
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

/// An operation of a core that waits for a peer.
#[derive(Clone, Copy, Debug)]
struct WaitKey {
    core: u64,
    key: Key,
}

/// As `start_operation`, for a wait; `None` where the core is ending. At the end of the core it is
/// cancelled.
///
/// # Safety
/// As for `start_operation`.
unsafe fn start_wait(entry: squeue::Entry, done: impl FnOnce(i32) + 'static) -> Option<WaitKey> {
    let mut done: Option<Box<dyn FnOnce(i32)>> = Some(Box::new(done));
    let key = with_core(|core| {
        let done = if core.ending.get() { None } else { done.take() }?;
        // SAFETY: the contract is the caller's.
        let key = unsafe { core.ring.borrow_mut().start_wait(entry, done) };
        Some(WaitKey { core: core.number(), key })
    });
    drop(done);
    key
}

/// Ends a wait early, where it is still in flight.
fn cancel_wait(wait: WaitKey) {
    // Where its core is gone, the wait is over.
    try_with_core(|core| {
        if core.number() == wait.core {
            core.ring.borrow_mut().cancel(wait.key);
        }
    });
}

/// Queues an operation, which `done` owns until it is called with the result. When the core is
/// ending `done` is dropped instead: as at the end of the process, the operation does not happen.
///
/// # Safety
/// All memory and descriptors that `entry` names must stay as the kernel needs them for as long as
/// `done` is neither called nor dropped.
pub(crate) unsafe fn start_operation(entry: squeue::Entry, done: impl FnOnce(i32) + 'static) {
    let done: Box<dyn FnOnce(i32)> = Box::new(done);
    let refused = with_core(|core| {
        if core.ending.get() {
            return Some(done);
        }
        // SAFETY: the contract is the caller's.
        unsafe { core.ring.borrow_mut().start(entry, done) };
        None
    });
    drop(refused);
}

/// Runs `work` on the core's helper thread, away from the core's CPU.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, reply) = mesh::reply();
    with_core(|core| {
        if !core.ending.get() {
            core.helper.queue(Box::new(move || sender.send(work())));
        }
    });
    match reply.await {
        Ok(output) => output,
        // The core is ending: this task, too, is not polled again.
        Err(Closed) => std::future::pending().await,
    }
}

/// Has the closing thread drop `value`, or does it here where the core is gone.
pub(crate) fn drop_elsewhere(value: impl Send + 'static) {
    let mut value = Some(value);
    try_with_core(|core| {
        let value = value.take();
        core.closer.queue(Box::new(move || drop(value)));
    });
    drop(value);
}

/// True where the turn of the current task is over, or it is a background task that has had its
/// time and something else has come.
pub(crate) fn should_yield() -> bool {
    with_core(|core| {
        let now = clock::now();
        now >= core.turn_end.get()
            || core.gives_way_from.get().is_some_and(|from| now >= from)
                && (core.doorbell.has_woken()
                    || core.tasks.borrow().is_ready(Class::Foreground)
                    || core.timers.borrow().is_due(now.as_nanos())
                    || core.ring.borrow_mut().needs_attention())
    })
}

/// A panic is a broken invariant: the process ends, for whatever else a destructor would do, it
/// must not free the buffers of operations that the kernel has not finished.
fn abort_on_panic<T>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| abort(&*panic))
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::cores::{self, CoreConfig};

    struct SlowToDrop(mpsc::Receiver<()>);

    impl Drop for SlowToDrop {
        fn drop(&mut self) {
            self.0.recv().expect("the test sends before it ends");
        }
    }

    #[test]
    fn blocking_work_does_not_wait_for_what_is_slow_to_close() {
        let config = CoreConfig { name: "test".to_owned(), cpu: None, io_memory_bytes: 4096 };
        let ended = cores::block_on(config, || async {
            let (sender, receiver) = mpsc::channel();
            drop_elsewhere(SlowToDrop(receiver));
            // Would never be done behind it.
            let answer = blocking(|| 7).await;
            sender.send(()).expect("it waits for this");
            answer
        });
        assert_eq!(ended.expect("the tests need io_uring"), 7);
    }
}
