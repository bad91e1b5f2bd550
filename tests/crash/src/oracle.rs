//! What must be true of everything that a run was told and shown.
//!
//! - An acknowledged record is there, once, whole, where the acknowledgement said, for ever.
//! - So is a record that a reader was shown: it may not be shown before it is durable.
//! - A record that was sent and not acknowledged may be there or not; but once a complete listing
//!   has it, it stays, and once a complete listing lacks it, it never comes back.
//! - If X was acknowledged or shown before Y was sent, X stands before Y in their shard.
//! - Indices within a shard follow each other without a gap.

use crate::journal::{Event, Place};
use crate::listing::Row;
use crate::record::{RecordId, content, digest, parse_head};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Violations kept in full; the rest is only counted.
const WITNESSES_MAX: usize = 8;

/// One thing that must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Acknowledged or shown, and not in a complete listing.
    Lost {
        /// The record.
        id: RecordId,
        /// Where it stood.
        place: Place,
    },
    /// Twice in one listing.
    Doubled {
        /// The record.
        id: RecordId,
        /// The second place.
        place: Place,
    },
    /// Somewhere else than it was said to be.
    Moved {
        /// The record.
        id: RecordId,
        /// Where it was acknowledged or first shown.
        from: Place,
        /// Where it is now.
        to: Place,
    },
    /// Absent from a complete listing and there again later.
    Returned {
        /// The record.
        id: RecordId,
        /// Where it is now.
        place: Place,
    },
    /// It names itself as ours, but its bytes are others, or nobody sent it.
    Corrupt {
        /// Where it was found.
        place: Place,
    },
    /// Not behind what was acknowledged or shown before it was sent.
    Reordered {
        /// The record.
        id: RecordId,
        /// Where it is.
        place: Place,
        /// The index that it had to exceed.
        floor: u64,
    },
    /// The next index of the shard was another one.
    Gap {
        /// Where the listing went on.
        place: Place,
        /// The index that had to come.
        expected: u64,
    },
}

impl Violation {
    /// One word for tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Violation::Lost { .. } => "lost",
            Violation::Doubled { .. } => "doubled",
            Violation::Moved { .. } => "moved",
            Violation::Returned { .. } => "returned",
            Violation::Corrupt { .. } => "corrupt",
            Violation::Reordered { .. } => "reordered",
            Violation::Gap { .. } => "gap",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |place: &Place| format!("shard {} index {}", place.shard, place.index);
        let name = |id: &RecordId| {
            format!("record {} of producer {} in life {}", id.sequence, id.producer, id.life)
        };
        match self {
            Violation::Lost { id, place } => {
                write!(formatter, "lost: {}, acknowledged or shown at {}", name(id), at(place))
            }
            Violation::Doubled { id, place } => {
                write!(formatter, "doubled: {}, the second time at {}", name(id), at(place))
            }
            Violation::Moved { id, from, to } => {
                write!(formatter, "moved: {}, from {} to {}", name(id), at(from), at(to))
            }
            Violation::Returned { id, place } => {
                write!(formatter, "returned: {}, absent before, now at {}", name(id), at(place))
            }
            Violation::Corrupt { place } => {
                write!(formatter, "corrupt: the record at {} is not one that was sent", at(place))
            }
            Violation::Reordered { id, place, floor } => {
                let id = name(id);
                write!(formatter, "reordered: {id}, at {}, had to be past {floor}", at(place))
            }
            Violation::Gap { place, expected } => {
                write!(formatter, "gap: {} where index {expected} had to come", at(place))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    /// Acknowledged, or shown to a reader.
    Confirmed(Place),
    /// A complete listing lacked it.
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    fate: Fate,
    /// The order of events over the run.
    sent_at: u64,
}

/// How many records a run has, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OracleCounts {
    /// Sent.
    pub sent: u64,
    /// Of those, acknowledged.
    pub acked: u64,
    /// Of those not acknowledged, lost in a crash, as they may be.
    pub gone: u64,
}

/// All that one data folder's lives were told and shown.
#[derive(Debug)]
pub struct Oracle {
    run: u64,
    known: BTreeMap<RecordId, Known>,
    /// By shard: the highest index confirmed so far, with the event that raised it.
    highest: BTreeMap<u32, Vec<(u64, u64)>>,
    events: u64,
    counts: OracleCounts,
    violations: Vec<Violation>,
    violation_count: u64,
}

impl Oracle {
    /// Nothing was sent yet. `run` is the seed of the records.
    #[must_use]
    pub fn new(run: u64) -> Oracle {
        Oracle {
            run,
            known: BTreeMap::new(),
            highest: BTreeMap::new(),
            events: 0,
            counts: OracleCounts::default(),
            violations: Vec::new(),
            violation_count: 0,
        }
    }

