//! Resident memory with many shards: while a log grows past it beside followers that take nothing,
//! while these catch up, and while shards are read cold.
//!
//! ```text
//! followers  subscribe ── take nothing ──────────▶ take all
//! puts                   ── the whole log ──▶
//! reads                                                     ── shards, cold ──▶
//! resident   ▲ before     ▲ started        ▲ appended ▲ caught up           ▲ read
//! ```

use gyre::embed::{Client, Follower, Stream};
use loadgen::run::Failure;
use model::{IteratorType, ShardIndex};
use runtime::task;
use serde::Serialize;
use serde_json::json;

use super::{of_gib, ratio};
use crate::cli::{MemoryFlags, Shared};
use crate::fill::{Batches, Fill, Filled, calls_for, fill};
use crate::place::{Cpus, Place};
use crate::read::{Read, read};
use crate::report::{Figure, Gate, Report, Unit};
use crate::resident::Resident;
use crate::rig::{Rig, YEAR_MS, create};
use crate::subject::Subject;
use crate::{check_interrupted, progress};

/// Shards that are read cold, and how many at the same time.
const READ_SHARDS_MAX: u32 = 256;
const READERS: u32 = 16;
/// Segments beside the log.
const SEGMENTS_BESIDE: u64 = 12;
const SEED: u64 = 45;

/// What was measured while the engine ran.
#[derive(Clone, Debug, Serialize)]
struct Sampled {
    /// When all shards and followers were there.
    started: Resident,
    appended: Resident,
    caught_up: Resident,
    read_cold: Resident,
    filled: Filled,
    file_bytes: u64,
    /// Records of the followed shards, and of them those that the followers got.
    followed_records: u64,
    got_records: u64,
    read: Read,
}

/// Measures the row.
///
/// # Errors
/// It could not be measured.
pub(crate) fn run(flags: &MemoryFlags, shared: &Shared) -> Result<Report, Failure> {
    let bytes = of_gib(flags.gib);
    // Reading cold lays the log down once more before the old files are free.
    let place = Place::open(shared, bytes + bytes / 4 + SEGMENTS_BESIDE * shared.segment)?;
    let cpus = Cpus::choose();
    let data = place.engine();
    let before = Resident::read()?;
    let config = Rig::config(shared, cpus, &data, flags.shards);
    let rig = Rig::start(config.clone(), cpus)?;
    let own = flags.clone();
    let sampled = rig.drive(move |client| async move { sample(&client, &own).await })?;
    let subject = Subject::new(&config, rig.report(), &data);
    rig.shutdown()?;
    let after = Resident::read()?;
    place.close()?;

    let highest = |resident: Resident| Some(resident.highest as f64);
    let bound = Gate::AtMost(shared.memory as f64);
    let got = ratio(sampled.got_records, sampled.followed_records);
    let figures = vec![
        Figure::plain("files when all was put", Some(sampled.file_bytes as f64), Unit::Bytes),
        Figure::plain("resident before the engine", Some(before.now as f64), Unit::Bytes),
        Figure::plain("highest by the start", highest(sampled.started), Unit::Bytes),
        Figure::plain("highest by the last put", highest(sampled.appended), Unit::Bytes),
        Figure::plain("highest when followers had all", highest(sampled.caught_up), Unit::Bytes),
        Figure::plain("highest when shards were read", highest(sampled.read_cold), Unit::Bytes),
        Figure::gated("highest resident memory", highest(after), Unit::Bytes, bound),
        Figure::gated(
            "records that stalled followers got, of those put",
            got,
            Unit::Ratio,
            Gate::AtLeast(1.0),
        ),
    ];
    let parameters = json!({
        "gib": flags.gib, "shards": flags.shards, "record_bytes": flags.record_bytes,
        "stalled_followers": flags.stalled.min(flags.shards),
        "shards_read": flags.shards.min(READ_SHARDS_MAX), "readers": READERS,
    });
    let samples = json!({ "before": before, "under_load": sampled, "after": after });
    Ok(Report::new("memory", figures, parameters, subject, samples))
}

async fn sample(client: &Client, flags: &MemoryFlags) -> Result<Sampled, Failure> {
    let stream = create(client, "memory", flags.shards, YEAR_MS).await?;
    let mut followers = Vec::new();
    for shard in 0..flags.stalled.min(flags.shards) {
        let at = iterator_at(client, &stream, shard, IteratorType::TrimHorizon).await?;
        followers.push(client.follow(&at).await.map_err(Failure::could_not)?);
    }
    let started = Resident::read()?;
    progress("putting, while followers take nothing");
    let batches = Batches::new(flags.record_bytes, SEED);
    let calls = calls_for(of_gib(flags.gib), flags.record_bytes);
    let filled = fill(client, &batches, Fill::one(&stream, calls)).await?;
    drop(batches);
    let stats = client.stats().await.map_err(Failure::could_not)?;
    let file_bytes = stats.iter().flat_map(|core| &core.logs).map(|log| log.file_bytes).sum();
    let appended = Resident::read()?;
    progress("letting the followers take all");
    let (followed_records, got_records) = catch_up(client, &stream, followers).await?;
    let caught_up = Resident::read()?;
    progress("reading shards");
    let read_shards = flags.shards.min(READ_SHARDS_MAX);
    let read = read(client, &stream, (flags.shards - read_shards, flags.shards), READERS).await?;
    let read_cold = Resident::read()?;
    Ok(Sampled {
        started,
        appended,
        caught_up,
        read_cold,
        filled,
        file_bytes,
        followed_records,
        got_records,
        read,
    })
}

async fn iterator_at(
    client: &Client,
    stream: &Stream,
    shard: u32,
    kind: IteratorType,
) -> Result<gyre::embed::ShardIterator, Failure> {
    let iterator = client.shard_iterator(stream, ShardIndex::new(shard), kind).await;
    iterator.map_err(Failure::could_not)
}

/// All followers at the same time. Records of their shards, and those that came.
async fn catch_up(
    client: &Client,
    stream: &Stream,
    followers: Vec<Follower>,
) -> Result<(u64, u64), Failure> {
    let mut tasks = Vec::new();
    for follower in followers {
        let shard = follower.shard().get();
        let end = iterator_at(client, stream, shard, IteratorType::Latest).await?.index().get();
        tasks.push((end, task::spawn(take_until(follower, end))));
    }
    let (mut followed, mut got) = (0, 0);
    for (end, task) in tasks {
        followed += end;
        got += task.await?;
    }
    Ok((followed, got))
}

/// Takes what comes until record `end`. Returns how many records that were.
async fn take_until(mut follower: Follower, end: u64) -> Result<u64, Failure> {
    let mut records = 0;
    while follower.index().get() < end {
        check_interrupted()?;
        let chunk = follower.next().await.map_err(Failure::could_not)?;
        records += u64::from(chunk.count);
    }
    Ok(records)
}
