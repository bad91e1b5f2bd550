//! The proof that the harness can fail: a toy log with one bug at a time, which must be found, and
//! without any, where nothing must be found.

use crate::child::Subject;
use crate::child::toy::Bug;
use crate::report::crash_name;
use crate::rounds::{Crash, Plan, Round, run};
use std::io;

/// Rounds in which a bug must show.
const BUG_ROUNDS_MAX: u32 = 60;

/// Rounds in which nothing must show.
const CONTROL_ROUNDS: u32 = 12;

/// The toy, how it dies, and whether that must show.
const ROWS: [(Option<Bug>, Crash, bool); 9] = [
    (Some(Bug::SkipFlush), Crash::Power, true),
    (Some(Bug::SkipFolderFlush), Crash::Power, true),
    (Some(Bug::TrustTail), Crash::Power, true),
    (Some(Bug::ShowBeforeWrite), Crash::Power, true),
    (Some(Bug::AckFromMemory), Crash::Kill, true),
    (Some(Bug::ReplayLast), Crash::Kill, true),
    // A killed process leaves the page cache behind: kills say nothing about flushes.
    (Some(Bug::SkipFlush), Crash::Kill, false),
    (None, Crash::Kill, false),
    (None, Crash::Power, false),
];

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The toy's bug.
    pub bug: Option<Bug>,
    /// How it died.
    pub crash: Crash,
    /// Whether it had to show.
    pub must_show: bool,
    /// Rounds played.
    pub rounds: u32,
    /// The round that did not pass, if any.
    pub found: Option<Round>,
}

impl Row {
    /// Found where it must be found, nothing where nothing may be.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.must_show == self.found.is_some()
    }

    /// The row as people read it.
    #[must_use]
    pub fn sentence(&self) -> String {
        let bug = self.bug.map_or("none", Bug::name);
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        let outcome = match &self.found {
            None => format!("nothing found in {} rounds", self.rounds),
            Some(round) => {
                let check = round.violations.first().map(|violation| violation.name());
                let check = check.unwrap_or("the life itself");
                format!("found in round {} by: {check}", self.rounds)
            }
        };
        format!("{verdict:6} {bug:18} {:6} {outcome}", crash_name(self.crash))
    }
}

/// Plays every row; `report` sees each as it ends. `base` says where and with which seed.
///
/// # Errors
/// As [`run`].
pub fn play(base: &Plan, report: &mut dyn FnMut(&Row)) -> io::Result<()> {
    for (bug, crash, must_show) in ROWS {
        let rounds = if must_show { BUG_ROUNDS_MAX } else { CONTROL_ROUNDS };
        let plan = Plan { crash, subject: Subject::Toy(bug), rounds, ..base.clone() };
        let mut row = Row { bug, crash, must_show, rounds: 0, found: None };
        run(&plan, &mut |round| {
            row.rounds += 1;
            if !round.passed() {
                row.found = Some(round.clone());
            }
            row.found.is_none()
        })?;
        report(&row);
    }
    Ok(())
}
