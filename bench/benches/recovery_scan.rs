//! Question: how long does the opening of a log take for each byte of its unsealed tail?
//!
//! Measured against: reading the same bytes and doing nothing with them, in the same pieces of
//! 1 MiB one after the other. The log is in `target`, 24 MiB of records of 100 bytes over 512
//! shards in one segment without a table; opening it checks every frame and enters its parts.
//! What the opening does beside it (the catalog, the seal frame) is not counted: storage reports
//! the time from the first to the last step of recovery.

#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput};
use runtime::cores::{self, CoreConfig};
use runtime::file::{self, Access};
use runtime::{clock, task};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use storage::catalog::Catalog;
use storage::options::LogOptions;
use storage::shard::{ShardKey, ShardSlot};
use storage::{Append, AppendRecord, Log};

const SHARDS: u64 = 512;
const BATCH_RECORDS: u32 = 500;
const TAIL_BYTES: u64 = 24 << 20;
const PIECE_BYTES: u64 = 1 << 20;
const DAY_MS: u64 = 24 * 3_600_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-recovery-scan");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("a folder of ours");
    }
    std::fs::create_dir_all(&folder).expect("target can be written");
    let bytes = on_core(&folder, async |folder| fill(folder).await);
    let mut group = criterion.benchmark_group("recovery_scan");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("open", |bencher| {
        bencher.iter_custom(|count| {
            on_core(&folder, async move |folder| {
                let mut took = Duration::ZERO;
                for _ in 0..count {
                    took += reopen(folder).await;
                }
                took
            })
        });
    });
    group.bench_function("read_only", |bencher| {
        bencher.iter_custom(|count| {
            on_core(&folder, async move |folder| {
                let started = clock::now();
                for _ in 0..count {
                    read(folder, bytes).await;
                }
                clock::now() - started
            })
        });
    });
    group.finish();
    criterion.final_summary();
    std::fs::remove_dir_all(&folder).expect("a folder of ours");
}

fn on_core<T: Send + 'static>(
    folder: &Path,
    work: impl AsyncFnOnce(&Path) -> T + Send + 'static,
) -> T {
    let config = CoreConfig { name: "recovery".to_owned(), cpu: None, io_memory_bytes: 32 << 20 };
    let folder = folder.to_path_buf();
    let core = cores::start(config, move || async move { work(&folder).await });
    core.expect("a core needs io_uring").join()
}

async fn open(folder: &Path) -> (Log, storage::Recovered) {
    let (catalog, state) = Catalog::open(folder).await.expect("a folder of ours");
    let mut options = LogOptions::new(folder.to_path_buf(), 0, state.life);
    options.first_segment_bytes = options.segment_bytes;
    options.spare_segments = 1;
    Log::open(options, catalog, &state).await.expect("a whole log")
}

/// Fills the tail, and gives the bytes of its frames.
async fn fill(folder: &Path) -> u64 {
    let (log, _) = open(folder).await;
    let slots: Vec<_> = (0..SHARDS).map(|key| log.open_shard(ShardKey(key), DAY_MS)).collect();
    let mut waiting = Vec::new();
    let mut at = 0;
    while log.stats().frame_bytes < TAIL_BYTES {
        let batch = batch(&slots, &mut at);
        match log.append(batch.clone()) {
            Ok(acknowledgement) => waiting.push(task::spawn(acknowledgement)),
            Err(storage::error::AppendError::Busy) => log.room().await,
            Err(error) => panic!("{error}"),
        }
    }
    log.shutdown().await;
    let (log, recovered) = open(folder).await;
    log.shutdown().await;
    recovered.scanned_bytes
}

fn batch(slots: &[ShardSlot], at: &mut usize) -> Append {
    let mut records = Vec::new();
    for number in 0..BATCH_RECORDS {
        // Strides that meet all shards in no order: 512 and 197 have no common divisor.
        *at = (*at + 197) % slots.len();
        let key_start = number * 116;
        let data_start = key_start + 16;
        let slot = slots[*at];
        records.push(AppendRecord { slot, key_start, data_start, data_bytes: 100, key_bytes: 16 });
    }
    Append { payload: Arc::new(vec![7; BATCH_RECORDS as usize * 116]), records }
}

async fn reopen(folder: &Path) -> Duration {
    let (_log, recovered) = open(folder).await;
    assert!(recovered.damage.is_empty());
    let scanned_bytes = recovered.scanned_bytes;
    assert!(scanned_bytes >= TAIL_BYTES, "only {scanned_bytes} bytes were scanned");
    recovered.took
}

async fn read(folder: &Path, bytes: u64) {
    let file = file::open(&segment_of(folder), Access::Read).await.expect("the log's segment");
    let mut position = 0;
    while position < bytes.min(file.bytes()) {
        let piece = PIECE_BYTES.min(file.bytes() - position);
        let piece = usize::try_from(piece).expect("1 MiB");
        position += file.read(position, piece).await.expect("the disk reads").len() as u64;
    }
}

fn segment_of(folder: &Path) -> PathBuf {
    folder.join("segments/000-00000000.seg")
}
