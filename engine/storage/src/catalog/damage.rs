//! What is said about acknowledged entries that can no longer be read, and how it outlives the file.
//!
//! A switch of files would launder damage: the new snapshot would be whole, and the lost entries
//! forgotten. So the loss of a log's entries becomes an entry of its own, in words that a person
//! can read, and stays until somebody repairs the log and removes it.

use std::fmt;

/// One of the catalog's two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CatalogFile {
    /// Odd generations.
    A,
    /// Even generations.
    B,
}

impl CatalogFile {
    /// The file that holds `generation`.
    pub fn of(generation: u32) -> CatalogFile {
        if generation.is_multiple_of(2) { CatalogFile::B } else { CatalogFile::A }
    }

    /// Its name in the data folder.
    pub fn name(self) -> &'static str {
        match self {
            CatalogFile::A => "catalog-a",
            CatalogFile::B => "catalog-b",
        }
    }
}

impl fmt::Display for CatalogFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A damaged entry that had been acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogDamage {
    /// Where it is, or was when it was found.
    pub file: CatalogFile,
    /// Start of its frame in the file, bytes.
    pub position: u64,
    /// Ordinal of its frame.
    pub number: u64,
    /// The log whose entries are lost; it must not be served. `None`: what was damaged held no
    /// entries, or they could be read in spite of it.
    pub log: Option<u16>,
}

impl fmt::Display for CatalogDamage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CatalogDamage { file, position, number, log } = self;
        write!(formatter, "{file}, position {position}, frame {number}: ")?;
        match log {
            Some(log) => write!(formatter, "acknowledged entries of log {log} are damaged"),
            None => write!(formatter, "damaged, but no entry is lost"),
        }
    }
}

/// Keys under which lost entries are remembered start so.
const KEY_PREFIX: &str = "damage/log/";

impl CatalogDamage {
    /// The key and value that remember it; `None` if nothing is lost.
    pub(super) fn to_set(self) -> Option<(Vec<u8>, Vec<u8>)> {
        let log = self.log?;
        let key = format!("{KEY_PREFIX}{log:05}");
        let value = format!("{} position {} frame {}", self.file, self.position, self.number);
        Some((key.into_bytes(), value.into_bytes()))
    }

    /// What a key and its value remember; `None` if they are about something else.
    pub(super) fn from_set(key: &[u8], value: &[u8]) -> Option<CatalogDamage> {
        let log = std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?.parse().ok()?;
        let mut words = std::str::from_utf8(value).ok()?.split(' ');
        let file = match words.next()? {
            "catalog-a" => CatalogFile::A,
            _ => CatalogFile::B,
        };
        let position = words.nth(1)?.parse().ok()?;
        let number = words.nth(1)?.parse().ok()?;
        Some(CatalogDamage { file, position, number, log: Some(log) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_a_log_is_remembered_and_nothing_else_is() {
        let lost = CatalogDamage { file: CatalogFile::B, position: 8192, number: 12, log: Some(3) };
        let (key, value) = lost.to_set().unwrap();
        assert_eq!(key, b"damage/log/00003");
        assert_eq!(value, b"catalog-b position 8192 frame 12");
        assert_eq!(CatalogDamage::from_set(&key, &value), Some(lost));
        assert_eq!(CatalogDamage { log: None, ..lost }.to_set(), None);
        assert_eq!(CatalogDamage::from_set(b"stream/a", b"{}"), None);
        assert_eq!(CatalogDamage::from_set(&key, b""), None);
    }
}
