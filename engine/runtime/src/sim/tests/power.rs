//! What a power cut leaves of the bytes of a file.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::{
    PAGE, SimFile, crash, disk_with_file, file, finish, letters, lose_power, open, outcomes, pages,
    sectors,
};
use crate::file::Access;
use crate::sim::executor::{now, spawn, timer};
use crate::sim::{CrashPoint, Disk, Fault, Faults, Latency, Options, Outcome, disk, run};

/// What is left, over many seeds, of a durable file of `count` zero pages after `main` and a power
/// cut; each as one letter a page.
fn left(count: usize, main: impl AsyncFn(SimFile) + Copy + 'static) -> BTreeSet<String> {
    outcomes(|seed| {
        let disk = disk_with_file(seed, count);
        crash(seed, &disk, async move {
            main(open().await).await;
            lose_power().await;
        });
        let left = pages(&disk.read_raw(file()));
        // What is left is durable: another power cut takes nothing more.
        disk.crash();
        assert_eq!(left, pages(&disk.read_raw(file())));
        left
    })
}

fn check(left: &BTreeSet<String>, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(left, &expected);
}

async fn read(log: &SimFile, count: usize) -> String {
    pages(&log.read(0, count * PAGE).await.unwrap())
}

#[test]
fn a_write_that_was_not_flushed_may_stay_go_or_tear() {
    let left = left(1, async |log| {
        log.write(0, letters("a")).await.unwrap();
        assert_eq!(read(&log, 1).await, "a");
    });
    check(&left, &["a", ".", "?"]);
}

#[test]
fn a_flushed_write_stays() {
    let left = left(2, async |log| {
        log.write(0, letters("ab")).await.unwrap();
        log.flush().await.unwrap();
    });
    check(&left, &["ab"]);
}

#[test]
fn an_overwrite_leaves_the_old_or_the_new_never_anything_else() {
    let left = left(1, async |log| {
        log.write(0, letters("a")).await.unwrap();
        log.flush().await.unwrap();
        log.write(0, letters("b")).await.unwrap();
        log.write(0, letters("c")).await.unwrap();
    });
    check(&left, &["a", "b", "c", "?"]);
}

#[test]
fn separate_writes_are_kept_and_dropped_independently() {
    let left = left(3, async |log| {
        log.write(0, letters("a")).await.unwrap();
        log.write(PAGE as u64, letters("b")).await.unwrap();
        log.write(2 * PAGE as u64, letters("c")).await.unwrap();
    });
    for hole in ["abc", "...", ".bc", "a.c", "..c"] {
        assert!(left.contains(hole), "{hole} in {left:?}");
    }
}

/// The flush takes so long that every write beside it completes before it does.
fn disk_with_slow_flush(seed: u64) -> Disk {
    let disk = disk_with_file(seed, 2);
    let second = Duration::from_secs(1);
    disk.set_faults(Faults { flush_latency: Latency::between(second, second), ..disk.faults() });
    disk
}

#[test]
fn a_flush_is_not_credited_with_a_write_in_flight_at_its_submission() {
    let left = outcomes(|seed| {
        let disk = disk_with_slow_flush(seed);
        crash(seed, &disk, async {
            let log = open().await;
            log.write(0, letters("a")).await.unwrap();
            let write = log.write(PAGE as u64, letters("b"));
            let flush = log.flush();
            write.await.unwrap();
            flush.await.unwrap();
            lose_power().await;
        });
        pages(&disk.read_raw(file()))
    });
    check(&left, &["ab", "a.", "a?"]);
}

#[test]
fn a_flush_is_not_credited_with_a_write_that_is_submitted_after_it() {
    let left = outcomes(|seed| {
        let disk = disk_with_slow_flush(seed);
        crash(seed, &disk, async {
            let log = open().await;
            log.write(0, letters("a")).await.unwrap();
            let flush = log.flush();
            log.write(0, letters("b")).await.unwrap();
            flush.await.unwrap();
            lose_power().await;
        });
        pages(&disk.read_raw(file()))
    });
    check(&left, &["a.", "b.", "?."]);
}

#[test]
fn a_flush_that_nobody_waits_for_goes_on_and_so_does_a_write() {
    let left = left(1, async |log| {
        drop(log.write(0, letters("a")));
        timer(now() + 1_000_000).await;
        drop(log.flush());
        timer(now() + 1_000_000).await;
    });
    check(&left, &["a"]);
}

