//! The engine under test, in this process: start, prepare, stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gyre::embed::{
    Client, Durability as EngineDurability, Engine, EngineConfig, Limits, StartReport,
};
use model::limits::{Rate, ShardRates};
use runtime::{clock, signal};

use super::live::Live;
use super::places::Places;
use super::{Failure, RunOptions};
use crate::cli::Plant;
use crate::exit_code::ExitCode;
use crate::scenario::{self, Durability, LimitsSetting, Scenario};

/// What the log puts around a record's key and data: its header, its share of the frame's, and, where
/// calls spread over many shards, an entry of the frame's directory. A little more than it is.
const LOG_BYTES_PER_RECORD: u64 = 40;
/// What a closed loop may reach, for what is prepared ahead of it.
const CLOSED_RECORDS_PER_S: u64 = 6_000_000;
const CLOSED_BYTES_PER_S: u64 = 3_000_000_000;
/// Between two portions somebody may ask to stop: a slow disk needs a second for one.
const PREPARED_AT_ONCE_BYTES: u64 = 256 << 20;
/// The part of the free space that is prepared at most.
const FREE_SHARE: u64 = 4;

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

/// Makes the segments ready that the load will need, as far as a quarter of the free space goes.
pub(super) async fn prepare(
    rig: &Rig,
    scenario: &Scenario,
    live: &mut Live,
) -> Result<PreparedBytes, Failure> {
    let free = free_bytes(&rig.data)?;
    let bytes = needed_bytes(scenario).min(free / FREE_SHARE);
    live.begin("prepare");
    let began = clock::now();
    let mut prepared = PreparedBytes::default();
    while prepared.bytes < bytes {
        let wanted = bytes.min(prepared.bytes + PREPARED_AT_ONCE_BYTES);
        let logs = rig.client.prepare(wanted).await.map_err(Failure::could_not)?;
        prepared.bytes = logs.iter().map(|log| log.bytes).sum();
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
    Ok(prepared)
}

/// Bytes that the log will take, as far as that is known before.
fn needed_bytes(scenario: &Scenario) -> u64 {
    let record =
        scenario.record_bytes().0 + crate::keys::KEY_BYTES_MAX as u64 + LOG_BYTES_PER_RECORD;
    let limited = match scenario.stream.limits {
        LimitsSetting::Aws => u64::from(scenario.stream.shards) * 1_000 * record,
        LimitsSetting::Off => u64::MAX,
    };
    let per_second = match scenario.producer.rate {
        scenario::Rate::PerSecond(rate) => rate * record,
        scenario::Rate::Max => (CLOSED_RECORDS_PER_S * record).min(CLOSED_BYTES_PER_S),
    };
    let span = (scenario.run.warmup.0 + scenario.run.measure.0).as_secs_f64();
    (per_second.min(limited) as f64 * span) as u64
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
        assert_eq!(needed_bytes(&scenario), 10 * 1_000 * 10 * 162);
        scenario.producer.rate = scenario::Rate::PerSecond(100);
        assert_eq!(needed_bytes(&scenario), 100 * 10 * 162);
        scenario.producer.rate = scenario::Rate::Max;
        scenario.stream.limits = LimitsSetting::Off;
        assert_eq!(needed_bytes(&scenario), 6_000_000 * 10 * 162);
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
