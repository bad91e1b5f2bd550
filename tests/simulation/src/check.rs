//! What the oracle can find, by name, and the witness that is printed: the shortest story.

use std::fmt;

/// The check that found a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// An acknowledged record is not there after a recovery.
    AcknowledgedLost,
    /// A record that a reader has seen is not there after a recovery.
    SeenVanished,
    /// A record that an earlier recovery served is not there after the next.
    RecoveredVanished,
    /// A record is there with another key, other data or another time.
    Altered,
    /// A record that nobody appended, or beyond what was assigned.
    Invented,
    /// An acknowledgement names other indices than those in request order.
    WrongIndex,
    /// Arrival times fall within a shard.
    ArrivalFell,
    /// A read or follower skips records that have not expired.
    Gap,
    /// A read gives more than was asked for, or less than there is.
    WrongAmount,
    /// A record is gone before its retention.
    ExpiredEarly,
    /// Records that had expired are there again.
    ExpiredCameBack,
    /// A deleted shard is served.
    DeletedCameBack,
    /// The index by time is not the first record of that time or later.
    WrongTime,
    /// A request was refused though nothing was wrong.
    RefusedWithoutCause,
    /// A closed or deleted shard took records.
    ClosedAccepted,
    /// A log or the catalog failed though the disk did not.
    FailedWithoutCause,
    /// A folder or log was not opened though the disk was well.
    NotOpened,
    /// Something was acknowledged after a write or flush had failed.
    AcknowledgedAfterFailure,
    /// An accepted batch was neither acknowledged nor refused.
    NeverAcknowledged,
    /// A log stayed busy for seconds, or full long after space was back.
    NeverRoom,
    /// A follower did not get what was acknowledged.
    FollowerStarved,
    /// Damage was reported where nothing was damaged.
    DamageInvented,
    /// Acknowledged bytes were damaged, and neither reported nor refused.
    DamageSilent,
    /// Damage refused more shards than it concerns.
    DamageTooWide,
    /// An acknowledged commit of the catalog is not there.
    CatalogLost,
    /// The catalog holds what nobody committed, or half a commit.
    CatalogInvented,
    /// Every task waits for ever.
    Deadlock,
    /// Tasks spin without an end.
    Livelock,
    /// An assertion of the engine failed.
    Panic,
}

impl Check {
    /// The check as people read it.
    pub fn name(self) -> &'static str {
        match self {
            Check::AcknowledgedLost => "acknowledged record lost",
            Check::SeenVanished => "record vanished after it was read",
            Check::RecoveredVanished => "record vanished after a recovery served it",
            Check::Altered => "record altered",
            Check::Invented => "record that nobody appended",
            Check::WrongIndex => "acknowledged under another index",
            Check::ArrivalFell => "arrival time fell",
            Check::Gap => "gap in what is read",
            Check::WrongAmount => "wrong amount read",
            Check::ExpiredEarly => "record gone before its retention",
            Check::ExpiredCameBack => "expired record came back",
            Check::DeletedCameBack => "deleted shard served",
            Check::WrongTime => "wrong index for a time",
            Check::RefusedWithoutCause => "refused without cause",
            Check::ClosedAccepted => "closed shard took records",
            Check::FailedWithoutCause => "failed without cause",
            Check::NotOpened => "not opened without cause",
            Check::AcknowledgedAfterFailure => "acknowledged after a failure",
            Check::NeverAcknowledged => "never acknowledged",
            Check::NeverRoom => "room never came",
            Check::FollowerStarved => "follower starved",
            Check::DamageInvented => "damage invented",
            Check::DamageSilent => "damage served or passed over in silence",
            Check::DamageTooWide => "damage refuses too much",
            Check::CatalogLost => "acknowledged commit lost",
            Check::CatalogInvented => "catalog entry that nobody committed",
            Check::Deadlock => "deadlock",
            Check::Livelock => "livelock",
            Check::Panic => "assertion of the engine failed",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a check found, before anybody says when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The record's place in its shard, where it is about one.
    pub index: Option<u64>,
    /// What had to be.
    pub expected: String,
    /// What was.
    pub seen: String,
}

impl Finding {
    /// A finding about no single record.
    pub fn new(check: Check, expected: impl fmt::Display, seen: impl fmt::Display) -> Finding {
        Finding { check, index: None, expected: expected.to_string(), seen: seen.to_string() }
    }

    /// The same about record `index`.
    pub fn at(self, index: u64) -> Finding {
        Finding { index: Some(index), ..self }
    }
}

/// A finding with its place in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed that repeats it.
    pub seed: u64,
    /// Which life of the folder, from 1.
    pub life: u32,
    /// Which operation of the seed.
    pub operation: u64,
    /// Whose records, where it is about a shard.
    pub shard: Option<u64>,
    /// What was found.
    pub finding: Finding,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { seed, life, operation, shard, finding } = self;
        write!(formatter, "seed {seed}, life {life}, operation {operation}")?;
        if let Some(shard) = shard {
            write!(formatter, ", shard {shard:#x}")?;
        }
        if let Some(index) = finding.index {
            write!(formatter, ", index {index}")?;
        }
        let Finding { check, expected, seen, .. } = finding;
        write!(formatter, ": {check}\n    expected {expected}\n    saw      {seen}")
    }
}
