//! What a user types. Flags of things that do not exist yet are not here: clap says they are unknown.
//!
//! A flag that is not given stays `None`; [`RunFlags::apply`] puts those that are given on top of the
//! scenario, so that a default stands in one place only (`scenario`).

use crate::amount::{AmountError, Bytes, Count, Span};
use crate::amount::{parse_bytes, parse_count, parse_count_from_one, parse_span};
use crate::keys::KeyDistribution;
use crate::plan::{KEY_BYTES_DEFAULT, Question};
use crate::scenario::{Durability, LimitsSetting, Rate, Scenario, SizeSetting};
use clap::{Args, Parser, Subcommand};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0  ok                       1  an SLO broken, or overloaded    2  usage
  3  void: the machine or the generator decided the figures, not the engine
  4  records lost, doubled, reordered or changed, or limits broken
  5  inconclusive             6  could not run or finish (the last sentence says why)
  70 a bug of ours            130 interrupted; what was measured is written

Units: counts 500 10k 2M; bytes 100 1kB 1MB (decimal) 64KiB 1GiB (1,024); time 300ms 10s 2m.";

const TOP_HELP: &str = "\
Examples:
  loadgen                                       the default run, about a minute
  loadgen run --rate 100k --duration 30s        100,000 records/s, open loop
  loadgen run --rate max --in-flight 1 --batch 1  how long one durable record takes
  loadgen run --json --shards 4 --rate 8k       run.json on standard output
  loadgen plan --in-kb 5000 --out-kb 30000 --keys 40
";

/// Loads a Kinesis-compatible stream, reads every record back, and says what was measured and
/// whether it can be believed.
///
/// Without a command: the default run. The engine in this process, 4,096 shards with AWS's limits,
/// durable, 100-byte records; it probes the disk, searches the highest rate that holds p99 < 5 ms,
/// measures 10 s at 90 % of it, reads everything back, and reports.
#[derive(Clone, Debug, Parser)]
#[command(name = "loadgen", version, after_help = format!("{TOP_HELP}\n{EXIT_CODES}"))]
#[command(args_conflicts_with_subcommands = false, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do; the default run where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Keep the results of the default run among those that are committed
    #[arg(long)]
    pub publish: bool,
    /// Flags that every command has.
    #[command(flatten)]
    pub shared: SharedFlags,
}

/// A command.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// One run of one load, as flags or a scenario file say.
    #[command(after_help = format!("{RUN_HELP}\n{EXIT_CODES}"))]
    Run(Box<RunFlags>),
    /// How many shards a load needs, and how even few keys will lie on them.
    #[command(after_help = format!("{PLAN_HELP}\n{EXIT_CODES}"))]
    Plan(PlanFlags),
}

const RUN_HELP: &str = "\
Examples:
  loadgen run --rate 300k --record-bytes 1024 --shards 512 --duration 30s
  loadgen run --rate max --limits off --shards 16 --record-bytes 1024 --duration 5s
  loadgen run --rate 100k --consumers 2              from a record's time to its arrival at a consumer
  loadgen run scenario.toml --rate 20k --dry-run     what it would do

Open loop (--rate R): every record has its time to be sent, and latency counts from that time, however
late the engine lets it go. Closed loop (--rate max): a call starts when another ends; latency counts
from sending, which hides stalls, and the report says so.

Consumers (--consumers N): each is fed every shard by the engine's push, on the generator's CPUs; the
report shows end-to-end latency, and a consumer that lacks an acknowledged record 30 s after the last
answer makes the run fail (4). The engine feeds 16,384 followers a core: N x shards at most.
";

const PLAN_HELP: &str = "\
Examples:
  loadgen plan --in-kb 5000 --out-kb 30000 --keys 40
  loadgen plan --in-kb 900 --out-kb 1800 --records-per-second 9k --consumers 2

The Kinesis guide's formula, max(in / 1000, out / 2000), and what it leaves out: records a second, the
keys' bytes, consumers that share a shard's read limit, and keys too few to spread evenly.
";

