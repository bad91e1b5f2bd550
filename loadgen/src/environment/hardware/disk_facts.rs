//! What sysfs says of a block device.

use super::Disk;
use std::fs;
use std::path::Path;

/// A device's folder in sysfs, and a folder on the device.
pub(super) fn read(device: &Path, folder: &Path) -> Disk {
    // A property that is missing is null: an old kernel or a device that does not have it.
    let text =
        |name: &str| fs::read_to_string(device.join(name)).ok().map(|it| it.trim().to_owned());
    let number = |name: &str| text(name)?.parse().ok();
    let name = device.file_name().and_then(|name| name.to_str()).unwrap_or("unknown").to_owned();
    let rotational = text("queue/rotational").is_some_and(|value| value == "1");
    let has_device = device.join("device").exists();
    Disk {
        kind: kind(&name, rotational, has_device).to_owned(),
        model: text("device/model").filter(|model| !model.is_empty()),
        scheduler: text("queue/scheduler").map(|list| active(&list)),
        write_cache: text("queue/write_cache"),
        fua: text("queue/fua").map(|value| value == "1"),
        logical_block_bytes: number("queue/logical_block_size"),
        physical_block_bytes: number("queue/physical_block_size"),
        file_system: fs::read_to_string("/proc/self/mountinfo")
            .ok() // Without /proc nothing of a run could be read.
            .zip(fs::canonicalize(folder).ok())
            .and_then(|(mounts, folder)| file_system(&mounts, folder.to_str()?)),
        name,
    }
}

/// A disk of virtio says rotational or not as its maker pleased, so it is a kind of its own.
fn kind(name: &str, rotational: bool, has_device: bool) -> &'static str {
    match (name, rotational) {
        (name, _) if name.starts_with("nvme") => "nvme",
        (name, _) if name.starts_with("vd") => "virtio",
        _ if !has_device => "virtual",
        (_, true) => "hdd",
        (_, false) => "ssd",
    }
}

/// Of "none [mq-deadline] kyber" the one in brackets; a single word stands for itself.
fn active(schedulers: &str) -> String {
    let bracketed =
        schedulers.split(' ').find_map(|name| name.strip_prefix('[')?.strip_suffix(']'));
    bracketed.unwrap_or(schedulers).to_owned()
}

/// The type of the mount that holds a path: the last one of those with the longest mount point.
fn file_system(mounts: &str, path: &str) -> Option<String> {
    let mut found: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?.replace("\\040", " ");
        let holds = match path.strip_prefix(point.trim_end_matches('/')) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        };
        if holds && found.is_none_or(|(bytes, _)| point.len() >= bytes) {
            found = Some((point.len(), after.split(' ').next()?));
        }
    }
    found.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_schedulers() {
        assert_eq!(kind("nvme0n1", false, true), "nvme");
        assert_eq!(kind("vda", true, true), "virtio");
        assert_eq!(kind("sda", true, true), "hdd");
        assert_eq!(kind("sda", false, true), "ssd");
        assert_eq!(kind("dm-0", false, false), "virtual");
        assert_eq!(active("none [mq-deadline] kyber bfq"), "mq-deadline");
        assert_eq!(active("none"), "none");
    }

    #[test]
    fn the_nearest_mount_holds_a_path() {
        let mounts = "22 27 0:21 / /proc rw - proc proc rw\n\
                      27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      28 27 8:1 / /data rw shared:1 - xfs /dev/sda1 rw\n\
                      29 27 8:2 / /data\\040two rw - btrfs /dev/sda2 rw\n";
        let check = |path, expected: &str| {
            assert_eq!(file_system(mounts, path).as_deref(), Some(expected), "{path}");
        };
        check("/data/gyre", "xfs");
        check("/data", "xfs");
        check("/database", "ext4");
        check("/data two/x", "btrfs");
        check("/proc/1", "proc");
    }

    #[test]
    fn a_device_that_says_nothing_has_a_kind_all_the_same() {
        let disk = read(Path::new("/no/such/block/vdz"), Path::new("/"));
        assert_eq!((disk.name.as_str(), disk.kind.as_str()), ("vdz", "virtio"));
        assert_eq!((disk.model, disk.fua, disk.scheduler), (None, None, None));
        assert!(disk.file_system.is_some());
    }
}
