//! Names: directories, renames, removals, and the lock that keeps two processes apart.
//!
//! All of it is rare and blocks, so the kernel's driver does it with the standard library on
//! another thread.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{IoError, IoErrorKind, Operation};
use crate::driver::{self, Driver};
use crate::kernel;
use crate::sim;

/// The file whose flock(2) is the lock of its directory.
const LOCK_NAME: &str = "lock";

/// A file or directory in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, without the directory's. Bytes that are not UTF-8 are replaced: such a file is
    /// not ours.
    pub name: String,
    /// The file's length; 0 for anything that is not a file.
    pub bytes: u64,
}

/// Creates a directory and those above it that do not exist. Its name is not durable yet.
///
/// # Errors
/// With the system's reason. That it exists already is none.
pub async fn create_directory_all(path: &Path) -> Result<(), IoError> {
    match driver::current() {
        Driver::Kernel => blocking(Operation::CreateDirectory, path, fs::create_dir_all).await,
        Driver::Sim => sim::disk::create_directory_all(path).await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// What a directory holds, sorted by name.
///
/// # Errors
/// With the system's reason.
pub async fn list(path: &Path) -> Result<Vec<Entry>, IoError> {
    match driver::current() {
        Driver::Kernel => blocking(Operation::List, path, read_directory).await,
        Driver::Sim => sim::disk::list(path).await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// Gives a file another name; a file that has it is replaced. Atomic, not durable yet.
///
/// # Errors
/// With the system's reason.
pub async fn rename(from: &Path, to: &Path) -> Result<(), IoError> {
    match driver::current() {
        Driver::Kernel => {
            let to = to.to_path_buf();
            blocking(Operation::Rename, from, move |from| fs::rename(from, to)).await
        }
        Driver::Sim => sim::disk::rename(from, to).await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// Removes a file's name. Open handles go on working; not durable yet.
///
/// # Errors
/// With the system's reason.
pub async fn remove(path: &Path) -> Result<(), IoError> {
    match driver::current() {
        Driver::Kernel => blocking(Operation::Remove, path, fs::remove_file).await,
        Driver::Sim => sim::disk::remove(path).await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// Makes durable what has happened to the names in a directory.
///
/// # Errors
/// With the system's reason. As with a flush, a second try proves nothing.
pub async fn sync_directory(path: &Path) -> Result<(), IoError> {
    match driver::current() {
        Driver::Kernel => {
            blocking(Operation::SyncDirectory, path, |path| fs::File::open(path)?.sync_all()).await
        }
        Driver::Sim => sim::disk::sync_directory(path).await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// Whether there is a file or directory of this name.
///
/// # Errors
/// Where the system cannot tell.
pub async fn exists(path: &Path) -> Result<bool, IoError> {
    match driver::current() {
        Driver::Kernel => blocking(Operation::Exists, path, fs::exists).await,
        Driver::Sim => sim::disk::exists(path).await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// Bytes that this process may still allocate in the file system of `path`.
///
/// # Errors
/// With the system's reason.
pub async fn free_bytes(path: &Path) -> Result<u64, IoError> {
    match driver::current() {
        Driver::Kernel => {
            blocking(Operation::FreeBytes, path, |path| {
                let facts = rustix::fs::statvfs(path)?;
                Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
            })
            .await
        }
        Driver::Sim => sim::disk::free_bytes(path).await,
        Driver::Outside => driver::not_a_core(),
    }
}

/// Held for as long as this process uses a directory; given back by drop or by the process's end.
#[derive(Debug)]
#[must_use = "the lock is given back when it is dropped"]
pub struct DirectoryLock {
    _held: Held,
}

/// Whatever gives the lock back by its drop.
#[derive(Debug)]
#[expect(dead_code, reason = "both are held only to be dropped")]
enum Held {
    Kernel(fs::File),
    Sim(sim::disk::DirectoryLock),
}

/// Takes the lock of a directory: flock(2) on its file `lock`, which is created where it is
/// missing and stays.
///
/// # Errors
/// `Locked` where another process, or another holder in this one, has it.
pub async fn lock_directory(path: &Path) -> Result<DirectoryLock, IoError> {
    match driver::current() {
        Driver::Kernel => lock(path).await.map(Held::Kernel),
        Driver::Sim => sim::disk::lock_directory(path).await.map(Held::Sim),
        Driver::Outside => driver::not_a_core(),
    }
    .map(|held| DirectoryLock { _held: held })
}

/// Keeps out who would take the lock of a directory, for somebody who only reads it; others who
/// read it are let in. Nothing is created: `None` where there is no file `lock`, for then nobody
/// has ever used the directory.
///
/// # Errors
/// `Locked` where the directory is in use.
pub async fn lock_directory_to_read(path: &Path) -> Result<Option<DirectoryLock>, IoError> {
    if !exists(&path.join(LOCK_NAME)).await? {
        return Ok(None);
    }
    match driver::current() {
        Driver::Kernel => lock_shared(path).await.map(Held::Kernel),
        Driver::Sim => sim::disk::lock_directory(path).await.map(Held::Sim),
        Driver::Outside => driver::not_a_core(),
    }
    .map(|held| Some(DirectoryLock { _held: held }))
}

async fn lock(path: &Path) -> Result<fs::File, IoError> {
    let taken = blocking(Operation::Lock, path, |path| {
        let mut options = fs::File::options();
        let file = options.create(true).truncate(false).write(true).open(path.join(LOCK_NAME))?;
        let taken = file.try_lock();
        unless_taken(file, taken)
    })
    .await?;
    taken.ok_or_else(|| IoError::new(Operation::Lock, path, 0, IoErrorKind::Locked))
}

async fn lock_shared(path: &Path) -> Result<fs::File, IoError> {
    let taken = blocking(Operation::Lock, path, |path| {
        let file = fs::File::open(path.join(LOCK_NAME))?;
        let taken = file.try_lock_shared();
        unless_taken(file, taken)
    })
    .await?;
    taken.ok_or_else(|| IoError::new(Operation::Lock, path, 0, IoErrorKind::Locked))
}

fn unless_taken(
    file: fs::File,
    taken: Result<(), fs::TryLockError>,
) -> io::Result<Option<fs::File>> {
    match taken {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

async fn blocking<T: Send + 'static>(
    operation: Operation,
    path: &Path,
    work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
) -> Result<T, IoError> {
    let own = path.to_path_buf();
    kernel::blocking(move || work(own))
        .await
        .map_err(|error| IoError::of_io(operation, path, &error))
}

fn read_directory(path: PathBuf) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let facts = match entry.metadata() {
            Ok(facts) => facts,
            // Removed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let bytes = if facts.is_file() { facts.len() } else { 0 };
        entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), bytes });
    }
    entries.sort();
    Ok(entries)
}
