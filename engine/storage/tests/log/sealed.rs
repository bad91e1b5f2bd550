//! Full segments get their tables, and a log that is opened again goes on behind them.

use runtime::file::Access;
use storage::table::Footer;

use super::*;

const BLOCK_BYTES: usize = 4096;

/// The footers of all segment files that have one, by segment number.
async fn footers(directory: &Path) -> Vec<Footer> {
    let segments = directory.join("segments");
    let mut footers = Vec::new();
    for entry in file::list(&segments).await.unwrap() {
        let file = file::open(&segments.join(&entry.name), Access::Read).await.unwrap();
        let last = file.read(entry.bytes - BLOCK_BYTES as u64, BLOCK_BYTES).await.unwrap();
        footers.extend(Footer::decode(&last, entry.bytes));
    }
    footers.sort_by_key(|footer| footer.first);
    footers
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
    on_core("many-segments", async |directory| {
        let mut written = 0;
        for life in 0..3 {
            let (log, recovered) = open(&directory).await;
            assert_eq!(recovered.damage, []);
            let slot = log.open_shard(ShardKey(1), DAY_MS);
            check_all(&log, slot, written).await;
            for _ in 0..60 {
                append(&log, batch(slot, written, written + 100, 3_000)).await;
                written += 100;
            }
            check_all(&log, slot, written).await;
            if life == 1 {
                // Not shut down: what is not sealed yet is walked again.
                continue;
            }
            log.shutdown().await;
        }
    });
}
