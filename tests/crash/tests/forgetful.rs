//! The forgetful file system through the kernel: what is flushed stays whatever the seed, what is
//! not flushed is kept by some seeds and lost by others.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]

use crash::forgetful::{CutCounts, Mount, SECTOR_BYTES};
use rustix::fs::{FallocateFlags, fallocate};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Enough for every style of cut to come up several times.
const SEEDS: u64 = 60;

struct Fixture {
    mount: Mount,
    /// Removed after the mount is gone: fields drop in order.
    _folder: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let backing = folder.path().join("backing");
        let path = folder.path().join("mounted");
        fs::create_dir(&backing).unwrap();
        fs::create_dir(&path).unwrap();
        let mount = Mount::new(&backing, &path).expect("root, or fusermount3, and /dev/fuse");
        Fixture { mount, _folder: folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.mount.path().join(name)
    }

    fn cut(&self, seed: u64) -> CutCounts {
        let counts = self.mount.cut(seed).unwrap();
        self.mount.revive();
        counts
    }
}

fn flush_directory(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

/// A file whose name and length are durable, all zeros.
fn durable_file(fixture: &Fixture, name: &str, bytes: u64) -> File {
    let path = fixture.path(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap();
    file.set_len(bytes).unwrap();
    file.sync_all().unwrap();
    flush_directory(fixture.mount.path());
    file
}

#[test]
fn flushed_data_stays_whatever_the_seed() {
    let fixture = Fixture::new();
    for seed in 0..SEEDS {
        let name = format!("file-{seed}");
        let file = durable_file(&fixture, &name, 0);
        file.write_all_at(&[1; 10_000], 0).unwrap();
        file.write_all_at(&[2; 5_000], 3_000).unwrap();
        file.sync_data().unwrap();
        fixture.cut(seed);
        let mut expected = vec![1; 10_000];
        expected[3_000..8_000].fill(2);
        assert!(fs::read(fixture.path(&name)).unwrap() == expected, "seed {seed}");
    }
}

#[test]
fn unflushed_data_is_kept_dropped_or_torn() {
    let fixture = Fixture::new();
    let (mut whole, mut lost, mut mixed, mut torn) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let name = format!("file-{seed}");
        let file = durable_file(&fixture, &name, 16_384);
        file.write_all_at(&[7; 8_192], 4_096).unwrap();
        assert_eq!(fixture.mount.pending_counts(), (1, 0));
        let counts = fixture.cut(seed);
        assert_eq!(fixture.mount.pending_counts(), (0, 0));
        assert_eq!(counts.sectors_kept + counts.sectors_dropped + counts.sectors_torn, 16);

        let found = fs::read(fixture.path(&name)).unwrap();
        assert_eq!(found.len(), 16_384);
        assert!(found[..4_096].iter().chain(&found[12_288..]).all(|byte| *byte == 0));
        let kept = found.iter().filter(|byte| **byte == 7).count();
        match kept {
            0 => lost += 1,
            8_192 => whole += 1,
            _ => mixed += 1,
        }
        for sector in found[4_096..12_288].chunks(SECTOR_BYTES) {
            let new = sector.iter().take_while(|byte| **byte == 7).count();
            assert!(sector[new..].iter().all(|byte| *byte == 0), "a torn sector is new, then old");
            torn += u64::from(new > 0 && new < SECTOR_BYTES);
        }
        assert!(counts.sectors_kept <= (kept as u64).div_ceil(SECTOR_BYTES as u64));
    }
    assert!(whole > 5 && lost > 5 && mixed > 5, "{whole} whole, {lost} lost, {mixed} mixed");
    assert!(torn > 0);
}

#[test]
fn a_later_write_may_survive_an_earlier_one() {
    let fixture = Fixture::new();
    let mut found = BTreeSet::new();
    for seed in 0..SEEDS {
        let name = format!("file-{seed}");
        let file = durable_file(&fixture, &name, 8_192);
        file.write_all_at(&[1; 4_096], 0).unwrap();
        file.write_all_at(&[2; 4_096], 4_096).unwrap();
        fixture.cut(seed);
        let bytes = fs::read(fixture.path(&name)).unwrap();
        let whole = |half: &[u8], value| half.iter().all(|byte| *byte == value);
        found.insert((whole(&bytes[..4_096], 1), whole(&bytes[4_096..], 2)));
    }
    assert_eq!(found.len(), 4, "each of both, one, the other and neither: {found:?}");
}

#[test]
fn a_length_without_its_data_reads_as_zeros() {
    let fixture = Fixture::new();
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let name = format!("file-{seed}");
        let file = durable_file(&fixture, &name, 0);
        file.write_all_at(&[1; 1_000], 0).unwrap();
        file.set_len(500).unwrap();
        file.write_all_at(&[3; 100], 2_000).unwrap();
        fixture.cut(seed);
        let bytes = fs::read(fixture.path(&name)).unwrap();
        lengths.insert(bytes.len());
        assert!(bytes.iter().all(|byte| [0, 1, 3].contains(byte)));
        if bytes.len() == 2_100 {
            assert!(bytes[500..2_000].iter().all(|byte| *byte == 0), "cut off, then grown");
        }
    }
    assert_eq!(lengths, BTreeSet::from([0, 500, 1_000, 2_100]));
}

