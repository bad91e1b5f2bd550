//! One engine core: opens its logs, serves its queues, shuts its logs down.
//!
//! ```text
//! puts      ─► one at a time as far as the log's acceptance ─► a task each waits for the disk
//! commands  ─► a task each
//! lifeline  ─► its end is the sign to stop
//! ```

use std::convert::Infallible;
use std::rc::Rc;

use model::ShardIndex;
use runtime::clock;
use runtime::local::Permit;
use runtime::mesh::{Receiver, Sender};
use runtime::task;
use storage::Log;
use storage::error::OpenError;
use storage::options::LogOptions;

use crate::command::{Command, DamagedPlace, OpenLogs, OpenedLog, PreparedLog};
use crate::config::Limits;
use crate::follow::{self, Subscription};
use crate::get::serve;
use crate::memory::MemoryShares;
use crate::owner::{OwnedLog, Owner, count};
use crate::placement::{Placement, StreamNumber, shard_key};
use crate::put::PutMessage;
use crate::put::accept;
use crate::queues::{COMMANDS_UNDER_WAY_MAX, FOLLOWERS_MAX, PUTS_UNDER_WAY_MAX};
use crate::race::{First, race};
use crate::shard::{OwnedShard, OwnedStream};
use crate::stats;
use crate::stored::DeletedStream;
use crate::stream::Stream;

/// The ends of a core's queues that the core itself holds.
pub(crate) struct CoreSeat {
    pub(crate) core: usize,
    pub(crate) puts: Receiver<PutMessage>,
    pub(crate) commands: Receiver<Command>,
    /// Never carries anything: when its other end is dropped, the core stops.
    pub(crate) lifeline: Receiver<Infallible>,
}

/// The other ends, for whoever asks something of a core.
#[derive(Clone)]
pub(crate) struct CoreDoor {
    pub(crate) puts: Sender<PutMessage>,
    pub(crate) commands: Sender<Command>,
}

/// What a core works with, beside its logs.
#[derive(Clone, Copy)]
pub(crate) struct CoreSetup {
    pub(crate) placement: Placement,
    pub(crate) limits: Limits,
    pub(crate) shares: MemoryShares,
}

/// Opens the logs of a core.
///
/// # Errors
/// With the number of the log that the disk or the catalog refuses. Damage is no error.
pub(crate) async fn open(
    core: usize,
    setup: CoreSetup,
    order: OpenLogs,
) -> Result<(Rc<Owner>, Vec<OpenedLog>), (u16, OpenError)> {
    let mut logs = Vec::new();
    let mut opened = Vec::new();
    let opening: Vec<_> = order
        .logs
        .into_iter()
        .map(|options| {
            let (catalog, manifest) = (order.catalog.clone(), order.manifest.clone());
            let number = options.log;
            let open =
                async move { (Log::open(options.clone(), catalog, &manifest).await, options) };
            (number, task::spawn(open))
        })
        .collect();
    for (number, opening) in opening {
        let (result, options) = opening.await;
        let (log, report) = describe(core, &options, result).map_err(|error| (number, error))?;
        logs.push(OwnedLog { number, log });
        opened.push(report);
    }
    let CoreSetup { placement, limits, shares } = setup;
    Ok((Rc::new(Owner::new(core, placement, limits, &shares, logs)), opened))
}

fn describe(
    core: usize,
    options: &LogOptions,
    result: Result<(Log, storage::Recovered), OpenError>,
) -> Result<(Option<Log>, OpenedLog), OpenError> {
    let mut report = OpenedLog {
        log: options.log,
        core,
        directory: options.directory.clone(),
        scanned_bytes: 0,
        took: std::time::Duration::ZERO,
        shard_count: 0,
        damage: Vec::new(),
        retention_pause: None,
        refusal: None,
    };
    let (log, recovered) = match result {
        Ok(opened) => opened,
        // Damage concerns this log alone: the others are served.
        Err(
            error @ (OpenError::ManifestDamaged(_)
            | OpenError::ManifestBehind { .. }
            | OpenError::Misread { .. }
            | OpenError::TableDamaged { .. }),
        ) => {
            report.refusal = Some(error.to_string());
            return Ok((None, report));
        }
        Err(error) => return Err(error),
    };
    report.scanned_bytes = recovered.scanned_bytes;
    report.took = recovered.took;
    report.shard_count = recovered.shard_count;
    report.retention_pause = recovered.retention_pause.map(|pause| pause.to_string());
    report.damage = recovered.damage.iter().map(damaged_place).collect();
    Ok((Some(log), report))
}

fn damaged_place(damage: &storage::error::Damage) -> DamagedPlace {
    let shards = damage.shards.iter().map(|key| {
        let number = u32::try_from(key.0 >> 32).expect("32 bits");
        let shard = u32::try_from(key.0 & u64::from(u32::MAX)).expect("32 bits");
        (StreamNumber(number), ShardIndex::new(shard))
    });
    DamagedPlace { segment: damage.segment, position: damage.position, shards: shards.collect() }
}

