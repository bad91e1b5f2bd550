//! A log over the kernel's driver and a real folder: append, acknowledge, read, follow, reopen.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use runtime::cores::{self, CoreConfig};
use runtime::file;
use storage::catalog::Catalog;
use storage::chunk::ReadLimit;
use storage::error::OpenError;
use storage::options::LogOptions;
use storage::shard::{ShardKey, ShardSlot};
use storage::{Append, AppendRecord, Log};

#[path = "log/abandoned.rs"]
mod abandoned;
#[path = "log/cold.rs"]
mod cold;
#[path = "log/rotten_tables.rs"]
mod rotten_tables;
#[path = "log/sealed.rs"]
mod sealed;

const ALL: ReadLimit = ReadLimit { records: 100_000, bytes: 100 << 20 };
const DAY_MS: u64 = 24 * 3_600_000;

fn on_core<T: Send + 'static>(
    name: &str,
    test: impl AsyncFnOnce(PathBuf) -> T + Send + 'static,
) -> T {
    let directory = directory(name);
    if directory.exists() {
        std::fs::remove_dir_all(&directory).unwrap();
    }
    in_next_life(name, test)
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// As `on_core`, with the folder as an earlier core left it. A core's end stops whatever its logs
/// were doing, as the end of a process does.
fn in_next_life<T: Send + 'static>(
    name: &str,
    test: impl AsyncFnOnce(PathBuf) -> T + Send + 'static,
) -> T {
    let directory = directory(name);
    let config = CoreConfig { name: name.to_string(), cpu: None, io_memory_bytes: 16 << 20 };
    let core = cores::start(config, move || async move {
        file::create_directory_all(&directory).await.unwrap();
        test(directory).await
    });
    core.unwrap().join()
}

async fn open(directory: &Path) -> (Log, storage::Recovered) {
    open_with(directory, |_| {}).await
}

async fn open_with(
    directory: &Path,
    change: impl FnOnce(&mut LogOptions),
) -> (Log, storage::Recovered) {
    let (catalog, state) = Catalog::open(directory).await.unwrap();
    let mut options = LogOptions::new(directory.to_path_buf(), 0, state.life);
    options.segment_bytes = 4 << 20;
    options.first_segment_bytes = 1 << 20;
    options.frame_bytes = 64 << 10;
    // Tests look into the files of the folder: those that hold nothing are to be gone.
    options.surplus_kept = Duration::ZERO;
    change(&mut options);
    Log::open(options, catalog, &state).await.unwrap()
}

/// A batch of records `from..to` of a shard; the data says shard and number.
fn batch(slot: ShardSlot, from: u64, to: u64, pad: usize) -> Append {
    let mut payload = Vec::new();
    let mut records = Vec::new();
    for number in from..to {
        let key_start = payload.len() as u32;
        payload.extend_from_slice(b"key");
        let data_start = payload.len() as u32;
        payload.extend_from_slice(&slot.0.to_le_bytes());
        payload.extend_from_slice(&number.to_le_bytes());
        payload.resize(payload.len() + pad, 7);
        let data_bytes = payload.len() as u32 - data_start;
        records.push(AppendRecord { slot, key_start, data_start, data_bytes, key_bytes: 3 });
    }
    Append { payload: Arc::new(payload), records }
}

