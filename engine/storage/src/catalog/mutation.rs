//! What a commit changes: mutations and the bytes of a list of them. See FORMAT.md, "Catalog".
//!
//! Pure. A frame's payload is cut into parts, one per log and one for the sets, each with its own
//! checksum in the directory: a rotten byte condemns one log, not the folder.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::{Bytes, read_u16, read_u32, read_u64, write_u16, write_u32, write_u64};
use crate::frame::DirectoryEntry;
use crate::shard::ShardKey;

/// What stands before a mutation's key, bytes.
const MUTATION_HEADER_BYTES: usize = 12;
const SEGMENT_KEY_BYTES: usize = 16;
const SEGMENT_VALUE_BYTES: usize = 32;
const FILE_KEY_BYTES: usize = 8;
const FILE_VALUE_BYTES: usize = 16;
const CLUSTERED: u32 = 1;

/// Where one segment, or a row of segments merged into one file, lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Whose segment it is.
    pub log: u16,
    /// First segment number covered.
    pub first: u64,
    /// Last segment number covered; the first again where nothing was merged.
    pub last: u64,
    /// The file's number.
    pub file: u32,
    /// Generation of the file in this use.
    pub generation: u32,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Whether it was rewritten, ordered by shard.
    pub clustered: bool,
}

/// A file that holds no segment: zeroed, or waiting to be recycled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Whose file it is.
    pub log: u16,
    /// The file's number.
    pub file: u32,
    /// Generation of its last use; 0 if it had none.
    pub generation: u32,
    /// Size, bytes.
    pub bytes: u64,
}

/// One change of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Sets a key of the server's.
    Set {
        /// The key; storage does not look into it.
        key: Vec<u8>,
        /// The value it has from now on.
        value: Vec<u8>,
    },
    /// Removes a key of the server's, if it is there.
    Remove {
        /// The key.
        key: Vec<u8>,
    },
    /// Adds or replaces the segment with this log and first segment number.
    PutSegment(SegmentEntry),
    /// Removes a segment, if it is there.
    RemoveSegment {
        /// Whose.
        log: u16,
        /// Its first segment number.
        first: u64,
    },
    /// Adds or replaces the free file with this log and number.
    PutFile(FileEntry),
    /// Removes a free file, if it is there.
    RemoveFile {
        /// Whose.
        log: u16,
        /// Its number.
        file: u32,
    },
}

/// Which part of a frame a mutation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The manifest of one log.
    Log(u16),
    /// The server's keys.
    Sets,
}

impl Scope {
    fn key(self) -> ShardKey {
        match self {
            Scope::Log(log) => ShardKey(u64::from(log)),
            Scope::Sets => ShardKey(u64::MAX),
        }
    }

    /// The scope that a directory entry names.
    pub fn from_key(key: ShardKey) -> Option<Scope> {
        match key.0 {
            u64::MAX => Some(Scope::Sets),
            log => u16::try_from(log).ok().map(Scope::Log),
        }
    }
}

impl Mutation {
    /// The part of a frame that it belongs to.
    pub fn scope(&self) -> Scope {
        match self {
            Mutation::Set { .. } | Mutation::Remove { .. } => Scope::Sets,
            Mutation::PutSegment(entry) => Scope::Log(entry.log),
            Mutation::PutFile(entry) => Scope::Log(entry.log),
            Mutation::RemoveSegment { log, .. } | Mutation::RemoveFile { log, .. } => {
                Scope::Log(*log)
            }
        }
    }

