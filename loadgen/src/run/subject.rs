//! The engine under test, in this process: start, prepare, stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gyre::embed::{
    Client, Durability as EngineDurability, Engine, EngineConfig, Limits, StartReport,
};
use model::limits::{Rate, SHARD_WRITE_RECORDS_PER_SECOND, ShardRates};
use runtime::{clock, signal};

use super::live::Live;
use super::places::Places;
use super::surroundings::FREE_BYTES_MIN;
use super::{Failure, RunOptions};
use crate::amount::{Span, show_bytes};
use crate::cli::Plant;
use crate::exit_code::ExitCode;
use crate::scenario::{self, Durability, LimitsSetting, Scenario};

/// What the log puts around a record's key and data: its header, its share of the frame's, and, where
/// calls spread over many shards, an entry of the frame's directory. A little more than it is.
const LOG_BYTES_PER_RECORD: u64 = 40;
/// What a closed loop may reach, for what is prepared ahead of it.
const CLOSED_RECORDS_PER_S: u64 = 6_000_000;
const CLOSED_BYTES_PER_S: u64 = 3_000_000_000;
/// What a search finds ready: its steps are short, and recycle each other's segments.
const SEARCH_BYTES: u64 = 1 << 30;
/// After so many bytes of zeros the disk gets a pause, to write what its cache has taken.
const SETTLED_BYTES: u64 = 256 << 20;
const SETTLE: Duration = Duration::from_secs(2);
/// Between two portions somebody may ask to stop: a slow disk needs a second for one.
const PREPARED_AT_ONCE_BYTES: u64 = 256 << 20;
/// The part of the free space that is prepared at most, and that the default run takes.
const FREE_SHARE: u64 = 4;
/// Below this a measurement says nothing.
const MEASURE_MIN: Duration = Duration::from_secs(1);

pub(super) struct Subject {
    engine: Engine,
}

/// What the load needs of the engine and of the machine. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rig {
    pub client: Client,
    pub generator_cpus: Vec<usize>,
    /// The data folder.
    pub data: PathBuf,
}

impl Subject {
    /// How an engine would be started.
    pub(super) fn config(
        scenario: &Scenario,
        options: &RunOptions,
        places: &Places,
        data: &Path,
    ) -> EngineConfig {
        let mut config = EngineConfig::new(data.to_owned());
        config.cores = places.engine_cores;
        config.cpus.clone_from(&places.engine_cpus);
        config.memory_bytes = usize::try_from(scenario.target.memory.0).unwrap_or(usize::MAX);
        config.limits = limits(scenario, options);
        config.durability = match scenario.stream.durability {
            Durability::Durable => EngineDurability::Durable,
            Durability::Written => EngineDurability::Written,
        };
        // The streams of a search beside the one that is measured.
        config.shards_max = config.shards_max.max(2 * scenario.stream.shards);
        config
    }

    pub(super) fn start(config: EngineConfig) -> Result<Subject, Failure> {
        let engine = Engine::start(config).map_err(Failure::could_not)?;
        Ok(Subject { engine })
    }

    pub(super) fn report(&self) -> &StartReport {
        self.engine.report()
    }

    pub(super) fn rig(&self, places: &Places, data: &Path) -> Rig {
        let generator_cpus = places.generator_cpus.clone();
        Rig { client: self.engine.client(), generator_cpus, data: data.to_owned() }
    }

    pub(super) fn shutdown(self) -> Result<(), Failure> {
        self.engine.shutdown().map_err(Failure::could_not)
    }
}

fn limits(scenario: &Scenario, options: &RunOptions) -> Limits {
    let planted = options.plant.iter().find_map(|plant| match plant {
        Plant::Bucket { per_second, burst } => {
            Some(Rate { per_second: *per_second, burst: *burst })
        }
        Plant::SlowGenerator(_) => None,
    });
    match (scenario.stream.limits, planted) {
        (_, Some(records)) => Limits::Buckets(ShardRates { records, ..ShardRates::AWS }),
        (LimitsSetting::Aws, None) => Limits::Aws,
        (LimitsSetting::Off, None) => Limits::Off,
    }
}

