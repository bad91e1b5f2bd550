//! The bounded queue of messages.
//!
//! Who sleeps and who wakes is decided as in Dekker's algorithm: the sender pushes, fences, then
//! reads `receiver_sleeps`; the receiver sets it, fences, then looks into the queue again. One of
//! the two must see the other's write, so no message waits for a wake-up that nobody sends. The
//! same holds for `senders_waiting` in the other direction.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;

use crate::local::waiters::{Ticket, Waiters};

/// Why a message was not taken, with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room now.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

/// The receiver is gone; here is the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed<T>(pub T);

struct Shared<T> {
    queue: ArrayQueue<T>,
    /// Set by the receiver before it sleeps, cleared by whoever takes its waker.
    receiver_sleeps: CachePadded<AtomicBool>,
    receiver_waker: Mutex<Option<Waker>>,
    receiver_gone: AtomicBool,
    senders: AtomicUsize,
    /// How many stand in `waiting`: read without the lock.
    senders_waiting: CachePadded<AtomicUsize>,
    waiting: Mutex<Waiters>,
}

/// A channel that holds at most `capacity` messages.
///
/// # Panics
/// When `capacity` is 0.
pub fn channel<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(capacity),
        receiver_sleeps: CachePadded::new(AtomicBool::new(false)),
        receiver_waker: Mutex::new(None),
        receiver_gone: AtomicBool::new(false),
        senders: AtomicUsize::new(1),
        senders_waiting: CachePadded::new(AtomicUsize::new(0)),
        waiting: Mutex::new(Waiters::default()),
    });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

impl<T> Shared<T> {
    fn receiver_gone(&self) -> bool {
        self.receiver_gone.load(Ordering::SeqCst)
    }

