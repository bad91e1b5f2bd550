//! The tasks of one core and the order in which they run.
//!
//! A task that is woken stands once in one of two queues, from its own thread directly, from a
//! foreign one by way of the core's doorbell. Its waker may outlive it: a number tells it from a
//! later task in the same place.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::doorbell::Doorbell;

pub(super) type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Which share of the core's time a task gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Foreground,
    Background,
}

pub(super) struct TaskWaker {
    doorbell: Arc<Doorbell>,
    place: usize,
    /// Never used again, unlike the place.
    number: u64,
    class: Class,
    /// Stands in a queue, or is on its way into one.
    queued: AtomicBool,
}

impl TaskWaker {
    /// The number of the core that the task belongs to.
    pub(super) fn core(&self) -> u64 {
        self.doorbell.number()
    }

    /// Whether it is for the caller to queue the task.
    fn claim(&self) -> bool {
        // Who finds it queued has still published what it did before: the poll takes the flag down
        // by a swap, and so sees all that came before any swap here.
        !self.queued.swap(true, Ordering::AcqRel)
    }

    fn enqueue(self: Arc<Self>) {
        if let Some(foreign) = super::enqueue_own(self) {
            let doorbell = Arc::clone(&foreign.doorbell);
            doorbell.push(foreign);
        }
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if self.claim() {
            self.enqueue();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.claim() {
            Arc::clone(self).enqueue();
        }
    }
}

/// A task between two polls.
pub(super) struct Task {
    future: TaskFuture,
    waker: Waker,
    number: u64,
}

impl Task {
    pub(super) fn poll(&mut self) -> Poll<()> {
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}

/// All tasks of a core. Bounded by what the program spawns; the queues by the number of tasks.
pub(super) struct Tasks {
    /// Empty where a place is free or its task is being polled.
    places: Vec<Option<Task>>,
    free: Vec<usize>,
    spawned: u64,
    foreground: VecDeque<Arc<TaskWaker>>,
    background: VecDeque<Arc<TaskWaker>>,
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            spawned: 0,
            foreground: VecDeque::new(),
            background: VecDeque::new(),
        }
    }

    /// The new task is ready.
    pub(super) fn spawn(&mut self, future: TaskFuture, class: Class, doorbell: Arc<Doorbell>) {
        let place = self.free.pop().unwrap_or(self.places.len());
        if place == self.places.len() {
            self.places.push(None);
        }
        let number = self.spawned;
        self.spawned += 1;
        let queued = AtomicBool::new(true);
        let woken = Arc::new(TaskWaker { doorbell, place, number, class, queued });
        let waker = Waker::from(Arc::clone(&woken));
        assert!(self.places[place].is_none());
        self.places[place] = Some(Task { future, waker, number });
        self.enqueue(woken);
    }

    /// Puts a task of this core, whose flag says that it is queued, into its queue.
    pub(super) fn enqueue(&mut self, woken: Arc<TaskWaker>) {
        match woken.class {
            Class::Foreground => self.foreground.push_back(woken),
            Class::Background => self.background.push_back(woken),
        }
    }

    pub(super) fn is_ready(&self, class: Class) -> bool {
        match class {
            Class::Foreground => !self.foreground.is_empty(),
            Class::Background => !self.background.is_empty(),
        }
    }

    /// The next ready task of a class, taken out of its place for a poll.
    pub(super) fn next(&mut self, class: Class) -> Option<(Arc<TaskWaker>, Task)> {
        loop {
            let woken = match class {
                Class::Foreground => self.foreground.pop_front(),
                Class::Background => self.background.pop_front(),
            }?;
            // Down before the poll: whoever wakes it from now on wants another one.
            let was_queued = woken.queued.swap(false, Ordering::AcqRel);
            assert!(was_queued);
            let place = &mut self.places[woken.place];
            // It may have finished since somebody woke it.
            if place.as_ref().is_some_and(|task| task.number == woken.number) {
                return place.take().map(|task| (woken, task));
            }
        }
    }

    /// The task waits for another wake-up, which may have come during the poll.
    pub(super) fn put_back(&mut self, woken: &TaskWaker, task: Task) {
        let place = &mut self.places[woken.place];
        assert!(place.is_none());
        *place = Some(task);
    }

    /// The task has finished.
    pub(super) fn retire(&mut self, woken: &TaskWaker) {
        assert!(self.places[woken.place].is_none());
        self.free.push(woken.place);
    }

    /// Takes out everything, so that it can be dropped while the core is still there.
    pub(super) fn take_all(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }
}
