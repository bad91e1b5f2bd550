//! The simulated machine's memory between runs: its disk, its clocks and what has gone wrong.
//!
//! A [`Disk`] survives the runs on it, as a machine survives its processes. It holds no task and no
//! waker of a run that has ended: what was in flight then stays undecided until [`Disk::crash`] or
//! [`Disk::kill`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use super::content::Severity;
pub(crate) use super::directory::{
    DirectoryLock, create, create_directory_all, exists, free_bytes, list, lock_directory, open,
    remove, rename, sync_directory,
};
use super::faults::{Counts, Fault, Faults};
pub(crate) use super::file::{Completion, SimFile};
use super::operation::Operations;
use super::random::{Generator, Stream, Trace};
use super::tree::{FileNode, NodeId, Tree};

/// Wall clock at the start: 2024-01-01T00:00:00Z.
const WALL_START_MS: i64 = 1_704_067_200_000;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;
/// The monotonic clock starts somewhere below this at each boot: it must not be taken for an age.
const BOOT_NS_MAX: u64 = 1 << 40;
/// A machine is down for up to a minute after a power cut.
const DOWN_MS_MAX: u64 = 60_000;
/// What is free on a disk without a bound.
const UNBOUNDED_BYTES: u64 = 1 << 40;

/// A simulated disk with its machine's clocks. Clones are the same disk.
#[derive(Clone)]
pub struct Disk {
    inner: Rc<Inner>,
}

struct Inner {
    trace: Trace,
    now_ns: Cell<u64>,
    wall_offset_ms: Cell<i64>,
    running: Cell<bool>,
    state: RefCell<State>,
}

/// Everything but the clocks; borrowed for the length of one operation, never across a poll.
pub(super) struct State {
    pub(super) random: Generator,
    pub(super) faults: Faults,
    pub(super) counts: Counts,
    pub(super) tree: Tree,
    pub(super) operations: Operations,
    /// Directories locked by the running process.
    pub(super) locks: BTreeSet<NodeId>,
    /// Counts processes: a handle of an earlier one is void.
    pub(super) epoch: u64,
    planned: Vec<Plan>,
}

struct Plan {
    fault: Fault,
    /// How many operations that could suffer the fault are spared before.
    spared: u64,
}

impl Disk {
    /// An empty disk, with a root directory and no faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Generator::new(seed, Stream::Disk);
        let now_ns = random.below(BOOT_NS_MAX);
        let started_ms = i64::try_from(now_ns / NANOSECONDS_PER_MILLISECOND);
        let started_ms = started_ms.expect("a boot time is below 2^40 ns");
        let state = State {
            random,
            faults: Faults::default(),
            counts: Counts::default(),
            tree: Tree::new(),
            operations: Operations::default(),
            locks: BTreeSet::new(),
            epoch: 0,
            planned: Vec::new(),
        };
        let inner = Inner {
            trace: Trace::default(),
            now_ns: Cell::new(now_ns),
            wall_offset_ms: Cell::new(WALL_START_MS - started_ms),
            running: Cell::new(false),
            state: RefCell::new(state),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Replaces the chances of faults and the latencies, from the next operation on.
    pub fn set_faults(&self, faults: Faults) {
        self.with(|state| state.faults = faults);
    }

    /// The chances of faults and the latencies in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.with(|state| state.faults.clone())
    }

    /// Aims one fault at the first operation that can suffer it after `spared` others that could.
    pub fn plan_fault(&self, fault: Fault, spared: u64) {
        self.with(|state| state.planned.push(Plan { fault, spared }));
    }

