//! How much of a generator core's time is useful work: the time in which its tasks are polled.
//! Waiting and looking for work are not. A stall within a poll counts as work, so that the share is
//! never too low.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use runtime::clock::{self, Instant};

use crate::stats::recorder::Measured;

pub(super) struct WorkTime {
    measured: Measured,
    total_ns: Cell<u64>,
}

impl WorkTime {
    pub(super) fn new(measured: Measured) -> WorkTime {
        WorkTime { measured, total_ns: Cell::new(0) }
    }

    /// Runs a future and adds the time of its polls that begin in the measured time. `start` is the
    /// moment zero of the plan.
    pub(super) async fn watch<T>(&self, start: Instant, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            let before = clock::now();
            let polled = future.as_mut().poll(context);
            let at_ns = before.as_nanos().saturating_sub(start.as_nanos());
            if self.measured.contains(at_ns) {
                let took_ns = clock::now().as_nanos() - before.as_nanos();
                self.total_ns.set(self.total_ns.get() + took_ns);
            }
            polled
        })
        .await
    }

    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns.get())
    }
}
