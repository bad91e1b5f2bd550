//! One value from one task to another of the same core: one allocation, no lock.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The other side is gone: no value will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the sender was dropped without a value")
    }
}

impl std::error::Error for Closed {}

enum State<T> {
    /// The receiver has not been polled yet.
    Empty,
    Waiting(Waker),
    Sent(T),
    /// The sender or the receiver is gone, or the value has been taken.
    Over,
}

/// A connected pair: what the sender sends, the future yields.
pub fn oneshot<T>() -> (OneshotSender<T>, Oneshot<T>) {
    let state = Rc::new(RefCell::new(State::Empty));
    (OneshotSender { state: Rc::clone(&state) }, Oneshot { state })
}

/// Sends the one value. Dropping it without a value resolves the receiver with [`Closed`].
pub struct OneshotSender<T> {
    state: Rc<RefCell<State<T>>>,
}

impl<T> OneshotSender<T> {
    /// Hands the value over; where the receiver is gone the value is dropped.
    pub fn send(self, value: T) {
        let before = self.state.replace(State::Over);
        match before {
            State::Empty => drop(self.state.replace(State::Sent(value))),
            State::Waiting(waker) => {
                drop(self.state.replace(State::Sent(value)));
                waker.wake();
            }
            State::Over => drop(value),
            State::Sent(_) => unreachable!("`send` consumes the only sender"),
        }
    }

    /// True where nobody waits for the value any more: the work for it can be left.
    pub fn is_abandoned(&self) -> bool {
        matches!(*self.state.borrow(), State::Over)
    }
}

impl<T> Drop for OneshotSender<T> {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Sent(_)) {
            return;
        }
        let before = std::mem::replace(&mut *state, State::Over);
        drop(state);
        if let State::Waiting(waker) = before {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for OneshotSender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OneshotSender").finish_non_exhaustive()
    }
}

/// The value to come. Polling it again after it was ready yields [`Closed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Oneshot<T> {
    state: Rc<RefCell<State<T>>>,
}

impl<T> Oneshot<T> {
    /// The value, where it is there already.
    pub fn try_take(&mut self) -> Option<T> {
        let mut state = self.state.borrow_mut();
        if !matches!(*state, State::Sent(_)) {
            return None;
        }
        match std::mem::replace(&mut *state, State::Over) {
            State::Sent(value) => Some(value),
            State::Empty | State::Waiting(_) | State::Over => unreachable!("it was just looked at"),
        }
    }
}

impl<T> Future for Oneshot<T> {
    type Output = Result<T, Closed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            State::Empty => {
                *state = State::Waiting(context.waker().clone());
                Poll::Pending
            }
            State::Waiting(waker) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            State::Sent(_) => match std::mem::replace(&mut *state, State::Over) {
                State::Sent(value) => Poll::Ready(Ok(value)),
                State::Empty | State::Waiting(_) | State::Over => {
                    unreachable!("it was just looked at")
                }
            },
            State::Over => Poll::Ready(Err(Closed)),
        }
    }
}

impl<T> Drop for Oneshot<T> {
    fn drop(&mut self) {
        // The value's own drop may come back here: it runs after the borrow.
        let unclaimed = self.state.replace(State::Over);
        drop(unclaimed);
    }
}

impl<T> fmt::Debug for Oneshot<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Oneshot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn poll<T>(future: Pin<&mut Oneshot<T>>) -> Poll<Result<T, Closed>> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_value_arrives_once() {
        let (sender, receiver) = oneshot();
        let mut receiver = pin!(receiver);
        assert_eq!(poll(receiver.as_mut()), Poll::Pending);
        assert_eq!(poll(receiver.as_mut()), Poll::Pending);
        sender.send(7);
        assert_eq!(poll(receiver.as_mut()), Poll::Ready(Ok(7)));
        assert_eq!(poll(receiver.as_mut()), Poll::Ready(Err(Closed)));
    }

    #[test]
    fn a_dropped_sender_closes_and_a_dropped_receiver_drops_the_value() {
        let (sender, receiver) = oneshot::<u8>();
        let mut receiver = pin!(receiver);
        drop(sender);
        assert_eq!(poll(receiver.as_mut()), Poll::Ready(Err(Closed)));

        let value = Rc::new(());
        let (sender, receiver) = oneshot();
        drop(receiver);
        assert!(sender.is_abandoned());
        sender.send(Rc::clone(&value));
        assert_eq!(Rc::strong_count(&value), 1);

        let (sender, receiver) = oneshot();
        sender.send(Rc::clone(&value));
        drop(receiver);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn a_value_that_is_there_can_be_taken_without_waiting() {
        let (sender, mut receiver) = oneshot();
        assert_eq!(receiver.try_take(), None);
        sender.send(3);
        assert_eq!(receiver.try_take(), Some(3));
        assert_eq!(receiver.try_take(), None);
    }
}
