//! What a seed does, apart from what its tasks draw as they go: the folder, its options, its faults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;
use storage::frame::BLOCK_BYTES;
use storage::options::{Durability, FlushMethod, LogOptions};

/// Operations of a seed, at least.
pub const OPERATIONS_MIN: u64 = 300;
/// Shards of a seed, at least.
pub const SHARDS_MIN: u64 = 8;
/// Faults beside the crashes, at least.
pub const FAULTS_MIN: usize = 2;
/// A retention that no seed lives to see the end of, ms.
pub const LONG_MS: u64 = 365 * 24 * 3_600_000;

const BLOCK: usize = BLOCK_BYTES;

/// A fault beside the crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// One write fails; any part of it may land.
    WriteError,
    /// One write ends early.
    ShortWrite,
    /// One flush fails, and what it covered is never durable.
    FlushError,
    /// One change or sync of a directory fails.
    DirectoryError,
    /// The disk is full for a while.
    FullDisk,
    /// The wall clock is set, back or forward.
    WallJump,
    /// The wall clock is set again and again.
    WallJitter,
    /// Reads, writes and flushes are slow now and then.
    SlowDisk,
}

const FAULT_KINDS: [FaultKind; 8] = [
    FaultKind::WriteError,
    FaultKind::ShortWrite,
    FaultKind::FlushError,
    FaultKind::DirectoryError,
    FaultKind::FullDisk,
    FaultKind::WallJump,
    FaultKind::WallJitter,
    FaultKind::SlowDisk,
];

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In the middle of its work.
    Crash,
    /// After everything was answered and the folder has been idle for a while.
    Quiet,
    /// After everything was shut down.
    Shutdown,
}

/// When a life ends, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// At which operation of the seed.
    pub operation: u64,
    /// How.
    pub ending: Ending,
    /// It dies once more before, while the folder is being opened.
    pub dies_in_opening: bool,
}

/// One seed's folder and what happens to it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Logs that share the catalog.
    pub log_count: u16,
    /// Shards at the start.
    pub shard_count: u64,
    /// Operations before the last life.
    pub operations: u64,
    /// Faults to come, at least two.
    pub faults: Vec<FaultKind>,
    /// The ends of the lives before the last one, which only reads.
    pub stops: Vec<Stop>,
    /// How long the shards' records may be kept, ms.
    pub retentions_ms: Vec<u64>,
    /// Bytes are damaged before the last life.
    pub rots: bool,
    /// Options of every log; `log` and `life` are filled in at each opening.
    pub options: LogOptions,
    /// Records of one batch take at most so many bytes: what a log with its spare segments ready
    /// can always take.
    pub batch_bytes_max: usize,
}

/// The data folder.
pub fn folder() -> &'static Path {
    Path::new("/data")
}

/// The folder of the segments.
pub fn segments_folder() -> PathBuf {
    folder().join("segments")
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(random: &mut Rng) -> Plan {
        let options = draw_options(random);
        let usable = usable_bytes(&options);
        let mut faults = FAULT_KINDS.to_vec();
        random.shuffle(&mut faults);
        faults.truncate(random.usize(FAULTS_MIN..=5));
        let operations = random.u64(OPERATIONS_MIN..=OPERATIONS_MIN + 60);
        let rots = random.u8(0..4) == 0;
        Plan {
            log_count: random.u16(1..=3),
            shard_count: random.u64(SHARDS_MIN..=16),
            operations,
            faults,
            stops: draw_stops(random, operations, rots),
            retentions_ms: match random.u8(0..3) {
                0 => vec![LONG_MS],
                1 => vec![LONG_MS, 20_000, 500],
                _ => vec![20_000, 500, 100],
            },
            rots,
            batch_bytes_max: usable * options.spare_segments,
            options,
        }
    }

    /// The options of log `log` in life `life`.
    pub fn log_options(&self, log: u16, life: u32) -> LogOptions {
        LogOptions { log, life, ..self.options.clone() }
    }

    /// Whether a power cut may be survived: not asked of a log that never flushes.
    pub fn is_durable(&self) -> bool {
        self.options.durability == Durability::Durable
    }

    /// The largest record that any segment takes, bytes of key and data.
    pub fn record_bytes_max(&self) -> usize {
        (usable_bytes(&self.options) - 2 * BLOCK).min(2 * self.options.frame_bytes)
    }
}

