//! A bounded queue between tasks of one core. When full, `push` waits and `try_push` refuses.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

use super::waiters::{Ticket, Waiters};

struct State<T> {
    items: VecDeque<T>,
    /// Those who wait for room, and those who wait for an item. Both are empty or nearly so: a
    /// woken waiter stays in its list until it has been served or dropped.
    pushers: Waiters,
    poppers: Waiters,
}

/// First in, first out; waiting pushers and poppers are served in the order of their arrival.
pub struct Queue<T> {
    capacity: usize,
    state: RefCell<State<T>>,
}

impl<T> Queue<T> {
    /// An empty queue of at most `capacity` items.
    ///
    /// # Panics
    /// When `capacity` is 0.
    pub fn bounded(capacity: usize) -> Self {
        assert!(capacity > 0);
        Self {
            capacity,
            state: RefCell::new(State {
                items: VecDeque::new(),
                pushers: Waiters::default(),
                poppers: Waiters::default(),
            }),
        }
    }

    /// Items in the queue.
    pub fn len(&self) -> usize {
        self.state.borrow().items.len()
    }

    /// True where there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an item at the end; it may overtake a `push` that has just been given room.
    ///
    /// # Errors
    /// The item comes back when the queue is full.
    pub fn try_push(&self, item: T) -> Result<(), T> {
        let mut state = self.state.borrow_mut();
        if state.items.len() == self.capacity {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.wake_popper();
        Ok(())
    }

    /// Takes the first item, if there is one.
    pub fn try_pop(&self) -> Option<T> {
        let item = self.state.borrow_mut().items.pop_front()?;
        self.wake_pusher();
        Some(item)
    }

    /// Adds an item at the end, after waiting for room. Dropping the future before it is ready
    /// drops the item.
    pub async fn push(&self, item: T) {
        let mut item = Some(item);
        let mut place = Place { queue: self, ticket: None, side: Side::Push };
        poll_fn(|context| {
            if !place.is_next() || self.len() == self.capacity {
                place.wait(context.waker());
                return Poll::Pending;
            }
            let item = item.take().expect("the future is not polled after it was ready");
            self.state.borrow_mut().items.push_back(item);
            Poll::Ready(())
        })
        .await;
        drop(place);
        self.wake_popper();
    }

    /// Takes the first item, after waiting for one. Dropping the future takes nothing.
    pub fn pop(&self) -> impl Future<Output = T> {
        let mut place = Place { queue: self, ticket: None, side: Side::Pop };
        async move {
            let item = poll_fn(|context| {
                if place.is_next()
                    && let Some(item) = self.state.borrow_mut().items.pop_front()
                {
                    return Poll::Ready(item);
                }
                place.wait(context.waker());
                Poll::Pending
            })
            .await;
            drop(place);
            self.wake_pusher();
            item
        }
    }

    fn wake_popper(&self) {
        let state = self.state.borrow();
        let waker = match state.poppers.first() {
            Some((_, waker)) if !state.items.is_empty() => waker.clone(),
            Some(_) | None => return,
        };
        drop(state);
        waker.wake();
    }

    fn wake_pusher(&self) {
        let state = self.state.borrow();
        let waker = match state.pushers.first() {
            Some((_, waker)) if state.items.len() < self.capacity => waker.clone(),
            Some(_) | None => return,
        };
        drop(state);
        waker.wake();
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Side {
    Push,
    Pop,
}

/// One waiter's place in its list. Leaving it, served or not, wakes the next if that can go on:
/// a waiter that was woken and then dropped would otherwise take the wake-up with it.
struct Place<'a, T> {
    queue: &'a Queue<T>,
    ticket: Option<Ticket>,
    side: Side,
}

impl<T> Place<'_, T> {
    /// Nobody has waited longer.
    fn is_next(&self) -> bool {
        let mut state = self.queue.state.borrow_mut();
        match self.side.waiters(&mut state).first() {
            None => true,
            Some((first, _)) => self.ticket == Some(first),
        }
    }

    fn wait(&mut self, waker: &Waker) {
        let mut state = self.queue.state.borrow_mut();
        self.side.waiters(&mut state).register(&mut self.ticket, waker);
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.queue.state.borrow_mut();
        let stood = self.side.waiters(&mut state).remove(ticket);
        assert!(stood, "only its place takes a waiter out of a queue's list");
        drop(state);
        match self.side {
            Side::Push => self.queue.wake_pusher(),
            Side::Pop => self.queue.wake_popper(),
        }
    }
}

impl Side {
    fn waiters<T>(self, state: &mut State<T>) -> &mut Waiters {
        match self {
            Self::Push => &mut state.pushers,
            Self::Pop => &mut state.poppers,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn ready<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn it_refuses_when_full_and_keeps_the_order() {
        let queue = Queue::bounded(2);
        assert_eq!(queue.try_push(1), Ok(()));
        assert_eq!(queue.try_push(2), Ok(()));
        assert_eq!(queue.try_push(3), Err(3));
        let mut third = pin!(queue.push(3));
        let mut fourth = pin!(queue.push(4));
        assert_eq!(ready(third.as_mut()), None);
        assert_eq!(ready(fourth.as_mut()), None);
        assert_eq!(queue.try_pop(), Some(1));
        assert_eq!(ready(fourth.as_mut()), None, "the third came first");
        assert_eq!(ready(third.as_mut()), Some(()));
        assert_eq!(queue.try_pop(), Some(2));
        assert_eq!(ready(fourth.as_mut()), Some(()));
        assert_eq!((queue.try_pop(), queue.try_pop(), queue.try_pop()), (Some(3), Some(4), None));
    }

    #[test]
    fn a_popper_that_gives_up_passes_its_wake_up_on() {
        let queue = Queue::bounded(2);
        let mut second = pin!(queue.pop());
        {
            let mut first = pin!(queue.pop());
            assert_eq!(ready(first.as_mut()), None);
            assert_eq!(ready(second.as_mut()), None);
            queue.try_push(1).expect("there is room");
        }
        assert_eq!(ready(second.as_mut()), Some(1));
        assert!(queue.state.borrow().poppers.is_empty());
    }
}