async fn append(log: &Log, batch: Append) -> storage::Appended {
    loop {
        match log.append(batch.clone()) {
            Ok(acknowledgement) => return acknowledgement.await.unwrap().unwrap(),
            Err(storage::error::AppendError::Busy) => log.room().await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn check_all(log: &Log, slot: ShardSlot, count: u64) {
    let mut next = 0;
    while next < count {
        let result = log.read(slot, next, ALL).await.unwrap();
        assert!(!result.chunks.is_empty(), "nothing at {next} of {count}");
        for chunk in &result.chunks {
            for record in chunk.records() {
                assert_eq!(record.index, next);
                assert_eq!(record.key, b"key");
                assert_eq!(record.data[4..12], next.to_le_bytes());
                next += 1;
            }
        }
        assert_eq!(result.next, next);
    }
    assert_eq!(next, count);
}

#[test]
fn what_is_acknowledged_is_read_now_and_after_reopening() {
    on_core("reopen", async |directory| {
        let (log, _) = open(&directory).await;
        let slots: Vec<_> = (0..7).map(|key| log.open_shard(ShardKey(key), DAY_MS)).collect();
        for round in 0..200 {
            for &slot in &slots {
                let appended = append(&log, batch(slot, round * 5, round * 5 + 5, 500)).await;
                assert_eq!(appended.indices, (round * 5..round * 5 + 5).collect::<Vec<_>>());
            }
        }
        for &slot in &slots {
            check_all(&log, slot, 1_000).await;
        }
        log.shutdown().await;
        let (log, recovered) = open(&directory).await;
        assert_eq!(recovered.damage, []);
        assert_eq!(recovered.shard_count, 7);
        for key in 0..7 {
            let slot = log.find_shard(ShardKey(key)).unwrap();
            check_all(&log, slot, 1_000).await;
            append(&log, batch(slot, 1_000, 1_003, 10)).await;
            check_all(&log, slot, 1_003).await;
        }
        log.shutdown().await;
    });
}

#[test]
fn a_log_that_is_only_dropped_keeps_what_was_acknowledged() {
    on_core("dropped", async |_| {});
    for life in 0..5u64 {
        in_next_life("dropped", async move |directory| {
            let (log, recovered) = open(&directory).await;
            assert_eq!(recovered.damage, []);
            let slot = log.open_shard(ShardKey(1), DAY_MS);
            check_all(&log, slot, life * 300).await;
            for round in 0..3 {
                let from = life * 300 + round * 100;
                append(&log, batch(slot, from, from + 100, 3_000)).await;
            }
        });
    }
}

#[test]
fn a_manifest_that_is_older_than_the_log_removes_no_file() {
    on_core("behind", async |directory| {
        let (log, _) = open(&directory).await;
        let slot = log.open_shard(ShardKey(1), DAY_MS);
        append(&log, batch(slot, 0, 100, 10)).await;
        log.shutdown().await;
    });
    let earlier = std::fs::read(directory("behind").join("catalog-a")).unwrap();
    let count = || std::fs::read_dir(directory("behind").join("segments")).unwrap().count();
    in_next_life("behind", async |directory| {
        let (log, _) = open(&directory).await;
        let slot = log.find_shard(ShardKey(1)).unwrap();
        for round in 1..30 {
            append(&log, batch(slot, round * 100, round * 100 + 100, 3_000)).await;
        }
        log.shutdown().await;
    });
    let files = count();
    // The catalog as it was before the later segments, and one that knows of no segment at all.
    for (catalog, first) in [(earlier, None), (Vec::new(), Some(0))] {
        std::fs::write(directory("behind").join("catalog-a"), catalog).unwrap();
        let error = in_next_life("behind", async |directory| {
            let (catalog, state) = Catalog::open(&directory).await.unwrap();
            let options = LogOptions::new(directory.clone(), 0, state.life);
            Log::open(options, catalog, &state).await.err().expect("later segments are there")
        });
        let OpenError::ManifestBehind { segment, .. } = error else { panic!("{error}") };
        assert!(first.is_none_or(|first| first == segment), "segment {segment}");
        assert_eq!(count(), files);
    }
}

#[test]
fn a_follower_gets_everything_in_order() {
    on_core("follow", async |directory| {
        let (log, _) = open(&directory).await;
        let slot = log.open_shard(ShardKey(3), DAY_MS);
        append(&log, batch(slot, 0, 50, 10)).await;
        let mut follower = log.follow(slot, 0);
        let writer = log.clone();
        let written = runtime::task::spawn(async move {
            for round in 1..40 {
                append(&writer, batch(slot, round * 50, round * 50 + 50, 10)).await;
            }
        });
        let mut next = 0;
        while next < 2_000 {
            let chunk = follower.next().await.unwrap();
            for record in chunk.records() {
                assert_eq!(record.index, next);
                next += 1;
            }
        }
        written.await;
        log.shutdown().await;
    });
}
