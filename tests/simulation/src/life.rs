//! One life of the folder, from its opening to its end: within one run of the simulation.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use runtime::clock;
use runtime::sim::{self, CrashPoint, Options, Outcome};
use runtime::task;

use crate::check::{Check, Finding};
use crate::client::Client;
use crate::opening;
use crate::plan::{Ending, Stop, pick};
use crate::reading::Following;
use crate::session::{ANSWER_AFTER_MAX, Session};
use crate::world::World;

/// More steps than any life needs.
const STEPS_MAX: u64 = 3_000_000;
/// How long an idle folder is left alone: its marks are long there.
const QUIET: Duration = Duration::from_millis(400);
/// How often a condition is looked at that nobody announces.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a life is for.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Clients work until the stop.
    Working(Stop),
    /// It dies while it opens.
    DiesInOpening,
    /// Everything is read once more.
    Last {
        /// A byte rots before.
        rots: bool,
    },
}

/// Runs one life on the world's disk until it ends or dies.
pub fn run(world: &Rc<World>, role: Role, random: &mut Rng) {
    world.next_life();
    world.tell(|| format!("a life begins: {role:?}"));
    let mut options = Options { steps_max: STEPS_MAX, ..Options::default() };
    match role {
        Role::Working(Stop { operation, ending: Ending::Crash, .. }) => {
            world.nemesis.borrow_mut().plan_crash(operation);
        }
        Role::DiesInOpening => options.crash = Some(CrashPoint::Operations(random.u64(1..=60))),
        Role::Working(_) | Role::Last { .. } => {}
    }
    let seed = random.u64(..);
    let main = live(Rc::clone(world), role, random.fork());
    match sim::run(seed, &world.disk, &options, main) {
        Outcome::Done(()) | Outcome::Crashed => {}
        Outcome::Deadlock { tasks } => {
            let seen = format!("{tasks} tasks wait for ever");
            world.fail(None, Finding::new(Check::Deadlock, "an end", seen));
        }
        Outcome::Livelock { steps } => {
            let seen = format!("{steps} steps without one");
            world.fail(None, Finding::new(Check::Livelock, "an end", seen));
        }
    }
}

async fn live(world: Rc<World>, role: Role, mut random: Rng) {
    world.begin_life();
    let Some(session) = opening::open(&world, role, &mut random).await else { return };
    let session = Rc::new(session);
    world.opened.set(true);
    world.tell(|| "the folder is open");
    match role {
        Role::DiesInOpening => {}
        Role::Last { .. } => {
            session.read_everything(&mut random).await;
            shut_down(&session).await;
        }
        Role::Working(stop) => {
            if random.u8(0..3) == 0 {
                session.read_everything(&mut random).await;
            }
            while world.oracle.borrow().shards.len() < world.plan.shard_count as usize {
                let retention_ms = pick(&mut random, &world.plan.retentions_ms);
                if !session.create_shard(retention_ms).await {
                    break;
                }
            }
            work(&session, stop, &mut random).await;
            end(&session, stop.ending, &mut random).await;
        }
    }
}

/// Clients work until the stop's operation, or until nothing works any more.
async fn work(session: &Rc<Session>, stop: Stop, random: &mut Rng) {
    let clients = (0..random.usize(3..=6)).map(|_| {
        let client = Client::new(Rc::clone(session), random.fork(), stop.operation);
        task::spawn(client.run())
    });
    for client in clients.collect::<Vec<_>>() {
        client.await;
    }
    session.ending.set(true);
}

async fn end(session: &Rc<Session>, ending: Ending, random: &mut Rng) {
    let world = &session.world;
    world.tell(|| "the clients are done");
    while session.unanswered.get() > 0 {
        clock::sleep(LOOK_EVERY).await;
    }
    session.check_failures();
    catch_up(session).await;
    if random.bool() {
        session.read_everything(random).await;
    }
    match ending {
        // The crash came nearer and never came: it ends here all the same.
        Ending::Crash => return,
        Ending::Quiet => {
            world.empty_disk();
            clock::sleep(QUIET).await;
        }
        Ending::Shutdown => {
            world.empty_disk();
            shut_down(session).await;
        }
    }
    session.check_failures();
    world.witnessed.set(!session.has_any_failed() && !world.is_excused());
}

/// Followers get all there is within a time.
async fn catch_up(session: &Rc<Session>) {
    let deadline = clock::now() + ANSWER_AFTER_MAX;
    let followings: Vec<Rc<Following>> = session.followings.borrow().clone();
    for following in followings {
        loop {
            let shard = following.shard;
            let tail = session.log(shard).shard(shard.slot).durable_index;
            let position = following.position.get();
            let is_there = position >= tail
                || following.ended.get()
                || session.has_nothing_from(shard, position).await;
            if is_there || session.world.is_excused() {
                break;
            }
            if clock::now() > deadline {
                let seen = format!("a follower at {}", following.position.get());
                let finding = Finding::new(Check::FollowerStarved, format!("all to {tail}"), seen);
                session.world.judge(Some(shard.key), Err::<(), _>(finding));
                return;
            }
            clock::sleep(LOOK_EVERY).await;
        }
    }
}

async fn shut_down(session: &Rc<Session>) {
    session.world.tell(|| "everything is shut down");
    let all = async {
        for log in &session.logs {
            log.shutdown().await;
        }
        session.catalog.shutdown().await
    };
    match clock::timeout_at(clock::now() + ANSWER_AFTER_MAX, all).await {
        Some(Ok(())) => {}
        Some(Err(error)) if session.world.is_excused() => {
            session.world.tell(|| format!("the catalog's end failed: {error}"));
        }
        Some(Err(error)) => {
            let finding = Finding::new(Check::FailedWithoutCause, "an orderly end", error);
            session.world.judge(None, Err::<(), _>(finding));
        }
        None => {
            let finding = Finding::new(Check::NeverAcknowledged, "an end of the shutdown", "none");
            session.world.judge(None, Err::<(), _>(finding));
        }
    }
}
