//! The shards of one stream, open and closed, and which open one a key belongs to.
//!
//! Every core that takes requests keeps a copy, so that a record is routed without asking anybody.
//! A map is only ever changed by [`ShardMap::split`], [`ShardMap::merge`] and [`ShardMap::remove`];
//! between two of these the ranges of the open shards tile the whole space: every key has exactly
//! one. A map does not know where a shard lives, nor what is stored in it.

mod open_shards;
mod shard;

use crate::hash_key::{HashKey, HashKeyRange};
use crate::shard_id::ShardIndex;
use open_shards::OpenShards;
pub use shard::{Parents, Shard, ShardState};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMap {
    /// Ascending by index. Gaps are closed shards that were removed.
    shards: Vec<Shard>,
    open: OpenShards,
}

/// Why shards that were stored somewhere are not a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardMapError {
    /// A shard's index is not above that of the shard before it.
    NotAscending(ShardIndex),
    /// The open shards leave a gap or overlap at this place.
    NotTiled(HashKey),
    /// The shard and one of its parents or children contradict each other.
    WrongFamily(ShardIndex),
}

/// Why shards cannot be split or merged as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReshardError {
    /// There is no such shard, or not any more.
    Unknown(ShardIndex),
    /// The shard was split or merged before.
    Closed(ShardIndex),
    /// The new start is not above the shard's start + 1 and below its end.
    StartOutOfRange {
        /// The shard to split.
        shard: ShardIndex,
        /// Where its upper half was to start.
        new_start: HashKey,
        /// The shard's range.
        range: HashKeyRange,
    },
    /// The second shard's range does not follow the first's.
    NotAdjacent([ShardIndex; 2]),
}

impl ShardMap {
    /// `count` open shards of equal ranges: shard i starts at floor(2^128 / count) * i and the last
    /// ends at 2^128 - 1, as at AWS. `created_s` is the Unix second of the creation. Panics for 0
    /// shards or more than there are indices.
    #[must_use]
    pub fn uniform(count: u32, created_s: u64) -> Self {
        assert!(count > 0, "a stream has at least one shard");
        assert!(count - 1 <= ShardIndex::MAX.get(), "a shard index has 31 bits");
        // floor(2^128 / n) out of 2^128 - 1: one more where n divides 2^128. Nobody asks where a
        // second shard starts if there is none.
        let parts = u128::from(count);
        let divides = u128::MAX % parts == parts - 1;
        let stride = (u128::MAX / parts).saturating_add(u128::from(divides));
        let shards = (0..count).map(|index| {
            let start = stride * u128::from(index);
            let end = if index == count - 1 { u128::MAX } else { start + (stride - 1) };
            let range = HashKeyRange::new(HashKey(start), HashKey(end));
            Shard {
                index: ShardIndex::new(index),
                range: range.expect("a stride is at least one"),
                parents: Parents::None,
                created_s,
                state: ShardState::Open,
            }
        });
        Self::from_shards(shards.collect()).expect("equal parts tile the space")
    }

    /// A map out of the shards of an earlier one, as [`ShardMap::shards`] gave them.
    ///
    /// # Errors
    /// Where no map can have had these shards: what stored them is damaged.
    pub fn from_shards(shards: Vec<Shard>) -> Result<Self, ShardMapError> {
        for pair in shards.windows(2) {
            if pair[0].index >= pair[1].index {
                return Err(ShardMapError::NotAscending(pair[1].index));
            }
        }
        let open = OpenShards::new(&shards).map_err(ShardMapError::NotTiled)?;
        let map = Self { shards, open };
        match map.first_with_wrong_family() {
            Some(shard) => Err(ShardMapError::WrongFamily(shard)),
            None => Ok(map),
        }
    }

    /// The open shard whose range holds the key.
    #[must_use]
    pub fn locate(&self, key: HashKey) -> ShardIndex {
        self.open.locate(key)
    }

    /// A shard, open or closed; `None` where there is none or not any more.
    #[must_use]
    pub fn get(&self, shard: ShardIndex) -> Option<&Shard> {
        self.place(shard).map(|place| &self.shards[place])
    }

    /// All shards, open and closed, ascending by index.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The open shards in the order of their ranges; never empty.
    #[must_use]
    pub fn open(&self) -> &[ShardIndex] {
        self.open.indices()
    }

    /// The shards that took over a shard's range when it was closed: two after a split, one after a
    /// merge, none for an open or unknown shard. GetRecords lists these as `ChildShards`.
    pub fn children(&self, shard: ShardIndex) -> impl Iterator<Item = &Shard> {
        let children = self.get(shard).map(|shard| shard.state.children());
        children
            .into_iter()
            .flatten()
            .flatten()
            .map(|child| self.get(child).expect("a child is not removed before its parents"))
    }

