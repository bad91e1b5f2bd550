//! What is measured, and what may be said of it.
//!
//! | module | subject |
//! | --- | --- |
//! | [`recorder`] | the eight kinds of latency, recorded while the load runs |
//! | [`windows`] | the same by window, kept compressed |
//! | [`distribution`] | quantiles that may be printed, episodes, censoring |
//! | [`bootstrap`] | the interval of a quantile over windows |
//! | [`steady`] | warm-up cut (MSER-5) and slope |
//! | [`shards`] | counters and a small histogram for each shard |
//! | [`series`] | counters by 100 ms slice |
//! | [`throughput`] | what was offered and what became of it, in balance |
//! | [`skew`] | how uneven the shards are |
//!
//! Only histograms are merged; percentiles are never averaged. Everything that grows with the load is
//! allocated and touched before it starts.

pub mod bootstrap;
pub mod distribution;
pub mod recorder;
pub mod series;
pub mod shards;
pub mod skew;
pub mod steady;
pub mod throughput;
pub mod windows;

#[cfg(test)]
mod sanity;

/// Nanoseconds of a slice: episodes, series and steadiness are seen in these.
pub const SLICE_NS: u64 = 100_000_000;

/// How many slices a span of time has, the last one perhaps not whole.
#[must_use]
pub fn slices(span_ns: u64) -> usize {
    usize::try_from(span_ns.div_ceil(SLICE_NS)).expect("a run's slices fit in memory")
}
