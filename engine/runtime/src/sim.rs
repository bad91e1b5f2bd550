//! The simulation's driver: one seed decides the schedule, the clock, the disk and the network of a
//! whole run.
//!
//! Everything above `runtime` runs here unchanged. A run is a function of its seed: the executor
//! picks a random ready task, virtual time jumps to the next timer or I/O completion when nothing
//! is ready, and the disk answers late, out of order, wrongly or not at all. Several cores are
//! simply tasks of one executor.
//!
//! ```text
//!   run(seed, &disk, ..)  ->  Crashed          the power fails in the middle of a step
//!   disk.crash()                               what was not durable is kept, dropped or torn
//!   run(seed, &disk, ..)  ->  Done(..)         recovery, then more load
//! ```
//!
//! A run never reads the host's clock, entropy, files or threads. Wakers work only on the thread
//! of the run: a wake from another thread is lost, and shows as a deadlock.
//!
//! Cost, so that hundreds of thousands of seeds are affordable: a step is a poll and a few heap
//! and vector operations; a write copies each page once, a flush moves references, a crash touches
//! only the pages that were not durable. No text is built in any of them.

mod content;
mod directory;
pub(crate) mod disk;
mod events;
pub(crate) mod executor;
mod faults;
mod file;
mod inspect;
mod network;
mod operation;
mod random;
pub(crate) mod socket;
#[cfg(test)]
mod tests;
mod tree;

use std::future::Future;
use std::time::Duration;

pub use disk::Disk;
pub use faults::{Counts, Fault, Faults, Latency};

/// Where a run stops dead, counted from the call that plans it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// After this many more scheduling steps.
    Steps(u64),
    /// When virtual time has advanced by this much.
    Elapsed(Duration),
    /// When this many more disk operations have been submitted: the last of them is in flight, and
    /// nothing that the same step submits after it happens. 1 is the next operation.
    Operations(u64),
}

/// How one run behaves, apart from its seed and its disk.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run ends as [`Outcome::Livelock`] after this many steps.
    pub steps_max: u64,
    /// Each step costs a random time up to this, so that completions also arrive while tasks are
    /// ready, not only when all of them wait.
    pub step_max: Duration,
    /// A crash that is planned from the start; [`crash_at`] plans one from within.
    pub crash: Option<CrashPoint>,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps_max: 10_000_000, step_max: Duration::from_micros(2), crash: None }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome<T> {
    /// The main future returned. Other tasks were dropped where they stood, as at a process's end.
    Done(T),
    /// The planned crash point was reached.
    Crashed,
    /// No task is ready and no timer or disk operation is under way, with the main future
    /// unfinished.
    Deadlock {
        /// Tasks that would wait for ever, the main one included.
        tasks: usize,
    },
    /// `steps_max` was reached.
    Livelock {
        /// Steps taken.
        steps: u64,
    },
}

impl<T> Outcome<T> {
    /// The main future's value, where it returned.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Crashed | Self::Deadlock { .. } | Self::Livelock { .. } => None,
        }
    }
}

/// Runs `main` and all that it spawns on this thread until it returns, crashes or cannot go on.
///
/// However it ends, the process is over: every task is dropped, open files and locks are void, and
/// writes in flight stay undecided. [`Disk::crash`] decides them as a power cut would,
/// [`Disk::kill`] as the death of the process alone; the next `run` calls the latter by itself.
///
/// # Panics
/// When called within a run, and with any panic of a task, after printing the seed.
pub fn run<T: 'static>(
    seed: u64,
    disk: &Disk,
    options: &Options,
    main: impl Future<Output = T> + 'static,
) -> Outcome<T> {
    executor::run(seed, disk, options, main)
}

/// Plans the crash of the current run, replacing an earlier plan.
///
/// # Panics
/// Outside a run.
pub fn crash_at(point: CrashPoint) {
    executor::crash_at(point);
}

/// Plans the crash of the current run after `steps` more scheduling steps.
///
/// # Panics
/// Outside a run.
pub fn crash_after(steps: u64) {
    executor::crash_at(CrashPoint::Steps(steps));
}
