//! A life on the engine itself: several producers with a batch each under way, a follower for
//! every shard, more or fewer cores than the folder has logs, either way of flushing.

use super::{Life, Mode, announce_listed, planted, wait_for_death};
use crate::journal::{Event, JournalWriter, Place};
use crate::listing::{ListingWriter, Row};
use crate::record::{RecordId, content, mix, parse_head};
use crate::rounds::Crash;
use crate::workload::{Workload, life_records_max};
use gyre::embed::{
    Client, Durability, Engine, EngineConfig, FlushMethod, Limits, PutBatch, PutRecord,
    ShardIterator, Span, Stream, StreamOptions,
};
use model::{ApiError, IteratorType, ShardIndex, StreamName};
use runtime::cores::{self, CoreConfig};
use runtime::task;
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use storage::planted::Bug;

const SHARDS: u32 = 16;
const PRODUCERS: u32 = 6;

/// Small, so that a folder's lives fill several segments.
const SEGMENT_BYTES: u64 = 16 << 20;
const MEMORY_BYTES: usize = 512 << 20;

/// What the tasks of a life share.
struct Tasks {
    life: Life,
    stream: Stream,
    journal: RefCell<JournalWriter>,
    /// Records that may still be sent.
    left: Cell<u64>,
}

/// Opens the engine and lives on it.
///
/// # Errors
/// The engine cannot be opened, read or closed. Later errors end the process where they happen:
/// an engine that fails while nobody harms it has failed the round.
pub fn live(life: &Life, bug: Option<Bug>) -> io::Result<()> {
    if let Some(bug) = bug {
        planted::plant(bug)?;
    }
    let journal = JournalWriter::create(&life.journal)?;
    let listing = ListingWriter::create(&life.listing)?;
    let engine = Engine::start(config(life)).map_err(said)?;
    let client = engine.client();
    let core = CoreConfig { name: "client".to_owned(), cpu: None, io_memory_bytes: 64 << 10 };
    let life = life.clone();
    cores::block_on(core, move || serve(life, client, journal, listing)).map_err(said)??;
    engine.shutdown().map_err(said)
}

fn config(life: &Life) -> EngineConfig {
    let mut rng = fastrand::Rng::with_seed(mix(life.run ^ mix(u64::from(life.life))));
    let mut config = EngineConfig::new(life.data.clone());
    config.cores = [1, 2, 2, 4][rng.usize(0..4)];
    config.flush = if rng.bool() { FlushMethod::Fdatasync } else { FlushMethod::Dsync };
    // Of a folder that is made now; one that exists keeps its own, whatever the cores are.
    config.logs = Some([1, 2, 4, 4][rng.usize(0..4)]);
    if life.crash == Crash::Kill && rng.u8(0..4) == 0 {
        config.durability = Durability::Written;
    }
    config.limits = Limits::Off;
    config.segment_bytes = SEGMENT_BYTES;
    config.memory_bytes = MEMORY_BYTES;
    config
}

