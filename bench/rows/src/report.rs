//! What a row comes to: figures, each with its gate if it has one, as a table or as one JSON object.

use serde::Serialize;
use serde_json::Value;
use std::fmt;

use crate::subject::Subject;

/// The form of the JSON object; another number is another form.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    row: &'static str,
    /// Whether every gate holds.
    pub ok: bool,
    figures: Vec<Figure>,
    parameters: Value,
    subject: Subject,
    samples: Value,
}

impl Report {
    /// `parameters` is what was asked for, `samples` what the figures were made of.
    pub(crate) fn new(
        row: &'static str,
        figures: Vec<Figure>,
        parameters: Value,
        subject: Subject,
        samples: Value,
    ) -> Report {
        let ok = figures.iter().all(|figure| figure.ok != Some(false));
        Report { version: VERSION, row, ok, figures, parameters, subject, samples }
    }
}

/// What figures are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// One thing over another.
    #[serde(rename = "ratio")]
    Ratio,
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// 10⁶ bytes a second.
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    /// 10⁻⁶ seconds.
    #[serde(rename = "us")]
    Microseconds,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Gate {
    /// This, or less.
    #[serde(rename = "at_most")]
    AtMost(f64),
    /// This, or more.
    #[serde(rename = "at_least")]
    AtLeast(f64),
}

impl Gate {
    fn holds(self, value: f64) -> bool {
        match self {
            Gate::AtMost(bound) => value <= bound,
            Gate::AtLeast(bound) => value >= bound,
        }
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    name: String,
    /// Null where it could not be measured; a gate does not hold then.
    value: Option<f64>,
    unit: Unit,
    gate: Option<Gate>,
    ok: Option<bool>,
}

impl Figure {
    /// A figure without a gate.
    pub(crate) fn plain(name: impl ToString, value: Option<f64>, unit: Unit) -> Figure {
        Figure { name: name.to_string(), value, unit, gate: None, ok: None }
    }

    /// A figure with one.
    pub(crate) fn gated(name: impl ToString, value: Option<f64>, unit: Unit, gate: Gate) -> Figure {
        let ok = Some(value.is_some_and(|value| gate.holds(value)));
        Figure { name: name.to_string(), value, unit, gate: Some(gate), ok }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::Ratio => format!("{value:.3}"),
            Unit::Bytes => format!("{:.2} MiB", value / f64::from(1 << 20)),
            Unit::Seconds => format!("{value:.3} s"),
            Unit::Microseconds => format!("{value:.3} µs"),
            Unit::MegabytesPerSecond => format!("{value:.0} MB/s"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { git, durability, flush, data_fs, device, hw, os, .. } = &self.subject;
        let kernel = os.kernel.as_deref().unwrap_or("unknown");
        writeln!(f, "{}", self.row)?;
        writeln!(f, "  {durability} ({flush}), {data_fs} on {device}, Linux {kernel}")?;
        writeln!(f, "  {} × {}, commit {git}\n", hw.cpu.threads_online, hw.cpu.model)?;
        let rows: Vec<[String; 4]> = self.figures.iter().map(cells).collect();
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let [names, values, gates] = [width(0), width(1), width(2)];
        for [name, value, gate, ok] in &rows {
            let line = format!("  {name:<names$}  {value:>values$}  {gate:<gates$}  {ok}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn cells(figure: &Figure) -> [String; 4] {
    let Figure { name, value, unit, gate, ok } = figure;
    let gate = match gate {
        None => String::new(),
        Some(Gate::AtMost(bound)) => format!("≤ {}", unit.show(*bound)),
        Some(Gate::AtLeast(bound)) => format!("≥ {}", unit.show(*bound)),
    };
    let ok = match ok {
        None => "",
        Some(true) => "ok",
        Some(false) => "NOT OK",
    };
    let value = value.map_or("not measured".to_owned(), |value| unit.show(value));
    [name.clone(), value, gate, ok.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_holds_at_its_bound_and_never_without_a_figure() {
        let ok = |value, gate| Figure::gated("x", value, Unit::Ratio, gate).ok;
        assert_eq!(ok(Some(1.5), Gate::AtMost(1.5)), Some(true));
        assert_eq!(ok(Some(1.51), Gate::AtMost(1.5)), Some(false));
        assert_eq!(ok(Some(0.8), Gate::AtLeast(0.8)), Some(true));
        assert_eq!(ok(Some(0.79), Gate::AtLeast(0.8)), Some(false));
        assert_eq!(ok(None, Gate::AtMost(1.5)), Some(false));
        assert_eq!(Figure::plain("x", None, Unit::Ratio).ok, None);
    }

    #[test]
    fn figures_in_words_and_in_json() {
        let figure = Figure::gated("disk", Some(3.0 * 1_048_576.0), Unit::Bytes, Gate::AtMost(1e6));
        assert_eq!(cells(&figure), ["disk", "3.00 MiB", "≤ 0.95 MiB", "NOT OK"]);
        let json = serde_json::to_value(&figure).unwrap();
        assert_eq!(json["gate"]["at_most"], 1e6);
        assert_eq!(json["unit"], "bytes");
        assert_eq!(json["ok"], false);
        let plain = Figure::plain("time", None, Unit::Seconds);
        assert_eq!(cells(&plain), ["time", "not measured", "", ""]);
    }
}
