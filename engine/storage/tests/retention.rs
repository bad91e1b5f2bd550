//! What a log gives back: expiry, deletion, rewriting, the cap, and a disk that fills up. Under the
//! simulation, where an hour passes in no time.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runtime::clock;
use runtime::sim::{self, Disk, Faults, Outcome};
use storage::catalog::Catalog;
use storage::chunk::ReadLimit;
use storage::error::AppendError;
use storage::options::LogOptions;
use storage::shard::{ShardKey, ShardSlot};
use storage::{Append, AppendRecord, Log, Recovered};

#[path = "retention/full_disk.rs"]
mod full_disk;

const SEGMENT_BYTES: u64 = 1 << 20;
const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;
/// A shard of which everything goes, and one of which everything stays.
const GOES: ShardKey = ShardKey(7);
const STAYS: ShardKey = ShardKey(8);

fn options(life: u32) -> LogOptions {
    let mut options = LogOptions::new(PathBuf::from("/data"), 0, life);
    options.segment_bytes = SEGMENT_BYTES;
    options.first_segment_bytes = SEGMENT_BYTES / 4;
    options.frame_bytes = 64 << 10;
    options.cache_bytes_max = 2 << 20;
    options.rewriting_bytes_max = 8 << 20;
    options
}

async fn open_with(change: impl FnOnce(&mut LogOptions)) -> (Log, Recovered) {
    let (catalog, state) = Catalog::open(Path::new("/data")).await.unwrap();
    let mut options = options(state.life);
    change(&mut options);
    Log::open(options, catalog, &state).await.unwrap()
}

fn run<T: 'static>(seed: u64, disk: &Disk, main: impl Future<Output = T> + 'static) -> T {
    sim::run(seed, disk, &sim::Options::default(), main).done().unwrap()
}

fn new_disk(seed: u64) -> Disk {
    let disk = Disk::new(seed);
    disk.create_raw(Path::new("/data/here"), &[]);
    disk
}

/// A batch of records of `bytes` each; the data says shard and index.
fn batch(slot: ShardSlot, from: u64, count: u64, bytes: usize) -> Append {
    let mut payload = b"key".to_vec();
    let mut records = Vec::new();
    for index in from..from + count {
        let data_start = payload.len() as u32;
        payload.extend_from_slice(&u64::from(slot.0).to_le_bytes());
        payload.extend_from_slice(&index.to_le_bytes());
        payload.resize(data_start as usize + bytes, 7);
        let data_bytes = bytes as u32;
        records.push(AppendRecord { slot, key_start: 0, data_start, data_bytes, key_bytes: 3 });
    }
    Append { payload: Arc::new(payload), records }
}

async fn append(log: &Log, batch: Append) -> Result<(), AppendError> {
    loop {
        match log.append(batch.clone()) {
            Ok(acknowledgement) => return acknowledgement.await.unwrap().map(|_| ()),
            Err(AppendError::Busy) => log.room().await,
            Err(error) => return Err(error),
        }
    }
}

/// Two shards whose records lie among each other: `rounds` times 50 KiB of the one and 512 bytes of
/// the other.
async fn fill(log: &Log, rounds: u64) -> (ShardSlot, ShardSlot) {
    let goes = log.open_shard(GOES, HOUR_MS);
    let stays = log.open_shard(STAYS, YEAR_MS);
    let first = log.shard(stays).next_index;
    for round in first..first + rounds {
        append(log, batch(goes, round * 10, 10, 5_000)).await.unwrap();
        append(log, batch(stays, round, 1, 512)).await.unwrap();
    }
    (goes, stays)
}

fn files(disk: &Disk) -> Vec<(String, u64)> {
    disk.list_raw(Path::new("/data/segments"))
}

fn file_bytes(disk: &Disk) -> u64 {
    files(disk).iter().map(|(_, bytes)| bytes).sum()
}

/// What the disk may hold when nothing is appended: one and a half times what is wanted, the newest
/// sealed segment, which stays as it is, the active one, a ready one, and the reserve.
fn bound(rounds: u64) -> u64 {
    rounds * (512 + 3 + 12) * 3 / 2 + 4 * SEGMENT_BYTES
}

