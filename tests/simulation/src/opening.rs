//! Opens the folder as a server would, and judges what was recovered.

use std::rc::Rc;

use fastrand::Rng;
use runtime::clock;
use runtime::file::{self, IoError};
use runtime::sim::{self, CrashPoint};
use storage::Log;
use storage::catalog::{Catalog, CatalogClient, CatalogError, CatalogState};
use storage::error::OpenError;
use storage::log::Recovered;
use storage::shard::ShardKey;

use crate::autopsy;
use crate::check::{Check, Finding};
use crate::coverage::Reached;
use crate::life::Role;
use crate::oracle::{Standing, Status};
use crate::plan::folder;
use crate::rot;
use crate::session::{ANSWER_AFTER_MAX, Session, shard_of};
use crate::world::World;

/// Opens everything. `None`: it was not opened, for a reason that the disk gave.
pub async fn open(world: &Rc<World>, role: Role, random: &mut Rng) -> Option<Session> {
    if let Err(error) = make_folder().await {
        return refused(world, format!("{error}"));
    }
    autopsy::examine_catalog(world);
    if let Role::Last { rots: true } = role {
        rot::strike_catalog(world, random);
    }
    let opened = Catalog::open(folder());
    let Some(opened) = clock::timeout_at(clock::now() + ANSWER_AFTER_MAX, opened).await else {
        return refused(world, "no answer".to_owned());
    };
    let (catalog, state) = match opened {
        Ok(opened) => opened,
        Err(CatalogError::Unreadable(_)) if rot::has_struck_catalog(world) => {
            world.reach(Reached::DamageReported);
            world.opened.set(true);
            return None;
        }
        Err(error) => return refused(world, format!("{error}")),
    };
    judge_catalog(world, &state)?;
    let logs = open_logs(world, role, random, &catalog, &state).await?;
    let session = Session::new(Rc::clone(world), catalog, logs);
    for (key, standing) in standings(&state) {
        session.apply(key, key as u16, standing);
    }
    Some(session)
}

/// The folder is the caller's to make, and its name to make durable.
async fn make_folder() -> Result<(), IoError> {
    file::create_directory_all(folder()).await?;
    file::sync_directory(folder().parent().expect("the folder stands in a directory")).await
}

fn refused<T>(world: &World, seen: String) -> Option<T> {
    world.tell(|| format!("the folder was not opened: {seen}"));
    if !world.is_excused() {
        let finding = Finding::new(Check::NotOpened, "an open folder", seen);
        world.judge(None, Err::<(), _>(finding));
    }
    None
}

fn standings(state: &CatalogState) -> impl Iterator<Item = (u64, Standing)> {
    let sets = state.sets.iter();
    sets.filter_map(|(key, value)| Some((shard_of(key)?, Standing::decode(value)?)))
}

fn judge_catalog(world: &World, state: &CatalogState) -> Option<()> {
    if !state.damage.is_empty() {
        if !rot::has_struck_catalog(world) {
            let finding =
                Finding::new(Check::DamageInvented, "none", format!("{:?}", state.damage));
            return world.judge(None, Err(finding));
        }
        world.reach(Reached::DamageReported);
    }
    let mut sets = state.sets.clone();
    sets.retain(|key, _| !(rot::has_struck_catalog(world) && key.starts_with(b"damage/")));
    let recovered = world.oracle.borrow_mut().entries.recovered(&sets);
    world.judge(None, recovered)
}

async fn open_logs(
    world: &Rc<World>,
    role: Role,
    random: &mut Rng,
    catalog: &CatalogClient,
    state: &CatalogState,
) -> Option<Vec<Log>> {
    let mut numbers: Vec<u16> = (0..world.plan.log_count).collect();
    let chains: Vec<_> =
        numbers.iter().map(|&log| autopsy::examine_log(world, state, log)).collect();
    if let Role::Last { rots: true } = role {
        rot::strike_log(world, random, &chains);
    }
    // As many cores as happen to be there open them, in whatever order.
    random.shuffle(&mut numbers);
    if matches!(role, Role::DiesInOpening) && random.bool() {
        sim::crash_at(CrashPoint::Operations(random.u64(1..=20)));
    }
    if !chains[usize::from(numbers[0])].is_new {
        world.watch_seal(numbers[0], state.life);
    }
    let mut logs = vec![None; numbers.len()];
    for number in numbers {
        let options = world.plan.log_options(number, state.life);
        let opened = Log::open(options, catalog.clone(), state);
        let Some(opened) = clock::timeout_at(clock::now() + ANSWER_AFTER_MAX, opened).await else {
            return refused(world, format!("no answer of log {number}"));
        };
        let (log, recovered) = match opened {
            Ok(opened) => opened,
            Err(OpenError::ManifestDamaged(damage)) if rot::has_struck_catalog(world) => {
                world.tell(|| format!("log {number} is refused: {damage}"));
                world.opened.set(true);
                return None;
            }
            Err(error) => return refused(world, format!("log {number}: {error}")),
        };
        judge_recovered(world, number, &log, &recovered, state)?;
        logs[usize::from(number)] = Some(log);
    }
    logs.into_iter().collect()
}

fn judge_recovered(
    world: &World,
    number: u16,
    log: &Log,
    recovered: &Recovered,
    state: &CatalogState,
) -> Option<()> {
    world.tell(|| format!("log {number} recovered: {recovered:?}"));
    let is_rotten = rot::has_struck_log(world, number);
    match (recovered.damage.is_empty(), is_rotten) {
        (true, _) => {}
        (false, true) => world.reach(Reached::DamageReported),
        (false, false) => {
            let seen = format!("{:?}", recovered.damage);
            let finding = Finding::new(Check::DamageInvented, "none", seen);
            world.judge(None, Err::<(), _>(finding))?;
        }
    }
    let keys: Vec<u64> = world.oracle.borrow().of_log(number).map(|history| history.key).collect();
    let standings: std::collections::BTreeMap<u64, Standing> = standings(state).collect();
    for key in keys {
        if standings.get(&key).is_some_and(|standing| standing.status == Status::Deleted) {
            continue;
        }
        let mut tail = 0;
        let is_excused = |rot: &rot::Rot| rot.excuses(usize::from(number), key);
        if log.find_shard(ShardKey(key)).is_none()
            && world.rot.borrow().as_ref().is_some_and(is_excused)
        {
            // All of it may have stood in the damaged frame: then it is refused when it is opened.
            continue;
        }
        if let Some(slot) = log.find_shard(ShardKey(key)) {
            let shard = log.shard(slot);
            assert_eq!(shard.durable_index, shard.next_index, "a recovered log has nothing else");
            if shard.damaged {
                judge_damaged(world, number, key)?;
                continue;
            }
            tail = shard.next_index;
        }
        let judged = world.oracle.borrow_mut().shard(key).recovered(tail);
        let judged = judged.map_err(|finding| match is_rotten {
            true => Finding { check: Check::DamageSilent, ..finding },
            false => finding,
        });
        world.judge(Some(key), judged)?;
    }
    Some(())
}

fn judge_damaged(world: &World, log: u16, key: u64) -> Option<()> {
    let rot = world.rot.borrow();
    if rot.as_ref().is_some_and(|rot| rot.excuses(usize::from(log), key)) {
        return Some(());
    }
    let finding = Finding::new(Check::DamageTooWide, "an undamaged shard", "a damaged one");
    world.judge(Some(key), Err(finding))
}
