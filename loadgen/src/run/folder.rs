//! The engine's data folder: a fresh one under cargo's target directory, or else the working
//! directory, and gone afterwards; never one of somebody else's.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Failure, RunOptions};

/// Cargo marks its target directory with this file.
const TARGET_MARK: &str = "CACHEDIR.TAG";

/// See the module. Removed when it is dropped, unless it was there before.
pub struct Folder {
    path: PathBuf,
    /// It was made, or found empty: nothing but ours is in it.
    is_ours: bool,
}

impl Folder {
    /// Makes it, or takes an empty one.
    ///
    /// # Errors
    /// It cannot be made, or holds something that is not ours.
    pub fn open(options: &RunOptions) -> Result<Folder, Failure> {
        let path = match &options.data {
            Some(path) => path.clone(),
            None => home().join(format!("loadgen-data-{}", std::process::id())),
        };
        let cannot = |error: std::io::Error| {
            Failure::could_not(format!("cannot make the data folder {}: {error}", path.display()))
        };
        fs::create_dir_all(&path).map_err(cannot)?;
        let is_ours = fs::read_dir(&path).map_err(cannot)?.next().is_none();
        if !is_ours && !options.force {
            return Err(Failure::usage(format!(
                "{} is not empty; choose another folder, or say --force to use its engine",
                path.display()
            )));
        }
        Ok(Folder { path, is_ours })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it unless it is to be kept or was there before. Returns whether it is still there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn close(mut self, keep: bool) -> Result<bool, Failure> {
        if keep || !self.is_ours {
            self.is_ours = false;
            return Ok(true);
        }
        self.is_ours = false;
        fs::remove_dir_all(&self.path).map_err(|error| {
            let path = self.path.display();
            Failure::could_not(format!("cannot remove the data folder {path}: {error}"))
        })?;
        Ok(false)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_ours {
            // The run has failed already, and its sentence matters more than a folder left behind.
            drop(fs::remove_dir_all(&self.path));
        }
    }
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

    #[test]
    fn a_folder_goes_unless_it_held_something_or_is_kept() {
        let path = home().join(format!("loadgen-folder-test-{}", std::process::id()));
        let folder = Folder::open(&options(&path, false)).unwrap();
        assert!(!folder.close(false).unwrap());
        assert!(!path.exists());
        let folder = Folder::open(&options(&path, false)).unwrap();
        assert!(folder.close(true).unwrap());
        fs::write(path.join("file"), "theirs").unwrap();
        let Err(refused) = Folder::open(&options(&path, false)) else { panic!("it is not empty") };
        assert!(refused.sentence.contains("is not empty"), "{}", refused.sentence);
        drop(Folder::open(&options(&path, true)).unwrap());
        assert!(path.join("file").exists());
        fs::remove_dir_all(&path).unwrap();
    }
}
