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
//!
//! A transfer ends by itself. A wait (for a peer) may never end, so it can be cancelled: by its key,
//! which no later operation in the same slot has, and all together when the core ends.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, opcode, squeue};

use crate::environment::while_memory_is_freed;

/// More than a turn usually starts; the rest waits in the backlog. With `COMPLETIONS` it makes 12
/// KiB, so that five cores fit into the 64 KiB of locked memory that old distributions grant.
const SUBMISSIONS: u32 = 64;
/// Beyond it the kernel keeps completions in lists of its own, which is slower.
const COMPLETIONS: u32 = 256;

/// The longest sleep. Deadlines may be as far as 584 years, which no kernel promises to take.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// How long to leave the kernel alone that had no memory for what was handed over.
const PAUSE_WITHOUT_MEMORY: Duration = Duration::from_millis(1);

/// Owns what an operation needs and takes its result: a count or a negative error number.
type Done = Box<dyn FnOnce(i32)>;

/// Names an operation: its slot in the low half, in the high half a number that the slot's next 2^32
/// operations do not have. It is the `user_data` of its completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Key {
    fn new(slot: usize, number: u32) -> Self {
        let slot = u32::try_from(slot).expect("far fewer operations than 2^32 are in flight");
        Self(u64::from(number) << 32 | u64::from(slot))
    }

    fn slot(self) -> usize {
        let low = self.0 & u64::from(u32::MAX);
        usize::try_from(low).expect("a usize has 32 bits or more")
    }
}

/// What ends an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The device, some time.
    Transfer,
    /// A peer, perhaps never.
    Wait,
}

struct Slot {
    key: Key,
    kind: Kind,
    done: Done,
}

pub(super) struct Ring {
    ring: IoUring,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Operations ever started; a part of their keys.
    started: u32,
    /// Waits in flight.
    waits: usize,
    /// Operations that found the submission queue full. Bounded by what the program starts.
    backlog: VecDeque<squeue::Entry>,
}

