//! One shard: its range, where it came from, and what became of it.

use crate::hash_key::HashKeyRange;
use crate::sequence_number::SequenceNumber;
use crate::shard_id::ShardIndex;

/// What a stream knows of one of its shards. Times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its ordinal in the stream.
    pub index: ShardIndex,
    /// The places that it takes, or took while it was open.
    pub range: HashKeyRange,
    /// The shards whose range it took over.
    pub parents: Parents,
    /// When it was created; every sequence number of its records carries this.
    pub created_s: u64,
    /// Whether it takes records.
    pub state: ShardState,
}

/// Where a shard came from. A parent may have expired since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parents {
    /// It was there when the stream was created.
    None,
    /// It is a half of this one.
    Split(ShardIndex),
    /// It is the union of two.
    Merge {
        /// Kinesis's `ParentShardId`: the lower one.
        parent: ShardIndex,
        /// Kinesis's `AdjacentParentShardId`.
        adjacent: ShardIndex,
    },
}

impl Parents {
    /// Parent, then adjacent parent.
    pub fn iter(self) -> impl Iterator<Item = ShardIndex> {
        let (parent, adjacent) = match self {
            Self::None => (None, None),
            Self::Split(parent) => (Some(parent), None),
            Self::Merge { parent, adjacent } => (Some(parent), Some(adjacent)),
        };
        parent.into_iter().chain(adjacent)
    }
}

/// What became of a shard. A closed one keeps its records until they expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// It takes records.
    Open,
    /// Two others took over its range.
    Split {
        /// When it was closed.
        at_s: u64,
        /// Low, then high.
        children: [ShardIndex; 2],
    },
    /// One other took over its range and its neighbour's.
    Merged {
        /// When it was closed.
        at_s: u64,
        /// The union.
        child: ShardIndex,
    },
}

impl ShardState {
    /// Up to two, in the order of their ranges.
    pub(super) fn children(self) -> [Option<ShardIndex>; 2] {
        match self {
            Self::Open => [None, None],
            Self::Split { children: [low, high], .. } => [Some(low), Some(high)],
            Self::Merged { child, .. } => [Some(child), None],
        }
    }
}

impl Shard {
    /// Whether it takes records.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == ShardState::Open
    }

    /// When it was closed, in Unix seconds; `None` while it is open.
    #[must_use]
    pub fn closed_s(&self) -> Option<u64> {
        match self.state {
            ShardState::Open => None,
            ShardState::Split { at_s, .. } | ShardState::Merged { at_s, .. } => Some(at_s),
        }
    }

    /// Kinesis's `StartingSequenceNumber`.
    #[must_use]
    pub fn starting_sequence_number(&self) -> SequenceNumber {
        SequenceNumber::starting(self.index, self.created_s)
    }

    /// Kinesis's `EndingSequenceNumber`, which only closed shards have.
    #[must_use]
    pub fn ending_sequence_number(&self) -> Option<SequenceNumber> {
        let closed_s = self.closed_s()?;
        Some(SequenceNumber::ending(self.index, self.created_s, closed_s))
    }

    /// Whether this shard says that the other is its child, the other that this is its parent, and
    /// their ranges and times allow it.
    pub(super) fn is_parent_of(&self, child: &Self) -> bool {
        let is_named = self.state.children().contains(&Some(child.index));
        let names = child.parents.iter().any(|parent| parent == self.index);
        let is_later = self.closed_s().is_some_and(|at_s| at_s < child.created_s);
        let place = match (self.state, child.parents) {
            (ShardState::Split { children: [low, _], .. }, Parents::Split(_)) => {
                if child.index == low {
                    child.range.start() == self.range.start()
                        && child.range.end() < self.range.end()
                } else {
                    child.range.end() == self.range.end()
                        && child.range.start() > self.range.start()
                }
            }
            (ShardState::Merged { .. }, Parents::Merge { parent, .. }) => {
                if self.index == parent {
                    child.range.start() == self.range.start()
                        && self.range.end() < child.range.end()
                } else {
                    child.range.end() == self.range.end()
                        && child.range.start() < self.range.start()
                }
            }
            _ => false,
        };
        is_named && names && is_later && place && self.index < child.index
    }
}
