//! What was offered, what was acknowledged, and what of it was good.

use super::grid::grid;
use super::style::Style;
use crate::amount::{show_count, show_three_places};
use crate::outcome::Outcome;
use crate::report::document::Document;
use crate::stats::series::Series;
use crate::stats::steady::student_95;

/// Slices of 100 ms in a window whose rates the interval is made of.
const SLICES: usize = 10;

/// Fewer windows than this have no interval.
const WINDOWS_MIN: usize = 8;

pub(super) fn section(outcome: &Outcome, document: &Document, style: Style) -> String {
    let load = &document.load;
    let record_bytes = outcome.scenario.record_bytes().0 as f64;
    let mb_s = |records_per_s: f64| show_three_places(records_per_s * record_bytes / 1e6);
    let of_offered = |records_per_s: f64| match load.offered_per_s {
        offered if offered > 0.0 => format!("{:.1} %", 100.0 * records_per_s / offered),
        _ => String::new(),
    };
    let bound = if outcome.validity.generator_limited { "≥ " } else { "" };
    let interval = interval(&outcome.load.series)
        .map_or_else(String::new, |reach| format!(" ±{}", show_count(reach.round() as u64)));
    let acked = format!("{bound}{}{interval}", show_count(load.acked_per_s.round() as u64));
    let calls_per_s = load.counters.calls as f64 / load.measured_s;
    let mut rows = vec![
        vec![
            "offered".to_owned(),
            show_count(load.offered_per_s.round() as u64),
            mb_s(load.offered_per_s),
            String::new(),
            String::new(),
        ],
        vec![
            "acked".to_owned(),
            acked,
            mb_s(load.acked_per_s),
            show_count(calls_per_s.round() as u64),
            of_offered(load.acked_per_s),
        ],
    ];
    let good = load
        .goodput_per_s
        .map(|good| [show_count(good.round() as u64), mb_s(good), String::new(), of_offered(good)]);
    let name = match outcome.scenario.slo.response_p99 {
        Some(bound) => format!("goodput (within {bound})"),
        None => "goodput".to_owned(),
    };
    let good = good.unwrap_or_else(|| {
        ["n/a (not verified)".to_owned(), String::new(), String::new(), String::new()]
    });
    rows.push(std::iter::once(name).chain(good).collect());
    let header = ["Throughput", "records/s", "MB/s", "calls/s", "of offered"];
    let mut text = format!("\n{}", grid(&header, &rows));
    if outcome.validity.generator_limited {
        text += &style.verdict(" generator-limited: a lower bound, not the engine's rate\n", false);
    }
    text + &shortfalls(document)
}

/// What did not become an acknowledgement, where anything did not.
fn shortfalls(document: &Document) -> String {
    let load = &document.load.counters;
    let counts = [
        ("throttled for good", load.throttled_final_records),
        ("failed", load.failed_records),
        ("timed out", load.timed_out_records),
        ("never sent", load.unsent_records),
        ("retried", load.retried_records),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", show_count(*count)))
        .collect();
    if told.is_empty() { String::new() } else { format!(" {}\n", told.join(" · ")) }
}

/// The reach of the nominal 95 % interval of the acknowledged rate over whole seconds.
fn interval(series: &Series) -> Option<f64> {
    let acked = series.acked();
    let windows: Vec<f64> = acked.chunks_exact(SLICES).map(|window| window.iter().sum()).collect();
    let count = windows.len() as f64;
    if windows.len() < WINDOWS_MIN {
        return None;
    }
    let mean = windows.iter().sum::<f64>() / count;
    let squares: f64 = windows.iter().map(|window| (window - mean).powi(2)).sum();
    Some(student_95(count - 1.0) * (squares / (count - 1.0) / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::recorder::Measured;

    #[test]
    fn the_interval_is_that_of_a_mean() {
        let series = |seconds: u64| {
            let measured = Measured { from_ns: 0, until_ns: seconds * 1_000_000_000 };
            let mut series = Series::new(measured);
            for second in 0..seconds {
                let slice = series.at(second * 1_000_000_000);
                slice.acked = 1_000 + 100 * (second % 2);
            }
            series
        };
        assert_eq!(interval(&series(7)), None);
        // Ten values, five of them 50 above and five 50 below the mean: 2.262 x 52.7 / sqrt(10).
        let reach = interval(&series(10)).unwrap();
        assert!((reach - 37.7).abs() < 0.3, "{reach}");
    }
}