/// Serves until the lifeline ends, then writes what waits and the marks. All that was accepted is
/// answered on return.
pub(crate) async fn serve_until_stopped(owner: Rc<Owner>, seat: CoreSeat) {
    let CoreSeat { puts, commands, mut lifeline, .. } = seat;
    let puts = task::spawn(accept::serve(Rc::clone(&owner), puts));
    let commands = task::spawn(serve_commands(Rc::clone(&owner), commands));
    let end = lifeline.recv().await;
    assert!(end.is_none());
    owner.stop();
    puts.await;
    commands.await;
    for log in owner.logs.iter().filter_map(|log| log.log.as_ref()) {
        log.shutdown().await;
    }
    drop(owner.puts_under_way.acquire(PUTS_UNDER_WAY_MAX).await);
    drop(owner.commands_under_way.acquire(COMMANDS_UNDER_WAY_MAX).await);
    drop(owner.followers.acquire(FOLLOWERS_MAX).await);
}

async fn serve_commands(owner: Rc<Owner>, mut commands: Receiver<Command>) {
    loop {
        let stopped = owner.stop.notified();
        if owner.stopping.get() {
            return;
        }
        let First::Left(Some(command)) = race(commands.recv(), stopped).await else { return };
        count(&owner.counters.command_messages);
        let permit = owner.commands_under_way.acquire(1).await;
        dispatch(&owner, command, permit);
        if task::should_yield() {
            task::yield_now().await;
        }
    }
}

fn dispatch(owner: &Rc<Owner>, command: Command, permit: Permit) {
    match command {
        Command::OpenStream { stream, is_new, reply } => {
            open_stream(owner, &stream, is_new);
            reply.send(());
        }
        Command::ForgetStream { deleted, reply } => reply.send(forget_stream(owner, deleted)),
        Command::Stats { reply } => reply.send(stats::of_core(owner)),
        Command::Follow { at, from, deliveries, cancelled } => {
            // The queue's end tells a follower too many that it is refused.
            if let Some(place) = owner.followers.try_acquire(1) {
                let subscription = Subscription { at, from, deliveries };
                drop(task::spawn(follow::feed(Rc::clone(owner), subscription, cancelled, place)));
            }
        }
        Command::Locate { at, kind, reply } => {
            let owner = Rc::clone(owner);
            drop(task::spawn(async move {
                reply.send(serve::locate(&owner, at, kind).await);
                drop(permit);
            }));
        }
        Command::Read { at, from, count, reply } => {
            let owner = Rc::clone(owner);
            drop(task::spawn(async move {
                reply.send(serve::read(&owner, at, from, count).await);
                drop(permit);
            }));
        }
        Command::Prepare { bytes_per_log, reply } => {
            let owner = Rc::clone(owner);
            drop(task::spawn(async move {
                reply.send(prepare(&owner, bytes_per_log).await);
                drop(permit);
            }));
        }
    }
}

/// Finds the shards that this core owns of a stream, or makes them where it is new.
fn open_stream(owner: &Owner, stream: &Stream, is_new: bool) {
    let placement = owner.placement;
    let number = stream.number();
    let now_ns = clock::now().as_nanos();
    let rates = owner.limits.write_rates(stream.options().record_bytes_max);
    let retention_ms = stream.options().retention_ms;
    let mut owned = OwnedStream::new(owner.logs.len(), placement.logs());
    for shard in stream.shards().shards() {
        let log_number = placement.log_of(number, shard.index);
        if placement.core_of_log(log_number) != owner.core {
            continue;
        }
        let ordinal = placement.ordinal_of_log(log_number);
        let opened = match &owner.logs[ordinal].log {
            None => OwnedShard::new(None, true, rates, now_ns),
            Some(log) => {
                let key = shard_key(number, shard.index);
                let slot = match is_new {
                    true => log.create_shard(key, retention_ms),
                    false => log.open_shard(key, retention_ms),
                };
                let refused = log.append_refusal(slot).is_some();
                OwnedShard::new(Some(slot), refused, rates, now_ns)
            }
        };
        owned.push(ordinal, shard.index, opened);
    }
    let before = owner.streams.borrow_mut().insert(number, owned);
    assert!(before.is_none(), "a stream is opened once");
}

/// Forgets the shards of a deleted stream. Answers how many the logs knew.
fn forget_stream(owner: &Owner, deleted: DeletedStream) -> usize {
    let number = StreamNumber(deleted.number);
    owner.streams.borrow_mut().remove(&number);
    let mut known = 0;
    for index in (0..deleted.shard_count).map(ShardIndex::new) {
        let log_number = owner.placement.log_of(number, index);
        if owner.placement.core_of_log(log_number) != owner.core {
            continue;
        }
        let ordinal = owner.placement.ordinal_of_log(log_number);
        // A refused log may know the shard: it must be asked again when it is repaired.
        let Some(log) = &owner.logs[ordinal].log else {
            known += 1;
            continue;
        };
        if let Some(slot) = log.find_shard(shard_key(number, index)) {
            log.delete_shard(slot);
            known += 1;
        }
    }
    known
}

async fn prepare(
    owner: &Owner,
    bytes_per_log: u64,
) -> Result<Vec<PreparedLog>, storage::catalog::CatalogError> {
    let mut prepared = Vec::new();
    for OwnedLog { number, log } in &owner.logs {
        let Some(log) = log else { continue };
        let storage::Prepared { bytes, took } = log.prepare(bytes_per_log).await?;
        prepared.push(PreparedLog { log: *number, bytes, took });
    }
    Ok(prepared)
}
