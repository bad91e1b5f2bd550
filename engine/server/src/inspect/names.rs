//! What people call a shard, for the key that storage knows it by, and back.

use std::collections::BTreeMap;

use model::{AccountId, ShardIndex, StreamName};
use storage::catalog::CatalogState;
use storage::shard::ShardKey;

use crate::placement::{StreamNumber, shard_key};
use crate::stored::StoredStreams;
use crate::stream::Stream;

/// A shard index has 31 bits.
const SHARD_INDEX_MAX: u64 = (1 << 31) - 1;

/// The names of the folder's streams, as far as the catalog could be read.
#[derive(Default)]
pub(crate) struct ShardNames {
    streams: Vec<Stream>,
    by_number: BTreeMap<u32, StreamName>,
}

impl ShardNames {
    pub(crate) fn new(state: Option<&CatalogState>) -> ShardNames {
        let Some(state) = state else { return ShardNames::default() };
        // Entries of another version have no names here; their keys are printed as they are.
        let Ok(stored) = StoredStreams::read(&state.sets, AccountId::DEFAULT) else {
            return ShardNames::default();
        };
        let by_number = stored.streams.iter();
        let by_number = by_number.map(|stream| (stream.number().0, stream.name().clone()));
        ShardNames { by_number: by_number.collect(), streams: stored.streams }
    }

    /// The streams.
    pub(crate) fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// A shard in words: `orders/shardId-000000000003`, or its key.
    pub(crate) fn name(&self, key: ShardKey) -> String {
        let number = u32::try_from(key.0 >> 32).expect("32 bits");
        let index = key.0 & u64::from(u32::MAX);
        match self.by_number.get(&number) {
            Some(stream) if index <= SHARD_INDEX_MAX => {
                let index = u32::try_from(index).expect("31 bits");
                format!("{stream}/{}", ShardIndex::new(index))
            }
            _ => format!("{:#x}", key.0),
        }
    }

    /// The shard that a user means.
    pub(crate) fn find(&self, text: &str) -> Option<ShardKey> {
        if let Some(digits) = text.strip_prefix("0x") {
            return u64::from_str_radix(digits, 16).ok().map(ShardKey);
        }
        let (stream, shard) = text.rsplit_once('/')?;
        let (number, _) = self.by_number.iter().find(|(_, name)| name.as_str() == stream)?;
        let shard = match shard.parse::<u32>() {
            Ok(index) if u64::from(index) <= SHARD_INDEX_MAX => ShardIndex::new(index),
            _ => ShardIndex::parse(shard).ok()?,
        };
        Some(shard_key(StreamNumber(*number), shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_named_and_found() {
        let orders = StreamName::new("orders").expect("a name");
        let by_number = BTreeMap::from([(7, orders)]);
        let names = ShardNames { by_number, streams: Vec::new() };
        let key = ShardKey((7 << 32) + 3);
        assert_eq!(names.name(key), "orders/shardId-000000000003");
        for text in ["orders/3", "orders/shardId-000000000003", "0x700000003"] {
            assert_eq!(names.find(text), Some(key), "{text}");
        }
        assert_eq!(names.name(ShardKey(3)), "0x3");
        assert_eq!(names.name(ShardKey((7 << 32) + (1 << 31))), "0x780000000");
        for text in ["orders", "others/3", "orders/x", "0xg", "", "orders/4294967295"] {
            assert_eq!(names.find(text), None, "{text}");
        }
    }
}
