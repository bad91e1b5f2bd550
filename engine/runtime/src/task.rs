//! Tasks of the current core.
//!
//! A spawned task starts at a later turn, never inside `spawn`. Nothing cancels it: dropping the
//! handle only means that nobody waits for the output. A panic in a task aborts the process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::driver::{self, Driver};
use crate::kernel;
use crate::local::{Oneshot, oneshot};
use crate::sim;

/// A running task's output to come. Dropping it detaches the task.
pub struct Task<T> {
    output: Oneshot<T>,
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.output).poll(context) {
            Poll::Ready(Ok(output)) => Poll::Ready(output),
            // The core is ending and the task will not run again; nor will the one that waits.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Task").finish_non_exhaustive()
    }
}

/// Starts a task on this core.
///
/// # Panics
/// On a thread that is not a core.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let (sender, output) = oneshot();
    let work = async move { sender.send(future.await) };
    match driver::current() {
        Driver::Kernel => kernel::spawn(work),
        Driver::Sim => sim::executor::spawn(Box::pin(work)),
        Driver::Outside => driver::not_a_core(),
    }
    Task { output }
}

/// Starts a task on this core that gets a small share of its time while there is other work:
/// rewriting, zeroing, retention. Where other tasks are ready all the time it gets a part in 21, in
/// polls of 50 µs or more. What such a task spawns with `spawn` has normal shares again.
///
/// # Panics
/// On a thread that is not a core.
pub fn spawn_background<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let (sender, output) = oneshot();
    let work = async move { sender.send(future.await) };
    match driver::current() {
        Driver::Kernel => kernel::spawn_background(work),
        Driver::Sim => sim::executor::spawn_background(Box::pin(work)),
        Driver::Outside => driver::not_a_core(),
    }
    Task { output }
}

/// Lets the other ready tasks run first. Do not poll for something with it: completions are only
/// looked at when no task is ready or a turn is over. Wait for a `Notify` instead.
///
/// # Panics
/// On a thread that is not a core.
pub async fn yield_now() {
    match driver::current() {
        Driver::Kernel => kernel::yield_now().await,
        Driver::Sim => sim::executor::yield_now().await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// True where a long loop should `yield_now().await`: its turn is over, or something that is
/// urgent has happened. Costs a reading of the clock, about 25 ns.
pub fn should_yield() -> bool {
    /// Often enough that the simulation finds what a yield in a loop breaks.
    const SIMULATED_ONE_IN: u64 = 8;

    match driver::current() {
        Driver::Kernel => kernel::should_yield(),
        Driver::Sim => sim::executor::seed().is_multiple_of(SIMULATED_ONE_IN),
        Driver::Outside => false,
    }
}

/// Runs `work` on another thread, for system calls that block. Once it has started it completes,
/// even if the future is dropped. Under the simulation it runs in place: `work` must not reach the
/// outside.
///
/// # Panics
/// On a thread that is not a core.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match driver::current() {
        Driver::Kernel => kernel::blocking(work).await,
        Driver::Sim => {
            // As on another thread, others may run before and after it.
            sim::executor::yield_now().await;
            let output = work();
            sim::executor::yield_now().await;
            output
        }
        Driver::Outside => driver::not_a_core(),
    }
}
