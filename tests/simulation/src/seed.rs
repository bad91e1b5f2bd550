//! One seed from its first life to its last.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use fastrand::Rng;

use crate::check::{Check, Finding, Violation};
use crate::coverage::{Coverage, Reached};
use crate::life::{self, Role};
use crate::plan::{Ending, FAULTS_MIN, OPERATIONS_MIN, SHARDS_MIN, Stop, folder, segments_folder};
use crate::rot;
use crate::world::World;

/// A folder that cannot be opened so often in a row, with planned faults being used up, never will.
const OPENINGS_MAX: usize = 20;
/// Operations on a folder that has rotted: enough to fill a segment.
const OPERATIONS_AFTER_ROT: u64 = 80;

thread_local! {
    static CURRENT: RefCell<Weak<World>> = const { RefCell::new(Weak::new()) };
}

/// What came of a seed.
#[derive(Clone)]
pub struct Played {
    /// The first violation.
    pub violation: Option<Violation>,
    /// What was reached.
    pub coverage: Coverage,
    /// Operations of clients.
    pub operations: u64,
    /// Kills and power cuts.
    pub crashes: u64,
    /// Faults beside them.
    pub faults: u64,
    world: Rc<World>,
}

impl Played {
    /// A hash of every decision of the run and of every byte that is left on its disk.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let disk = &self.world.disk;
        let mut hash = disk.trace_hash();
        let mut note = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for directory in [folder().to_path_buf(), segments_folder()] {
            for (name, _) in disk.list_raw(&directory) {
                note(name.as_bytes());
                if directory.join(&name) != segments_folder() {
                    note(&disk.read_raw(&directory.join(&name)));
                }
            }
        }
        hash
    }
}

/// What a panic in the middle of a seed violates.
#[must_use]
pub fn violation_of_panic(message: &str) -> Option<Violation> {
    let world = CURRENT.with_borrow(Weak::upgrade)?;
    let finding = Finding::new(Check::Panic, "no broken invariant", message);
    let (seed, life, operation) = (world.seed, world.life(), world.operation());
    Some(Violation { seed, life, operation, shard: None, finding })
}

/// Plays a seed. With `tells` it prints what happens.
#[must_use]
pub fn play(seed: u64, tells: bool) -> Played {
    let world = Rc::new(World::new(seed, tells));
    CURRENT.set(Rc::downgrade(&world));
    world.tell(|| format!("{:#?}", world.plan));
    let mut random = Rng::with_seed(seed ^ 0x5eed);
    play_lives(&world, &mut random);
    let violation = world.violation();
    let counts = world.disk.counts();
    let played = Played {
        coverage: world.coverage(),
        operations: world.operation(),
        crashes: counts.crashes + counts.kills,
        faults: world.nemesis.borrow().struck() as u64,
        violation,
        world: Rc::clone(&world),
    };
    if played.violation.is_none() {
        // A seed that did less has proved less than the run's summary says.
        assert!(played.operations >= OPERATIONS_MIN);
        assert!(played.crashes >= 1);
        assert!(played.faults >= FAULTS_MIN as u64);
        assert!(world.oracle.borrow().shards.len() as u64 >= SHARDS_MIN);
    }
    played
}

fn play_lives(world: &Rc<World>, random: &mut Rng) {
    for stop in world.plan.stops.clone() {
        if stop.dies_in_opening && !live_and_die(world, Role::DiesInOpening, random) {
            return;
        }
        let mut openings = 0;
        loop {
            if !live_and_die(world, Role::Working(stop), random) {
                return;
            }
            if world.opened.get() && world.operation() >= stop.operation {
                break;
            }
            openings += 1;
            assert!(openings < OPENINGS_MAX, "a folder comes to its stop in the end");
        }
    }
    let rots = world.plan.rots && world.witnessed.get();
    if !live_last(world, rots, random) || !rot::has_struck_a_log(world) {
        return;
    }
    // What was found damaged stays refused when tables were written behind it.
    let operation = world.operation() + OPERATIONS_AFTER_ROT;
    let stop = Stop { operation, ending: Ending::Shutdown, dies_in_opening: false };
    if live_and_die(world, Role::Working(stop), random) {
        live_last(world, false, random);
    }
}

/// Opens the folder once more and reads everything. False if the seed has come to a violation.
fn live_last(world: &Rc<World>, rots: bool, random: &mut Rng) -> bool {
    for _ in 0..OPENINGS_MAX {
        if !live_and_die(world, Role::Last { rots }, random) {
            return false;
        }
        if world.opened.get() {
            return true;
        }
    }
    world.fail(None, Finding::new(Check::NotOpened, "an open folder", "one refusal after another"));
    false
}

/// False if the seed has come to a violation.
fn live_and_die(world: &Rc<World>, role: Role, random: &mut Rng) -> bool {
    life::run(world, role, random);
    if world.violation().is_some() {
        return false;
    }
    let cuts_power = world.plan.is_durable() && random.u8(0..10) < 7;
    if !world.opened.get() {
        world.reach(Reached::CrashInOpening);
    }
    if cuts_power {
        world.tell(|| "the power is cut");
        world.reach(Reached::PowerCut);
        world.disk.crash();
    } else {
        world.tell(|| "the process is dead");
        world.reach(Reached::Kill);
        world.disk.kill();
    }
    world.end_life();
    true
}
