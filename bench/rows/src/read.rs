//! Reads shards from their beginning to their tip, as GetRecords gives them: at most 10,000 records
//! and 10 MiB a call.

use gyre::embed::{Client, Stream};
use loadgen::run::Failure;
use model::{IteratorType, ShardIndex};
use runtime::clock::{self, Instant};
use runtime::task;
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::{check_interrupted, progress};

/// Every so often whoever waits is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What was read.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Read {
    /// Shards.
    pub shards: u32,
    /// Records.
    pub records: u64,
    /// Calls of GetRecords.
    pub calls: u64,
    /// How long it took.
    pub seconds: f64,
}

struct Reading {
    client: Client,
    stream: Stream,
    next: Cell<u32>,
    end: u32,
    records: Cell<u64>,
    calls: Cell<u64>,
    began: Instant,
    told: Cell<Instant>,
}

/// Reads shards `first..end`, `readers` of them at the same time.
///
/// # Errors
/// A read is refused, or Ctrl-C.
pub(crate) async fn read(
    client: &Client,
    stream: &Stream,
    (first, end): (u32, u32),
    readers: u32,
) -> Result<Read, Failure> {
    assert!(first < end);
    let began = clock::now();
    let reading = Rc::new(Reading {
        client: client.clone(),
        stream: stream.clone(),
        next: Cell::new(first),
        end,
        records: Cell::new(0),
        calls: Cell::new(0),
        began,
        told: Cell::new(began),
    });
    let tasks: Vec<_> = (0..readers).map(|_| task::spawn(read_some(Rc::clone(&reading)))).collect();
    let mut result = Ok(());
    for task in tasks {
        result = result.and(task.await);
    }
    result?;
    Ok(Read {
        shards: end - first,
        records: reading.records.get(),
        calls: reading.calls.get(),
        seconds: (clock::now() - began).as_secs_f64(),
    })
}

/// One shard after the other.
async fn read_some(reading: Rc<Reading>) -> Result<(), Failure> {
    loop {
        let shard = reading.next.get();
        if shard == reading.end {
            return Ok(());
        }
        reading.next.set(shard + 1);
        reading.read_shard(ShardIndex::new(shard)).await?;
    }
}

impl Reading {
    async fn read_shard(&self, shard: ShardIndex) -> Result<(), Failure> {
        let kind = IteratorType::TrimHorizon;
        let iterator = self.client.shard_iterator(&self.stream, shard, kind).await;
        let mut iterator = iterator.map_err(Failure::could_not)?;
        loop {
            check_interrupted()?;
            let result = self.client.get_records(&iterator, None).await;
            let result = result.map_err(Failure::could_not)?;
            let records: u64 = result.chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
            self.records.set(self.records.get() + records);
            self.calls.set(self.calls.get() + 1);
            self.tell();
            if result.millis_behind == 0 {
                return Ok(());
            }
            iterator = result.next;
        }
    }

    fn tell(&self) {
        let now = clock::now();
        if now - self.told.get() < PROGRESS_EVERY {
            return;
        }
        self.told.set(now);
        let seconds = (now - self.began).as_secs_f64();
        let millions = self.records.get() as f64 / 1e6;
        let shard = self.next.get();
        progress(&format!(
            "read {millions:.1} million records in {seconds:.0} s, at shard {shard}"
        ));
    }
}
