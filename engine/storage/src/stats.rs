//! What a log has done since it was opened. Counters only; nothing decides by them.

use crate::retention::ClockPause;

/// Counters of one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records acknowledged.
    pub records: u64,
    /// Frames of records that were submitted.
    pub frames: u64,
    /// Bytes of all frames submitted, padding, marks and seals included.
    pub frame_bytes: u64,
    /// Segments whose table was written.
    pub sealed_segments: u64,
    /// Tables that were built anew from their frames: missing, torn or damaged when the log was
    /// opened, or found damaged since.
    pub rebuilt_tables: u64,
    /// Bytes of tables written at the ends of segments.
    pub table_bytes: u64,
    /// Bytes of zeros written to prepare files.
    pub zeroed_bytes: u64,
    /// Bytes written by rewriting.
    pub rewritten_bytes: u64,
    /// Bytes read from segments.
    pub read_bytes: u64,
    /// Flushes of segments in use: fdatasync calls, or writes with O_DSYNC.
    pub flushes: u64,
    /// Marks written.
    pub marks: u64,
    /// Segments that became full.
    pub segments: u64,
    /// Sealed segments that were removed because nothing of them was wanted, or for the cap.
    pub removed_segments: u64,
    /// Looks at tables and rewritings that the disk, damage or want of space kept from their end.
    pub background_errors: u64,
    /// Records dropped before their retention because of the cap on the log's bytes.
    pub expired_early: u64,
    /// Reads that were refused because a record that is kept was in no segment: a fault of the
    /// engine's, see `ReadError::Missing`.
    pub missing_reads: u64,
    /// Parts that were given from memory.
    pub cache_hits: u64,
    /// Reads of segments: of a frame, of adjacent parts, or of a whole segment.
    pub cache_misses: u64,
    /// Bytes of the files of sealed segments now.
    pub sealed_bytes: u64,
    /// Bytes of all files of the log now: sealed segments, those in use, ready and free files.
    pub file_bytes: u64,
    /// The disk has no room for another segment now. Appends are refused when those that are ready
    /// are used up.
    pub is_disk_full: bool,
    /// Nothing expires now, for the wall clock is far from retention's.
    pub retention_pause: Option<ClockPause>,
    /// Bytes of sealed segments in memory that could not be rewritten by shard, now.
    pub image_bytes: u64,
    /// Blocks of tables found in memory.
    pub table_block_hits: u64,
    /// Blocks of tables that were read.
    pub table_block_misses: u64,
}
