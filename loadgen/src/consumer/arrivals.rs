//! What arrives, counted and timed. Every record of 48 bytes or more carries its tick, and reading it
//! is one load beside the length that has to be read anyway: nothing is sampled.

use gyre::embed::Chunk;

use super::stamp::{Stamp, Stamps};
use crate::stats::distribution::Distribution;
use crate::stats::recorder::{Kind, Measured, Recorder};

/// See the module.
pub(super) struct Arrivals {
    measured: Measured,
    stamps: Stamps,
    recorder: Recorder,
    corrupt: u64,
    /// The earliest tick of the group, `u64::MAX` where none counts.
    earliest_ns: u64,
}

impl Arrivals {
    pub(super) fn new(measured: Measured, stamps: Stamps) -> Arrivals {
        let recorder = Recorder::new(measured);
        Arrivals { measured, stamps, recorder, corrupt: 0, earliest_ns: u64::MAX }
    }

    /// A chunk that has come. Returns how many records it holds.
    pub(super) fn take(&mut self, chunk: &Chunk, arrived_ns: u64) -> u64 {
        let mut records = chunk.records();
        let mut count = 0;
        for record in &mut records {
            count += 1;
            match self.stamps.of(record.data) {
                Stamp::At(meant_ns) if self.measured.contains(meant_ns) => {
                    self.earliest_ns = self.earliest_ns.min(meant_ns);
                    let ns = arrived_ns.saturating_sub(meant_ns);
                    self.recorder.kind(Kind::EndToEnd).add(ns);
                }
                Stamp::At(_) | Stamp::Untimed => {}
                Stamp::Foreign => self.corrupt += 1,
            }
        }
        if count != chunk.count || !records.rest().is_empty() {
            self.corrupt += u64::from(chunk.count.saturating_sub(count)).max(1);
        }
        u64::from(count)
    }

    /// The chunks that were taken since the last time arrived as one event.
    pub(super) fn close_group(&mut self, arrived_ns: u64) {
        let earliest_ns = std::mem::replace(&mut self.earliest_ns, u64::MAX);
        if earliest_ns < u64::MAX {
            let longest_ns = arrived_ns.saturating_sub(earliest_ns);
            let slice = self.measured.slice(earliest_ns);
            self.recorder.kind(Kind::EndToEnd).close_call(longest_ns, slice);
        }
    }

    pub(super) fn tend(&mut self, now_ns: u64) {
        self.recorder.tend(now_ns);
    }

    /// The latencies, and how many records were not as they should be.
    pub(super) fn finish(self) -> (Distribution, u64) {
        let mut kinds = Vec::from(self.recorder.finish());
        (kinds.swap_remove(Kind::EndToEnd as usize), self.corrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payloads;
    use crate::record::Identity;

    const MEASURED: Measured = Measured { from_ns: 1_000, until_ns: 1_000_000_000 };

    /// Records of 100 bytes with these ticks, as FORMAT.md has them in a frame.
    fn chunk(ticks: &[u64]) -> Chunk {
        let payloads = Payloads::new(1, 2, 100);
        let mut bytes = Vec::new();
        for (sequence, tick) in (0..).zip(ticks) {
            bytes.extend_from_slice(&100_u32.to_le_bytes());
            bytes.extend_from_slice(&1_u16.to_le_bytes());
            bytes.extend_from_slice(&[0; 6]);
            bytes.push(b'k');
            payloads.append(Identity { producer: 0, sequence }, *tick, 100, &mut bytes);
        }
        let count = u32::try_from(ticks.len()).unwrap();
        Chunk { base_ms: 0, first_index: 0, count, bytes: bytes.into() }
    }

    #[test]
    fn the_measured_records_have_a_latency_and_all_are_counted() {
        let mut arrivals = Arrivals::new(MEASURED, Stamps::new(100, None));
        assert_eq!(arrivals.take(&chunk(&[10, 2_000, 3_000]), 5_000), 3);
        assert_eq!(arrivals.take(&chunk(&[4_000]), 5_000), 1);
        arrivals.close_group(5_000);
        assert_eq!(arrivals.take(&chunk(&[20]), 6_000), 1);
        arrivals.close_group(6_000);
        let (end_to_end, corrupt) = arrivals.finish();
        assert_eq!((end_to_end.count(), end_to_end.calls(), corrupt), (3, 1, 0));
        assert_eq!(end_to_end.max_ns(), Some(3_000));
        assert_eq!(end_to_end.value_at(0.01), 1_000);
    }

    #[test]
    fn what_is_not_ours_or_does_not_add_up_is_counted() {
        let check = |chunk: Chunk, expected: u64| {
            let mut arrivals = Arrivals::new(MEASURED, Stamps::new(100, None));
            arrivals.take(&chunk, 5_000);
            assert_eq!(arrivals.finish().1, expected);
        };
        let whole = chunk(&[1, 2, 3]);
        check(whole.clone(), 0);
        let mut foreign = whole.bytes.to_vec();
        // Behind the record's 12 bytes and its key of one the header begins.
        foreign[13] ^= 1;
        check(Chunk { bytes: foreign.into(), ..whole.clone() }, 1);
        check(Chunk { bytes: whole.bytes[..200].into(), ..whole.clone() }, 2);
        check(Chunk { count: 2, ..whole }, 1);
    }
}