#[test]
fn what_was_deleted_leaves_the_disk_within_a_minute() {
    let disk = new_disk(1);
    let seen = disk.clone();
    run(1, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let (goes, _) = fill(&log, 600).await;
        assert!(file_bytes(&seen) > 28 << 20);
        log.delete_shard(goes);
        clock::sleep(Duration::from_secs(60)).await;
        let stats = log.stats();
        assert!(file_bytes(&seen) <= bound(600), "{stats:?} {:?}", files(&seen));
        assert_eq!(file_bytes(&seen), stats.file_bytes);
        assert!(stats.rewritten_bytes > 0);
        assert_eq!((stats.expired_early, stats.background_errors), (0, 0));
    });
}

/// Whatever each segment keeps, and however little memory there is to rewrite it.
#[test]
fn mixtures_leave_at_most_a_half_more_than_what_is_kept() {
    for (seed, kept, rewriting_bytes_max) in
        [(40, 1, 8 << 20), (41, 4, 8 << 20), (42, 4, 1 << 20), (43, 4, 256 << 10), (44, 5, 1 << 20)]
    {
        let disk = new_disk(seed);
        let seen = disk.clone();
        run(seed, &disk, async move {
            let (log, _) =
                open_with(|options| options.rewriting_bytes_max = rewriting_bytes_max).await;
            let goes = log.open_shard(GOES, HOUR_MS);
            let stays: Vec<_> =
                (0..3).map(|key| log.open_shard(ShardKey(20 + key), YEAR_MS)).collect();
            // Of ten parts `kept` stay, those of one shard more than those of the others.
            for round in 0..600 {
                append(&log, batch(goes, round * 10, 10 - kept, 4_000)).await.unwrap();
                for (slot, part) in stays.iter().zip([6, 3, 1]) {
                    append(&log, batch(*slot, round * kept, kept, 400 * part)).await.unwrap();
                }
            }
            log.delete_shard(goes);
            clock::sleep(Duration::from_secs(60)).await;
            let live = 600 * kept * (4_000 + 3 * 15);
            let stats = log.stats();
            let bound = live * 3 / 2 + 4 * SEGMENT_BYTES;
            assert!(
                file_bytes(&seen) <= bound,
                "{kept}: {} of {bound}, {stats:?}",
                file_bytes(&seen)
            );
            assert!(
                stats.rewritten_bytes <= stats.frame_bytes,
                "no byte was written twice: {stats:?}"
            );
            for slot in stays {
                check(&log, slot, 0, 600 * kept, 100_000).await;
            }
            assert_eq!((stats.background_errors, log.damage().len()), (0, 0));
        });
    }
}

#[test]
fn what_has_expired_leaves_the_disk_and_readers_start_behind_it() {
    let disk = new_disk(2);
    let seen = disk.clone();
    run(2, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let (goes, stays) = fill(&log, 600).await;
        clock::sleep(Duration::from_secs(3500)).await;
        assert_eq!((log.shard(goes).horizon, log.stats().removed_segments), (0, 0));
        assert!(file_bytes(&seen) > 28 << 20);
        clock::sleep(Duration::from_secs(170)).await;
        assert!(file_bytes(&seen) <= bound(600), "{:?} {:?}", log.stats(), files(&seen));
        assert!(log.shard(goes).horizon > 5_500, "what is sealed has expired");
        assert_eq!(log.shard(stays).horizon, 0);
    });
}

#[test]
fn nothing_expires_before_the_owner_of_this_life_has_said_for_how_long() {
    let disk = new_disk(3);
    run(3, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        fill(&log, 100).await;
        log.shutdown().await;
        clock::sleep(Duration::from_secs(3 * 3600)).await;
    });
    run(4, &disk, async move {
        let (log, recovered) = open_with(|_| {}).await;
        // The stop was longer than an hour: it could have been the clock.
        assert!(recovered.retention_pause.is_some());
        let before = log.stats().sealed_bytes;
        clock::sleep(Duration::from_secs(2 * 3600)).await;
        assert_eq!(log.stats().retention_pause, None);
        assert_eq!(log.stats().removed_segments, 0);
        assert!(log.stats().sealed_bytes >= before);
        let goes = log.open_shard(GOES, HOUR_MS);
        log.open_shard(STAYS, HOUR_MS);
        clock::sleep(Duration::from_secs(60)).await;
        assert!(log.stats().removed_segments > 0, "{:?}", log.stats());
        assert!(log.shard(goes).horizon > 0);
    });
}

