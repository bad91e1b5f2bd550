//! The simulation's command line.
//!
//! Ends with 0 when nothing was violated and everything was reached, 4 when not, 2 for a wrong
//! argument, 6 when it could not run. The last line counts seeds in the form of cargo's tests.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use simulation::run::{self, Row};
use simulation::seed;
use simulation::worker::{self, Range};

/// Storage under a seeded simulation of schedule, clock and disk.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays many seeds on all CPUs.
    Run(RunArguments),
    /// Plays one seed.
    Seed(SeedArguments),
    /// Switches on each planted bug in turn; each must be found.
    Bugs(BugsArguments),
    /// Plays seeds for the other commands.
    #[command(hide = true)]
    Worker(WorkerArguments),
}

#[derive(Args)]
struct RunArguments {
    /// How many seeds.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Prints one object of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SeedArguments {
    /// Which.
    seed: u64,
    /// Prints its story.
    #[arg(long)]
    verbose: bool,
    /// With this planted bug.
    #[arg(long)]
    bug: Option<String>,
}

#[derive(Args)]
struct BugsArguments {
    /// A bug that is not found within so many seeds is not found.
    #[arg(long, default_value_t = 4_000)]
    seeds_max: u64,
    /// Only these.
    names: Vec<String>,
}

#[derive(Args)]
struct WorkerArguments {
    #[arg(long)]
    from: u64,
    #[arg(long)]
    to: u64,
    #[arg(long)]
    step: u64,
    #[arg(long)]
    bug: Option<String>,
}

fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Run(arguments) => run_seeds(&arguments),
        Command::Seed(arguments) => play_seed(&arguments),
        Command::Bugs(arguments) => find_bugs(&arguments),
        Command::Worker(arguments) => work(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("simulation: {error}");
        ExitCode::from(6)
    })
}

fn run_seeds(arguments: &RunArguments) -> io::Result<ExitCode> {
    let report = run::run(arguments.from, arguments.seeds)?;
    match arguments.json {
        true => println!("{}", report.json()),
        false => print!("{}", report.text()),
    }
    // What was not reached counts as a failure of its own.
    let failed = (report.witnesses.len() + report.missing().len()) as u64;
    let passed = report.done.seeds.saturating_sub(report.witnesses.len() as u64);
    Ok(conclude(passed, failed, arguments.json))
}

fn play_seed(arguments: &SeedArguments) -> io::Result<ExitCode> {
    plant(arguments.bug.as_deref())?;
    let played = seed::play(arguments.seed, arguments.verbose);
    println!("fingerprint {:016x}", played.fingerprint());
    match &played.violation {
        Some(violation) => {
            println!("{violation}");
            Ok(ExitCode::from(4))
        }
        None => {
            println!("no violation");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn work(arguments: &WorkerArguments) -> io::Result<ExitCode> {
    plant(arguments.bug.as_deref())?;
    let WorkerArguments { from, to, step, .. } = *arguments;
    worker::work(Range { from, to, step })?;
    Ok(ExitCode::SUCCESS)
}

fn find_bugs(arguments: &BugsArguments) -> io::Result<ExitCode> {
    let mut names = planted_names()?;
    if !arguments.names.is_empty() {
        names.retain(|name| arguments.names.contains(name));
    }
    let not_found = std::sync::atomic::AtomicU64::new(0);
    println!("{:6} {:32} {:>6}  found by", "", "bug", "seeds");
    run::bugs(&names, arguments.seeds_max, &|row: &Row| {
        let Row { bug, seeds, witness } = row;
        match witness {
            Some(witness) => println!("ok     {bug:32} {seeds:>6}  {}", witness.check),
            None => {
                not_found.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                println!("FAILED {bug:32} {seeds:>6}  nothing");
            }
        }
    })?;
    let failed = not_found.into_inner();
    Ok(conclude(names.len() as u64 - failed, failed, false))
}

/// The last line, as cargo's tests end.
fn conclude(passed: u64, failed: u64, is_json: bool) -> ExitCode {
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let line = format!("test result: {verdict}. {passed} passed; {failed} failed");
    match is_json {
        true => eprintln!("{line}"),
        false => println!("{line}"),
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(4) }
}

#[cfg(feature = "planted-bugs")]
fn planted_names() -> io::Result<Vec<String>> {
    Ok(storage::planted::Bug::ALL.iter().map(|bug| format!("{bug:?}")).collect())
}

#[cfg(feature = "planted-bugs")]
fn plant(name: Option<&str>) -> io::Result<()> {
    let Some(name) = name else { return Ok(()) };
    let bug = storage::planted::Bug::ALL.iter().find(|bug| format!("{bug:?}") == name);
    let bug = bug.ok_or_else(|| io::Error::other(format!("no planted bug is called {name}")))?;
    storage::planted::plant(Some(*bug));
    Ok(())
}

#[cfg(not(feature = "planted-bugs"))]
fn planted_names() -> io::Result<Vec<String>> {
    Err(io::Error::other("built without the feature `planted-bugs`"))
}

#[cfg(not(feature = "planted-bugs"))]
fn plant(name: Option<&str>) -> io::Result<()> {
    match name {
        None => Ok(()),
        Some(_) => planted_names().map(drop),
    }
}