impl Ring {
    /// A ring for the current thread alone, whose kernel threads run on any of `cpus`.
    pub(super) fn new(cpus: &libc::cpu_set_t) -> io::Result<Self> {
        let ring = match while_memory_is_freed(|| build(true)) {
            // A kernel before 6.1.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                while_memory_is_freed(|| build(false))?
            }
            ring => ring?,
        };
        // Without it they run on all CPUs of the cpuset, whatever the process was started with
        // (taskset). A kernel before 5.14 does not know it.
        ring.submitter().register_iowq_aff(cpus).ok();
        Ok(Self {
            ring,
            slots: Vec::new(),
            free: Vec::new(),
            started: 0,
            waits: 0,
            backlog: VecDeque::new(),
        })
    }

    /// Queues an operation for the next `submit` or `wait`.
    ///
    /// # Safety
    /// All memory and descriptors that `entry` names must stay as the kernel needs them for as long
    /// as `done` is neither called nor dropped.
    pub(super) unsafe fn start(&mut self, entry: squeue::Entry, done: Done) {
        self.insert(entry, done, Kind::Transfer);
    }

    /// As `start`, for an operation that may never end: it can be cancelled.
    ///
    /// # Safety
    /// As for `start`.
    pub(super) unsafe fn start_wait(&mut self, entry: squeue::Entry, done: Done) -> Key {
        self.waits += 1;
        self.insert(entry, done, Kind::Wait)
    }

    /// Has the kernel end a wait, which then completes as cancelled, or as what it was about to be.
    /// Nothing where it has completed.
    pub(super) fn cancel(&mut self, key: Key) {
        // Nothing that starts later can be hit: the key is another, and the kernel takes operations
        // in the order in which they were queued.
        if self.slots[key.slot()].as_ref().is_some_and(|slot| slot.key == key) {
            // Whether it found the wait or came too late, the wait's own completion says the rest.
            self.insert(opcode::AsyncCancel::new(key.0).build(), Box::new(|_| ()), Kind::Transfer);
        }
    }

    /// Cancels all waits in flight.
    pub(super) fn cancel_waits(&mut self) {
        let waits = self.slots.iter().flatten().filter(|slot| slot.kind == Kind::Wait);
        let keys: Vec<Key> = waits.map(|slot| slot.key).collect();
        keys.into_iter().for_each(|key| self.cancel(key));
    }

    fn insert(&mut self, entry: squeue::Entry, done: Done, kind: Kind) -> Key {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        assert!(self.slots[slot].is_none());
        let key = Key::new(slot, self.started);
        self.started = self.started.wrapping_add(1);
        self.slots[slot] = Some(Slot { key, kind, done });
        let entry = entry.user_data(key.0);
        // None overtakes one that waits.
        if !self.backlog.is_empty() || !self.push(&entry) {
            self.backlog.push_back(entry);
        }
        key
    }

    /// False where the submission queue is full.
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the slot that the entry names owns, by the contract of `start` (a cancellation
        // names neither memory nor a descriptor), all that the kernel will touch, until `next` takes the slot's closure out, after the completion.
        // `IoUring` and with it the rest of the slots are dropped only when none is taken: see
        // `Drop`.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// Moves what fits from the backlog into the submission queue.
    fn queue(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.push(&entry) {
                return self.backlog.push_front(entry);
            }
        }
    }

    /// Operations that have not completed.
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether the kernel has something for us, or we for it.
    pub(super) fn needs_attention(&mut self) -> bool {
        self.wants_call() || self.has_completions()
    }

    /// Whether there is something to hand over, or completions that only a call brings.
    fn wants_call(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    pub(super) fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Hands over what is queued and lets the kernel complete what it has put off; no call where
    /// there is neither.
    pub(super) fn submit(&mut self) {
        self.queue();
        if self.wants_call() && !self.accepts(self.ring.submit()) {
            self.recover(Duration::ZERO);
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
        let timeout = timeout.map_or(SLEEP_MAX, |timeout| timeout.min(SLEEP_MAX));
        let span = Timespec::from(timeout);
        let arguments = SubmitArgs::new().timespec(&span);
        // The read of the doorbell, in flight in every sleep, is no I/O that the CPU waits for, nor is
        // a peer.
        let is_idle =
            self.in_flight() - self.waits <= 1 && self.ring.params().is_feature_no_iowait();
        let flags = if is_idle { EnterFlags::NO_IOWAIT } else { EnterFlags::empty() };
        let entered = self.ring.submitter().submit_with_args_and_flags(1, &arguments, flags);
        if !self.accepts(entered) {
            self.recover(PAUSE_WITHOUT_MEMORY);
        }
    }

    /// False where the kernel is short of memory, or wants its completions taken first: what it did
    /// not take stays queued for the next turn.
    fn accepts(&self, entered: io::Result<usize>) -> bool {
        let Err(error) = entered else { return true };
        match error.raw_os_error() {
            // The time is over, or a signal came.
            Some(libc::ETIME | libc::EINTR) => true,
            Some(libc::EAGAIN | libc::EBUSY) => false,
            _ => panic!("io_uring_enter refused a ring that it had taken before: {error}"),
        }
    }

    /// Has the kernel complete what it has put off, without handing over: a call that fails to take
    /// an entry does not come to it, and so would not free what the next one needs.
    fn recover(&mut self, pause: Duration) {
        let span = Timespec::from(pause);
        let arguments = SubmitArgs::new().timespec(&span);
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        let at_least = u32::from(!pause.is_zero());
        // SAFETY: nothing is handed over; the flags say that the argument is the extended one, which
        // it is, and it and the time that it points to outlive the call.
        let entered =
            unsafe { self.ring.submitter().enter(0, at_least, flags.bits(), Some(&arguments)) };
        // A second refusal: the next turn tries again.
        self.accepts(entered);
    }

    /// The next completion: its result and who waits for it. The closure is to be called when the
    /// ring is not borrowed, for it may start other operations.
    pub(super) fn next(&mut self) -> Option<(Done, i32)> {
        let completion = self.ring.completion().next()?;
        let key = Key(completion.user_data());
        let slot = self.slots[key.slot()].take().expect("an operation completes once");
        assert_eq!(slot.key, key);
        if slot.kind == Kind::Wait {
            self.waits -= 1;
        }
        self.free.push(key.slot());
        Some((slot.done, completion.result()))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.in_flight() > 0 {
            // The kernel would go on with memory that the closures are about to free, and an
            // unwinding that starts here would free it.
            super::abort(&"a ring ends before its operations");
        }
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use io_uring::types;

    use super::*;
    use crate::cores;

    fn ring() -> Ring {
        Ring::new(&cores::process_cpu_set()).expect("the tests need io_uring")
    }

    /// More than the submission queue takes: the rest waits, and nothing is done twice or never.
    #[test]
    fn a_full_queue_keeps_the_order_and_loses_nothing() {
        let mut ring = ring();
        let results = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let count = 3 * SUBMISSIONS as usize;
        for number in 0..count {
            let results = std::rc::Rc::clone(&results);
            let done = move |result| results.borrow_mut().push((number, result));
            // SAFETY: a NOP names neither memory nor a descriptor.
            unsafe { ring.start(opcode::Nop::new().build(), Box::new(done)) };
        }
        finish(&mut ring);
        let expected: Vec<_> = (0..count).map(|number| (number, 0)).collect();
        assert_eq!(*results.borrow(), expected);
        assert!(!ring.needs_attention());
    }

    #[test]
    fn a_sleep_without_end_is_one_of_an_hour_and_any_length_is_taken() {
        let mut ring = ring();
        for timeout in [Some(Duration::MAX), Some(Duration::from_secs(u64::MAX)), None] {
            // SAFETY: a NOP names neither memory nor a descriptor.
            unsafe { ring.start(opcode::Nop::new().build(), Box::new(|_| ())) };
            ring.wait(timeout);
            assert!(ring.next().is_some());
        }
    }

    /// Waits until all is done.
    fn finish(ring: &mut Ring) {
        while ring.in_flight() > 0 {
            ring.wait(None);
            while let Some((done, result)) = ring.next() {
                done(result);
            }
        }
    }

    #[test]
    fn a_wait_ends_when_it_is_cancelled_and_no_other_does() {
        let mut ring = ring();
        let (silent, _peer) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        let silent = std::rc::Rc::new(silent);
        let results = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let wait = |ring: &mut Ring, number: usize| {
            let (owned, results) = (std::rc::Rc::clone(&silent), std::rc::Rc::clone(&results));
            let entry = opcode::PollAdd::new(types::Fd(silent.as_raw_fd()), libc::POLLIN as u32);
            let done = move |result| {
                drop(owned);
                results.borrow_mut().push((number, result));
            };
            // SAFETY: the entry names only a descriptor, and `done` owns a share of it.
            unsafe { ring.start_wait(entry.build(), Box::new(done)) }
        };
        let first = wait(&mut ring, 0);
        let second = wait(&mut ring, 1);
        ring.submit();
        ring.cancel(first);
        while results.borrow().is_empty() {
            ring.wait(None);
            while let Some((done, result)) = ring.next() {
                done(result);
            }
        }
        assert_eq!(*results.borrow(), [(0, -libc::ECANCELED)]);
        // In the slot that is free again: the old key does not name it.
        let third = wait(&mut ring, 2);
        ring.cancel(first);
        assert_ne!(third, second);
        ring.submit();
        assert_eq!(ring.waits, 2);
        ring.cancel_waits();
        finish(&mut ring);
        assert_eq!(ring.waits, 0);
        let mut ended = results.take();
        ended.sort_unstable();
        let cancelled = -libc::ECANCELED;
        assert_eq!(ended, [(0, cancelled), (1, cancelled), (2, cancelled)]);
    }

    /// The CPUs that the kernel's threads for this thread may run on.
    fn worker_cpus() -> Vec<Vec<u32>> {
        let own = format!("iou-wrk-{}", rustix::thread::gettid().as_raw_nonzero());
        let tasks = procfs::process::Process::myself().expect("there is /proc").tasks();
        let statuses = tasks.expect("it lists threads").filter_map(|task| task.ok()?.status().ok());
        let of_own = statuses.filter(|status| status.name == own);
        of_own
            .map(|status| {
                let ranges = status.cpus_allowed_list.expect("a thread has an affinity");
                ranges.into_iter().flat_map(|(first, last)| first..=last).collect()
            })
            .collect()
    }

    #[test]
    fn the_threads_of_the_kernel_keep_to_the_cpus_told() {
        let cpu = *cores::online_cpus().last().expect("this runs on one");
        // SAFETY: a set of CPUs is an array of plain bits: all zero is the empty one.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the CPU is one of the 1,024 that the set has bits for.
        unsafe { libc::CPU_SET(cpu, &mut set) };
        let mut ring = Ring::new(&set).expect("the tests need io_uring");
        let file = std::fs::File::open("/proc/self/exe").expect("it is this test");
        let descriptor = types::Fd(file.as_raw_fd());
        let entry = opcode::Fsync::new(descriptor).build().flags(squeue::Flags::ASYNC);
        // SAFETY: the entry names only a descriptor, and `done` owns the file.
        unsafe { ring.start(entry, Box::new(move |_| drop(file))) };
        ring.wait(None);
        let (done, _) = ring.next().expect("a flush completes");
        done(0);
        let workers = worker_cpus();
        assert!(!workers.is_empty());
        assert!(workers.iter().all(|cpus| *cpus == [cpu as u32]), "{workers:?}");
    }

    #[test]
    fn recovery_ends_without_completions() {
        let mut ring = ring();
        ring.recover(Duration::ZERO);
        ring.recover(PAUSE_WITHOUT_MEMORY);
        assert!(ring.next().is_none());
    }
}