#[test]
fn a_durable_write_covers_itself_and_nothing_before_it() {
    let fixture = Fixture::new();
    let mut earlier_lost = 0;
    for seed in 0..SEEDS {
        let name = format!("file-{seed}");
        let plain = durable_file(&fixture, &name, 0);
        plain.write_all_at(&[1; 8_192], 0).unwrap();
        let mut options = OpenOptions::new();
        let through = options.write(true).custom_flags(libc::O_DSYNC);
        let through = through.open(fixture.path(&name)).unwrap();
        through.write_all_at(&[2; 4_096], 2_048).unwrap();
        plain.write_all_at(&[3; 512], 0).unwrap();
        fixture.cut(seed);
        let bytes = fs::read(fixture.path(&name)).unwrap();
        assert!(bytes[2_048..6_144].iter().all(|byte| *byte == 2), "seed {seed}");
        assert_eq!(bytes.len(), 8_192, "a durable write makes the length durable");
        earlier_lost += u64::from(bytes[512..2_048].iter().all(|byte| *byte == 0));
    }
    assert!(earlier_lost > 5);
}

#[test]
fn direct_writes_and_preallocation_work() {
    let fixture = Fixture::new();
    let path = fixture.path("segment");
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create_new(true).custom_flags(libc::O_DIRECT);
    let file = options.open(&path).unwrap();
    let allocate = FallocateFlags::empty();
    fallocate(&file, allocate, 0, 64 << 20).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 64 << 20);
    file.sync_all().unwrap();
    flush_directory(fixture.mount.path());

    let mut memory = vec![0; (2 << 20) + 4_096];
    let start = memory.as_ptr().align_offset(4_096);
    let buffer = &mut memory[start..start + (2 << 20)];
    buffer.fill(9);
    file.write_all_at(buffer, 4_096).unwrap();
    file.sync_data().unwrap();
    fixture.cut(0);
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&path).unwrap();
    buffer.fill(0);
    file.read_exact_at(buffer, 4_096).unwrap();
    assert!(buffer.iter().all(|byte| *byte == 9));
    assert_eq!(file.metadata().unwrap().len(), 64 << 20);

    let zero = FallocateFlags::ZERO_RANGE;
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    fallocate(&file, zero, 8_192, 4_096).unwrap();
    file.read_exact_at(&mut buffer[..12_288], 4_096).unwrap();
    assert!(buffer[..4_096].iter().all(|byte| *byte == 9));
    assert!(buffer[4_096..8_192].iter().all(|byte| *byte == 0));
    assert!(buffer[8_192..12_288].iter().all(|byte| *byte == 9));
}

