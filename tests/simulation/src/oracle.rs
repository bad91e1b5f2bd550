//! What must be true of a folder, from what its users were told: the judge of every seed.
//!
//! It knows the calls and their answers, and the bytes that readers got; never the log's insides.
//! It must never forgive what a user would not: whatever was acknowledged, read, or served after a
//! recovery stays, at its index, unaltered.

use std::collections::BTreeMap;

pub use self::entries::{Entries, Standing, Status};
pub use self::history::{Fact, History};

mod entries;
mod history;

/// Everything that users of one folder know.
#[derive(Default)]
pub struct Oracle {
    /// Records, by shard key.
    pub shards: BTreeMap<u64, History>,
    /// The catalog's keys.
    pub entries: Entries,
}

impl Oracle {
    /// The history of a shard that was created.
    pub fn shard(&mut self, key: u64) -> &mut History {
        self.shards.get_mut(&key).expect("only shards that were created are used")
    }

    /// The shards of one log.
    pub fn of_log(&self, log: u16) -> impl Iterator<Item = &History> {
        self.shards.values().filter(move |history| history.log == log)
    }
}
