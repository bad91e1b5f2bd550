//! Reads everything back, through the doors that every consumer has: an iterator and GetRecords for
//! each shard, many shards side by side, waiting where a shard's read limit says so.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gyre::embed::{Client, GetResult, ShardIterator, Stream};
use model::{ApiError, IteratorType, ShardIndex};
use runtime::clock::{self, Instant};
use runtime::cores::{self, CoreConfig};
use runtime::mesh;
use runtime::{signal, task};

use super::Failure;
use super::live::Live;
use super::load::Loaded;
use super::subject::Rig;
use crate::outcome::Verification;
use crate::verify::naming::Naming;
use crate::verify::{Ledger, Readback};
use crate::worker::Ended;

/// Shards that are read at once.
const SIDE_BY_SIDE: usize = 64;
/// A shard's calls are limited to five a second.
const THROTTLED_WAIT: Duration = Duration::from_millis(100);
/// Reading back ends after this; what is left is counted as not read.
const READ_MAX: Duration = Duration::from_secs(120);
/// The same after an interruption.
const READ_MAX_INTERRUPTED: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads a loaded stream and holds it against the ledgers, which are used up.
pub(super) async fn read_back(
    rig: &Rig,
    loaded: &mut Loaded,
    live: &mut Live,
) -> Result<Verification, Failure> {
    live.begin("verify");
    let ledgers = std::mem::take(&mut loaded.ledgers);
    let shards = loaded.stream.shards().shards().len();
    let was_interrupted = matches!(loaded.ended, Ended::Interrupted { .. });
    let longest = if was_interrupted { READ_MAX_INTERRUPTED } else { READ_MAX };
    let expectation = loaded.expectation.clone();
    let checked = Arc::new(AtomicU64::new(0));
    let reading = Reading {
        client: rig.client.clone(),
        stream: loaded.stream.clone(),
        deadline: clock::now() + longest,
        was_interrupted,
        checked: Arc::clone(&checked),
    };
    let config = CoreConfig {
        name: "reader".to_owned(),
        cpu: rig.generator_cpus.first().copied(),
        io_memory_bytes: 64 << 10,
    };
    let acked = ledgers.iter().map(Ledger::acked_count).sum();
    let (done, mut verified) = mesh::reply();
    let main = move || async move {
        let readback = Readback::new(expectation, ledgers, shards);
        done.send(reading.run(readback).await);
    };
    let core = cores::start(config, main).map_err(Failure::could_not)?;
    let verification = loop {
        let look = clock::now() + LOOK_EVERY;
        match clock::timeout_at(look, &mut verified).await {
            Some(Ok(verification)) => break verification,
            Some(Err(_)) => return Err(Failure::could_not("the reading core ended early")),
            None => live.reading(checked.load(Ordering::Relaxed), acked),
        }
    };
    task::blocking(move || core.join()).await;
    let verification = verification.map_err(Failure::could_not)?;
    live.end(&sentence(&verification));
    Ok(verification)
}

fn sentence(found: &Verification) -> String {
    let records = crate::amount::show_count(found.checked);
    let (verdict, seconds) = (found.verdict.word(), found.took.as_secs_f64());
    format!("{records} records read back in {seconds:.1} s: {verdict}")
}

/// What the reading core has.
struct Reading {
    client: Client,
    stream: Stream,
    deadline: Instant,
    was_interrupted: bool,
    checked: Arc<AtomicU64>,
}

impl Reading {
    async fn run(self, readback: Readback) -> Result<Verification, ApiError> {
        let began = clock::now();
        let shards: Vec<u32> = (0..).take(self.stream.shards().shards().len()).collect();
        let first = First { readback: RefCell::new(readback), busy_ns: Cell::new(0) };
        let first = Rc::new(first);
        let reading = Rc::new(self);
        read_all(&reading, &shards, Rc::clone(&first) as Rc<dyn Pass>).await;
        let busy_ns = first.busy_ns.get();
        let Some(First { readback, .. }) = Rc::into_inner(first) else {
            unreachable!("every reader is done")
        };
        let readback = readback.into_inner();
        let suspects = readback.suspects();
        let readback = Rc::new(readback);
        let second = Rc::new(Second { naming: RefCell::new(Naming::new(Rc::clone(&readback))) });
        read_all(&reading, &suspects, Rc::clone(&second) as Rc<dyn Pass>).await;
        let Some(Second { naming }) = Rc::into_inner(second) else {
            unreachable!("every reader is done")
        };
        let named = naming.into_inner().finish(&suspects);
        let Some(readback) = Rc::into_inner(readback) else {
            unreachable!("the naming is finished")
        };
        let stats = reading.client.stats().await?;
        let logs = stats.iter().flat_map(|core| &core.logs);
        let expired_early = logs.map(|log| log.expired_early).sum();
        let checked = readback.checked();
        let mut found = readback.finish(named, expired_early, clock::now() - began);
        found.cpu_ns_per_record = (checked > 0).then(|| busy_ns as f64 / checked as f64);
        Ok(found)
    }

