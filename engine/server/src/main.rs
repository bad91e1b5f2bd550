//! The process `gyre`: what was typed, what is done about it, how it ends.

#![forbid(unsafe_code)]

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use clap::Parser;
use gyre::cli::{Cli, Command, InspectFlags};
use gyre::inspect::{InspectError, inspect};
use runtime::cores::{self, CoreConfig};

/// Kept for reads, bytes: a window of a segment and a piece of a table.
const IO_MEMORY_BYTES: usize = 4 << 20;

fn main() -> ExitCode {
    // clap ends the process itself for --help (0) and for what it cannot read (2).
    let Cli { command: Command::Inspect(flags) } = Cli::parse();
    match run_inspect(flags) {
        Ok(verdict) => ExitCode::from(verdict),
        Err(error) => {
            eprintln!("gyre: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run_inspect(flags: InspectFlags) -> Result<u8, InspectError> {
    let config =
        CoreConfig { name: "gyre-inspect".to_owned(), cpu: None, io_memory_bytes: IO_MEMORY_BYTES };
    let verdict = cores::block_on(config, move || async move {
        let mut out = BufWriter::new(stdout().lock());
        let verdict = inspect(&flags.request(), &mut out).await?;
        out.flush().map_err(InspectError::Output)?;
        Ok::<_, InspectError>(verdict)
    })??;
    Ok(verdict.exit_code())
}
