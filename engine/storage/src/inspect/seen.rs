//! What an inspection tells, piece by piece.

use std::fmt;
use std::ops::Range;

use crate::catalog::{CatalogLook, SegmentEntry};
use crate::frame::FrameHeader;
use crate::shard::ShardKey;
use crate::table::{Footer, Region};

/// One thing that was seen, in the order of the walk. A finding follows what it is about, as soon
/// as it is known whom it concerns: behind the segment, or at the end of the log.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The catalog, as far as it could be read.
    Catalog(&'a CatalogLook),
    /// A log begins.
    Log(LogSeen),
    /// A whole frame.
    Frame(FrameSeen),
    /// A part of the shard that was asked for, in a whole frame.
    Part(PartSeen),
    /// A segment ends.
    Segment(SegmentSeen),
    /// A log ends.
    End(EndSeen),
    /// Something is wrong.
    Finding(Finding),
}

/// A log, before it is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSeen {
    /// Which.
    pub log: u16,
    /// Entries of the manifest.
    pub segments: usize,
    /// Files without a segment: free ones.
    pub free_files: usize,
    /// Files of its name that the manifest does not know. The next start removes them.
    pub orphans: usize,
}

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSeen {
    /// Its header.
    pub header: FrameHeader,
    /// Where it starts in its file, bytes.
    pub position: u64,
}

/// A part of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartSeen {
    /// Whose.
    pub key: ShardKey,
    /// First segment number of its file.
    pub segment: u64,
    /// Where it starts in the file, bytes.
    pub position: u64,
    /// Index of the first record.
    pub first_index: u64,
    /// Records.
    pub count: u32,
    /// Bytes.
    pub bytes: u32,
    /// Base of its records' arrival times, Unix ms.
    pub base_ms: u64,
}

/// How far a segment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentStage {
    /// Its table is there, whole or not.
    Sealed,
    /// Frames and no table yet.
    Open,
    /// Assigned, without frames.
    Ready,
    /// Its file is not there.
    Missing,
}

/// A segment, after it was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSeen {
    /// What the manifest says.
    pub entry: SegmentEntry,
    /// How far it has come.
    pub stage: SegmentStage,
    /// Whole frames.
    pub frames: u64,
    /// Their records.
    pub records: u64,
    /// Shards that have records in them.
    pub shards: usize,
    /// Behind the last frame, bytes.
    pub frames_end: u64,
    /// The footer, where it is whole.
    pub footer: Option<Footer>,
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndSeen {
    /// Which.
    pub log: u16,
    /// Number of the next frame, where it is known.
    pub next_frame: Option<u64>,
    /// Shards that were seen.
    pub shards: usize,
    /// A frame behind the end was begun and never acknowledged, as far as can be known.
    pub is_torn: bool,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The log.
    pub log: Option<u16>,
    /// First segment number of the file.
    pub segment: Option<u64>,
    /// The file, from the data folder.
    pub file: String,
    /// Where in the file, bytes.
    pub position: u64,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The header of an acknowledged frame.
    FrameHeader,
    /// The directory of an acknowledged frame.
    FrameDirectory,
    /// The payload of an acknowledged frame.
    FramePayload,
    /// A whole frame that does not follow the one before, where one was acknowledged.
    FrameChain,
    /// A shard's records go on at another index, and nothing that was found explains it.
    IndexGap,
    /// The last block of a sealed segment.
    TableFooter,
    /// Blocks of the table.
    TableBlocks {
        /// Of which list.
        region: Region,
        /// How many.
        count: usize,
    },
    /// The table is whole and says something else than the frames.
    TableDisagrees,
    /// The file is not there.
    FileMissing,
    /// The file has another size than the manifest says.
    FileBytes {
        /// Its size.
        found: u64,
    },
    /// Acknowledged entries of the catalog; whose they were cannot be said.
    CatalogUnreadable,
    /// Acknowledged entries of the catalog, all of one log.
    CatalogEntries,
    /// A frame of the catalog that held no entries, or whose entries could be read all the same.
    CatalogFrame,
}

/// Whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concerned {
    /// These shards, ascending.
    Shards(Vec<ShardKey>),
    /// Every shard of the log.
    Log(u16),
    /// Every shard of the folder.
    Folder,
}

/// How it is known whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// The frame's own directory, or the catalog's.
    Directory,
    /// Gaps in later directories and in shard tables.
    Gaps,
    /// It is not known who is spared: a later directory or table would have had to say so.
    Exclusion,
}

/// What the engine does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It refuses the shards concerned, and serves the rest.
    Refused,
    /// It builds the table anew from the frames; no record is lost.
    Rebuilt,
    /// Nothing is lost.
    Harmless,
}

/// One place where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub wrong: Wrong,
    /// Numbers of the frames that cannot be read, where they are known.
    pub frames: Option<Range<u64>>,
    /// Whom it concerns.
    pub concerned: Concerned,
    /// How that is known.
    pub known_by: KnownBy,
    /// What the engine does about it.
    pub consequence: Consequence,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::FrameHeader => write!(f, "the header of an acknowledged frame is damaged"),
            Wrong::FrameDirectory => write!(f, "the directory of an acknowledged frame is damaged"),
            Wrong::FramePayload => write!(f, "the payload of an acknowledged frame is damaged"),
            Wrong::FrameChain => {
                write!(f, "a frame stands here that does not follow the one before")
            }
            Wrong::IndexGap => write!(f, "records are missing before this frame"),
            Wrong::TableFooter => write!(f, "the footer of the table is damaged"),
            Wrong::TableBlocks { region, count } => {
                let name = match region {
                    Region::Rows => "rows",
                    Region::Postings => "postings",
                    Region::SparseKeys => "sparse keys",
                };
                write!(f, "{count} blocks of the table's {name} are damaged")
            }
            Wrong::TableDisagrees => write!(f, "the table says something else than the frames"),
            Wrong::FileMissing => write!(f, "the file is not there"),
            Wrong::FileBytes { found } => write!(f, "the file has {found} bytes, not its own size"),
            Wrong::CatalogUnreadable => {
                write!(f, "acknowledged entries are damaged, whose they were cannot be said")
            }
            Wrong::CatalogEntries => write!(f, "acknowledged entries of the log are damaged"),
            Wrong::CatalogFrame => write!(f, "a frame is damaged, but no entry is lost"),
        }
    }
}
