//! The server's keys in the catalog: what they are called and how their values read.
//!
//! Values are JSON, so that a person with a hex dump can tell what they say. Numbers of streams
//! are never given twice, also not after deletion: a log may hold records of a deleted stream for a
//! while, and its keys must not come to life again.
//!
//! | key | value |
//! | --- | --- |
//! | `stream/NAME` | [`StoredStream`] |
//! | `deleted/NUMBER` | [`DeletedStream`]: its shards are to be forgotten by every log that knows them |
//! | `next-stream` | the number of the next stream |

use std::collections::BTreeMap;
use std::str;

use model::record::RecordBytesMax;
use model::stream::StreamAddress;
use model::{ShardMap, StreamName};
use serde::{Deserialize, Serialize};
use storage::catalog::Mutation;

use crate::placement::StreamNumber;
use crate::stream::{Stream, StreamInner, StreamOptions};
use model::AccountId;

const STREAM_PREFIX: &str = "stream/";
const DELETED_PREFIX: &str = "deleted/";
const NEXT_STREAM: &str = "next-stream";

/// A stream's value in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredStream {
    number: u32,
    created_ms: u64,
    retention_ms: u64,
    record_kib_max: u32,
    shards: StoredShards,
}

/// The shards of a stream; equal ones are not listed, there may be 100,000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredShards {
    Uniform { count: u32, created_s: u64 },
}

/// What is left of a deleted stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletedStream {
    /// Its number.
    pub(crate) number: u32,
    /// Indices of its shards are below this.
    pub(crate) shard_count: u32,
}

/// All that the catalog says about streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredStreams {
    pub(crate) streams: Vec<Stream>,
    pub(crate) deleted: Vec<DeletedStream>,
    pub(crate) next_number: u32,
}

/// A key's value makes no sense, though its checksum is right: another version wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEntry {
    /// The key.
    pub key: Vec<u8>,
}

impl StoredStreams {
    /// Reads the server's keys out of the catalog's.
    pub(crate) fn read(
        sets: &BTreeMap<Vec<u8>, Vec<u8>>,
        account: AccountId,
    ) -> Result<StoredStreams, UnknownEntry> {
        let mut stored = StoredStreams::default();
        for (key, value) in sets {
            stored
                .read_one(key, value, account)
                .ok_or_else(|| UnknownEntry { key: key.clone() })?;
        }
        Ok(stored)
    }

    fn read_one(&mut self, key: &[u8], value: &[u8], account: AccountId) -> Option<()> {
        let key = str::from_utf8(key).ok()?;
        if let Some(name) = key.strip_prefix(STREAM_PREFIX) {
            let stored: StoredStream = serde_json::from_slice(value).ok()?;
            let address = StreamAddress { account, name: StreamName::new(name).ok()? };
            self.streams.push(stored.into_stream(address)?);
        } else if key.starts_with(DELETED_PREFIX) {
            self.deleted.push(serde_json::from_slice(value).ok()?);
        } else if key == NEXT_STREAM {
            self.next_number = serde_json::from_slice(value).ok()?;
        }
        // Other keys are not the server's: storage remembers damage among them.
        Some(())
    }
}

impl StoredStream {
    fn into_stream(self, address: StreamAddress) -> Option<Stream> {
        let StoredShards::Uniform { count, created_s } = self.shards;
        if count == 0 {
            return None;
        }
        let record_bytes_max = RecordBytesMax::from_kib(self.record_kib_max)?;
        Some(Stream::new(StreamInner {
            number: StreamNumber(self.number),
            address,
            shards: ShardMap::uniform(count, created_s),
            options: StreamOptions { retention_ms: self.retention_ms, record_bytes_max },
            created_ms: self.created_ms,
        }))
    }

    fn of(stream: &Stream) -> StoredStream {
        let shards = stream.shards().shards();
        let count = u32::try_from(shards.len()).expect("a shard index has 31 bits");
        StoredStream {
            number: stream.number().0,
            created_ms: stream.created_ms(),
            retention_ms: stream.options().retention_ms,
            record_kib_max: stream.options().record_bytes_max.get() / 1024,
            shards: StoredShards::Uniform { count, created_s: shards[0].created_s },
        }
    }
}

