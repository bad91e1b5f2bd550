//! Reads of sealed segments: everything is found, in order, by index and by time, and bytes that
//! rot are refused.

use storage::error::ReadError;

use super::sealed::{rot, sealed_files};
use super::*;

/// So little is cached that nearly all reads go to the disk.
pub(crate) fn uncached(options: &mut LogOptions) {
    options.cache_bytes_max = 256 << 10;
    options.table_cache_bytes_max = 256 << 10;
    options.image_cache_bytes_max = 12 << 20;
}

pub(crate) const SHARDS: u64 = 60;
pub(crate) const ROUNDS: u64 = 200;
pub(crate) const PER_ROUND: u64 = 5;

/// Many shards whose parts share frames.
pub(crate) async fn fill_many(log: &Log) -> Vec<ShardSlot> {
    let slots: Vec<_> = (0..SHARDS).map(|key| log.open_shard(ShardKey(key * 7), DAY_MS)).collect();
    for round in 0..ROUNDS {
        let mut pending = Vec::new();
        for &slot in &slots {
            let append = batch(slot, round * PER_ROUND, (round + 1) * PER_ROUND, 150);
            pending.push(accepted(log, append).await);
        }
        for acknowledgement in pending {
            acknowledgement.await.unwrap().unwrap();
        }
    }
    slots
}

async fn accepted(log: &Log, append: Append) -> storage::Acknowledgement {
    loop {
        match log.append(append.clone()) {
            Ok(acknowledgement) => return acknowledgement,
            Err(storage::error::AppendError::Busy) => log.room().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads the arrival time of every record, then asks for times around every change of it.
pub(crate) async fn check_times(log: &Log, slot: ShardSlot, count: u64) {
    let mut arrivals = Vec::new();
    while (arrivals.len() as u64) < count {
        let result = log.read(slot, arrivals.len() as u64, ALL).await.unwrap();
        let records = result.chunks.iter().flat_map(|chunk| chunk.records());
        arrivals.extend(records.map(|record| record.arrival_ms));
    }
    let mut times = arrivals.clone();
    times.dedup();
    for time in times.iter().step_by(times.len().div_ceil(12)) {
        for asked in [time - 1, *time, time + 1] {
            let expected = arrivals.partition_point(|arrival| *arrival < asked) as u64;
            assert_eq!(log.find_by_time(slot, asked).await.unwrap(), expected, "{asked}");
        }
    }
    assert_eq!(log.find_by_time(slot, 0).await.unwrap(), 0);
    assert_eq!(log.find_by_time(slot, u64::MAX).await.unwrap(), count);
}

#[test]
fn many_shards_are_read_from_sealed_segments_now_and_after_reopening() {
    on_core("cold-many", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        let slots = fill_many(&log).await;
        for &slot in &slots {
            check_all(&log, slot, ROUNDS * PER_ROUND).await;
        }
        check_times(&log, slots[3], ROUNDS * PER_ROUND).await;
        let stats = log.stats();
        assert!(stats.sealed_segments >= 3, "{stats:?}");
        assert!(stats.cache_misses > 0 && stats.read_bytes > 0, "{stats:?}");
        assert!(stats.table_block_hits > 0 && stats.table_block_misses > 0, "{stats:?}");
        log.shutdown().await;
        let (log, _) = open_with(&directory, uncached).await;
        for key in 0..SHARDS {
            let slot = log.find_shard(ShardKey(key * 7)).unwrap();
            check_all(&log, slot, ROUNDS * PER_ROUND).await;
        }
        check_times(&log, log.find_shard(ShardKey(21)).unwrap(), ROUNDS * PER_ROUND).await;
        log.shutdown().await;
    });
}

#[test]
fn large_parts_are_read_one_by_one_from_any_record_on() {
    on_core("cold-large", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.open_shard(ShardKey(1), DAY_MS);
        let other = log.open_shard(ShardKey(2), DAY_MS);
        for round in 0..150 {
            append(&log, batch(slot, round * 40, round * 40 + 40, 3_000)).await;
            if round % 10 == 0 {
                append(&log, batch(other, round / 10 * 40, round / 10 * 40 + 40, 3_000)).await;
            }
        }
        log.shutdown().await;
        let (log, recovered) = open_with(&directory, uncached).await;
        assert!(recovered.scanned_bytes <= 4 << 20);
        let slot = log.find_shard(ShardKey(1)).unwrap();
        let other = log.find_shard(ShardKey(2)).unwrap();
        check_all(&log, slot, 6_000).await;
        check_all(&log, other, 600).await;
        check_times(&log, slot, 6_000).await;
        check_times(&log, other, 600).await;
        for from in (0..6_000).step_by(97) {
            for (records, bytes) in [(1, 1), (7, 1 << 20), (1_000, 10 << 20), (1_000, 50_000)] {
                let result = log.read(slot, from, ReadLimit { records, bytes }).await.unwrap();
                assert_eq!(result.chunks[0].first_index, from);
                let read = result.next - from;
                let fits = (bytes / 3_015).clamp(1, records) as u64;
                assert_eq!(read, fits.min(6_000 - from), "{from} {records} {bytes}");
            }
        }
        log.shutdown().await;
    });
}

#[test]
fn a_sequential_reader_finds_what_was_read_ahead() {
    on_core("cold-ahead", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.open_shard(ShardKey(1), DAY_MS);
        for round in 0..150 {
            append(&log, batch(slot, round * 40, round * 40 + 40, 3_000)).await;
        }
        log.shutdown().await;
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.find_shard(ShardKey(1)).unwrap();
        let mut next = 0;
        while next < 6_000 {
            let result =
                log.read(slot, next, ReadLimit { records: 10, bytes: 1 << 20 }).await.unwrap();
            assert!(result.next > next);
            next = result.next;
        }
        let stats = log.stats();
        // Each byte is read about once, in pieces far larger than what is asked for at a time.
        assert!(stats.read_bytes < 25 << 20, "{stats:?}");
        assert!(stats.cache_misses < 120, "{stats:?}");
        log.shutdown().await;
    });
}

