//! Operations on names: open, create, rename, remove, list, sync, lock.
//!
//! Each takes effect at the beginning or at the end of its time, by chance, so that a crash or an
//! abandoned future finds it both done and undone without an answer.

use std::ffi::OsString;
use std::future::pending;
use std::path::Path;

use super::disk::{Disk, State};
use super::executor;
use super::faults::Fault;
use super::file::SimFile;
use super::tree::NodeId;
use crate::file::{Access, Entry, IoError, IoErrorKind, Operation};

/// The file that a locked directory shows, as under the kernel's driver.
const LOCK_NAME: &str = "lock";

pub(crate) async fn open(path: &Path, access: Access) -> Result<SimFile, IoError> {
    query(Operation::Open, path, |disk| {
        let node = disk.with(|state| {
            let node = state.tree.find_file(path)?;
            state.tree.file(node).users += 1;
            Ok(node)
        })?;
        Ok(SimFile::new(disk.clone(), node, access, path))
    })
    .await
}

pub(crate) async fn create(path: &Path, access: Access, bytes: u64) -> Result<SimFile, IoError> {
    change(Operation::Create, path, |disk| {
        let node = disk.with(|state| create_file(state, path, bytes))?;
        Ok(SimFile::new(disk.clone(), node, access, path))
    })
    .await
}

fn create_file(state: &mut State, path: &Path, bytes: u64) -> Result<NodeId, IoErrorKind> {
    if !state.has_room(bytes) {
        return Err(IoErrorKind::NoSpace);
    }
    let node = state.tree.create_file(path, bytes)?;
    state.tree.file(node).users += 1;
    Ok(node)
}

pub(crate) async fn create_directory_all(path: &Path) -> Result<(), IoError> {
    change(Operation::CreateDirectory, path, |disk| {
        disk.with(|state| state.tree.create_directories(path))
    })
    .await
}

/// What a directory holds, sorted by name.
pub(crate) async fn list(path: &Path) -> Result<Vec<Entry>, IoError> {
    query(Operation::List, path, |disk| {
        let entries = disk.with(|state| state.tree.list(path))?;
        let entry = |(name, bytes): (OsString, u64)| Entry {
            name: name.to_string_lossy().into_owned(),
            bytes,
        };
        Ok(entries.into_iter().map(entry).collect())
    })
    .await
}

pub(crate) async fn rename(from: &Path, to: &Path) -> Result<(), IoError> {
    change(Operation::Rename, from, |disk| disk.with(|state| state.tree.rename(from, to))).await
}

pub(crate) async fn remove(path: &Path) -> Result<(), IoError> {
    change(Operation::Remove, path, |disk| disk.with(|state| state.tree.remove_file(path))).await
}

/// Makes the changes of the directory's names that were done before this call durable.
pub(crate) async fn sync_directory(path: &Path) -> Result<(), IoError> {
    let covered = executor::disk().with(|state| state.tree.change_count());
    change(Operation::SyncDirectory, path, |disk| {
        disk.with(|state| {
            let directory = state.tree.find_directory(path)?;
            state.tree.sync(directory, covered);
            Ok(())
        })
    })
    .await
}

pub(crate) async fn exists(path: &Path) -> Result<bool, IoError> {
    query(Operation::Exists, path, |disk| match disk.with(|state| state.tree.find(path)) {
        Ok(_) => Ok(true),
        Err(IoErrorKind::NotFound) => Ok(false),
        Err(kind) => Err(kind),
    })
    .await
}

pub(crate) async fn free_bytes(path: &Path) -> Result<u64, IoError> {
    query(Operation::FreeBytes, path, |disk| {
        disk.with(|state| {
            state.tree.find(path)?;
            Ok(state.free_bytes())
        })
    })
    .await
}

/// Held for as long as a process uses a directory; the end of the run releases it too.
#[derive(Debug)]
#[must_use]
pub(crate) struct DirectoryLock {
    disk: Disk,
    node: NodeId,
    epoch: u64,
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        self.disk.with(|state| {
            // A lock of an earlier process is void; the directory may be locked by the next.
            if self.epoch == state.epoch {
                state.locks.remove(&self.node);
            }
        });
    }
}

pub(crate) async fn lock_directory(path: &Path) -> Result<DirectoryLock, IoError> {
    change(Operation::Lock, path, |disk| {
        disk.with(|state| {
            let node = state.tree.find_directory(path)?;
            match state.tree.create_file(&path.join(LOCK_NAME), 0) {
                Ok(_) | Err(IoErrorKind::AlreadyExists) => {}
                Err(kind) => return Err(kind),
            }
            if !state.locks.insert(node) {
                return Err(IoErrorKind::Locked);
            }
            Ok(DirectoryLock { disk: disk.clone(), node, epoch: state.epoch })
        })
    })
    .await
}

/// When an operation takes effect, and whether it fails whatever its effect.
struct Course {
    latency_ns: u64,
    early: bool,
    fails: bool,
    /// Of one that fails: whether it takes effect nevertheless.
    done_anyway: bool,
}

impl Course {
    fn draw(state: &mut State, can_fail: bool) -> Self {
        let State { random, counts, faults, .. } = state;
        let latency_ns = faults.directory_latency.draw_ns(random, counts);
        let early = random.coin();
        let fails = can_fail && state.strikes(Fault::DirectoryError);
        let done_anyway = fails && state.random.coin();
        Self { latency_ns, early, fails, done_anyway }
    }

    /// The effect must not be dropped while the disk's state is borrowed, for it may be a handle.
    fn take_effect<T>(
        &self,
        disk: &Disk,
        effect: impl FnOnce(&Disk) -> Result<T, IoErrorKind>,
    ) -> Result<T, IoErrorKind> {
        if !self.fails {
            return effect(disk);
        }
        if self.done_anyway {
            drop(effect(disk));
        }
        Err(IoErrorKind::Errno(libc::EIO))
    }
}

/// An operation that alters names, and so may fail halfway.
async fn change<T>(
    operation: Operation,
    path: &Path,
    effect: impl FnOnce(&Disk) -> Result<T, IoErrorKind>,
) -> Result<T, IoError> {
    run(operation, path, |state| Course::draw(state, true), effect).await
}

/// An operation that only asks.
async fn query<T>(
    operation: Operation,
    path: &Path,
    effect: impl FnOnce(&Disk) -> Result<T, IoErrorKind>,
) -> Result<T, IoError> {
    run(operation, path, |state| Course::draw(state, false), effect).await
}

async fn run<T>(
    operation: Operation,
    path: &Path,
    draw: impl FnOnce(&mut State) -> Course,
    effect: impl FnOnce(&Disk) -> Result<T, IoErrorKind>,
) -> Result<T, IoError> {
    if executor::has_stopped() {
        // The step of the crash goes on, but nothing that it begins now happens.
        return pending().await;
    }
    let disk = executor::disk();
    let course = disk.with(draw);
    disk.trace().note(operation as u64);
    disk.trace().note(course.latency_ns);
    let end_ns = executor::now() + course.latency_ns;
    let result = if course.early {
        let result = course.take_effect(&disk, effect);
        executor::count_operation();
        executor::timer(end_ns).await;
        result
    } else {
        executor::count_operation();
        executor::timer(end_ns).await;
        course.take_effect(&disk, effect)
    };
    result.map_err(|kind| IoError::new(operation, path, 0, kind))
}