#[test]
fn a_wall_clock_that_was_set_forward_expires_nothing() {
    let disk = new_disk(5);
    let seen = disk.clone();
    run(5, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        fill(&log, 100).await;
        seen.jump_wall_clock(10 * HOUR_MS as i64);
        // Arrival times follow it, retention does not.
        fill(&log, 100).await;
        clock::sleep(Duration::from_secs(1200)).await;
        let stats = log.stats();
        let pause = stats.retention_pause.unwrap();
        assert!(pause.wall_ms > pause.retention_ms + 9 * HOUR_MS);
        assert_eq!(stats.removed_segments, 0);
        seen.jump_wall_clock(-10 * HOUR_MS as i64);
        clock::sleep(Duration::from_secs(120)).await;
        assert_eq!(log.stats().retention_pause, None);
        assert_eq!(log.stats().removed_segments, 0);
    });
}

#[test]
fn a_cap_on_retention_holds_whatever_the_owner_says() {
    let disk = new_disk(6);
    run(6, &disk, async move {
        let (log, _) = open_with(|options| options.retention_ms_max = Some(60_000)).await;
        let (goes, stays) = fill(&log, 200).await;
        clock::sleep(Duration::from_secs(180)).await;
        assert!(log.shard(goes).horizon > 0);
        assert!(log.shard(stays).horizon > 0);
        assert!(log.stats().removed_segments > 0);
    });
}

#[test]
fn the_cap_on_bytes_lets_the_oldest_go_and_counts_their_records() {
    let disk = new_disk(7);
    let seen = disk.clone();
    run(7, &disk, async move {
        let (log, _) = open_with(|options| options.log_bytes_max = Some(6 * SEGMENT_BYTES)).await;
        let (goes, stays) = fill(&log, 600).await;
        clock::sleep(Duration::from_secs(5)).await;
        let stats = log.stats();
        assert!(stats.sealed_bytes <= 6 * SEGMENT_BYTES, "{stats:?}");
        // In use, ready and the reserve, and the surplus that the load may need again.
        assert!(file_bytes(&seen) <= 14 * SEGMENT_BYTES, "{:?}", files(&seen));
        let (goes, stays) = (log.shard(goes).horizon, log.shard(stays).horizon);
        assert!(goes > 4_000 && stays > 400, "{goes} {stays}");
        assert_eq!(stats.expired_early, goes + stays);
    });
}

#[test]
fn files_are_recycled_while_a_short_retention_goes_on() {
    let disk = new_disk(10);
    let seen = disk.clone();
    run(10, &disk, async move {
        let (log, _) = open_with(|options| options.retention_ms_max = Some(20_000)).await;
        let goes = log.open_shard(GOES, HOUR_MS);
        for round in 0..1_000 {
            append(&log, batch(goes, round * 10, 10, 5_000)).await.unwrap();
            clock::sleep(Duration::from_millis(100)).await;
        }
        let stats = log.stats();
        assert!(stats.removed_segments > 25, "{stats:?}");
        // About 20 to 30 seconds are kept: 15 segments, and a few ready and free.
        assert!(file_bytes(&seen) < 24 * SEGMENT_BYTES, "{:?}", files(&seen));
        assert!(stats.zeroed_bytes < 31 * SEGMENT_BYTES, "{stats:?}");
    });
}

/// Reads records `from..to` of a shard in pieces of `bytes`, each once and in order.
async fn check(log: &Log, slot: ShardSlot, from: u64, to: u64, bytes: usize) {
    let mut next = from;
    while next < to {
        let limit = ReadLimit { records: 10_000, bytes };
        let result = log.read(slot, next, limit).await.unwrap();
        assert!(!result.chunks.is_empty(), "nothing at {next} of {to}");
        for record in result.chunks.iter().flat_map(|chunk| chunk.records()) {
            assert_eq!(record.index, next);
            assert_eq!(record.data[8..16], next.to_le_bytes());
            next += 1;
        }
        assert_eq!(result.next, next);
    }
}