/// Reads the shard to its end; passes over what is refused as damaged. Gives what was refused.
async fn refusals(log: &Log, slot: ShardSlot, count: u64) -> Vec<(u64, u64, u64)> {
    let mut refused: Vec<(u64, u64, u64)> = Vec::new();
    let mut next = 0;
    while next < count {
        match log.read(slot, next, ReadLimit { records: 1, bytes: 1 }).await {
            Ok(result) => {
                let record = result.chunks[0].records().next().unwrap();
                assert_eq!(record.index, next);
                assert_eq!(record.data[4..12], next.to_le_bytes());
                next += 1;
            }
            Err(ReadError::Damaged { segment, position }) => {
                refused.push((next, segment, position));
                next += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    refused
}

#[test]
fn a_large_part_that_rots_is_refused_and_the_rest_is_served() {
    on_core("cold-rot-large", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.open_shard(ShardKey(1), DAY_MS);
        for round in 0..60 {
            append(&log, batch(slot, round * 40, round * 40 + 40, 3_000)).await;
        }
        log.shutdown().await;
        let (path, footer) = sealed_files(&directory).await.swap_remove(1);
        rot(&path, 1_000_000);
        let (log, recovered) = open_with(&directory, uncached).await;
        assert_eq!(recovered.damage, []);
        let slot = log.find_shard(ShardKey(1)).unwrap();
        let refused = refusals(&log, slot, 2_400).await;
        // A frame takes 64 KiB: 20 records of 3,027 bytes and a rest.
        assert!((1..=22).contains(&refused.len()), "{refused:?}");
        let (_, segment, position) = refused[0];
        assert_eq!(segment, footer.first);
        assert!((900_000..1_000_000).contains(&position), "{position}");
        // What stands before the damage is given with what is asked for behind it.
        let result = log.read(slot, 0, ALL).await.unwrap();
        assert_eq!(result.next, refused[0].0);
        log.shutdown().await;
    });
}

#[test]
fn a_mixed_frame_that_rots_is_refused_and_the_rest_is_served() {
    on_core("cold-rot-mixed", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        fill_many(&log).await;
        log.shutdown().await;
        let (path, footer) = sealed_files(&directory).await.swap_remove(1);
        assert!(!footer.has_postings);
        rot(&path, 1_000_000);
        let (log, recovered) = open_with(&directory, uncached).await;
        assert_eq!(recovered.damage, []);
        let mut refused = Vec::new();
        for key in 0..SHARDS {
            let slot = log.find_shard(ShardKey(key * 7)).unwrap();
            refused.extend(refusals(&log, slot, ROUNDS * PER_ROUND).await);
        }
        // One frame of 64 KiB of records of 177 bytes with a directory.
        assert!((1..=370).contains(&refused.len()), "{}", refused.len());
        for (_, segment, position) in refused {
            assert_eq!(segment, footer.first);
            assert!((900_000..=1_000_000).contains(&position), "{position}");
        }
        log.shutdown().await;
    });
}

#[test]
fn segments_that_are_larger_than_their_share_of_memory_are_read_shard_by_shard() {
    on_core("cold-small-images", async |directory| {
        let bytes_max = 100 << 10;
        let (log, _) = open_with(&directory, |options| {
            uncached(options);
            options.image_cache_bytes_max = bytes_max;
            // Nothing fits there: no segment is ordered for its readers.
            options.rewriting_bytes_max = 1 << 10;
        })
        .await;
        let slots = fill_many(&log).await;
        for &slot in slots.iter().step_by(12) {
            check_all(&log, slot, ROUNDS * PER_ROUND).await;
            let stats = log.stats();
            assert!(stats.image_bytes <= bytes_max as u64, "{stats:?}");
            assert_eq!(stats.rewritten_bytes, 0);
        }
        assert!(log.stats().image_bytes > 0, "images were made");
        check_times(&log, slots[7], ROUNDS * PER_ROUND).await;
    });
}
