//! The engine's data folder and the probes' file: a folder of this run's own under cargo's target
//! directory, or else the working directory, and gone afterwards; never one of somebody else's.
//!
//! ```text
//!   target/loadgen-1f2e.../lock     locked as long as this process lives
//!                          data/    the engine's
//!                          probe    the probes'
//!   DIR/ (--data DIR)               the engine's own files, and loadgen-probe
//! ```
//!
//! A process that is killed leaves its folder; the next one removes those that nobody locks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use runtime::random;

use super::{Failure, RunOptions};

/// Cargo marks its target directory with this file.
const TARGET_MARK: &str = "CACHEDIR.TAG";
/// How the name of a run's own folder begins.
const PREFIX: &str = "loadgen-";
/// Files of a run's own folder.
const LOCK: &str = "lock";
const DATA: &str = "data";
const PROBE: &str = "probe";
/// The probes' file in a folder that the user named.
const PROBE_BESIDE_DATA: &str = "loadgen-probe";
/// What mkfs puts into an empty file system.
const LOST_AND_FOUND: &str = "lost+found";

/// See the module. Removed when it is dropped, unless it was there before.
pub struct Folder {
    data: PathBuf,
    probe: PathBuf,
    kind: Kind,
    /// Folders of earlier runs that were removed.
    removed: usize,
}

enum Kind {
    /// This run's own, held by its lock.
    Own { root: PathBuf, _lock: File },
    /// The user named it, and it was made here.
    Made,
    /// The user named it, and it was empty: it may be a mount point, and stays.
    Found,
    /// Something was in it already, or it is to be kept.
    Kept,
}

impl Folder {
    /// Makes it, or takes an empty one.
    ///
    /// # Errors
    /// It cannot be made, or holds something that is not ours.
    pub fn open(options: &RunOptions) -> Result<Folder, Failure> {
        let path = options.data.clone().unwrap_or_else(home);
        let opened = match &options.data {
            Some(_) => Folder::named(&path, options.force),
            None => Folder::own(&path).map(Some),
        };
        let cannot = |error: io::Error| {
            let path = path.display();
            Failure::could_not(format!("cannot make the data folder in {path}: {error}"))
        };
        opened.map_err(cannot)?.ok_or_else(|| {
            Failure::usage(format!(
                "{} is not empty; choose another folder, or say --force to use its engine",
                path.display()
            ))
        })
    }

    /// One in `home`, beside those of others who run now.
    fn own(home: &Path) -> io::Result<Folder> {
        let removed = remove_leftovers(home)?;
        let root = home.join(format!("{PREFIX}{:016x}", random::seed()));
        let (data, probe) = (root.join(DATA), root.join(PROBE));
        fs::create_dir_all(&data)?;
        // It gets its name once it is locked: nobody can take it for a leftover.
        let unnamed = root.join("lock.new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        fs::rename(&unnamed, root.join(LOCK))?;
        Ok(Folder { data, probe, kind: Kind::Own { root, _lock: lock }, removed })
    }

    /// The one that the user named; `None` where somebody else's things are in it.
    fn named(path: &Path, force: bool) -> io::Result<Option<Folder>> {
        let kind = if path.exists() {
            let is_empty = entries(path)?.is_empty();
            if !is_empty && !force {
                return Ok(None);
            }
            if is_empty { Kind::Found } else { Kind::Kept }
        } else {
            fs::create_dir_all(path)?;
            Kind::Made
        };
        let probe = path.join(PROBE_BESIDE_DATA);
        Ok(Some(Folder { data: path.to_owned(), probe, kind, removed: 0 }))
    }

    /// The engine's.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.data
    }

    /// The file of the probes, on the same file system.
    #[must_use]
    pub fn probe(&self) -> &Path {
        &self.probe
    }

    /// What runs that were killed had left, and is gone now: a number of folders.
    #[must_use]
    pub fn removed(&self) -> usize {
        self.removed
    }

