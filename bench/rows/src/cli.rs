//! What a user types. Each row has the flags that change its figures, with the row's own defaults.

use clap::{Args, Parser, Subcommand};
use loadgen::amount::{parse_bytes, parse_count_from_one, parse_span};
use std::path::PathBuf;
use std::time::Duration;

const TOP_HELP: &str = "\
Examples:
  rows cold-read --gib 10            4,096 shards read back, against 3.3 times the log
  rows cold-read --shards 1          one shard, against the disk's sequential reading
  rows retention --gib 10 --delete   99 % deleted: how soon the disk is free
  rows start --gib 20 --json         killed while it appends: how soon it serves again
  rows memory --gib 10               10,000 shards and stalled followers: resident memory
  rows cpu                           a record's CPU with 10,000 shards, against one

Exit codes: 0 the gates hold, 2 usage, 3 a gate does not hold, 6 could not run (the last sentence says
why), 130 interrupted. The data folder goes at the end, also then, unless --keep.";

/// Measures one row of the results table that a run of loadgen does not measure.
#[derive(Clone, Debug, Parser)]
#[command(name = "rows", version, after_help = TOP_HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Which row
    #[command(subcommand)]
    pub row: Row,
    /// Flags that every row has
    #[command(flatten)]
    pub shared: Shared,
}

/// Flags that every row has.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Shared {
    /// The data folder, on the disk to measure [default: a fresh one in cargo's target folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Leave the data folder where it is
    #[arg(long, global = true)]
    pub keep: bool,
    /// One object with everything on standard output, instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// The engine's memory bound
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value = "1GiB", global = true)]
    pub memory: u64,
    /// Size of the engine's segment files
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value = "64MiB", global = true)]
    pub segment: u64,
}

/// A row.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Row {
    /// Reads a whole log from the disk: all shards of many, or the one there is.
    ///
    /// With many shards: bytes that the disk read and wrote after the appends, over the log's bytes;
    /// then one shard alone. With one shard: MB/s of its data against the disk's sequential reading
    /// as loadgen's probe finds it before and after.
    ColdRead(ColdReadFlags),
    /// Keeps 1 % of the bytes for a year while 99 % expire: how soon the disk is free.
    ///
    /// Two streams in one log. Time counts from the moment when the last record expires, or when the
    /// deletion has returned, until the folder takes at most 1.5 times the kept bytes and 4 segments.
    Retention(RetentionFlags),
    /// Kills the engine with SIGKILL while it appends, and starts it again.
    ///
    /// At an eighth of the log, at half of it, and at all of it: time until the first GetRecords has
    /// an answer and the first put its acknowledgement, and the bytes that recovery read.
    Start(StartFlags),
    /// Appends to many shards while followers stand still, lets these catch up, and reads cold.
    ///
    /// The highest resident memory of the process, caller and batches included, against the bound.
    Memory(MemoryFlags),
    /// Puts at one rate to many shards and to one, in alternating pairs of loadgen's runs.
    ///
    /// CPU time of the engine's threads, user and system, for an acknowledged record.
    Cpu(CpuFlags),
    /// Appends until somebody kills it; `start` runs it.
    #[command(hide = true)]
    Appender(AppenderFlags),
}

/// `rows cold-read`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ColdReadFlags {
    /// Size of the log, GiB
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_gib)]
    pub gib: f64,
    /// Shards; 1 measures speed instead of bytes
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = from_one())]
    pub shards: u32,
    /// Data of a record [default: 100, with one shard 1,000]
    #[arg(long, value_name = "B", value_parser = parse_bytes)]
    pub record_bytes: Option<u64>,
    /// Shards that are read at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = from_one())]
    pub readers: u32,
}

/// `rows retention`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RetentionFlags {
    /// Bytes of both streams, GiB
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_gib)]
    pub gib: f64,
    /// Shards of each stream
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = from_one())]
    pub shards: u32,
    /// Data of a record
    #[arg(long, value_name = "B", value_parser = parse_bytes, default_value = "1000")]
    pub record_bytes: u64,
    /// How long the larger stream is kept
    #[arg(long, value_name = "T", value_parser = parse_span, default_value = "10s")]
    pub retention: Duration,
    /// How long the disk is looked at after that, if it is not free before
    #[arg(long, value_name = "T", value_parser = parse_span, default_value = "90s")]
    pub watch: Duration,
    /// Delete the larger stream instead of waiting until it expires
    #[arg(long)]
    pub delete: bool,
}

/// `rows start`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StartFlags {
    /// Size of the log at the last kill, GiB
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_gib)]
    pub gib: f64,
    /// Shards
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = from_one())]
    pub shards: u32,
    /// Data of a record
    #[arg(long, value_name = "B", value_parser = parse_bytes, default_value = "1000")]
    pub record_bytes: u64,
}

/// `rows memory`.
#[derive(Clone, Debug, Args)]
pub(crate) struct MemoryFlags {
    /// Size of the log, GiB
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_gib)]
    pub gib: f64,
    /// Shards
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = from_one())]
    pub shards: u32,
    /// Data of a record
    #[arg(long, value_name = "B", value_parser = parse_bytes, default_value = "100")]
    pub record_bytes: u64,
    /// Followers that take nothing until all is put, each of another shard
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = from_one())]
    pub stalled: u32,
}

/// `rows cpu`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CpuFlags {
    /// Records offered each second
    #[arg(long, value_name = "R", default_value = "500k", value_parser = parse_count_from_one)]
    pub rate: u64,
    /// Shards, against one
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = from_one())]
    pub shards: u32,
    /// Data of a record
    #[arg(long, value_name = "B", value_parser = parse_bytes, default_value = "100")]
    pub record_bytes: u64,
    /// How long each run is measured
    #[arg(long, value_name = "T", value_parser = parse_span, default_value = "5s")]
    pub duration: Duration,
    /// Pairs of runs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = from_one())]
    pub pairs: u32,
}

/// The process that `start` kills.
#[derive(Clone, Debug, Args)]
pub(crate) struct AppenderFlags {
    /// Shards of the stream
    #[arg(long)]
    pub shards: u32,
    /// Data of a record
    #[arg(long)]
    pub record_bytes: u64,
    /// Calls until it says that the log is full; it goes on after that
    #[arg(long)]
    pub calls: u64,
}

fn from_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

fn parse_gib(text: &str) -> Result<f64, String> {
    let gib = text.parse().map_err(|_| format!("`{text}` is not a number of GiB"))?;
    if (0.01..=100_000.0).contains(&gib) {
        Ok(gib)
    } else {
        Err("0.01 to 100000 GiB will do".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["rows", "cold-read", "--gib", "0.5", "--json"]);
        assert!(cli.shared.json);
        assert_eq!(cli.shared.memory, 1 << 30);
        assert!(matches!(cli.row, Row::ColdRead(flags) if flags.gib == 0.5));
        assert!(Cli::try_parse_from(["rows", "cold-read", "--gib", "0"]).is_err());
        assert!(Cli::try_parse_from(["rows", "cold-read", "--shards", "0"]).is_err());
    }
}
