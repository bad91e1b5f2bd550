//! The block device behind a path.

use std::fs;
use std::path::{Path, PathBuf};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_device_if_it_is_there() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(device_name(here).is_some());
        assert_eq!(device_name(&here.join("no-such-file")), None);
    }
}
