//! Whether a directory can hold data: its file system, its device, and one direct write and read.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{StatxFlags, statfs};
use rustix::io::{ReadWriteFlags, preadv2};

use super::device::{device_name, facts_of};
use super::error::{DirectoryRefusal, StartError};
use crate::buffer::{ALIGNMENT, Memory};

/// What a data directory stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// The file system's name, "ext4" or "type 0x1234" where it is unknown to us.
    pub file_system: String,
    /// The block device's name or the mount's source; "unknown" where neither can be read.
    pub device: String,
    /// Of positions and lengths, in bytes: at least 4096.
    pub alignment: usize,
    /// Whether I/O goes past the page cache. False only where it was allowed.
    pub direct: bool,
}

/// Looks at the directory and writes, reads and removes one probe file in it.
///
/// # Errors
/// With the sentence for what is missing; a file system that has no direct I/O or only pretends is
/// refused unless `allow_buffered`.
pub fn check_directory(path: &Path, allow_buffered: bool) -> Result<DirectoryFacts, StartError> {
    inspect(path)
        .and_then(|readings| judge(&readings, allow_buffered))
        .map_err(|refusal| StartError::Directory { path: path.to_path_buf(), refusal })
}

/// What the verdict depends on.
#[derive(Clone, Debug)]
struct Readings {
    file_system: String,
    device: String,
    probe: Result<Probe, DirectoryRefusal>,
}

/// How the probe file behaved.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// O_DIRECT was accepted.
    direct: bool,
    /// The alignments of memory and of positions as statx(2) says; 0 means that the file has no
    /// direct I/O, `None` that the file system or the kernel does not say (before 6.1).
    alignments: Option<(u32, u32)>,
    /// The direct read left its page in the page cache.
    cached: bool,
}

fn judge(readings: &Readings, allow_buffered: bool) -> Result<DirectoryFacts, DirectoryRefusal> {
    let probe = readings.probe.clone()?;
    let direct = probe.direct
        && !probe.cached
        && probe.alignments.is_none_or(|(memory, position)| memory > 0 && position > 0)
        && !is_known_to_buffer(&readings.file_system);
    if !direct && !allow_buffered {
        let file_system = readings.file_system.clone();
        return Err(DirectoryRefusal::Buffered { file_system });
    }
    let wanted = probe.alignments.map_or(0, |(memory, position)| memory.max(position));
    let alignment = usize::try_from(wanted).expect("32 bits fit").max(ALIGNMENT);
    if alignment > ALIGNMENT {
        return Err(DirectoryRefusal::Alignment { bytes: alignment });
    }
    Ok(DirectoryFacts {
        file_system: readings.file_system.clone(),
        device: readings.device.clone(),
        alignment,
        direct,
    })
}

/// File systems that accept O_DIRECT without having direct I/O, in some version at least.
fn is_known_to_buffer(file_system: &str) -> bool {
    matches!(file_system, "tmpfs" | "ramfs" | "hugetlbfs" | "zfs" | "ecryptfs")
}

fn inspect(path: &Path) -> Result<Readings, DirectoryRefusal> {
    let kind = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DirectoryRefusal::NotFound,
        _ => DirectoryRefusal::Errno(number(&error)),
    })?;
    if !kind.is_dir() {
        return Err(DirectoryRefusal::NotADirectory);
    }
    let facts = statfs(path).map_err(|errno| DirectoryRefusal::Errno(errno.raw_os_error()))?;
    // The type is a signed word of the machine's width; magic numbers have 32 bits.
    let file_system = name(facts.f_type as u32);
    Ok(Readings {
        file_system,
        device: device_name(path).unwrap_or_else(|| "unknown".to_owned()),
        probe: probe(path),
    })
}

/// The probe file, removed whatever happens.
struct ProbeFile(PathBuf);

impl Drop for ProbeFile {
    fn drop(&mut self) {
        // It may never have been created; and an empty leftover harms nobody.
        drop(fs::remove_file(&self.0));
    }
}

