//! `latency.hlog`: all latencies of a run in HdrHistogram's log format, one line for each kind and
//! window, which other people's tools read and plot.
//!
//! ```text
//!   #[StartTime: 1796022782.000 (seconds since epoch)]
//!   Tag=response,0.000,0.250,4.198,HISTFAAAA...      kind, start s, length s, longest ms, histogram
//! ```
//!
//! Values are nanoseconds. Starts are seconds since the measured time began. The kinds close
//! their windows one after the other (see [`crate::stats::windows`]), so that a window may begin up to
//! an eighth of its length later than its line says. Records that were never sent stand in a line of
//! their own at the end, with their lower bounds: all lines of a tag together are the run's histogram.

use crate::stats::distribution::Distribution;
use crate::stats::recorder::Kind;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use std::io;
use std::time::{Duration, SystemTime};

/// The column "max" is for people: milliseconds.
const NS_PER_SHOWN_MAX: f64 = 1e6;

type Writer<'a, 'b> = IntervalLogWriter<'a, 'b, Vec<u8>, V2DeflateSerializer>;

/// One line to be written.
struct Line {
    kind: Kind,
    start_ns: u64,
    span_ns: u64,
    histogram: Histogram<u64>,
}

/// The log of a run whose measured time began at `started`.
#[must_use]
pub fn interval_log(
    kinds: &[Distribution; Kind::ALL.len()],
    measured_ns: u64,
    started: SystemTime,
) -> Vec<u8> {
    let mut text = Vec::new();
    write(&mut text, kinds, measured_ns, started).expect("a Vec takes it");
    text
}

fn write(
    text: &mut Vec<u8>,
    kinds: &[Distribution; Kind::ALL.len()],
    measured_ns: u64,
    started: SystemTime,
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[loadgen; values in nanoseconds; tags are the kinds of latency of run.json]")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(NS_PER_SHOWN_MAX)
        .begin_log_with(text, &mut serializer)?;
    let mut lines: Vec<Line> = Vec::new();
    for (kind, distribution) in Kind::ALL.into_iter().zip(kinds) {
        windows_of(kind, distribution, &mut lines);
    }
    // Readers expect lines in the order of their starts.
    lines.sort_by_key(|line| line.start_ns);
    lines.iter().try_for_each(|line| write_line(&mut log, line))?;
    for (kind, distribution) in Kind::ALL.into_iter().zip(kinds) {
        if let Some(histogram) = never_sent(distribution) {
            let count = histogram.len();
            log.write_comment(&format!(
                "[the next line: {count} records never sent, lower bounds]"
            ))?;
            let line = Line { kind, start_ns: measured_ns, span_ns: 0, histogram };
            write_line(&mut log, &line)?;
        }
    }
    Ok(())
}

fn windows_of(kind: Kind, distribution: &Distribution, lines: &mut Vec<Line>) {
    let windows = distribution.windows();
    let span_ns = windows.window_ns();
    let mut start_ns = 0;
    for histogram in windows.decode() {
        if !histogram.is_empty() {
            lines.push(Line { kind, start_ns, span_ns, histogram });
        }
        start_ns += span_ns;
    }
}

fn write_line(log: &mut Writer<'_, '_>, line: &Line) -> io::Result<()> {
    let tag = Tag::new(line.kind.name());
    let start = Duration::from_nanos(line.start_ns);
    let span = Duration::from_nanos(line.span_ns);
    log.write_histogram(&line.histogram, start, span, tag).map_err(|error| match error {
        IntervalLogWriterError::IoError(error) => error,
        IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
    })
}

/// What the whole holds and no window does.
fn never_sent(distribution: &Distribution) -> Option<Histogram<u64>> {
    if distribution.censored() == 0 {
        return None;
    }
    let mut rest = distribution.histogram().clone();
    for window in distribution.windows().decode() {
        rest.subtract(&window).expect("a window's values are in the whole");
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::recorder::{Measured, Recorder};
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    const SECOND: u64 = 1_000_000_000;
    const MEASURED: Measured = Measured { from_ns: 2 * SECOND, until_ns: 12 * SECOND };

    fn recorded() -> [Distribution; Kind::ALL.len()] {
        let mut recorder = Recorder::new(MEASURED);
        for i in 0..10_000_u64 {
            let now_ns = MEASURED.from_ns + i * 1_000_000;
            let ns = 1_000_000 + (i * 7_919 % 10_000) * 1_000;
            let slice = MEASURED.slice(now_ns);
            recorder.record_call(Kind::Response, ns, 3, slice);
            recorder.record_call(Kind::Call, ns, 1, slice);
            recorder.tend(now_ns);
        }
        recorder.finish()
    }

    /// Standard base64, decoded without a crate for one test.
    fn base64(text: &str) -> Vec<u8> {
        const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = Vec::new();
        for four in text.trim_end_matches('=').as_bytes().chunks(4) {
            let value = |byte: &u8| LETTERS.find(char::from(*byte)).unwrap();
            let bits = four.iter().fold(0, |bits, byte| bits << 6 | value(byte));
            let bits = bits << (6 * (4 - four.len()));
            bytes
                .extend([bits >> 16, bits >> 8, bits].map(|b| b as u8).iter().take(four.len() - 1));
        }
        bytes
    }

    /// All lines of a tag as one histogram, and how many there were.
    fn read(log: &[u8], kind: Kind) -> (Histogram<u64>, usize) {
        let mut sum = crate::stats::distribution::empty_histogram();
        let mut count = 0;
        for entry in IntervalLogIterator::new(log) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            if interval.tag().unwrap().as_str() != kind.name() {
                continue;
            }
            let bytes = base64(interval.encoded_histogram());
            let histogram: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            sum.add(&histogram).unwrap();
            count += 1;
        }
        (sum, count)
    }

    #[test]
    fn the_lines_of_a_tag_are_the_histogram_of_the_run() {
        let kinds = recorded();
        let log = interval_log(&kinds, MEASURED.span_ns(), SystemTime::UNIX_EPOCH);
        for kind in [Kind::Response, Kind::Call] {
            let (found, lines) = read(&log, kind);
            assert_eq!(&found, kinds[kind as usize].histogram());
            assert!((39..=41).contains(&lines), "{lines} windows of 250 ms");
        }
        assert_eq!(read(&log, Kind::EndToEnd).1, 0, "no line where nothing was measured");
    }

    #[test]
    fn records_never_sent_are_in_the_log() {
        let mut kinds = recorded();
        for _ in 0..1_000 {
            kinds[Kind::Response as usize].censor(5 * SECOND, 1);
        }
        let log = interval_log(&kinds, MEASURED.span_ns(), SystemTime::UNIX_EPOCH);
        let (found, _) = read(&log, Kind::Response);
        assert_eq!(&found, kinds[Kind::Response as usize].histogram());
        assert!(String::from_utf8(log).unwrap().contains("1000 records never sent"));
    }

    #[test]
    fn lines_rise_in_time_and_say_when() {
        let log = interval_log(&recorded(), MEASURED.span_ns(), SystemTime::UNIX_EPOCH);
        let text = String::from_utf8(log).unwrap();
        assert!(text.starts_with("#[Histogram log format version 1.3]\n"), "{text:.80}");
        assert!(text.contains("\nTag=response,0.000,0.250,"), "the first window");
        let starts: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with("Tag="))
            .map(|line| line.split(',').nth(1).unwrap().parse().unwrap())
            .collect();
        assert!(starts.is_sorted());
    }
}
