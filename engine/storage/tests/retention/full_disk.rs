//! A disk that fills up: what is refused, and what brings writes back.

use super::*;

#[test]
fn a_full_disk_refuses_before_anything_is_torn_and_freed_space_brings_writes_back() {
    let disk = new_disk(8);
    disk.set_faults(Faults { bytes_max: Some(20 * SEGMENT_BYTES), ..Faults::default() });
    let seen = disk.clone();
    run(8, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let goes = log.open_shard(GOES, HOUR_MS);
        let stays = log.open_shard(STAYS, YEAR_MS);
        let mut acknowledged = 0;
        let error = loop {
            match append(&log, batch(goes, acknowledged * 10, 10, 5_000)).await {
                Ok(()) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, AppendError::DiskFull { needed_bytes: SEGMENT_BYTES }), "{error}");
        assert_eq!(log.shard(goes).next_index, acknowledged * 10, "a refusal takes no index");
        assert_eq!(log.failure(), None);
        assert!(file_bytes(&seen) > 17 * SEGMENT_BYTES);
        clock::sleep(Duration::from_secs(30)).await;
        assert!(matches!(
            append(&log, batch(stays, 0, 50, 5_000)).await,
            Err(AppendError::DiskFull { .. })
        ));
        // What is deleted makes room.
        log.delete_shard(goes);
        clock::sleep(Duration::from_secs(10)).await;
        for round in 0..100 {
            append(&log, batch(stays, round * 10, 10, 5_000)).await.unwrap();
        }
        assert_eq!(log.failure(), None);
    });
}

#[test]
fn a_full_disk_is_freed_by_rewriting_where_every_segment_keeps_something() {
    let disk = new_disk(13);
    let faults = Faults { bytes_max: Some(20 * SEGMENT_BYTES), ..Faults::default() };
    disk.set_faults(faults.clone());
    let seen = disk.clone();
    run(13, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let goes = log.open_shard(GOES, HOUR_MS);
        let stays = log.open_shard(STAYS, YEAR_MS);
        let mut round = 0;
        // More than a half of every segment goes, so that two of them fit one.
        while append(&log, batch(goes, round * 12, 12, 5_000)).await.is_ok()
            && append(&log, batch(stays, round * 8, 8, 5_000)).await.is_ok()
        {
            round += 1;
        }
        // Not a block is left.
        let catalogs = seen.list_raw(Path::new("/data"));
        let used = file_bytes(&seen) + catalogs.iter().map(|(_, bytes)| bytes).sum::<u64>();
        seen.set_faults(Faults { bytes_max: Some(used), ..faults });
        log.delete_shard(goes);
        clock::sleep(Duration::from_secs(30)).await;
        assert!(log.stats().rewritten_bytes > 0, "{:?}", log.background_trouble());
        for next in 0..50 {
            append(&log, batch(stays, (round + next) * 8, 8, 5_000)).await.unwrap();
        }
        assert_eq!(log.failure(), None);
    });
}

#[test]
fn a_log_that_was_full_is_opened_again_and_still_frees_space_by_rewriting() {
    let disk = new_disk(14);
    let faults = Faults { bytes_max: Some(20 * SEGMENT_BYTES), ..Faults::default() };
    disk.set_faults(faults.clone());
    let seen = disk.clone();
    let rounds = run(14, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let (goes, stays) = (log.open_shard(GOES, HOUR_MS), log.open_shard(STAYS, YEAR_MS));
        let mut round = 0;
        while append(&log, batch(goes, round * 12, 12, 5_000)).await.is_ok()
            && append(&log, batch(stays, round * 8, 8, 5_000)).await.is_ok()
        {
            round += 1;
        }
        log.shutdown().await;
        round
    });
    let catalogs = disk.list_raw(Path::new("/data"));
    let used = file_bytes(&disk) + catalogs.iter().map(|(_, bytes)| bytes).sum::<u64>();
    disk.set_faults(Faults { bytes_max: Some(used), ..faults });
    run(15, &disk, async move {
        let (log, recovered) = open_with(|_| {}).await;
        assert_eq!(recovered.damage, []);
        let (goes, stays) = (log.open_shard(GOES, HOUR_MS), log.open_shard(STAYS, YEAR_MS));
        log.delete_shard(goes);
        clock::sleep(Duration::from_secs(30)).await;
        let stats = log.stats();
        assert!(
            stats.rewritten_bytes > 0,
            "{stats:?} {:?} {:?}",
            log.background_trouble(),
            files(&seen)
        );
        check(&log, stays, 0, rounds * 8, 100_000).await;
        append(&log, batch(stays, rounds * 8, 8, 5_000)).await.unwrap();
        assert_eq!(log.failure(), None);
    });
}

#[test]
fn space_freed_by_others_brings_writes_back_too() {
    let disk = new_disk(9);
    let full = Faults { bytes_max: Some(10 * SEGMENT_BYTES), ..Faults::default() };
    disk.set_faults(full.clone());
    let seen = disk.clone();
    run(9, &disk, async move {
        let (log, _) = open_with(|_| {}).await;
        let stays = log.open_shard(STAYS, YEAR_MS);
        let mut rounds = 0;
        while append(&log, batch(stays, rounds * 10, 10, 5_000)).await.is_ok() {
            rounds += 1;
        }
        seen.set_faults(Faults { bytes_max: Some(20 * SEGMENT_BYTES), ..full });
        clock::sleep(Duration::from_secs(1)).await;
        append(&log, batch(stays, rounds * 10, 10, 5_000)).await.unwrap();
        let appended = log.shard(stays).durable_index;
        assert_eq!(appended, rounds * 10 + 10);
    });
}