impl DeletedStream {
    pub(crate) fn of(stream: &Stream) -> DeletedStream {
        let stored = StoredStream::of(stream);
        let StoredShards::Uniform { count, .. } = stored.shards;
        DeletedStream { number: stored.number, shard_count: count }
    }
}

/// What makes a new stream durable, and its number used up.
pub(crate) fn creation(stream: &Stream) -> Vec<Mutation> {
    let next = stream.number().0 + 1;
    let stream_key = format!("{STREAM_PREFIX}{}", stream.name());
    vec![set(stream_key, &StoredStream::of(stream)), set(NEXT_STREAM.to_owned(), &next)]
}

/// What makes a stream's deletion durable.
pub(crate) fn deletion(stream: &Stream) -> Vec<Mutation> {
    let deleted = DeletedStream::of(stream);
    let key = format!("{STREAM_PREFIX}{}", stream.name()).into_bytes();
    vec![Mutation::Remove { key }, set(deleted_key(deleted), &deleted)]
}

/// What forgets a deleted stream of which no log knows a shard any more.
pub(crate) fn forgetting(deleted: DeletedStream) -> Mutation {
    Mutation::Remove { key: deleted_key(deleted).into_bytes() }
}

fn deleted_key(deleted: DeletedStream) -> String {
    format!("{DELETED_PREFIX}{:010}", deleted.number)
}

fn set(key: String, value: &impl Serialize) -> Mutation {
    let value = serde_json::to_vec(value).expect("numbers and names are JSON");
    Mutation::Set { key: key.into_bytes(), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        let name = StreamName::new("orders").unwrap();
        Stream::new(StreamInner {
            number: StreamNumber(7),
            address: StreamAddress { account: AccountId::DEFAULT, name },
            shards: ShardMap::uniform(3, 1_700_000_000),
            options: StreamOptions::default(),
            created_ms: 1_700_000_000_123,
        })
    }

    fn apply(mutations: Vec<Mutation>, sets: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        for mutation in mutations {
            match mutation {
                Mutation::Set { key, value } => drop(sets.insert(key, value)),
                Mutation::Remove { key } => drop(sets.remove(&key)),
                other => panic!("not the server's: {other:?}"),
            }
        }
    }

    #[test]
    fn a_stream_lives_and_dies_in_the_catalog() {
        let mut sets = BTreeMap::new();
        apply(creation(&stream()), &mut sets);
        let text = str::from_utf8(&sets[b"stream/orders".as_slice()]).unwrap();
        let expected = concat!(
            r#"{"number":7,"created_ms":1700000000123,"retention_ms":86400000,"#,
            r#""record_kib_max":1024,"shards":{"uniform":{"count":3,"created_s":1700000000}}}"#
        );
        assert_eq!(text, expected);
        let stored = StoredStreams::read(&sets, AccountId::DEFAULT).unwrap();
        assert_eq!((stored.streams.len(), stored.next_number), (1, 8));
        assert_eq!(stored.streams[0].shards(), stream().shards());
        assert_eq!(stored.streams[0].options(), StreamOptions::default());

        apply(deletion(&stream()), &mut sets);
        let stored = StoredStreams::read(&sets, AccountId::DEFAULT).unwrap();
        assert_eq!((stored.streams.len(), stored.next_number), (0, 8));
        assert_eq!(stored.deleted, [DeletedStream { number: 7, shard_count: 3 }]);
        apply(vec![forgetting(stored.deleted[0])], &mut sets);
        assert_eq!(sets.len(), 1, "the next number stays");
    }

    #[test]
    fn entries_of_another_version_are_named_and_other_peoples_are_left_alone() {
        let check = |key: &str, value: &str, known: bool| {
            let sets = BTreeMap::from([(key.as_bytes().to_vec(), value.as_bytes().to_vec())]);
            let found = StoredStreams::read(&sets, AccountId::DEFAULT);
            assert_eq!(found.is_ok(), known, "{key}");
        };
        check("stream/a", "{}", false);
        check("stream/ ", "{}", false);
        check("deleted/1", "[]", false);
        check("next-stream", "-1", false);
        check("next-stream", "1", true);
        check("damage/log/00001", "catalog-a position 0 frame 0", true);
    }
}
