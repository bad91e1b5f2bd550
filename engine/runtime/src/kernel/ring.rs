//! The io_uring of one core: operations from their submission to their completion.
//!
//! ```text
//!   start ──> submission queue (or the backlog, where it is full)
//!   submit    one io_uring_enter hands over all that is queued and runs what the kernel has put
//!             off for us (DEFER_TASKRUN: completions happen only then, never in the middle of a
//!             task); wait does the same and sleeps for the next completion or a deadline
//!   next      takes a completion from shared memory, without a system call
//! ```
//!
//! Every operation is owned by a slot until its completion: the slot's closure holds all memory and
//! descriptors that the kernel was told of, and is called with the result.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, squeue};

/// More than a turn usually starts; the rest waits in the backlog. With `COMPLETIONS` it makes 12
/// KiB, so that five cores fit into the 64 KiB of locked memory that old distributions grant.
const SUBMISSIONS: u32 = 64;
/// Beyond it the kernel keeps completions in lists of its own, which is slower.
const COMPLETIONS: u32 = 256;

/// Owns what an operation needs and takes its result: a count or a negative error number.
type Done = Box<dyn FnOnce(i32)>;

pub(super) struct Ring {
    ring: IoUring,
    slots: Vec<Option<Done>>,
    free: Vec<usize>,
    /// Operations that found the submission queue full. Bounded by what the program starts.
    backlog: VecDeque<squeue::Entry>,
}

impl Ring {
    /// A ring for the current thread alone.
    pub(super) fn new() -> io::Result<Self> {
        let ring = match build(true) {
            // A kernel before 6.1.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => build(false)?,
            ring => ring?,
        };
        Ok(Self { ring, slots: Vec::new(), free: Vec::new(), backlog: VecDeque::new() })
    }

    /// Queues an operation for the next `submit` or `wait`.
    ///
    /// # Safety
    /// All memory and descriptors that `entry` names must stay as the kernel needs them for as long
    /// as `done` is neither called nor dropped.
    pub(super) unsafe fn start(&mut self, entry: squeue::Entry, done: Done) {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        assert!(self.slots[slot].is_none());
        self.slots[slot] = Some(done);
        self.backlog.push_back(entry.user_data(slot as u64));
        self.queue();
    }

    /// Moves what fits from the backlog into the submission queue.
    fn queue(&mut self) {
        let mut queue = self.ring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: the slot that the entry names owns, by the contract of `start`, all that the
            // kernel will touch, until `next` takes the slot's closure out, after the completion.
            // `IoUring` and with it the rest of the slots are dropped only when none is taken: see
            // `Drop`.
            if unsafe { queue.push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Operations that have not completed.
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether the kernel has something for us, or we for it.
    pub(super) fn has_news(&mut self) -> bool {
        let queue = self.ring.submission();
        let wants_a_call = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        wants_a_call || self.has_completions()
    }

    pub(super) fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Hands over what is queued and lets the kernel complete what it has put off; no call where
    /// there is neither.
    pub(super) fn submit(&mut self) {
        self.queue();
        let queue = self.ring.submission();
        let wants_a_call = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if wants_a_call {
            self.check(self.ring.submit());
        }
    }

    /// As `submit`, and sleeps until there is a completion, `timeout` is over, or the kernel or a
    /// signal ends the sleep early.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) {
        self.queue();
        if !self.backlog.is_empty() {
            // What is to end the sleep may be among it.
            return self.submit();
        }
        let Some(timeout) = timeout else {
            return self.check(self.ring.submit_and_wait(1));
        };
        let span = Timespec::from(timeout);
        let arguments = SubmitArgs::new().timespec(&span);
        self.check(self.ring.submitter().submit_with_args(1, &arguments));
    }

    fn check(&self, entered: io::Result<usize>) {
        let Err(error) = entered else { return };
        let errno = error.raw_os_error();
        match errno {
            // The time is over, or a signal came.
            Some(libc::ETIME | libc::EINTR) => {}
            // The kernel is short of memory, or wants its completions taken first: what was not
            // handed over stays queued for the next turn.
            Some(libc::EAGAIN | libc::EBUSY) => {}
            _ => panic!("io_uring_enter refused a ring that it had taken before: {error}"),
        }
    }

    /// The next completion: its result and who waits for it. The closure is to be called when the
    /// ring is not borrowed, for it may start other operations.
    pub(super) fn next(&mut self) -> Option<(Done, i32)> {
        let completion = self.ring.completion().next()?;
        let slot = usize::try_from(completion.user_data()).expect("we have numbered the slots");
        let done = self.slots[slot].take().expect("an operation completes once");
        self.free.push(slot);
        Some((done, completion.result()))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Or the kernel would go on with memory that the closures are about to free.
        assert_eq!(self.in_flight(), 0, "a ring outlives its operations");
    }
}

fn build(modern: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(COMPLETIONS).setup_clamp();
    if modern {
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
    }
    builder.build(SUBMISSIONS)
}
