//! Everything that a child reads from the engine when it has opened it: rows of 48 bytes, shard by
//! shard, in the order the engine gave them. It reads, the parent judges.
//!
//! ```text
//! shard 4 | data bytes 4 | index 8 | digest 8 | head of the data 24      (little-endian)
//! ```

use crate::journal::Place;
use crate::record::{HEAD_BYTES, digest};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const ROW_BYTES: usize = 24 + HEAD_BYTES;

/// One record as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it was found.
    pub place: Place,
    /// Length of its data.
    pub data_bytes: u32,
    /// Checksum of key and data.
    pub digest: u64,
    /// The first bytes of the data, zeros beyond its end.
    pub head: [u8; HEAD_BYTES],
}

impl Row {
    /// The row for a record that was read at `place`.
    #[must_use]
    pub fn new(place: Place, key: &[u8], data: &[u8]) -> Row {
        let mut head = [0; HEAD_BYTES];
        let known = data.len().min(HEAD_BYTES);
        head[..known].copy_from_slice(&data[..known]);
        let data_bytes = u32::try_from(data.len()).expect("a record is at most 10 MiB");
        Row { place, data_bytes, digest: digest(key, data), head }
    }
}

/// The child's side.
#[derive(Debug)]
pub struct ListingWriter {
    file: BufWriter<File>,
}

impl ListingWriter {
    /// An empty listing.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<ListingWriter> {
        Ok(ListingWriter { file: BufWriter::new(File::create(path)?) })
    }

    /// Adds one record.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push(&mut self, row: &Row) -> io::Result<()> {
        self.file.write_all(&row.place.shard.to_le_bytes())?;
        self.file.write_all(&row.data_bytes.to_le_bytes())?;
        self.file.write_all(&row.place.index.to_le_bytes())?;
        self.file.write_all(&row.digest.to_le_bytes())?;
        self.file.write_all(&row.head)
    }

    /// Hands everything to the kernel; only then may the journal say `Listed`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The parent's side: every whole row. A kill may leave a part of the last one.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<Row>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        // Killed before it created the file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let (rows, _) = bytes.as_chunks::<ROW_BYTES>();
    Ok(rows.iter().map(decode).collect())
}

fn decode(row: &[u8; ROW_BYTES]) -> Row {
    let narrow = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().expect("four bytes"));
    let wide = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().expect("eight bytes"));
    Row {
        place: Place { shard: narrow(0), index: wide(8) },
        data_bytes: narrow(4),
        digest: wide(16),
        head: row[24..].try_into().expect("the head is the rest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listing");
        let short = Row::new(Place { shard: 1, index: 2 }, b"key", b"short");
        let long = Row::new(Place { shard: 3, index: u64::MAX }, b"", &[7; 100]);
        let mut writer = ListingWriter::create(&path).unwrap();
        writer.push(&short).unwrap();
        writer.push(&long).unwrap();
        writer.finish().unwrap();
        assert_eq!(read(&path).unwrap(), [short, long]);
    }
}