async fn serve(
    life: Life,
    client: Client,
    mut journal: JournalWriter,
    mut listing: ListingWriter,
) -> io::Result<()> {
    let stream = open_stream(&client).await.map_err(said)?;
    let mut tips = Vec::new();
    for shard in stream.shards().open().to_vec() {
        tips.push(list(&client, &stream, shard, &mut listing).await?);
    }
    listing.finish()?;
    announce_listed(&mut journal)?;
    if life.mode == Mode::List {
        return Ok(());
    }
    let left = Cell::new(life_records_max(life.run, life.life));
    let tasks = Rc::new(Tasks { life, stream, journal: RefCell::new(journal), left });
    for tip in tips {
        let (client, tasks) = (client.clone(), Rc::clone(&tasks));
        drop(task::spawn(async move { or_die(follow(&client, &tasks, tip).await) }));
    }
    let producers = (0..PRODUCERS).map(|number| {
        let (client, tasks) = (client.clone(), Rc::clone(&tasks));
        task::spawn(async move { or_die(produce(&client, &tasks, number).await) })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await;
    }
    task::blocking(wait_for_death).await
}

async fn open_stream(client: &Client) -> Result<Stream, ApiError> {
    let name = StreamName::new("crash").expect("a stream's name");
    match client.describe_stream(&name).await {
        Ok(found) => Ok(found.stream),
        Err(ApiError::ResourceNotFound(_)) => {
            client.create_stream(&name, SHARDS, StreamOptions::default()).await
        }
        Err(error) => Err(error),
    }
}

/// Lists a shard from its horizon to its tip, and returns the tip.
async fn list(
    client: &Client,
    stream: &Stream,
    shard: ShardIndex,
    listing: &mut ListingWriter,
) -> io::Result<ShardIterator> {
    let start = client.shard_iterator(stream, shard, IteratorType::TrimHorizon).await;
    let mut iterator = start.map_err(said)?;
    loop {
        let result = client.get_records(&iterator, None).await.map_err(said)?;
        for record in result.records() {
            let place = Place { shard: shard.get(), index: record.index };
            listing.push(&Row::new(place, record.key, record.data))?;
        }
        if result.chunks.is_empty() {
            return Ok(iterator);
        }
        iterator = result.next;
    }
}

/// Notes whatever the shard's follower is shown.
async fn follow(client: &Client, tasks: &Tasks, tip: ShardIterator) -> io::Result<()> {
    let mut follower = client.follow(&tip).await.map_err(said)?;
    loop {
        let chunk = follower.next().await.map_err(said)?;
        let mut seen = Vec::new();
        for record in chunk.records() {
            let id = record.data.first_chunk().and_then(|head| parse_head(tasks.life.run, head));
            let id = id.ok_or_else(|| io::Error::other("a follower was shown a foreign record"))?;
            let place = Place { shard: follower.shard().get(), index: record.index };
            seen.push(Event::Seen { id, place });
        }
        tasks.journal.borrow_mut().append(&seen)?;
    }
}

/// Sends one batch after another until the life's share is used up.
async fn produce(client: &Client, tasks: &Tasks, producer: u32) -> io::Result<()> {
    let Life { run, life, .. } = tasks.life;
    let mut workload = Workload::new(run, life, producer);
    let mut first = RecordId { life, producer, sequence: 0 };
    while tasks.left.get() > 0 {
        let count = workload.next_batch_records().min(tasks.left.get());
        tasks.left.set(tasks.left.get() - count);
        tasks.journal.borrow_mut().append(&[Event::Sent { first, count }])?;
        let batch = batch(run, first, count);
        let result = client.put_records(&tasks.stream, &batch).await.map_err(said)?;
        let mut acked = Vec::new();
        for (sequence, outcome) in (first.sequence..).zip(result.records) {
            let placed = outcome.map_err(|error| io::Error::other(format!("{error:?}")))?;
            let place = Place { shard: placed.shard.get(), index: placed.index };
            acked.push(Event::Acked { id: RecordId { sequence, ..first }, place });
        }
        tasks.journal.borrow_mut().append(&acked)?;
        first.sequence += count;
    }
    Ok(())
}

fn batch(run: u64, first: RecordId, count: u64) -> PutBatch {
    let mut payload = Vec::new();
    let mut add = |bytes: &[u8]| {
        let start = u32::try_from(payload.len()).expect("a request is at most 10 MiB");
        payload.extend(bytes);
        Span { start, bytes: u32::try_from(bytes.len()).expect("a record is at most 10 MiB") }
    };
    let sequences = first.sequence..first.sequence + count;
    let records = sequences.map(|sequence| {
        let record = content(run, RecordId { sequence, ..first });
        PutRecord { key: add(&record.key), data: add(&record.data), explicit_hash_key: None }
    });
    let records = records.collect();
    PutBatch { payload: Arc::new(payload), records }
}

/// Ends the process, as a failed round that explains itself, where a task has failed.
fn or_die(result: io::Result<()>) {
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn said(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}
