//! The engine's deliberate bugs that crashes must find, by their names on the command line.
//!
//! Which there are is known in every build; only one with the feature `planted-bugs` has them.

use std::io;
use storage::planted::Bug;

const NAMES: [(&str, Bug); 5] = [
    ("acknowledge-before-flush", Bug::AcknowledgeBeforeFlush),
    ("acknowledge-out-of-order", Bug::AcknowledgeOutOfOrder),
    ("flush-credits-later-writes", Bug::FlushCreditsLaterWrites),
    ("forget-directory-sync", Bug::ForgetDirectorySync),
    ("read-past-durable-tail", Bug::ReadPastDurableTail),
];

/// The bug of a name.
///
/// # Errors
/// The names that there are.
pub fn find(name: &str) -> Result<Bug, String> {
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, bug)| *bug).ok_or_else(|| format!("one of {}", NAMES.map(|n| n.0).join(", ")))
}

/// The name of a bug.
///
/// # Panics
/// Where it is not one for crashes to find.
#[must_use]
pub fn name(bug: Bug) -> &'static str {
    let found = NAMES.iter().find(|(_, known)| *known == bug);
    found.expect("only bugs of the list are planted here").0
}

/// Switches a bug on, for the whole process.
///
/// # Errors
/// In a build without bugs.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Bug) -> io::Result<()> {
    storage::planted::plant(Some(bug));
    Ok(())
}

/// Switches a bug on: not in this build.
///
/// # Errors
/// Always.
#[cfg(not(feature = "planted-bugs"))]
pub fn plant(bug: Bug) -> io::Result<()> {
    let name = name(bug);
    Err(io::Error::other(format!("{name} is not in this build; use --features planted-bugs")))
}
