//! The sections that say what was run, on what, with which commit: `loadgen`, `scenario`, `subject`.

use crate::outcome::Outcome;
use crate::report::provenance::{Provenance, UNKNOWN};
use crate::scenario::{Durability, Scenario};
use gyre::embed::FlushMethod;
use serde::Serialize;

/// The workspace has one version for all of its crates.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `loadgen`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generator {
    /// Of the package.
    pub version: String,
    /// The checkout's commit.
    pub git: String,
}

/// `scenario`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioSection {
    /// Names the folder of its results.
    pub name: String,
    /// Of the resolved file: two runs with the same had the same load.
    pub sha256: String,
    /// Everything that decides the load.
    pub resolved: Scenario,
}

/// `subject`: what was measured. "unknown" is what it did not state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subject {
    /// The package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its commit.
    pub git: String,
    /// SHA-256 of the binary it ran in.
    pub binary_sha256: String,
    /// "durable" or "written".
    pub durability: String,
    /// How it makes writes durable: "fdatasync", "O_DSYNC" or "none".
    pub flush: String,
    /// "aws" or "off".
    pub limits: String,
    /// The file system below its data.
    pub data_fs: String,
    /// How it does its I/O.
    pub driver: String,
}

impl Generator {
    /// This program.
    #[must_use]
    pub fn new(provenance: &Provenance) -> Self {
        Self { version: VERSION.to_owned(), git: provenance.git.clone() }
    }
}

impl ScenarioSection {
    /// The section.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self { name: scenario.name.clone(), sha256: scenario.sha256(), resolved: scenario.clone() }
    }
}

impl Subject {
    /// The engine in this process.
    #[must_use]
    pub fn embedded(outcome: &Outcome, flush: FlushMethod, provenance: &Provenance) -> Self {
        let stream = &outcome.scenario.stream;
        let start = &outcome.engine.report;
        let flush = match (stream.durability, flush) {
            (Durability::Written, _) => "none",
            (Durability::Durable, FlushMethod::Fdatasync) => "fdatasync",
            (Durability::Durable, FlushMethod::Dsync) => "O_DSYNC",
        };
        let driver = match (&start.uring, &start.directory) {
            (Some(_), Some(directory)) if directory.direct => "io_uring, direct I/O",
            (Some(_), _) => "io_uring, buffered I/O",
            (None, _) => "simulation",
        };
        let file_system = start.directory.as_ref().map(|directory| directory.file_system.clone());
        Self {
            name: "gyre".to_owned(),
            version: VERSION.to_owned(),
            git: provenance.git.clone(),
            binary_sha256: provenance.binary_sha256.clone(),
            durability: stream.durability.to_string(),
            flush: flush.to_owned(),
            limits: stream.limits.to_string(),
            data_fs: file_system.unwrap_or_else(|| UNKNOWN.to_owned()),
            driver: driver.to_owned(),
        }
    }
}