fn probe(directory: &Path) -> Result<Probe, DirectoryRefusal> {
    const PATTERN: u8 = 0x5a;

    let file = ProbeFile(directory.join(format!(".probe-{}", std::process::id())));
    let open = |flags: i32| {
        fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(flags)
            .open(&file.0)
    };
    let (handle, direct) = match open(libc::O_DIRECT) {
        Ok(handle) => (handle, true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            (open(0).map_err(|error| refused(&error))?, false)
        }
        Err(error) => return Err(refused(&error)),
    };
    // Asked before the write: the answer may be that the write must be larger.
    let facts = facts_of(&file.0, StatxFlags::DIOALIGN).map_err(DirectoryRefusal::Errno)?;
    let alignments = (facts.stx_mask & StatxFlags::DIOALIGN.bits() != 0)
        .then_some((facts.stx_dio_mem_align, facts.stx_dio_offset_align));
    let wanted = alignments.map_or(0, |(memory, position)| memory.max(position));
    if wanted as usize > ALIGNMENT {
        return Ok(Probe { direct, alignments, cached: false });
    }
    let mut written = Memory::zeroed(ALIGNMENT);
    written.fill(PATTERN);
    handle.write_all_at(&written, 0).map_err(|error| refused(&error))?;
    handle.sync_data().map_err(|error| refused(&error))?;
    let mut read = Memory::zeroed(ALIGNMENT);
    handle.read_exact_at(&mut read, 0).map_err(|error| refused(&error))?;
    if *read != *written {
        return Err(DirectoryRefusal::Corrupted);
    }
    // Where statx vouches for direct I/O it is believed: the look into the page cache starts to read
    // ahead, and finds now and then what it has brought in itself.
    let is_vouched_for = alignments.is_some_and(|(memory, position)| memory > 0 && position > 0);
    let cached = direct && !is_vouched_for && is_cached(&file.0);
    Ok(Probe { direct, alignments, cached })
}

/// Whether the file's first page is in the page cache: a buffered read that may not wait succeeds
/// only then. File systems without such reads say nothing.
fn is_cached(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let mut byte = [0];
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    preadv2(&file, &mut parts, 0, ReadWriteFlags::NOWAIT).is_ok_and(|bytes| bytes > 0)
}

fn refused(error: &io::Error) -> DirectoryRefusal {
    DirectoryRefusal::Errno(number(error))
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// The name that belongs to a magic number (statfs(2), include/uapi/linux/magic.h).
fn name(magic: u32) -> String {
    let known = match magic {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0x794c_7630 => "overlay",
        0x6969 => "nfs",
        0x6573_5546 => "fuse",
        0xf2f5_2010 => "f2fs",
        0x2fc1_2fc1 => "zfs",
        0xca45_1a4e => "bcachefs",
        0xff53_4d42 | 0xfe53_4d42 => "cifs",
        0x0102_1997 => "9p",
        0x9584_58f6 => "hugetlbfs",
        0xf15f => "ecryptfs",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x00c3_6400 => "ceph",
        other => return format!("type {other:#x}"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Readings {
        Readings {
            file_system: "ext4".to_owned(),
            device: "vda1".to_owned(),
            probe: Ok(Probe { direct: true, alignments: Some((512, 512)), cached: false }),
        }
    }

    fn spoilt(spoil: impl FnOnce(&mut Readings)) -> Readings {
        let mut readings = fine();
        spoil(&mut readings);
        readings
    }

    fn with(probe: Probe) -> Readings {
        spoilt(|readings| readings.probe = Ok(probe))
    }

    #[test]
    fn a_disk_is_taken_with_our_alignment() {
        let facts = judge(&fine(), false).expect("all is well");
        assert_eq!((facts.alignment, facts.direct), (4096, true));
        let silent = with(Probe { direct: true, alignments: None, cached: false });
        assert!(judge(&silent, false).expect("an old kernel says nothing").direct);
    }

    #[test]
    fn whatever_buffers_is_refused_or_named() {
        let probe = Probe { direct: true, alignments: None, cached: false };
        let cases = [
            spoilt(|readings| readings.file_system = "tmpfs".to_owned()),
            with(Probe { direct: false, ..probe }),
            with(Probe { cached: true, ..probe }),
            with(Probe { alignments: Some((0, 0)), ..probe }),
        ];
        for readings in cases {
            let refusal = judge(&readings, false).expect_err("it buffers");
            assert!(matches!(refusal, DirectoryRefusal::Buffered { .. }), "{refusal}");
            assert!(refusal.to_string().contains("--allow-buffered"));
            assert!(!judge(&readings, true).expect("it was allowed").direct);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_even_if_buffering_is_allowed() {
        let large = Probe { direct: true, alignments: Some((512, 16384)), cached: false };
        let refusal = judge(&with(large), true).expect_err("our blocks are smaller");
        assert!(refusal.to_string().contains("16384"));
    }

    #[test]
    fn real_directories_are_judged() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let missing = check_directory(&here.join("missing"), false).expect_err("it is not there");
        assert!(missing.to_string().contains("missing cannot hold data: it does not exist"));
        let file = check_directory(&here.join("Cargo.toml"), false).expect_err("it is a file");
        assert!(file.to_string().contains("not a directory"));
    }
}