#[test]
fn a_name_needs_the_flush_of_its_directory() {
    let fixture = Fixture::new();
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..SEEDS {
        let (bare, flushed) = (fixture.path(&format!("a-{seed}")), fixture.path("flushed"));
        File::create(&flushed).unwrap().write_all(b"flushed").unwrap();
        flush_directory(fixture.mount.path());
        let mut file = File::create(&bare).unwrap();
        file.write_all(b"bare").unwrap();
        file.sync_all().unwrap();
        fixture.cut(seed);
        match fs::read(&bare) {
            Ok(bytes) => {
                assert_eq!(bytes, b"bare", "a file that was flushed has its bytes if any");
                kept += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
                lost += 1;
            }
        }
        assert!(flushed.exists());
    }
    assert!(kept > 5 && lost > 5, "{kept} kept, {lost} lost");
}

#[test]
fn a_rename_happens_whole_or_not_at_all() {
    let fixture = Fixture::new();
    let (mut done, mut undone) = (0, 0);
    for seed in 0..SEEDS {
        let (old, new) = (fixture.path("old"), fixture.path("new"));
        fs::write(&old, b"later").unwrap();
        fs::write(&new, b"first").unwrap();
        for path in [&old, &new] {
            File::open(path).unwrap().sync_all().unwrap();
        }
        flush_directory(fixture.mount.path());
        fs::rename(&old, &new).unwrap();
        assert_eq!(fs::read(&new).unwrap(), b"later");
        fixture.cut(seed);
        if old.exists() {
            assert_eq!(fs::read(&old).unwrap(), b"later");
            assert_eq!(fs::read(&new).unwrap(), b"first");
            undone += 1;
        } else {
            assert_eq!(fs::read(&new).unwrap(), b"later");
            done += 1;
        }
    }
    assert!(done > 5 && undone > 5, "{done} done, {undone} undone");
}

#[test]
fn a_removed_file_may_return_until_its_directory_is_flushed() {
    let fixture = Fixture::new();
    let (mut returned, mut gone) = (0, 0);
    for seed in 0..SEEDS {
        let path = fixture.path("file");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"bytes").unwrap();
        file.sync_all().unwrap();
        flush_directory(fixture.mount.path());
        drop(file);
        fs::remove_file(&path).unwrap();
        fixture.cut(seed);
        if path.exists() {
            assert_eq!(fs::read(&path).unwrap(), b"bytes");
            returned += 1;
            fs::remove_file(&path).unwrap();
        } else {
            gone += 1;
        }
        flush_directory(fixture.mount.path());
        fixture.cut(seed);
        assert!(!path.exists(), "the removal was flushed");
    }
    assert!(returned > 5 && gone > 5, "{returned} returned, {gone} gone");
}

#[test]
fn a_new_directory_is_lost_with_all_it_holds_unless_its_parent_is_flushed() {
    let fixture = Fixture::new();
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..SEEDS {
        let folder = fixture.path(&format!("folder-{seed}"));
        fs::create_dir(&folder).unwrap();
        let mut file = File::create(folder.join("file")).unwrap();
        file.write_all(b"bytes").unwrap();
        file.sync_all().unwrap();
        flush_directory(&folder);
        fixture.cut(seed);
        if folder.exists() {
            assert_eq!(fs::read(folder.join("file")).unwrap(), b"bytes");
            kept += 1;
        } else {
            lost += 1;
        }
    }
    assert!(kept > 5 && lost > 5, "{kept} kept, {lost} lost");
}

