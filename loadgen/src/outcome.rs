//! What a finished run leaves, as plain values: everything that a report can be made of.
//!
//! Filled by `run`, read by whatever prints or saves. Nothing here measures, judges or formats; what
//! derives `Serialize` has the names of run.json. Times are nanoseconds since the moment zero of the plan, unless a name says otherwise.

use crate::exit_code::ExitCode;
use crate::limit_checker::Verdict as LimitVerdict;
use crate::report::round::three_digits;
use crate::scenario::Scenario;
use crate::stats::distribution::Distribution;
use crate::stats::recorder::Kind;
use crate::stats::series::Series;
use crate::stats::shards::ShardStats;
use crate::stats::skew::Skew;
use crate::stats::steady::Steadiness;
use crate::stats::throughput::Counters;
use gyre::embed::{CoreStats, StartReport};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was run, resolved: for the default run with the rate that the search found.
    pub scenario: Scenario,
    /// When the measured load began, Unix ms.
    pub started_unix_ms: u64,
    /// Ctrl-C or SIGTERM came before the plan was over.
    pub interrupted: bool,
    /// The search before the measured load; none outside of the default run.
    pub search: Option<Search>,
    /// What was measured.
    pub load: Load,
    /// What reading everything back found.
    pub verify: Verification,
    /// The engine under the load.
    pub engine: EngineOutcome,
    /// The generator under the load.
    pub generator: GeneratorOutcome,
    /// Whether the figures say something about the engine.
    pub validity: Validity,
    /// What had to hold, and whether it did.
    pub slo: Vec<SloOutcome>,
    /// Defects that were planted on purpose, as they were typed.
    pub planted: Vec<String>,
    /// How the process ends because of all this.
    pub exit: ExitCode,
}

/// The measured load.
#[derive(Clone, Debug)]
pub struct Load {
    /// Every record had its tick. Else it was a closed loop, in which response is service.
    pub open_loop: bool,
    /// Length of the measured time: as planned, or until the interruption.
    pub measured_ns: u64,
    /// What was offered and what became of it, in balance.
    pub counters: Counters,
    /// Latencies, in the order of [`Kind::ALL`].
    pub distributions: [Distribution; Kind::ALL.len()],
    /// Counters by 100 ms.
    pub series: Series,
    /// Whether the load was steady.
    pub steady: Steadiness,
    /// The most calls that were in flight at once.
    pub in_flight_max: usize,
    /// Shards: where they lie and what they took.
    pub shards: Shards,
    /// Who read while it was written; `None` where nobody did.
    pub consumers: Option<ConsumersOutcome>,
    /// The first error of a record or of a whole call, as text.
    pub first_error: Option<String>,
}

impl Load {
    /// One kind of latency.
    #[must_use]
    pub const fn latency(&self, kind: Kind) -> &Distribution {
        &self.distributions[kind as usize]
    }
}

/// The stream's shards, by index.
#[derive(Clone, Debug)]
pub struct Shards {
    /// First and last hash key of each.
    pub hash_ranges: Vec<(u128, u128)>,
    /// What each was offered and what it took. Warm-up included: the limits know no warm-up.
    pub stats: ShardStats,
    /// The time that `stats` covers: warm-up and measured time.
    pub counted_ns: u64,
    /// What the limit checker found; `None` without limits.
    pub limits: Option<Vec<LimitVerdict>>,
    /// One checker saw every record of the stream. Else an excess that was found is a proof still, and that
    /// none was found says nothing; unjust refusals cannot be proved.
    pub all_writers_seen: bool,
    /// How uneven they are, by accepted records; `None` where nothing was accepted.
    pub skew: Option<Skew>,
    /// The most frequent keys with their expected share; none where no key stands out.
    pub top_keys: Vec<(String, f64)>,
}

/// `consumers` of run.json: what those got who read while it was written. Counts are of all of them
/// together, warm-up included.
#[derive(Clone, Debug, Serialize)]
pub struct ConsumersOutcome {
    /// How many there were; each had every shard.
    pub count: u32,
    /// Records that came.
    pub received_records: u64,
    /// Acknowledged, and not there within 30 s of the last answer.
    pub missing_records: u64,
    /// Not ours, or of a form that does not add up.
    pub corrupt_records: u64,
    /// Chunks that did not begin where the one before them had ended.
    pub out_of_order_chunks: u64,
    /// Chunks that came: records of one shard and frame.
    pub chunks: u64,
    /// The generator's time in taking, checking and timing a record.
    #[serde(serialize_with = "three_digits")]
    pub cpu_ns_per_record: Option<f64>,
    /// Whether each got everything that was acknowledged, in order.
    pub verdict: Verdict,
    /// From the last answer to the last record.
    #[serde(skip)]
    pub drained: Duration,
    /// Sentences about the first that were not as they should be.
    #[serde(skip)]
    pub named: Vec<String>,
}

/// `verify` of run.json: what reading everything back found. Counts are records.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// Records that were read.
    pub checked: u64,
    /// Acknowledged and not there, or in a shard that the engine would not read.
    pub missing: u64,
    /// There more often than they may be; also those that were refused and are there.
    pub duplicated: u64,
    /// Not as they were sent.
    pub corrupt: u64,
    /// Sequence numbers of a shard that do not rise as they must.
    pub out_of_order: u64,
    /// In another shard than the MD5 of their key says.
    pub wrong_shard: u64,
    /// Read with another sequence number than acknowledged.
    pub sequence_violations: u64,
    /// Sent, and no answer says what became of them; they may be there or not.
    pub unknown_outcome: u64,
    /// Of the missing, as many as the engine says that it dropped because of a cap on its bytes. Loadgen
    /// sets none: they are lost.
    pub expired_early: u64,
    /// CPU time of checking what was read, per record; `None` where nothing was.
    #[serde(serialize_with = "three_digits")]
    pub cpu_ns_per_record: Option<f64>,
    /// All of it in a word.
    pub verdict: Verdict,
    /// Acknowledged, and not read because reading back was cut short.
    #[serde(skip)]
    pub not_read: u64,
    /// Sent, and too many to be told apart: counted only.
    #[serde(skip)]
    pub unwatched: u64,
    /// How long reading back took.
    #[serde(skip)]
    pub took: Duration,
    /// Sentences that name the first records that are not as they should be.
    #[serde(skip)]
    pub named: Vec<String>,
}

