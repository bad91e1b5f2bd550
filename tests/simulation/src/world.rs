//! What outlives the lives of one seed: the disk, the oracle, the counters, and the first violation.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::Duration;

use fastrand::Rng;
use runtime::clock::{self, Instant};
use runtime::sim::{self, Disk};

use crate::autopsy::Chain;
use crate::check::{Finding, Violation};
use crate::coverage::{Coverage, Reached};
use crate::nemesis::Nemesis;
use crate::oracle::Oracle;
use crate::plan::Plan;
use crate::rot::Rot;

/// How long after a full disk had room again a log may still refuse.
const SPACE_NOTICED_AFTER: Duration = Duration::from_secs(2);
/// No jump of the wall clock in one seed goes further, ms.
const JUMP_MS_MAX: u64 = 3 * 3_600_000;

/// A seal that is about to be written.
#[derive(Clone, Copy)]
struct Watched {
    log: u16,
    life: u32,
    /// Writes of the disk before.
    writes: u64,
}

/// One seed's world.
pub struct World {
    /// The seed.
    pub seed: u64,
    /// What the seed does.
    pub plan: Plan,
    /// Its disk.
    pub disk: Disk,
    /// Who judges.
    pub oracle: RefCell<Oracle>,
    /// Who sends the faults.
    pub nemesis: RefCell<Nemesis>,
    coverage: RefCell<Coverage>,
    operation: Cell<u64>,
    life: Cell<u32>,
    next_number: Cell<u64>,
    violation: RefCell<Option<Violation>>,
    tells: bool,
    /// Error counts of the disk when the life started.
    errors_before: Cell<u64>,
    started: Cell<Instant>,
    /// The clock of retention was at most here when the life started, Unix ms.
    clock_ms_before: Cell<u64>,
    /// The folder was opened in this life.
    pub opened: Cell<bool>,
    /// The life ended so that everything acknowledged has a witness.
    pub witnessed: Cell<bool>,
    seal_watched: Cell<Option<Watched>>,
    /// Writes of the disk when the life before ended.
    writes_at_end: Cell<u64>,
    /// The damage that was done, if it was.
    pub rot: RefCell<Option<Rot>>,
    full: Cell<bool>,
    full_told: Cell<bool>,
    full_until: Cell<Option<Instant>>,
}

impl World {
    /// The world of `seed` before its first life. With `tells` it prints what happens.
    pub fn new(seed: u64, tells: bool) -> World {
        let mut random = Rng::with_seed(seed);
        let plan = Plan::draw(&mut random);
        let nemesis = Nemesis::new(&plan, random.fork());
        World {
            seed,
            plan,
            disk: Disk::new(seed),
            oracle: RefCell::default(),
            nemesis: RefCell::new(nemesis),
            coverage: RefCell::default(),
            operation: Cell::new(0),
            life: Cell::new(0),
            next_number: Cell::new(1),
            violation: RefCell::new(None),
            tells,
            errors_before: Cell::new(0),
            started: Cell::new(Instant::from_nanos(0)),
            clock_ms_before: Cell::new(0),
            opened: Cell::new(false),
            witnessed: Cell::new(false),
            seal_watched: Cell::new(None),
            writes_at_end: Cell::new(0),
            rot: RefCell::new(None),
            full: Cell::new(false),
            full_told: Cell::new(false),
            full_until: Cell::new(None),
        }
    }