#[test]
fn after_a_cut_every_call_fails_and_old_handles_stay_dead() {
    let fixture = Fixture::new();
    let file = durable_file(&fixture, "file", 4_096);
    fixture.mount.cut(1).unwrap();
    let is_dead = |result: io::Result<()>| result.unwrap_err().raw_os_error() == Some(libc::EIO);
    assert!(is_dead(file.write_all_at(b"x", 0)));
    assert!(is_dead(file.sync_all()));
    assert!(is_dead(fs::write(fixture.path("other"), b"x")));
    fixture.mount.revive();
    assert!(is_dead(file.write_all_at(b"x", 0)), "a killed process may have writes under way");
    assert!(is_dead(file.sync_all()));
    assert_eq!(fs::read(fixture.path("file")).unwrap(), [0; 4_096]);
    fs::write(fixture.path("other"), b"x").unwrap();
}

#[test]
fn locks_and_listings_work() {
    let fixture = Fixture::new();
    let one = durable_file(&fixture, "lock", 0);
    let two = File::open(fixture.path("lock")).unwrap();
    one.lock().unwrap();
    assert!(two.try_lock().is_err());
    drop(one);
    two.try_lock().unwrap();
    for number in 0..500 {
        File::create(fixture.path(&format!("file-{number:03}"))).unwrap();
    }
    let listing = fs::read_dir(fixture.mount.path()).unwrap();
    let names: Vec<_> = listing.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 501);
    assert!(names.is_sorted());
}

/// What a file holds, and for each byte what a cut may leave there.
struct Expected {
    plain: Vec<u8>,
    candidates: Vec<BTreeSet<u8>>,
}

impl Expected {
    fn write(&mut self, position: usize, data: &[u8], durable: bool) {
        self.plain.resize(self.plain.len().max(position + data.len()), 0);
        self.plain[position..position + data.len()].copy_from_slice(data);
        for (candidates, byte) in self.candidates[position..].iter_mut().zip(data) {
            if durable {
                candidates.clear();
            }
            candidates.insert(*byte);
        }
    }

    fn resize(&mut self, bytes: usize) {
        self.plain.resize(bytes, 0);
        for candidates in &mut self.candidates[bytes..] {
            candidates.insert(0);
        }
    }

    fn flush(&mut self) {
        for (place, candidates) in self.candidates.iter_mut().enumerate() {
            *candidates = BTreeSet::from([self.plain.get(place).copied().unwrap_or(0)]);
        }
    }
}

/// Random writes, lengths and flushes: readers see what a plain file would show, and after a cut
/// every byte is the flushed one or one that was written there since.
#[test]
fn any_sequence_reads_as_a_plain_file_would() {
    let fixture = Fixture::new();
    for seed in 0..SEEDS * 2 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let name = format!("file-{seed}");
        let file = durable_file(&fixture, &name, 0);
        let mut options = OpenOptions::new();
        let through = options.write(true).custom_flags(libc::O_DSYNC);
        let through = through.open(fixture.path(&name)).unwrap();
        let mut expected =
            Expected { plain: Vec::new(), candidates: vec![BTreeSet::from([0]); 9_000] };
        for _ in 0..rng.usize(1..60) {
            let position = rng.usize(0..6_000);
            let data = vec![rng.u8(1..); rng.usize(1..3_000)];
            match rng.u8(0..10) {
                0 => {
                    expected.resize(position);
                    file.set_len(position as u64).unwrap();
                }
                1 => {
                    expected.flush();
                    file.sync_data().unwrap();
                }
                kind => {
                    expected.write(position, &data, kind == 2);
                    let target = if kind == 2 { &through } else { &file };
                    target.write_all_at(&data, position as u64).unwrap();
                }
            }
            assert!(fs::read(fixture.path(&name)).unwrap() == expected.plain, "seed {seed}");
        }
        if rng.bool() {
            expected.flush();
            file.sync_data().unwrap();
            fixture.cut(seed);
            assert!(fs::read(fixture.path(&name)).unwrap() == expected.plain, "seed {seed}");
        } else {
            fixture.cut(seed);
            let found = fs::read(fixture.path(&name)).unwrap();
            for (place, byte) in found.iter().enumerate() {
                assert!(expected.candidates[place].contains(byte), "seed {seed}, byte {place}");
            }
        }
    }
}
