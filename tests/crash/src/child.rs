//! The process that is killed. It opens the engine, lists everything it holds, says so, and then
//! writes and reads until it dies; in the mode `List` it closes the engine and ends instead.
//!
//! It judges nothing: it writes down what it was told, in an order that its death cannot blur.

pub mod gyre;
pub mod planted;
pub mod toy;

use crate::journal::{Event, JournalWriter};
use crate::rounds::Crash;
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// What a life is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// List, then write until killed.
    Write,
    /// List, close the engine, end.
    List,
}

/// Which engine it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The engine, perhaps with one of its planted bugs.
    Gyre(Option<storage::planted::Bug>),
    /// The toy log, perhaps with one of its bugs: the harness is tested with it.
    Toy(Option<toy::Bug>),
}

/// Everything that a life needs to know.
#[derive(Clone, Debug)]
pub struct Life {
    /// The engine.
    pub subject: Subject,
    /// How lives of this run end.
    pub crash: Crash,
    /// What to do.
    pub mode: Mode,
    /// The engine's data folder; it may not exist yet.
    pub data: PathBuf,
    /// Where to write the journal; must not exist.
    pub journal: PathBuf,
    /// Where to write the listing.
    pub listing: PathBuf,
    /// Seed of the records.
    pub run: u64,
    /// Number of this life in the run.
    pub life: u32,
}

/// Lives it.
///
/// # Errors
/// The engine cannot be opened, written or read, or the journal cannot be written.
pub fn live(life: &Life) -> io::Result<()> {
    match life.subject {
        Subject::Gyre(bug) => gyre::live(life, bug),
        Subject::Toy(bug) => toy::live(life, bug),
    }
}

/// Tells the parent that the listing is complete: first for the record, then to wake it.
///
/// # Errors
/// The journal or the pipe cannot be written.
pub fn announce_listed(journal: &mut JournalWriter) -> io::Result<()> {
    journal.append(&[Event::Listed])?;
    let mut output = io::stdout();
    output.write_all(b"listed\n")?;
    output.flush()
}

/// Stays idle until killed; if the parent dies first, ends.
///
/// # Errors
/// The pipe from the parent cannot be read.
pub fn wait_for_death() -> io::Result<()> {
    let mut nothing = [0; 1];
    while io::stdin().read(&mut nothing)? > 0 {}
    Ok(())
}
