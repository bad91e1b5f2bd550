//! How things stand while they go: one line that is rewritten on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::amount::show_short;
use crate::worker::Seen;

const BAR_CELLS: usize = 26;

/// Where and how progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiveMode {
    /// Not at all.
    #[default]
    Off,
    /// On standard output.
    Output,
    /// On standard error, because standard output is the result's.
    Error,
}

/// See the module.
pub struct Live {
    mode: LiveMode,
    is_terminal: bool,
    stage: &'static str,
    /// The moment of the last plain line, in whole seconds of the stage.
    told_s: u64,
    last: Option<(Duration, Seen)>,
}

impl Live {
    /// Shows nothing yet.
    #[must_use]
    pub fn new(mode: LiveMode) -> Live {
        let is_terminal = match mode {
            LiveMode::Off => false,
            LiveMode::Output => std::io::stdout().is_terminal(),
            LiveMode::Error => std::io::stderr().is_terminal(),
        };
        Live { mode, is_terminal, stage: "", told_s: 0, last: None }
    }

    /// Something begins that shows no figures while it goes.
    pub(super) fn begin(&mut self, stage: &'static str) {
        self.stage = stage;
        self.told_s = 0;
        self.last = None;
        if self.is_terminal {
            self.write(&format!("\r\x1b[K{stage:<8} …"));
        }
    }

    /// What began is over.
    pub(super) fn end(&mut self, sentence: &str) {
        let stage = self.stage;
        self.line(&format!("{stage:<8} {sentence}"));
    }

    /// Something has to be waited for.
    pub(super) fn waiting(&mut self, why: &str) {
        let stage = self.stage;
        if self.is_terminal {
            self.write(&format!("\r\x1b[K{stage:<8} waiting: {why}"));
        } else if self.told_s == 0 {
            self.told_s = 1;
            self.line(&format!("{stage:<8} waiting: {why}"));
        }
    }

    /// Something that the reader should know.
    pub(super) fn note(&mut self, sentence: &str) {
        self.line(&format!("note     {sentence}"));
    }

    /// How far reading back has come.
    pub(super) fn reading(&mut self, checked: u64, all: u64) {
        let share = if all == 0 { 1.0 } else { checked as f64 / all as f64 };
        if self.is_terminal {
            let (stage, bar) = (self.stage, bar(share));
            self.write(&format!(
                "\r\x1b[K{stage:<8} ▕{bar}▏ {} records",
                show_short(checked as f64)
            ));
        }
    }

    /// How a load stands, `at` into its `span`. On a pipe one line a second.
    pub(super) fn load(&mut self, at: Duration, span: Duration, seen: Seen) {
        let (before, last) = self.last.unwrap_or_default();
        let over = at.saturating_sub(before).as_secs_f64();
        if over < 0.05 {
            return;
        }
        let rate = |now: u64, before: u64| show_short(now.saturating_sub(before) as f64 / over);
        let (sent, acked) = (rate(seen.sent, last.sent), rate(seen.acked, last.acked));
        let refused = match seen.refused {
            0 => String::new(),
            refused => format!("  refused {}", show_short(refused as f64)),
        };
        let text = format!(
            "{:4.1} s  sent {sent}/s  acked {acked}/s  in flight {}{refused}",
            at.as_secs_f64(),
            seen.in_flight
        );
        let stage = self.stage;
        if self.is_terminal {
            let bar = bar(at.as_secs_f64() / span.as_secs_f64());
            self.write(&format!("\r\x1b[K{stage:<8} ▕{bar}▏ {text}"));
            self.last = Some((at, seen));
        } else if at.as_secs() > self.told_s {
            self.told_s = at.as_secs();
            self.line(&format!("{stage:<8} {text}"));
            self.last = Some((at, seen));
        }
    }

    /// A line that stays.
    fn line(&mut self, text: &str) {
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        self.write(&format!("{clear}{text}\n"));
    }

    fn write(&self, text: &str) {
        // Nobody reading is no reason to stop a measurement.
        drop(match self.mode {
            LiveMode::Off => Ok(()),
            LiveMode::Output => {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            LiveMode::Error => std::io::stderr().lock().write_all(text.as_bytes()),
        });
    }
}

fn bar(share: f64) -> String {
    let full = ((share.clamp(0.0, 1.0) * BAR_CELLS as f64).round() as usize).min(BAR_CELLS);
    format!("{}{}", "█".repeat(full), " ".repeat(BAR_CELLS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        assert_eq!(bar(0.0).trim(), "");
        assert_eq!(bar(0.5).trim().chars().count(), 13);
        assert_eq!(bar(7.0).chars().filter(|cell| *cell == '█').count(), BAR_CELLS);
    }
}
