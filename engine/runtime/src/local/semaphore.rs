//! A count of something scarce on one core (bytes, depth), borrowed in the order of asking.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::waiters::{Ticket, Waiters};

#[derive(Debug)]
struct State {
    total: usize,
    free: Cell<usize>,
    waiters: RefCell<Waiters>,
}

/// Cheap to clone: all clones share the count. A large request holds back the smaller ones that
/// came after it, or it would never be served.
#[derive(Clone, Debug)]
pub struct Semaphore {
    state: Rc<State>,
}

impl Semaphore {
    /// A semaphore of `total` units, all free.
    pub fn new(total: usize) -> Self {
        let waiters = RefCell::default();
        Self { state: Rc::new(State { total, free: Cell::new(total), waiters }) }
    }

    /// Units that are free now.
    pub fn available(&self) -> usize {
        self.state.free.get()
    }

    /// Takes `count` units, waiting until they are free.
    ///
    /// # Panics
    /// When `count` is more than there can ever be: it would wait for ever.
    pub async fn acquire(&self, count: usize) -> Permit {
        assert!(count <= self.state.total);
        let mut place = Place { state: &self.state, ticket: None };
        poll_fn(|context| {
            if place.is_next() && self.state.free.get() >= count {
                self.state.free.set(self.state.free.get() - count);
                return Poll::Ready(());
            }
            place.wait(context.waker());
            Poll::Pending
        })
        .await;
        Permit { state: Rc::clone(&self.state), count }
    }

    /// Takes `count` units if they are free and nobody waits.
    pub fn try_acquire(&self, count: usize) -> Option<Permit> {
        if self.state.free.get() < count || !self.state.waiters.borrow().is_empty() {
            return None;
        }
        self.state.free.set(self.state.free.get() - count);
        Some(Permit { state: Rc::clone(&self.state), count })
    }
}

impl State {
    fn wake_next(&self) {
        if self.free.get() == 0 {
            return;
        }
        // The waiter stays in its place until it has been served or dropped.
        let waker = self.waiters.borrow().first().map(|(_, waker)| waker.clone());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Units taken; dropping it gives them back.
#[derive(Debug)]
#[must_use = "dropping a permit gives its units back"]
pub struct Permit {
    state: Rc<State>,
    count: usize,
}

impl Permit {
    /// Units held.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let free = self.state.free.get() + self.count;
        assert!(free <= self.state.total);
        self.state.free.set(free);
        self.state.wake_next();
    }
}

/// One waiter's place; leaving it, served or not, lets the next look.
struct Place<'a> {
    state: &'a State,
    ticket: Option<Ticket>,
}

impl Place<'_> {
    fn is_next(&self) -> bool {
        match self.state.waiters.borrow().first() {
            None => true,
            Some((first, _)) => self.ticket == Some(first),
        }
    }

    fn wait(&mut self, waker: &Waker) {
        self.state.waiters.borrow_mut().register(&mut self.ticket, waker);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let stood = self.state.waiters.borrow_mut().remove(ticket);
        assert!(stood, "only its place takes a waiter out of a semaphore's list");
        self.state.wake_next();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::Context;

    use super::*;

    fn ready<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_large_request_is_not_starved() {
        let semaphore = Semaphore::new(4);
        let small = ready(pin!(semaphore.acquire(1))).expect("all are free");
        let mut large = pin!(semaphore.acquire(4));
        let mut later = pin!(semaphore.acquire(1));
        assert!(ready(large.as_mut()).is_none());
        assert!(ready(later.as_mut()).is_none(), "the large one came first");
        assert!(semaphore.try_acquire(1).is_none());
        drop(small);
        let held = ready(large.as_mut()).expect("four are free");
        assert_eq!((held.count(), semaphore.available()), (4, 0));
        drop(held);
        assert!(ready(later.as_mut()).is_some());
        assert_eq!(semaphore.available(), 4);
    }

    #[test]
    fn a_waiter_that_gives_up_lets_the_next_go() {
        let semaphore = Semaphore::new(2);
        let held = ready(pin!(semaphore.acquire(1))).expect("two are free");
        let mut small = pin!(semaphore.acquire(1));
        {
            let mut large = pin!(semaphore.acquire(2));
            assert!(ready(large.as_mut()).is_none());
            assert!(ready(small.as_mut()).is_none());
        }
        assert!(ready(small.as_mut()).is_some());
        drop(held);
        assert_eq!(semaphore.available(), 2);
    }
}
