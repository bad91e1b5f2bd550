//! Waiting for the first of two.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Which of two futures was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First<A, B> {
    /// The left one.
    Left(A),
    /// The right one.
    Right(B),
}

/// Waits for the first of two futures and drops the other. The left one is asked first, always: a
/// run stays a function of its seed.
pub(crate) async fn race<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> First<A, B> {
    let mut left = pin!(left);
    let mut right = pin!(right);
    poll_fn(|context| {
        if let Poll::Ready(output) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(output));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::task::{Context, Waker};

    #[test]
    fn the_left_one_wins_a_draw() {
        let poll = |future: &mut std::pin::Pin<Box<dyn Future<Output = First<u8, u8>>>>| {
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        let mut draw: std::pin::Pin<Box<dyn Future<Output = _>>> =
            Box::pin(race(ready(1), ready(2)));
        assert_eq!(poll(&mut draw), Poll::Ready(First::Left(1)));
        let mut right: std::pin::Pin<Box<dyn Future<Output = _>>> =
            Box::pin(race(pending(), ready(2)));
        assert_eq!(poll(&mut right), Poll::Ready(First::Right(2)));
    }
}
