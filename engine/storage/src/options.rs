//! What a log is opened with.

use std::path::PathBuf;
use std::time::Duration;

use crate::frame::{BLOCK_BYTES, FRAME_BYTES_MAX};

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The device has flushed: safe against power loss.
    Durable,
    /// The direct write has completed: safe against the death of the process only.
    Written,
}

/// How a durable log makes writes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMethod {
    /// Writes, then one fdatasync in flight that covers what had completed before it.
    Fdatasync,
    /// Each write with O_DSYNC.
    Dsync,
}

/// How to open one log. All bounds are per log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The data folder; segments are in its folder `segments`.
    pub directory: PathBuf,
    /// Which of the folder's logs.
    pub log: u16,
    /// How often the folder has been opened, this time included; from the catalog.
    pub life: u32,
    /// Size of a segment file, bytes; a multiple of a block.
    pub segment_bytes: u64,
    /// Size of the very first segment of an empty folder, bytes: short, so that a start is quick.
    pub first_segment_bytes: u64,
    /// A frame is closed when the next record would make it longer, bytes. A longer record has a
    /// frame of its own.
    pub frame_bytes: usize,
    /// Writes in flight, at most.
    pub write_depth: usize,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// How a durable log flushes.
    pub flush: FlushMethod,
    /// How long an open frame waits for company while the log is busy. An idle log never waits.
    pub linger: Duration,
    /// Accepted records that are not in a frame yet, bytes; past it an append is refused as busy.
    pub waiting_bytes_max: usize,
    /// Frames kept in memory for readers at the tail, with all that their buffers take, bytes.
    pub cache_bytes_max: usize,
    /// Blocks of sealed segments' tables kept in memory, bytes.
    pub table_cache_bytes_max: usize,
    /// Memory of the background rewriting, bytes: the records of the segments that it writes into
    /// one file, and what is around them. A segment that keeps more is read several times for it.
    pub rewriting_bytes_max: usize,
    /// Sealed segments kept in memory, ordered by shard, for reads of those that cannot be rewritten
    /// and hold small parts of many shards, bytes. Where one alone would be larger, each shard's
    /// records are read for themselves, as dear as the whole segment.
    pub image_cache_bytes_max: usize,
    /// Segments made ready ahead of the one in use, while the log is written.
    pub spare_segments: usize,
    /// Free files kept for recycling beyond the spare segments, at most, and as long as they are a
    /// quarter of the sealed files at most; more are removed after `surplus_kept`.
    pub free_files_max: usize,
    /// A free file too many stays for so long, for most often the log soon takes it; a full disk
    /// does not wait.
    pub surplus_kept: Duration,
    /// A log to which nothing was appended for so long keeps one spare segment and no free file.
    pub idle_after: Duration,
    /// Cap on the log's sealed bytes, even within retention; none by default.
    pub log_bytes_max: Option<u64>,
    /// Cap on every shard's retention, ms; none by default.
    pub retention_ms_max: Option<u64>,
}

impl LogOptions {
    /// Sensible values for log `log` of the folder, in its life `life`.
    pub fn new(directory: PathBuf, log: u16, life: u32) -> LogOptions {
        LogOptions {
            directory,
            log,
            life,
            segment_bytes: 64 << 20,
            first_segment_bytes: 4 << 20,
            frame_bytes: 256 << 10,
            write_depth: 16,
            durability: Durability::Durable,
            flush: FlushMethod::Fdatasync,
            linger: Duration::from_micros(250),
            waiting_bytes_max: 32 << 20,
            cache_bytes_max: 192 << 20,
            table_cache_bytes_max: 16 << 20,
            rewriting_bytes_max: 80 << 20,
            image_cache_bytes_max: 64 << 20,
            spare_segments: 3,
            free_files_max: 2,
            surplus_kept: Duration::from_secs(40),
            idle_after: Duration::from_secs(20),
            log_bytes_max: None,
            retention_ms_max: None,
        }
    }

    /// Checks relations between the fields that a caller could get wrong.
    pub(crate) fn assert_valid(&self) {
        let block = BLOCK_BYTES as u64;
        assert!(self.segment_bytes.is_multiple_of(block));
        assert!(self.first_segment_bytes.is_multiple_of(block));
        assert!(self.segment_bytes <= u64::from(u32::MAX), "positions are 32 bits");
        assert!(self.first_segment_bytes <= self.segment_bytes);
        assert!(self.frame_bytes.is_multiple_of(BLOCK_BYTES));
        assert!(self.frame_bytes <= FRAME_BYTES_MAX);
        assert!(self.frame_bytes as u64 * 4 <= self.first_segment_bytes);
        assert!(self.write_depth >= 1);
        assert!(self.spare_segments >= 1);
    }
}
