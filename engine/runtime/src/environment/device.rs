//! The block device behind a path, and whether glommio can read its properties without a panic.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};

/// The name of the block device that holds `path` ("vda1"), or the source of its mount where it
/// has none of its own (btrfs, overlay, network); `None` where neither can be read.
pub fn device_name(path: &Path) -> Option<String> {
    let facts = facts_of(path, StatxFlags::BASIC_STATS).ok()?;
    let (major, minor) = (facts.stx_dev_major, facts.stx_dev_minor);
    block_device_directory(major, minor)
        .and_then(|directory| Some(directory.file_name()?.to_str()?.to_owned()))
        .or_else(|| mount_source(major, minor))
}

/// Where sysfs describes a block device.
pub(crate) fn block_device_directory(major: u32, minor: u32) -> Option<PathBuf> {
    fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()
}

/// The source of the mount with this device number, as mount(8) shows it.
fn mount_source(major: u32, minor: u32) -> Option<String> {
    let device = format!("{major}:{minor}");
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    mounts.into_iter().find(|mount| mount.majmin == device).and_then(|mount| mount.mount_source)
}

pub(super) fn facts_of(path: &Path, wanted: StatxFlags) -> Result<Statx, i32> {
    statx(CWD, path, AtFlags::empty(), wanted).map_err(rustix::io::Errno::raw_os_error)
}

/// The major number of the device of `path` (or of its directory, where it does not exist yet) if
/// glommio would panic on it. It reads the properties of `MAJOR:0`, whatever the minor number is,
/// unwraps each of them, and caches them by thread.
///
/// # Errors
/// The number of the error of statx(2).
pub(crate) fn unreadable_device(path: &Path) -> Result<Option<u32>, i32> {
    static READABLE: Mutex<BTreeMap<u32, bool>> = Mutex::new(BTreeMap::new());

    let facts = match facts_of(path, StatxFlags::BASIC_STATS) {
        Err(libc::ENOENT) => {
            let directory = match path.parent() {
                Some(parent) if parent != Path::new("") => parent,
                Some(_) | None => Path::new("."),
            };
            facts_of(directory, StatxFlags::BASIC_STATS)?
        }
        facts => facts?,
    };
    let major = facts.stx_dev_major;
    let mut known = READABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let readable = *known.entry(major).or_insert_with(|| glommio_can_read(major));
    Ok((!readable).then_some(major))
}

/// Reads what glommio's sys/sysfs.rs, `BlockDevice::new`, reads, and as strictly.
fn glommio_can_read(major: u32) -> bool {
    const NUMBERS: [&str; 7] = [
        "rotational",
        "minimum_io_size",
        "optimal_io_size",
        "logical_block_size",
        "physical_block_size",
        "max_sectors_kb",
        "max_segment_size",
    ];

    let directory = match fs::canonicalize(format!("/sys/dev/block/{major}:0")) {
        Ok(directory) => directory,
        // It takes this for memory.
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
    };
    let queue = directory.join("queue");
    let text = |name: &str| fs::read_to_string(queue.join(name)).ok();
    let number = |name: &str| text(name)?.trim_matches('\n').parse::<isize>().ok();
    let cache = text("write_cache");
    NUMBERS.iter().all(|name| number(name).is_some())
        && matches!(
            cache.as_deref().map(|cache| cache.trim_matches('\n')),
            Some("write back" | "write through")
        )
        && fs::read_dir(directory.join("slaves"))
            .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_readable_and_missing_paths_are_judged_by_their_directory() {
        assert!(glommio_can_read(0), "anonymous devices are taken for memory");
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(unreadable_device(&here.join("no-such-file")), unreadable_device(here));
        assert_eq!(unreadable_device(&here.join("no/such/file")), Err(libc::ENOENT));
        assert!(device_name(here).is_some());
    }
}
