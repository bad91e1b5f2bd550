//! What the seeds of a run have reached: a check that never met a torn table has proved nothing.

use serde_json::{Map, Value};

/// One thing to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// A crash left a part of the last frame.
    TornTail,
    /// A crash left a whole frame behind one that is missing.
    Hole,
    /// Where the log ends, a whole frame of an earlier use of the file stands.
    StaleFrame,
    /// A crash took the seal of a life, wholly or in part.
    SealTorn,
    /// A crash took a part of a sealed segment's table.
    TableTorn,
    /// A crash took a frame of the catalog, wholly or in part.
    ManifestTorn,
    /// An append was refused because the disk was full.
    FullDisk,
    /// Appends were accepted again after that.
    SpaceBack,
    /// The power was cut.
    PowerCut,
    /// The process died.
    Kill,
    /// Either happened while the folder was being opened.
    CrashInOpening,
    /// A log stopped after a failed write or flush.
    LogFailed,
    /// The catalog stopped after one.
    CatalogFailed,
    /// A log had more than one segment to recover.
    TailOverSegments,
    /// A read found that records had expired.
    Expired,
    /// A shard was deleted.
    Deleted,
    /// A segment was sealed.
    Sealed,
    /// A segment was rewritten.
    Rewritten,
    /// A file was used again.
    Recycled,
    /// A byte was damaged, and it was reported.
    DamageReported,
}

/// All of them, with the names that are printed; those in front must be reached in a recorded run.
const NAMES: [(Reached, &str); 20] = [
    (Reached::TornTail, "torn_tail"),
    (Reached::Hole, "hole_before_a_whole_frame"),
    (Reached::StaleFrame, "stale_frame_of_a_recycled_file"),
    (Reached::SealTorn, "seal_torn"),
    (Reached::TableTorn, "index_torn"),
    (Reached::ManifestTorn, "manifest_torn"),
    (Reached::FullDisk, "full_disk"),
    (Reached::SpaceBack, "space_back"),
    (Reached::PowerCut, "power_cuts"),
    (Reached::Kill, "kills"),
    (Reached::CrashInOpening, "crashes_in_opening"),
    (Reached::LogFailed, "logs_failed"),
    (Reached::CatalogFailed, "catalogs_failed"),
    (Reached::TailOverSegments, "tails_over_segments"),
    (Reached::Expired, "expired"),
    (Reached::Deleted, "shards_deleted"),
    (Reached::Sealed, "segments_sealed"),
    (Reached::Rewritten, "segments_rewritten"),
    (Reached::Recycled, "files_recycled"),
    (Reached::DamageReported, "damage_reported"),
];

/// How many of [`NAMES`] a recorded run must reach.
const REQUIRED: usize = 7;
/// A run of so many seeds is a recorded one, and each required thing is reached so often in it.
const RECORDED_SEEDS: u64 = 200_000;
const RECORDED_TIMES: u64 = 1_000;

/// How often each was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: [u64; NAMES.len()],
}

impl Coverage {
    /// Once more.
    pub fn reach(&mut self, what: Reached) {
        self.counts[what as usize] += 1;
    }

    /// How often `what` was reached.
    pub fn count(&self, what: Reached) -> u64 {
        self.counts[what as usize]
    }

    /// Adds another seed's.
    pub fn add(&mut self, other: &Coverage) {
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
    }

    /// Every name with its count.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.iter().map(|&(what, name)| (name, self.count(what)))
    }

    /// What was required of a run of `seeds` seeds and not reached often enough: name, count, and
    /// how often it had to be. Asked of recorded runs only.
    pub fn missing(&self, seeds: u64) -> Vec<(&'static str, u64, u64)> {
        let required = if seeds < RECORDED_SEEDS { 0 } else { RECORDED_TIMES };
        let counts = self.named().take(REQUIRED);
        let missing = counts.filter(|&(_, count)| count < required);
        missing.map(|(name, count)| (name, count, required)).collect()
    }

    /// The other way round; every name must be there.
    pub fn from_json(object: &Value) -> Option<Coverage> {
        let mut coverage = Coverage::default();
        for (what, name) in NAMES {
            coverage.counts[what as usize] = object.get(name)?.as_u64()?;
        }
        Some(coverage)
    }

    /// As an object of JSON.
    pub fn json(&self) -> Value {
        let pairs = self.named().map(|(name, count)| (name.to_owned(), Value::from(count)));
        Value::Object(pairs.collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_the_counters() {
        for (place, (what, _)) in NAMES.iter().enumerate() {
            assert_eq!(*what as usize, place);
        }
    }

    #[test]
    fn what_was_not_reached_often_enough_is_missing() {
        let mut coverage = Coverage::default();
        (0..RECORDED_TIMES).for_each(|_| coverage.reach(Reached::TornTail));
        assert_eq!(coverage.missing(RECORDED_SEEDS).len(), REQUIRED - 1);
        assert_eq!(coverage.missing(RECORDED_SEEDS - 1).len(), 0);
    }
}
