//! A latency by window of time, each window kept in HdrHistogram's V2 encoding: a few kilobytes
//! instead of 270.
//!
//! Closing a window costs about 80 µs (adding to the whole, encoding, clearing). The kinds of latency
//! therefore close their windows at different moments: see [`crate::stats::recorder`].

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use std::fmt;
use std::io::Cursor;

/// Windows fewer than this say nothing about their spread.
pub const BOOTSTRAP_WINDOWS_MIN: usize = 30;

const WINDOW_NS_MIN: u64 = 100_000_000;
const WINDOW_NS_USUAL: u64 = 1_000_000_000;
const WINDOWS_WANTED: u64 = 40;
const WINDOWS_MAX: u64 = 240;

/// Encoded bytes that a window is expected to need; more makes the buffer grow.
const WINDOW_BYTES_EXPECTED: usize = 16 << 10;

/// How long a window is: a second, shorter where there would be fewer than 40 of them (but 100 ms at
/// least), longer where there would be more than 240.
#[must_use]
pub fn window_ns(measured_ns: u64) -> u64 {
    let longest = WINDOW_NS_USUAL.max(measured_ns / WINDOWS_MAX);
    (measured_ns / WINDOWS_WANTED).clamp(WINDOW_NS_MIN, longest)
}

/// See the module.
#[derive(Clone)]
pub struct Windows {
    window_ns: u64,
    encoded: Vec<u8>,
    /// Where each window ends in `encoded`.
    ends: Vec<usize>,
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} windows of {} ns", self.ends.len(), self.window_ns)
    }
}

impl Windows {
    /// No window yet, and room for `expected` of them.
    #[must_use]
    pub fn new(window_ns: u64, expected: usize) -> Self {
        // Written once: pages that were never touched cost more than the window (FACTS: 1.5 ms).
        let mut encoded = vec![1; expected * WINDOW_BYTES_EXPECTED];
        encoded.clear();
        Self { window_ns, encoded, ends: Vec::with_capacity(expected) }
    }

    /// Appends a window.
    pub fn push(&mut self, window: &Histogram<u64>, serializer: &mut V2Serializer) {
        serializer.serialize(window, &mut self.encoded).expect("a Vec takes it");
        self.ends.push(self.encoded.len());
    }

    /// How long each is.
    #[must_use]
    pub const fn window_ns(&self) -> u64 {
        self.window_ns
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The windows in their order.
    #[must_use]
    pub fn decode(&self) -> Vec<Histogram<u64>> {
        let mut deserializer = Deserializer::new();
        let mut start = 0;
        let mut decode = |end: &usize| {
            let mut bytes = Cursor::new(&self.encoded[start..*end]);
            start = *end;
            deserializer.deserialize(&mut bytes).expect("encoded by us a moment ago")
        };
        self.ends.iter().map(&mut decode).collect()
    }

    /// Adds another worker's windows of the same run, first to first.
    pub fn merge(&mut self, other: &Self) {
        if other.ends.is_empty() {
            return;
        }
        if self.ends.is_empty() {
            self.clone_from(other);
            return;
        }
        assert!(self.window_ns == other.window_ns, "windows of one run are alike");
        let (mut ours, theirs) = (self.decode(), other.decode());
        for (place, window) in theirs.into_iter().enumerate() {
            match ours.get_mut(place) {
                Some(sum) => sum.add(&window).expect("all histograms have the same bounds"),
                None => ours.push(window),
            }
        }
        let mut serializer = V2Serializer::new();
        self.encoded.clear();
        self.ends.clear();
        for window in &ours {
            self.push(window, &mut serializer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distribution::empty_histogram;

    fn windows(values: &[u64]) -> Windows {
        let mut windows = Windows::new(WINDOW_NS_USUAL, 4);
        let mut serializer = V2Serializer::new();
        for value in values {
            let mut histogram = empty_histogram();
            histogram.record_n(*value, 7).unwrap();
            windows.push(&histogram, &mut serializer);
        }
        windows
    }

    #[test]
    fn what_was_kept_comes_back() {
        let kept = windows(&[1, 5_000_000, 3_600_000_000_000]);
        assert_eq!(kept.count(), 3);
        let decoded = kept.decode();
        assert!(decoded.iter().all(|window| window.len() == 7));
        assert_eq!(decoded[0].max(), 1);
        assert!((decoded[1].value_at_quantile(0.5) as f64 / 5e6 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn windows_of_two_workers_add_up() {
        let mut sum = windows(&[100, 200]);
        sum.merge(&windows(&[100, 200, 300]));
        let counts: Vec<u64> = sum.decode().iter().map(Histogram::len).collect();
        assert_eq!(counts, [14, 14, 7]);
        let mut empty = windows(&[]);
        empty.merge(&sum);
        assert_eq!(empty.count(), 3);
    }

    #[test]
    fn windows_are_neither_few_nor_many() {
        let check = |seconds: f64, expected_ms: u64| {
            assert_eq!(window_ns((seconds * 1e9) as u64), expected_ms * 1_000_000, "{seconds} s");
        };
        check(1.0, 100);
        check(10.0, 250);
        check(30.0, 750);
        check(60.0, 1_000);
        check(240.0, 1_000);
        check(2_400.0, 10_000);
    }
}