    /// A number that was not given before: for records, keys, values.
    pub fn number(&self) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        number
    }

    /// The seal of life `life` is the next write of the log, whose opening begins.
    pub fn watch_seal(&self, log: u16, life: u32) {
        self.seal_watched.set(Some(Watched { log, life, writes: self.disk.counts().writes }));
    }

    /// After a death: whether it took the seal of the life before.
    pub fn note_seal(&self, log: u16, chain: &Chain) {
        let Some(watched) = self.seal_watched.get().filter(|watched| watched.log == log) else {
            return;
        };
        self.seal_watched.set(None);
        let is_there = chain.frames.iter().any(|place| place.header.life == watched.life);
        if !is_there && self.writes_at_end.get() > watched.writes {
            self.reach(Reached::SealTorn);
        }
    }

    /// Operations so far.
    pub fn operation(&self) -> u64 {
        self.operation.get()
    }

    /// Which life it is, from 1.
    pub fn life(&self) -> u32 {
        self.life.get()
    }

    /// A client begins an operation; faults whose time has come strike.
    pub fn begin_operation(&self) {
        self.operation.set(self.operation.get() + 1);
        self.strike();
    }

    /// A life begins, within its run.
    pub fn begin_life(&self) {
        self.started.set(clock::now());
        self.full_until.set(None);
        self.note_clock(clock::wall_ms());
    }

    /// The life is over and the machine is at rest: the disk has room again, crashes are due anew.
    pub fn end_life(&self) {
        let mut faults = self.disk.faults();
        faults.bytes_max = None;
        self.disk.set_faults(faults);
        self.full.set(false);
        self.writes_at_end.set(self.disk.counts().writes);
        self.nemesis.borrow_mut().end_life();
    }

    /// The next life is about to run.
    pub fn next_life(&self) {
        self.life.set(self.life.get() + 1);
        self.opened.set(false);
        self.witnessed.set(false);
        self.errors_before.set(self.errors());
    }

    /// The disk's errors so far. That it was full is none: a log has to live with that.
    fn errors(&self) -> u64 {
        let counts = self.disk.counts();
        counts.write_errors
            + counts.short_writes
            + counts.flush_errors
            + counts.read_errors
            + counts.directory_errors
    }

    /// Whether the disk has given a reason to fail in this life.
    pub fn is_excused(&self) -> bool {
        self.errors() > self.errors_before.get()
    }

    /// The retention's clock has been here.
    pub fn note_clock(&self, arrival_ms: u64) {
        let elapsed_ms = self.elapsed_ms();
        let before = self.clock_ms_before.get() + elapsed_ms;
        if arrival_ms > before {
            self.clock_ms_before.set(arrival_ms.saturating_sub(elapsed_ms));
        }
    }

    /// The retention's clock is at most here.
    pub fn clock_ms_max(&self) -> u64 {
        let jumps_ms = self.disk.counts().wall_jumps.saturating_mul(JUMP_MS_MAX);
        self.clock_ms_before.get() + self.elapsed_ms() + 1 + jumps_ms
    }

    fn elapsed_ms(&self) -> u64 {
        let elapsed = clock::now() - self.started.get();
        u64::try_from(elapsed.as_millis()).expect("a seed is short")
    }

    /// The disk has `bytes` of room left from now on.
    pub fn fill_disk(&self, bytes: u64) {
        let mut faults = self.disk.faults();
        faults.bytes_max = Some(self.disk.total_bytes() + bytes);
        self.disk.set_faults(faults);
        self.full.set(true);
        self.full_told.set(false);
        self.tell(|| format!("the disk has {bytes} bytes of room left"));
    }

    /// The disk has room again.
    pub fn empty_disk(&self) {
        let mut faults = self.disk.faults();
        faults.bytes_max = None;
        self.disk.set_faults(faults);
        if self.full.replace(false) {
            self.full_until.set(Some(clock::now() + SPACE_NOTICED_AFTER));
            self.tell(|| "the disk has room again".to_owned());
        }
    }

    /// Whether a log may say that the disk is full.
    pub fn may_be_full(&self) -> bool {
        self.full.get() || self.full_until.get().is_some_and(|until| clock::now() <= until)
    }

    /// An append was refused because the disk is full.
    pub fn note_refused_as_full(&self) {
        if !self.full_told.replace(true) {
            self.reach(Reached::FullDisk);
        }
    }

    /// An append was accepted; the first after the disk had been full for one is worth a note.
    pub fn note_accepted(&self) {
        if !self.full.get() && self.full_told.replace(false) {
            self.reach(Reached::SpaceBack);
        }
    }

    /// Something was covered.
    pub fn reach(&self, what: Reached) {
        self.coverage.borrow_mut().reach(what);
    }

    /// What was covered.
    pub fn coverage(&self) -> Coverage {
        self.coverage.borrow().clone()
    }

    /// The first violation ends the seed.
    pub fn fail(&self, shard: Option<u64>, finding: Finding) {
        let mut first = self.violation.borrow_mut();
        if first.is_none() {
            let (life, operation) = (self.life(), self.operation());
            let violation = Violation { seed: self.seed, life, operation, shard, finding };
            self.tell(|| format!("VIOLATION {violation}"));
            *first = Some(violation);
        }
    }

    /// As [`World::fail`], within a run, which stops dead.
    pub fn judge<T>(&self, shard: Option<u64>, result: Result<T, Finding>) -> Option<T> {
        result
            .map_err(|finding| {
                self.fail(shard, finding);
                sim::crash_after(0);
            })
            .ok()
    }

    /// The first violation, if there is one.
    pub fn violation(&self) -> Option<Violation> {
        self.violation.borrow().clone()
    }

    /// Prints a line of the story if anybody wants to hear it.
    pub fn tell<T: Display>(&self, line: impl FnOnce() -> T) {
        if self.tells {
            let (life, operation) = (self.life(), self.operation());
            println!("life {life} operation {operation:3}: {}", line());
        }
    }
}