/// A verification in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every record is there, once, whole, in order.
    Ok,
    /// At least one is not.
    Failed,
    /// What could be checked is right, and not all of it could.
    Partial,
    /// Nothing was checked.
    #[default]
    NotVerified,
}

impl Verdict {
    /// The word for run.json.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::NotVerified => "not_verified",
        }
    }
}

/// The engine under the load.
#[derive(Clone, Debug)]
pub struct EngineOutcome {
    /// What its start found.
    pub report: StartReport,
    /// The CPUs of its cores.
    pub cpus: Vec<usize>,
    /// Its data folder.
    pub data: PathBuf,
    /// Whether the folder is still there.
    pub data_kept: bool,
    /// Counters when the measured time began.
    pub before: Vec<CoreStats>,
    /// Counters when it ended.
    pub after: Vec<CoreStats>,
    /// Counters at the end of everything, reading back included.
    pub last: Vec<CoreStats>,
    /// Bytes of segments that were made ready before the load.
    pub prepared_bytes: u64,
    /// How long that took.
    pub prepared_took: Duration,
}

/// The generator under the load.
#[derive(Clone, Debug)]
pub struct GeneratorOutcome {
    /// The CPUs of its cores.
    pub cpus: Vec<usize>,
    /// Time in useful work over the measured time, per cent, of its busiest core.
    pub load_pct: f64,
    /// The longest stall of one of its cores.
    pub self_stall_max: Duration,
    /// Time in stalls over the measured time, per cent, of the worst core.
    pub self_stall_pct: f64,
    /// Call buffers that had to be allocated while it ran.
    pub arenas_replaced: u64,
}

/// Whether the figures say something about the engine.
#[derive(Clone, Debug, Default)]
pub struct Validity {
    /// Nothing speaks against it.
    pub ok: bool,
    /// What speaks against it, in sentences.
    pub reasons: Vec<String>,
    /// The generator was the limit of a closed loop: the rate is a lower bound.
    pub generator_limited: bool,
    /// Quantiles of an open loop's response, and whether the generator left each alone. Empty in a closed
    /// loop, which has no plan that the generator could be late for.
    pub quantiles: Vec<QuantileValidity>,
}

impl Validity {
    /// What the generator left of a quantile of the response.
    #[must_use]
    pub fn trust(&self, q: f64) -> Trust {
        if self.quantiles.is_empty() {
            return Trust::Exact;
        }
        // What nobody judged is not to be trusted.
        let found = self.quantiles.iter().find(|quantile| (quantile.q - q).abs() < 1e-9);
        found.map_or(Trust::Void, |quantile| quantile.trust)
    }
}

/// What the generator left of a quantile. A stall of its core can only lengthen a response: what it
/// touched a little is still an upper bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The quantile is the engine's.
    #[default]
    Exact,
    /// The engine's is this or less.
    UpperBound,
    /// It says nothing about the engine.
    Void,
}

/// Whether the generator decided a quantile: its limits and its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileValidity {
    /// Which.
    pub q: f64,
    /// The generator's own lateness there.
    pub lag_ns: u64,
    /// What it may be: 100 µs, or 10 % of the response there.
    pub lag_ns_max: u64,
    /// Time in self-stalls, per cent.
    pub stall_pct: f64,
    /// What it may be.
    pub stall_pct_max: f64,
    /// What it may be where the quantile is to be an upper bound.
    pub stall_pct_bound_max: f64,
    /// What these come to.
    pub trust: Trust,
}

/// A row of `slo` of run.json: one thing that had to hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SloOutcome {
    /// As a person would write it: `response_p99<5ms`.
    #[serde(rename = "expr")]
    pub expression: String,
    /// What was observed, in the same unit: `3.21ms`, `0.06%`; after "undecided: " where it decides nothing.
    pub observed: String,
    /// Whether it is known to have held.
    pub pass: bool,
    /// Neither that it held nor that it did not is known: what was observed is an upper bound, or not
    /// printed.
    #[serde(skip)]
    pub undecided: bool,
}

/// How the highest rate was found.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Every rate that was tried, in order.
    pub steps: Vec<SearchStep>,
    /// The highest that held; `None` where none did.
    pub held_per_s: Option<u64>,
    /// The shards' limits ended the search, not the engine.
    pub limited_by_shards: bool,
    /// Steps that were void and tried again.
    pub repeated: u32,
    /// A rate counts as not held because every step at it was void: the generator, not the engine, may
    /// have lowered what was found.
    pub generator_limited: bool,
}

/// One rate that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchStep {
    /// Records a second.
    pub rate: u64,
    /// How long.
    pub measured_ns: u64,
    /// Response p99; `None` where records were lost or none came back.
    pub response_p99_ns: Option<u64>,
    /// Records acknowledged a second.
    pub acked_per_s: f64,
    /// Records throttled.
    pub throttled_records: u64,
    /// It counts: the generator did not decide it.
    pub valid: bool,
    /// The rate held.
    pub held: bool,
    /// Why it did not hold or does not count, in a few words; empty where it held.
    pub reason: String,
}
