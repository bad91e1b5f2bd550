//! The disk below a folder, as the kernel describes it.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of sysfs of the whole device that holds `folder`, as `/sys/devices/…/block/vda`.
///
/// # Errors
/// With the reason why there is none: network, memory, several devices.
pub fn of_folder(folder: &Path) -> Result<PathBuf, String> {
    let shown = folder.display();
    let source = runtime::environment::device_name(folder)
        .ok_or_else(|| format!("{shown}: its device cannot be told"))?;
    let missing = || format!("{shown}: {source} is no block device of this machine");
    let name = block_name(&source).ok_or_else(missing)?;
    let device =
        fs::canonicalize(Path::new("/sys/class/block").join(name)).map_err(|_| missing())?;
    whole(device).ok_or_else(missing)
}

/// The kernel's name of a device: of "vda1" itself, of a mount's source by its link in /dev.
fn block_name(source: &str) -> Option<String> {
    if !source.contains('/') {
        return Some(source.to_owned());
    }
    let device = fs::canonicalize(source).ok()?;
    Some(device.strip_prefix("/dev").ok()?.to_str()?.replace('/', "!"))
}

/// The device of a partition, or the device itself.
fn whole(device: PathBuf) -> Option<PathBuf> {
    if device.join("partition").exists() {
        return device.parent().map(Path::to_path_buf);
    }
    Some(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_own_folders_are_on_no_disk() {
        let reason = of_folder(Path::new("/proc")).unwrap_err();
        assert!(reason.contains("/proc"), "{reason}");
        assert!(of_folder(Path::new("/no/such/folder")).is_err());
    }

    #[test]
    fn names_and_sources() {
        assert_eq!(block_name("vda1").as_deref(), Some("vda1"));
        assert_eq!(block_name("server:/export"), None);
        assert_eq!(block_name("/dev/null").as_deref(), Some("null"));
    }

    #[test]
    fn a_partition_leads_to_its_device() {
        let folder = std::env::temp_dir().join(format!("whole-{}", std::process::id()));
        let partition = folder.join("vda").join("vda1");
        fs::create_dir_all(&partition).unwrap();
        fs::write(partition.join("partition"), "1\n").unwrap();
        assert_eq!(whole(partition), Some(folder.join("vda")));
        assert_eq!(whole(folder.join("vda")), Some(folder.join("vda")));
        fs::remove_dir_all(folder).unwrap();
    }
}
