//! "Something changed, look again": wakes all that wait at this moment, keeps nothing for later.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiters::{Ticket, Waiters};

/// An event that many tasks of one core wait for. Check the condition after taking `notified()`
/// and before awaiting it: then no change in between is missed.
#[derive(Debug, Default)]
pub struct Notify {
    /// Rises with every notification: a future made before one is ready.
    generation: Cell<u64>,
    waiters: RefCell<Waiters>,
}

impl Notify {
    /// An event for which nobody waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every future that `notified` has returned so far becomes ready, also one never polled.
    pub fn notify_all(&self) {
        self.generation.set(self.generation.get() + 1);
        let end = self.waiters.borrow().end();
        loop {
            // The borrow ends before the waker runs: it may register anew.
            let waker = self.waiters.borrow_mut().pop_before(end);
            match waker {
                Some(waker) => waker.wake(),
                None => return,
            }
        }
    }

    /// Ready at the next notification after this call.
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, generation: self.generation.get(), ticket: None }
    }
}

/// Waits for the next notification; see [`Notify::notified`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    generation: u64,
    ticket: Option<Ticket>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        if notify.generation.get() != self.generation {
            return Poll::Ready(());
        }
        notify.waiters.borrow_mut().register(&mut self.ticket, context.waker());
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            // Whether it had been woken makes no difference: all are woken together.
            self.notify.waiters.borrow_mut().remove(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_notification_between_creation_and_first_poll_is_not_lost() {
        let notify = Notify::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut early = pin!(notify.notified());
        notify.notify_all();
        let mut late = pin!(notify.notified());
        assert_eq!(early.as_mut().poll(&mut context), Poll::Ready(()));
        assert_eq!(late.as_mut().poll(&mut context), Poll::Pending);
        notify.notify_all();
        assert_eq!(late.as_mut().poll(&mut context), Poll::Ready(()));
    }

    #[test]
    fn waiters_that_give_up_leave_nothing_behind() {
        let notify = Notify::new();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            let mut waiting = pin!(notify.notified());
            assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
            assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        }
        // `pin!` drops each future at the end of its turn.
        assert!(notify.waiters.borrow().is_empty());
    }
}
