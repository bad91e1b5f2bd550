//! The catalog's content: what the mutations so far add up to.
//!
//! Pure. It counts the bytes that its snapshot would take, so that a commit which could no longer
//! be snapshotted is refused before it is written.

use std::collections::BTreeMap;

use super::damage::CatalogDamage;
use super::mutation::{FileEntry, Mutation, SegmentEntry};

/// Everything that the catalog holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogState {
    /// The server's keys.
    pub sets: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Segments by log and first segment number.
    pub segments: BTreeMap<(u16, u64), SegmentEntry>,
    /// Free files by log and number.
    pub files: BTreeMap<(u16, u32), FileEntry>,
    /// How often the folder has been opened, this time included: durable before `open` returns.
    pub life: u32,
    /// Acknowledged entries that can no longer be read. Their logs must not be served.
    pub damage: Vec<CatalogDamage>,
    /// Bytes of the snapshot's payload.
    bytes: usize,
}

impl CatalogState {
    /// Applies one mutation. Putting replaces; removing what is not there does nothing.
    pub fn apply(&mut self, mutation: &Mutation) {
        let added = mutation.encoded_bytes();
        let replaced = match mutation {
            Mutation::Set { key, value } => self
                .sets
                .insert(key.clone(), value.clone())
                .map(|value| Mutation::Set { key: key.clone(), value }),
            Mutation::Remove { key } => {
                self.sets.remove(key).map(|value| Mutation::Set { key: key.clone(), value })
            }
            Mutation::PutSegment(entry) => {
                self.segments.insert((entry.log, entry.first), *entry).map(Mutation::PutSegment)
            }
            Mutation::RemoveSegment { log, first } => {
                self.segments.remove(&(*log, *first)).map(Mutation::PutSegment)
            }
            Mutation::PutFile(entry) => {
                self.files.insert((entry.log, entry.file), *entry).map(Mutation::PutFile)
            }
            Mutation::RemoveFile { log, file } => {
                self.files.remove(&(*log, *file)).map(Mutation::PutFile)
            }
        };
        if adds(mutation) {
            self.bytes += added;
        }
        let removed = replaced.map_or(0, |entry| entry.encoded_bytes());
        assert!(removed <= self.bytes);
        self.bytes -= removed;
    }

    /// The mutations that lead from nothing to this content.
    pub fn snapshot(&self) -> Vec<Mutation> {
        let sets = self.sets.iter();
        let sets =
            sets.map(|(key, value)| Mutation::Set { key: key.clone(), value: value.clone() });
        let segments = self.segments.values().copied().map(Mutation::PutSegment);
        let files = self.files.values().copied().map(Mutation::PutFile);
        segments.chain(files).chain(sets).collect()
    }

    /// Bytes that the snapshot's payload takes.
    pub fn snapshot_bytes(&self) -> usize {
        self.bytes
    }
}

/// At most this many bytes a list of mutations adds to the snapshot.
pub(super) fn added_bytes_max(mutations: &[Mutation]) -> usize {
    let adding = mutations.iter().filter(|mutation| adds(mutation));
    adding.map(Mutation::encoded_bytes).sum()
}

fn adds(mutation: &Mutation) -> bool {
    matches!(mutation, Mutation::Set { .. } | Mutation::PutSegment(_) | Mutation::PutFile(_))
}

#[cfg(test)]
mod tests {
    use super::super::mutation::{encode, tests::samples};
    use super::*;

    #[test]
    fn a_snapshot_rebuilds_the_content_and_its_bytes_are_counted() {
        let mut state = CatalogState::default();
        for mutation in samples() {
            state.apply(&mutation);
            // Twice, so that replacing and removing nothing are covered.
            state.apply(&mutation);
        }
        state.apply(&Mutation::Set { key: b"stream/a".to_vec(), value: b"longer".to_vec() });
        let snapshot = state.snapshot();
        assert_eq!(encode(snapshot.iter()).payload.len(), state.snapshot_bytes());
        let mut rebuilt = CatalogState::default();
        snapshot.iter().for_each(|mutation| rebuilt.apply(mutation));
        assert_eq!(rebuilt, state);
    }

    #[test]
    fn removing_everything_leaves_no_bytes() {
        let mut state = CatalogState::default();
        samples().iter().for_each(|mutation| state.apply(mutation));
        assert!(state.snapshot_bytes() > 0);
        state.apply(&Mutation::Remove { key: b"stream/a".to_vec() });
        state.apply(&Mutation::RemoveSegment { log: 3, first: 7 });
        state.apply(&Mutation::RemoveFile { log: 1, file: 5 });
        assert_eq!(state, CatalogState::default());
    }
}