    /// Removes it unless it is to be kept or was there before. Returns whether it is still there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn close(mut self, keep: bool) -> Result<bool, Failure> {
        let cannot = |path: &Path, error: io::Error| {
            Failure::could_not(format!("cannot remove {}: {error}", path.display()))
        };
        let kind = std::mem::replace(&mut self.kind, Kind::Kept);
        match kind {
            Kind::Own { root, .. } if keep => {
                // Without its lock no later run takes it for a leftover.
                fs::remove_file(root.join(LOCK)).map_err(|error| cannot(&root, error))?;
                Ok(true)
            }
            kind if keep || matches!(kind, Kind::Kept) => Ok(true),
            kind => {
                self.remove(&kind).map_err(|error| cannot(&self.data, error))?;
                Ok(false)
            }
        }
    }

    fn remove(&self, kind: &Kind) -> io::Result<()> {
        match kind {
            Kind::Own { root, .. } => fs::remove_dir_all(root),
            Kind::Made => fs::remove_dir_all(&self.data),
            Kind::Found => entries(&self.data)?.iter().try_for_each(|path| {
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            }),
            Kind::Kept => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let kind = std::mem::replace(&mut self.kind, Kind::Kept);
        // The run has failed already, and its sentence matters more than a folder left behind.
        drop(self.remove(&kind));
    }
}

/// What is in a folder, but for what its file system put there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let listed: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
    let ours = listed?.into_iter().filter(|entry| entry.file_name() != LOST_AND_FOUND);
    Ok(ours.map(|entry| entry.path()).collect())
}

/// Removes folders of runs that are over and could not do it. What cannot be removed stays.
fn remove_leftovers(home: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let root = entry.path();
        // A folder that was kept has none.
        let Ok(lock) = File::open(root.join(LOCK)) else { continue };
        // The lock goes last: what is left of a removal that is cut short is a leftover still.
        let is_gone = lock.try_lock().is_ok()
            && fs::remove_dir_all(root.join(DATA)).is_ok()
            && fs::remove_dir_all(&root).is_ok();
        removed += usize::from(is_gone);
    }
    Ok(removed)
}

/// Cargo's target directory where this binary lies in one, else the working directory.
#[must_use]
pub fn home() -> PathBuf {
    let binary = std::env::current_exe().unwrap_or_default();
    let target = binary.ancestors().find(|folder| folder.join(TARGET_MARK).is_file());
    target.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(path: &Path, force: bool) -> RunOptions {
        RunOptions { data: Some(path.to_owned()), force, ..RunOptions::default() }
    }

    fn scratch(name: &str) -> PathBuf {
        let path = home().join(format!("folder-test-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_folder_that_was_named_goes_if_it_was_made_and_else_is_emptied() {
        let scratch = scratch("named");
        let path = scratch.join("data");
        let folder = Folder::open(&options(&path, false)).unwrap();
        assert!(!folder.close(false).unwrap());
        assert!(!path.exists());
        // A mount point, as mkfs leaves it.
        fs::create_dir_all(path.join(LOST_AND_FOUND)).unwrap();
        let folder = Folder::open(&options(&path, false)).unwrap();
        fs::write(folder.probe(), "probed").unwrap();
        fs::create_dir_all(path.join("segments/deep")).unwrap();
        assert!(!folder.close(false).unwrap());
        let left: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [path.join(LOST_AND_FOUND)]);
        fs::write(path.join("file"), "theirs").unwrap();
        let Err(refused) = Folder::open(&options(&path, false)) else { panic!("it is not empty") };
        assert!(refused.sentence.contains("is not empty"), "{}", refused.sentence);
        drop(Folder::open(&options(&path, true)).unwrap());
        assert!(path.join("file").exists());
        fs::remove_dir_all(&scratch).unwrap();
    }

    #[test]
    fn a_run_removes_what_nobody_locks_and_nothing_else() {
        let home = scratch("own");
        let running = Folder::own(&home).unwrap();
        let kept = Folder::own(&home).unwrap();
        let kept_data = kept.path().to_owned();
        assert!(kept.close(true).unwrap());
        // Of a process that was killed.
        let left = home.join("loadgen-0123");
        fs::create_dir_all(left.join(DATA)).unwrap();
        fs::write(left.join(PROBE), "probed").unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let theirs = home.join("loadgen-notes");
        fs::create_dir(&theirs).unwrap();
        let folder = Folder::own(&home).unwrap();
        assert_eq!(folder.removed(), 1);
        assert!(!left.exists() && theirs.exists());
        assert!(running.path().exists() && kept_data.exists());
        assert!(!folder.close(false).unwrap());
        drop(running);
        assert_eq!(fs::read_dir(&home).unwrap().count(), 2, "the kept one and theirs");
        fs::remove_dir_all(&home).unwrap();
    }
}
