//! All shards of one log: what is assigned, what is durable, what is kept.
//!
//! Plain state without I/O; the appender assigns, the committer makes durable, recovery fills it.

use std::collections::BTreeMap;

use runtime::prefetch::prefetch;

use crate::life::ShardLife;
use crate::shard::{ShardKey, ShardSlot};

/// Why a shard takes and gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was deleted.
    Deleted,
    /// Acknowledged records of it are damaged; see the log's damage report.
    Damaged,
    /// It is closed: it can be read, not written.
    Closed,
}

/// One shard's state.
#[derive(Clone, Debug)]
pub struct ShardState {
    /// Its name.
    pub key: ShardKey,
    /// The tail: index of the next record to be assigned.
    pub next_index: u64,
    /// Index behind its newest record in a sealed frame: what the table of a segment says.
    pub sealed_index: u64,
    /// The durable tail: all indices below it are durable and may be read.
    pub durable_index: u64,
    /// First index that has not expired.
    pub horizon: u64,
    /// First segment that may hold records of it that have not expired.
    pub horizon_segment: u64,
    /// Arrival time of its newest record in a sealed frame, Unix ms; 0 if none.
    pub last_arrival_ms: u64,
    /// How long records are kept after their arrival, ms.
    pub retention_ms: u64,
    /// This life's owner has said so. Until then nothing expires: it may be longer than a table of
    /// an earlier life says.
    pub is_owned: bool,
    /// Followers to be fed at commit.
    pub follower_count: u32,
    /// Reads go on, appends are refused.
    pub closed: bool,
    /// Nothing of it is kept any more.
    pub deleted: bool,
    /// Acknowledged records of it are damaged: refused until repaired.
    pub damaged: bool,
}

impl ShardState {
    fn new(key: ShardKey, retention_ms: u64) -> ShardState {
        ShardState {
            key,
            next_index: 0,
            sealed_index: 0,
            durable_index: 0,
            horizon: 0,
            horizon_segment: u64::MAX,
            last_arrival_ms: 0,
            retention_ms,
            is_owned: false,
            follower_count: 0,
            closed: false,
            deleted: false,
            damaged: false,
        }
    }

    /// Its records below `horizon` have expired; those that are kept are in `segment` or behind it.
    pub(crate) fn expire(&mut self, horizon: u64, segment: u64) {
        assert!(horizon <= self.sealed_index, "what is not sealed does not expire");
        self.horizon = self.horizon.max(horizon);
        self.horizon_segment = match self.horizon_segment {
            u64::MAX => segment,
            known => known.max(segment),
        };
    }

    /// Why the shard may not be read, if so.
    pub fn read_refusal(&self) -> Option<Refusal> {
        match self {
            ShardState { deleted: true, .. } => Some(Refusal::Deleted),
            ShardState { damaged: true, .. } => Some(Refusal::Damaged),
            _ => None,
        }
    }

    /// Why the shard may not be written, if so.
    pub fn append_refusal(&self) -> Option<Refusal> {
        self.read_refusal().or(self.closed.then_some(Refusal::Closed))
    }
}

/// The shards of one log by slot and by key. Slots are never reused within one opening.
#[derive(Default)]
pub struct Shards {
    states: Vec<ShardState>,
    slots: BTreeMap<ShardKey, ShardSlot>,
}

impl Shards {
    /// The slot of `key`, if the log knows it.
    pub fn find(&self, key: ShardKey) -> Option<ShardSlot> {
        self.slots.get(&key).copied()
    }

    /// The slot of `key`; a new shard starts empty and keeps records for `retention_ms`.
    pub fn find_or_create(&mut self, key: ShardKey, retention_ms: u64) -> ShardSlot {
        if let Some(slot) = self.find(key) {
            return slot;
        }
        let count = u32::try_from(self.states.len()).expect("a log has fewer than 2^32 shards");
        let slot = ShardSlot(count);
        self.states.push(ShardState::new(key, retention_ms));
        self.slots.insert(key, slot);
        slot
    }

    /// What is wanted of the shard of this key; `None` if it was deleted. The log knows every shard
    /// that has records, from its newest table and the frames behind it, and a key never comes back
    /// once its shard was deleted.
    pub(crate) fn life(&self, key: ShardKey) -> Option<ShardLife> {
        self.find(key).map(|slot| self.life_of(slot))
    }

    /// What is wanted of the shard in this slot.
    pub(crate) fn life_of(&self, slot: ShardSlot) -> ShardLife {
        let ShardState { retention_ms, is_owned, horizon, deleted, .. } = *self.get(slot);
        let retention_ms = if is_owned { retention_ms } else { u64::MAX };
        ShardLife { retention_ms, horizon, deleted }
    }

    /// How many shards the log knows, deleted ones included.
    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// The state of a slot that this log handed out.
    pub fn get(&self, slot: ShardSlot) -> &ShardState {
        &self.states[slot.at()]
    }

    /// Says that the state of a slot will be asked for.
    pub(crate) fn prefetch(&self, slot: ShardSlot) {
        prefetch(self.get(slot));
    }

    /// The state of a slot that this log handed out, to be changed.
    pub fn get_mut(&mut self, slot: ShardSlot) -> &mut ShardState {
        &mut self.states[slot.at()]
    }

    /// All shards in the order of their keys, as the table of a sealed segment lists them.
    pub fn by_key(&self) -> impl Iterator<Item = (ShardSlot, &ShardState)> {
        self.slots.values().map(|&slot| (slot, &self.states[slot.at()]))
    }

    /// Forgets a deleted shard's name, so that a shard of the same key starts anew.
    pub fn forget(&mut self, slot: ShardSlot) {
        let key = self.states[slot.at()].key;
        assert!(self.states[slot.at()].deleted);
        self.slots.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_dense_and_keys_are_ordered() {
        let mut shards = Shards::default();
        let nine = shards.find_or_create(ShardKey(9), 1);
        let four = shards.find_or_create(ShardKey(4), 1);
        assert_eq!((nine, four), (ShardSlot(0), ShardSlot(1)));
        assert_eq!(shards.find_or_create(ShardKey(9), 1), nine);
        let keys: Vec<_> = shards.by_key().map(|(_, state)| state.key.0).collect();
        assert_eq!(keys, [4, 9]);
    }

    #[test]
    fn a_forgotten_key_starts_anew_in_another_slot() {
        let mut shards = Shards::default();
        let old = shards.find_or_create(ShardKey(1), 1);
        shards.get_mut(old).next_index = 5;
        shards.get_mut(old).deleted = true;
        shards.forget(old);
        assert_eq!(shards.find(ShardKey(1)), None);
        let new = shards.find_or_create(ShardKey(1), 1);
        assert_ne!(new, old);
        assert_eq!(shards.get(new).next_index, 0);
    }

    #[test]
    fn refusals_name_the_strongest_reason() {
        let mut state = ShardState::new(ShardKey(1), 1);
        assert_eq!(state.append_refusal(), None);
        state.closed = true;
        assert_eq!((state.read_refusal(), state.append_refusal()), (None, Some(Refusal::Closed)));
        state.damaged = true;
        assert_eq!(state.append_refusal(), Some(Refusal::Damaged));
        state.deleted = true;
        assert_eq!(state.read_refusal(), Some(Refusal::Deleted));
    }
}