/// Bytes of records that an empty segment takes whatever their frames, a block each for rounding.
fn usable_bytes(options: &LogOptions) -> usize {
    // Rows, postings, sparse keys, footer: a few blocks for these few shards; then what the last
    // frame leaves, and what each frame rounds up.
    let frames = options.segment_bytes as usize - 5 * BLOCK - options.frame_bytes - BLOCK;
    frames - frames / options.frame_bytes.div_ceil(BLOCK).max(2)
}

/// One crash at least; where bytes rot, all that was acknowledged has a witness before.
fn draw_stops(random: &mut Rng, operations: u64, rots: bool) -> Vec<Stop> {
    let mut stops = Vec::new();
    let count = random.u64(2..=4);
    for number in 1..=count {
        let operation = match number == count {
            true => operations,
            false => operations * number / count - random.u64(0..operations / count / 2),
        };
        let ending = match random.u8(0..6) {
            _ if number == 1 => Ending::Crash,
            0 => Ending::Quiet,
            1 => Ending::Shutdown,
            _ => Ending::Crash,
        };
        stops.push(Stop { operation, ending, dies_in_opening: random.u8(0..6) == 0 });
    }
    let last = stops.last_mut().expect("there are two stops at least");
    let orderly = if random.bool() { Ending::Quiet } else { Ending::Shutdown };
    match (rots, random.bool()) {
        (false, _) => {}
        (true, true) => last.ending = orderly,
        // A life without a single operation: its seal is the only witness.
        (true, false) => {
            stops.push(Stop { operation: operations, ending: orderly, dies_in_opening: false });
        }
    }
    stops
}

fn draw_options(random: &mut Rng) -> LogOptions {
    let mut options = LogOptions::new(folder().to_path_buf(), 0, 0);
    options.segment_bytes = pick(random, &[64 << 10, 64 << 10, 128 << 10, 256 << 10]);
    options.first_segment_bytes = pick(random, &[64 << 10, options.segment_bytes]);
    let first_bytes = options.first_segment_bytes as usize;
    let fitting: Vec<usize> = [2 * BLOCK, 4 * BLOCK, 8 * BLOCK]
        .into_iter()
        .filter(|bytes| bytes * 4 <= first_bytes)
        .collect();
    options.frame_bytes = pick(random, &fitting);
    // What is in flight together fits a segment, as it does with the defaults.
    options.write_depth = random.usize(1..=8.min(first_bytes / options.frame_bytes));
    options.durability = match random.u8(0..5) {
        0 => Durability::Written,
        _ => Durability::Durable,
    };
    options.flush = match random.u8(0..3) {
        0 => FlushMethod::Dsync,
        _ => FlushMethod::Fdatasync,
    };
    options.linger = Duration::from_micros(pick(random, &[0, 100, 300, 1_000]));
    options.waiting_bytes_max = pick(random, &[8 << 10, 64 << 10, 1 << 20]);
    options.cache_bytes_max = pick(random, &[8 << 10, 64 << 10, 1 << 20]);
    options.table_cache_bytes_max = pick(random, &[8 << 10, 256 << 10]);
    // With the least, a segment is rewritten in passes of 4 KiB.
    options.rewriting_bytes_max = pick(random, &[16 << 10, 256 << 10, 80 << 20]);
    options.spare_segments = random.usize(1..=3);
    options.free_files_max = random.usize(0..=3);
    options.surplus_kept = Duration::from_secs(pick(random, &[0, 10]));
    options.idle_after = Duration::from_millis(pick(random, &[100, 1_000, 20_000]));
    if random.u8(0..8) == 0 {
        options.log_bytes_max = Some(options.segment_bytes * random.u64(3..=8));
    }
    options
}

/// One of `choices`.
pub fn pick<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_keep_to_the_bounds() {
        for seed in 0..2_000 {
            let plan = Plan::draw(&mut Rng::with_seed(seed));
            assert!(plan.operations >= OPERATIONS_MIN);
            assert!(plan.faults.len() >= FAULTS_MIN);
            assert!(plan.stops.iter().any(|stop| stop.ending == Ending::Crash));
            assert!(plan.stops.is_sorted_by_key(|stop| stop.operation));
            assert!(plan.record_bytes_max() > 0);
            assert!(plan.record_bytes_max() <= plan.batch_bytes_max);
            let window = plan.options.write_depth * plan.options.frame_bytes;
            assert!(window as u64 <= plan.options.first_segment_bytes);
        }
    }
}
