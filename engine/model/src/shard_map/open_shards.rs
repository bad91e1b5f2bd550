//! The open shards as two flat arrays, and the search for the one that holds a key.
//!
//! ```text
//!     starts   [ 0        2^126       2^127     3 * 2^126 ]   ascending, the first is 0
//!     indices  [ 0        5           2         6         ]   the shard that starts there
//! ```
//!
//! A range ends where the next one starts, so that tiling needs no ends. Closed shards are unknown
//! here.

use super::Shard;
use crate::hash_key::HashKey;
use crate::shard_id::ShardIndex;

/// See the module. Both arrays have the same length, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenShards {
    starts: Vec<HashKey>,
    indices: Vec<ShardIndex>,
}

impl OpenShards {
    /// The open ones among all shards; the error is the first place that has none or more than one.
    pub(super) fn new(shards: &[Shard]) -> Result<Self, HashKey> {
        let mut open: Vec<&Shard> = shards.iter().filter(|shard| shard.is_open()).collect();
        open.sort_unstable_by_key(|shard| shard.range.start());
        let (Some(first), Some(last)) = (open.first(), open.last()) else {
            return Err(HashKey::MIN);
        };
        if first.range.start() != HashKey::MIN {
            return Err(HashKey::MIN);
        }
        for pair in open.windows(2) {
            if !pair[0].range.is_followed_by(pair[1].range) {
                return Err(pair[0].range.end().min(pair[1].range.start()));
            }
        }
        if last.range.end() != HashKey::MAX {
            return Err(last.range.end());
        }
        Ok(Self {
            starts: open.iter().map(|shard| shard.range.start()).collect(),
            indices: open.iter().map(|shard| shard.index).collect(),
        })
    }

    pub(super) fn indices(&self) -> &[ShardIndex] {
        &self.indices
    }

    /// The shard of a key: a guess that is right or one too low where all ranges are equal, which
    /// costs two neighbouring loads instead of a chain of 12 for 4,096 shards; else a search.
    pub(super) fn locate(&self, key: HashKey) -> ShardIndex {
        let guess = self.guess(key);
        let place = if self.holds(guess, key) {
            guess
        } else if self.holds(guess + 1, key) {
            guess + 1
        } else {
            self.starts.partition_point(|start| *start <= key) - 1
        };
        self.indices[place]
    }

    /// Replaces a shard by two, the second of which starts at `new_start`.
    pub(super) fn split(
        &mut self,
        shard: ShardIndex,
        new_start: HashKey,
        children: [ShardIndex; 2],
    ) {
        let place = self.place(shard);
        let [low, high] = children;
        assert!(self.starts[place] < new_start);
        assert!(self.starts.get(place + 1).is_none_or(|next| new_start < *next));
        self.indices[place] = low;
        self.indices.insert(place + 1, high);
        self.starts.insert(place + 1, new_start);
        assert!(self.starts.len() == self.indices.len());
    }

    /// Replaces two neighbours by one.
    pub(super) fn merge(&mut self, pair: [ShardIndex; 2], child: ShardIndex) {
        let place = self.place(pair[0]);
        assert!(self.indices[place + 1] == pair[1], "the caller has compared the ranges");
        self.indices[place] = child;
        self.indices.remove(place + 1);
        self.starts.remove(place + 1);
        assert!(self.starts.len() == self.indices.len());
    }

    /// floor(key * n / 2^128), from the key's upper half. With ranges of floor(2^128 / n) each,
    /// shard i starts at or a little before i / n of the space: the guess is the shard or the one
    /// before.
    fn guess(&self, key: HashKey) -> usize {
        let upper = key.0 >> 64;
        let guess = (upper * self.starts.len() as u128) >> 64;
        usize::try_from(guess).expect("a part of the number of shards")
    }

    fn holds(&self, place: usize, key: HashKey) -> bool {
        self.starts.get(place).is_some_and(|start| *start <= key)
            && self.starts.get(place + 1).is_none_or(|next| key < *next)
    }

    fn place(&self, shard: ShardIndex) -> usize {
        let found = self.indices.iter().position(|index| *index == shard);
        found.expect("an open shard is among the open shards")
    }
}
