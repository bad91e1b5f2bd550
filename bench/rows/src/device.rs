//! What was read and written below the engine, by three witnesses: its own counters, the kernel's for
//! this process, and the device's.

use gyre::embed::Client;
use loadgen::environment::disk;
use loadgen::run::Failure;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Of the device's counters, whatever its own sectors are.
const SECTOR_BYTES: u64 = 512;

/// Bytes read and written; null where the witness cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    /// By the engine's counters.
    pub engine: Option<Bytes>,
    /// By `/proc/self/io`.
    pub process: Option<Bytes>,
    /// By the device's `stat` in sysfs; strangers count too.
    pub device: Option<Bytes>,
}

/// See [`Moved`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Bytes {
    /// Bytes.
    pub read: u64,
    /// Bytes.
    pub written: u64,
}

impl Bytes {
    /// Both.
    pub(crate) fn sum(self) -> u64 {
        self.read + self.written
    }

    fn since(self, earlier: Bytes) -> Bytes {
        Bytes {
            read: self.read.saturating_sub(earlier.read),
            written: self.written.saturating_sub(earlier.written),
        }
    }
}

impl Moved {
    /// What was moved between two readings.
    pub(crate) fn since(self, earlier: Moved) -> Moved {
        let both = |later: Option<Bytes>, earlier: Option<Bytes>| Some(later?.since(earlier?));
        Moved {
            engine: both(self.engine, earlier.engine),
            process: both(self.process, earlier.process),
            device: both(self.device, earlier.device),
        }
    }
}

/// Asks the witnesses.
pub(crate) struct Meter {
    device: Option<PathBuf>,
}

impl Meter {
    /// For the device below a folder.
    pub(crate) fn of_folder(folder: &Path) -> Meter {
        // Network, memory, several devices: then two witnesses are left.
        Meter { device: disk::of_folder(folder).ok() }
    }

    /// All of them.
    ///
    /// # Errors
    /// The engine has ended.
    pub(crate) async fn read(&self, client: &Client) -> Result<Moved, Failure> {
        let stats = client.stats().await.map_err(Failure::could_not)?;
        let logs = stats.iter().flat_map(|core| &core.logs);
        let engine = logs.fold(Bytes::default(), |sum, log| Bytes {
            read: sum.read + log.bytes_read,
            written: sum.written + log.bytes_written,
        });
        Ok(Moved { engine: Some(engine), ..self.read_outside() })
    }

    /// The kernel's two.
    pub(crate) fn read_outside(&self) -> Moved {
        // Kernels without task accounting have no such file.
        let own = std::fs::read_to_string("/proc/self/io").ok();
        let device = self.device.as_ref();
        let stat = device.and_then(|device| std::fs::read_to_string(device.join("stat")).ok());
        Moved {
            engine: None,
            process: own.and_then(|text| of_process(&text)),
            device: stat.and_then(|text| of_device(&text)),
        }
    }
}

fn of_process(text: &str) -> Option<Bytes> {
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    Some(Bytes { read: line("read_bytes: ")?, written: line("write_bytes: ")? })
}

/// Fields of the kernel's Documentation/block/stat.rst: sectors read are the third, sectors written
/// the seventh.
fn of_device(text: &str) -> Option<Bytes> {
    let sectors = |field: usize| text.split_whitespace().nth(field)?.parse::<u64>().ok();
    Some(Bytes { read: sectors(2)? * SECTOR_BYTES, written: sectors(6)? * SECTOR_BYTES })
}

/// Bytes that a folder and everything in it take on the disk.
///
/// # Errors
/// It cannot be read.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt;

    let fail = |error: std::io::Error| {
        Failure::could_not(format!("cannot read {}: {error}", folder.display()))
    };
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // A segment may be removed between the listing and the look.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { 0 };
        bytes += metadata.blocks() * SECTOR_BYTES;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_texts() {
        let io = "rchar: 9\nwchar: 8\nsyscr: 1\nsyscw: 1\nread_bytes: 4096\nwrite_bytes: 12288\n\
                  cancelled_write_bytes: 0\n";
        assert_eq!(of_process(io), Some(Bytes { read: 4_096, written: 12_288 }));
        assert_eq!(of_process("nothing"), None);
        let stat = "  10 0 80 5 20 0 160 9 0 30 14 0 0 0 0 7 3";
        assert_eq!(of_device(stat), Some(Bytes { read: 40_960, written: 81_920 }));
        assert_eq!(of_device(""), None);
    }

    #[test]
    fn what_is_missing_once_is_missing_in_the_difference() {
        let some = |read| Some(Bytes { read, written: 1 });
        let earlier = Moved { engine: some(1), process: None, device: some(5) };
        let later = Moved { engine: some(4), process: some(9), device: some(7) };
        let moved = later.since(earlier);
        assert_eq!(moved.engine.map(Bytes::sum), Some(3));
        assert_eq!(moved.process, None);
        assert_eq!(moved.device.map(|bytes| bytes.read), Some(2));
    }

    #[test]
    fn a_folder_s_bytes_are_those_on_the_disk() {
        let folder = tempfile::tempdir_in(loadgen::run::home()).unwrap();
        let empty = folder_bytes(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/file"), vec![7; 1 << 20]).unwrap();
        let file = std::fs::File::open(folder.path().join("inner/file")).unwrap();
        file.sync_all().unwrap();
        assert!(folder_bytes(folder.path()).unwrap() >= empty + (1 << 20));
        assert!(folder_bytes(Path::new("/no/such/folder")).is_err());
    }
}
