//! One load on one new stream: workers on their cores, the engine's counters at the edges of the
//! measured time, and everything merged.

use std::sync::Arc;
use std::time::Duration;

use gyre::embed::{CoreStats, Stream, StreamOptions};
use model::StreamName;
use model::limits::ShardRates;
use runtime::clock::{self, Instant};
use runtime::random;

use self::crew::{Crew, Left};
use super::live::Live;
use super::subject::Rig;
use super::{Failure, RunOptions, surroundings};
use crate::consumer::Consumed;
use crate::environment::meters::{Meters, Usage};
use crate::keys::Keys;
use crate::outcome::{ConsumersOutcome, GeneratorOutcome, Load, Shards};
use crate::payload::Payloads;
use crate::scenario::{LimitsSetting, Rate, Scenario};
use crate::schedule::{BatchRule, Lane, Schedule};
use crate::stats::distribution::Distribution;
use crate::stats::recorder::{Kind, Measured};
use crate::stats::skew::skew;
use crate::stats::steady::{self, State};
use crate::stats::{SLICE_NS, shards::ShardStats};
use crate::verify::Ledger;
use crate::verify::readback::Expectation;
use crate::worker::{Ended, Pace, Worked};

mod crew;

/// From when all workers are ready to the moment zero.
const HEAD_START: Duration = Duration::from_millis(20);
/// Records a second that a closed loop's ledger has room for.
const CLOSED_RECORDS_PER_S: u64 = 20_000_000;
/// Records of one producer that a ledger watches at most: 1 GiB of memory.
const WATCHED_MAX: u64 = 1 << 32;
const TOP_KEYS: usize = 10;

/// What is loaded.
#[derive(Clone, Debug)]
pub(super) struct LoadPlan {
    pub scenario: Scenario,
    pub slow: Option<Duration>,
    pub measured: Measured,
    /// Somebody wants to know what it took.
    pub metered: bool,
}

impl LoadPlan {
    /// The scenario's load.
    pub(super) fn new(scenario: &Scenario, options: &RunOptions, metered: bool) -> LoadPlan {
        let from_ns = nanos(scenario.run.warmup.0);
        let until_ns = from_ns + nanos(scenario.run.measure.0);
        let measured = Measured { from_ns, until_ns };
        LoadPlan { scenario: scenario.clone(), slow: options.slow(), measured, metered }
    }

    fn pace(&self) -> Pace {
        let batch = &self.scenario.producer.batch;
        match self.scenario.producer.rate {
            Rate::Max => Pace::Closed { records: batch.max_records },
            Rate::PerSecond(rate) => {
                let rate = rate.try_into().expect("checked: at least 1");
                let linger_ns = nanos(batch.linger.0);
                let rule = BatchRule { records_max: batch.max_records, linger_ns };
                Pace::Open { schedule: Schedule::fixed(rate), rule }
            }
        }
    }

    fn rates(&self) -> Option<ShardRates> {
        match self.scenario.stream.limits {
            LimitsSetting::Aws => Some(ShardRates::AWS),
            LimitsSetting::Off => None,
        }
    }

    /// The CPUs of the workers: not more of them than calls may be in flight.
    fn generator_cpus<'a>(&self, rig: &'a Rig) -> &'a [usize] {
        let most = usize::try_from(self.scenario.producer.in_flight()).unwrap_or(usize::MAX);
        &rig.generator_cpus[..rig.generator_cpus.len().min(most)]
    }

    /// Records of one lane that its ledger has room for.
    fn watched(&self, lane: Lane) -> u64 {
        let until_ns = self.measured.until_ns;
        let count = match self.pace() {
            Pace::Open { schedule, .. } => schedule.records_before(lane, until_ns),
            Pace::Closed { .. } => {
                CLOSED_RECORDS_PER_S * until_ns.div_ceil(1_000_000_000) / u64::from(lane.producers)
            }
        };
        count.min(WATCHED_MAX)
    }
}

/// What a load leaves.
pub(super) struct Loaded {
    pub stream: Stream,
    pub expectation: Expectation,
    /// By producer.
    pub ledgers: Vec<Ledger>,
    pub load: Load,
    pub ended: Ended,
    pub generator: GeneratorOutcome,
    pub before: Vec<CoreStats>,
    pub after: Vec<CoreStats>,
    /// From the counters `before` to those `after`: less than planned where it ended early.
    pub counted: Duration,
    /// What the measured time took; `None` where nobody watched.
    pub usage: Option<Usage>,
    /// When the measured time began.
    pub started_unix_ms: u64,
}

