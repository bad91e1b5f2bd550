//! What a child tells its parent, in a file that outlives it: rows of 32 bytes in the order the
//! child learnt things. A row is written before the thing it announces (`Sent`) or after the thing
//! it reports (the others), so their order is an order of events.
//!
//! ```text
//! kind 4 | life 4 | producer 4 | shard 4 | sequence 8 | index 8      (little-endian)
//! ```

use crate::record::RecordId;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

const ROW_BYTES: usize = 32;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The shard's number.
    pub shard: u32,
    /// Ordinal within the shard.
    pub index: u64,
}

/// One thing that a child learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Every record was listed; the listing is complete.
    Listed,
    /// `count` records from `first` on are about to be sent in one batch.
    Sent {
        /// The first record of the batch.
        first: RecordId,
        /// Records in the batch.
        count: u64,
    },
    /// The engine has acknowledged it.
    Acked {
        /// The record.
        id: RecordId,
        /// Where the engine says it stands.
        place: Place,
    },
    /// A reader was shown it.
    Seen {
        /// The record.
        id: RecordId,
        /// Where the reader found it.
        place: Place,
    },
}

/// The child's side.
#[derive(Debug)]
pub struct JournalWriter {
    file: File,
}

impl JournalWriter {
    /// An empty journal.
    ///
    /// # Errors
    /// The file exists or cannot be created.
    pub fn create(path: &Path) -> io::Result<JournalWriter> {
        Ok(JournalWriter { file: OpenOptions::new().append(true).create_new(true).open(path)? })
    }

    /// Appends events. They outlive the process when this returns; the machine need not die.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, events: &[Event]) -> io::Result<()> {
        let mut rows = Vec::with_capacity(events.len() * ROW_BYTES);
        for event in events {
            let nowhere = Place { shard: 0, index: 0 };
            let nobody = RecordId { life: 0, producer: 0, sequence: 0 };
            let (kind, id, place) = match *event {
                Event::Listed => (1_u32, nobody, nowhere),
                Event::Sent { first, count } => (2, first, Place { shard: 0, index: count }),
                Event::Acked { id, place } => (3, id, place),
                Event::Seen { id, place } => (4, id, place),
            };
            rows.extend(kind.to_le_bytes());
            rows.extend(id.life.to_le_bytes());
            rows.extend(id.producer.to_le_bytes());
            rows.extend(place.shard.to_le_bytes());
            rows.extend(id.sequence.to_le_bytes());
            rows.extend(place.index.to_le_bytes());
        }
        assert_eq!(rows.len(), events.len() * ROW_BYTES);
        self.file.write_all(&rows)
    }
}

/// The parent's side: every whole row. A kill may leave a part of the last one.
///
/// # Errors
/// The file cannot be read, or a row is none of ours.
pub fn read(path: &Path) -> io::Result<Vec<Event>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        // Killed before it created the file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let (rows, _) = bytes.as_chunks::<ROW_BYTES>();
    rows.iter().map(decode).collect()
}

fn decode(row: &[u8; ROW_BYTES]) -> io::Result<Event> {
    let narrow = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().expect("four bytes"));
    let wide = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().expect("eight bytes"));
    let id = RecordId { life: narrow(4), producer: narrow(8), sequence: wide(16) };
    let place = Place { shard: narrow(12), index: wide(24) };
    match narrow(0) {
        1 => Ok(Event::Listed),
        2 => Ok(Event::Sent { first: id, count: place.index }),
        3 => Ok(Event::Acked { id, place }),
        4 => Ok(Event::Seen { id, place }),
        kind => Err(io::Error::other(format!("a journal has no row of kind {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_and_a_partial_row_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert_eq!(read(&path).unwrap(), []);
        let id = RecordId { life: 1, producer: 2, sequence: 3 };
        let place = Place { shard: 4, index: 5 };
        let events = [
            Event::Listed,
            Event::Sent { first: id, count: 500 },
            Event::Acked { id, place },
            Event::Seen { id, place },
        ];
        let mut writer = JournalWriter::create(&path).unwrap();
        writer.append(&events[..1]).unwrap();
        writer.append(&events[1..]).unwrap();
        assert_eq!(read(&path).unwrap(), events);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&[2; 31]).unwrap();
        assert_eq!(read(&path).unwrap(), events);
    }
}
