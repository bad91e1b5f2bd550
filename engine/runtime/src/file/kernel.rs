//! A file of the kernel's driver: opened on the helper thread, read, written and flushed through the
//! core's ring, each operation owned by its slot there.
//!
//! Where a file system refuses direct I/O the file is opened without: who must know asks
//! `environment::check_directory`.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use io_uring::{opcode, types};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::Access;
use super::error::{IoError, Operation};
use super::transfer::{Next, Transfer};
use crate::buffer::Buffer;
use crate::kernel::{blocking, drop_elsewhere, start_operation};
use crate::local::{Oneshot, OneshotSender, oneshot};

pub(super) struct KernelFile {
    /// `None` only while it is dropped.
    descriptor: Option<OwnedFd>,
    path: PathBuf,
    bytes: u64,
}

impl KernelFile {
    pub(super) async fn open(path: &Path, access: Access) -> Result<Self, IoError> {
        let own = path.to_path_buf();
        let opened = blocking(move || {
            let file = open_direct(&own, access)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        let (file, bytes) = opened
            .await
            .map_err(|error: io::Error| IoError::of_io(Operation::Open, path, &error))?;
        Ok(Self { descriptor: Some(file.into()), path: path.to_path_buf(), bytes })
    }

    pub(super) async fn create(path: &Path, access: Access, bytes: u64) -> Result<Self, IoError> {
        let own = path.to_path_buf();
        let file = blocking(move || {
            let file = create_direct(&own, access)?;
            if let Err(error) = allocate(&file, bytes) {
                // The reason why it could not be allocated is the one to report.
                drop(fs::remove_file(&own));
                return Err(error);
            }
            Ok(file)
        })
        .await
        .map_err(|error| IoError::of_io(Operation::Create, path, &error))?;
        Ok(Self { descriptor: Some(file.into()), path: path.to_path_buf(), bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// In the form of the ring's entries.
    fn descriptor(&self) -> types::Fd {
        types::Fd(self.descriptor.as_ref().expect("only the drop takes it out").as_raw_fd())
    }
}

impl Drop for KernelFile {
    fn drop(&mut self) {
        // Closing the last handle of a removed file frees its blocks, which takes its time. The
        // core waits for it at its end. After direct I/O and a flush it has nothing to report.
        drop_elsewhere(self.descriptor.take());
    }
}

pub(super) fn write(
    file: &Rc<KernelFile>,
    position: u64,
    buffer: Rc<Buffer>,
) -> Oneshot<Result<(), IoError>> {
    let (sender, receiver) = oneshot();
    let transfer = Transfer::new(buffer.len());
    start_write(Rc::clone(file), position, buffer, transfer, sender);
    receiver
}

/// Hands over what the transfer has left of the buffer, and again what that leaves.
fn start_write(
    file: Rc<KernelFile>,
    position: u64,
    buffer: Rc<Buffer>,
    mut transfer: Transfer,
    sender: OneshotSender<Result<(), IoError>>,
) {
    let rest = &buffer[transfer.done()..];
    let entry = opcode::Write::new(file.descriptor(), rest.as_ptr(), entry_bytes(rest.len()))
        .offset(position + transfer.done() as u64)
        .build();
    let done = move |result| {
        let result = match transfer.advance(result) {
            Next::Rest => return start_write(file, position, buffer, transfer, sender),
            Next::Whole => Ok(()),
            Next::Failed(kind) => Err(IoError::new(Operation::Write, &file.path, position, kind)),
        };
        // Given back before the news, so that who hears it can reuse the memory.
        drop(buffer);
        sender.send(result);
    };
    // SAFETY: `done` owns the file, and with it the descriptor, and a share of the buffer, whose
    // memory does not move, is all initialised (`buffer`), of which `rest` is a part, and which
    // nobody can change while it is shared, for only `&mut Buffer` does.
    unsafe { start_operation(entry, done) };
}

pub(super) fn read(
    file: &Rc<KernelFile>,
    position: u64,
    bytes: usize,
) -> Oneshot<Result<Buffer, IoError>> {
    let (sender, receiver) = oneshot();
    let buffer = Buffer::reused(bytes);
    assert_eq!(buffer.len(), bytes);
    start_read(Rc::clone(file), position, buffer, Transfer::new(bytes), sender);
    receiver
}

/// Asks for what the transfer has left of the buffer, and again for what that leaves.
fn start_read(
    file: Rc<KernelFile>,
    position: u64,
    mut buffer: Buffer,
    mut transfer: Transfer,
    sender: OneshotSender<Result<Buffer, IoError>>,
) {
    let rest = &mut buffer[transfer.done()..];
    let entry = opcode::Read::new(file.descriptor(), rest.as_mut_ptr(), entry_bytes(rest.len()))
        .offset(position + transfer.done() as u64)
        .build();
    let done = move |result| {
        let result = match transfer.advance(result) {
            Next::Rest => return start_read(file, position, buffer, transfer, sender),
            Next::Whole => Ok(buffer),
            Next::Failed(kind) => Err(IoError::new(Operation::Read, &file.path, position, kind)),
        };
        sender.send(result);
    };
    // SAFETY: `done` owns the file, and with it the descriptor, and all of the buffer, whose memory
    // does not move with it and of which `rest` is a part; nobody can look at it before `done`
    // gives it away.
    unsafe { start_operation(entry, done) };
}

pub(super) fn flush(file: &Rc<KernelFile>) -> Oneshot<Result<(), IoError>> {
    let (sender, receiver) = oneshot();
    start_flush(Rc::clone(file), Transfer::new(0), sender);
    receiver
}

fn start_flush(
    file: Rc<KernelFile>,
    mut transfer: Transfer,
    sender: OneshotSender<Result<(), IoError>>,
) {
    let entry = opcode::Fsync::new(file.descriptor()).flags(types::FsyncFlags::DATASYNC).build();
    let done = move |result| {
        let result = match transfer.flushed(result) {
            Next::Rest => return start_flush(file, transfer, sender),
            Next::Whole => Ok(()),
            Next::Failed(kind) => Err(IoError::new(Operation::Flush, &file.path, 0, kind)),
        };
        sender.send(result);
    };
    // SAFETY: the entry names only a descriptor; `done` owns the file, and with it the descriptor.
    unsafe { start_operation(entry, done) };
}

fn entry_bytes(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a buffer is far smaller than 4 GiB")
}

/// What open(2) takes beside the plain modes.
fn flags(access: Access) -> i32 {
    match access {
        Access::Read | Access::ReadWrite => 0,
        Access::ReadWriteDsync => libc::O_DSYNC,
    }
}

fn options(access: Access, flags: i32) -> fs::OpenOptions {
    let mut options = fs::File::options();
    options.read(true).write(access != Access::Read).custom_flags(flags);
    options
}

fn open_direct(path: &Path, access: Access) -> io::Result<fs::File> {
    let flags = flags(access);
    match options(access, flags | libc::O_DIRECT).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            options(access, flags).open(path)
        }
        opened => opened,
    }
}

fn create_direct(path: &Path, access: Access) -> io::Result<fs::File> {
    let flags = flags(access);
    match options(access, flags | libc::O_DIRECT).create_new(true).open(path) {
        // The file is ours, or the reason were that it exists, and there by now: open(2) asks for
        // direct I/O only after it has created the file.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            options(access, flags).create(true).truncate(true).open(path)
        }
        created => created,
    }
}

/// Allocates the blocks and sets the length.
fn allocate(file: &fs::File, bytes: u64) -> io::Result<()> {
    let allocated =
        rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, bytes));
    match allocated {
        // A file system that cannot allocate ahead (some FUSE ones) still has files of a length.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(bytes),
        done => done.map_err(io::Error::from),
    }
}
