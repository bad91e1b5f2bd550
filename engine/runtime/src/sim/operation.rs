//! Reads, writes and flushes under way on the simulated disk: from submission to completion.
//!
//! An operation's fate is drawn when it is submitted and takes effect when it completes. Its caller
//! may go away; the operation goes on. After the end of a run no operation ever completes.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::content::{Credit, Landed, SECTOR_BYTES};
use super::disk::State;
use super::faults::Fault;
use super::tree::NodeId;
use crate::buffer::Buffer;
use crate::file::IoErrorKind;

/// Where an operation's result waits for its caller.
pub(super) struct Slot<T>(RefCell<Progress<T>>);

enum Progress<T> {
    Waiting(Option<Waker>),
    Finished(Result<T, IoErrorKind>),
    Taken,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self(RefCell::new(Progress::Waiting(None))))
    }

    /// The waker is the caller's to wake, once nothing is borrowed any more.
    fn finish(&self, result: Result<T, IoErrorKind>) -> Option<Waker> {
        match self.0.replace(Progress::Finished(result)) {
            Progress::Waiting(waker) => waker,
            Progress::Finished(_) | Progress::Taken => panic!("an operation completes once"),
        }
    }

    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<T, IoErrorKind>> {
        let mut progress = self.0.borrow_mut();
        match &mut *progress {
            Progress::Waiting(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Progress::Finished(_) => match std::mem::replace(&mut *progress, Progress::Taken) {
                Progress::Finished(result) => Poll::Ready(result),
                Progress::Waiting(_) | Progress::Taken => panic!("it was finished just now"),
            },
            Progress::Taken => panic!("polled after its completion"),
        }
    }
}

/// What a write, read or flush does at its completion, decided at its submission.
pub(super) enum Operation {
    Write { node: NodeId, ticket: u64, ending: Ending, done: Rc<Slot<()>> },
    Read { node: NodeId, position: u64, bytes: usize, fails: bool, done: Rc<Slot<Buffer>> },
    Flush { node: NodeId, credit: Credit, fails: bool, done: Rc<Slot<()>> },
}

/// How a write ends.
pub(super) enum Ending {
    Whole,
    WholeAndDurable,
    Failed(Landed, IoErrorKind),
}

/// A submitted operation's place among those under way, and how long it will take.
pub(super) struct Submitted {
    pub(super) slot: usize,
    pub(super) latency_ns: u64,
}

/// A write to be submitted.
pub(super) struct Write {
    pub(super) node: NodeId,
    pub(super) position: u64,
    pub(super) buffer: Rc<Buffer>,
    /// Whether the file was opened with O_DSYNC.
    pub(super) durable: bool,
}

/// The operations under way, in reused slots. Bounded by what the program submits at once.
#[derive(Default)]
pub(super) struct Operations {
    slots: Vec<Option<Operation>>,
    free: Vec<usize>,
}

impl Operations {
    fn insert(&mut self, operation: Operation) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        assert!(self.slots[slot].is_none());
        self.slots[slot] = Some(operation);
        slot
    }

    fn take(&mut self, slot: usize) -> Operation {
        self.free.push(slot);
        self.slots[slot].take().expect("an operation completes once")
    }
}

impl State {
    pub(super) fn submit_write(&mut self, write: Write, done: Rc<Slot<()>>) -> Submitted {
        let Write { node, position, buffer, durable } = write;
        let bytes = buffer.len();
        self.counts.writes += 1;
        self.counts.written_bytes += bytes as u64;
        let mut latency_ns = self.faults.write_latency.draw_ns(&mut self.random, &mut self.counts);
        if durable {
            let flush = self.faults.flush_latency;
            latency_ns += flush.draw_ns(&mut self.random, &mut self.counts);
        }
        let ending = self.write_ending(bytes, durable);
        let file = self.tree.file(node);
        file.users += 1;
        let ticket = file.content.submit(position, buffer);
        let slot = self.operations.insert(Operation::Write { node, ticket, ending, done });
        Submitted { slot, latency_ns }
    }

