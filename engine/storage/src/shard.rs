//! How a log names its shards.

/// A shard's name within a data folder. Opaque here: the server makes it of stream and shard index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardKey(pub u64);

/// A shard's dense ordinal within one opened log; not kept on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardSlot(pub u32);

impl ShardSlot {
    /// The slot as a subscript.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}
