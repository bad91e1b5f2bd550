//! Ctrl-C and SIGTERM: a wish to stop, as a flag and as something to wait for on any core.
//!
//! The first signal only asks; whoever runs the process ends it in order. The second one ends it
//! at once with code 130, so that a hung shutdown can be left.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::environment::StartError;
use crate::local::waiters::{Ticket, Waiters};

/// The exit code of a process that was interrupted: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

struct Watch {
    interrupted: Arc<AtomicBool>,
    waiting: Mutex<Waiters>,
}

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Starts to catch SIGINT and SIGTERM, once for the process.
///
/// # Errors
/// When the handlers or the thread that passes signals on cannot be had.
pub fn watch() -> Result<(), StartError> {
    if WATCH.get().is_some() {
        return Ok(());
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let mut signals = install(&interrupted)
        .map_err(|error| StartError::Signals { errno: error.raw_os_error().unwrap_or(0) })?;
    let watch = Watch { interrupted, waiting: Mutex::new(Waiters::default()) };
    if WATCH.set(watch).is_err() {
        // Another thread was faster; two sets of handlers do the same as one.
        return Ok(());
    }
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                wake_all();
            }
        })
        .map(drop)
        .map_err(|error| StartError::Thread { errno: error.raw_os_error().unwrap_or(0) })
}

fn install(interrupted: &Arc<AtomicBool>) -> std::io::Result<Signals> {
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the second signal finds the flag that the first has set.
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(interrupted))?;
        flag::register(signal, Arc::clone(interrupted))?;
    }
    Signals::new([SIGINT, SIGTERM])
}

/// True after the first signal. Always false without [`watch`] and under the simulation.
pub fn is_interrupted() -> bool {
    WATCH.get().is_some_and(|watch| watch.interrupted.load(Ordering::SeqCst))
}

/// Waits for the first signal; for ever without [`watch`].
pub async fn interrupted() {
    let Some(watch) = WATCH.get() else { return std::future::pending().await };
    let mut place = Place { watch, ticket: None };
    poll_fn(|context| {
        if watch.interrupted.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        place.wait(context.waker());
        // The signal may have come between the look and the wait.
        if watch.interrupted.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn wake_all() {
    let Some(watch) = WATCH.get() else { return };
    loop {
        let waker = lock(&watch.waiting).pop();
        match waker {
            Some(waker) => waker.wake(),
            None => return,
        }
    }
}

struct Place {
    watch: &'static Watch,
    ticket: Option<Ticket>,
}

impl Place {
    fn wait(&mut self, waker: &Waker) {
        lock(&self.watch.waiting).register(&mut self.ticket, waker);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            // All are woken together, so nobody's wake-up gets lost with this one.
            lock(&self.watch.waiting).remove(ticket);
        }
    }
}

fn lock(waiting: &Mutex<Waiters>) -> MutexGuard<'_, Waiters> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
