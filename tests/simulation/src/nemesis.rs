//! Who sends the faults: which, and at which operation of the seed.

use std::time::Duration;

use fastrand::Rng;
use runtime::sim::{self, CrashPoint, Fault, Latency};

use crate::plan::{FaultKind, Plan};
use crate::world::World;

/// What happens at an operation.
#[derive(Clone, Copy, Debug)]
enum Action {
    Fault(FaultKind),
    EmptyDisk,
    Crash(CrashPoint),
}

/// The faults to come.
pub struct Nemesis {
    random: Rng,
    /// By operation, in no order.
    actions: Vec<(u64, Action)>,
    struck: usize,
}

impl Nemesis {
    /// Spreads the plan's faults over the seed's operations.
    pub fn new(plan: &Plan, mut random: Rng) -> Nemesis {
        let faults = plan.faults.iter();
        let at = |fault| (random.u64(1..plan.operations), Action::Fault(fault));
        let actions = faults.copied().map(at).collect();
        Nemesis { random, actions, struck: 0 }
    }

    /// Faults sent so far, crashes not counted.
    pub fn struck(&self) -> usize {
        self.struck
    }

    /// The run crashes near operation `operation`.
    pub fn plan_crash(&mut self, operation: u64) {
        let point = self.crash_point();
        self.actions.push((operation, Action::Crash(point)));
    }

    fn crash_point(&mut self) -> CrashPoint {
        match self.random.u8(0..4) {
            0 => CrashPoint::Steps(self.random.u64(0..400)),
            1 => CrashPoint::Elapsed(Duration::from_micros(self.random.u64(0..5_000))),
            _ => CrashPoint::Operations(self.random.u64(1..=12)),
        }
    }

    /// A life is over: its crash is, and the disk has room again.
    pub fn end_life(&mut self) {
        self.actions.retain(|(_, action)| matches!(action, Action::Fault(_)));
    }

    fn next(&mut self, operation: u64) -> Option<Action> {
        let due = self.actions.iter().position(|(at, _)| *at <= operation)?;
        Some(self.actions.swap_remove(due).1)
    }
}

impl World {
    /// Does what is due at this operation.
    pub(crate) fn strike(&self) {
        loop {
            let action = self.nemesis.borrow_mut().next(self.operation());
            match action {
                None => return,
                Some(Action::EmptyDisk) => self.empty_disk(),
                Some(Action::Crash(point)) => {
                    self.tell(|| format!("a crash is near: {point:?}"));
                    sim::crash_at(point);
                }
                Some(Action::Fault(kind)) => self.send(kind),
            }
        }
    }

    fn send(&self, kind: FaultKind) {
        let Nemesis { random, actions, struck } = &mut *self.nemesis.borrow_mut();
        *struck += 1;
        self.tell(|| format!("fault {kind:?}"));
        let spared = random.u64(0..12);
        match kind {
            FaultKind::WriteError => self.disk.plan_fault(Fault::WriteError, spared),
            FaultKind::ShortWrite => self.disk.plan_fault(Fault::ShortWrite, spared),
            FaultKind::FlushError => self.disk.plan_fault(Fault::FlushError, spared),
            FaultKind::DirectoryError => self.disk.plan_fault(Fault::DirectoryError, spared / 4),
            FaultKind::FullDisk => {
                let room = random.u64(0..=2 * self.plan.options.segment_bytes);
                self.fill_disk(room);
                actions.push((self.operation() + random.u64(20..=60), Action::EmptyDisk));
            }
            FaultKind::WallJump => {
                let hours = 2 * 3_600_000;
                let small = random.i64(-2_000..=2_000);
                let large = random.i64(-hours..=hours);
                self.disk.jump_wall_clock(if random.bool() { small } else { large });
            }
            FaultKind::WallJitter => {
                let mut faults = self.disk.faults();
                faults.wall_jump_chance = 0.05;
                faults.wall_jump_max = Duration::from_millis(random.u64(2..5_000));
                self.disk.set_faults(faults);
            }
            FaultKind::SlowDisk => {
                let mut faults = self.disk.faults();
                let slow = |latency: Latency| Latency {
                    slow_chance: 0.05,
                    slow_max: Duration::from_millis(20),
                    ..latency
                };
                faults.read_latency = slow(faults.read_latency);
                faults.write_latency = slow(faults.write_latency);
                faults.flush_latency = slow(faults.flush_latency);
                self.disk.set_faults(faults);
            }
        }
    }
}