    fn is_over(&self) -> bool {
        clock::now() >= self.deadline || (!self.was_interrupted && signal::is_interrupted())
    }
}

/// What is done with records that were read.
trait Pass {
    fn take(&self, shard: u32, result: &GetResult);
    fn complete(&self, shard: u32);
    fn unreadable(&self, shard: u32, why: &ApiError);
    fn checked(&self) -> u64;
}

struct First {
    readback: RefCell<Readback>,
    busy_ns: Cell<u64>,
}

impl Pass for First {
    fn take(&self, shard: u32, result: &GetResult) {
        let before = clock::now();
        let mut readback = self.readback.borrow_mut();
        for chunk in &result.chunks {
            let mut records = chunk.records();
            let mut count = 0;
            for record in &mut records {
                readback.take(shard, record);
                count += 1;
            }
            if count != chunk.count || !records.rest().is_empty() {
                readback.malformed(shard, chunk.first_index);
            }
        }
        let took = clock::now().as_nanos() - before.as_nanos();
        self.busy_ns.set(self.busy_ns.get() + took);
    }

    fn complete(&self, shard: u32) {
        self.readback.borrow_mut().complete(shard);
    }

    fn unreadable(&self, shard: u32, why: &ApiError) {
        self.readback.borrow_mut().unreadable(shard, why);
    }

    fn checked(&self) -> u64 {
        self.readback.borrow().checked()
    }
}

struct Second {
    naming: RefCell<Naming>,
}

impl Pass for Second {
    fn take(&self, shard: u32, result: &GetResult) {
        let mut naming = self.naming.borrow_mut();
        result.records().for_each(|record| naming.take(shard, record));
    }

    fn complete(&self, _shard: u32) {}

    /// The first pass read it to its tip; that it cannot be read again leaves it to the counts.
    fn unreadable(&self, _shard: u32, _why: &ApiError) {}

    fn checked(&self) -> u64 {
        0
    }
}

/// Reads shards, many side by side, each to its tip.
async fn read_all(reading: &Rc<Reading>, shards: &[u32], pass: Rc<dyn Pass>) {
    let waiting: VecDeque<u32> = shards.iter().copied().collect();
    let next = Rc::new(RefCell::new(waiting));
    let readers = (0..SIDE_BY_SIDE.min(shards.len())).map(|_| {
        let (reading, next, pass) = (Rc::clone(reading), Rc::clone(&next), Rc::clone(&pass));
        task::spawn(async move {
            loop {
                let shard = next.borrow_mut().pop_front();
                let Some(shard) = shard.filter(|_| !reading.is_over()) else { return };
                // What one shard refuses is found out about this shard, and ends nothing.
                if let Err(error) = read_shard(&reading, shard, &*pass).await {
                    pass.unreadable(shard, &error);
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for reader in readers {
        reader.await;
    }
}

async fn read_shard(reading: &Reading, shard: u32, pass: &dyn Pass) -> Result<(), ApiError> {
    let Reading { client, stream, .. } = reading;
    let index = ShardIndex::new(shard);
    let mut iterator = client.shard_iterator(stream, index, IteratorType::TrimHorizon).await?;
    while !reading.is_over() {
        let result = match client.get_records(&iterator, None).await {
            Ok(result) => result,
            Err(ApiError::ProvisionedThroughputExceeded { .. }) => {
                clock::sleep(THROTTLED_WAIT).await;
                continue;
            }
            Err(ApiError::ExpiredIterator { .. }) => {
                iterator = renew(client, stream, &iterator).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        pass.take(shard, &result);
        reading.checked.store(pass.checked(), Ordering::Relaxed);
        if result.millis_behind == 0 {
            pass.complete(shard);
            return Ok(());
        }
        iterator = result.next;
    }
    Ok(())
}

async fn renew(
    client: &Client,
    stream: &Stream,
    iterator: &ShardIterator,
) -> Result<ShardIterator, ApiError> {
    let kind = IteratorType::AtSequenceNumber(iterator.index());
    client.shard_iterator(stream, iterator.shard(), kind).await
}