    /// Bytes that it takes in a payload.
    pub fn encoded_bytes(&self) -> usize {
        MUTATION_HEADER_BYTES
            + match self {
                Mutation::Set { key, value } => key.len() + value.len(),
                Mutation::Remove { key } => key.len(),
                Mutation::PutSegment(_) => SEGMENT_KEY_BYTES + SEGMENT_VALUE_BYTES,
                Mutation::RemoveSegment { .. } => SEGMENT_KEY_BYTES,
                Mutation::PutFile(_) => FILE_KEY_BYTES + FILE_VALUE_BYTES,
                Mutation::RemoveFile { .. } => FILE_KEY_BYTES,
            }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let bytes_before = out.len();
        match self {
            Mutation::Set { key, value } => put(out, 1, key, value),
            Mutation::Remove { key } => put(out, 2, key, &[]),
            Mutation::PutSegment(entry) => {
                let mut value = [0; SEGMENT_VALUE_BYTES];
                write_u64(&mut value, 0, entry.last);
                write_u32(&mut value, 8, entry.file);
                write_u32(&mut value, 12, entry.generation);
                write_u64(&mut value, 16, entry.bytes);
                write_u32(&mut value, 24, if entry.clustered { CLUSTERED } else { 0 });
                put(out, 3, &segment_key(entry.log, entry.first), &value);
            }
            Mutation::RemoveSegment { log, first } => {
                put(out, 4, &segment_key(*log, *first), &[]);
            }
            Mutation::PutFile(entry) => {
                let mut value = [0; FILE_VALUE_BYTES];
                write_u32(&mut value, 0, entry.generation);
                write_u64(&mut value, 8, entry.bytes);
                put(out, 5, &file_key(entry.log, entry.file), &value);
            }
            Mutation::RemoveFile { log, file } => put(out, 6, &file_key(*log, *file), &[]),
        }
        assert_eq!(out.len() - bytes_before, self.encoded_bytes());
    }
}

fn put(out: &mut Vec<u8>, kind: u8, key: Bytes<'_>, value: Bytes<'_>) {
    let key_bytes = u32::try_from(key.len()).expect("a commit is bounded far below 4 GiB");
    let value_bytes = u32::try_from(value.len()).expect("a commit is bounded far below 4 GiB");
    let mut header = [0; MUTATION_HEADER_BYTES];
    header[0] = kind;
    write_u32(&mut header, 4, key_bytes);
    write_u32(&mut header, 8, value_bytes);
    out.extend_from_slice(&header);
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

fn segment_key(log: u16, first: u64) -> [u8; SEGMENT_KEY_BYTES] {
    let mut key = [0; SEGMENT_KEY_BYTES];
    write_u16(&mut key, 0, log);
    write_u64(&mut key, 8, first);
    key
}

fn file_key(log: u16, file: u32) -> [u8; FILE_KEY_BYTES] {
    let mut key = [0; FILE_KEY_BYTES];
    write_u16(&mut key, 0, log);
    write_u32(&mut key, 4, file);
    key
}

/// The directory and payload of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    /// One entry per scope, in the order of the parts.
    pub directory: Vec<DirectoryEntry>,
    /// The parts.
    pub payload: Vec<u8>,
    /// How many mutations there are.
    pub count: u32,
}

/// Encodes `mutations`, cut into parts. Within a part they keep their order; mutations of different
/// parts touch different keys, so their order among each other means nothing.
pub(super) fn encode<'a>(mutations: impl Iterator<Item = &'a Mutation>) -> Encoded {
    let mut parts: BTreeMap<Scope, (u32, Vec<u8>)> = BTreeMap::new();
    for mutation in mutations {
        let (count, part) = parts.entry(mutation.scope()).or_default();
        mutation.encode(part);
        *count += 1;
    }
    let mut encoded = Encoded { directory: Vec::new(), payload: Vec::new(), count: 0 };
    for (scope, (count, part)) in parts {
        encoded.directory.push(DirectoryEntry {
            key: scope.key(),
            first_index: xxh3_64(&part),
            count,
            bytes: u32::try_from(part.len()).expect("a commit is bounded far below 4 GiB"),
        });
        encoded.payload.extend_from_slice(&part);
        encoded.count += count;
    }
    encoded
}

/// The mutations of one part; `None` if its checksum is wrong or its bytes do not add up.
pub(super) fn decode_part(entry: &DirectoryEntry, part: &[u8]) -> Option<Vec<Mutation>> {
    if part.len() != entry.bytes as usize || xxh3_64(part) != entry.first_index {
        return None;
    }
    let scope = Scope::from_key(entry.key)?;
    let mutations = decode(part)?;
    let belongs = mutations.iter().all(|mutation| mutation.scope() == scope);
    (belongs && mutations.len() == entry.count as usize).then_some(mutations)
}

