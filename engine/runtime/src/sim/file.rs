//! Files of the simulated disk, with the contract of `runtime::file`: an operation is submitted at
//! the call, and nobody can take it back.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::disk::Disk;
use super::executor;
use super::operation::{Slot, Write};
use super::tree::NodeId;
use crate::buffer::Buffer;
use crate::file::{Access, IoError, Operation};

/// An open file. Clones share it; the last one closes it. Void after its run.
#[derive(Clone)]
pub(crate) struct SimFile {
    handle: Rc<Handle>,
}

struct Handle {
    disk: Disk,
    node: NodeId,
    epoch: u64,
    access: Access,
    path: PathBuf,
    bytes: u64,
}

impl SimFile {
    /// Takes over one user of the file, which the caller has counted.
    pub(super) fn new(disk: Disk, node: NodeId, access: Access, path: &Path) -> Self {
        let (epoch, bytes) =
            disk.with(|state| (state.epoch, state.tree.file(node).content.bytes()));
        let handle = Handle { disk, node, epoch, access, path: path.to_owned(), bytes };
        Self { handle: Rc::new(handle) }
    }

    /// Writes the whole buffer. Aligned; what is durable at completion is said by the file's
    /// `Access`.
    pub(crate) fn write(&self, position: u64, buffer: Rc<Buffer>) -> Completion<()> {
        let durable = match self.handle.access {
            Access::ReadWrite => false,
            Access::ReadWriteDsync => true,
            Access::Read => panic!("{} was opened for reading", self.handle.path.display()),
        };
        self.note(Operation::Write, position, buffer.len());
        self.handle.disk.trace().note_ends(&buffer);
        let write = Write { node: self.handle.node, position, buffer, durable };
        let slot = Slot::new();
        let done = Rc::clone(&slot);
        executor::submit(&self.handle.disk, |state| {
            assert_eq!(self.handle.epoch, state.epoch, "this file outlived its process");
            state.submit_write(write, done)
        });
        self.completion(slot, Operation::Write, position)
    }

    /// Reads `bytes` bytes; fewer are an error.
    pub(crate) fn read(&self, position: u64, bytes: usize) -> Completion<Buffer> {
        self.note(Operation::Read, position, bytes);
        let slot = Slot::new();
        let done = Rc::clone(&slot);
        executor::submit(&self.handle.disk, |state| {
            assert_eq!(self.handle.epoch, state.epoch, "this file outlived its process");
            state.submit_read(self.handle.node, position, bytes, done)
        });
        self.completion(slot, Operation::Read, position)
    }

    /// fdatasync: makes the file's size, and its writes that have completed by now, durable.
    pub(crate) fn flush(&self) -> Completion<()> {
        self.note(Operation::Flush, 0, 0);
        let slot = Slot::new();
        let done = Rc::clone(&slot);
        executor::submit(&self.handle.disk, |state| {
            assert_eq!(self.handle.epoch, state.epoch, "this file outlived its process");
            state.submit_flush(self.handle.node, done)
        });
        self.completion(slot, Operation::Flush, 0)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.handle.bytes
    }

    pub(crate) fn path(&self) -> &Path {
        &self.handle.path
    }

    fn note(&self, operation: Operation, position: u64, bytes: usize) {
        let trace = self.handle.disk.trace();
        trace.note(self.handle.node.number() << 8 | operation as u64);
        trace.note(position ^ (bytes as u64) << 40);
    }

    fn completion<T>(&self, slot: Rc<Slot<T>>, operation: Operation, at: u64) -> Completion<T> {
        Completion { slot, handle: Rc::clone(&self.handle), operation, position: at }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.disk.with(|state| {
            // A void handle's node may be another file by now.
            if self.epoch == state.epoch {
                state.user_leaves(self.node);
            }
        });
    }
}

/// The result of an operation under way. Dropping it changes nothing about the operation.
#[must_use]
pub(crate) struct Completion<T> {
    slot: Rc<Slot<T>>,
    handle: Rc<Handle>,
    operation: Operation,
    position: u64,
}

impl<T> Future for Completion<T> {
    type Output = Result<T, IoError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let failed = |kind| IoError::new(self.operation, &self.handle.path, self.position, kind);
        self.slot.poll(context).map_err(failed)
    }
}
