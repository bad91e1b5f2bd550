//! The eight kinds of latency, recorded while the load runs.
//!
//! ```text
//!  tick t      due d            sendable a          sent s                      done e
//!   |-- batch_wait --|-- back_pressure --|-- lag --|------------ service ----------|
//!   |------------------------------- response = e - t -----------------------------|
//! ```
//!
//! `response` and `batch_wait` differ for each record of a call; `back_pressure`, `lag` and `service`
//! are the call's, counted once for each of its records; `call` is service once a call; `throttle` is
//! from tick to refusal; `end_to_end` from tick to a consumer. Lag is the generator's own lateness and
//! the only one that judges it; back-pressure is the server's.
//!
//! A value goes into the kind's current window (about 4 ns). [`Recorder::tend`] closes windows, one
//! kind at a time, so that no pause is longer than about 80 µs. Call it between calls.

use crate::stats::distribution::{Distribution, LATENCY_NS_MAX, Recorded, empty_histogram};
use crate::stats::windows::Windows;
use crate::stats::{SLICE_NS, slices, windows};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};

/// What a latency is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// From a record's tick to its acknowledgement.
    Response,
    /// From sending to the acknowledgement, once for each record.
    Service,
    /// From when a call could be sent to when it was.
    Lag,
    /// From a record's tick to when its batch was due.
    BatchWait,
    /// From when a batch was due to when the cap on calls in flight let it go.
    BackPressure,
    /// From a record's tick to its refusal by the throttle.
    Throttle,
    /// From sending to the answer, once a call.
    Call,
    /// From a record's tick to its arrival at a consumer.
    EndToEnd,
}

impl Kind {
    /// All of them, in the order of run.json.
    pub const ALL: [Self; 8] = [
        Self::Response,
        Self::Service,
        Self::Lag,
        Self::BatchWait,
        Self::BackPressure,
        Self::Throttle,
        Self::Call,
        Self::EndToEnd,
    ];

    /// The name in run.json and in latency.hlog.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::Lag => "lag",
            Self::BatchWait => "batch_wait",
            Self::BackPressure => "back_pressure",
            Self::Throttle => "throttle",
            Self::Call => "call",
            Self::EndToEnd => "end_to_end",
        }
    }
}

const _: () = assert!(Kind::EndToEnd as usize + 1 == Kind::ALL.len());

/// Which time of a run is measured, in nanoseconds since t0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Its first nanosecond: the warm-up ends before it.
    pub from_ns: u64,
    /// The nanosecond behind its last.
    pub until_ns: u64,
}

impl Measured {
    /// How long it is.
    #[must_use]
    pub fn span_ns(self) -> u64 {
        assert!(self.from_ns < self.until_ns, "something is measured");
        self.until_ns - self.from_ns
    }

    /// Whether a moment belongs to it.
    #[must_use]
    pub const fn contains(self, at_ns: u64) -> bool {
        self.from_ns <= at_ns && at_ns < self.until_ns
    }

    /// The slice that a moment lies in.
    #[must_use]
    pub fn slice(self, at_ns: u64) -> usize {
        let since = at_ns.saturating_sub(self.from_ns) / SLICE_NS;
        usize::try_from(since).expect("a run's slices fit in memory")
    }
}

/// One kind while it is recorded.
pub struct KindRecorder {
    window: Histogram<u64>,
    whole: Histogram<u64>,
    windows: Windows,
    closes_ns: u64,
    calls: u64,
    overflow: u64,
    max_ns: u64,
    slices_max_ns: Vec<u64>,
}

/// See the module.
pub struct Recorder {
    kinds: [KindRecorder; Kind::ALL.len()],
    measured: Measured,
    window_ns: u64,
    tended: usize,
    serializer: V2Serializer,
}

impl KindRecorder {
    fn new(measured: Measured, window_ns: u64, first_closes_ns: u64) -> Self {
        let slices = slices(measured.span_ns());
        let expected = usize::try_from(measured.span_ns() / window_ns).expect("few windows") + 2;
        let mut recorder = Self {
            window: touched_histogram(),
            whole: touched_histogram(),
            windows: Windows::new(window_ns, expected),
            closes_ns: first_closes_ns,
            calls: 0,
            overflow: 0,
            max_ns: 0,
            slices_max_ns: vec![1; slices],
        };
        recorder.slices_max_ns.fill(0);
        recorder
    }

    /// One record's latency. [`KindRecorder::close_call`] follows once for the call.
    #[inline]
    pub fn add(&mut self, ns: u64) {
        self.add_many(ns, 1);
    }

    /// The same latency for `count` records of a call.
    #[inline]
    pub fn add_many(&mut self, ns: u64, count: u64) {
        // Not the histogram's own bound: its highest bucket reaches past the hour.
        if ns > LATENCY_NS_MAX {
            self.overflow += count;
        }
        self.window.saturating_record_n(ns.min(LATENCY_NS_MAX), count);
    }

    /// A call's records are in: its longest latency, and the slice that its first tick lies in. Later
    /// slices than there are belong to the drain and count for the last one.
    #[inline]
    pub fn close_call(&mut self, longest_ns: u64, slice: usize) {
        self.calls += 1;
        self.max_ns = self.max_ns.max(longest_ns);
        let last = self.slices_max_ns.len() - 1;
        let place = &mut self.slices_max_ns[slice.min(last)];
        *place = (*place).max(longest_ns);
    }

    fn close_window(&mut self, serializer: &mut V2Serializer) {
        self.whole.add(&self.window).expect("all histograms have the same bounds");
        self.windows.push(&self.window, serializer);
        self.window.reset();
    }

