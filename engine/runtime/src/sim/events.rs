//! What will happen at a known virtual time: timers, disk completions and arrivals over the network,
//! earliest first.
//!
//! Events of the same time fire in a random order. A cancelled timer must never move the clock.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::socket::Connection;

/// What an event does when its time has come.
pub(super) enum Due {
    Timer(Arc<TimerState>),
    /// The slot of a disk operation that completes.
    Disk(usize),
    /// Something arrives at an end of a connection.
    Network(Rc<Connection>),
}

struct Event {
    at_ns: u64,
    /// A random half decides among events of one time, a counter makes the order total.
    tie: u64,
    due: Due,
}

impl Ord for Event {
    /// Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ns, other.tie).cmp(&(self.at_ns, self.tie))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

/// The queue of events. Its bound is what the program has under way: one event per disk operation
/// in flight, per segment on its way and per timer waiting, plus as many cancelled timers again.
#[derive(Default)]
pub(super) struct Events {
    heap: BinaryHeap<Event>,
    pushed: u32,
    /// Shared with the timers, which count themselves here when they are dropped early.
    cancelled: Arc<AtomicUsize>,
}

impl Events {
    pub(super) fn push(&mut self, at_ns: u64, tie: u64, due: Due) {
        self.pushed = self.pushed.wrapping_add(1);
        let tie = (tie & !u64::from(u32::MAX)) | u64::from(self.pushed);
        self.heap.push(Event { at_ns, tie, due });
    }

    pub(super) fn timer(&mut self, at_ns: u64, tie: u64, waker: Waker) -> Arc<TimerState> {
        let state = Arc::new(TimerState {
            waker: Mutex::new(Some(waker)),
            cancelled: AtomicBool::new(false),
            cancelled_count: Arc::clone(&self.cancelled),
        });
        self.push(at_ns, tie, Due::Timer(Arc::clone(&state)));
        self.sweep();
        state
    }

    /// When the next live event is due.
    pub(super) fn next_ns(&mut self) -> Option<u64> {
        while let Some(event) = self.heap.peek() {
            match &event.due {
                Due::Timer(state) if state.is_cancelled() => {
                    self.heap.pop();
                    self.cancelled.fetch_sub(1, Relaxed);
                }
                Due::Timer(_) | Due::Disk(_) | Due::Network(_) => return Some(event.at_ns),
            }
        }
        None
    }

    /// Takes one live event that is due at `now_ns`.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<Due> {
        if self.next_ns()? > now_ns {
            return None;
        }
        self.heap.pop().map(|event| event.due)
    }

    /// Throws cancelled timers out when they are the majority: a program that guards each request
    /// with a long timeout would otherwise collect one entry a request.
    fn sweep(&mut self) {
        const CANCELLED_KEPT_MAX: usize = 64;
        let cancelled = self.cancelled.load(Relaxed);
        if cancelled > CANCELLED_KEPT_MAX && cancelled > self.heap.len() / 2 {
            self.heap
                .retain(|event| !matches!(&event.due, Due::Timer(state) if state.is_cancelled()));
            self.cancelled.store(0, Relaxed);
        }
    }
}

/// The part of a timer that its future and its event share. Only the run's thread uses it; it locks
/// because the future may be asked to be `Send`.
#[derive(Debug)]
pub(super) struct TimerState {
    /// Empty once fired.
    waker: Mutex<Option<Waker>>,
    cancelled: AtomicBool,
    cancelled_count: Arc<AtomicUsize>,
}

impl TimerState {
    pub(super) fn fire(&self) {
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn renew(&self, waker: &Waker) {
        if let Some(registered) = self.waker().as_mut() {
            registered.clone_from(waker);
        }
    }

    /// Called once, when the future is dropped.
    pub(super) fn cancel(&self) {
        let unfired = self.waker().take();
        if unfired.is_some() {
            self.cancelled.store(true, Relaxed);
            self.cancelled_count.fetch_add(1, Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Events, Relaxed};
    use std::task::Waker;

    fn slot(due: Option<Due>) -> Option<usize> {
        match due {
            Some(Due::Disk(slot)) => Some(slot),
            Some(Due::Timer(_) | Due::Network(_)) | None => None,
        }
    }

    #[test]
    fn events_come_in_the_order_of_their_times_and_then_of_their_ties() {
        let mut events = Events::default();
        events.push(20, 0, Due::Disk(1));
        events.push(10, 9 << 40, Due::Disk(2));
        events.push(10, 1 << 40, Due::Disk(3));
        assert_eq!(events.next_ns(), Some(10));
        assert_eq!(slot(events.pop_due(15)), Some(3));
        assert_eq!(slot(events.pop_due(15)), Some(2));
        assert_eq!(slot(events.pop_due(15)), None);
        assert_eq!(slot(events.pop_due(20)), Some(1));
        assert_eq!(events.next_ns(), None);
    }

    #[test]
    fn a_cancelled_timer_is_never_due_and_takes_no_room() {
        let mut events = Events::default();
        for _ in 0..1000 {
            events.timer(5, 0, Waker::noop().clone()).cancel();
        }
        assert!(events.heap.len() < 150, "{}", events.heap.len());
        assert_eq!(events.next_ns(), None);
        assert_eq!(events.cancelled.load(Relaxed), 0);
    }
}
