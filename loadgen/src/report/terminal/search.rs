//! The rates that were tried before the measured one.

use super::grid::{grid, ms};
use super::style::Style;
use crate::amount::show_count;
use crate::outcome::{Search, SearchStep};

pub(super) fn section(search: &Search, style: Style) -> String {
    let header = ["Search", "offered/s", "acked/s", "p99 ms", "throttled", "s", ""];
    let rows: Vec<Vec<String>> = search.steps.iter().enumerate().map(row).collect();
    let mut text = format!("\n{}", grid(&header, &rows));
    let held = search.held_per_s.map_or_else(
        || style.verdict(" no rate held", false),
        |rate| format!(" highest rate that held: {} records/s", show_count(rate)),
    );
    text += &held;
    if search.limited_by_shards {
        text += " (bottleneck: shard limits)";
    }
    if search.generator_limited {
        text += " · the generator, not the engine, may have lowered it";
    }
    if search.repeated > 0 {
        text += &format!(" · void steps repeated: {}", search.repeated);
    }
    text + "\n"
}

fn row((place, step): (usize, &SearchStep)) -> Vec<String> {
    let verdict = match (step.held, step.valid) {
        (true, _) => "held".to_owned(),
        (false, true) => format!("failed: {}", step.reason),
        (false, false) => format!("void: {}", step.reason),
    };
    vec![
        format!("{}", place + 1),
        show_count(step.rate),
        show_count(step.acked_per_s as u64),
        step.response_p99_ns.map_or_else(|| "never".to_owned(), ms),
        show_count(step.throttled_records),
        format!("{:.1}", step.measured_ns as f64 / 1e9),
        verdict,
    ]
}
