//! One file's bytes: what is durable stands in a backing file, what was written since the last
//! flush stands in memory, in the order it came. A cut decides about each pending write.
//!
//! Reads see both. Nothing here knows names; a file without a durable name is lost with its bytes
//! (see `names.rs`).

use super::fate::{Cut, Fate, SECTOR_BYTES};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Pending bytes of one file, at most. Past this the oldest are written back, as a kernel or a
/// device does when its cache is full: what was never flushed may still become durable.
const PENDING_BYTES_MAX: u64 = 256 << 20;

/// A change that no flush has covered, with its number in the order of changes.
#[derive(Debug)]
struct Pending {
    number: u64,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Write {
        position: u64,
        data: Vec<u8>,
    },
    /// The file's new length; bytes past it are zeros if it grows again.
    Resize {
        bytes: u64,
    },
}

/// The bytes of one file.
#[derive(Debug)]
pub(super) struct Content {
    backing: File,
    durable_bytes: u64,
    bytes: u64,
    pending: VecDeque<Pending>,
    pending_bytes: u64,
    next_number: u64,
}

impl Content {
    /// An empty file over an empty backing file.
    pub(super) fn new(backing: File) -> Content {
        Content {
            backing,
            durable_bytes: 0,
            bytes: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            next_number: 0,
        }
    }

    /// The length that readers see.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Changes since the last flush.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Up to `count` bytes from `position`, fewer at the end of the file.
    pub(super) fn read(&self, position: u64, count: u64) -> io::Result<Vec<u8>> {
        let end = position.saturating_add(count).min(self.bytes);
        let Some(bytes) = end.checked_sub(position) else {
            return Ok(Vec::new());
        };
        let mut buffer = vec![0; usize::try_from(bytes).expect("a read fits in memory")];
        let durable = self.durable_bytes.saturating_sub(position).min(bytes);
        self.backing.read_exact_at(&mut buffer[..as_index(durable)], position)?;
        for Pending { change, .. } in &self.pending {
            match change {
                Change::Write { position: at, data } => {
                    let from = (*at).max(position);
                    let to = (at + data.len() as u64).min(end);
                    if from < to {
                        buffer[as_index(from - position)..as_index(to - position)]
                            .copy_from_slice(&data[as_index(from - at)..as_index(to - at)]);
                    }
                }
                Change::Resize { bytes } => {
                    let kept = bytes.saturating_sub(position).min(end - position);
                    buffer[as_index(kept)..].fill(0);
                }
            }
        }
        Ok(buffer)
    }

    /// A write that the next flush makes durable.
    pub(super) fn write(&mut self, position: u64, data: Vec<u8>) -> io::Result<()> {
        self.bytes = self.bytes.max(position + data.len() as u64);
        self.pending_bytes += data.len() as u64;
        self.push(Change::Write { position, data });
        if self.pending_bytes > PENDING_BYTES_MAX {
            while self.pending_bytes > PENDING_BYTES_MAX / 2 {
                let oldest = self.pending.pop_front().expect("pending bytes have pending writes");
                self.settle(oldest.change)?;
            }
        }
        Ok(())
    }

    /// A new length that the next flush makes durable.
    pub(super) fn resize(&mut self, bytes: u64) {
        if bytes != self.bytes {
            self.bytes = bytes;
            self.push(Change::Resize { bytes });
        }
    }

    fn push(&mut self, change: Change) {
        self.pending.push_back(Pending { number: self.next_number, change });
        self.next_number += 1;
    }

    /// A write through to the medium (`O_DSYNC`): it and the length are durable on return, earlier
    /// writes are not. A device with forced unit access does exactly this.
    pub(super) fn write_durable(&mut self, position: u64, data: &[u8]) -> io::Result<()> {
        let end = position + data.len() as u64;
        self.bytes = self.bytes.max(end);
        self.settle_length()?;
        let mut kept = VecDeque::with_capacity(self.pending.len());
        for Pending { number, change } in self.pending.drain(..) {
            let Change::Write { position: at, mut data } = change else {
                unreachable!("the length has been settled");
            };
            let mut keep = |position: u64, data: Vec<u8>| {
                kept.push_back(Pending { number, change: Change::Write { position, data } });
            };
            // What the durable write covers must not come back over it at the next flush.
            let at_end = at + data.len() as u64;
            if at_end > end && at < end {
                let tail = data.split_off(as_index(end.saturating_sub(at)));
                keep(end, tail);
            } else if at >= end {
                keep(at, data);
                continue;
            }
            if at < position {
                data.truncate(as_index(position - at));
                keep(at, data);
            }
        }
        self.pending = kept;
        self.pending_bytes = self.pending.iter().map(|p| p.change.data_bytes()).sum();
        self.backing.write_all_at(data, position)
    }

