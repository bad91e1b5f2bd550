//! What a power cut does to what was not flushed: one seeded decision after another.
//!
//! A coin for every sector alone would hardly ever keep a whole frame, nor lose one whole frame in
//! front of another. So each cut first draws a style, and each write one within it.

use fastrand::Rng;

/// What a device writes whole, as a rule; a torn sector breaks the rule, as some devices do.
pub const SECTOR_BYTES: usize = 512;

/// How a cut treats the unflushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// The cache is lost whole: exactly the flushed survives.
    DropAll,
    /// Everything had reached the medium just before.
    KeepAll,
    /// Whole writes, in any combination: holes before whole frames.
    Writes,
    /// In the order of writing up to one that is torn; nothing after it.
    Prefix,
    /// Sectors of each write in any combination.
    Sectors,
}

/// What happens to one sector of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Dropped,
    /// The first bytes are new, the rest is what stood there.
    Torn {
        kept_bytes: usize,
    },
}

/// What a cut did, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutCounts {
    /// Sectors of unflushed writes that survived.
    pub sectors_kept: u64,
    /// Sectors of unflushed writes that were lost.
    pub sectors_dropped: u64,
    /// Sectors that are part new, part old.
    pub sectors_torn: u64,
    /// Directory operations that survived without a flush of their directory.
    pub names_kept: u64,
    /// Directory operations that were lost.
    pub names_dropped: u64,
}

impl CutCounts {
    /// Adds another cut's.
    pub fn add(&mut self, other: CutCounts) {
        self.sectors_kept += other.sectors_kept;
        self.sectors_dropped += other.sectors_dropped;
        self.sectors_torn += other.sectors_torn;
        self.names_kept += other.names_kept;
        self.names_dropped += other.names_dropped;
    }
}

/// The decisions of one cut.
#[derive(Debug)]
pub(super) struct Cut {
    rng: Rng,
    style: Style,
    /// For `Prefix`: whether the torn write has been reached.
    ended: bool,
    pub(super) counts: CutCounts,
}

/// How the sectors of one write fare.
#[derive(Debug)]
pub(super) enum Sectors {
    All(Fate),
    /// The share of 256 that is kept.
    Each(u8),
    /// Kept while the count lasts, then one torn, then dropped.
    First(u64),
}

impl Cut {
    pub(super) fn new(seed: u64) -> Cut {
        let mut rng = Rng::with_seed(seed);
        let style = match rng.u8(0..20) {
            0..4 => Style::DropAll,
            4..6 => Style::KeepAll,
            6..11 => Style::Writes,
            11..16 => Style::Prefix,
            _ => Style::Sectors,
        };
        Cut { rng, style, ended: false, counts: CutCounts::default() }
    }

    /// How many of `count` ordered changes to a length survive.
    pub(super) fn prefix(&mut self, count: usize) -> usize {
        match self.style {
            Style::DropAll => 0,
            Style::KeepAll => count,
            Style::Writes | Style::Prefix | Style::Sectors => self.rng.usize(0..=count),
        }
    }

    /// The plan for one pending write.
    pub(super) fn write(&mut self) -> Sectors {
        match self.style {
            Style::DropAll => Sectors::All(Fate::Dropped),
            Style::KeepAll => Sectors::All(Fate::Kept),
            Style::Writes if self.rng.bool() => Sectors::All(Fate::Kept),
            Style::Writes => Sectors::All(Fate::Dropped),
            Style::Prefix if self.ended => Sectors::All(Fate::Dropped),
            Style::Prefix if self.rng.u8(0..4) > 0 => Sectors::All(Fate::Kept),
            Style::Prefix => {
                self.ended = true;
                Sectors::First(self.rng.u64(0..64))
            }
            Style::Sectors => Sectors::Each(self.rng.u8(..)),
        }
    }

    /// Whether a pending directory operation survives that may survive.
    pub(super) fn keeps_name(&mut self) -> bool {
        let kept = match self.style {
            Style::DropAll => false,
            Style::KeepAll => true,
            Style::Writes | Style::Prefix | Style::Sectors => self.rng.bool(),
        };
        self.count_name(kept);
        kept
    }

    /// A directory operation that was lost because one it builds on was.
    pub(super) fn drop_name(&mut self) {
        self.count_name(false);
    }

    fn count_name(&mut self, kept: bool) {
        if kept {
            self.counts.names_kept += 1;
        } else {
            self.counts.names_dropped += 1;
        }
    }
}

impl Sectors {
    /// The fate of the write's next sector, of which `bytes` are written.
    pub(super) fn next(&mut self, cut: &mut Cut, bytes: usize) -> Fate {
        let fate = match self {
            Sectors::All(fate) => *fate,
            Sectors::Each(share) => match cut.rng.u8(..) {
                _ if cut.rng.u8(..) == 0 => Fate::Torn { kept_bytes: cut.rng.usize(0..bytes) },
                drawn if drawn < *share => Fate::Kept,
                _ => Fate::Dropped,
            },
            Sectors::First(0) => {
                *self = Sectors::All(Fate::Dropped);
                Fate::Torn { kept_bytes: cut.rng.usize(0..bytes) }
            }
            Sectors::First(count) => {
                *count -= 1;
                Fate::Kept
            }
        };
        match fate {
            Fate::Kept => cut.counts.sectors_kept += 1,
            Fate::Dropped => cut.counts.sectors_dropped += 1,
            Fate::Torn { .. } => cut.counts.sectors_torn += 1,
        }
        fate
    }
}