/// What was made ready before the load.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PreparedBytes {
    pub bytes: u64,
    pub took: Duration,
}

/// Makes the segments ready that a search needs.
pub(super) async fn prepare_search(
    rig: &Rig,
    prepared: &mut PreparedBytes,
    live: &mut Live,
) -> Result<(), Failure> {
    prepare_bytes(rig, SEARCH_BYTES, prepared, live).await
}

/// Makes the segments ready that the load will need, on a disk that writes so much.
pub(super) async fn prepare(
    rig: &Rig,
    scenario: &Scenario,
    disk_mb_s: Option<f64>,
    prepared: &mut PreparedBytes,
    live: &mut Live,
) -> Result<(), Failure> {
    prepare_bytes(rig, needed_bytes(scenario, disk_mb_s), prepared, live).await
}

/// Adds segments until `bytes` are ready, as far as a quarter of the free space goes.
async fn prepare_bytes(
    rig: &Rig,
    bytes: u64,
    before: &mut PreparedBytes,
    live: &mut Live,
) -> Result<(), Failure> {
    let bytes = bytes.min(free_bytes(&rig.data)? / FREE_SHARE);
    live.begin("prepare");
    let began = clock::now();
    let ready_before = make_ready(rig, 0).await?;
    let mut prepared = PreparedBytes { bytes: ready_before, ..PreparedBytes::default() };
    while prepared.bytes < bytes {
        let wanted = bytes.min(prepared.bytes + PREPARED_AT_ONCE_BYTES);
        prepared.bytes = make_ready(rig, wanted).await?;
        if signal::is_interrupted() {
            let sentence = "interrupted while segments were made ready".to_owned();
            return Err(Failure { code: ExitCode::Interrupted, sentence });
        }
        if prepared.bytes < wanted {
            // The disk is full; the load will show what fits.
            break;
        }
    }
    prepared.took = clock::now() - began;
    let gigabytes = prepared.bytes as f64 / 1e9;
    live.end(&format!("{gigabytes:.2} GB of segments in {:.1} s", prepared.took.as_secs_f64()));
    if prepared.bytes - ready_before > SETTLED_BYTES {
        clock::sleep(SETTLE).await;
    }
    before.bytes = before.bytes.max(prepared.bytes);
    before.took += prepared.took;
    Ok(())
}

/// Has segments for `bytes` made ready; returns the bytes of all that are.
async fn make_ready(rig: &Rig, bytes: u64) -> Result<u64, Failure> {
    let logs = rig.client.prepare(bytes).await.map_err(Failure::could_not)?;
    Ok(logs.iter().map(|log| log.bytes).sum())
}

/// Bytes that the log will take, as far as that is known before.
fn needed_bytes(scenario: &Scenario, disk_mb_s: Option<f64>) -> u64 {
    let record =
        scenario.record_bytes().0 + crate::keys::KEY_BYTES_MAX as u64 + LOG_BYTES_PER_RECORD;
    let limited = match scenario.stream.limits {
        LimitsSetting::Aws => {
            let records = u64::from(SHARD_WRITE_RECORDS_PER_SECOND);
            u64::from(scenario.stream.shards) * records * record
        }
        LimitsSetting::Off => u64::MAX,
    };
    let per_second = match scenario.producer.rate {
        scenario::Rate::PerSecond(rate) => rate * record,
        scenario::Rate::Max => {
            let disk = disk_mb_s.map_or(CLOSED_BYTES_PER_S, |mb_s| (mb_s * 1.25e6) as u64);
            (CLOSED_RECORDS_PER_S * record).min(disk)
        }
    };
    let span = (scenario.run.warmup.0 + scenario.run.measure.0).as_secs_f64();
    (per_second.min(limited) as f64 * span) as u64
}

/// Whether there is room for the default run at all.
pub(super) fn check_room(folder: &Path) -> Result<(), Failure> {
    let free = free_bytes(folder)?;
    if free >= FREE_BYTES_MIN {
        return Ok(());
    }
    Err(Failure::could_not(format!(
        "{} are free below {}, {} are needed; `loadgen run` can do with less",
        show_bytes(free),
        folder.display(),
        show_bytes(FREE_BYTES_MIN),
    )))
}