/// Flags that every command has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct SharedFlags {
    /// The result as JSON on standard output; progress goes to standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Folder for the results
    #[arg(short = 'o', long = "output", value_name = "DIR", global = true)]
    pub output: Option<PathBuf>,
    /// Nothing but the result
    #[arg(long, global = true)]
    pub quiet: bool,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Kept with the results; may be given several times
    #[arg(long, value_name = "K=V", global = true)]
    pub tag: Vec<Tag>,
    /// A sentence kept with the results
    #[arg(long, value_name = "TEXT", global = true)]
    pub note: Option<String>,
    /// Go on where loadgen would rather not: a busy machine, a folder that is not empty
    #[arg(long, global = true)]
    pub force: bool,
    /// Say what would be done (records, bytes, seconds, disk, hottest shard), and do nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
}

/// `loadgen run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunFlags {
    /// A scenario file; flags come on top of it
    #[arg(value_name = "SCENARIO.toml")]
    pub scenario: Option<PathBuf>,

    /// Records a second, or max for a closed loop [default: max]
    #[arg(long, value_name = "R|max", help_heading = "Load")]
    pub rate: Option<Rate>,
    /// Calls in flight at most [default: 64 with --rate max, else 1024 or 256 MiB of them]
    #[arg(long, value_name = "N", value_parser = parse_count_from_one, help_heading = "Load")]
    pub in_flight: Option<u64>,
    /// How long is measured [default: 10s]
    #[arg(long, value_name = "T", value_parser = parse_span, help_heading = "Load")]
    pub duration: Option<Duration>,
    /// Load before anything is counted [default: 2s]
    #[arg(long, value_name = "T", value_parser = parse_span, help_heading = "Load")]
    pub warmup: Option<Duration>,
    /// Data of a record, without its key [default: 100]
    #[arg(long, value_name = "B", value_parser = parse_bytes, help_heading = "Load")]
    pub record_bytes: Option<u64>,
    /// Records of a call, 1 to 500 [default: 500]
    #[arg(long, value_name = "N", value_parser = parse_u32, help_heading = "Load")]
    pub batch: Option<u32>,
    /// How long an unfilled call waits [default: 2ms]
    #[arg(long, value_name = "T", value_parser = parse_span, help_heading = "Load")]
    pub linger: Option<Duration>,
    /// Partition keys: uniform (fresh for every record), uniform:K, zipf:S, hot:PCT [default: uniform]
    #[arg(long, value_name = "KEYS", help_heading = "Load")]
    pub keys: Option<KeyDistribution>,
    /// Consumers that follow every shard while it is written [default: 0]
    #[arg(long, value_name = "N", value_parser = parse_u32, help_heading = "Load")]
    pub consumers: Option<u32>,
    /// Keys, bodies and resampling follow from it [default: 42]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub seed: Option<u64>,

    /// Shards of the stream [default: 4096]
    #[arg(long, value_name = "N", value_parser = parse_u32, help_heading = "Engine")]
    pub shards: Option<u32>,
    /// 1 MiB/s and 1,000 records/s a shard, or none [default: aws]
    #[arg(long, value_enum, help_heading = "Engine")]
    pub limits: Option<LimitsSetting>,
    /// What an acknowledged record survives: power loss, or the process [default: durable]
    #[arg(long, value_enum, help_heading = "Engine")]
    pub durability: Option<Durability>,
    /// Engine cores; more than there are CPUs is allowed, with a warning
    #[arg(long, value_name = "N", value_parser = parse_u32, help_heading = "Engine")]
    pub cores: Option<u32>,
    /// The engine's CPUs, as 0,2-3
    #[arg(long, value_name = "LIST", help_heading = "Engine")]
    pub cpus: Option<CpuList>,
    /// The generator's CPUs, as 1
    #[arg(long, value_name = "LIST", help_heading = "Engine")]
    pub generator_cpus: Option<CpuList>,
    /// The engine's memory bound [default: 1GiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, help_heading = "Engine")]
    pub memory: Option<u64>,
    /// The engine's data folder [default: a fresh one, removed afterwards]
    #[arg(long, value_name = "DIR", help_heading = "Engine")]
    pub data: Option<PathBuf>,
    /// Leave the data folder where it is
    #[arg(long, help_heading = "Engine")]
    pub keep_data: bool,

    /// Keep the results among those that are committed
    #[arg(long, help_heading = "Results")]
    pub publish: bool,
    /// Break something on purpose, to see whether the judge notices
    #[arg(long, value_name = "DEFECT", hide = true)]
    pub plant: Vec<Plant>,
}

