//! One bound on memory, cut into shares. All the arithmetic is here.
//!
//! What is needed whatever the bound (frames in flight, queues) is taken first, the rest is cut by
//! hundredths. Payloads that wait in a queue belong to the callers who wait, and are counted there.
//! The cache counts what the memory of its buffers takes, which is more than their length.
//!
//! | share | what it holds | when it is used up |
//! | --- | --- | --- |
//! | frame buffers | free memory for frames and reads to come | plain memory is taken, and freed again |
//! | queues | messages between cores | the sender waits |
//! | waiting | payloads accepted and not durable | the core takes no more puts; callers wait |
//! | cache | frames being written and the newest ones, for readers | the oldest frame leaves |
//! | tables | blocks of sealed segments' tables | the least used leaves |
//! | rewriting | one segment's rewriting | it waits for its turn |
//! | images | segments that cannot be rewritten, for readers | the least used leaves |
//! | reads | answers to GetRecords in the making | the next read waits |
//! | followers | what is on its way to followers | they read on when others have |
//! | reserve | code, stacks, shard states, allocator | (not handed out) |

use storage::frame::FRAME_BYTES_MAX;

use crate::queues::{
    COMMAND_QUEUE_COUNT, MESSAGE_BYTES, PUT_BYTES, PUT_QUEUE_COUNT, PUTS_UNDER_WAY_MAX,
};

/// Frames that may be written at once, per log.
pub const WRITE_DEPTH: usize = 8;
/// A frame is closed at this size, bytes.
pub const FRAME_BYTES: usize = 1 << 20;
/// Buffers of a frame's size beside those being written: one being gathered, and reads.
const FRAME_BUFFERS_SPARE: usize = 8;

const WAITING_HUNDREDTHS: usize = 16;
const CACHE_HUNDREDTHS: usize = 25;
const TABLES_HUNDREDTHS: usize = 4;
const REWRITING_HUNDREDTHS: usize = 13;
const IMAGES_HUNDREDTHS: usize = 4;
const READS_HUNDREDTHS: usize = 8;
const FOLLOWERS_HUNDREDTHS: usize = 12;
const RESERVE_HUNDREDTHS: usize = 18;

const _: () = assert!(
    WAITING_HUNDREDTHS
        + CACHE_HUNDREDTHS
        + TABLES_HUNDREDTHS
        + REWRITING_HUNDREDTHS
        + IMAGES_HUNDREDTHS
        + READS_HUNDREDTHS
        + FOLLOWERS_HUNDREDTHS
        + RESERVE_HUNDREDTHS
        == 100
);

/// Each log needs this much to cut, or its shares would be too small to be of use, bytes.
const REST_PER_LOG_MIN: usize = 64 << 20;

// The smallest waiting share must take the largest frame, the smallest reads' share an answer.
const _: () = assert!(REST_PER_LOG_MIN / 100 * WAITING_HUNDREDTHS >= 8 << 20);
const _: () = assert!(FRAME_BYTES <= FRAME_BYTES_MAX);
// A full frame fills the memory of its buffer.
const _: () = assert!(FRAME_BYTES.is_power_of_two());

/// How many of what there are in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Logs of the folder.
    pub logs: usize,
    /// Cores that have a log.
    pub cores: usize,
}

/// The bound is too small for the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// What was asked for, bytes.
    pub memory_bytes: usize,
    /// The least that will do, bytes.
    pub memory_bytes_min: usize,
}

/// The shares. Per core and per log: what each core or log gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShares {
    /// The whole.
    pub memory_bytes: usize,
    /// Free memory for frames to be written and read, per log.
    pub frame_buffers_bytes_per_log: usize,
    /// Messages and what waits to be answered, per core.
    pub queues_bytes_per_core: usize,
    /// Payloads that are accepted and not durable, per log.
    pub waiting_bytes_per_log: usize,
    /// The newest frames, per log.
    pub cache_bytes_per_log: usize,
    /// Blocks of tables, per log.
    pub table_cache_bytes_per_log: usize,
    /// Rewriting, per log.
    pub rewriting_bytes_per_log: usize,
    /// Sealed segments in memory that cannot be rewritten, per log.
    pub images_bytes_per_log: usize,
    /// Answers to GetRecords in the making, per core.
    pub reads_bytes_per_core: usize,
    /// What is on its way to followers, per core.
    pub followers_bytes_per_core: usize,
    /// What nobody is given.
    pub reserve_bytes: usize,
}

