//! Full segments get their tables, and a log that is opened again goes on behind them.

use std::os::unix::fs::FileExt;

use runtime::file::Access;
use storage::table::Footer;

use super::*;

const BLOCK_BYTES: usize = 4096;

/// The footers of all segment files that have one, by segment number.
async fn footers(directory: &Path) -> Vec<Footer> {
    sealed_files(directory).await.into_iter().map(|(_, footer)| footer).collect()
}

/// All segment files that have a footer, by segment number.
pub(crate) async fn sealed_files(directory: &Path) -> Vec<(PathBuf, Footer)> {
    let segments = directory.join("segments");
    let mut found = Vec::new();
    for entry in file::list(&segments).await.unwrap() {
        let path = segments.join(&entry.name);
        let file = file::open(&path, Access::Read).await.unwrap();
        let last = file.read(entry.bytes - BLOCK_BYTES as u64, BLOCK_BYTES).await.unwrap();
        found.extend(Footer::decode(&last, entry.bytes).map(|footer| (path, footer)));
    }
    found.sort_by_key(|(_, footer)| footer.first);
    found
}

/// Changes one byte of a file.
pub(crate) fn rot(path: &Path, position: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], position).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn full_segments_get_tables_with_all_shards_and_postings_where_parts_are_large() {
    on_core("tables", async |directory| {
        let (log, _) = open(&directory).await;
        let small: Vec<_> = (0..200).map(|key| log.open_shard(ShardKey(key), DAY_MS)).collect();
        // A shard without records has nothing to be found, and so no row.
        log.open_shard(ShardKey(1_000), DAY_MS);
        for round in 0..3_000 {
            let slot = small[round as usize % 200];
            append(&log, batch(slot, round / 200 * 10, round / 200 * 10 + 10, 100)).await;
        }
        let large = log.open_shard(ShardKey(500), DAY_MS);
        for round in 0..300 {
            append(&log, batch(large, round * 10, round * 10 + 10, 6_000)).await;
        }
        log.shutdown().await;
        let stats = log.stats();
        assert!(stats.sealed_segments >= 5, "{stats:?}");
        assert_eq!(stats.sealed_segments, stats.segments, "all but the last are sealed");
        assert!(stats.table_bytes > 0);
        let footers = footers(&directory).await;
        assert_eq!(footers.len() as u64, stats.sealed_segments);
        for (number, footer) in footers.iter().enumerate() {
            assert_eq!((footer.first, footer.last), (number as u64, number as u64));
        }
        assert_eq!(footers.last().unwrap().row_count, 201);
        assert!(!footers[0].has_postings);
        assert!(footers.last().unwrap().has_postings);
    });
}

#[test]
fn appends_go_on_through_many_segments_and_reopenings() {
    on_core("many-segments", async |_| {});
    for life in 0..3 {
        in_next_life("many-segments", async move |directory| {
            let mut written = life * 6_000;
            let (log, recovered) = open(&directory).await;
            assert_eq!(recovered.damage, []);
            let slot = log.open_shard(ShardKey(1), DAY_MS);
            check_all(&log, slot, written).await;
            for _ in 0..60 {
                append(&log, batch(slot, written, written + 100, 3_000)).await;
                written += 100;
            }
            check_all(&log, slot, written).await;
            // The core ends without a shutdown: what is not sealed yet is walked again.
        });
    }
}

#[test]
fn a_start_reads_the_newest_table_and_what_is_behind_it() {
    on_core("start-cost", async |directory| {
        let (log, _) = open(&directory).await;
        let slot = log.open_shard(ShardKey(1), DAY_MS);
        let closed = log.open_shard(ShardKey(2), 2 * DAY_MS);
        append(&log, batch(closed, 0, 10, 10)).await;
        log.close_shard(closed);
        for round in 0..200 {
            append(&log, batch(slot, round * 100, round * 100 + 100, 3_000)).await;
        }
        let sealed = log.stats().sealed_segments;
        log.shutdown().await;
        assert!(sealed > 10);
        let (log, recovered) = open(&directory).await;
        assert!(recovered.scanned_bytes <= 4 << 20, "{recovered:?}");
        assert_eq!(recovered.rebuilt_tables, []);
        assert_eq!(recovered.shard_count, 2);
        let closed = log.shard(log.find_shard(ShardKey(2)).unwrap());
        assert!(closed.closed);
        assert_eq!((closed.retention_ms, closed.durable_index), (2 * DAY_MS, 10));
        log.shutdown().await;
    });
}

#[test]
fn a_table_that_rots_is_rebuilt_from_its_frames_and_reported() {
    on_core("rebuilt", async |directory| {
        let (log, _) = open(&directory).await;
        let slots: Vec<_> = (0..100).map(|key| log.open_shard(ShardKey(key), DAY_MS)).collect();
        for round in 0..200 {
            for &slot in &slots {
                append(&log, batch(slot, round * 3, round * 3 + 3, 300)).await;
            }
        }
        log.shutdown().await;
        // Whatever block of the newest table it is.
        for block in 0..3 {
            let (path, newest) = sealed_files(&directory).await.pop().unwrap();
            rot(&path, u64::from(newest.rows_position) + block * BLOCK_BYTES as u64);
            let (log, recovered) = open(&directory).await;
            assert_eq!(recovered.rebuilt_tables, [newest.first]);
            assert_eq!(recovered.damage, []);
            assert_eq!(log.stats().rebuilt_tables, 1);
            for key in 0..100 {
                check_all(&log, log.find_shard(ShardKey(key)).unwrap(), 600).await;
            }
            log.shutdown().await;
        }
        let (log, recovered) = open(&directory).await;
        assert_eq!(recovered.rebuilt_tables, []);
        log.shutdown().await;
    });
}
