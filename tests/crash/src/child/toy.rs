//! A log that a beginner gets right on one page, to test the harness with: one file per shard, one
//! write and one flush per batch and shard. With one of its bugs it must be caught, without any it
//! must never be.
//!
//! ```text
//! entry:  bytes 4 | key bytes 4 | index 8 | digest 8 | key | data      (little-endian)
//! ```

use super::{Life, Mode, announce_listed, wait_for_death};
use crate::journal::{Event, JournalWriter, Place};
use crate::listing::{ListingWriter, Row};
use crate::record::{Content, RecordId, content, digest, mix};
use crate::workload::{Workload, life_records_max};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const SHARDS: u32 = 4;
const PRODUCERS: u32 = 3;
const HEADER_BYTES: usize = 24;

/// What the toy can be made to do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Bug {
    /// Acknowledges what it has written but not flushed.
    SkipFlush,
    /// Never flushes the folder that holds its files.
    SkipFolderFlush,
    /// Acknowledges what it still holds in its own memory; the next batch takes it along.
    AckFromMemory,
    /// Shows a record to readers, then writes it.
    ShowBeforeWrite,
    /// Takes what stands at the end of a file for whole.
    TrustTail,
    /// Writes the last entry once more when it opens.
    ReplayLast,
    /// Takes everything and acknowledges nothing.
    AckNothing,
}

impl Bug {
    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Bug::SkipFlush => "skip-flush",
            Bug::SkipFolderFlush => "skip-folder-flush",
            Bug::AckFromMemory => "ack-from-memory",
            Bug::ShowBeforeWrite => "show-before-write",
            Bug::TrustTail => "trust-tail",
            Bug::ReplayLast => "replay-last",
            Bug::AckNothing => "ack-nothing",
        }
    }
}

struct Shard {
    file: File,
    /// The next entry's position in bytes.
    end: u64,
    /// The next entry's index.
    next: u64,
}

struct Toy {
    shards: Vec<Shard>,
    /// Entries by shard that only `Bug::AckFromMemory` holds back.
    held: Vec<Vec<u8>>,
    bug: Option<Bug>,
}

/// Opens the toy and lives on it.
///
/// # Errors
/// Files cannot be opened, read or written.
pub fn live(life: &Life, bug: Option<Bug>) -> io::Result<()> {
    let mut journal = JournalWriter::create(&life.journal)?;
    let mut listing = ListingWriter::create(&life.listing)?;
    let mut toy = Toy::open(&life.data, bug, &mut listing)?;
    listing.finish()?;
    announce_listed(&mut journal)?;
    if life.mode == Mode::List {
        return Ok(());
    }
    let mut producers: Vec<(Workload, u64)> =
        (0..PRODUCERS).map(|p| (Workload::new(life.run, life.life, p), 0)).collect();
    let mut left = life_records_max(life.run, life.life);
    for number in (0..PRODUCERS).cycle() {
        if left == 0 {
            break;
        }
        let (workload, sequence) = &mut producers[number as usize];
        let count = workload.next_batch_records().min(left);
        let first = RecordId { life: life.life, producer: number, sequence: *sequence };
        toy.put(&mut journal, life.run, first, count)?;
        *sequence += count;
        left -= count;
    }
    wait_for_death()
}

impl Toy {
    fn open(data: &Path, bug: Option<Bug>, listing: &mut ListingWriter) -> io::Result<Toy> {
        if !data.exists() {
            fs::create_dir(data)?;
        }
        // Also where it existed: the process that created it may have died before it got here.
        flush_folder(data.parent().unwrap_or(data), bug)?;
        let mut shards = Vec::new();
        for number in 0..SHARDS {
            let path = data.join(format!("shard-{number}"));
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
            shards.push(Shard::recover(number, file, bug, listing)?);
        }
        flush_folder(data, bug)?;
        let held = vec![Vec::new(); shards.len()];
        Ok(Toy { shards, held, bug })
    }