    fn finish(mut self, serializer: &mut V2Serializer) -> Distribution {
        if !self.window.is_empty() {
            self.close_window(serializer);
        }
        Distribution::new(Recorded {
            histogram: self.whole,
            calls: self.calls,
            overflow: self.overflow,
            max_ns: self.max_ns,
            slices_max_ns: self.slices_max_ns,
            windows: self.windows,
        })
    }
}

/// An empty histogram whose pages have been written.
fn touched_histogram() -> Histogram<u64> {
    let mut histogram = empty_histogram();
    let mut value = 1;
    while value < LATENCY_NS_MAX {
        histogram.record(value).expect("within the bounds");
        // At most 512 buckets of 8 bytes further: one write for each page.
        value += (value / 4).max(1);
    }
    histogram.reset();
    histogram
}

impl Recorder {
    /// A recorder for a measured time; everything it needs is allocated now.
    #[must_use]
    pub fn new(measured: Measured) -> Self {
        let window_ns = windows::window_ns(measured.span_ns());
        let mut place = 0;
        let kinds = Kind::ALL.map(|_| {
            // Kinds close their windows one after the other.
            let first = measured.from_ns + window_ns + window_ns * place / Kind::ALL.len() as u64;
            place += 1;
            KindRecorder::new(measured, window_ns, first)
        });
        let mut serializer = V2Serializer::new();
        let mut largest = empty_histogram();
        largest.record(LATENCY_NS_MAX).expect("within the bounds");
        serializer.serialize(&largest, &mut Vec::new()).expect("a Vec takes it");
        Self { kinds, measured, window_ns, tended: 0, serializer }
    }

    /// The measured time.
    #[must_use]
    pub const fn measured(&self) -> Measured {
        self.measured
    }

    /// One kind.
    #[inline]
    pub const fn kind(&mut self, kind: Kind) -> &mut KindRecorder {
        &mut self.kinds[kind as usize]
    }

    /// A latency of a whole call, for each of its `records`.
    #[inline]
    pub fn record_call(&mut self, kind: Kind, ns: u64, records: u64, slice: usize) {
        let recorder = self.kind(kind);
        recorder.add_many(ns, records);
        recorder.close_call(ns, slice);
    }

    /// Closes the next kind's window if its time has come. Between calls; at most about 80 µs.
    pub fn tend(&mut self, now_ns: u64) {
        let kind = &mut self.kinds[self.tended];
        if now_ns < kind.closes_ns {
            return;
        }
        if now_ns < self.measured.until_ns {
            kind.close_window(&mut self.serializer);
        }
        kind.closes_ns += self.window_ns;
        self.tended = (self.tended + 1) % self.kinds.len();
    }

    /// What was recorded, in the order of [`Kind::ALL`].
    #[must_use]
    pub fn finish(mut self) -> [Distribution; Kind::ALL.len()] {
        self.kinds.map(|kind| kind.finish(&mut self.serializer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distribution::Quantile;

    const SECOND: u64 = 1_000_000_000;
    const MEASURED: Measured = Measured { from_ns: SECOND, until_ns: 11 * SECOND };

    #[test]
    fn windows_close_one_kind_at_a_time_and_add_up() {
        let mut recorder = Recorder::new(MEASURED);
        for ms in 1_000..11_000_u64 {
            let now_ns = ms * 1_000_000;
            let slice = MEASURED.slice(now_ns);
            recorder.record_call(Kind::Service, ms, 500, slice);
            recorder.record_call(Kind::Call, ms, 1, slice);
            recorder.tend(now_ns);
        }
        let found = recorder.finish();
        for kind in [Kind::Service, Kind::Call] {
            let distribution = &found[kind as usize];
            let records = if kind == Kind::Call { 1 } else { 500 };
            assert_eq!(distribution.calls(), 10_000);
            assert_eq!(distribution.count(), 10_000 * records);
            assert_eq!(distribution.max_ns(), Some(10_999));
            // 10 s in windows of 250 ms; the last is closed at the end.
            assert!((39..=41).contains(&distribution.windows().count()), "{distribution:?}");
            let windows = distribution.windows().decode();
            let sum: u64 = windows.iter().map(Histogram::len).sum();
            assert_eq!(sum, distribution.count());
            assert!(matches!(distribution.quantile(0.999), Quantile::Value(_)));
        }
        assert_eq!(found[Kind::EndToEnd as usize].count(), 0);
    }

    #[test]
    fn longer_than_an_hour_is_counted_as_such() {
        let mut recorder = Recorder::new(MEASURED);
        recorder.kind(Kind::Response).add(LATENCY_NS_MAX + 100 * SECOND);
        recorder.kind(Kind::Response).add(0);
        recorder.kind(Kind::Response).close_call(LATENCY_NS_MAX + 100 * SECOND, 0);
        let [response, ..] = recorder.finish();
        assert_eq!((response.count(), response.overflow()), (2, 1));
        assert_eq!(response.max_ns(), Some(LATENCY_NS_MAX + 100 * SECOND));
    }

    #[test]
    fn a_late_slice_belongs_to_the_last() {
        let mut recorder = Recorder::new(MEASURED);
        recorder.record_call(Kind::Response, 900, 1, 0);
        recorder.record_call(Kind::Response, 900, 1, 5_000);
        let [response, ..] = recorder.finish();
        assert_eq!(response.episodes_beyond(500), 2);
        assert!(MEASURED.contains(SECOND) && !MEASURED.contains(11 * SECOND));
        assert_eq!(MEASURED.slice(SECOND + 250_000_000), 2);
    }
}
