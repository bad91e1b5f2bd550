//! Calls in flight, the cap on them, and waiting for a place among them: never for ever, since an
//! engine may stop answering, and never deaf to somebody who asks to stop.

use std::cell::Cell;
use std::time::Duration;

use runtime::clock::{self, Instant};
use runtime::local::Notify;
use runtime::signal;

/// After the end of the plan, answers are waited for as long as this; what comes later has timed
/// out.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// The same where somebody has asked to stop.
const DRAIN_MAX_INTERRUPTED: Duration = Duration::from_secs(5);
/// How often a wait looks whether somebody asks to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Flight {
    most: usize,
    count: Cell<usize>,
    seen_max: Cell<usize>,
    /// When the last call came back that found the cap full.
    freed_ns: Cell<u64>,
    returned: Notify,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// What was waited for is there.
    There,
    /// The deadline came first.
    Late,
    /// Somebody asked to stop.
    Interrupted,
}

impl Flight {
    /// Nothing in flight, `most` calls at once at most.
    pub(super) fn new(most: usize) -> Flight {
        let (count, seen_max) = (Cell::new(0), Cell::new(0));
        Flight { most, count, seen_max, freed_ns: Cell::new(0), returned: Notify::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// The most that were in flight at once.
    pub(super) fn seen_max(&self) -> usize {
        self.seen_max.get()
    }

    /// When the last call came back that found the cap full, ns since the start.
    pub(super) fn freed_ns(&self) -> u64 {
        self.freed_ns.get()
    }

    pub(super) fn is_full(&self) -> bool {
        self.count.get() >= self.most
    }

    /// A call leaves.
    pub(super) fn left(&self) {
        self.count.set(self.count.get() + 1);
        self.seen_max.set(self.seen_max.get().max(self.count.get()));
    }

    /// A call came back.
    pub(super) fn came_back(&self, at_ns: u64) {
        if self.is_full() {
            self.freed_ns.set(at_ns);
        }
        self.count.set(self.count.get() - 1);
        self.returned.notify_all();
    }

    /// Waits until the cap lets another call go.
    pub(super) async fn place_free(&self, deadline: Instant) -> Waited {
        loop {
            let returned = self.returned.notified();
            if !self.is_full() {
                return Waited::There;
            }
            let now = clock::now();
            if now >= deadline {
                return Waited::Late;
            }
            if signal::is_interrupted() {
                return Waited::Interrupted;
            }
            clock::timeout_at(deadline.min(now + LOOK_EVERY), returned).await;
        }
    }

    /// Waits for the answers that are out; returns whether all came.
    pub(super) async fn all_came_back(&self) -> bool {
        let began = clock::now();
        loop {
            let returned = self.returned.notified();
            if self.count.get() == 0 {
                return true;
            }
            let interrupted = signal::is_interrupted();
            let deadline = began + if interrupted { DRAIN_MAX_INTERRUPTED } else { DRAIN_MAX };
            let now = clock::now();
            if now >= deadline {
                return false;
            }
            clock::timeout_at(deadline.min(now + LOOK_EVERY), returned).await;
        }
    }
}

/// Sleeps until a moment; returns whether it came, or somebody asked to stop.
pub(super) async fn wait_until(moment: Instant) -> Waited {
    loop {
        let look = clock::now() + LOOK_EVERY;
        clock::sleep_until(moment.min(look)).await;
        if moment <= look {
            return Waited::There;
        }
        if signal::is_interrupted() {
            return Waited::Interrupted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::sim::{self, Disk, Options};
    use runtime::task;
    use std::rc::Rc;

    #[test]
    fn a_place_is_waited_for_until_a_call_comes_back_or_the_deadline() {
        let main = async {
            let flight = Rc::new(Flight::new(1));
            let soon = || clock::now() + Duration::from_secs(1);
            assert_eq!(flight.place_free(soon()).await, Waited::There);
            flight.left();
            // No answer ever comes.
            let deadline = soon();
            assert_eq!(flight.place_free(deadline).await, Waited::Late);
            assert!(clock::now() >= deadline);
            let (back, at) = (Rc::clone(&flight), clock::now() + Duration::from_millis(250));
            let answer = task::spawn(async move {
                clock::sleep_until(at).await;
                back.came_back(77);
            });
            assert_eq!(flight.place_free(soon()).await, Waited::There);
            assert!(clock::now() < at + Duration::from_millis(1));
            answer.await;
            (flight.freed_ns(), flight.seen_max())
        };
        let found = sim::run(1, &Disk::new(1), &Options::default(), main).done();
        assert_eq!(found, Some((77, 1)));
    }

    #[test]
    fn answers_that_never_come_are_given_up() {
        let main = async {
            let flight = Flight::new(2);
            assert!(flight.all_came_back().await);
            flight.left();
            let began = clock::now();
            let all = flight.all_came_back().await;
            (all, clock::now() - began >= DRAIN_MAX)
        };
        assert_eq!(
            sim::run(1, &Disk::new(1), &Options::default(), main).done(),
            Some((false, true))
        );
    }
}
