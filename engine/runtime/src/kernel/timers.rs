//! Timers of one core: wakers by deadline.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::clock;

/// A deadline in nanoseconds of the monotonic clock, and a number that tells equal ones apart.
pub(super) type TimerKey = (u64, u64);

/// Bounded by the number of futures that wait.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<TimerKey, Waker>,
    issued: u64,
}

impl Timers {
    fn insert(&mut self, at_ns: u64, waker: Waker) -> TimerKey {
        let key = (at_ns, self.issued);
        self.issued += 1;
        let before = self.waiting.insert(key, waker);
        assert!(before.is_none());
        key
    }

    fn renew(&mut self, key: TimerKey, waker: &Waker) {
        let place = self.waiting.get_mut(&key);
        // It leaves when its deadline is there, and then nobody asks for it again.
        place.expect("a timer that is not due waits").clone_from(waker);
    }

    fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        self.waiting.remove(&key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The earliest deadline, in nanoseconds.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((at_ns, _), _)| *at_ns)
    }

    /// Whether the earliest deadline is there.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        self.next_ns().is_some_and(|at_ns| at_ns <= now_ns)
    }

    /// Takes out the earliest timer if its deadline is there.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<Waker> {
        let entry = self.waiting.first_entry()?;
        (entry.key().0 <= now_ns).then(|| entry.remove())
    }
}

/// Waits until the clock shows `at_ns` or later, on the core where it is polled first. Dropped on
/// another thread it leaves its entry to fire there.
#[derive(Debug)]
pub(crate) struct Timer {
    at_ns: u64,
    /// The core's number and the key there: the thread may be another core by the time of the drop,
    /// with a timer of the same key.
    armed: Option<(u64, TimerKey)>,
}

impl Timer {
    pub(crate) fn new(at_ns: u64) -> Self {
        Self { at_ns, armed: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if clock::now().as_nanos() >= self.at_ns {
            return Poll::Ready(());
        }
        let Self { at_ns, armed, .. } = &mut *self;
        super::with_core(|core| {
            let mut timers = core.timers.borrow_mut();
            match *armed {
                Some((number, key)) => {
                    assert_eq!(number, core.number(), "a timer waits on one core");
                    timers.renew(key, context.waker());
                }
                None => {
                    let key = timers.insert(*at_ns, context.waker().clone());
                    *armed = Some((core.number(), key));
                }
            }
        });
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((number, key)) = self.armed {
            // Where the core is gone its timers are, too.
            let waker = super::try_with_core(|core| {
                let is_its_core = number == core.number();
                is_its_core.then(|| core.timers.borrow_mut().remove(key))
            });
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_leave_by_deadline_and_then_by_age() {
        let mut timers = Timers::default();
        let late = timers.insert(20, Waker::noop().clone());
        let early = timers.insert(10, Waker::noop().clone());
        timers.insert(20, Waker::noop().clone());
        assert_eq!(timers.next_ns(), Some(10));
        assert!(!timers.is_due(9));
        assert!(timers.is_due(10));
        assert!(timers.pop_due(9).is_none());
        assert!(timers.pop_due(10).is_some());
        assert!(timers.remove(early).is_none());
        assert!(timers.remove(late).is_some());
        assert!(timers.pop_due(19).is_none());
        assert!(timers.pop_due(u64::MAX).is_some());
        assert!(timers.is_empty());
    }
}