/// Loads a new stream as planned. On a core that only waits.
pub(super) async fn load(
    rig: &Rig,
    plan: &LoadPlan,
    stage: &'static str,
    live: &mut Live,
) -> Result<Loaded, Failure> {
    live.begin(stage);
    let run = random::seed();
    let name = StreamName::new(&format!("loadgen-{run:016x}")).expect("a stream's name");
    let shards = plan.scenario.stream.shards;
    let made = rig.client.create_stream(&name, shards, StreamOptions::default()).await;
    let stream = made.map_err(Failure::could_not)?;
    let bytes = plan.scenario.producer.size.sizes().bytes_max();
    let payloads = Arc::new(Payloads::new(plan.scenario.seed, run, bytes));
    let mut crew = Crew::start(rig, plan, &stream, &payloads).await?;
    let start = clock::now() + HEAD_START;
    let until_measured = HEAD_START + Duration::from_nanos(plan.measured.from_ns);
    let started_unix_ms =
        clock::wall_ms() + u64::try_from(until_measured.as_millis()).expect("a plan is no age");
    crew.go.drain(..).for_each(|go| go.send(start));
    let at = |ns: u64| start + Duration::from_nanos(ns);
    crew.watch_until(at(plan.measured.from_ns), start, plan.measured, live).await;
    let meters = plan.metered.then(|| Meters::start(surroundings::watched(&rig.data)));
    let (before_at, before) = counters(rig).await?;
    crew.watch_until(at(plan.measured.until_ns), start, plan.measured, live).await;
    let (after_at, after) = counters(rig).await?;
    let usage = meters.map(Meters::stop);
    let cpus = plan.generator_cpus(rig).to_vec();
    let left = crew.join().await;
    let expectation = Expectation {
        payloads,
        keys: Keys::new(plan.scenario.producer.keys.distribution(), plan.scenario.seed),
        shards: stream.shards().clone(),
        data_bytes: usize::try_from(bytes).expect("32 bits fit"),
    };
    let merged = merge(plan, left, &stream, &expectation.keys, cpus);
    let Merged { load, ledgers, ended, generator } = merged;
    live.end(&sentence(&load));
    Ok(Loaded {
        stream,
        expectation,
        ledgers,
        load,
        ended,
        generator,
        before,
        after,
        counted: after_at - before_at,
        usage,
        started_unix_ms,
    })
}

/// The engine's counters, and the middle of the time in which it was asked for them.
async fn counters(rig: &Rig) -> Result<(Instant, Vec<CoreStats>), Failure> {
    let asked = clock::now();
    let counters = rig.client.stats().await.map_err(Failure::could_not)?;
    Ok((asked + (clock::now() - asked) / 2, counters))
}

/// All workers together.
struct Merged {
    load: Load,
    ledgers: Vec<Ledger>,
    ended: Ended,
    generator: GeneratorOutcome,
}

fn merge(
    plan: &LoadPlan,
    left: Vec<Left>,
    stream: &Stream,
    keys: &Keys,
    cpus: Vec<usize>,
) -> Merged {
    let (worked, consumed): (Vec<Worked>, Vec<Option<Consumed>>) =
        left.into_iter().map(|left| (left.worked, left.consumed)).unzip();
    let ended = ended_of(&worked);
    let until_ns = match ended {
        Ended::Interrupted { at_ns } => at_ns.min(plan.measured.until_ns),
        _ => plan.measured.until_ns,
    };
    let measured_ns = until_ns.saturating_sub(plan.measured.from_ns);
    let (mut generator, in_flight_max) = generator_of(&worked);
    generator.cpus = cpus;
    let accounts: Vec<_> = worked.into_iter().map(|one| one.account).collect();
    let all_writers_seen = accounts.len() == 1;
    let mut accounts = accounts.into_iter();
    let mut sum = accounts.next().expect("there is a generator core");
    let mut distributions = sum.distributions();
    let mut limits = sum.checker.as_ref().map(|checker| checker.verdicts().to_vec());
    let mut ledgers = vec![sum.take_ledger()];
    for mut other in accounts {
        for (ours, theirs) in distributions.iter_mut().zip(other.distributions()) {
            ours.merge(&theirs);
        }
        sum.counters.merge(&other.counters);
        sum.series.merge(&other.series);
        sum.shards.merge(&other.shards);
        if let (Some(ours), Some(theirs)) = (&mut limits, &other.checker) {
            ours.iter_mut().zip(theirs.verdicts()).for_each(|(one, two)| one.merge(*two));
        }
        ledgers.push(other.take_ledger());
        let error = other.first_error.take();
        sum.first_error = sum.first_error.take().or(error);
    }
    let consumers = consumers(plan, consumed.into_iter().flatten(), &mut distributions);
    let open_loop = matches!(plan.pace(), Pace::Open { .. });
    let shards = Shards {
        limits,
        all_writers_seen,
        counted_ns: until_ns,
        top_keys: keys.top(TOP_KEYS),
        ..shards(stream, sum.shards)
    };
    sum.series.cut(measured_ns);
    let series = if open_loop { sum.series.mean_responses_ns() } else { sum.series.acked() };
    let whole = usize::try_from(measured_ns / SLICE_NS).expect("few slices");
    let mut steady = steady::judge(&series[..whole.min(series.len())], SLICE_NS as f64 / 1e9);
    if ended == Ended::Overloaded {
        steady.state = State::Overloaded;
    }
    let load = Load {
        open_loop,
        measured_ns,
        counters: sum.counters,
        distributions,
        series: sum.series,
        steady,
        in_flight_max,
        shards,
        consumers,
        first_error: sum.first_error,
    };
    Merged { load, ledgers, ended, generator }
}

