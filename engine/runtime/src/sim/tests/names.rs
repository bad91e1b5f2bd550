//! Names, sizes and locks, and what a power cut leaves of them.

use std::collections::BTreeSet;
use std::path::Path;

use super::{PAGE, crash, disk_with_file, file, finish, letters, lose_power, outcomes, pages};
use crate::file::{Access, IoErrorKind};
use crate::sim::content::Severity;
use crate::sim::disk::{
    create, create_directory_all, exists, list, lock_directory, open, remove, rename,
    sync_directory,
};
use crate::sim::random::{Generator, Stream};
use crate::sim::tree::Tree;
use crate::sim::{Counts, CrashPoint, Disk, Options, Outcome, run};

const ROOT: &str = "/";

/// What is in the root after `main` and a power cut, over many seeds: "name:letters" each.
fn left(before: &[(&str, u8)], main: impl AsyncFn() + Copy + 'static) -> BTreeSet<String> {
    outcomes(|seed| {
        let disk = Disk::new(seed);
        for (name, letter) in before {
            disk.create_raw(&Path::new(ROOT).join(name), &[*letter; PAGE]);
        }
        crash(seed, &disk, async move {
            main().await;
            lose_power().await;
        });
        let left = show(&disk);
        disk.crash();
        assert_eq!(left, show(&disk));
        left
    })
}