#[test]
fn a_flush_under_way_promises_nothing() {
    let left = left(1, async |log| {
        log.write(0, letters("a")).await.unwrap();
        drop(log.flush());
    });
    check(&left, &["a", ".", "?"]);
}

#[test]
fn a_dsync_write_is_durable_when_it_completes_and_not_before() {
    let dsync = async || disk::open(file(), Access::ReadWriteDsync).await.unwrap();
    let done = left(2, async move |_| dsync().await.write(0, letters("ab")).await.unwrap());
    check(&done, &["ab"]);
    let under_way = left(1, async move |_| drop(dsync().await.write(0, letters("a"))));
    check(&under_way, &["a", ".", "?"]);
}

#[test]
fn an_older_write_cannot_come_back_over_a_dsync_write() {
    let left = left(1, async |log| {
        log.write(0, letters("a")).await.unwrap();
        let dsync = disk::open(file(), Access::ReadWriteDsync).await.unwrap();
        dsync.write(0, letters("b")).await.unwrap();
    });
    check(&left, &["b"]);
}

#[test]
fn a_failed_flush_loses_its_writes_even_if_the_next_one_succeeds() {
    let seen = outcomes(|seed| {
        let disk = disk_with_file(seed, 2);
        disk.plan_fault(Fault::FlushError, 0);
        crash(seed, &disk, async {
            let log = open().await;
            log.write(0, letters("a")).await.unwrap();
            log.flush().await.unwrap_err();
            assert_eq!(read(&log, 1).await, "a");
            log.write(PAGE as u64, letters("b")).await.unwrap();
            log.flush().await.unwrap();
            lose_power().await;
        });
        assert_eq!(disk.counts().flush_errors, 1);
        pages(&disk.read_raw(file()))
    });
    check(&seen, &["ab", ".b", "?b"]);
}

#[test]
fn a_write_lost_by_a_failed_flush_does_not_lie_over_a_later_one() {
    let seen = outcomes(|seed| {
        let disk = disk_with_file(seed, 1);
        disk.plan_fault(Fault::FlushError, 0);
        crash(seed, &disk, async {
            let log = open().await;
            log.write(0, letters("a")).await.unwrap();
            log.flush().await.unwrap_err();
            log.write(0, letters("b")).await.unwrap();
            log.flush().await.unwrap();
            lose_power().await;
        });
        pages(&disk.read_raw(file()))
    });
    check(&seen, &["b"]);
}

#[test]
fn a_torn_write_is_old_or_new_sector_by_sector_in_many_patterns() {
    let torn = outcomes(|seed| {
        let disk = disk_with_file(seed, 2);
        crash(seed, &disk, async {
            open().await.write(0, letters("ab")).await.unwrap();
            lose_power().await;
        });
        sectors(&disk.read_raw(file()))
    });
    for sectors in &torn {
        assert!(sectors[..8].chars().all(|sector| "a.".contains(sector)), "{sectors}");
        assert!(sectors[8..].chars().all(|sector| "b.".contains(sector)), "{sectors}");
    }
    let prefix = |text: &&String| text.starts_with('a') && text.ends_with('.');
    let hole = |text: &&String| text.starts_with('a') && text.ends_with('b') && text.contains('.');
    assert!(torn.iter().filter(prefix).count() > 5, "{torn:?}");
    assert!(torn.iter().filter(hole).count() > 5, "{torn:?}");
    assert!(torn.len() > 30, "{torn:?}");
}

#[test]
fn writes_complete_in_any_order() {
    let orders = outcomes(|seed| {
        finish(seed, &disk_with_file(seed, 3), async {
            let order = Rc::new(RefCell::new(String::new()));
            let log = open().await;
            for (position, letter) in [(0, "a"), (PAGE as u64, "b"), (2 * PAGE as u64, "c")] {
                let write = log.write(position, letters(letter));
                let order = Rc::clone(&order);
                spawn(Box::pin(async move {
                    write.await.unwrap();
                    order.borrow_mut().push_str(letter);
                }));
            }
            timer(now() + 1_000_000).await;
            order.take()
        })
    });
    check(&orders, &["abc", "acb", "bac", "bca", "cab", "cba"]);
}

