//! Files with direct I/O: no page cache, whole aligned blocks, nothing half done.
//!
//! An operation is submitted by the call that starts it. A slot that nobody can drop owns it and
//! its buffer until it completes; [`Pending`] only listens. What the kernel did in part is gone on
//! with until it makes no progress: then it is an error, for nothing above could do anything
//! sensible with a part.
//!
//! What is durable when: a write with `Access::ReadWriteDsync` when it is done, any other write
//! when a `flush` that was started after its completion is done; a name (create, rename, remove)
//! when `sync_directory` of its directory is done.

mod directory;
mod error;
mod kernel;
mod transfer;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::buffer::{ALIGNMENT, Buffer};
use crate::driver::{self, Driver};
use crate::local::Oneshot;
use crate::sim;
pub use directory::{
    DirectoryLock, Entry, create_directory_all, exists, free_bytes, list, lock_directory,
    lock_directory_to_read, remove, rename, sync_directory,
};
pub use error::{IoError, IoErrorKind, Operation};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Reads and writes.
    ReadWrite,
    /// Reads, and writes each of which is durable when it is done (O_DSYNC).
    ReadWriteDsync,
}

/// An open file. Clones share it; it is closed when the last one and the last operation are gone.
#[derive(Clone)]
pub struct File {
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Kernel(Rc<kernel::KernelFile>),
    Sim(sim::disk::SimFile),
}

/// Opens a file that exists.
///
/// # Errors
/// With the system's reason; `NotFound` where there is none.
///
/// # Panics
/// On a thread that is not a core, as everything here.
pub async fn open(path: &Path, access: Access) -> Result<File, IoError> {
    let inner = match driver::current() {
        Driver::Kernel => Inner::Kernel(Rc::new(kernel::KernelFile::open(path, access).await?)),
        Driver::Sim => Inner::Sim(sim::disk::open(path, access).await?),
        Driver::Outside => driver::not_a_core(),
    };
    Ok(File { inner })
}

/// Creates a file of `bytes` zeros whose blocks are allocated. It is durable only after a `flush`
/// and a `sync_directory`.
///
/// # Errors
/// `AlreadyExists`, `NoSpace` (then no file is left), or the system's reason.
///
/// # Panics
/// When `bytes` is 0 or not a multiple of [`ALIGNMENT`].
pub async fn create(path: &Path, access: Access, bytes: u64) -> Result<File, IoError> {
    assert!(bytes > 0);
    assert!(is_aligned(bytes));
    assert_ne!(access, Access::Read, "a new file is there to be written");
    let inner = match driver::current() {
        Driver::Kernel => {
            Inner::Kernel(Rc::new(kernel::KernelFile::create(path, access, bytes).await?))
        }
        Driver::Sim => Inner::Sim(sim::disk::create(path, access, bytes).await?),
        Driver::Outside => driver::not_a_core(),
    };
    Ok(File { inner })
}

impl File {
    /// Starts to write the whole buffer at `position`. The file must not grow by it.
    ///
    /// # Panics
    /// When the position is not aligned or the end lies beyond the file.
    pub fn write(&self, position: u64, buffer: Rc<Buffer>) -> Pending<()> {
        let bytes = u64::try_from(buffer.len()).expect("a length fits in 64 bits");
        assert!(is_aligned(position));
        assert!(bytes > 0);
        let end = position.checked_add(bytes).expect("a position is far below 2^64");
        assert!(end <= self.bytes());
        match &self.inner {
            Inner::Kernel(file) => Pending(Under::Kernel(kernel::write(file, position, buffer))),
            Inner::Sim(file) => Pending(Under::Sim(file.write(position, buffer))),
        }
    }

    /// Starts to read `bytes` at `position`. Past the end it fails as `Short`.
    ///
    /// # Panics
    /// When the position or the length is not aligned, or the length is 0.
    pub fn read(&self, position: u64, bytes: usize) -> Pending<Buffer> {
        assert!(is_aligned(position));
        assert!(bytes > 0);
        assert!(bytes.is_multiple_of(ALIGNMENT));
        match &self.inner {
            Inner::Kernel(file) => Pending(Under::Kernel(kernel::read(file, position, bytes))),
            Inner::Sim(file) => Pending(Under::Sim(file.read(position, bytes))),
        }
    }

    /// Starts to make durable what has been written: every write that had completed before this
    /// call (fdatasync). It says nothing about writes that were in flight.
    pub fn flush(&self) -> Pending<()> {
        match &self.inner {
            Inner::Kernel(file) => Pending(Under::Kernel(kernel::flush(file))),
            Inner::Sim(file) => Pending(Under::Sim(file.flush())),
        }
    }

    /// The file's length when it was opened or created.
    pub fn bytes(&self) -> u64 {
        match &self.inner {
            Inner::Kernel(file) => file.bytes(),
            Inner::Sim(file) => file.bytes(),
        }
    }

    /// The path under which it was opened; a later rename does not show here.
    pub fn path(&self) -> &Path {
        match &self.inner {
            Inner::Kernel(file) => file.path(),
            Inner::Sim(file) => file.path(),
        }
    }

    /// Gives up this handle. The last one closes the file in the background, as a drop does; an
    /// error of closing has nothing to tell after direct I/O and a flush.
    pub async fn close(self) {
        drop(self);
    }
}

impl fmt::Debug for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("File")
            .field("path", &self.path())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

fn is_aligned(position: u64) -> bool {
    position.is_multiple_of(ALIGNMENT as u64)
}

/// The result to come of an operation under way. Dropping it cancels nothing.
#[must_use = "an operation's error must be looked at"]
pub struct Pending<T>(Under<T>);

enum Under<T> {
    Kernel(Oneshot<Result<T, IoError>>),
    Sim(sim::disk::Completion<T>),
}

impl<T> Future for Pending<T> {
    type Output = Result<T, IoError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Under::Kernel(result) => match Pin::new(result).poll(context) {
                Poll::Ready(Ok(result)) => Poll::Ready(result),
                // The core is ending and the operation was not started: `kernel::start_operation`.
                Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
            },
            Under::Sim(completion) => Pin::new(completion).poll(context),
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pending").finish_non_exhaustive()
    }
}
