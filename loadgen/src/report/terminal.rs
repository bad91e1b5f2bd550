//! What a person sees of a finished run, as one text. What may not be printed says why not; what is a
//! lower bound carries "≥"; durability, flush method, file system and driver head every figure.

mod consumers;
mod cost;
mod grid;
mod histogram;
mod latency;
mod search;
mod shards;
mod style;
mod throughput;
mod verdict;

pub use style::Style;

use crate::amount::{show_bytes, show_count};
use crate::report::Finished;
use crate::report::document::Document;
use crate::report::figures::KindFigures;
use crate::scenario::Rate;
use crate::stats::recorder::Kind;
use std::fmt::Write as _;

/// The report of a run, with a line end behind it.
#[must_use]
pub fn report(
    finished: &Finished<'_>,
    document: &Document,
    figures: &[Option<KindFigures>; Kind::ALL.len()],
    style: Style,
) -> String {
    let outcome = finished.outcome;
    let mut text = String::from("\n");
    text += &subject(document, style);
    text += &load(finished);
    if let Some(search) = &outcome.search {
        text += &search::section(search, style);
    }
    text += &throughput::section(outcome, document, style);
    text += &latency::section(outcome, figures, style);
    text += &consumers::section(outcome, document, figures, style);
    text += &histogram::section(outcome.load.latency(Kind::Response), style);
    text += &shards::section(outcome, document, style);
    text += &cost::section(finished, document, style);
    text += &verdict::section(outcome, document, style);
    text
}

/// What was measured: without this line no figure below means anything.
fn subject(document: &Document, style: Style) -> String {
    let subject = &document.subject;
    let place = document
        .hw
        .disk
        .as_ref()
        .map_or_else(String::new, |disk| format!(" on {} ({})", disk.name, disk.kind));
    let name = style.bold(&format!("{} {}", subject.name, subject.version));
    format!(
        " {name} embedded · {}, flush {} · limits {} · {}{place} · {}\n",
        subject.durability, subject.flush, subject.limits, subject.data_fs, subject.driver,
    )
}

