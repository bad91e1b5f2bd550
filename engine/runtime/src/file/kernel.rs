//! A file of the kernel's driver: glommio's `DmaFile`, with every operation owned by a task.
//!
//! `DmaFile` unwraps or panics on some systems when it opens a file; `environment::device` looks
//! first. A file on tmpfs has no direct I/O: who must know asks `environment::check_directory`.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use glommio::GlommioError;
use glommio::io::{DmaFile, OpenOptions};

use super::error::{IoError, IoErrorKind, Operation};
use super::{Access, poll_probe};
use crate::buffer::Buffer;
use crate::environment;
use crate::kernel::{is_running, start_closing, start_operation};
use crate::local::{Oneshot, oneshot};

pub(super) struct KernelFile {
    /// `None` only while it is dropped.
    file: Option<DmaFile>,
    path: PathBuf,
    bytes: u64,
}

impl KernelFile {
    pub(super) async fn open(path: &Path, access: Access) -> Result<Self, IoError> {
        let fail = |errno| IoError::of_errno(Operation::Open, path, 0, errno);
        check_device(Operation::Open, path)?;
        poll_probe::ask_once(path, access).await;
        let options = options(access);
        let file = options.dma_open(path).await.map_err(|error| fail(errno(&error)))?;
        let bytes = file.file_size().await.map_err(|error| fail(errno(&error)))?;
        Ok(Self { file: Some(file), path: path.to_path_buf(), bytes })
    }

    pub(super) async fn create(path: &Path, access: Access, bytes: u64) -> Result<Self, IoError> {
        check_device(Operation::Create, path)?;
        poll_probe::ask_once(path, access).await;
        let mut options = options(access);
        options.create_new(true);
        let fail = |errno| IoError::of_errno(Operation::Create, path, 0, errno);
        let file = options.dma_open(path).await.map_err(|error| fail(errno(&error)))?;
        if let Err(error) = allocate(&file, bytes).await {
            drop(Self { file: Some(file), path: path.to_path_buf(), bytes: 0 });
            // The reason why it could not be allocated is the one to report.
            drop(super::remove(path).await);
            return Err(fail(errno(&error)));
        }
        Ok(Self { file: Some(file), path: path.to_path_buf(), bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> &DmaFile {
        self.file.as_ref().expect("only the drop takes the file out")
    }

    fn error(&self, operation: Operation, position: u64, error: &GlommioError<()>) -> IoError {
        IoError::of_errno(operation, &self.path, position, errno(error))
    }

    /// An error where fewer than all bytes were done.
    fn whole(
        &self,
        operation: Operation,
        position: u64,
        expected: usize,
        done: usize,
    ) -> Result<(), IoError> {
        assert!(done <= expected);
        if done < expected {
            let kind = IoErrorKind::Short { expected, done };
            return Err(IoError::new(operation, &self.path, position, kind));
        }
        Ok(())
    }
}

impl Drop for KernelFile {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if is_running() {
            // The core waits for this at its end, or the descriptor would stay open with the ring.
            start_closing(async move {
                // After direct I/O and a flush, closing has nothing to report.
                drop(file.close().await);
            });
            return;
        }
        // The core is gone: glommio would leave the descriptor open for ever.
        let descriptor = file.as_raw_fd();
        std::mem::forget(file);
        // SAFETY: the descriptor is open, for only `DmaFile` could have closed it, and it was just
        // forgotten, so nothing else owns it. No operation uses it: the core has waited for all.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
}

pub(super) fn write(
    file: &Rc<KernelFile>,
    position: u64,
    buffer: Rc<Buffer>,
) -> Oneshot<Result<(), IoError>> {
    let (sender, receiver) = oneshot();
    let file = Rc::clone(file);
    start_operation(async move {
        let expected = buffer.len();
        let written = file.file().write_rc_at(buffer.to_dma(), position).await;
        let result = match written {
            Ok(done) => file.whole(Operation::Write, position, expected, done),
            Err(error) => Err(file.error(Operation::Write, position, &error)),
        };
        // Given back before the news, so that who hears it can reuse the memory.
        drop(buffer);
        sender.send(result);
    });
    receiver
}

pub(super) fn read(
    file: &Rc<KernelFile>,
    position: u64,
    bytes: usize,
) -> Oneshot<Result<Buffer, IoError>> {
    let (sender, receiver) = oneshot();
    let file = Rc::clone(file);
    start_operation(async move {
        let result = match file.file().read_at_aligned(position, bytes).await {
            Ok(read) => file
                .whole(Operation::Read, position, bytes, read.len())
                .map(|()| Buffer::of_read(read)),
            Err(error) => Err(file.error(Operation::Read, position, &error)),
        };
        sender.send(result);
    });
    receiver
}

pub(super) fn flush(file: &Rc<KernelFile>) -> Oneshot<Result<(), IoError>> {
    let (sender, receiver) = oneshot();
    let file = Rc::clone(file);
    start_operation(async move {
        let flushed = file.file().fdatasync().await;
        sender.send(flushed.map_err(|error| file.error(Operation::Flush, 0, &error)));
    });
    receiver
}

fn options(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    match access {
        Access::Read => {}
        Access::ReadWrite => {
            options.write(true);
        }
        Access::ReadWriteDsync => {
            options.write(true).custom_flags(libc::O_DSYNC);
        }
    }
    options
}

/// Allocates the blocks and sets the length.
async fn allocate(file: &DmaFile, bytes: u64) -> Result<(), GlommioError<()>> {
    match file.pre_allocate(bytes, false).await {
        // A file system that cannot allocate ahead (some FUSE ones) still has files of a length.
        Err(error) if matches!(errno(&error), libc::EOPNOTSUPP | libc::ENOSYS) => {
            file.truncate(bytes).await
        }
        done => done,
    }
}

fn check_device(operation: Operation, path: &Path) -> Result<(), IoError> {
    match environment::unreadable_device(path) {
        Ok(None) => Ok(()),
        Ok(Some(major)) => Err(IoError::new(operation, path, 0, IoErrorKind::Device { major })),
        Err(errno) => Err(IoError::of_errno(operation, path, 0, errno)),
    }
}

fn errno(error: &GlommioError<()>) -> i32 {
    // Only errors of glommio's own making (a path with a NUL byte) have no number.
    error.raw_os_error().unwrap_or(libc::EINVAL)
}