impl RunFlags {
    /// Puts the flags that were given on top of a scenario.
    pub fn apply(&self, scenario: &mut Scenario) {
        fn set<T: Clone>(place: &mut T, flag: &Option<T>) {
            if let Some(value) = flag {
                *place = value.clone();
            }
        }
        fn set_some<T>(place: &mut Option<T>, flag: Option<T>) {
            if flag.is_some() {
                *place = flag;
            }
        }
        let producer = &mut scenario.producer;
        set(&mut producer.rate, &self.rate);
        set_some(&mut producer.in_flight_max, self.in_flight.map(Count));
        set(&mut producer.batch.max_records, &self.batch);
        set(&mut producer.batch.linger, &self.linger.map(Span));
        set(&mut producer.keys, &self.keys.map(Into::into));
        let size = self.record_bytes.map(|bytes| SizeSetting::Fixed { bytes: Bytes(bytes) });
        set(&mut producer.size, &size);
        set_some(&mut producer.cpus, self.generator_cpus.as_ref().map(ToString::to_string));
        set(&mut scenario.run.measure, &self.duration.map(Span));
        set(&mut scenario.run.warmup, &self.warmup.map(Span));
        set(&mut scenario.consumer.groups, &self.consumers);
        set(&mut scenario.seed, &self.seed);
        set(&mut scenario.stream.shards, &self.shards);
        set(&mut scenario.stream.limits, &self.limits);
        set(&mut scenario.stream.durability, &self.durability);
        set_some(&mut scenario.target.cores, self.cores);
        set_some(&mut scenario.target.cpus, self.cpus.as_ref().map(ToString::to_string));
        set(&mut scenario.target.memory, &self.memory.map(Bytes));
    }
}

/// `loadgen plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanFlags {
    /// Written each second, KB, without keys
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub in_kb: u64,
    /// Read each second by all consumers together, KB
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub out_kb: u64,
    /// Records written each second
    #[arg(long, value_name = "N", value_parser = parse_count_from_one)]
    pub records_per_second: Option<u64>,
    /// Consumers [default: as many as read everything once for --out-kb]
    #[arg(long, value_name = "N", value_parser = parse_count_from_one)]
    pub consumers: Option<u64>,
    /// Distinct partition keys, all as frequent [default: so many that they spread evenly]
    #[arg(long, value_name = "N", value_parser = parse_count_from_one)]
    pub keys: Option<u64>,
    /// Bytes of a partition key
    #[arg(long, value_name = "B", value_parser = parse_bytes, default_value_t = KEY_BYTES_DEFAULT)]
    pub key_bytes: u64,
    /// Of the drawings of keys
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
}

impl PlanFlags {
    /// The question that the flags ask.
    #[must_use]
    pub const fn question(&self) -> Question {
        Question {
            in_kb: self.in_kb,
            out_kb: self.out_kb,
            records_per_second: self.records_per_second,
            consumers: self.consumers,
            keys: self.keys,
            key_bytes: self.key_bytes,
            seed: self.seed,
        }
    }
}

fn parse_u32(text: &str) -> Result<u32, AmountError> {
    u32::try_from(parse_count(text)?).map_err(|_| AmountError::TooLarge(text.to_owned()))
}