/// All consumers together; their latencies join the others. `None` where there are none.
fn consumers(
    plan: &LoadPlan,
    consumed: impl Iterator<Item = Consumed>,
    distributions: &mut [Distribution; Kind::ALL.len()],
) -> Option<ConsumersOutcome> {
    let all = consumed.reduce(Consumed::and)?;
    let busy_ns = all.busy.as_nanos() as f64;
    let outcome = ConsumersOutcome {
        count: plan.scenario.consumer.groups,
        verdict: all.verdict(),
        received_records: all.received,
        missing_records: all.missing,
        corrupt_records: all.corrupt,
        out_of_order_chunks: all.out_of_order,
        chunks: all.chunks,
        cpu_ns_per_record: (all.received > 0).then(|| busy_ns / all.received as f64),
        drained: all.drained,
        named: all.named,
    };
    let calls = distributions[Kind::Response as usize].calls();
    let end_to_end = &mut distributions[Kind::EndToEnd as usize];
    *end_to_end = all.end_to_end;
    // A call's records arrive in as many pieces as the engine makes of them: they are one event.
    end_to_end.limit_calls(calls);
    Some(outcome)
}

/// How the plan ended for all workers together: the least planned of their ends.
fn ended_of(worked: &[Worked]) -> Ended {
    worked.iter().fold(Ended::Planned, |sum, one| match (sum, one.ended) {
        (Ended::Interrupted { at_ns: one }, Ended::Interrupted { at_ns: two }) => {
            Ended::Interrupted { at_ns: one.max(two) }
        }
        (Ended::Interrupted { .. }, _) | (_, Ended::Planned) => sum,
        (_, other) => other,
    })
}

/// What the generator's cores did in the measured time, the busiest of them, and how many calls were
/// in flight at most.
fn generator_of(worked: &[Worked]) -> (GeneratorOutcome, usize) {
    let mut generator = GeneratorOutcome {
        cpus: Vec::new(),
        load_pct: 0.0,
        self_stall_max: Duration::ZERO,
        self_stall_pct: 0.0,
        arenas_replaced: 0,
    };
    let mut in_flight_max = 0;
    for one in worked {
        in_flight_max += one.in_flight_max;
        generator.load_pct = generator.load_pct.max(one.load_pct());
        generator.self_stall_max = generator.self_stall_max.max(one.stalls.longest);
        generator.self_stall_pct = generator.self_stall_pct.max(one.stalls.share_pct());
        generator.arenas_replaced += one.arenas_replaced;
    }
    (generator, in_flight_max)
}

fn shards(stream: &Stream, stats: ShardStats) -> Shards {
    let map = stream.shards();
    let ranges = map.open().iter().map(|index| {
        let range = map.get(*index).expect("an open shard is in its map").range;
        (range.start().0, range.end().0)
    });
    let accepted: Vec<u64> = stats.counters().iter().map(|shard| shard.accepted_records).collect();
    Shards {
        hash_ranges: ranges.collect(),
        skew: skew(&accepted),
        stats,
        counted_ns: 0,
        limits: None,
        all_writers_seen: true,
        top_keys: Vec::new(),
    }
}

fn sentence(load: &Load) -> String {
    let seconds = load.measured_ns as f64 / 1e9;
    let per_second = |count: u64| crate::amount::show_short(count as f64 / seconds.max(1e-9));
    let counters = &load.counters;
    let p99 = load.latency(Kind::Response).quantile(0.99).ns();
    let p99 = p99.map_or("n/a".to_owned(), |ns| format!("{:.2} ms", ns as f64 / 1e6));
    format!(
        "{seconds:.1} s  offered {}/s  acked {}/s  p99 {p99}",
        per_second(counters.offered_records),
        per_second(counters.acked_records),
    )
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("no run lasts 584 years")
}
