//! Which shards a damaged frame concerns, where its own directory cannot say it.
//!
//! A later directory, or a later table, that goes on where a shard had been clears it; one that
//! shows a gap accuses it. A shard that nothing clears is concerned.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::{Concerned, Finding, KnownBy};
use crate::shard::ShardKey;
use crate::table::Row;

/// Findings whose shards are not known yet. More are decided at once, so that a file full of
/// damage costs no more memory than this many sets of shards.
const OPEN_COUNT_MAX: usize = 16;

/// The findings that wait for an answer, and every shard that has been named so far.
#[derive(Default)]
pub(super) struct Suspects {
    open: Vec<Open>,
    named: BTreeSet<ShardKey>,
}

struct Open {
    finding: Finding,
    gaps: BTreeSet<ShardKey>,
    cleared: BTreeSet<ShardKey>,
}

impl Suspects {
    /// A finding whose shards are known: gaps of theirs are explained by it.
    pub(super) fn name(&mut self, keys: impl IntoIterator<Item = ShardKey>) {
        self.named.extend(keys);
    }

    /// Whether a finding waits.
    pub(super) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// A finding whose shards are to be found out. Gives the one that has to be decided for it.
    pub(super) fn open(
        &mut self,
        finding: Finding,
        indices: &BTreeMap<ShardKey, u64>,
    ) -> Option<Finding> {
        self.open.push(Open { finding, gaps: BTreeSet::new(), cleared: BTreeSet::new() });
        (self.open.len() > OPEN_COUNT_MAX).then(|| {
            let oldest = self.open.remove(0);
            self.decide(oldest, indices)
        })
    }

    /// A shard goes on where it was.
    pub(super) fn goes_on(&mut self, key: ShardKey) {
        for open in &mut self.open {
            if !open.gaps.contains(&key) {
                open.cleared.insert(key);
            }
        }
    }

    /// A shard goes on behind a gap. False if nothing that was found explains it.
    pub(super) fn has_gap(&mut self, key: ShardKey) -> bool {
        let mut is_explained = self.named.contains(&key);
        for open in &mut self.open {
            if !open.cleared.contains(&key) {
                open.gaps.insert(key);
                is_explained = true;
            }
        }
        self.named.insert(key);
        is_explained
    }

    /// A whole table says where every shard of the log is, and `walked` where the frames have led
    /// to: what waits is decided by it. Gives the findings, and the shards of which it says
    /// something else than the frames.
    pub(super) fn ask_table(
        &mut self,
        rows: &[Row],
        walked: impl Fn(&Row) -> u64,
    ) -> (Vec<Finding>, Vec<ShardKey>) {
        let mut disagreeing = Vec::new();
        for row in rows {
            if row.damaged {
                // An opening found its records damaged, and its index may have started over.
                self.has_gap(row.key);
            } else if walked(row) == row.next_index {
                self.goes_on(row.key);
            } else if !self.has_gap(row.key) {
                disagreeing.push(row.key);
            }
        }
        let decided = self.open.drain(..).map(|open| Finding {
            concerned: Concerned::Shards(open.gaps.into_iter().collect()),
            known_by: KnownBy::Gaps,
            ..open.finding
        });
        (decided.collect(), disagreeing)
    }

    /// The log ends: what waits is decided by what was seen.
    pub(super) fn close(&mut self, indices: &BTreeMap<ShardKey, u64>) -> Vec<Finding> {
        let open = std::mem::take(&mut self.open);
        open.into_iter().map(|open| self.decide(open, indices)).collect()
    }

    fn decide(&mut self, open: Open, indices: &BTreeMap<ShardKey, u64>) -> Finding {
        let Open { finding, gaps, cleared } = open;
        let mut keys = gaps.clone();
        keys.extend(indices.keys().filter(|key| !cleared.contains(key)));
        self.named.extend(keys.iter());
        let known_by = if keys == gaps { KnownBy::Gaps } else { KnownBy::Exclusion };
        Finding { concerned: Concerned::Shards(keys.into_iter().collect()), known_by, ..finding }
    }
}

#[cfg(test)]
mod tests {
    use super::super::seen::{Consequence, Place, Wrong};
    use super::*;

    fn finding() -> Finding {
        Finding {
            place: Place { log: Some(0), segment: Some(0), file: String::new(), position: 0 },
            wrong: Wrong::FrameHeader,
            frames: None,
            concerned: Concerned::Log(0),
            known_by: KnownBy::Exclusion,
            consequence: Consequence::Refused,
        }
    }

    fn indices() -> BTreeMap<ShardKey, u64> {
        (1..=4).map(|key| (ShardKey(key), 10)).collect()
    }

    fn row(key: u64, next_index: u64) -> Row {
        Row {
            key: ShardKey(key),
            next_index,
            last_arrival_ms: 0,
            first_live_segment: 0,
            retention_ms: 1,
            count: 0,
            bytes: 0,
            first_posting: 0,
            postings: 0,
            closed: false,
            damaged: false,
        }
    }

    fn keys(finding: &Finding) -> Vec<u64> {
        match &finding.concerned {
            Concerned::Shards(keys) => keys.iter().map(|key| key.0).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn at_the_end_only_those_that_went_on_are_cleared() {
        let mut suspects = Suspects::default();
        assert!(suspects.open(finding(), &indices()).is_none());
        suspects.goes_on(ShardKey(1));
        assert!(suspects.has_gap(ShardKey(2)));
        suspects.goes_on(ShardKey(2));
        let decided = suspects.close(&indices());
        assert_eq!((keys(&decided[0]), decided[0].known_by), (vec![2, 3, 4], KnownBy::Exclusion));
        assert!(suspects.has_gap(ShardKey(3)), "the finding explains it");
        assert!(!suspects.are_open());
    }

    #[test]
    fn a_table_decides_exactly() {
        let mut suspects = Suspects::default();
        suspects.open(finding(), &indices());
        let rows = [row(1, 10), row(2, 10), row(3, 12), row(4, 10)];
        let (decided, disagreeing) = suspects.ask_table(&rows, |row| indices()[&row.key]);
        assert_eq!((keys(&decided[0]), decided[0].known_by), (vec![3], KnownBy::Gaps));
        assert_eq!(disagreeing, []);
    }

    #[test]
    fn a_table_that_disagrees_without_a_damage_is_found_out() {
        let mut suspects = Suspects::default();
        suspects.name([ShardKey(4)]);
        let rows = [row(1, 10), row(2, 11), row(4, 9)];
        let (decided, disagreeing) = suspects.ask_table(&rows, |row| indices()[&row.key]);
        assert_eq!((decided, disagreeing), (vec![], vec![ShardKey(2)]));
    }

    #[test]
    fn a_gap_is_explained_by_a_damage_that_may_have_caused_it() {
        let mut suspects = Suspects::default();
        assert!(!suspects.has_gap(ShardKey(1)));
        suspects.open(finding(), &indices());
        suspects.goes_on(ShardKey(2));
        assert!(!suspects.has_gap(ShardKey(2)), "it went on behind the damage");
        assert!(suspects.has_gap(ShardKey(3)));
    }

    #[test]
    fn findings_that_wait_are_bounded() {
        let mut suspects = Suspects::default();
        for _ in 0..OPEN_COUNT_MAX {
            assert!(suspects.open(finding(), &indices()).is_none());
        }
        let decided = suspects.open(finding(), &indices()).expect("one too many");
        assert_eq!(keys(&decided), [1, 2, 3, 4]);
    }
}
