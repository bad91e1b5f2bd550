//! What this machine's disk, memory, loopback and timers can do, asked before and after a run.

use crate::environment::reasons::Reasons;
use serde::{Deserialize, Serialize};

/// `probes` of run.json: the mean of the readings before and after the run, and both of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Probes {
    /// What every ratio uses.
    #[serde(flatten)]
    pub mean: ProbeFigures,
    /// Before the run.
    pub before: ProbeFigures,
    /// After the run; null where it was interrupted.
    pub after: Option<ProbeFigures>,
}

/// One round of probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeFigures {
    /// Sequential writes with the engine's flush method, MB (10⁶ bytes) a second.
    pub seq_write_mb_s: Option<f64>,
    /// The size of each of those writes, in bytes.
    pub seq_write_block_bytes: u64,
    /// How many of them were in flight.
    pub seq_write_depth: u32,
    /// A write of 4 KiB to a pre-written file, made durable, alone: median, in microseconds.
    pub write_flush_p50_us: Option<f64>,
    /// The same, 99th percentile.
    pub write_flush_p99_us: Option<f64>,
    /// The same, how many a second.
    pub write_flush_per_s: Option<f64>,
    /// The same with all CPUs busy, 99th percentile.
    pub write_flush_busy_p99_us: Option<f64>,
    /// Sequential reads of 1 MiB, eight in flight, MB a second.
    pub seq_read_mb_s: Option<f64>,
    /// Memory copied by one core, GB (10⁹ bytes) a second.
    pub memcpy_gb_s: Option<f64>,
    /// There and back over TCP on 127.0.0.1, median, in microseconds.
    pub loopback_rtt_p50_us: Option<f64>,
    /// How late a sleeping thread wakes, 99th percentile, in microseconds.
    pub sleep_overshoot_p99_us: Option<f64>,
    /// Why a figure is null.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub null_reasons: Reasons,
}