    /// What has happened on this disk since it was made.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    /// A hash of every decision of the scheduler, the disk and the clocks so far, over all runs:
    /// equal seeds must give equal hashes.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.inner.trace.hash()
    }

    /// Somebody sets the wall clock, forward or back.
    pub fn jump_wall_clock(&self, by_ms: i64) {
        self.inner.wall_offset_ms.set(self.inner.wall_offset_ms.get() + by_ms);
        self.inner.trace.note(by_ms.cast_unsigned());
        self.with(|state| state.counts.wall_jumps += 1);
    }

    /// The power fails: of every write, size and change of a directory that was not durable, any
    /// part may be left. The machine boots again, its monotonic clock starts anew.
    ///
    /// # Panics
    /// Within a run: end it first, by [`super::crash_at`].
    pub fn crash(&self) {
        self.assert_at_rest();
        let boot_ns = self.with(|state| {
            state.counts.crashes += 1;
            let State { random, counts, tree, .. } = state;
            let severity = Severity::draw(random);
            for file in tree.files() {
                file.content.crash(severity, random, counts);
            }
            tree.crash(Severity::draw(random), random, counts);
            random.below(BOOT_NS_MAX)
        });
        let wall_ms = self.wall_now_ms() + self.with(|state| state.random.below(DOWN_MS_MAX));
        self.inner.now_ns.set(boot_ns);
        let boot_ms = (boot_ns / NANOSECONDS_PER_MILLISECOND).cast_signed();
        self.inner.wall_offset_ms.set(wall_ms.cast_signed() - boot_ms);
        self.inner.trace.note(boot_ns);
    }

    /// The process dies and the machine goes on: completed writes stay visible, each one in flight
    /// completes, or does not, or in part. Nothing becomes durable by it.
    ///
    /// # Panics
    /// Within a run.
    pub fn kill(&self) {
        self.assert_at_rest();
        self.with(|state| {
            state.counts.kills += 1;
            let State { random, tree, .. } = state;
            tree.files().for_each(|file| file.content.kill(random));
            tree.collect();
        });
    }

    fn assert_at_rest(&self) {
        assert!(!self.inner.running.get(), "the power is cut between runs; see sim::crash_at");
    }

    pub(super) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.inner.state.borrow_mut())
    }

    pub(super) fn trace(&self) -> &Trace {
        &self.inner.trace
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.inner.now_ns.get()
    }

    pub(super) fn advance_to(&self, now_ns: u64) {
        assert!(now_ns >= self.now_ns());
        self.inner.now_ns.set(now_ns);
    }

    /// The wall clock as a program reads it, which may be the moment that somebody sets it.
    pub(super) fn read_wall_ms(&self) -> u64 {
        let jump_ms = self.with(|state| {
            let chance = state.faults.wall_jump_chance;
            let max_ms = i64::try_from(state.faults.wall_jump_max.as_millis());
            let max_ms = max_ms.expect("a jump is below 292 million years");
            let span = max_ms.unsigned_abs() * 2 + 1;
            let struck = state.random.chance(chance);
            struck.then(|| state.random.below(span).cast_signed() - max_ms)
        });
        if let Some(jump_ms) = jump_ms {
            self.jump_wall_clock(jump_ms);
        }
        self.wall_now_ms()
    }

    fn wall_now_ms(&self) -> u64 {
        let now_ms = (self.now_ns() / NANOSECONDS_PER_MILLISECOND).cast_signed();
        // A clock set to before 1970 reads 1970, as clock::wall_ms says.
        u64::try_from(self.inner.wall_offset_ms.get() + now_ms).unwrap_or(0)
    }

    /// A process starts on the disk. What an earlier one left in flight is decided now.
    pub(super) fn start_process(&self) {
        assert!(!self.inner.running.get(), "one process runs on a disk at a time");
        if self.with(|state| state.tree.files().any(|file| file.content.is_busy())) {
            self.kill();
        }
        self.inner.running.set(true);
    }

    /// The process is gone: its operations never complete, its handles and locks are void.
    pub(super) fn end_process(&self) {
        let operations = self.with(|state| {
            state.epoch += 1;
            state.locks.clear();
            state.tree.close_all();
            std::mem::take(&mut state.operations)
        });
        // Results may hold buffers and wakers: let them go while nothing is borrowed.
        drop(operations);
        self.inner.running.set(false);
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Disk").field("trace_hash", &self.trace_hash()).finish()
    }
}

impl State {
    /// Whether a fault strikes this operation, by plan or by chance.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let chance = self.faults.chance(fault);
        let struck = self.planned_now(fault) || self.random.chance(chance);
        if struck {
            self.counts.count(fault);
        }
        struck
    }

    /// As `strikes`, with the network's own chance: what is sent does not change the disk.
    pub(super) fn strikes_network(&mut self, fault: Fault, random: &mut Generator) -> bool {
        let chance = self.faults.chance(fault);
        let struck = self.planned_now(fault) || random.chance(chance);
        if struck {
            self.counts.count(fault);
        }
        struck
    }

    fn planned_now(&mut self, fault: Fault) -> bool {
        let mut struck = None;
        for (index, plan) in self.planned.iter_mut().enumerate() {
            if plan.fault == fault {
                match plan.spared.checked_sub(1) {
                    Some(spared) => plan.spared = spared,
                    None => struck = struck.or(Some(index)),
                }
            }
        }
        struck.is_some_and(|index| {
            self.planned.remove(index);
            true
        })
    }

    /// Whether `bytes` more fit; counts the refusal where they do not.
    pub(super) fn has_room(&mut self, bytes: u64) -> bool {
        if self.planned_now(Fault::NoSpace) || bytes > self.free_bytes() {
            self.counts.count(Fault::NoSpace);
            return false;
        }
        true
    }

    pub(super) fn free_bytes(&mut self) -> u64 {
        let bytes_max = self.faults.bytes_max.unwrap_or(UNBOUNDED_BYTES);
        bytes_max.saturating_sub(self.tree.allocated_bytes())
    }

    /// An operation or a handle of the file has ended.
    pub(super) fn user_leaves(&mut self, node: NodeId) -> &mut FileNode {
        let file = self.tree.file(node);
        file.users = file.users.checked_sub(1).expect("a user leaves once");
        file
    }
}