    fn put(
        &mut self,
        journal: &mut JournalWriter,
        run: u64,
        first: RecordId,
        count: u64,
    ) -> io::Result<()> {
        journal.append(&[Event::Sent { first, count }])?;
        let mut seen = Vec::new();
        let mut acked = Vec::new();
        let mut entries: Vec<Vec<u8>> = vec![Vec::new(); self.shards.len()];
        for sequence in first.sequence..first.sequence + count {
            let id = RecordId { sequence, ..first };
            let record = content(run, id);
            let number = digest(&record.key, b"") % u64::from(SHARDS);
            let number = u32::try_from(number).expect("it is below the number of shards");
            let shard = &mut self.shards[number as usize];
            let place = Place { shard: number, index: shard.next };
            encode(&mut entries[number as usize], shard.next, &record);
            shard.next += 1;
            seen.push(Event::Seen { id, place });
            acked.push(Event::Acked { id, place });
        }
        if self.bug == Some(Bug::ShowBeforeWrite) {
            journal.append(&seen)?;
        }
        if self.bug == Some(Bug::AckFromMemory) {
            entries = std::mem::replace(&mut self.held, entries);
        }
        // All are written before the first is flushed, so that a cut finds several under way.
        for (shard, entries) in self.shards.iter_mut().zip(&entries) {
            shard.append(entries)?;
        }
        for (shard, entries) in self.shards.iter_mut().zip(&entries) {
            if !entries.is_empty() {
                shard.flush(self.bug)?;
            }
        }
        if self.bug != Some(Bug::ShowBeforeWrite) {
            journal.append(&seen)?;
        }
        if self.bug == Some(Bug::AckNothing) {
            return Ok(());
        }
        journal.append(&acked)
    }
}

impl Shard {
    /// Lists the whole entries, and cuts off what follows them.
    fn recover(
        number: u32,
        file: File,
        bug: Option<Bug>,
        listing: &mut ListingWriter,
    ) -> io::Result<Shard> {
        let bytes = usize::try_from(file.metadata()?.len()).expect("64-bit Linux");
        let mut memory = vec![0; bytes];
        file.read_exact_at(&mut memory, 0)?;
        let mut shard = Shard { file, end: 0, next: 0 };
        let mut rest = memory.as_slice();
        let mut last: &[u8] = &[];
        while let Some((entry, key, data)) = decode(rest, shard.next, bug) {
            listing.push(&Row::new(Place { shard: number, index: shard.next }, key, data))?;
            shard.next += 1;
            shard.end += entry.len() as u64;
            rest = &rest[entry.len()..];
            last = entry;
        }
        shard.file.set_len(shard.end)?;
        shard.file.sync_all()?;
        if bug == Some(Bug::ReplayLast) && !last.is_empty() {
            let (_, key, data) = decode(last, shard.next - 1, bug).expect("it was decoded before");
            let mut again = Vec::new();
            encode(&mut again, shard.next, &Content { key: key.to_vec(), data: data.to_vec() });
            shard.next += 1;
            shard.append(&again)?;
            shard.flush(bug)?;
        }
        Ok(shard)
    }

    fn append(&mut self, entries: &[u8]) -> io::Result<()> {
        self.file.write_all_at(entries, self.end)?;
        self.end += entries.len() as u64;
        Ok(())
    }

    fn flush(&self, bug: Option<Bug>) -> io::Result<()> {
        if bug == Some(Bug::SkipFlush) {
            return Ok(());
        }
        self.file.sync_data()
    }
}

fn flush_folder(path: &Path, bug: Option<Bug>) -> io::Result<()> {
    if bug == Some(Bug::SkipFolderFlush) {
        return Ok(());
    }
    File::open(path)?.sync_all()
}

fn encode(into: &mut Vec<u8>, index: u64, record: &Content) {
    let count = |bytes: usize| u32::try_from(bytes).expect("a record is small").to_le_bytes();
    into.extend(count(record.key.len() + record.data.len()));
    into.extend(count(record.key.len()));
    into.extend(index.to_le_bytes());
    into.extend((digest(&record.key, &record.data) ^ mix(index)).to_le_bytes());
    into.extend(&record.key);
    into.extend(&record.data);
}

/// The entry at the front, its key and its data; `None` where no whole entry stands.
fn decode(bytes: &[u8], index: u64, bug: Option<Bug>) -> Option<(&[u8], &[u8], &[u8])> {
    let (header, body) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let narrow = |at: usize| Some(u32::from_le_bytes(header[at..at + 4].try_into().ok()?) as usize);
    let (body_bytes, key_bytes) = (narrow(0)?, narrow(4)?);
    let body = body.get(..body_bytes)?;
    let (key, data) = body.split_at_checked(key_bytes)?;
    let found = u64::from_le_bytes(header[8..16].try_into().expect("eight bytes"));
    let sum = u64::from_le_bytes(header[16..].try_into().expect("eight bytes"));
    let whole = found == index && sum == digest(key, data) ^ mix(index);
    let trusted = bug == Some(Bug::TrustTail) && body_bytes > 0;
    (whole || trusted).then_some((&bytes[..HEADER_BYTES + body_bytes], key, data))
}