/// CPUs as taskset takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

/// Why a text is not a flag's value, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagError(String);

impl fmt::Display for FlagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FlagError {}

/// No machine that we know has more; it also bounds what `0-999999999` may allocate.
const CPUS_MAX: usize = 4096;

impl FromStr for CpuList {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let refuse = || FlagError(format!("`{text}` is not a list of CPUs; write it as 0,2-3"));
        let number = |text: &str| text.parse().ok().filter(|cpu: &usize| *cpu < CPUS_MAX);
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (number(first), number(last)) else {
                return Err(refuse());
            };
            if first > last {
                return Err(refuse());
            }
            cpus.extend(first..=last);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

/// Runs of three and more become a range, as taskset prints them.
impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, next| one + 1 == *next);
        let texts: Vec<String> = runs
            .map(|run| match run {
                [one] => one.to_string(),
                [one, two] => format!("{one},{two}"),
                [first, .., last] => format!("{first}-{last}"),
                [] => String::new(),
            })
            .collect();
        f.write_str(&texts.join(","))
    }
}

/// `--tag k=v`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Before the first equals sign.
    pub key: String,
    /// Behind it.
    pub value: String,
}

impl FromStr for Tag {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(FlagError(format!("`{text}` is not of the form k=v"))),
        }
    }
}

/// A defect put in on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The engine's bucket for records; the checker goes on expecting AWS's.
    Bucket {
        /// Records a second.
        per_second: u32,
        /// Records at once.
        burst: u32,
    },
    /// The generator stops for so long before each call.
    SlowGenerator(Duration),
}

/// As it is typed.
impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { per_second, burst } => write!(f, "bucket={per_second},{burst}"),
            Self::SlowGenerator(span) => write!(f, "slow-generator={}", Span(*span)),
        }
    }
}