    /// After a push or after the last sender left.
    fn wake_receiver(&self) {
        fence(Ordering::SeqCst);
        // The load spares the cache line a write while the receiver is awake.
        if !self.receiver_sleeps.load(Ordering::SeqCst)
            || !self.receiver_sleeps.swap(false, Ordering::SeqCst)
        {
            return;
        }
        let waker = lock(&self.receiver_waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// After a pop: one place is free, so one sender may go on.
    fn wake_sender(&self) {
        fence(Ordering::SeqCst);
        if self.senders_waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let waker = {
            let mut waiting = lock(&self.waiting);
            let waker = waiting.pop();
            self.senders_waiting.store(waiting.count(), Ordering::SeqCst);
            waker
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nobody will read any more: what is queued is dropped, replies in it resolve.
    fn discard(&self) {
        while let Some(message) = self.queue.pop() {
            drop(message);
        }
    }
}

/// The lock of a list of wakers. None of its critical sections runs foreign code but a waker's
/// `clone` and `drop`; a panic there has no message half handed over.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The sending end. Clones share the channel.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Send> Sender<T> {
    /// Sends if there is room. It does not queue behind senders that wait.
    ///
    /// # Errors
    /// The message comes back when the channel is full or the receiver is gone.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let shared = &*self.shared;
        if shared.receiver_gone() {
            return Err(TrySendError::Closed(message));
        }
        if let Err(message) = shared.queue.push(message) {
            return Err(TrySendError::Full(message));
        }
        shared.wake_receiver();
        if shared.receiver_gone() {
            // It left between the two looks, and may have cleared the queue before our push.
            shared.discard();
        }
        Ok(())
    }

    /// Sends, waiting while the channel is full. Dropping the future before it is ready drops the
    /// message.
    ///
    /// # Errors
    /// The message comes back when the receiver is gone.
    pub async fn send(&self, message: T) -> Result<(), Closed<T>> {
        let mut message = Some(message);
        let mut place = Place { shared: &self.shared, ticket: None };
        poll_fn(|context| {
            let unsent = message.take().expect("the future is not polled after it was ready");
            match self.send_or_wait(unsent, &mut place, context) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TrySendError::Closed(unsent)) => Poll::Ready(Err(Closed(unsent))),
                Err(TrySendError::Full(unsent)) => {
                    message = Some(unsent);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Messages that wait to be received.
    pub fn len(&self) -> usize {
        self.shared.queue.len()
    }

    /// True where no message waits to be received.
    pub fn is_empty(&self) -> bool {
        self.shared.queue.is_empty()
    }

    /// `Full` means that the place is registered and will be woken.
    fn send_or_wait(
        &self,
        message: T,
        place: &mut Place<'_, T>,
        context: &mut Context<'_>,
    ) -> Result<(), TrySendError<T>> {
        let full = match self.try_send(message) {
            Err(TrySendError::Full(message)) => message,
            done => return done,
        };
        place.wait(context.waker());
        // The receiver may have made room, or left, before it could see us wait.
        fence(Ordering::SeqCst);
        self.try_send(full)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // Relaxed: the clone exists, so the count cannot fall to zero meanwhile.
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.wake_receiver();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").field("len", &self.shared.queue.len()).finish()
    }
}

/// A sender's place among those who wait for room. Leaving it after a wake-up that was not used
/// passes the wake-up on.
struct Place<'a, T> {
    shared: &'a Shared<T>,
    ticket: Option<Ticket>,
}

impl<T> Place<'_, T> {
    fn wait(&mut self, waker: &Waker) {
        let mut waiting = lock(&self.shared.waiting);
        waiting.register(&mut self.ticket, waker);
        self.shared.senders_waiting.store(waiting.count(), Ordering::SeqCst);
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let still_waiting = {
            let mut waiting = lock(&self.shared.waiting);
            let still_waiting = waiting.remove(ticket);
            self.shared.senders_waiting.store(waiting.count(), Ordering::SeqCst);
            still_waiting
        };
        if !still_waiting && !self.shared.queue.is_full() {
            self.shared.wake_sender();
        }
    }
}

/// The receiving end: one, and it does not clone.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Send> Receiver<T> {
    /// The next message, waiting for one; `None` once all senders are gone and all was received.
    /// Dropping the future takes nothing.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The next message, if there is one.
    pub fn try_recv(&mut self) -> Option<T> {
        let message = self.shared.queue.pop()?;
        self.shared.wake_sender();
        Some(message)
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(message) = self.try_recv() {
            return Poll::Ready(Some(message));
        }
        *lock(&self.shared.receiver_waker) = Some(context.waker().clone());
        self.shared.receiver_sleeps.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        // Read before the queue: a sender that is gone by now has pushed all it ever will.
        let no_senders = self.shared.senders.load(Ordering::SeqCst) == 0;
        if let Some(message) = self.try_recv() {
            // A waker that stays behind only costs a turn.
            self.shared.receiver_sleeps.store(false, Ordering::SeqCst);
            return Poll::Ready(Some(message));
        }
        if no_senders { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver_gone.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.shared.discard();
        loop {
            let waker = lock(&self.shared.waiting).pop();
            match waker {
                Some(waker) => waker.wake(),
                None => break,
            }
        }
        let waker = lock(&self.shared.receiver_waker).take();
        drop(waker);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("len", &self.shared.queue.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};

    use super::*;

    fn ready<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn messages_arrive_in_order_and_the_end_is_seen() {
        let (sender, mut receiver) = channel(4);
        assert_eq!(ready(pin!(receiver.recv())), None);
        let other = sender.clone();
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(other.try_send(2), Ok(()));
        drop(sender);
        assert_eq!(receiver.try_recv(), Some(1));
        drop(other);
        assert_eq!(ready(pin!(receiver.recv())), Some(Some(2)));
        assert_eq!(ready(pin!(receiver.recv())), Some(None));
    }

    #[test]
    fn a_full_channel_refuses_or_waits() {
        let (sender, mut receiver) = channel(1);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        let mut second = pin!(sender.send(2));
        assert_eq!(ready(second.as_mut()), None);
        assert_eq!(sender.shared.senders_waiting.load(Ordering::SeqCst), 1);
        assert_eq!(receiver.try_recv(), Some(1));
        assert_eq!(sender.shared.senders_waiting.load(Ordering::SeqCst), 0);
        assert_eq!(ready(second.as_mut()), Some(Ok(())));
        assert_eq!(receiver.try_recv(), Some(2));
    }

    #[test]
    fn a_sender_that_gives_up_passes_its_turn_on() {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).expect("there is room");
        let mut second = pin!(sender.send(2));
        {
            let mut first = pin!(sender.send(1));
            assert_eq!(ready(first.as_mut()), None);
            assert_eq!(ready(second.as_mut()), None);
            // Wakes the first, which then leaves without sending.
            assert_eq!(receiver.try_recv(), Some(0));
            assert_eq!(sender.shared.senders_waiting.load(Ordering::SeqCst), 1);
        }
        assert_eq!(sender.shared.senders_waiting.load(Ordering::SeqCst), 0, "the second was woken");
        assert_eq!(ready(second.as_mut()), Some(Ok(())));
    }

    #[test]
    fn a_receiver_that_leaves_closes_the_channel_and_drops_what_it_held() {
        let (sender, receiver) = channel(1);
        let message = Arc::new(());
        sender.try_send(Arc::clone(&message)).expect("there is room");
        let mut waiting = pin!(sender.send(Arc::clone(&message)));
        assert!(ready(waiting.as_mut()).is_none());
        drop(receiver);
        assert!(matches!(ready(waiting.as_mut()), Some(Err(Closed(_)))));
        assert!(matches!(sender.try_send(Arc::clone(&message)), Err(TrySendError::Closed(_))));
        assert_eq!(Arc::strong_count(&message), 1);
    }
}
