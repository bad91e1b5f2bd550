//! Which driver the current thread's core runs: the kernel's (io_uring), the simulation's, or none.
//!
//! Every public function of this crate that reaches the outside asks here once and dispatches; no
//! type above carries a driver. A thread runs at most one driver at a time.

use std::cell::Cell;
use std::marker::PhantomData;

/// What stands behind the current thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// A plain thread: the clock and the entropy of the system work, nothing that waits does.
    Outside,
    /// A core over io_uring.
    Kernel,
    /// A core of the simulation.
    Sim,
}

thread_local! {
    static CURRENT: Cell<Driver> = const { Cell::new(Driver::Outside) };
}

/// The driver of the current thread.
pub(crate) fn current() -> Driver {
    CURRENT.get()
}

/// The thread runs the driver until this is dropped.
#[must_use]
pub(crate) struct DriverGuard {
    /// A guard belongs to the thread that made it.
    _here: PhantomData<*const ()>,
}

/// The current thread becomes a core of the simulation.
///
/// # Panics
/// When the thread runs a driver already.
pub(crate) fn enter_sim() -> DriverGuard {
    enter(Driver::Sim)
}

/// The current thread becomes a core over io_uring.
///
/// # Panics
/// When the thread runs a driver already.
pub(crate) fn enter_kernel() -> DriverGuard {
    enter(Driver::Kernel)
}

fn enter(driver: Driver) -> DriverGuard {
    let before = CURRENT.replace(driver);
    assert_eq!(before, Driver::Outside, "a thread runs one core at a time");
    DriverGuard { _here: PhantomData }
}

impl Drop for DriverGuard {
    fn drop(&mut self) {
        CURRENT.set(Driver::Outside);
    }
}

/// What every operation that needs a core says on a thread that is none.
#[cold]
#[track_caller]
pub(crate) fn not_a_core() -> ! {
    panic!("this needs a core: call it within cores::start, cores::block_on or sim::run");
}
