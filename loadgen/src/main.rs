//! The command `loadgen` on one screen: what was typed, what is done about it, how the process ends.

#![forbid(unsafe_code)]

use clap::Parser;
use loadgen::cli::{Cli, Command, PlanFlags, RunFlags, SharedFlags};
use loadgen::dry_run::{dry_run, dry_run_of_search};
use loadgen::exit_code::ExitCode;
use loadgen::plan::plan;
use loadgen::report::{self, Finished};
use loadgen::run::{LiveMode, Ran, RunOptions, run};
use loadgen::scenario::Scenario;
use serde::Serialize;
use std::fmt::Display;

fn main() -> std::process::ExitCode {
    end_bugs_with_their_code();
    // clap ends the process itself for --help (0) and for what it cannot read (2).
    let cli = Cli::parse();
    let code = match &cli.command {
        None => {
            let options = RunOptions { search: true, ..options(&RunFlags::default(), &cli.shared) };
            carry_out(&Scenario::default_run(), &options, &cli.shared, cli.publish)
        }
        Some(Command::Run(flags)) => match resolve(flags) {
            Ok(scenario) => {
                let options = options(flags, &cli.shared);
                let publish = flags.publish || cli.publish;
                if publish && !options.plant.is_empty() {
                    let sentence = "--publish keeps no run with a planted defect";
                    return end(ExitCode::Usage, sentence).into();
                }
                carry_out(&scenario, &options, &cli.shared, publish)
            }
            Err(sentence) => end(ExitCode::Usage, &sentence),
        },
        Some(Command::Plan(flags)) => answer_plan(flags, &cli.shared),
    };
    code.into()
}

/// A panic is a bug of ours on whatever thread: the process says so by its exit code. What it leaves on
/// the disk the next run removes.
fn end_bugs_with_their_code() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::exit(ExitCode::OwnBug.number().into());
    }));
}

fn answer_plan(flags: &PlanFlags, shared: &SharedFlags) -> ExitCode {
    let question = flags.question();
    match question.check() {
        Ok(()) => show(&plan(&question), shared),
        Err(sentence) => end(ExitCode::Usage, &sentence),
    }
}

/// The scenario that file and flags make together.
fn resolve(flags: &RunFlags) -> Result<Scenario, String> {
    let mut scenario = match &flags.scenario {
        None => Scenario::run_default(),
        Some(path) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| format!("cannot read {shown}: {error}"))?;
            Scenario::parse(&text).map_err(|error| format!("{shown}: {error}"))?
        }
    };
    flags.apply(&mut scenario);
    scenario.check().map_err(|error| error.to_string())?;
    Ok(scenario)
}

fn options(flags: &RunFlags, shared: &SharedFlags) -> RunOptions {
    let live = match (shared.quiet, shared.json) {
        (true, _) => LiveMode::Off,
        (false, true) => LiveMode::Error,
        (false, false) => LiveMode::Output,
    };
    RunOptions {
        search: false,
        plant: flags.plant.clone(),
        data: flags.data.clone(),
        keep_data: flags.keep_data,
        force: shared.force,
        probes: true,
        live,
    }
}

fn carry_out(
    scenario: &Scenario,
    options: &RunOptions,
    shared: &SharedFlags,
    publish: bool,
) -> ExitCode {
    if shared.dry_run {
        let predict = if options.search { dry_run_of_search } else { dry_run };
        return show(&predict(scenario), shared);
    }
    match run(scenario, options) {
        Ok(Ran { outcome, environment, flush }) => {
            let finished = Finished::new(&outcome, &environment, flush, shared);
            report::deliver(&finished, shared, publish)
        }
        Err(failure) => end(failure.code, &failure.sentence),
    }
}

fn show(answer: &(impl Serialize + Display), shared: &SharedFlags) -> ExitCode {
    let text = if shared.json {
        let json = serde_json::to_string_pretty(answer).expect("an answer is plain data");
        format!("{json}\n")
    } else {
        answer.to_string()
    };
    // A closed pipe is no bug of ours.
    let is_told = report::print(&mut std::io::stdout(), &text);
    if is_told { ExitCode::Ok } else { ExitCode::CouldNotRun }
}

fn end(code: ExitCode, sentence: &str) -> ExitCode {
    // Where nobody listens the code alone says it.
    report::print(&mut std::io::stderr(), &format!("loadgen: {sentence}\n"));
    code
}