    fn write_ending(&mut self, bytes: usize, durable: bool) -> Ending {
        let sectors = bytes / SECTOR_BYTES;
        if self.strikes(Fault::WriteError) {
            let landed = match self.random.below(3) {
                0 => Landed::Nothing,
                1 => Landed::All,
                _ => Landed::torn(&mut self.random, sectors),
            };
            return Ending::Failed(landed, IoErrorKind::Errno(libc::EIO));
        }
        if self.strikes(Fault::ShortWrite) {
            let landed = self.random.index(sectors);
            let kind = IoErrorKind::Short { expected: bytes, done: landed * SECTOR_BYTES };
            return Ending::Failed(Landed::Prefix(landed), kind);
        }
        if durable { Ending::WholeAndDurable } else { Ending::Whole }
    }

    pub(super) fn submit_read(
        &mut self,
        node: NodeId,
        position: u64,
        bytes: usize,
        done: Rc<Slot<Buffer>>,
    ) -> Submitted {
        self.counts.reads += 1;
        self.counts.read_bytes += bytes as u64;
        let latency_ns = self.faults.read_latency.draw_ns(&mut self.random, &mut self.counts);
        let fails = self.strikes(Fault::ReadError);
        self.tree.file(node).users += 1;
        let slot = self.operations.insert(Operation::Read { node, position, bytes, fails, done });
        Submitted { slot, latency_ns }
    }

    pub(super) fn submit_flush(&mut self, node: NodeId, done: Rc<Slot<()>>) -> Submitted {
        self.counts.flushes += 1;
        let latency_ns = self.faults.flush_latency.draw_ns(&mut self.random, &mut self.counts);
        let fails = self.strikes(Fault::FlushError);
        let file = self.tree.file(node);
        file.users += 1;
        let credit = file.content.credit();
        let slot = self.operations.insert(Operation::Flush { node, credit, fails, done });
        Submitted { slot, latency_ns }
    }

    /// The operation takes effect. Returns the waker of whoever waits for it.
    pub(super) fn complete(&mut self, slot: usize) -> Option<Waker> {
        match self.operations.take(slot) {
            Operation::Write { node, ticket, ending, done } => {
                let content = &mut self.user_leaves(node).content;
                done.finish(match ending {
                    Ending::Whole => {
                        content.complete(ticket, Landed::All);
                        Ok(())
                    }
                    Ending::WholeAndDurable => {
                        content.complete_durable(ticket);
                        Ok(())
                    }
                    Ending::Failed(landed, kind) => {
                        content.complete(ticket, landed);
                        Err(kind)
                    }
                })
            }
            Operation::Read { node, position, bytes, fails, done } => {
                self.user_leaves(node);
                done.finish(if fails {
                    Err(IoErrorKind::Errno(libc::EIO))
                } else {
                    self.read(node, position, bytes)
                })
            }
            Operation::Flush { node, credit, fails, done } => {
                let content = &mut self.user_leaves(node).content;
                done.finish(if fails {
                    content.flush_failed(credit);
                    Err(IoErrorKind::Errno(libc::EIO))
                } else {
                    content.make_durable(credit);
                    Ok(())
                })
            }
        }
    }

    fn read(&mut self, node: NodeId, position: u64, bytes: usize) -> Result<Buffer, IoErrorKind> {
        let content = &self.tree.file(node).content;
        let there = content.bytes().saturating_sub(position);
        if there < bytes as u64 {
            let done = usize::try_from(there).expect("it is below a usize");
            return Err(IoErrorKind::Short { expected: bytes, done });
        }
        let mut buffer = Buffer::reused(bytes);
        // The loan ends here, so that the tree and the generator can be borrowed apart.
        let Self { tree, random, .. } = self;
        tree.file(node).content.read(position, &mut buffer, random);
        Ok(buffer)
    }
}
