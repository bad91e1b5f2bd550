//! Errors: which come, how often, and what they leave behind.

use std::path::Path;

use super::{PAGE, disk_with_file, file, finish, letters, open, outcomes, pages, sectors};
use crate::file::{Access, IoError, IoErrorKind, Operation};
use crate::sim::disk::{create, exists, free_bytes, remove, sync_directory};
use crate::sim::{Disk, Fault, Faults};

#[test]
fn a_failed_write_leaves_any_of_its_sectors() {
    let left = outcomes(|seed| {
        let disk = disk_with_file(seed, 2);
        disk.plan_fault(Fault::WriteError, 1);
        finish(seed, &disk, async {
            let log = open().await;
            log.write(0, letters("aa")).await.unwrap();
            let error = log.write(PAGE as u64, letters("b")).await.unwrap_err();
            let kind = IoErrorKind::Errno(libc::EIO);
            assert_eq!(error, IoError::new(Operation::Write, file(), PAGE as u64, kind));
            log.flush().await.unwrap();
        });
        assert_eq!(disk.counts().write_errors, 1);
        let seen = disk.read_raw(file());
        // Seen is seen: the flush has made durable whatever mixture was there.
        disk.crash();
        assert_eq!(seen, disk.read_raw(file()));
        pages(&seen)
    });
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["a?", "aa", "ab"]);
}

#[test]
fn a_short_write_leaves_what_it_says() {
    let lengths = outcomes(|seed| {
        let disk = disk_with_file(seed, 1);
        disk.plan_fault(Fault::ShortWrite, 0);
        let kind =
            finish(seed, &disk, async { open().await.write(0, letters("a")).await.unwrap_err() })
                .kind;
        let IoErrorKind::Short { expected: PAGE, done } = kind else { panic!("{kind:?}") };
        let written = done / 512;
        let expected = format!("{}{}", "a".repeat(written), ".".repeat(8 - written));
        assert_eq!(sectors(&disk.read_raw(file())), expected);
        done
    });
    assert_eq!(lengths.len(), 8);
}

#[test]
fn a_failed_read_says_so_and_the_next_may_succeed() {
    let disk = disk_with_file(1, 1);
    disk.plan_fault(Fault::ReadError, 0);
    finish(1, &disk, async {
        let log = open().await;
        let error = log.read(0, PAGE).await.err().unwrap();
        assert_eq!(error.kind, IoErrorKind::Errno(libc::EIO));
        assert_eq!(pages(&log.read(0, PAGE).await.unwrap()), ".");
    });
}

#[test]
fn a_failed_change_of_a_directory_may_have_happened() {
    let happened = outcomes(|seed| {
        let disk = disk_with_file(seed, 1);
        disk.plan_fault(Fault::DirectoryError, 0);
        finish(seed, &disk, async {
            let error = remove(file()).await.unwrap_err();
            assert_eq!(error.kind, IoErrorKind::Errno(libc::EIO));
            !exists(file()).await.unwrap()
        })
    });
    assert_eq!(happened.len(), 2);
}

#[test]
fn a_full_disk_refuses_new_files_until_something_is_removed() {
    let disk = Disk::new(1);
    let root = Path::new("/");
    disk.set_faults(Faults { bytes_max: Some(3 * PAGE as u64), ..Faults::default() });
    let make = async |name: &str, pages: u64| {
        create(&root.join(name), Access::ReadWrite, pages * PAGE as u64).await.map(drop)
    };
    finish(1, &disk, async move {
        make("a", 2).await.unwrap();
        assert_eq!(free_bytes(root).await.unwrap(), PAGE as u64);
        assert_eq!(make("b", 2).await.unwrap_err().kind, IoErrorKind::NoSpace);
        assert!(!exists(&root.join("b")).await.unwrap());
        make("c", 1).await.unwrap();
        remove(&root.join("a")).await.unwrap();
        sync_directory(root).await.unwrap();
        make("b", 2).await.unwrap();
    });
    assert_eq!(disk.counts().no_space, 1);
    disk.plan_fault(Fault::NoSpace, 0);
    disk.set_faults(Faults::default());
    let planned = finish(2, &disk, async move { make("d", 1).await.unwrap_err().kind });
    assert_eq!(planned, IoErrorKind::NoSpace);
}

#[test]
fn chances_are_about_what_was_asked_for_and_can_change_while_running() {
    let disk = disk_with_file(1, 1);
    let knob = disk.clone();
    finish(1, &disk, async move {
        let log = open().await;
        let faults = Faults {
            write_error_chance: 0.25,
            flush_error_chance: 0.5,
            read_error_chance: 0.1,
            ..Faults::default()
        };
        knob.set_faults(faults);
        for _ in 0..1000 {
            drop(log.write(0, letters("a")).await);
            drop(log.flush().await);
            drop(log.read(0, PAGE).await);
        }
        let counts = knob.counts();
        assert!((200..300).contains(&counts.write_errors), "{counts:?}");
        assert!((430..570).contains(&counts.flush_errors), "{counts:?}");
        assert!((60..140).contains(&counts.read_errors), "{counts:?}");
        knob.set_faults(Faults::default());
        log.write(0, letters("b")).await.unwrap();
        assert_eq!(knob.counts().write_errors, counts.write_errors);
    });
}
