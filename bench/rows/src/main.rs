//! Rows of the results table that `loadgen run` does not measure, one command each.
//!
//! ```text
//! cli ─► rows/NAME ─► place (folder, room) ─► rig (engine) ─► fill, read ─► device ─► report
//! ```
//! It judges the engine through its embedded handle and the kernel's counters. Where a row has a
//! gate, the process ends with 3 when the gate does not hold.

#![forbid(unsafe_code)]

mod cli;
mod device;
mod fill;
mod place;
mod read;
mod report;
mod resident;
mod rig;
mod rows;
mod subject;

use clap::Parser;
use loadgen::exit_code::ExitCode;
use loadgen::run::Failure;
use runtime::signal;

use crate::cli::{Cli, Row, Shared};
use crate::report::Report;

fn main() -> std::process::ExitCode {
    // clap ends the process itself for --help (0) and for what it cannot read (2).
    let cli = Cli::parse();
    let code = match measure(&cli.row, &cli.shared) {
        Ok(Some(report)) => show(&report, cli.shared.json),
        Ok(None) => ExitCode::Ok,
        Err(failure) => {
            eprintln!("rows: {}", failure.sentence);
            failure.code
        }
    };
    code.into()
}

fn measure(row: &Row, shared: &Shared) -> Result<Option<Report>, Failure> {
    // The process that is to be killed lets a signal kill it.
    if let Row::Appender(flags) = row {
        return rows::start::append_until_killed(flags, shared).map(|()| None);
    }
    signal::watch().map_err(Failure::could_not)?;
    let report = match row {
        Row::ColdRead(flags) => rows::cold_read::run(flags, shared),
        Row::Retention(flags) => rows::retention::run(flags, shared),
        Row::Start(flags) => rows::start::run(flags, shared),
        Row::Memory(flags) => rows::memory::run(flags, shared),
        Row::Cpu(flags) => rows::cpu::run(flags, shared),
        Row::Appender(_) => unreachable!("it has returned"),
    };
    report.map(Some)
}

fn show(report: &Report, json: bool) -> ExitCode {
    if json {
        let json = serde_json::to_string_pretty(report).expect("a report is plain data");
        println!("{json}");
    } else {
        print!("{report}");
    }
    if report.ok { ExitCode::Ok } else { ExitCode::Void }
}

/// A line for whoever waits.
fn progress(line: &str) {
    eprintln!("rows: {line}");
}

/// # Errors
/// After the first Ctrl-C or SIGTERM.
fn check_interrupted() -> Result<(), Failure> {
    if !signal::is_interrupted() {
        return Ok(());
    }
    let sentence = "interrupted; nothing was measured to its end".to_owned();
    Err(Failure { code: ExitCode::Interrupted, sentence })
}
