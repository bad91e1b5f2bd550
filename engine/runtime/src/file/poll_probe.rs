//! Lets glommio find out on a file with data whether a device completes by polling.
//!
//! glommio 0.9 asks once per thread and device, by reading the first file that is opened through
//! its polling ring (reactor.rs, `probe_iopoll_support`). A read of an empty or unwritten file never
//! reaches the device and succeeds, so glommio takes the device for pollable, and every later read
//! of data fails with EOPNOTSUPP (seen on virtio, kernel 6.18). So the first file that it opens on a
//! device is one with data: one that is there, else one that we write.
//!
//! On a device that does poll (NVMe with poll queues) glommio uses it, and its cores then spin while
//! an operation is in flight.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;

use glommio::io::OpenOptions;
use rustix::fs::{SeekFrom, seek};

use super::Access;
use crate::local::Semaphore;

/// Enough for any device's direct read of one logical block.
const PROBE_BYTES: usize = 64 << 10;
/// What a file that is there must have at least, where none may be written.
const READ_BYTES_MIN: u64 = 4 << 10;

thread_local! {
    static ASKED: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
    /// Whoever opens a second file meanwhile must wait for the answer.
    static ASKING: Semaphore = Semaphore::new(1);
}

/// Makes sure that glommio has asked about the device of the folder `path` is in.
pub(super) async fn ask_once(path: &Path, access: Access) {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    // Where the folder cannot be looked at, opening the file says why.
    let Ok(device) = folder.metadata().map(|facts| facts.dev()) else { return };
    let is_known = || ASKED.with_borrow(|asked| asked.contains(&device));
    if is_known() {
        return;
    }
    let asking = ASKING.with(Semaphore::clone);
    let _turn = asking.acquire(1).await;
    if is_known() {
        return;
    }
    let bytes_min = if access == Access::Read { READ_BYTES_MIN } else { PROBE_BYTES as u64 };
    match file_with_data(folder, bytes_min) {
        Some(file) => ask(&file).await,
        None if access == Access::Read => return,
        None => {
            let probe = folder.join(format!(".gyre-probe-{}-{}", process::id(), thread_name()));
            if write(&probe).is_ok() {
                ask(&probe).await;
            }
            // A folder that cannot be written has no probe to remove.
            drop(fs::remove_file(&probe));
        }
    }
    ASKED.with_borrow_mut(|asked| asked.insert(device));
}

/// A file of the folder whose first block is data, neither a hole nor merely allocated.
fn file_with_data(folder: &Path, bytes_min: u64) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    paths.into_iter().find(|path| {
        path.is_file()
            && File::open(path).is_ok_and(|file| {
                let large = file.metadata().is_ok_and(|facts| facts.len() >= bytes_min);
                large && seek(&file, SeekFrom::Data(0)) == Ok(0)
            })
    })
}

async fn ask(path: &Path) {
    // Where it cannot be opened, the file that is wanted will say why.
    if let Ok(file) = OpenOptions::new().read(true).dma_open(path).await {
        // A probe that cannot be closed has done its work all the same.
        drop(file.close().await);
    }
}

/// Distinguishes the cores of one process, each of which asks for itself.
fn thread_name() -> String {
    format!("{:?}", std::thread::current().id()).replace(['(', ')'], "")
}

fn write(probe: &Path) -> io::Result<()> {
    let mut file = File::create(probe)?;
    file.write_all(&[1; PROBE_BYTES])?;
    file.sync_data()
}