    /// Records so far.
    #[must_use]
    pub fn counts(&self) -> OracleCounts {
        self.counts
    }

    /// The violations since the last call, the first few in full, and their number.
    pub fn take_violations(&mut self) -> (Vec<Violation>, u64) {
        (std::mem::take(&mut self.violations), std::mem::take(&mut self.violation_count))
    }

    /// What a child learnt while it ran, in order.
    pub fn learn(&mut self, events: &[Event]) {
        for event in events {
            self.events += 1;
            match *event {
                Event::Listed => {}
                Event::Sent { first, count } => {
                    for sequence in first.sequence..first.sequence + count {
                        let known = Known { fate: Fate::Sent, sent_at: self.events };
                        self.known.insert(RecordId { sequence, ..first }, known);
                    }
                    self.counts.sent += count;
                }
                Event::Acked { id, place } => {
                    self.counts.acked += 1;
                    self.confirm(id, place);
                }
                Event::Seen { id, place } => self.confirm(id, place),
            }
        }
    }

    /// What a child read when it had opened the engine. `complete`: it read to the end of every
    /// shard; then what is absent is lost.
    pub fn check_listing(&mut self, rows: &[Row], complete: bool) {
        self.events += 1;
        let mut found = BTreeSet::new();
        let mut next: BTreeMap<u32, u64> = BTreeMap::new();
        for row in rows {
            let place = row.place;
            if let Some(&expected) = next.get(&place.shard)
                && place.index != expected
            {
                self.violate(Violation::Gap { place, expected });
            }
            next.insert(place.shard, place.index + 1);
            match self.identify(row) {
                None => self.violate(Violation::Corrupt { place }),
                Some(id) if !found.insert(id) => self.violate(Violation::Doubled { id, place }),
                Some(id) => self.confirm(id, place),
            }
        }
        if complete {
            self.check_absent(&found);
        }
    }

    /// The record that a row is, if it was sent and is whole.
    fn identify(&self, row: &Row) -> Option<RecordId> {
        let id = parse_head(self.run, &row.head)?;
        self.known.get(&id)?;
        let sent = content(self.run, id);
        let whole = sent.data.len() == row.data_bytes as usize
            && digest(&sent.key, &sent.data) == row.digest;
        whole.then_some(id)
    }

    fn confirm(&mut self, id: RecordId, place: Place) {
        let Some(known) = self.known.get_mut(&id) else {
            self.violate(Violation::Corrupt { place });
            return;
        };
        let Known { fate, sent_at } = *known;
        known.fate = Fate::Confirmed(place);
        match fate {
            Fate::Confirmed(from) if from != place => {
                self.violate(Violation::Moved { id, from, to: place });
            }
            Fate::Confirmed(_) => {}
            Fate::Gone => {
                self.counts.gone -= 1;
                self.violate(Violation::Returned { id, place });
            }
            Fate::Sent => {
                if let Some(floor) = self.floor(place.shard, sent_at)
                    && place.index <= floor
                {
                    self.violate(Violation::Reordered { id, place, floor });
                }
                self.raise(place);
            }
        }
    }

    /// The highest index of the shard that was confirmed before the event.
    fn floor(&self, shard: u32, event: u64) -> Option<u64> {
        let raised = self.highest.get(&shard)?;
        let before = raised.partition_point(|(at, _)| *at < event);
        Some(raised[..before].last()?.1)
    }

    fn raise(&mut self, place: Place) {
        let raised = self.highest.entry(place.shard).or_default();
        if raised.last().is_none_or(|(_, index)| *index < place.index) {
            raised.push((self.events, place.index));
        }
    }

    fn check_absent(&mut self, found: &BTreeSet<RecordId>) {
        let mut lost = Vec::new();
        for (id, known) in &mut self.known {
            if found.contains(id) {
                continue;
            }
            match known.fate {
                Fate::Confirmed(place) => {
                    lost.push(Violation::Lost { id: *id, place });
                    // Said once: the next listing lacks it as well.
                    known.fate = Fate::Gone;
                }
                Fate::Sent => {
                    known.fate = Fate::Gone;
                    self.counts.gone += 1;
                }
                Fate::Gone => {}
            }
        }
        lost.into_iter().for_each(|violation| self.violate(violation));
    }

    fn violate(&mut self, violation: Violation) {
        self.violation_count += 1;
        if self.violations.len() < WITNESSES_MAX {
            self.violations.push(violation);
        }
    }
}

#[cfg(test)]
mod tests;
