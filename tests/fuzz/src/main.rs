//! The command line: many rounds of one target, or of all.
//!
//! Ends with 0 when every promise held, 1 when not, 2 for a wrong argument. Built with `--release` a
//! panic ends the process at once, and the input is not printed.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use fuzz::{TARGETS, play};

/// Feeds damaged bytes to everything that reads bytes from outside.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    /// Only this target.
    target: Option<String>,
    /// How many rounds each.
    #[arg(long, default_value_t = 1_000_000)]
    rounds: u64,
    /// The first round.
    #[arg(long, default_value_t = 0)]
    from: u64,
}

fn main() -> ExitCode {
    let CommandLine { target, rounds, from } = CommandLine::parse();
    let is_chosen = |name: &str| target.as_deref().is_none_or(|chosen| chosen == name);
    let chosen: Vec<_> = TARGETS.iter().filter(|target| is_chosen(target.name)).collect();
    if chosen.is_empty() {
        let names = TARGETS.map(|target| target.name).join(", ");
        eprintln!("there is no such target; there are {names}");
        return ExitCode::from(2);
    }
    let mut failed = 0;
    for target in &chosen {
        match play(target, from..from.saturating_add(rounds)) {
            Ok(()) => println!("{}: {rounds} rounds from {from}", target.name),
            Err(failure) => {
                failed += 1;
                let input = failure.input.escape_ascii();
                println!("{}: round {} failed with b\"{input}\"", target.name, failure.round);
            }
        }
    }
    println!("{} passed, {failed} failed", chosen.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}