/// The scenario, measured for less time where it would take more than its part of the free space and of
/// what is prepared already.
pub(super) fn fitted(
    rig: &Rig,
    scenario: &Scenario,
    prepared: &PreparedBytes,
    live: &mut Live,
) -> Result<Scenario, Failure> {
    let room_bytes = (free_bytes(&rig.data)? + prepared.bytes) / FREE_SHARE;
    let fitted = shortened(scenario, room_bytes);
    let (planned, measured) = (scenario.run.measure, fitted.run.measure);
    if measured != planned {
        let room = show_bytes(room_bytes);
        live.note(&format!(
            "measured for {measured}, not {planned}: it may take {room} of the disk"
        ));
    }
    Ok(fitted)
}

fn shortened(scenario: &Scenario, room_bytes: u64) -> Scenario {
    let mut scenario = scenario.clone();
    let needed = needed_bytes(&scenario, None);
    if needed > room_bytes {
        let span = scenario.run.warmup.0 + scenario.run.measure.0;
        let span = span.mul_f64(room_bytes as f64 / needed as f64);
        let measure = span.saturating_sub(scenario.run.warmup.0).max(MEASURE_MIN);
        // Whole slices of the series.
        scenario.run.measure = Span(Duration::from_millis(measure.as_millis() as u64 / 100 * 100));
    }
    scenario
}

fn free_bytes(folder: &Path) -> Result<u64, Failure> {
    let cannot = |errno: rustix::io::Errno| {
        let folder = folder.display();
        Failure::could_not(format!("cannot read the free space of {folder}: {errno}"))
    };
    let found = rustix::fs::statvfs(folder).map_err(cannot)?;
    Ok(found.f_bavail * found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_load_needs_is_bounded_by_its_limits() {
        let mut scenario = Scenario::run_default();
        scenario.run.warmup.0 = Duration::ZERO;
        scenario.run.measure.0 = Duration::from_secs(10);
        scenario.stream.shards = 10;
        assert_eq!(needed_bytes(&scenario, None), 10 * 1_000 * 10 * 162);
        scenario.producer.rate = scenario::Rate::PerSecond(100);
        assert_eq!(needed_bytes(&scenario, None), 100 * 10 * 162);
        scenario.producer.rate = scenario::Rate::Max;
        scenario.stream.limits = LimitsSetting::Off;
        assert_eq!(needed_bytes(&scenario, None), 6_000_000 * 10 * 162);
        assert_eq!(needed_bytes(&scenario, Some(400.0)), 500_000_000 * 10);
    }

    #[test]
    fn what_does_not_fit_is_measured_for_less_time() {
        let mut scenario = Scenario::run_default();
        scenario.stream.limits = LimitsSetting::Off;
        scenario.producer.rate = scenario::Rate::PerSecond(1_000_000);
        // Two seconds of warm-up and ten that are measured.
        let all_bytes = 162_000_000 * 12;
        let measured = |room_bytes| shortened(&scenario, room_bytes).run.measure.0;
        assert_eq!(measured(all_bytes), Duration::from_secs(10));
        assert_eq!(measured(all_bytes / 2), Duration::from_secs(4));
        assert_eq!(measured(0), MEASURE_MIN);
    }

    #[test]
    fn a_planted_bucket_is_the_engines_alone() {
        let scenario = Scenario::run_default();
        let plant = vec!["bucket=1200,1000".parse().unwrap()];
        let options = RunOptions { plant, ..RunOptions::default() };
        let Limits::Buckets(rates) = limits(&scenario, &options) else { panic!("planted") };
        assert_eq!(rates.records, Rate { per_second: 1_200, burst: 1_000 });
        assert_eq!(rates.bytes, ShardRates::AWS.bytes);
        assert_eq!(limits(&scenario, &RunOptions::default()), Limits::Aws);
    }
}
