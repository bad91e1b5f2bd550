//! How near the run came to what the machine can do, and what stopped it.

use serde::{Deserialize, Serialize};

/// `roofline` of run.json.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Bytes of sealed frames written a second over the probe's `seq_write`.
    pub disk_write_ratio: Option<f64>,
    /// Flushes a second over the probe's `write_flush_per_s`.
    pub flush_ratio: Option<f64>,
    /// "disk", "engine core", "generator", "shard limits" or "none: …" with the shares.
    pub bottleneck: String,
}
