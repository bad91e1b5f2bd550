//! What the engine has done: counters by core and by log. Nothing decides by them.

use std::time::Duration;

use crate::owner::Owner;

/// One core's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreStats {
    /// The core.
    pub core: usize,
    /// CPU time of its thread; `None` where it cannot be read.
    pub cpu_time: Option<Duration>,
    /// Requests of PutRecords received: one message each.
    pub put_messages: u64,
    /// Answers to them sent: one message each.
    pub put_replies: u64,
    /// Other requests received.
    pub command_messages: u64,
    /// Records refused by a shard's throttle.
    pub throttled_records: u64,
    /// Times that a put waited for room in a log.
    pub busy_waits: u64,
    /// Its logs.
    pub logs: Vec<LogCounters>,
}

/// One log's counters since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// The log.
    pub log: u16,
    /// Records acknowledged.
    pub records: u64,
    /// Frames of records written.
    pub frames: u64,
    /// Bytes of frames written, marks and seals included.
    pub frame_bytes: u64,
    /// All bytes written: frames, tables, zeros, rewriting.
    pub bytes_written: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Flushes of segments: fdatasync calls, or writes with O_DSYNC.
    pub flushes: u64,
    /// Bytes accepted and not in a frame yet.
    pub waiting_bytes: u64,
    /// Records dropped before their retention because of the cap on the logs' bytes.
    pub expired_early: u64,
    /// Reads refused because a record that is kept was in no segment: a fault of the engine's.
    pub missing_reads: u64,
    /// Bytes of all its files now: segments, and files ready for the next.
    pub file_bytes: u64,
    /// The disk has no room for another segment now: when what is ready is used up, records are
    /// refused until space is freed.
    pub disk_full: bool,
    /// Nothing expires now, for the wall clock is more than an hour from the log's: a sentence.
    pub retention_pause: Option<String>,
    /// The last error that kept the background from freeing or ordering something, if there was
    /// one. Nothing is harmed by it.
    pub background_trouble: Option<String>,
    /// Parts read from memory.
    pub cache_hits: u64,
    /// Parts read from the disk.
    pub cache_misses: u64,
    /// The write or flush that failed, if one did: the log acknowledges nothing more.
    pub failure: Option<String>,
}

pub(crate) fn of_core(owner: &Owner) -> CoreStats {
    let counters = &owner.counters;
    let logs = owner.logs.iter().filter_map(|owned| {
        let log = owned.log.as_ref()?;
        let stats = log.stats();
        Some(LogCounters {
            log: owned.number,
            records: stats.records,
            frames: stats.frames,
            frame_bytes: stats.frame_bytes,
            bytes_written: stats.frame_bytes
                + stats.table_bytes
                + stats.zeroed_bytes
                + stats.rewritten_bytes,
            bytes_read: stats.read_bytes,
            flushes: stats.flushes,
            waiting_bytes: log.waiting_bytes() as u64,
            expired_early: stats.expired_early,
            missing_reads: stats.missing_reads,
            file_bytes: stats.file_bytes,
            disk_full: stats.is_disk_full,
            retention_pause: stats.retention_pause.map(|pause| pause.to_string()),
            background_trouble: log.background_trouble(),
            cache_hits: stats.cache_hits,
            cache_misses: stats.cache_misses,
            failure: log.failure(),
        })
    });
    CoreStats {
        core: owner.core,
        cpu_time: None,
        put_messages: counters.put_messages.get(),
        put_replies: counters.put_replies.get(),
        command_messages: counters.command_messages.get(),
        throttled_records: counters.throttled_records.get(),
        busy_waits: counters.busy_waits.get(),
        logs: logs.collect(),
    }
}
