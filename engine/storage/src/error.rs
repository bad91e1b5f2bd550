//! What can go wrong with a log, by what happened.

use std::fmt;
use std::sync::Arc;

use runtime::file::IoError;

use crate::catalog::{CatalogDamage, CatalogError};
use crate::shard::ShardKey;
use crate::shards::Refusal;

/// Why an append was not accepted, or was accepted and then could not be acknowledged.
#[derive(Clone, Debug)]
pub enum AppendError {
    /// Too many bytes wait already, or the next segment is not ready: wait for `Log::room`.
    Busy,
    /// The disk has no room for another segment. Reads go on; freed space brings writes back.
    DiskFull {
        /// What the next segment needs, bytes.
        needed_bytes: u64,
    },
    /// A record, its key and its headers do not fit a frame.
    RecordTooLarge {
        /// What the frame would take, bytes.
        frame_bytes: usize,
    },
    /// A shard of the batch takes nothing. Nothing of the batch was accepted.
    Refused {
        /// Which.
        key: ShardKey,
        /// Why.
        refusal: Refusal,
    },
    /// A write or flush failed: this log acknowledges nothing until it is opened again. Whether
    /// the records are durable is unknown.
    Failed(Arc<IoError>),
    /// The log was shut down.
    ShutDown,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Busy => write!(f, "the log is busy: too many bytes wait to be written"),
            AppendError::DiskFull { needed_bytes } => write!(
                f,
                "the disk is full: the next segment needs {needed_bytes} bytes; what is deleted or \
                 expires frees them",
            ),
            AppendError::RecordTooLarge { frame_bytes } => {
                write!(f, "a record needs a frame of {frame_bytes} bytes, more than a segment has")
            }
            AppendError::Refused { key, refusal } => {
                write!(f, "shard {:#x} takes nothing: {refusal:?}", key.0)
            }
            AppendError::Failed(error) => write!(f, "the log stopped acknowledging: {error}"),
            AppendError::ShutDown => write!(f, "the log was shut down"),
        }
    }
}

impl std::error::Error for AppendError {}

/// A place where acknowledged bytes are damaged, and whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Segment number.
    pub segment: u64,
    /// Position of the damaged frame or block in the segment's file, bytes.
    pub position: u64,
    /// First frame number that is missing or damaged, where it is known.
    pub frame: Option<u64>,
    /// The shards that are refused for it.
    pub shards: Vec<ShardKey>,
}

/// Why a read gives nothing.
#[derive(Clone, Debug)]
pub enum ReadError {
    /// The shard gives nothing.
    Refused {
        /// Which.
        key: ShardKey,
        /// Why.
        refusal: Refusal,
    },
    /// Bytes that were acknowledged are damaged.
    Damaged {
        /// Segment number.
        segment: u64,
        /// Position of the frame or part in the segment's file, bytes.
        position: u64,
    },
    /// A record that is kept is in no segment: a fault of this engine, never passed over in silence.
    Missing {
        /// Whose.
        key: ShardKey,
        /// Which.
        index: u64,
    },
    /// The disk refused.
    Io(IoError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Refused { key, refusal } => {
                write!(f, "shard {:#x} gives nothing: {refusal:?}", key.0)
            }
            ReadError::Damaged { segment, position } => {
                write!(f, "acknowledged bytes are damaged in segment {segment} at {position}")
            }
            ReadError::Missing { key, index } => {
                let key = key.0;
                write!(f, "record {index} of shard {key:#x} is kept, and no segment holds it")
            }
            ReadError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<IoError> for ReadError {
    fn from(error: IoError) -> ReadError {
        ReadError::Io(error)
    }
}

/// Why a log was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// An acknowledged entry of the manifest that names this log's segments is damaged.
    ManifestDamaged(CatalogDamage),
    /// A file that the manifest does not name holds frames of a segment behind the last that it
    /// names: the manifest is older than the log. Nothing was removed.
    ManifestBehind {
        /// Number of the file.
        file: u32,
        /// The segment in it.
        segment: u64,
    },
    /// No table is whole from which the log could be recovered: which indices were given out in
    /// segments that are gone is unknown. Takes two damaged tables, the newest.
    TableDamaged {
        /// First segment behind the missing table.
        segment: u64,
    },
    /// What was read whole a moment ago is not whole when it is read again. Nothing was written.
    Misread {
        /// Position in the segment's file, bytes.
        position: u64,
    },
    /// There is no room for the first segment.
    DiskFull,
    /// The catalog refused.
    Catalog(CatalogError),
    /// The disk refused.
    Io(IoError),
    /// A write or flush failed after recovery.
    Failed(Arc<IoError>),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::ManifestDamaged(damage) => {
                write!(f, "an entry of the manifest is damaged: {damage:?}")
            }
            OpenError::ManifestBehind { file, segment } => write!(
                f,
                "file {file} holds segment {segment}, which the manifest does not know: the \
                 catalog is older than the log; restore it"
            ),
            OpenError::TableDamaged { segment } => {
                write!(f, "no table is whole before segment {segment}; see `gyre inspect`")
            }
            OpenError::Misread { position } => write!(
                f,
                "a second reading at {position} gives other bytes than the first: the medium or \
                 the memory is failing"
            ),
            OpenError::DiskFull => write!(f, "the disk is full: no room for the first segment"),
            OpenError::Catalog(error) => write!(f, "the catalog refused: {error}"),
            OpenError::Io(error) => write!(f, "{error}"),
            OpenError::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<IoError> for OpenError {
    fn from(error: IoError) -> OpenError {
        OpenError::Io(error)
    }
}

impl From<CatalogError> for OpenError {
    fn from(error: CatalogError) -> OpenError {
        OpenError::Catalog(error)
    }
}
