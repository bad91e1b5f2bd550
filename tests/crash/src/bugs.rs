//! The proof that the harness can fail: a toy log, and the engine, with one bug at a time, which
//! must be found, and the toy without any, where nothing must be found.

use crate::child::Subject;
use crate::child::toy::Bug;
use crate::report::{crash_name, subject_name};
use crate::rounds::{Crash, Plan, Round, run};
use std::io;
use storage::planted::Bug as Planted;

/// Rounds in which a bug must show.
const BUG_ROUNDS_MAX: u32 = 60;

/// Rounds in which nothing must show.
const CONTROL_ROUNDS: u32 = 12;

/// Who, how it dies, and whether that must show.
const ROWS: [(Subject, Crash, bool); 15] = [
    (Subject::Toy(Some(Bug::SkipFlush)), Crash::Power, true),
    (Subject::Toy(Some(Bug::SkipFolderFlush)), Crash::Power, true),
    (Subject::Toy(Some(Bug::TrustTail)), Crash::Power, true),
    (Subject::Toy(Some(Bug::ShowBeforeWrite)), Crash::Power, true),
    (Subject::Toy(Some(Bug::AckFromMemory)), Crash::Kill, true),
    (Subject::Toy(Some(Bug::ReplayLast)), Crash::Kill, true),
    (Subject::Toy(Some(Bug::AckNothing)), Crash::Power, true),
    (Subject::Toy(Some(Bug::AckNothing)), Crash::Kill, true),
    // A killed process leaves the page cache behind: kills say nothing about flushes.
    (Subject::Toy(Some(Bug::SkipFlush)), Crash::Kill, false),
    (Subject::Toy(None), Crash::Kill, false),
    (Subject::Toy(None), Crash::Power, false),
    (Subject::Gyre(Some(Planted::AcknowledgeBeforeFlush)), Crash::Power, true),
    (Subject::Gyre(Some(Planted::FlushCreditsLaterWrites)), Crash::Power, true),
    (Subject::Gyre(Some(Planted::ForgetDirectorySync)), Crash::Power, true),
    (Subject::Gyre(Some(Planted::ReadPastDurableTail)), Crash::Power, true),
];

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The engine and its bug.
    pub subject: Subject,
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
        let subject = subject_name(self.subject);
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        let outcome = match &self.found {
            None => format!("nothing found in {} rounds", self.rounds),
            Some(round) => {
                let check = round.violations.first().map(|violation| violation.name());
                let check = check.unwrap_or("the life itself");
                format!("found in round {} by: {check}", self.rounds)
            }
        };
        format!("{verdict:6} {subject:36} {:6} {outcome}", crash_name(self.crash))
    }
}

/// Plays every row; `report` sees each as it ends. `base` says where and with which seed.
///
/// # Errors
/// As [`run`].
pub fn play(base: &Plan, report: &mut dyn FnMut(&Row)) -> io::Result<()> {
    for (subject, crash, must_show) in ROWS {
        let rounds = if must_show { BUG_ROUNDS_MAX } else { CONTROL_ROUNDS };
        let plan = Plan { crash, subject, rounds, ..base.clone() };
        let mut row = Row { subject, crash, must_show, rounds: 0, found: None };
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
