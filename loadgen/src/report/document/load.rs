//! `load`: what was offered and what became of it. Rates divide by the planned window; an
//! acknowledgement counts by its record's tick. MB are 10^6 bytes of data without keys.

use crate::report::round::to_places;
use crate::stats::throughput::Counters;
use serde::Serialize;

/// `load`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Records, attempts, calls and bytes.
    #[serde(flatten)]
    pub counters: Counters,
    /// Bytes on the wire; null where there is none.
    pub wire_bytes: Option<u64>,
    /// Offered records a second.
    pub offered_per_s: f64,
    /// Acknowledged records a second.
    pub acked_per_s: f64,
    /// Acknowledged within the SLO's latency, and verified; null where it was not verified.
    pub goodput_per_s: Option<f64>,
    /// Their data.
    pub acked_mb_s: f64,
    /// Most calls in flight at once.
    pub in_flight_max: u64,
    /// The planned window.
    pub measured_s: f64,
}

/// What `load` needs beside the counters.
#[derive(Clone, Copy, Debug)]
pub struct LoadContext {
    /// The planned window.
    pub measured_ns: u64,
    /// Most calls in flight at once.
    pub in_flight_max: u64,
    /// Records acknowledged in time; `None` where they were not verified.
    pub good_records: Option<u64>,
}

impl Load {
    /// The section.
    #[must_use]
    pub fn new(counters: &Counters, context: LoadContext) -> Self {
        let per_s = |count: u64| to_places(Counters::per_second(count, context.measured_ns), 1);
        let mb = counters.acked_bytes as f64 / 1e6;
        let measured_s = context.measured_ns as f64 / 1e9;
        Self {
            counters: *counters,
            wire_bytes: None,
            offered_per_s: per_s(counters.offered_records),
            acked_per_s: per_s(counters.acked_records),
            goodput_per_s: context.good_records.map(per_s),
            acked_mb_s: to_places(mb / measured_s, 3),
            in_flight_max: context.in_flight_max,
            measured_s: to_places(measured_s, 3),
        }
    }
}