#[test]
fn what_stays_is_read_after_its_neighbours_went_now_and_after_reopening() {
    let disk = new_disk(11);
    for life in 0..3 {
        run(20 + life, &disk, async move {
            let (log, recovered) = open_with(|_| {}).await;
            assert_eq!(recovered.damage, []);
            let (goes, stays) = fill(&log, 300).await;
            let count = (life + 1) * 300;
            log.delete_shard(goes);
            clock::sleep(Duration::from_secs(30)).await;
            assert!(log.stats().rewritten_bytes > 0);
            check(&log, stays, 0, count, 100_000).await;
            assert_eq!(log.find_by_time(stays, 0).await.unwrap(), 0);
            log.shutdown().await;
        });
    }
}

#[test]
fn an_idle_log_gives_up_its_spare_files_and_a_written_one_has_them_again() {
    let disk = new_disk(16);
    let seen = disk.clone();
    run(16, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let (goes, _) = fill(&log, 300).await;
        let spare = |log: &Log| log.stats().file_bytes - log.stats().sealed_bytes;
        clock::sleep(Duration::from_secs(5)).await;
        // The active one, three ready, the reserve.
        assert_eq!(spare(&log), 5 * SEGMENT_BYTES);
        log.delete_shard(goes);
        clock::sleep(Duration::from_secs(12)).await;
        assert!(spare(&log) > 15 * SEGMENT_BYTES, "freed files stay: a load may want them");
        let zeroed = log.stats().zeroed_bytes;
        clock::sleep(Duration::from_secs(10)).await;
        assert_eq!(spare(&log), 3 * SEGMENT_BYTES, "{:?}", files(&seen));
        assert_eq!(file_bytes(&seen), log.stats().file_bytes);
        // One record, and the others are made again.
        fill(&log, 1).await;
        clock::sleep(Duration::from_secs(10)).await;
        assert_eq!(spare(&log), 5 * SEGMENT_BYTES);
        assert_eq!(log.stats().zeroed_bytes, zeroed + 2 * SEGMENT_BYTES);
        clock::sleep(Duration::from_secs(15)).await;
        assert_eq!(spare(&log), 3 * SEGMENT_BYTES);
        log.shutdown().await;
    });
    // The numbers that were given up are assigned again.
    run(17, &disk, async move {
        let (log, recovered) =
            open_with(|options| options.idle_after = Duration::from_secs(1)).await;
        assert_eq!(recovered.damage, []);
        for _ in 0..4 {
            fill(&log, 50).await;
            clock::sleep(Duration::from_secs(4)).await;
        }
        let stays = log.find_shard(STAYS).unwrap();
        check(&log, stays, 0, 501, 100_000).await;
    });
}

#[test]
fn a_log_that_is_written_keeps_what_was_freed_for_a_while() {
    let disk = new_disk(18);
    run(18, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let (goes, stays) = fill(&log, 300).await;
        log.delete_shard(goes);
        let started = clock::now();
        let mut round = 300;
        let mut bytes_at = Vec::new();
        while clock::now() - started < Duration::from_secs(60) {
            append(&log, batch(stays, round, 1, 512)).await.unwrap();
            round += 1;
            clock::sleep(Duration::from_secs(1)).await;
            bytes_at.push(log.stats().file_bytes);
        }
        assert_eq!(bytes_at[10], bytes_at[35], "nothing is removed under load for 40 s");
        // The newest sealed, the active one, three ready, the reserve, and what is kept.
        assert!(bytes_at[58] <= 7 * SEGMENT_BYTES, "{bytes_at:?}");
    });
}

#[test]
fn an_idle_log_takes_a_batch_that_needs_all_spare_segments() {
    let disk = new_disk(19);
    run(19, &disk, async move {
        let (log, _) = open_with(|options| options.waiting_bytes_max = 1 << 10).await;
        fill(&log, 100).await;
        clock::sleep(Duration::from_secs(60)).await;
        let slot = log.open_shard(ShardKey(9), YEAR_MS);
        append(&log, batch(slot, 0, 500, 5_000)).await.unwrap();
        assert_eq!(log.shard(slot).durable_index, 500);
    });
}