impl FromStr for Plant {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let planted = match text.split_once('=') {
            Some(("bucket", numbers)) => numbers.split_once(',').and_then(|(rate, burst)| {
                let (per_second, burst) = (parse_u32(rate).ok()?, parse_u32(burst).ok()?);
                Some(Self::Bucket { per_second, burst })
            }),
            Some(("slow-generator", span)) => parse_span(span).ok().map(Self::SlowGenerator),
            _ => None,
        };
        planted.ok_or_else(|| {
            FlagError(format!("`{text}` is neither bucket=RATE,BURST nor slow-generator=5ms"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("loadgen").chain(line.split_whitespace()))
    }

    fn run(line: &str) -> (Scenario, RunFlags) {
        let Some(Command::Run(flags)) = parse(line).unwrap().command else {
            panic!("{line} is a run");
        };
        let mut scenario = Scenario::run_default();
        flags.apply(&mut scenario);
        (scenario, *flags)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_is_the_default_run() {
        let cli = parse("").unwrap();
        assert!(cli.command.is_none());
        assert!(!cli.shared.json);
        let cli = parse("--json --no-color --tag a=b --tag c=d=e").unwrap();
        assert!(cli.command.is_none());
        assert!(cli.shared.json && !cli.publish);
        assert!(parse("--publish").unwrap().publish);
        assert_eq!(cli.shared.tag[1], Tag { key: "c".to_owned(), value: "d=e".to_owned() });
    }

    #[test]
    fn flags_come_on_top_of_the_scenario() {
        let (scenario, flags) =
            run("run --json --shards 4 --rate 8k --record-bytes 1KiB --limits aws --warmup 0s \
             --duration 10s --batch 100 --linger 1ms --keys zipf:0.99 --durability written \
             --consumers 3 --seed 7 --cores 2 --cpus 0,2-3 --generator-cpus 1 --memory 512MiB \
             --in-flight 9 --data there --keep-data --publish");
        assert_eq!(scenario.check(), Ok(()));
        assert_eq!(scenario.stream.shards, 4);
        assert_eq!(scenario.stream.durability, Durability::Written);
        assert_eq!(scenario.producer.rate, Rate::PerSecond(8_000));
        assert_eq!(scenario.producer.in_flight(), 9);
        assert_eq!(scenario.record_bytes(), Bytes(1_024));
        assert_eq!(scenario.producer.batch.max_records, 100);
        assert_eq!(scenario.producer.keys.distribution().to_string(), "zipf:0.99");
        assert_eq!(scenario.run.warmup, Span(Duration::ZERO));
        assert_eq!(scenario.consumer.groups, 3);
        assert_eq!(scenario.seed, 7);
        assert_eq!(scenario.target.cpus.as_deref(), Some("0,2,3"));
        assert_eq!(scenario.producer.cpus.as_deref(), Some("1"));
        assert_eq!(scenario.target.memory, Bytes(512 << 20));
        assert!(flags.keep_data && flags.publish);
        assert_eq!(flags.data, Some(PathBuf::from("there")));
    }

    #[test]
    fn consumers_are_counted() {
        let (scenario, _) = run("run --consumers 2");
        assert_eq!((scenario.consumer.groups, scenario.check()), (2, Ok(())));
        let refused = run("run --consumers 1001").0.check().unwrap_err().to_string();
        assert_eq!(refused, "consumer.groups must be 0 to 1000, not 1001");
    }

    #[test]
    fn without_flags_the_scenario_stays() {
        let (scenario, _) = run("run");
        assert_eq!(scenario, Scenario::run_default());
        assert_eq!(scenario.producer.in_flight(), 64);
        assert_eq!(run("run --rate 1k").0.producer.in_flight(), 1024);
    }

    #[test]
    fn shared_flags_stand_before_and_behind_the_command() {
        assert!(parse("--json plan --in-kb 1 --out-kb 1").unwrap().shared.json);
        assert!(parse("plan --in-kb 1 --out-kb 1 --json").unwrap().shared.json);
    }

    #[test]
    fn what_is_wrong_or_not_there_yet_is_a_usage_error() {
        let check = |line: &str, expected: &str| {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        };
        check("run --rate 10q", "`q` is not a unit here; use none, k, M or G");
        check("run --rate 0", "at least 1; a rate is records a second, as 20k, or max");
        check("run --duration 10", "write a number and a unit");
        check("run --keys gauss", "uniform, uniform:K, zipf:S, hot:PCT");
        check("run --limits on", "possible values: aws, off");
        check("run --cpus 3-1", "write it as 0,2-3");
        check("run --in-flight 0", "at least 1");
        check("run --plant cpu=5", "neither bucket=RATE,BURST nor");
        check("run --tag x", "not of the form k=v");
        for later in ["run --target http://localhost", "max", "sweep", "ab", "run --protocol h2"] {
            assert_eq!(parse(later).unwrap_err().exit_code(), 2, "{later}");
        }
        check("plan --in-kb 1", "--out-kb");
    }

    #[test]
    fn lists_of_cpus() {
        let check = |text: &str, expected: &[usize], shown: &str| {
            let list: CpuList = text.parse().unwrap();
            assert_eq!(list.0, expected);
            assert_eq!(list.to_string(), shown);
        };
        check("0", &[0], "0");
        check("0,2-3", &[0, 2, 3], "0,2,3");
        check("5,1-4,2", &[1, 2, 3, 4, 5], "1-5");
        assert!("0-999999999".parse::<CpuList>().is_err());
        assert!("".parse::<CpuList>().is_err());
    }

    #[test]
    fn plants() {
        let (_, flags) = run("run --plant bucket=1200,1000 --plant slow-generator=5ms");
        let bucket = Plant::Bucket { per_second: 1_200, burst: 1_000 };
        assert_eq!(flags.plant, [bucket, Plant::SlowGenerator(Duration::from_millis(5))]);
        let texts: Vec<String> = flags.plant.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["bucket=1200,1000", "slow-generator=5ms"]);
        assert!(!Cli::command().render_long_help().to_string().contains("plant"));
    }
}