/// The mutations of a whole payload whose checksum is right; `None` if its bytes do not add up.
pub(super) fn decode(mut payload: &[u8]) -> Option<Vec<Mutation>> {
    let mut mutations = Vec::new();
    while !payload.is_empty() {
        let header = payload.get(..MUTATION_HEADER_BYTES)?;
        let key_end = MUTATION_HEADER_BYTES + read_u32(header, 4) as usize;
        let value_end = key_end + read_u32(header, 8) as usize;
        let value = payload.get(key_end..value_end)?;
        let key = &payload[MUTATION_HEADER_BYTES..key_end];
        mutations.push(decode_one(header[0], key, value)?);
        payload = &payload[value_end..];
    }
    Some(mutations)
}

fn decode_one(kind: u8, key: &[u8], value: &[u8]) -> Option<Mutation> {
    let (key_bytes, value_bytes) = match kind {
        1 => return Some(Mutation::Set { key: key.to_vec(), value: value.to_vec() }),
        2 => return value.is_empty().then(|| Mutation::Remove { key: key.to_vec() }),
        3 => (SEGMENT_KEY_BYTES, SEGMENT_VALUE_BYTES),
        4 => (SEGMENT_KEY_BYTES, 0),
        5 => (FILE_KEY_BYTES, FILE_VALUE_BYTES),
        6 => (FILE_KEY_BYTES, 0),
        _ => return None,
    };
    if key.len() != key_bytes || value.len() != value_bytes {
        return None;
    }
    let log = read_u16(key, 0);
    Some(match kind {
        3 => Mutation::PutSegment(SegmentEntry {
            log,
            first: read_u64(key, 8),
            last: read_u64(value, 0),
            file: read_u32(value, 8),
            generation: read_u32(value, 12),
            bytes: read_u64(value, 16),
            clustered: read_u32(value, 24) & CLUSTERED != 0,
        }),
        4 => Mutation::RemoveSegment { log, first: read_u64(key, 8) },
        5 => Mutation::PutFile(FileEntry {
            log,
            file: read_u32(key, 4),
            generation: read_u32(value, 0),
            bytes: read_u64(value, 8),
        }),
        _ => Mutation::RemoveFile { log, file: read_u32(key, 4) },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One of each kind, for two logs and the sets.
    pub(crate) fn samples() -> Vec<Mutation> {
        let segment = SegmentEntry {
            log: 3,
            first: 7,
            last: 9,
            file: 4,
            generation: 2,
            bytes: 64 << 20,
            clustered: true,
        };
        vec![
            Mutation::Set { key: b"stream/a".to_vec(), value: b"{}".to_vec() },
            Mutation::PutSegment(segment),
            Mutation::RemoveSegment { log: 1, first: u64::MAX },
            Mutation::Remove { key: Vec::new() },
            Mutation::PutFile(FileEntry { log: 1, file: 5, generation: 0, bytes: 4096 }),
            Mutation::RemoveFile { log: 3, file: u32::MAX },
        ]
    }

    #[test]
    fn mutations_come_back_by_scope_and_in_order() {
        let encoded = encode(samples().iter());
        let scopes: Vec<_> =
            encoded.directory.iter().map(|entry| Scope::from_key(entry.key).unwrap()).collect();
        assert_eq!(scopes, [Scope::Log(1), Scope::Log(3), Scope::Sets]);
        let mut start = 0;
        for entry in &encoded.directory {
            let part = &encoded.payload[start..start + entry.bytes as usize];
            start += entry.bytes as usize;
            let scope = Scope::from_key(entry.key).unwrap();
            let expected: Vec<_> = samples().into_iter().filter(|m| m.scope() == scope).collect();
            assert_eq!(decode_part(entry, part), Some(expected));
        }
        assert_eq!(start, encoded.payload.len());
        assert_eq!(decode(&encoded.payload).unwrap().len(), samples().len());
    }

    #[test]
    fn a_flipped_byte_is_a_part_that_cannot_be_read() {
        let mutation = &samples()[1..2];
        let encoded = encode(mutation.iter());
        for at in 0..encoded.payload.len() {
            let mut part = encoded.payload.clone();
            part[at] ^= 1;
            assert_eq!(decode_part(&encoded.directory[0], &part), None);
        }
    }

    #[test]
    fn any_bytes_and_any_cut_are_refused_without_a_panic() {
        let payload = encode(samples().iter()).payload;
        for bytes in 0..payload.len() {
            if let Some(mutations) = decode(&payload[..bytes]) {
                assert!(mutations.len() < samples().len());
            }
        }
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut bytes = payload.clone();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = (state >> 25) as u8;
            decode(&bytes);
        }
    }
}
