//! The responses as a picture: a bar for each doubling of the latency.

use super::grid::ms;
use super::style::Style;
use crate::amount::show_count;
use crate::stats::distribution::Distribution;

const BAR_CELLS: f64 = 40.0;

/// Bars of a cell's eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

pub(super) fn section(response: &Distribution, style: Style) -> String {
    let histogram = response.histogram();
    if histogram.is_empty() {
        return String::new();
    }
    let (first, last) = (histogram.min().max(1).ilog2(), histogram.max().max(1).ilog2());
    let count = |octave: u32| histogram.count_between(1 << octave, (2 << octave) - 1);
    let counts: Vec<(u32, u64)> = (first..=last).map(|octave| (octave, count(octave))).collect();
    let highest = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let mut text = format!("\n {}\n", style.bold("Responses (ms), a line for each doubling"));
    for (octave, count) in counts {
        let range = format!("{}–{}", ms(1 << octave), ms(2 << octave));
        let share = 100.0 * count as f64 / histogram.len() as f64;
        let bar = bar(count as f64 / highest as f64);
        let line = format!(" {range:>16}  {:>13}  {share:>8.4} %  {bar}", show_count(count));
        text += line.trim_end();
        text += "\n";
    }
    text
}

fn bar(share: f64) -> String {
    let eighths = (share * BAR_CELLS * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::recorder::{Kind, Measured, Recorder};

    #[test]
    fn a_line_for_each_doubling() {
        let mut recorder = Recorder::new(Measured { from_ns: 0, until_ns: 1_000_000_000 });
        for (ns, records) in [(600_000, 100), (900_000, 100), (5_000_000, 50)] {
            recorder.record_call(Kind::Response, ns, records, 0);
        }
        let [response, ..] = recorder.finish();
        let text = section(&response, Style::PLAIN);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("0.524–1.05") && lines[0].contains("200"), "{text}");
        assert!(lines[0].ends_with(&"█".repeat(40)), "{text}");
        assert!(lines[1].ends_with('%'), "an empty line has no bar: {text}");
        assert!(lines[3].ends_with(&"█".repeat(10)) && lines[3].contains("20.0000 %"), "{text}");
    }
}