#[test]
fn an_operation_is_slow_as_often_as_was_asked_for() {
    let disk = disk_with_file(1, 1);
    let usual = disk.faults().flush_latency;
    let slow = Latency { slow_chance: 0.1, slow_max: Duration::from_secs(3), ..usual };
    disk.set_faults(Faults { flush_latency: slow, ..Faults::default() });
    let late = finish(1, &disk, async {
        let log = open().await;
        let mut late = 0u64;
        for _ in 0..1000 {
            let start = now();
            log.flush().await.unwrap();
            late += u64::from(now() - start > 1_000_000);
        }
        late
    });
    assert!((60..140).contains(&late), "{late}");
    assert!((late..late + 5).contains(&disk.counts().slow_operations));
}

#[test]
fn a_reader_beside_a_write_in_flight_may_see_either() {
    let seen = outcomes(|seed| {
        let disk = disk_with_file(seed, 1);
        finish(seed, &disk, async {
            let log = open().await;
            let write = log.write(0, letters("a"));
            let seen = read(&log, 1).await;
            write.await.unwrap();
            seen
        })
    });
    check(&seen, &["a", ".", "?"]);
}

#[test]
fn a_write_in_flight_keeps_its_buffer_and_a_finished_one_does_not() {
    let disk = disk_with_file(1, 1);
    finish(1, &disk, async {
        let buffer = letters("a");
        let log = open().await;
        let write = log.write(0, Rc::clone(&buffer));
        assert_eq!(Rc::strong_count(&buffer), 2);
        write.await.unwrap();
        assert_eq!(Rc::strong_count(&buffer), 1);
    });
}

#[test]
fn the_death_of_the_process_alone_loses_only_what_was_in_flight() {
    let seen = outcomes(|seed| {
        let disk = disk_with_file(seed, 2);
        let options = Options { crash: Some(CrashPoint::Operations(3)), ..Options::default() };
        let outcome = run(seed, &disk, &options, async {
            let log = open().await;
            log.write(0, letters("a")).await.unwrap();
            log.write(PAGE as u64, letters("b")).await.unwrap();
        });
        assert_eq!(outcome, Outcome::Crashed);
        // The next process finds it decided, without a call of `kill`.
        finish(seed, &disk, async {
            let log = open().await;
            let seen = read(&log, 2).await;
            assert_eq!(seen, read(&log, 2).await);
            seen
        })
    });
    check(&seen, &["ab", "a.", "a?"]);
    let powerless = outcomes(|seed| {
        let disk = disk_with_file(seed, 1);
        finish(seed, &disk, async { open().await.write(0, letters("a")).await.unwrap() });
        disk.kill();
        assert_eq!(pages(&disk.read_raw(file())), "a");
        disk.crash();
        pages(&disk.read_raw(file()))
    });
    check(&powerless, &["a", ".", "?"]);
}

#[test]
fn rot_reaches_every_copy_of_a_byte() {
    let disk = disk_with_file(1, 3);
    finish(1, &disk, async {
        let log = open().await;
        log.write(0, letters("aaa")).await.unwrap();
        log.flush().await.unwrap();
        log.write(0, letters("a")).await.unwrap();
    });
    disk.flip_byte(file(), 100);
    disk.flip_byte(file(), 4096);
    disk.write_raw(file(), 8190, b"left");
    let expected = {
        let mut bytes = vec![b'a'; 3 * PAGE];
        bytes[100] = !b'a';
        bytes[4096] = !b'a';
        bytes[8190..8194].copy_from_slice(b"left");
        bytes
    };
    assert_eq!(disk.read_raw(file()), expected);
    finish(2, &disk, async { open().await.flush().await.unwrap() });
    disk.crash();
    assert_eq!(disk.read_raw(file()), expected);
}

#[test]
fn a_crash_counts_what_it_did() {
    let mut counts = crate::sim::Counts::default();
    for seed in 0..100 {
        let disk = disk_with_file(seed, 4);
        crash(seed, &disk, async {
            let log = open().await;
            for page in 0..4 {
                log.write(page * PAGE as u64, letters("a")).await.unwrap();
            }
            lose_power().await;
        });
        let after = disk.counts();
        let resolved =
            after.crash_writes_kept + after.crash_writes_dropped + after.crash_writes_torn;
        assert_eq!((resolved, after.writes, after.crashes), (4, 4, 1));
        counts.crash_writes_kept += after.crash_writes_kept;
        counts.crash_writes_dropped += after.crash_writes_dropped;
        counts.crash_writes_torn += after.crash_writes_torn;
    }
    assert!(counts.crash_writes_kept > 50, "{counts:?}");
    assert!(counts.crash_writes_dropped > 50, "{counts:?}");
    assert!(counts.crash_writes_torn > 50, "{counts:?}");
}
