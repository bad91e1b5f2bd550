//! Puts records at full rate: so many calls in flight, one after the other, to one stream or several.
//!
//! Batches are made before anything is measured and used again and again; their data is noise, so
//! that no layer below can make it smaller. Every record must be acknowledged.

use gyre::embed::{Client, PutBatch, PutRecord, Span, Stream};
use loadgen::random::Random;
use loadgen::run::Failure;
use model::limits::PUT_RECORDS_COUNT_MAX;
use runtime::clock::{self, Instant};
use runtime::task;
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::{check_interrupted, progress};

/// Keys are 16 hexadecimal digits.
pub(crate) const KEY_BYTES: u64 = 16;
/// What the log puts around a record's key and data and its share of a frame's, bytes: for sizes of
/// logs to be, not for figures.
const AROUND_BYTES: u64 = 14;
/// Calls in flight.
pub(crate) const IN_FLIGHT: u64 = 16;
/// Memory that all batches together take, about.
const BATCHES_BYTES: u64 = 16 << 20;
/// Every so often whoever waits is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Records of one size in batches of 500.
#[derive(Clone)]
pub(crate) struct Batches {
    batches: Rc<Vec<PutBatch>>,
    record_bytes: u64,
}

impl Batches {
    /// Makes them; they follow from the seed.
    pub(crate) fn new(record_bytes: u64, seed: u64) -> Batches {
        let mut random = Random::new(seed);
        let batch_bytes = PUT_RECORDS_COUNT_MAX as u64 * (KEY_BYTES + record_bytes);
        let count = (BATCHES_BYTES / batch_bytes).clamp(8, 256);
        let batches = (0..count).map(|_| batch(record_bytes, &mut random)).collect();
        Batches { batches: Rc::new(batches), record_bytes }
    }

    /// Key and data of one record, bytes.
    pub(crate) fn payload_bytes(&self) -> u64 {
        KEY_BYTES + self.record_bytes
    }
}

/// Calls that make a log of about so many bytes.
pub(crate) fn calls_for(log_bytes: u64, record_bytes: u64) -> u64 {
    let batch_bytes = PUT_RECORDS_COUNT_MAX as u64 * (KEY_BYTES + record_bytes + AROUND_BYTES);
    log_bytes.div_ceil(batch_bytes)
}

fn batch(record_bytes: u64, random: &mut Random) -> PutBatch {
    let data_bytes = usize::try_from(record_bytes).expect("a record fits in memory");
    let mut payload = Vec::new();
    let span = |start: usize, end: usize| Span {
        start: u32::try_from(start).expect("a batch is a few megabytes"),
        bytes: u32::try_from(end - start).expect("a batch is a few megabytes"),
    };
    let records = (0..PUT_RECORDS_COUNT_MAX).map(|_| {
        let start = payload.len();
        payload.extend_from_slice(format!("{:016x}", random.bits()).as_bytes());
        let data = payload.len();
        while payload.len() < data + data_bytes {
            let left = data + data_bytes - payload.len();
            payload.extend_from_slice(&random.bits().to_le_bytes()[..left.min(8)]);
        }
        let end = payload.len();
        PutRecord { key: span(start, data), data: span(data, end), explicit_hash_key: None }
    });
    let records = records.collect();
    PutBatch { payload: Arc::new(payload), records }
}

/// What is put, and where to.
pub(crate) struct Fill {
    /// The streams.
    pub streams: Vec<Stream>,
    /// Which of them a call goes to.
    pub pick: fn(u64) -> usize,
    /// The number of the first call, for who goes on with a log that is there.
    pub first_call: u64,
    /// Calls; `u64::MAX` where the time decides.
    pub calls: u64,
    /// When to stop, if earlier.
    pub end: Option<Instant>,
}

impl Fill {
    /// So many calls to one stream.
    pub(crate) fn one(stream: &Stream, calls: u64) -> Fill {
        Fill { streams: vec![stream.clone()], pick: |_| 0, first_call: 0, calls, end: None }
    }
}

