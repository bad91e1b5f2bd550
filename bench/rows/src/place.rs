//! Where a row's data is: a folder of its own that is gone afterwards, with room enough, and the
//! CPUs of the engine and of who drives it.

use loadgen::run::{Failure, Folder, RunOptions, home};
use runtime::cores;
use std::path::{Path, PathBuf};

use crate::cli::Shared;

/// See the module. The folder is removed when this is dropped, unless it is to be kept.
pub(crate) struct Place {
    folder: Option<Folder>,
    path: PathBuf,
    keep: bool,
}

impl Place {
    /// Makes the folder where there is room for `needed_bytes`.
    ///
    /// # Errors
    /// There is less room, or the folder cannot be used; the sentence says what to do.
    pub(crate) fn open(shared: &Shared, needed_bytes: u64) -> Result<Place, Failure> {
        check_room(&shared.data.clone().unwrap_or_else(home), needed_bytes)?;
        let options = RunOptions { data: shared.data.clone(), ..RunOptions::default() };
        let folder = Folder::open(&options)?;
        let path = folder.path().to_owned();
        Ok(Place { folder: Some(folder), path, keep: shared.keep })
    }

    /// The data folder of an engine.
    pub(crate) fn engine(&self) -> PathBuf {
        self.path.join("engine")
    }

    /// The file of the disk's probe.
    pub(crate) fn probe(&self) -> PathBuf {
        self.path.join("probe")
    }

    /// Removes the folder, or says where it was left.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        let folder = self.folder.take().expect("a place is closed once");
        if folder.close(self.keep)? {
            crate::progress(&format!("the data is in {}", self.path.display()));
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Dropped, the folder goes; closed as one to be kept, it stays, and there is nothing to say.
        if let Some(folder) = self.folder.take().filter(|_| self.keep) {
            drop(folder.close(true));
        }
    }
}

fn check_room(data: &Path, needed_bytes: u64) -> Result<(), Failure> {
    // The nearest folder above it that is there.
    let absolute = std::path::absolute(data).map_err(Failure::could_not)?;
    let there = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let found = rustix::fs::statvfs(there)
        .map_err(|errno| Failure::could_not(format!("{}: {errno}", there.display())))?;
    let free_bytes = found.f_bavail * found.f_frsize;
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    Err(Failure::could_not(format!(
        "{} has {:.1} GiB free and this needs {:.1} GiB; free some, choose another disk with \
         --data, or a smaller size",
        there.display(),
        gib(free_bytes),
        gib(needed_bytes)
    )))
}

/// The CPUs to pin to; none where there is only one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// The engine's core.
    pub engine: Option<usize>,
    /// The core that puts and reads.
    pub caller: Option<usize>,
}

impl Cpus {
    /// The first CPU and the last of those that this process may use.
    pub(crate) fn choose() -> Cpus {
        match *cores::online_cpus() {
            [engine, .., caller] => Cpus { engine: Some(engine), caller: Some(caller) },
            _ => Cpus::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_refused_with_what_it_needs() {
        let refused = check_room(Path::new("/no/such/folder"), u64::MAX).unwrap_err();
        assert!(refused.sentence.contains("this needs"), "{}", refused.sentence);
        assert!(check_room(&home().join("not-yet"), 1).is_ok());
    }
}
