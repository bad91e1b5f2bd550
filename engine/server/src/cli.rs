//! What a user types. Commands of things that do not exist yet are not here: clap says they are
//! unknown.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::inspect::InspectRequest;

const INSPECT_HELP: &str = "\
Examples:
  gyre inspect data                        what is there, and what is wrong
  gyre inspect data --log 0 --segment 7 --frames    one segment, frame by frame
  gyre inspect data --shard orders/3       where the records of one shard are
  gyre inspect data --json | jq 'select(.kind == \"finding\")'

Every checksum is checked: headers, directories and payloads of frames, the chain of frames over the
whole log, the tables of sealed segments, the catalog. Nothing is written, ever. A folder that an
engine has open can be looked at too; what is found then may be a segment that was rewritten under way.

A finding names the file, the byte, the shards concerned and what the engine does about it:
  refused   acknowledged records are lost; these shards are refused, the rest is served
  rebuilt   a table is damaged and no record: the engine builds it anew from the frames (a crash while
            the newest table is written leaves such a one, too)
  harmless  nothing is lost

Exit codes:
  0  well        2  usage        4  something is wrong        6  the folder cannot be read
";

/// The Kinesis-compatible stream engine.
#[derive(Clone, Debug, Parser)]
#[command(name = "gyre", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Print a data folder, check all of it, and say what is wrong and where.
    #[command(after_help = INSPECT_HELP)]
    Inspect(InspectFlags),
}

/// Flags of `gyre inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectFlags {
    /// The data folder.
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// One JSON object a line instead of text; `kind` says what it is.
    #[arg(long)]
    json: bool,
    /// Only this log.
    #[arg(long, value_name = "N")]
    log: Option<u16>,
    /// Only the file that holds this segment; what is before it is taken from its table.
    #[arg(long, value_name = "N")]
    segment: Option<u64>,
    /// Every frame.
    #[arg(long)]
    frames: bool,
    /// Every part of one shard: STREAM/3, STREAM/shardId-000000000003 or its key as 0x....
    #[arg(long, value_name = "KEY")]
    shard: Option<String>,
}

impl InspectFlags {
    /// What is asked for.
    pub fn request(&self) -> InspectRequest {
        InspectRequest {
            data: self.data.clone(),
            json: self.json,
            log: self.log,
            segment: self.segment,
            frames: self.frames,
            shard: self.shard.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_help_teaches() {
        Cli::command().debug_assert();
        let mut command = Cli::command();
        let inspect = command.find_subcommand_mut("inspect").expect("there is one");
        let help = inspect.render_long_help().to_string();
        for word in ["Examples:", "--segment", "Exit codes:", "refused", "Nothing is written"] {
            assert!(help.contains(word), "{word}");
        }
    }

    #[test]
    fn flags_become_a_request() {
        let line = ["gyre", "inspect", "d", "--log", "1", "--segment", "7", "--shard", "a/3"];
        let Command::Inspect(flags) = Cli::parse_from(line).command;
        let request = flags.request();
        assert_eq!((request.log, request.segment), (Some(1), Some(7)));
        assert_eq!(request.shard.as_deref(), Some("a/3"));
        assert!(!request.json && !request.frames);
        assert!(Cli::try_parse_from(["gyre", "inspect"]).is_err());
        assert!(Cli::try_parse_from(["gyre", "inspect", "d", "--log", "x"]).is_err());
    }
}