/// What was sent, and what had been made ready for it.
fn load(finished: &Finished<'_>) -> String {
    let outcome = finished.outcome;
    let scenario = &outcome.scenario;
    let pace = match scenario.producer.rate {
        Rate::Max => format!("closed loop, {} calls in flight", scenario.producer.in_flight()),
        Rate::PerSecond(rate) => format!("open loop, {} records/s", show_count(rate)),
    };
    let mut text = format!(
        " {} · {pace} · {} shards · {} B a record, {} a call · {:.1} s measured\n",
        scenario.name,
        show_count(u64::from(scenario.stream.shards)),
        scenario.record_bytes().0,
        scenario.producer.batch.max_records,
        outcome.load.measured_ns as f64 / 1e9,
    );
    let engine = &outcome.engine;
    if engine.prepared_bytes > 0 {
        writeln!(
            text,
            " {} of segments made ready before it in {:.1} s",
            show_bytes(engine.prepared_bytes),
            engine.prepared_took.as_secs_f64(),
        )
        .expect("a String takes it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;
    use crate::outcome::{Outcome, Verdict};
    use crate::report::{document, sample};
    use crate::scenario::LimitsSetting;

    fn shown(outcome: &Outcome, style: Style) -> String {
        let environment = sample::environment();
        let finished = sample::finished(outcome, &environment);
        let figures = document::figures(outcome);
        report(&finished, &Document::new(&finished, &figures), &figures, style)
    }

    fn check(text: &str, expected: &[&str]) {
        for part in expected {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_good_run_shows_everything() {
        let text = shown(&sample::outcome(), Style::PLAIN);
        check(
            &text,
            &[
                " gyre 0.1.0 embedded · durable, flush fdatasync · limits aws · ext4 on vda (virtio) · \
                 io_uring, direct I/O\n",
                "2 GiB of segments made ready before it in 1.5 s",
                " 2       1,000,000  1,000,000    12.0          0  1.0  failed: p99 12.0 ms\n",
                "highest rate that held: 555,555 records/s · void steps repeated: 1",
                "500,000 ±0  50.0    1,000     100.0 %\n",
                "goodput (within 5ms)",
                "p99 95 % CI ",
                "← generator healthy",
                " Consumers  2 · 12,000,000 records came · everything acknowledged, in order ✓ · 31.3 ns \
                 a record, 50 of them a chunk\n   end to end p50 = response p50 + 0.0000 ms · read from \
                 the disk meanwhile: 0 pieces for readers, 0 B by the engine in all, 12 KiB by anyone\n",
                " Shards  128 · binding limit: records · hottest shardId-000000000000 ",
                "MB/s a shard, keys included  least 0.0000 · median 0.38",
                "top key \"k-000001\" 0.8 %",
                "0 over-accepted seconds · 0 seconds with unjust throttles   ✓ conforms\n",
                "CPU 0.4 µs · n/a (perf is not there) syscalls · 0.0028 flushes · 1.31 bytes written",
                "none: engine core at 56 % · disk, of its probe: 38 %",
                "2900 MB/s flushed, 256 KiB × 16 in flight · 4 KiB write + flush p50 200 µs, 2600/s",
                "6,000,000 records · every record read back, once, whole, in order ✓ · in 1.2 s",
                " Valid yes · Steady yes · SLO response_p99<5ms ✓ (2.37ms)  throttled=0 ✓ (0 %)   → exit 0",
            ],
        );
        assert!(!text.contains('\x1b'), "no colours where none are wanted");
        assert!(shown(&sample::outcome(), Style::COLOURED).contains("\x1b[32myes\x1b[0m"));
        assert!(text.lines().all(|line| line == line.trim_end()), "no spaces at ends of lines");
    }

    #[test]
    fn a_bad_run_says_what_is_bad() {
        let mut outcome = sample::outcome();
        let response = &mut outcome.load.distributions[Kind::Response as usize];
        response.censor(2_000_000_000, 4_000_000);
        outcome.load.counters.unsent_records = 4_000_000;
        outcome.load.counters.throttled_records = 7;
        outcome.load.first_error = Some("the disk is full".to_owned());
        outcome.validity.generator_limited = true;
        outcome.verify.verdict = Verdict::Failed;
        outcome.verify.missing = 3;
        let consumers = outcome.load.consumers.as_mut().unwrap();
        (consumers.verdict, consumers.missing_records) = (Verdict::Failed, 12);
        consumers.named.push("consumer 1 did not get 12 records of shard 7".to_owned());
        outcome.slo[0].pass = false;
        outcome.exit = ExitCode::Incorrect;
        outcome.interrupted = true;
        let text = shown(&outcome, Style::PLAIN);
        check(
            &text,
            &[
                "≥ 500,000",
                "n/a (not verified)",
                "never sent 4,000,000",
                "generator-limited: a lower bound",
                "≥ 2000 (",
                "4,000,000 never sent",
                "throttled 7 (0.00 %)",
                "records came · ✗ failed · 12 missing",
                "consumer 1 did not get 12 records of shard 7",
                "✗ failed · 3 missing",
                "response_p99<5ms ✗",
                "· interrupted   → exit 4",
                "the first error: the disk is full",
            ],
        );
    }

    #[test]
    fn a_closed_loop_without_limits_says_so() {
        let mut outcome = sample::outcome();
        outcome.scenario.producer.rate = Rate::Max;
        outcome.scenario.stream.limits = LimitsSetting::Off;
        outcome.load.open_loop = false;
        outcome.load.shards.limits = None;
        outcome.search = None;
        outcome.load.consumers = None;
        let text = shown(&outcome, Style::PLAIN);
        check(
            &text,
            &[
                "closed loop, 64 calls in flight",
                "response (from send)",
                "closed loop: response is service, counted from sending; stalls are hidden",
                " Shards  128 · no limits",
                "limits  off: nothing is checked",
            ],
        );
        assert!(
            !text.contains("Search")
                && !text.contains("Consumers")
                && !text.contains("service (from send)"),
            "{text}"
        );
    }
}
