//! Colours where a person looks on, none where a program reads.

use std::io::{self, IsTerminal as _};

/// Whether texts are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    is_coloured: bool,
}

impl Style {
    /// No colours.
    pub const PLAIN: Self = Self { is_coloured: false };

    /// Colours.
    pub const COLOURED: Self = Self { is_coloured: true };

    /// As the flag `--no-color`, the variables NO_COLOR (no-color.org) and TERM, and the stream that
    /// the report goes to suggest; that is standard error where standard output is for programs.
    #[must_use]
    pub fn new(no_color: bool, to_stderr: bool) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_terminal =
            if to_stderr { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        Self { is_coloured: is_terminal && !no_color && !is_set("NO_COLOR") && !is_dumb }
    }

    /// A heading.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What is beside the point.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What held, in green, or did not, in red.
    #[must_use]
    pub fn verdict(self, text: &str, held: bool) -> String {
        self.wrap(if held { "32" } else { "31" }, text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_plain() {
        assert_eq!(Style::PLAIN.bold("a"), "a");
        assert_eq!(Style::PLAIN.verdict("a", false), "a");
        assert_eq!(Style::COLOURED.verdict("a", true), "\x1b[32ma\x1b[0m");
        assert_eq!(Style::new(true, false), Style::PLAIN);
    }
}