/// What was put. All of it is acknowledged.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Filled {
    /// Records by stream.
    pub records_by_stream: Vec<u64>,
    /// Records of all streams.
    pub records: u64,
    /// Keys and data, bytes.
    pub payload_bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

struct Filling {
    client: Client,
    batches: Batches,
    fill: Fill,
    next: Cell<u64>,
    acked: Vec<Cell<u64>>,
    began: Instant,
    told: Cell<Instant>,
}

/// Puts it all, and returns when the last record is acknowledged.
///
/// # Errors
/// A record was refused, or Ctrl-C.
pub(crate) async fn fill(
    client: &Client,
    batches: &Batches,
    fill: Fill,
) -> Result<Filled, Failure> {
    let began = clock::now();
    let filling = Rc::new(Filling {
        client: client.clone(),
        batches: batches.clone(),
        next: Cell::new(0),
        acked: fill.streams.iter().map(|_| Cell::new(0)).collect(),
        fill,
        began,
        told: Cell::new(began),
    });
    let tasks: Vec<_> =
        (0..IN_FLIGHT).map(|_| task::spawn(put_calls(Rc::clone(&filling)))).collect();
    let mut result = Ok(());
    for task in tasks {
        result = result.and(task.await);
    }
    result?;
    let records_by_stream: Vec<u64> = filling.acked.iter().map(Cell::get).collect();
    let records = records_by_stream.iter().sum();
    Ok(Filled {
        records_by_stream,
        records,
        payload_bytes: records * filling.batches.payload_bytes(),
        seconds: (clock::now() - began).as_secs_f64(),
    })
}

/// One call after the other until there are enough.
async fn put_calls(filling: Rc<Filling>) -> Result<(), Failure> {
    let Fill { streams, pick, first_call, calls, end } = &filling.fill;
    loop {
        check_interrupted()?;
        let call = filling.next.get();
        if call >= *calls || end.is_some_and(|end| clock::now() >= end) {
            return Ok(());
        }
        filling.next.set(call + 1);
        let number = first_call + call;
        let stream = pick(number);
        let at = number as usize % filling.batches.batches.len();
        let batch = &filling.batches.batches[at];
        let put = filling.client.put_records(&streams[stream], batch).await;
        let put = put.map_err(Failure::could_not)?;
        if put.failed > 0 {
            let sentence = format!("the engine refused {} records of a call", put.failed);
            return Err(Failure::could_not(sentence));
        }
        let acked = &filling.acked[stream];
        acked.set(acked.get() + batch.records.len() as u64);
        filling.tell();
        if task::should_yield() {
            task::yield_now().await;
        }
    }
}

impl Filling {
    fn tell(&self) {
        let now = clock::now();
        if now - self.told.get() < PROGRESS_EVERY {
            return;
        }
        self.told.set(now);
        let records: u64 = self.acked.iter().map(Cell::get).sum();
        let gigabytes = (records * self.batches.payload_bytes()) as f64 / 1e9;
        progress(&format!("put {gigabytes:.1} GB in {:.0} s", (now - self.began).as_secs_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_full_and_no_two_records_are_alike() {
        let Batches { batches, .. } = Batches::new(13, 7);
        assert!(batches.len() >= 8);
        let mut keys = std::collections::BTreeSet::new();
        for batch in batches.iter() {
            assert_eq!(batch.records.len(), 500);
            for record in &batch.records {
                assert_eq!((record.key.bytes, record.data.bytes), (16, 13));
                let start = record.key.start as usize;
                keys.insert(batch.payload[start..start + 16].to_vec());
            }
            assert_eq!(batch.payload.len(), 500 * 29);
        }
        assert_eq!(keys.len(), batches.len() * 500);
    }

    #[test]
    fn calls_are_as_many_as_the_log_needs() {
        assert_eq!(calls_for(1, 100), 1);
        assert_eq!(calls_for(65_000, 100), 1);
        assert_eq!(calls_for(65_001, 100), 2);
    }
}