fn show(disk: &Disk) -> String {
    let names = disk.list_raw(Path::new(ROOT)).into_iter();
    let shown = names.map(|(name, _)| {
        let content = pages(&disk.read_raw(&Path::new(ROOT).join(&name)));
        format!("{name}:{content}")
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn check(left: &BTreeSet<String>, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(left, &expected);
}

async fn write_new(name: &str, letter: &str) {
    let path = Path::new(ROOT).join(name);
    let created = create(&path, Access::ReadWrite, (letter.len() * PAGE) as u64).await.unwrap();
    created.write(0, letters(letter)).await.unwrap();
    created.flush().await.unwrap();
}

async fn sync_root() {
    sync_directory(Path::new(ROOT)).await.unwrap();
}

#[test]
fn a_new_file_vanishes_unless_its_directory_was_synced() {
    let unsynced = left(&[], async || write_new("a", "x").await);
    check(&unsynced, &["", "a:x"]);
    let synced = left(&[], async || {
        write_new("a", "x").await;
        sync_root().await;
    });
    check(&synced, &["a:x"]);
}

#[test]
fn changes_of_one_directory_survive_in_their_order() {
    let left = left(&[("old", b'o')], async || {
        write_new("a", "x").await;
        remove(Path::new("/old")).await.unwrap();
        write_new("b", "y").await;
    });
    check(&left, &["old:o", "a:x old:o", "a:x", "a:x b:y"]);
}

#[test]
fn a_rename_is_whole_or_not_at_all() {
    let left = left(&[("a", b'o')], async || {
        write_new("new", "x").await;
        sync_root().await;
        rename(Path::new("/new"), Path::new("/a")).await.unwrap();
    });
    check(&left, &["a:o new:x", "a:x"]);
}

#[test]
fn a_removed_file_may_come_back_until_the_directory_is_synced() {
    let unsynced = left(&[("a", b'x')], async || remove(Path::new("/a")).await.unwrap());
    check(&unsynced, &["", "a:x"]);
    let synced = left(&[("a", b'x')], async || {
        remove(Path::new("/a")).await.unwrap();
        sync_root().await;
    });
    check(&synced, &[""]);
}

#[test]
fn a_sync_covers_only_what_was_done_before_it() {
    let all_lost = Severity { drop_chance: 1.0, tear_chance: 0.0 };
    let mut random = Generator::new(1, Stream::Disk);
    let mut tree = Tree::new();
    tree.create_file(Path::new("/before"), 0).unwrap();
    let covered = tree.change_count();
    tree.create_file(Path::new("/after"), 0).unwrap();
    let root = tree.find_directory(Path::new(ROOT)).unwrap();
    tree.sync(root, covered);
    tree.crash(all_lost, &mut random, &mut Counts::default());
    assert!(tree.find(Path::new("/before")).is_ok());
    assert!(tree.find(Path::new("/after")).is_err());
}

#[test]
fn a_change_under_way_is_done_or_not() {
    let done = outcomes(|seed| {
        let disk = disk_with_file(seed, 1);
        let options = Options { crash: Some(CrashPoint::Operations(1)), ..Options::default() };
        let outcome = run(seed, &disk, &options, async { remove(file()).await.unwrap() });
        assert_eq!(outcome, Outcome::Crashed);
        disk.kill();
        disk.list_raw(Path::new(ROOT)).is_empty()
    });
    assert_eq!(done.len(), 2);
}

#[test]
fn a_dsync_write_makes_the_size_durable() {
    let left = left(&[], async || {
        let path = Path::new("/a");
        let created = create(path, Access::ReadWriteDsync, 3 * PAGE as u64).await.unwrap();
        created.write(0, letters("x")).await.unwrap();
        sync_root().await;
    });
    check(&left, &["a:x.."]);
}

#[test]
fn a_size_is_not_durable_before_the_flush() {
    let left = left(&[], async || {
        drop(create(Path::new("/a"), Access::ReadWrite, 4 * PAGE as u64).await.unwrap());
        sync_root().await;
    });
    for bytes in ["a:", "a:..", "a:...."] {
        assert!(left.contains(bytes), "{left:?}");
    }
    assert!(left.iter().all(|text| text.starts_with("a:")), "{left:?}");
}

#[test]
fn a_new_file_reads_zeros_and_one_name_exists_once() {
    let disk = Disk::new(1);
    finish(1, &disk, async {
        write_new("a", "xx").await;
        remove(Path::new("/a")).await.unwrap();
        sync_root().await;
        let reused = create(Path::new("/a"), Access::ReadWrite, 2 * PAGE as u64).await.unwrap();
        assert_eq!(pages(&reused.read(0, 2 * PAGE).await.unwrap()), "..");
        let twice = create(Path::new("/a"), Access::ReadWrite, PAGE as u64).await;
        assert_eq!(twice.err().unwrap().kind, IoErrorKind::AlreadyExists);
        let past_end = reused.read(PAGE as u64, 2 * PAGE).await.unwrap_err();
        assert_eq!(past_end.kind, IoErrorKind::Short { expected: 2 * PAGE, done: PAGE });
    });
}

#[test]
fn a_directory_without_a_durable_name_takes_everything_with_it() {
    let in_directory = |sync_above: bool| {
        outcomes(move |seed| {
            let disk = Disk::new(seed);
            crash(seed, &disk, async move {
                create_directory_all(Path::new("/data/log")).await.unwrap();
                write_new("data/log/a", "x").await;
                sync_directory(Path::new("/data/log")).await.unwrap();
                if sync_above {
                    sync_directory(Path::new("/data")).await.unwrap();
                    sync_root().await;
                }
                lose_power().await;
            });
            disk.list_raw(Path::new("/data/log")).len()
        })
    };
    assert_eq!(in_directory(false), BTreeSet::from([0, 1]));
    assert_eq!(in_directory(true), BTreeSet::from([1]));
}

#[test]
fn a_rename_between_directories_is_never_halved() {
    let places = |sync: Option<&'static str>| {
        outcomes(move |seed| {
            let disk = disk_with_file(seed, 1);
            disk.create_raw(Path::new("/a/x"), &[b'x'; PAGE]);
            disk.create_raw(Path::new("/b/old"), &[b'o'; PAGE]);
            crash(seed, &disk, async move {
                remove(Path::new("/b/old")).await.unwrap();
                rename(Path::new("/a/x"), Path::new("/b/x")).await.unwrap();
                if let Some(directory) = sync {
                    sync_directory(Path::new(directory)).await.unwrap();
                }
                lose_power().await;
            });
            let names = |directory| {
                let names = disk.list_raw(Path::new(directory)).into_iter();
                names.map(|(name, _)| name).collect::<Vec<_>>().join(",")
            };
            format!("{} | {}", names("/a"), names("/b"))
        })
    };
    check(&places(None), &["x | old", "x | ", " | x"]);
    check(&places(Some("/a")), &[" | x"]);
    check(&places(Some("/b")), &[" | x"]);
}

#[test]
fn a_removed_file_serves_its_readers_and_its_room_comes_back_when_they_go() {
    let disk = Disk::new(1);
    let seen = disk.clone();
    finish(1, &disk, async move {
        write_new("a", "x").await;
        let reader = open(Path::new("/a"), Access::Read).await.unwrap();
        remove(Path::new("/a")).await.unwrap();
        sync_root().await;
        write_new("b", "y").await;
        assert_eq!(pages(&reader.read(0, PAGE).await.unwrap()), "x");
        assert_eq!(seen.total_bytes(), 2 * PAGE as u64);
        drop(reader);
        assert_eq!(seen.total_bytes(), PAGE as u64);
    });
}

#[test]
fn what_is_missing_is_not_found() {
    finish(1, &disk_with_file(1, 1), async {
        let kinds = [
            open(Path::new("/none"), Access::Read).await.err(),
            list(Path::new("/none")).await.err(),
            remove(Path::new("/none")).await.err(),
            rename(Path::new("/none"), file()).await.err(),
            sync_directory(Path::new("/none")).await.err(),
            create(Path::new("/none/a"), Access::ReadWrite, PAGE as u64).await.err(),
        ];
        for error in kinds {
            assert_eq!(error.unwrap().kind, IoErrorKind::NotFound);
        }
        assert!(exists(file()).await.unwrap());
        assert!(!exists(Path::new("/none")).await.unwrap());
        let names: Vec<String> =
            list(Path::new("/")).await.unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["log"]);
    });
}

#[test]
fn a_lock_has_one_holder_and_ends_with_it_or_with_the_process() {
    let disk = Disk::new(1);
    disk.create_raw(Path::new("/data/a"), &[]);
    let data = Path::new("/data");
    for seed in 0..2 {
        finish(seed, &disk, async move {
            let lock = lock_directory(data).await.unwrap();
            let second = lock_directory(data).await.unwrap_err();
            assert_eq!(second.kind, IoErrorKind::Locked);
            drop(lock);
            let third = lock_directory(data).await.unwrap();
            // Never given back, as in a process that was killed.
            std::mem::forget(third);
        });
    }
    assert_eq!(disk.list_raw(data), [("a".to_owned(), 0), ("lock".to_owned(), 0)]);
}
