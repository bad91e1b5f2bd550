//! What is still wanted of a shard: what rewriting and retention ask about every row of a table.

use crate::table::Row;

/// What is kept of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardLife {
    /// How long records are kept after their arrival, ms.
    pub retention_ms: u64,
    /// First index that has not expired. It never falls.
    pub horizon: u64,
    /// Nothing of it is kept.
    pub deleted: bool,
}

impl ShardLife {
    /// Whether anything that `row` says its segment holds is still wanted.
    pub fn keeps(&self, row: &Row) -> bool {
        !self.deleted && row.count > 0 && row.next_index > self.horizon
    }

    /// When the newest record that `row` knows of expires, Unix ms.
    pub fn expiry_ms(&self, row: &Row) -> u64 {
        row.last_arrival_ms.saturating_add(self.retention_ms)
    }
}
