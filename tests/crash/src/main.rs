//! The crash harness's command line.
//!
//! Ends with 0 when every round passed, 4 when one did not, 2 for a wrong argument, 6 when it
//! could not run. The last line counts rounds in the form of cargo's tests.

#![forbid(unsafe_code)]

use clap::{Args, Parser, Subcommand, ValueEnum};
use crash::bugs;
use crash::child::toy::Bug;
use crash::child::{self, Life, Mode, Subject, planted};
use crash::report::{json_line, sentence};
use crash::rounds::{Crash, Plan, run};
use loadgen::report::provenance::Provenance;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Kills and power cuts under a verifying client.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Kills the engine's process at random moments (SIGKILL) and checks what it recovers.
    Kill(RoundsArguments),
    /// Cuts the power at random moments: what was not flushed is kept, dropped or torn.
    Power(RoundsArguments),
    /// Plays a toy log and the engine with one bug at a time; each must be found.
    Bugs(CommonArguments),
    /// One life; started by the other commands.
    #[command(hide = true)]
    Child(ChildArguments),
}

#[derive(Args)]
struct CommonArguments {
    /// Everything that is drawn follows from it; where exactly a kill falls does not.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where data folders go [default: beside this binary, under cargo's target folder].
    #[arg(long)]
    directory: Option<PathBuf>,
}

#[derive(Args)]
struct RoundsArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// How often the engine dies and is checked (now and then more often while it recovers).
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    #[command(flatten)]
    subject: SubjectArguments,
    /// Appends one JSON line a round.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Args)]
struct SubjectArguments {
    /// Which engine.
    #[arg(long, value_enum, default_value_t = Engine::Gyre)]
    engine: Engine,
    /// The toy's bug.
    #[arg(long, value_enum, requires = "engine")]
    bug: Option<Bug>,
    /// The engine's bug, in a build with the feature `planted-bugs`.
    #[arg(long, value_parser = planted::find, conflicts_with = "bug")]
    plant: Option<storage::planted::Bug>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    /// The engine itself.
    Gyre,
    /// A log of one page that the harness is tested with.
    Toy,
}

#[derive(Args)]
struct ChildArguments {
    #[command(flatten)]
    subject: SubjectArguments,
    #[arg(long, value_enum)]
    crash: Crash,
    #[arg(long, value_enum)]
    mode: ModeArgument,
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    journal: PathBuf,
    #[arg(long)]
    listing: PathBuf,
    #[arg(long)]
    run: u64,
    #[arg(long)]
    life: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArgument {
    Write,
    List,
}

impl SubjectArguments {
    fn subject(&self) -> Subject {
        match self.engine {
            Engine::Gyre => Subject::Gyre(self.plant),
            Engine::Toy => Subject::Toy(self.bug),
        }
    }
}

fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Kill(arguments) => play_rounds(&arguments, Crash::Kill),
        Command::Power(arguments) => play_rounds(&arguments, Crash::Power),
        Command::Bugs(arguments) => play_bugs(&arguments),
        Command::Child(arguments) => live(arguments).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("crash: {error}");
        ExitCode::from(6)
    })
}

fn live(arguments: ChildArguments) -> io::Result<()> {
    let mode = match arguments.mode {
        ModeArgument::Write => Mode::Write,
        ModeArgument::List => Mode::List,
    };
    child::live(&Life {
        subject: arguments.subject.subject(),
        crash: arguments.crash,
        mode,
        data: arguments.data,
        journal: arguments.journal,
        listing: arguments.listing,
        run: arguments.run,
        life: arguments.life,
    })
}

fn plan(arguments: &CommonArguments, crash: Crash) -> io::Result<Plan> {
    let program = std::env::current_exe()?;
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        // target/debug/crash -> target/crash
        None => {
            let target = program.parent().and_then(Path::parent);
            target.unwrap_or(Path::new(".")).join("crash")
        }
    };
    Ok(Plan {
        crash,
        subject: Subject::Toy(None),
        rounds: 0,
        seed: arguments.seed,
        directory,
        program,
    })
}

fn play_rounds(arguments: &RoundsArguments, crash: Crash) -> io::Result<ExitCode> {
    let plan = Plan {
        subject: arguments.subject.subject(),
        rounds: arguments.rounds,
        ..plan(&arguments.common, crash)?
    };
    let mut json = arguments.json.as_deref().map(append_to).transpose()?;
    let (mut passed, mut failed) = (0_u32, 0_u32);
    let mut written = Ok(());
    let provenance = Provenance::own();
    println!("seed {}", plan.seed);
    run(&plan, &mut |round| {
        println!("{}", sentence(&plan, round));
        if round.passed() {
            passed += 1
        } else {
            failed += 1
        }
        if let Some(json) = &mut json {
            written = writeln!(json, "{}", json_line(&plan, round, &provenance));
        }
        written.is_ok()
    })?;
    written?;
    Ok(conclude(passed, failed))
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn play_bugs(arguments: &CommonArguments) -> io::Result<ExitCode> {
    let plan = plan(arguments, Crash::Kill)?;
    let (mut passed, mut failed) = (0, 0);
    println!("seed {}\n{:6} {:36} {:6}", plan.seed, "", "bug", "crash");
    bugs::play(&plan, &mut |row| {
        println!("{}", row.sentence());
        if row.passed() { passed += 1 } else { failed += 1 }
    })?;
    Ok(conclude(passed, failed))
}

/// The last line, as cargo's tests end.
fn conclude(passed: u32, failed: u32) -> ExitCode {
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(4) }
}
