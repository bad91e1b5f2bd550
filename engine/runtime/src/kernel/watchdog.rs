//! Ends sleeps that glommio 0.9 would never end: a core that is parked although its ring has news.
//!
//! Its main ring sleeps on a poll of the ring that has timers and wake-ups. On kernel 6.18 that poll
//! was seen to miss events: cores stood in `io_cqring_wait` for a minute with a timer of 1 ms
//! running and messages waiting, until a signal ended the system call. So one thread of the process
//! sends a harmless signal to every core that has polled no task since it last looked.
//!
//! A core that has nothing to do takes note of it and parks again: about 5 µs, 100 times a second
//! while it is a little idle, 10 times when it is for long. It must never touch a core's state.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGURG;

/// How often the thread looks. A sleep that should not be lasts twice as long at most.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A core that was idle for so many looks is signalled at every tenth only.
const IDLE_LOOKS: u32 = 100;
const IDLE_STRIDE: u32 = 10;

/// One core as the watchdog sees it.
struct Watched {
    thread: libc::pthread_t,
    polls: Arc<AtomicU64>,
    seen: u64,
    idle_looks: u32,
}

#[derive(Default)]
struct Cores {
    watched: Mutex<Vec<Watched>>,
    arrived: Condvar,
}

static CORES: OnceLock<Cores> = OnceLock::new();

thread_local! {
    static POLLS: RefCell<Arc<AtomicU64>> = RefCell::default();
}

/// To be called whenever a task of this core is polled.
pub(super) fn count_poll() {
    POLLS.with_borrow(|polls| {
        // Only this thread writes it, so no addition in one step is needed.
        polls.store(polls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    });
}

/// How often a task of this core was polled.
pub(super) fn polls() -> u64 {
    POLLS.with_borrow(|polls| polls.load(Ordering::Relaxed))
}

/// Watches the core of this thread until the guard is dropped, on the same thread.
pub(super) fn watch() -> Guard {
    let cores = CORES.get_or_init(Cores::default);
    start_once(cores);
    // SAFETY: it has no requirements.
    let thread = unsafe { libc::pthread_self() };
    let polls = POLLS.with_borrow(Arc::clone);
    lock(cores).push(Watched { thread, polls, seen: 0, idle_looks: 0 });
    cores.arrived.notify_all();
    Guard { thread }
}

/// Ends the watch.
pub(super) struct Guard {
    thread: libc::pthread_t,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let cores = CORES.get_or_init(Cores::default);
        lock(cores).retain(|watched| watched.thread != self.thread);
    }
}

fn start_once(cores: &'static Cores) {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if STARTED.swap(true, Ordering::SeqCst) {
        return;
    }
    // The handler does nothing that anybody reads: it is there so that the signal ends a system call
    // and not the process. Without handler or thread the cores work as before, only unwatched.
    if signal_hook::flag::register(SIGURG, Arc::default()).is_err() {
        return;
    }
    let builder = thread::Builder::new().name("watchdog".to_owned());
    drop(builder.spawn(move || {
        crate::cores::leave_core_cpu();
        look_forever(cores);
    }));
}

fn look_forever(cores: &Cores) {
    loop {
        let mut watched = lock(cores);
        while watched.is_empty() {
            watched = cores.arrived.wait(watched).unwrap_or_else(PoisonError::into_inner);
        }
        watched.iter_mut().for_each(Watched::look);
        drop(watched);
        rest();
    }
}

#[allow(clippy::disallowed_methods, reason = "this thread watches the clocks of all cores")]
fn rest() {
    thread::sleep(LOOK_EVERY);
}

impl Watched {
    fn look(&mut self) {
        let polls = self.polls.load(Ordering::Relaxed);
        if polls != self.seen {
            self.seen = polls;
            self.idle_looks = 0;
            return;
        }
        self.idle_looks = self.idle_looks.saturating_add(1);
        if self.idle_looks < IDLE_LOOKS || self.idle_looks.is_multiple_of(IDLE_STRIDE) {
            // SAFETY: the thread is alive: its guard takes it off this list, under the lock that is
            // held here, before it ends; and SIGURG has a handler, see `start_once`.
            let result = unsafe { libc::pthread_kill(self.thread, SIGURG) };
            debug_assert_eq!(result, 0);
        }
    }
}

fn lock(cores: &Cores) -> MutexGuard<'_, Vec<Watched>> {
    cores.watched.lock().unwrap_or_else(PoisonError::into_inner)
}