    /// Closes a shard and opens two that share its range, low then high; the upper one starts at
    /// `new_start`. `now_s` is Unix time in seconds; the children are created in a later second
    /// than their parent was closed in, so that their sequence numbers are above all of its own.
    ///
    /// # Errors
    /// The map is then as it was.
    pub fn split(
        &mut self,
        shard: ShardIndex,
        new_start: HashKey,
        now_s: u64,
    ) -> Result<[ShardIndex; 2], ReshardError> {
        let (place, parent) = self.open_shard(shard)?;
        let range = parent.range;
        let halves = range.split(new_start).ok_or(ReshardError::StartOutOfRange {
            shard,
            new_start,
            range,
        })?;
        let at_s = now_s.max(parent.created_s);
        let low = self.next_index();
        let high = ShardIndex::new(low.get() + 1);
        let children = [low, high];
        self.shards[place].state = ShardState::Split { at_s, children };
        for (index, range) in children.into_iter().zip(halves) {
            let parents = Parents::Split(shard);
            let state = ShardState::Open;
            self.shards.push(Shard { index, range, parents, created_s: at_s + 1, state });
        }
        self.open.split(shard, new_start, children);
        debug_assert_eq!(Self::from_shards(self.shards.clone()).as_ref(), Ok(&*self));
        Ok(children)
    }

    /// Closes two shards of which the second's range follows the first's, and opens one with both
    /// ranges. Times as in [`ShardMap::split`].
    ///
    /// # Errors
    /// The map is then as it was.
    pub fn merge(&mut self, pair: [ShardIndex; 2], now_s: u64) -> Result<ShardIndex, ReshardError> {
        let [parent, adjacent] = pair;
        let (first_place, first) = self.open_shard(parent)?;
        let (second_place, second) = self.open_shard(adjacent)?;
        let range = first.range.merge(second.range).ok_or(ReshardError::NotAdjacent(pair))?;
        let at_s = now_s.max(first.created_s).max(second.created_s);
        let child = self.next_index();
        self.shards[first_place].state = ShardState::Merged { at_s, child };
        self.shards[second_place].state = ShardState::Merged { at_s, child };
        let parents = Parents::Merge { parent, adjacent };
        let state = ShardState::Open;
        self.shards.push(Shard { index: child, range, parents, created_s: at_s + 1, state });
        self.open.merge(pair, child);
        debug_assert_eq!(Self::from_shards(self.shards.clone()).as_ref(), Ok(&*self));
        Ok(child)
    }

    /// Forgets a closed shard whose records have expired. Parents go before their children. Panics
    /// for an open or unknown shard, and while a parent is still there.
    pub fn remove(&mut self, shard: ShardIndex) {
        let place = self.place(shard).expect("a shard is removed once");
        let removed = self.shards[place];
        assert!(!removed.is_open(), "an open shard takes records");
        for parent in removed.parents.iter() {
            assert!(self.get(parent).is_none(), "readers of a parent must find its children");
        }
        self.shards.remove(place);
    }

    /// Where a shard stands in `shards`. Indices are dense until something is removed.
    fn place(&self, shard: ShardIndex) -> Option<usize> {
        let guess = usize::try_from(shard.get()).expect("usize has at least 32 bits here");
        match self.shards.get(guess) {
            Some(found) if found.index == shard => Some(guess),
            _ => self.shards.binary_search_by_key(&shard, |shard| shard.index).ok(),
        }
    }

    fn open_shard(&self, shard: ShardIndex) -> Result<(usize, Shard), ReshardError> {
        let place = self.place(shard).ok_or(ReshardError::Unknown(shard))?;
        let found = self.shards[place];
        if found.is_open() { Ok((place, found)) } else { Err(ReshardError::Closed(shard)) }
    }

    /// The highest index is always that of an open shard, so it is never removed and given again.
    fn next_index(&self) -> ShardIndex {
        let last = self.shards.last().expect("a stream has at least one shard");
        assert!(last.is_open());
        ShardIndex::new(last.index.get() + 1)
    }

    /// A closed shard's children must be there and name it as a parent; a shard whose parent is
    /// still there must be its child; ranges and times must fit.
    fn first_with_wrong_family(&self) -> Option<ShardIndex> {
        let fits = |shard: &Shard| {
            let mut children = shard.state.children().into_iter().flatten();
            let children_fit = children
                .all(|child| self.get(child).is_some_and(|child| shard.is_parent_of(child)));
            let mut parents = shard.parents.iter().filter_map(|parent| self.get(parent));
            children_fit && parents.all(|parent| parent.is_parent_of(shard))
        };
        self.shards.iter().find(|shard| !fits(shard)).map(|shard| shard.index)
    }
}

#[cfg(test)]
mod tests;