impl MemoryShares {
    /// Cuts `memory_bytes`.
    ///
    /// # Errors
    /// [`TooSmall`], with what would do.
    pub fn cut(memory_bytes: usize, shape: Shape) -> Result<MemoryShares, TooSmall> {
        assert!(shape.logs >= shape.cores);
        assert!(shape.cores > 0);
        let frame_buffers_bytes_per_log = (WRITE_DEPTH + FRAME_BUFFERS_SPARE) * FRAME_BYTES;
        let queued = PUT_QUEUE_COUNT + COMMAND_QUEUE_COUNT;
        let queues_bytes_per_core = queued * MESSAGE_BYTES + PUTS_UNDER_WAY_MAX * PUT_BYTES;
        let fixed = shape.logs * frame_buffers_bytes_per_log + shape.cores * queues_bytes_per_core;
        let memory_bytes_min = fixed + shape.logs * REST_PER_LOG_MIN;
        if memory_bytes < memory_bytes_min {
            return Err(TooSmall { memory_bytes, memory_bytes_min });
        }
        let rest = memory_bytes - fixed;
        let hundredths = |count: usize| rest / 100 * count;
        let per_log = |count: usize| hundredths(count) / shape.logs;
        let per_core = |count: usize| hundredths(count) / shape.cores;
        let shares = MemoryShares {
            memory_bytes,
            frame_buffers_bytes_per_log,
            queues_bytes_per_core,
            waiting_bytes_per_log: per_log(WAITING_HUNDREDTHS),
            cache_bytes_per_log: per_log(CACHE_HUNDREDTHS),
            table_cache_bytes_per_log: per_log(TABLES_HUNDREDTHS),
            rewriting_bytes_per_log: per_log(REWRITING_HUNDREDTHS),
            images_bytes_per_log: per_log(IMAGES_HUNDREDTHS),
            reads_bytes_per_core: per_core(READS_HUNDREDTHS),
            followers_bytes_per_core: per_core(FOLLOWERS_HUNDREDTHS),
            reserve_bytes: hundredths(RESERVE_HUNDREDTHS),
        };
        assert!(shares.sum(shape) <= memory_bytes);
        Ok(shares)
    }

    /// All shares together, bytes.
    fn sum(&self, shape: Shape) -> usize {
        let per_log = self.frame_buffers_bytes_per_log
            + self.waiting_bytes_per_log
            + self.cache_bytes_per_log
            + self.table_cache_bytes_per_log
            + self.rewriting_bytes_per_log
            + self.images_bytes_per_log;
        let per_core =
            self.queues_bytes_per_core + self.reads_bytes_per_core + self.followers_bytes_per_core;
        shape.logs * per_log + shape.cores * per_core + self.reserve_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(memory_bytes: usize, logs: usize, cores: usize) {
        let shape = Shape { logs, cores };
        match MemoryShares::cut(memory_bytes, shape) {
            Ok(shares) => {
                assert!(shares.sum(shape) <= memory_bytes);
                // Rounding loses little.
                assert!(shares.sum(shape) > memory_bytes - memory_bytes / 1000);
            }
            Err(TooSmall { memory_bytes_min, .. }) => {
                assert!(memory_bytes < memory_bytes_min);
                assert!(MemoryShares::cut(memory_bytes_min, shape).is_ok());
                assert!(MemoryShares::cut(memory_bytes_min - 1, shape).is_err());
            }
        }
    }

    #[test]
    fn the_shares_never_exceed_the_whole() {
        for (logs, cores) in [(1, 1), (2, 1), (2, 2), (4, 1), (4, 4), (64, 2), (1024, 64)] {
            for memory_bytes in [1 << 20, 100 << 20, 1 << 30, 5 << 30, 200 << 30] {
                check(memory_bytes, logs, cores);
            }
        }
    }

    #[test]
    fn the_default_fits_four_logs() {
        let shares = MemoryShares::cut(1 << 30, Shape { logs: 4, cores: 4 }).unwrap();
        assert!(shares.waiting_bytes_per_log >= 32 << 20);
        let shares = MemoryShares::cut(1 << 30, Shape { logs: 1, cores: 1 }).unwrap();
        assert!(shares.cache_bytes_per_log >= 240 << 20);
    }
}
