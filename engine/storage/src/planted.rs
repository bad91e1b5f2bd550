//! Bugs that can be switched on to prove that the simulation finds them. See tests/simulation.
//!
//! Without the feature `planted-bugs` every question answers `false` at compile time.

/// The enumeration and the list of all from one place.
macro_rules! bugs {
    ($($(#[$attribute:meta])* $name:ident = $number:literal,)+) => {
        /// One deliberate bug each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Bug {
            $($(#[$attribute])* $name = $number,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$name,)+];
        }
    };
}

bugs! {
    /// Acknowledges when the write has completed, before the flush.
    AcknowledgeBeforeFlush = 1,
    /// A write that completes acknowledges itself, whatever stands before it.
    AcknowledgeOutOfOrder = 2,
    /// A flush is credited with writes that completed after it was issued.
    FlushCreditsLaterWrites = 3,
    /// No seal frame at the start of a life.
    SkipSeal = 4,
    /// No mark frame when the log falls idle.
    SkipMark = 5,
    /// Recovery takes frames of an earlier generation of the file.
    TrustStaleFrame = 6,
    /// A segment is used before the manifest says so durably.
    UseSegmentBeforeManifest = 7,
    /// The directory is not flushed after a file was created.
    ForgetDirectorySync = 8,
    /// The table of a sealed segment lacks its last row.
    DropLastIndexEntry = 9,
    /// Readers see what is assigned, not only what is durable.
    ReadPastDurableTail = 10,
    /// Recovery does not look at the chain.
    IgnoreChain = 11,
    /// Recovery cuts the log at a damaged frame without looking for evidence behind it.
    SkipEvidence = 12,
    /// The segment before is not flushed when the durable prefix crosses into the next.
    ForgetFlushOfPreviousSegment = 13,
    /// A failed flush is tried again, and believed when it then succeeds.
    RetryFailedFlush = 14,
    /// Arrival times follow the wall clock back.
    ArrivalFollowsWallClock = 15,
    /// What recovery found is served before it was flushed.
    ServeRecoveredUnflushed = 16,
    /// The table of a full segment is written before all of its frames are durable.
    SealBeforeDurable = 17,
    /// The file of a removed segment is used again before the manifest says that it is free.
    ReuseFileBeforeManifest = 18,
    /// A rewritten segment takes the place of the old ones before it was flushed.
    FreeOldBeforeNewDurable = 19,
    /// The catalog acknowledges a commit before its flush.
    CatalogAcknowledgesUnflushed = 20,
    /// A log that has failed goes on to acknowledge what a flush under way covers.
    AcknowledgeAfterFailure = 21,
    /// What recovery found is flushed, but not written again: a flush that had failed for it stays
    /// failed.
    TrustFailedFlush = 22,
    /// The folder of the segments has a name that is not durable.
    ForgetFolderSync = 23,
    /// A follower that reads for itself is fed as well.
    FeedWhileCatchingUp = 24,
    /// Nobody is told that there is room again.
    ForgetRoom = 25,
    /// A batch of several frames is acknowledged with its first.
    AcksSplitBatchWithItsFirstFrame = 26,
    /// A frame's header counts what was only written as durable.
    HeaderCallsWrittenDurable = 27,
    /// The mark is written while the last flush is under way, for which it is no witness.
    MarkJoinsTheFlight = 28,
    /// Recovery takes the first frame that may not be durable for durable.
    DoubtTrustsTheFrontier = 29,
    /// A shard is cleared of a damage before the gap in its indices is noted.
    ClearsBeforeAccusing = 30,
    /// Of several damaged frames in a row the first names the shards of all.
    FirstDamagedFrameSpeaksForAll = 31,
    /// Recovery takes a frame's base time for the arrival of its last record.
    RecoveryDatesFramesByTheirBase = 32,
    /// A table leaves out refused shards of which no record is known.
    DamagedWithoutRecordsHasNoRow = 33,
    /// Rewriting ignores rows without records.
    RewriteSkipsSilentRows = 34,
    /// Rewriting does not check the payloads of what it copies.
    RewriteTrustsDirectories = 35,
    /// Any error of a rewriting's commit removes the new file.
    FailedCommitRemovesTheNewFile = 36,
    /// The header of a catalog file's first frame decides which file is current.
    TornSnapshotIsCurrent = 37,
    /// A read of a segment in memory steps over what was damaged.
    ImageReadStepsOverHoles = 38,
    /// A search by time takes a frame that begins at the wanted time for one before it.
    TimeSearchStopsAtAnEqualBase = 39,
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use super::Bug;
    use std::sync::atomic::{AtomicU8, Ordering};

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Switches one bug on, or all off. For the whole process.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8), Ordering::SeqCst);
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::plant;
#[cfg(feature = "planted-bugs")]
pub(crate) use switch::planted;

/// Whether `bug` is switched on: never, in this build.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn planted(_bug: Bug) -> bool {
    false
}
