//! What a finished run leaves: figures for a person, a document for programs, files for later.
//!
//! | module | subject |
//! | --- | --- |
//! | [`figures`] | quantiles as they may be printed, for the two below alike |
//! | [`document`], [`json`] | run.json, version 1 |
//! | [`terminal`], [`sparkline`] | what a person sees |
//! | [`interval_log`], [`csv`] | latency.hlog, series.csv, shards.csv |
//! | [`files`] | where it is kept, each file whole or not at all |
//! | [`provenance`] | commit, hash of the binary, names |
//!
//! Nothing here measures or judges; what is not known stays unknown. What was measured is printed
//! before anything is saved, so that a full disk takes nothing away.

pub mod csv;
pub mod document;
pub mod figures;
pub mod files;
pub mod interval_log;
pub mod json;
pub mod provenance;
pub mod round;
#[cfg(test)]
pub(crate) mod sample;
pub mod sparkline;
pub mod terminal;

use crate::cli::SharedFlags;
use crate::environment::affinity::Affinity;
use crate::environment::hardware::Hardware;
use crate::environment::preflight::Preflight;
use crate::environment::probes::Probes;
use crate::environment::resources::Resources;
use crate::environment::roofline::Roofline;
use crate::environment::system::System;
use crate::exit_code::ExitCode;
use crate::outcome::Outcome;
use document::Document;
use files::{Place, RunFiles};
use gyre::embed::FlushMethod;
use provenance::{Provenance, checkout, moment, utc_compact};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use terminal::Style;

/// The machine before, during and after the run.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// What it is.
    pub hardware: Hardware,
    /// Its kernel and settings.
    pub system: System,
    /// What it can do.
    pub probes: Probes,
    /// Whether it was calm.
    pub preflight: Preflight,
    /// Who ran on which CPU.
    pub affinity: Affinity,
    /// What the run took.
    pub resources: Resources,
    /// How near that is to what it can do.
    pub roofline: Roofline,
}

/// Everything that a report is made of.
#[derive(Clone, Debug)]
pub struct Finished<'a> {
    /// What was measured.
    pub outcome: &'a Outcome,
    /// Where.
    pub environment: &'a Environment,
    /// How the engine was told to make writes durable.
    pub flush: FlushMethod,
    /// Which program.
    pub provenance: Provenance,
    /// What the user gave with `--tag`.
    pub tags: BTreeMap<String, String>,
    /// What the user gave with `--note`.
    pub note: Option<String>,
}

/// Hex digits of the scenario's hash in the name of a run.
const SCENARIO_DIGITS: usize = 8;

impl<'a> Finished<'a> {
    /// A finished run under the flags of its command.
    #[must_use]
    pub fn new(
        outcome: &'a Outcome,
        environment: &'a Environment,
        flush: FlushMethod,
        shared: &SharedFlags,
    ) -> Self {
        let tags = shared.tag.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
        Self {
            outcome,
            environment,
            flush,
            provenance: Provenance::own(),
            tags: tags.collect(),
            note: shared.note.clone(),
        }
    }

    /// The name of its folder: time and commit.
    #[must_use]
    pub fn folder_name(&self) -> String {
        let started = utc_compact(self.outcome.started_unix_ms);
        format!("{started}-{}", self.provenance.git_short())
    }

    /// Its name among all runs.
    #[must_use]
    pub fn run_id(&self) -> String {
        let scenario = self.outcome.scenario.sha256();
        format!("{}-{}", self.folder_name(), &scenario[..SCENARIO_DIGITS])
    }

    fn place(&self, output: Option<&PathBuf>, is_published: bool) -> Place {
        match output {
            Some(folder) => Place::Folder(folder.clone()),
            None => Place::Results {
                root: checkout().unwrap_or_else(|| PathBuf::from(".")),
                is_published,
                hw_id: self.environment.hardware.hw_id.clone(),
                scenario: self.outcome.scenario.name.clone(),
                name: self.folder_name(),
            },
        }
    }

    fn files(&self, run_json: &str, document: &Document) -> RunFiles {
        let load = &self.outcome.load;
        let started = moment(self.outcome.started_unix_ms);
        RunFiles {
            run_json: run_json.to_owned(),
            scenario_toml: self.outcome.scenario.to_toml(),
            latency_hlog: interval_log::interval_log(
                &load.distributions,
                load.measured_ns,
                started,
            ),
            series_csv: csv::series(&load.series),
            shards_csv: csv::shards(&document.shards),
        }
    }
}

/// Prints a finished run and saves it. Returns how the process ends: as the run says, or with "could
/// not finish" where it could not be saved.
#[must_use]
pub fn deliver(finished: &Finished<'_>, shared: &SharedFlags, is_published: bool) -> ExitCode {
    let figures = document::figures(finished.outcome);
    let document = Document::new(finished, &figures);
    let run_json = json::to_text(&document);
    let style = Style::new(shared.no_color, shared.json);
    let text = terminal::report(finished, &document, &figures, style);
    // The report goes to people: to standard error where standard output is for programs.
    let mut printed = true;
    if shared.json {
        printed &= print(&mut io::stdout(), &run_json);
        printed &= shared.quiet || print(&mut io::stderr(), &text);
    } else {
        printed &= print(&mut io::stdout(), &text);
    }
    let place = finished.place(shared.output.as_ref(), is_published);
    let code = finished.outcome.exit;
    match files::save(&place, &finished.files(&run_json, &document)) {
        Ok(folder) => {
            let saved = format!(" saved  {}\n", shown(&folder.join("run.json")));
            printed &= if shared.json {
                shared.quiet || print(&mut io::stderr(), &saved)
            } else {
                print(&mut io::stdout(), &saved)
            };
            if printed { code } else { code.and(ExitCode::CouldNotRun) }
        }
        Err(error) => {
            print(&mut io::stderr(), &format!("loadgen: {error}\n"));
            if !shared.json {
                let words = "loadgen: run.json follows, so that nothing is lost\n";
                print(&mut io::stderr(), &format!("{words}{run_json}"));
            }
            code.and(ExitCode::CouldNotRun)
        }
    }
}

/// Whether a text could be written: a closed pipe is no reason to lose the files.
pub fn print(stream: &mut impl io::Write, text: &str) -> bool {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok()
}

/// A path from the working directory where it lies below it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.as_ref().and_then(|here| path.strip_prefix(here).ok());
    below.unwrap_or(path).display().to_string()
}
