//! Which of many followers have something: a list of numbers that any core may add to.
//!
//! A number is on the list once at most, and its owner is woken once for all that are on it: a burst
//! of a frame's chunks costs one wake-up of the task, not one for each shard.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// See the module.
#[derive(Default)]
pub(super) struct Ready {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    numbers: VecDeque<u32>,
    /// Who waits for the next number.
    owner: Option<Waker>,
}

impl Ready {
    /// Moves the whole list behind `hand`. False where it was empty.
    pub(super) fn take(&self, hand: &mut VecDeque<u32>) -> bool {
        let mut list = self.lock();
        // An append copies: two lists whose memory stays where it is.
        hand.append(&mut list.numbers);
        !hand.is_empty()
    }

    /// The same, waiting for the next number where `hand` stays empty.
    pub(super) fn poll_take(
        &self,
        hand: &mut VecDeque<u32>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let mut list = self.lock();
        hand.append(&mut list.numbers);
        if !hand.is_empty() {
            return Poll::Ready(());
        }
        list.owner = Some(context.waker().clone());
        Poll::Pending
    }

    fn add(&self, number: u32) {
        let owner = {
            let mut list = self.lock();
            list.numbers.push_back(number);
            list.owner.take()
        };
        if let Some(owner) = owner {
            owner.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One follower's way onto the list.
pub(super) struct Wake {
    entry: Arc<Entry>,
    waker: Waker,
}

struct Entry {
    number: u32,
    /// On the list, or in its owner's hand.
    is_listed: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake {
    pub(super) fn new(number: u32, ready: &Arc<Ready>) -> Wake {
        let is_listed = AtomicBool::new(false);
        let entry = Arc::new(Entry { number, is_listed, ready: Arc::clone(ready) });
        Wake { waker: Waker::from(Arc::clone(&entry)), entry }
    }

    /// Puts it on the list.
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// The number is off the list: what happens from now on puts it there again.
    pub(super) fn listen(&self) -> &Waker {
        self.entry.is_listed.store(false, Ordering::SeqCst);
        &self.waker
    }
}

impl std::task::Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_listed.swap(true, Ordering::SeqCst) {
            self.ready.add(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_listed_once_until_its_owner_listens_again() {
        let ready = Arc::new(Ready::default());
        let [one, two] = [1, 2].map(|number| Wake::new(number, &ready));
        let take = || {
            let mut hand = VecDeque::new();
            let found = ready.take(&mut hand);
            assert_eq!(found, !hand.is_empty());
            Vec::from(hand)
        };
        assert!(take().is_empty());
        two.wake();
        one.wake();
        two.wake();
        assert_eq!(take(), [2, 1]);
        two.wake();
        assert!(take().is_empty(), "nobody has looked at it yet");
        two.listen().wake_by_ref();
        assert_eq!(take(), [2]);
    }

    #[test]
    fn its_owner_is_woken_for_the_first_number() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let ready = Arc::new(Ready::default());
        let [one, two] = [1, 2].map(|number| Wake::new(number, &ready));
        let mut hand = VecDeque::new();
        assert_eq!(ready.poll_take(&mut hand, &mut context), Poll::Pending);
        one.wake();
        two.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(ready.poll_take(&mut hand, &mut context), Poll::Ready(()));
        assert_eq!(hand, [1, 2]);
    }
}