    /// Makes the length durable and leaves in `pending` the writes that lie within it.
    fn settle_length(&mut self) -> io::Result<()> {
        let mut writes: VecDeque<Pending> = VecDeque::new();
        for pending in self.pending.drain(..) {
            match pending.change {
                Change::Write { .. } => writes.push_back(pending),
                Change::Resize { bytes } => {
                    for write in &mut writes {
                        if let Change::Write { position, data } = &mut write.change {
                            data.truncate(as_index(bytes.saturating_sub(*position)));
                        }
                    }
                    self.backing.set_len(bytes)?;
                }
            }
        }
        writes.retain(|write| write.change.data_bytes() > 0);
        self.pending = writes;
        self.backing.set_len(self.bytes)?;
        self.durable_bytes = self.bytes;
        Ok(())
    }

    /// The changes that a flush issued now has to cover: those with a lower number.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Makes the changes below `number` durable (fsync, fdatasync), and no later one.
    pub(super) fn flush(&mut self, number: u64) -> io::Result<()> {
        while self.pending.front().is_some_and(|pending| pending.number < number) {
            let oldest = self.pending.pop_front().expect("it is at the front");
            self.settle(oldest.change)?;
        }
        Ok(())
    }

    fn settle(&mut self, change: Change) -> io::Result<()> {
        self.pending_bytes -= change.data_bytes();
        match change {
            Change::Write { position, data } => {
                self.durable_bytes = self.durable_bytes.max(position + data.len() as u64);
                self.backing.write_all_at(&data, position)
            }
            Change::Resize { bytes } => {
                self.durable_bytes = bytes;
                self.backing.set_len(bytes)
            }
        }
    }

    /// The power goes: every pending change is kept, dropped or torn, and what is left is durable.
    pub(super) fn cut(&mut self, cut: &mut Cut) -> io::Result<()> {
        // A journal commits lengths in order: those up to some point survive, later ones do not.
        let lengths = cut.prefix(self.pending.len());
        for (place, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match pending.change {
                Change::Resize { bytes } if place < lengths => {
                    self.backing.set_len(bytes)?;
                    self.durable_bytes = bytes;
                }
                Change::Resize { .. } => {}
                Change::Write { position, mut data } => {
                    if place < lengths {
                        let end = position + data.len() as u64;
                        self.durable_bytes = self.durable_bytes.max(end);
                        self.backing.set_len(self.durable_bytes)?;
                    }
                    data.truncate(as_index(self.durable_bytes.saturating_sub(position)));
                    self.cut_write(cut, position, &data)?;
                }
            }
        }
        self.pending_bytes = 0;
        self.bytes = self.durable_bytes;
        Ok(())
    }

    fn cut_write(&mut self, cut: &mut Cut, position: u64, data: &[u8]) -> io::Result<()> {
        let mut sectors = cut.write();
        let mut from = 0;
        while from < data.len() {
            let into_sector = as_index((position + from as u64) % SECTOR_BYTES as u64);
            let to = data.len().min(from + SECTOR_BYTES - into_sector);
            let kept = match sectors.next(cut, to - from) {
                Fate::Kept => to - from,
                Fate::Dropped => 0,
                Fate::Torn { kept_bytes } => kept_bytes,
            };
            self.backing.write_all_at(&data[from..from + kept], position + from as u64)?;
            from = to;
        }
        Ok(())
    }
}

impl Change {
    fn data_bytes(&self) -> u64 {
        match self {
            Change::Write { data, .. } => data.len() as u64,
            Change::Resize { .. } => 0,
        }
    }
}

fn as_index(value: u64) -> usize {
    usize::try_from(value).expect("64-bit Linux")
}
