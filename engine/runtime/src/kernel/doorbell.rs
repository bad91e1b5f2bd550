//! What other threads know of a core: where to leave a task that they have woken, and how to rouse
//! the core where it sleeps.
//!
//! Who sleeps and who rings is decided as in `mesh::channel`: the waker pushes, fences, then reads
//! `sleeps`; the core sets it, fences, then looks into the queue again. One of the two must see the
//! other's write. A core that is awake costs its wakers no system call.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use crossbeam::queue::SegQueue;
use crossbeam::utils::CachePadded;
use rustix::event::{EventfdFlags, eventfd};

use super::task::TaskWaker;

/// What the eventfd's counter is read into and written from.
pub(super) const EVENT_BYTES: usize = size_of::<u64>();

pub(super) struct Doorbell {
    number: u64,
    /// Bounded by the number of the core's tasks: each is in it at most once.
    woken: SegQueue<Arc<TaskWaker>>,
    sleeps: CachePadded<AtomicBool>,
    /// The core is gone: what is left here now must not stay, for each task holds the doorbell.
    closed: AtomicBool,
    /// Blocking, as the ring wants it: a read that finds nothing waits in the kernel for a write.
    event: OwnedFd,
}

impl Doorbell {
    pub(super) fn new() -> io::Result<Self> {
        /// Tells a waker whether the thread that it is woken on runs its own core.
        static CORES: AtomicU64 = AtomicU64::new(0);

        Ok(Self {
            number: CORES.fetch_add(1, Ordering::Relaxed),
            woken: SegQueue::new(),
            sleeps: CachePadded::new(AtomicBool::new(false)),
            closed: AtomicBool::new(false),
            event: eventfd(0, EventfdFlags::CLOEXEC)?,
        })
    }

    /// The core's number in this process.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// From a foreign thread: the task is to be polled.
    pub(super) fn push(&self, task: Arc<TaskWaker>) {
        self.woken.push(task);
        fence(Ordering::SeqCst);
        // The load spares the cache line a write while the core is awake.
        if self.sleeps.load(Ordering::SeqCst) && self.sleeps.swap(false, Ordering::SeqCst) {
            self.ring();
        }
        if self.closed.load(Ordering::SeqCst) {
            self.discard();
        }
    }

    /// The core ends: nobody takes tasks from here any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.discard();
    }

    fn discard(&self) {
        while let Some(task) = self.pop() {
            drop(task);
        }
    }

    /// Ends the core's sleep, or the next one.
    pub(super) fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // One ring for each sleep: the counter cannot come near its end, so the write never blocks.
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.event, &one));
        assert_eq!(written, Ok(EVENT_BYTES), "an eventfd takes a small count");
    }

    /// The next task that a foreign thread has left.
    pub(super) fn pop(&self) -> Option<Arc<TaskWaker>> {
        self.woken.pop()
    }

    pub(super) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// From here on whoever leaves a task rings. False where somebody has left one: then the core
    /// must not sleep.
    pub(super) fn fall_asleep(&self) -> bool {
        self.sleeps.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.has_woken() {
            self.wake_up();
            return false;
        }
        true
    }

    pub(super) fn wake_up(&self) {
        self.sleeps.store(false, Ordering::SeqCst);
    }
}
