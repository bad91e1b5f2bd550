//! One value back from another core: one allocation, shared by both sides.
//!
//! The lock is held for a move of the state and no longer, and only the two sides of one reply can
//! meet there; uncontended it is one compare-and-swap. A lock-free state was not worth its proof.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::local::Closed;

enum State<T> {
    Empty,
    Waiting(Waker),
    Sent(T),
    /// One side is gone, or the value has been taken.
    Over,
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// A connected pair: what the sender sends, the future yields.
pub fn reply<T: Send>() -> (ReplySender<T>, Reply<T>) {
    let shared = Arc::new(Mutex::new(State::Empty));
    (ReplySender { shared: Arc::clone(&shared) }, Reply { shared })
}

/// Sends the one value. Dropping it without a value resolves the reply with [`Closed`].
pub struct ReplySender<T> {
    shared: Shared<T>,
}

impl<T: Send> ReplySender<T> {
    /// Hands the value over; where the receiver is gone the value is dropped.
    pub fn send(self, value: T) {
        let waker = {
            let mut state = lock(&self.shared);
            match std::mem::replace(&mut *state, State::Over) {
                State::Empty => {
                    *state = State::Sent(value);
                    None
                }
                State::Waiting(waker) => {
                    *state = State::Sent(value);
                    Some(waker)
                }
                State::Over => None,
                State::Sent(_) => unreachable!("`send` consumes the only sender"),
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for ReplySender<T> {
    fn drop(&mut self) {
        let before = {
            let mut state = lock(&self.shared);
            if matches!(*state, State::Sent(_)) {
                return;
            }
            std::mem::replace(&mut *state, State::Over)
        };
        if let State::Waiting(waker) = before {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for ReplySender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReplySender").finish_non_exhaustive()
    }
}

/// The value to come. Polling it again after it was ready yields [`Closed`].
#[must_use = "futures do nothing unless awaited"]
pub struct Reply<T> {
    shared: Shared<T>,
}

impl<T: Send> Future for Reply<T> {
    type Output = Result<T, Closed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.shared);
        match &mut *state {
            State::Empty => {
                *state = State::Waiting(context.waker().clone());
                Poll::Pending
            }
            State::Waiting(waker) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            State::Sent(_) | State::Over => match std::mem::replace(&mut *state, State::Over) {
                State::Sent(value) => Poll::Ready(Ok(value)),
                State::Empty | State::Waiting(_) | State::Over => Poll::Ready(Err(Closed)),
            },
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        // The value's own drop may take locks of its own: it runs after ours.
        let unclaimed = std::mem::replace(&mut *lock(&self.shared), State::Over);
        drop(unclaimed);
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// No critical section runs foreign code but a waker's `clone` and `drop`, so a poisoned state is
/// still a whole one.
fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, State<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn poll<T: Send>(future: Pin<&mut Reply<T>>) -> Poll<Result<T, Closed>> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_value_arrives_once() {
        let (sender, receiver) = reply();
        let mut receiver = pin!(receiver);
        assert_eq!(poll(receiver.as_mut()), Poll::Pending);
        sender.send(7);
        assert_eq!(poll(receiver.as_mut()), Poll::Ready(Ok(7)));
        assert_eq!(poll(receiver.as_mut()), Poll::Ready(Err(Closed)));
    }

    #[test]
    fn either_side_may_leave() {
        let (sender, receiver) = reply::<u8>();
        let mut receiver = pin!(receiver);
        drop(sender);
        assert_eq!(poll(receiver.as_mut()), Poll::Ready(Err(Closed)));

        let value = Arc::new(());
        let (sender, receiver) = reply();
        drop(receiver);
        sender.send(Arc::clone(&value));
        let (sender, receiver) = reply();
        sender.send(Arc::clone(&value));
        drop(receiver);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
