//! Tables of older segments that rot are built anew from their frames when somebody comes there.

use super::cold::{PER_ROUND, ROUNDS, SHARDS, fill_many, uncached};
use super::sealed::{rot, sealed_files};
use super::*;
use storage::table::Footer;

const BLOCK_BYTES: u64 = 4096;

async fn check_shards(log: &Log) {
    for key in 0..SHARDS {
        let slot = log.find_shard(ShardKey(key * 7)).unwrap();
        check_all(log, slot, ROUNDS * PER_ROUND).await;
    }
}

/// A block of each region, and the footer.
async fn rot_all_over(path: &Path, footer: &Footer) {
    let bytes = std::fs::metadata(path).unwrap().len();
    rot(path, u64::from(footer.rows_position) + 100);
    rot(path, u64::from(footer.sparse_position) + 5);
    if footer.has_postings {
        rot(path, u64::from(footer.postings_position) + 50);
    }
    rot(path, bytes - BLOCK_BYTES + 40);
}

#[test]
fn an_older_table_that_rots_is_rebuilt_when_a_reader_comes_there() {
    on_core("rotten-older", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        fill_many(&log).await;
        log.shutdown().await;
        let (path, footer) = sealed_files(&directory).await.swap_remove(1);
        assert!(!footer.clustered);
        rot_all_over(&path, &footer).await;
        let (log, recovered) = open_with(&directory, uncached).await;
        assert_eq!((recovered.damage, recovered.rebuilt_tables), (vec![], vec![]));
        check_shards(&log).await;
        assert_eq!(log.stats().rebuilt_tables, 1);
        log.shutdown().await;
        let (log, _) = open_with(&directory, uncached).await;
        check_shards(&log).await;
        assert_eq!(log.stats().rebuilt_tables, 0);
        log.shutdown().await;
    });
}

/// Has a footer say that a damaged frame before its end may be of shards without a row.
fn set_nameless(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let start = bytes.len() - BLOCK_BYTES as usize;
    let footer = &mut bytes[start..];
    footer[38] |= 4;
    let checksum = xxhash_rust::xxh3::xxh3_64(&footer[16..128]);
    footer[8..16].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn tables_that_are_built_anew_still_say_that_damage_was_nameless() {
    on_core("rotten-nameless", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        fill_many(&log).await;
        log.shutdown().await;
        let sealed = sealed_files(&directory).await;
        sealed.iter().for_each(|(path, _)| set_nameless(path));
        rot(&sealed[1].0, u64::from(sealed[1].1.rows_position) + 100);
        let (log, _) = open_with(&directory, uncached).await;
        check_shards(&log).await;
        assert_eq!(log.stats().rebuilt_tables, 1);
        log.shutdown().await;
        // Readers have the segments ordered by shard.
        let (log, _) = open_with(&directory, uncached).await;
        check_shards(&log).await;
        log.shutdown().await;
        let newest = sealed.last().unwrap().1.first;
        let anew = sealed_files(&directory).await;
        let anew: Vec<&Footer> = anew.iter().map(|(_, footer)| footer).collect();
        assert!(anew.iter().any(|footer| footer.clustered));
        for footer in anew.into_iter().filter(|footer| footer.last <= newest) {
            assert!(footer.has_nameless_damage, "{footer:?}");
        }
    });
}

#[test]
fn nameless_damage_does_not_concern_a_shard_that_is_made_afterwards() {
    on_core("rotten-new-shard", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        fill_many(&log).await;
        log.shutdown().await;
        sealed_files(&directory).await.iter().for_each(|(path, _)| set_nameless(path));
        let (log, _) = open_with(&directory, uncached).await;
        let unknown = log.open_shard(ShardKey(900_000), DAY_MS);
        let made = log.create_shard(ShardKey(900_001), DAY_MS);
        assert!(log.append_refusal(unknown).is_some());
        assert!(log.append_refusal(made).is_none());
        log.shutdown().await;
    });
}

#[test]
fn a_rewritten_segments_table_that_rots_is_rebuilt_too() {
    on_core("rotten-rewritten", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        fill_many(&log).await;
        log.shutdown().await;
        let (log, _) = open_with(&directory, uncached).await;
        // Readers have the segments ordered by shard.
        check_shards(&log).await;
        log.shutdown().await;
        for single in [true, false] {
            let mut files = sealed_files(&directory).await;
            let (newest_path, newest) = files.pop().unwrap();
            let is_before = |(_, footer): &(_, Footer)| footer.last + 1 == newest.first;
            let (path, footer) =
                files.into_iter().filter(|(_, footer)| footer.clustered).find(is_before).unwrap();
            rot_all_over(&path, &footer).await;
            let mut expected = vec![];
            if !single {
                // Then the start needs what else only readers do.
                rot_all_over(&newest_path, &newest).await;
                expected = vec![footer.first, newest.first];
            }
            let (log, recovered) = open_with(&directory, uncached).await;
            assert_eq!((recovered.damage, recovered.rebuilt_tables), (vec![], expected));
            check_shards(&log).await;
            assert_eq!(log.stats().rebuilt_tables, if single { 1 } else { 2 });
            log.shutdown().await;
        }
    });
}

#[test]
fn times_are_found_behind_a_table_that_rots() {
    on_core("rotten-times", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.open_shard(ShardKey(1), DAY_MS);
        for round in 0..100 {
            append(&log, batch(slot, round * 40, round * 40 + 40, 3_000)).await;
        }
        log.shutdown().await;
        for (path, footer) in sealed_files(&directory).await.into_iter().skip(1).take(1) {
            assert!(footer.has_postings);
            rot_all_over(&path, &footer).await;
        }
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.find_shard(ShardKey(1)).unwrap();
        assert_eq!(log.find_by_time(slot, 0).await.unwrap(), 0);
        assert_eq!(log.find_by_time(slot, u64::MAX).await.unwrap(), 4_000);
        super::cold::check_times(&log, slot, 4_000).await;
        assert_eq!(log.stats().rebuilt_tables, 1);
        log.shutdown().await;
    });
}
