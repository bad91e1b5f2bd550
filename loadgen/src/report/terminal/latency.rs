//! Latencies in milliseconds, kind by kind.

use super::grid::{grid, ms};
use super::style::Style;
use crate::amount::{show_count, show_short};
use crate::outcome::{Outcome, Trust};
use crate::report::figures::{Figure, KindFigures, P50, P90, P99, P99_9};
use crate::stats::recorder::Kind;

pub(super) fn section(
    outcome: &Outcome,
    figures: &[Option<KindFigures>; Kind::ALL.len()],
    style: Style,
) -> String {
    let is_open = outcome.load.open_loop;
    let rows: Vec<Vec<String>> = Kind::ALL
        .into_iter()
        .filter(|kind| is_open || *kind != Kind::Service)
        .filter_map(|kind| {
            let figures = figures[kind as usize].as_ref()?;
            Some(row(kind, figures, outcome))
        })
        .collect();
    let header = ["Latency (ms)", "p50", "p90", "p99 (k)", "p99.9 (k)", "max", "n", "calls", ""];
    let mut text = format!("\n{}", grid(&header, &rows));
    let legend = " k: episodes beyond it, adjacent 100 ms count once";
    text += &style.faint(legend);
    text += "\n";
    if !is_open {
        text += " closed loop: response is service, counted from sending; stalls are hidden\n";
    }
    text
}

fn row(kind: Kind, figures: &KindFigures, outcome: &Outcome) -> Vec<String> {
    let quantiles = figures.quantiles;
    vec![
        name(kind, outcome.load.open_loop).to_owned(),
        cell(quantiles[P50], None),
        cell(quantiles[P90], None),
        cell(quantiles[P99], figures.episodes_p99),
        cell(quantiles[P99_9], figures.episodes_p99_9),
        ms(figures.max_ns),
        show_short(figures.count as f64),
        show_short(figures.calls as f64),
        remark(kind, figures, outcome),
    ]
}

const fn name(kind: Kind, is_open: bool) -> &'static str {
    match kind {
        Kind::Response if is_open => "response (from plan)",
        Kind::Response => "response (from send)",
        Kind::Service => "service (from send)",
        Kind::Lag => "lag (generator)",
        Kind::BatchWait => "batch wait",
        Kind::BackPressure => "back-pressure",
        Kind::Throttle => "throttle (to refusal)",
        Kind::Call => "call",
        Kind::EndToEnd => "end to end",
    }
}

fn cell(figure: Figure, episodes: Option<u64>) -> String {
    let episodes = episodes.map_or_else(String::new, |count| format!(" ({count})"));
    match figure {
        Figure::Value(ns) => format!("{}{episodes}", ms(ns)),
        Figure::AtLeast(ns) => format!("≥ {}{episodes}", ms(ns)),
        Figure::AtMost(ns) => format!("≤ {}{episodes}", ms(ns)),
        Figure::Needs(calls) => format!("n/a (needs {})", show_count(calls)),
        Figure::Generator => "n/a (generator)".to_owned(),
    }
}

fn remark(kind: Kind, figures: &KindFigures, outcome: &Outcome) -> String {
    if kind == Kind::Lag {
        let has = |trust| outcome.validity.quantiles.iter().any(|found| found.trust == trust);
        let words = match (has(Trust::Void), has(Trust::UpperBound)) {
            (true, _) => "generator decided quantiles",
            (false, true) => "generator stalled: what is ≤ is an upper bound",
            (false, false) => "generator healthy",
        };
        return format!("← {words}");
    }
    let mut remarks = Vec::new();
    if let Some([low, high]) = figures.ci95_p99_ns {
        remarks.push(format!("p99 95 % CI {}–{}", ms(low), ms(high)));
    }
    if figures.censored > 0 {
        let what = if kind == Kind::EndToEnd { "never came" } else { "never sent" };
        remarks.push(format!("{} {what}", show_count(figures.censored)));
    }
    if figures.overflow > 0 {
        remarks.push(format!("{} above an hour", show_count(figures.overflow)));
    }
    remarks.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_what_it_is() {
        let check = |figure, episodes, expected: &str| assert_eq!(cell(figure, episodes), expected);
        check(Figure::Value(6_920_000), Some(12), "6.92 (12)");
        check(Figure::Value(6_920_000), None, "6.92");
        check(Figure::AtLeast(1_000_000_000), Some(1), "≥ 1000 (1)");
        check(Figure::AtMost(6_920_000), Some(2), "≤ 6.92 (2)");
        check(Figure::Needs(10_000), None, "n/a (needs 10,000)");
        check(Figure::Generator, None, "n/a (generator)");
    }
}