#[test]
fn power_cuts_while_space_is_freed_take_nothing_that_stays() {
    for seed in 0..60 {
        let disk = new_disk(seed);
        let mut acknowledged = 0;
        for life in 0..4 {
            let options = sim::Options {
                crash: Some(sim::CrashPoint::Operations(
                    400 + (seed * 7919 + life * 104_729) % 4_000,
                )),
                ..sim::Options::default()
            };
            let written = Rc::new(Cell::new(acknowledged));
            let seen = written.clone();
            let key = ShardKey(100 + life * 10);
            let outcome = sim::run(seed * 10 + life, &disk, &options, async move {
                // Now and then a log is idle for long enough to give up its spare segments.
                let idle_after = Duration::from_millis([20_000, 2_900][seed as usize % 2]);
                let (log, recovered) = open_with(|options| options.idle_after = idle_after).await;
                assert_eq!(recovered.damage, []);
                let stays = log.open_shard(STAYS, YEAR_MS);
                // What an earlier life deleted may be known again: its owner deletes it again.
                let old = (100..key.0).filter_map(|old| log.find_shard(ShardKey(old)));
                old.for_each(|slot| log.delete_shard(slot));
                check(&log, stays, 0, seen.get(), 50_000).await;
                let found = log.shard(stays).durable_index;
                assert!(found >= seen.get());
                seen.set(found);
                for cycle in 0..4 {
                    let goes = log.open_shard(ShardKey(key.0 + cycle), HOUR_MS);
                    for round in 0..60 {
                        append(&log, batch(goes, round * 10, 10, 5_000)).await.unwrap();
                        // Some segments keep something, others nothing.
                        if round % 30 < 3 {
                            let next = log.shard(stays).next_index;
                            append(&log, batch(stays, next, 1, 512)).await.unwrap();
                            seen.set(next + 1);
                        }
                    }
                    log.delete_shard(goes);
                    clock::sleep(Duration::from_secs(3)).await;
                }
            });
            assert!(
                matches!(outcome, Outcome::Crashed | Outcome::Done(())),
                "seed {seed}: {outcome:?}"
            );
            disk.crash();
            acknowledged = written.get();
        }
    }
}

#[test]
fn all_shards_are_read_cold_for_about_three_times_the_log() {
    const SHARDS: u64 = 64;
    const ROUNDS: u64 = 1_500;
    let disk = new_disk(12);
    run(12, &disk, async move {
        let (log, _) = open_with(|options| options.cache_bytes_max = 1 << 20).await;
        let slots: Vec<_> = (0..SHARDS).map(|key| log.open_shard(ShardKey(key), YEAR_MS)).collect();
        for round in 0..ROUNDS {
            let batches: Vec<_> =
                slots.iter().map(|&slot| log.append(batch(slot, round, 1, 300))).collect();
            for (done, &slot) in batches.into_iter().zip(&slots) {
                match done {
                    Ok(done) => drop(done.await.unwrap().unwrap()),
                    Err(_) => append(&log, batch(slot, round, 1, 300)).await.unwrap(),
                }
            }
        }
        clock::sleep(Duration::from_secs(5)).await;
        let before = log.stats();
        for &slot in &slots {
            check(&log, slot, 0, ROUNDS, 10 << 20).await;
        }
        let after = log.stats();
        let moved =
            after.read_bytes + after.rewritten_bytes - before.read_bytes - before.rewritten_bytes;
        let log_bytes = before.frame_bytes;
        assert!(moved * 10 <= log_bytes * 33, "{moved} of {log_bytes}: {after:?}");
        // Once it is ordered, a shard costs its own bytes.
        let before = log.stats();
        check(&log, slots[5], 0, ROUNDS, 10 << 20).await;
        let read = log.stats().read_bytes - before.read_bytes;
        let own = ROUNDS * (300 + 3 + 12);
        let segments = log_bytes / SEGMENT_BYTES + 2;
        assert!(read <= own * 3 / 2 + segments * (64 << 10), "{read} for {own}");
    });
}
