//! Which shards a damaged frame concerns.
//!
//! The frame's own directory says it, where that is whole. Else a shard is concerned if a later
//! directory shows a gap in its indices, and it is cleared if a later directory goes on without
//! one; a shard that does not appear later cannot be cleared and is refused.

use std::collections::BTreeSet;

use crate::shard::ShardKey;
use crate::shards::Shards;

/// What the walk has seen since each damage.
#[derive(Default)]
pub(super) struct Suspects {
    damages: Vec<Seen>,
}

#[derive(Default)]
struct Seen {
    damage: usize,
    /// From the frame's own directory.
    known: Option<BTreeSet<ShardKey>>,
    gaps: BTreeSet<ShardKey>,
    cleared: BTreeSet<ShardKey>,
}

impl Suspects {
    /// A damage begins; `known` are its shards where they could be read.
    pub(super) fn start(&mut self, damage: usize, known: Option<Vec<ShardKey>>) {
        let known = known.map(|keys| keys.into_iter().collect());
        self.damages.push(Seen { damage, known, ..Seen::default() });
    }

    /// The next index of a shard is not the one that was expected.
    pub(super) fn found_gap(&mut self, key: ShardKey) {
        if let Some(newest) = self.damages.last_mut() {
            newest.gaps.insert(key);
        }
    }

    /// A shard appears behind the damage; called after `found_gap`.
    pub(super) fn seen(&mut self, key: ShardKey) {
        for seen in &mut self.damages {
            if !seen.gaps.contains(&key) {
                seen.cleared.insert(key);
            }
        }
    }

    /// Whether a damaged frame may have held records of shards that appear nowhere else.
    pub(super) fn has_nameless(&self) -> bool {
        self.damages.iter().any(|seen| seen.known.is_none())
    }

    /// The shards to refuse, for each damage.
    pub(super) fn refused(&self, shards: &Shards, damage_count: usize) -> Vec<Vec<ShardKey>> {
        let mut refused = vec![Vec::new(); damage_count];
        for seen in &self.damages {
            refused[seen.damage] = match &seen.known {
                Some(known) => known.iter().copied().collect(),
                None => {
                    let all = shards.by_key().map(|(_, state)| state.key);
                    all.filter(|key| !seen.cleared.contains(key)).collect()
                }
            };
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: Option<Vec<u64>>, gaps: &[u64], seen: &[u64], expected: &[u64]) {
        let mut shards = Shards::default();
        for key in 1..=4 {
            shards.find_or_create(ShardKey(key), 0);
        }
        let is_nameless = known.is_none();
        let mut suspects = Suspects::default();
        suspects.start(0, known.map(|keys| keys.into_iter().map(ShardKey).collect()));
        gaps.iter().for_each(|&key| suspects.found_gap(ShardKey(key)));
        seen.iter().for_each(|&key| suspects.seen(ShardKey(key)));
        assert_eq!(suspects.has_nameless(), is_nameless);
        let refused: Vec<_> = suspects.refused(&shards, 1)[0].iter().map(|key| key.0).collect();
        assert_eq!(refused, expected);
    }

    #[test]
    fn the_directory_decides_where_it_is_whole() {
        check(Some(vec![2, 3]), &[2], &[1, 2], &[2, 3]);
    }

    #[test]
    fn else_gaps_accuse_and_only_continuity_clears() {
        check(None, &[2], &[1, 2], &[2, 3, 4]);
        check(None, &[], &[1, 2, 3, 4], &[]);
        check(None, &[], &[], &[1, 2, 3, 4]);
    }
}
