//! What a start after a crash costs: the unsealed tail and one rewriting, however long the log is.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::sim::{self, Disk};
use storage::catalog::Catalog;
use storage::chunk::ReadLimit;
use storage::error::AppendError;
use storage::options::LogOptions;
use storage::shard::{ShardKey, ShardSlot};
use storage::{Append, AppendRecord, Log, Recovered};

const SEGMENT_BYTES: u64 = 1 << 20;
const SHARDS: u64 = 64;
const RECORD_BYTES: u32 = 100;
const YEAR_MS: u64 = 365 * 24 * 3_600_000;
/// Two full segments, the active one and the newest table are read; the two are given tables, frames
/// that may stand in the device's cache only are written again, and new files get their zeros.
const START_BYTES_MAX: u64 = 8 * SEGMENT_BYTES;
/// A rewriting holds three of these segments in memory, and one may be under way already.
const FIRST_ANSWER_BYTES_MAX: u64 = START_BYTES_MAX + 2 * 2 * 3 * SEGMENT_BYTES;

async fn open() -> (Log, Recovered) {
    let (catalog, state) = Catalog::open(Path::new("/data")).await.unwrap();
    let mut options = LogOptions::new(PathBuf::from("/data"), 0, state.life);
    options.segment_bytes = SEGMENT_BYTES;
    options.first_segment_bytes = SEGMENT_BYTES / 4;
    options.frame_bytes = 64 << 10;
    options.cache_bytes_max = 2 << 20;
    options.rewriting_bytes_max = 8 << 20;
    Log::open(options, catalog, &state).await.unwrap()
}

fn slots(log: &Log) -> Vec<ShardSlot> {
    (0..SHARDS).map(|key| log.open_shard(ShardKey(key), YEAR_MS)).collect()
}

/// Four small records of each shard.
fn batch(slots: &[ShardSlot]) -> Append {
    let record = |slot: &ShardSlot| AppendRecord {
        slot: *slot,
        key_start: 0,
        data_start: 3,
        data_bytes: RECORD_BYTES,
        key_bytes: 3,
    };
    let records = slots.iter().flat_map(|slot| [record(slot); 4]).collect();
    Append { payload: Arc::new(vec![7; 3 + RECORD_BYTES as usize]), records }
}

async fn append(log: &Log, batch: &Append) {
    loop {
        match log.append(batch.clone()) {
            Ok(acknowledgement) => {
                acknowledgement.await.unwrap().unwrap();
                return;
            }
            Err(AppendError::Busy) => log.room().await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn run<T: 'static>(seed: u64, disk: &Disk, main: impl Future<Output = T> + 'static) -> T {
    sim::run(seed, disk, &sim::Options::default(), main).done().unwrap()
}

/// Bytes that the disk has read and written.
fn moved(disk: &Disk) -> u64 {
    let counts = disk.counts();
    counts.read_bytes + counts.written_bytes
}

fn check(segments: u64) {
    let disk = Disk::new(segments);
    disk.create_raw(Path::new("/data/here"), &[]);
    let seen = disk.clone();
    // The process dies when this returns: nothing is shut down.
    run(1, &disk, async move {
        let (log, _) = open().await;
        let batch = batch(&slots(&log));
        while log.stats().sealed_segments < segments {
            append(&log, &batch).await;
        }
    });
    let before = moved(&disk);
    run(2, &disk, async move {
        let (log, recovered) = open().await;
        assert_eq!(recovered.damage, []);
        assert!(recovered.scanned_bytes <= 3 * SEGMENT_BYTES);
        let opened = moved(&seen) - before;
        assert!(opened <= START_BYTES_MAX, "{opened} bytes for {segments} segments");
        let slots = slots(&log);
        let limit = ReadLimit { records: 1_000_000, bytes: 1 << 30 };
        let first = log.read(slots[0], 0, limit).await.unwrap();
        assert!(!first.chunks.is_empty());
        append(&log, &batch(&slots)).await;
        let answered = moved(&seen) - before;
        assert!(answered <= FIRST_ANSWER_BYTES_MAX, "{answered} bytes for {segments} segments");
        // Who goes on gets everything.
        let end = log.shard(slots[0]).durable_index;
        let (mut next, mut calls) = (first.next, 1);
        while next < end {
            let result = log.read(slots[0], next, limit).await.unwrap();
            assert!(result.next > next && !result.chunks.is_empty());
            (next, calls) = (result.next, calls + 1);
        }
        assert!(calls <= segments, "{calls} calls for {segments} segments");
        // What has been ordered by then is given at once.
        let again = log.read(slots[0], 0, limit).await.unwrap();
        assert!(again.next > first.next, "{} {}", again.next, first.next);
        log.shutdown().await;
    });
}

#[test]
fn a_start_and_its_first_answer_cost_the_tail_and_not_the_log() {
    check(12);
    check(60);
}
