//! What only shows when something inside a log goes wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::clock;
use runtime::sim::{self, Disk};

use super::*;
use crate::catalog::Catalog;
use crate::gather::AppendRecord;

const YEAR_MS: u64 = 365 * 24 * 3_600_000;
const RECORD_BYTES: u32 = 5_000;
const ONE: ReadLimit = ReadLimit { records: 1, bytes: 1 };

fn run<T: 'static>(seed: u64, main: impl Future<Output = T> + 'static) -> T {
    let disk = Disk::new(seed);
    disk.create_raw(Path::new("/data/here"), &[]);
    sim::run(seed, &disk, &sim::Options::default(), main).done().unwrap()
}

/// A log of small segments that keeps little in memory.
async fn open() -> (Log, CatalogClient) {
    let (catalog, state) = Catalog::open(Path::new("/data")).await.unwrap();
    let mut options = LogOptions::new(PathBuf::from("/data"), 0, state.life);
    options.segment_bytes = 1 << 20;
    options.first_segment_bytes = 256 << 10;
    options.frame_bytes = 64 << 10;
    options.cache_bytes_max = 256 << 10;
    let (log, _) = Log::open(options, catalog.clone(), &state).await.unwrap();
    (log, catalog)
}

async fn fill(log: &Log, slot: ShardSlot, batches: usize) {
    let record =
        AppendRecord { slot, key_start: 0, data_start: 3, data_bytes: RECORD_BYTES, key_bytes: 3 };
    let payload = Arc::new(vec![b'k'; 3 + RECORD_BYTES as usize]);
    for _ in 0..batches {
        let records = vec![record; 10];
        loop {
            let append = Append { payload: payload.clone(), records: records.clone() };
            match log.append(append) {
                Ok(acknowledgement) => break drop(acknowledgement.await.unwrap().unwrap()),
                Err(AppendError::Busy) => log.room().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_segment_that_is_not_found_is_not_taken_for_expired() {
    run(1, async {
        let (log, _catalog) = open().await;
        let key = ShardKey(7);
        let slot = log.open_shard(key, YEAR_MS);
        fill(&log, slot, 200).await;
        clock::sleep(Duration::from_secs(2)).await;
        // As if a search passed over it: nobody has given it up.
        let lost = log.inner.segments.at(3).unwrap();
        let before = log.inner.segments.at(2).unwrap();
        let end = log.inner.cold.tables.row(&before, key).await.unwrap().unwrap().next_index;
        log.inner.segments.remove(&lost);
        drop(lost);
        let all = ReadLimit { records: usize::MAX, bytes: usize::MAX };
        let read = log.read(slot, 0, all).await.unwrap();
        assert_eq!(read.next, end, "what stands before is given");
        let error = log.read(slot, end, ONE).await.unwrap_err();
        assert!(matches!(error, ReadError::Missing { key: ShardKey(7), index } if index == end));
        assert_eq!(
            error.to_string(),
            format!("record {end} of shard 0x7 is kept, and no segment holds it")
        );
        assert!(log.stats().missing_reads > 0);
        // Once retention says that it went, it is passed over.
        log.inner.state.borrow_mut().shards.get_mut(slot).expire(end + 500, 4);
        assert!(log.read(slot, end, ONE).await.unwrap().next > end + 500);
    });
}

#[test]
fn what_an_earlier_life_gave_up_is_passed_over() {
    let disk = Disk::new(2);
    disk.create_raw(Path::new("/data/here"), &[]);
    let first = async {
        let (log, catalog) = open().await;
        let slot = log.open_shard(ShardKey(7), 60_000);
        fill(&log, slot, 200).await;
        clock::sleep(Duration::from_secs(600)).await;
        assert!(log.stats().removed_segments > 5);
        log.shutdown().await;
        catalog.shutdown().await.unwrap();
    };
    sim::run(3, &disk, &sim::Options::default(), first).done().unwrap();
    let second = async {
        let (log, _catalog) = open().await;
        let slot = log.open_shard(ShardKey(7), YEAR_MS);
        let shard = log.shard(slot);
        assert_eq!(shard.horizon, 0, "no life tells the next");
        assert!(log.read(slot, 0, ONE).await.unwrap().next > 1_000);
        assert_eq!(log.stats().missing_reads, 0);
    };
    sim::run(4, &disk, &sim::Options::default(), second).done().unwrap();
}
