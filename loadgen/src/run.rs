//! One run, from a scenario to what is left of it.
//!
//! ```text
//!   places ─► folder ─► surroundings ─► subject ─► (search) ─► load ─► reading ─► surroundings ─► judge
//!   CPUs      data      calm? probes    engine      rate     consumers  read back    probes
//! ```
//! The calling thread becomes a core that only waits and shows how things stand; the load runs on
//! generator cores of its own, consumers beside it, the engine on its own.

use std::path::PathBuf;
use std::time::Duration;

use gyre::embed::{FOLLOWERS_MAX, FlushMethod};
use runtime::cores::{self, CoreConfig};
use runtime::signal;

use crate::cli::Plant;
use crate::environment::meters::Usage;
use crate::exit_code::ExitCode;
use crate::outcome::{EngineOutcome, Outcome};
use crate::report::Environment;
use crate::scenario::{Rate, Scenario};
use crate::worker::Ended;

pub use self::folder::{Folder, home};
pub use self::live::{Live, LiveMode};
use self::load::Loaded;
use self::places::Places;
use self::subject::{PreparedBytes, Subject};
use self::surroundings::Surroundings;

mod folder;
pub mod judge;
mod live;
mod load;
mod places;
mod reading;
mod search;
mod subject;
mod surroundings;

/// What decides a run beside its scenario.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The default run: the scenario's rate is the most that the search may try.
    pub search: bool,
    /// Defects on purpose.
    pub plant: Vec<Plant>,
    /// The data folder; a fresh one where it is not said.
    pub data: Option<PathBuf>,
    /// Leave it.
    pub keep_data: bool,
    /// Use a folder that is not empty.
    pub force: bool,
    /// Wait for a calm machine, and probe it before and after.
    pub probes: bool,
    /// Where and how progress is shown.
    pub live: LiveMode,
}

impl RunOptions {
    fn slow(&self) -> Option<Duration> {
        self.plant.iter().find_map(|plant| match plant {
            Plant::SlowGenerator(span) => Some(*span),
            Plant::Bucket { .. } => None,
        })
    }
}

/// Why there is nothing to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub code: ExitCode,
    /// Why, and what to do about it.
    pub sentence: String,
}

impl Failure {
    /// The kernel, the disk or the engine refused.
    #[must_use]
    pub fn could_not(sentence: impl ToString) -> Failure {
        Failure { code: ExitCode::CouldNotRun, sentence: sentence.to_string() }
    }

    /// What was typed makes no sense.
    #[must_use]
    pub fn usage(sentence: String) -> Failure {
        Failure { code: ExitCode::Usage, sentence }
    }
}

/// What the core that waits comes back with.
struct Finished {
    scenario: Scenario,
    search: Option<crate::outcome::Search>,
    loaded: Loaded,
    verify: crate::outcome::Verification,
    prepared: PreparedBytes,
    last: Vec<gyre::embed::CoreStats>,
}

/// A run and the machine around it.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What was measured.
    pub outcome: Outcome,
    /// Where.
    pub environment: Environment,
    /// How the engine made writes durable.
    pub flush: FlushMethod,
}

/// Carries out a run. Blocks; not to be called on a core.
///
/// # Errors
/// Where nothing was measured; the sentence says why.
pub fn run(scenario: &Scenario, options: &RunOptions) -> Result<Ran, Failure> {
    signal::watch().map_err(Failure::could_not)?;
    let mut live = Live::new(options.live);
    let places = Places::choose(scenario)?;
    places.warnings().iter().for_each(|warning| live.note(warning));
    check_followers(scenario, &places)?;
    let folder = Folder::open(options)?;
    if folder.removed() > 0 {
        live.note(&format!("removed {} folder(s) of runs that were killed", folder.removed()));
    }
    let config = Subject::config(scenario, options, &places, folder.path());
    let flush = config.flush;
    let surroundings = Surroundings::look(scenario, options, &places, &folder, flush, &mut live)?;
    let subject = Subject::start(config)?;
    let report = subject.report().clone();
    let (stages, finished) = {
        let rig = subject.rig(&places, folder.path());
        let (scenario, options) = (scenario.clone(), options.clone());
        let disk_mb_s = surroundings.disk_mb_s();
        let stages = Stages { scenario, options, rig, disk_mb_s, live };
        on_waiting_core(stages)?
    };
    live = stages.live;
    let shutdown = subject.shutdown();
    let finished = match finished {
        Ok(finished) => finished,
        Err(failure) => {
            // Why there is nothing to report matters more than a folder that could not be removed.
            drop(folder.close(options.keep_data));
            return Err(failure);
        }
    };
    let Finished { scenario, search, loaded, verify, prepared, last } = finished;
    let around = surroundings::Run {
        scenario: &scenario,
        places: &places,
        load: &loaded.load,
        generator: &loaded.generator,
        before: &loaded.before,
        after: &loaded.after,
        counted: loaded.counted,
        usage: loaded.usage.as_ref(),
    };
    let environment = surroundings.environment(&around, &mut live);
    let data = folder.path().to_owned();
    let closed = folder.close(options.keep_data);
    let data_kept = *closed.as_ref().unwrap_or(&true);
    // What was measured is reported, whatever the cleaning up came to.
    let failures = [shutdown.err(), closed.err()].into_iter().flatten();
    let machine = judge::Machine {
        failures: failures.map(|failure| failure.sentence).collect(),
        ..machine(&environment, &places, loaded.usage.as_ref())
    };
    let engine = EngineOutcome {
        report,
        cpus: places.engine_cpus.clone(),
        data,
        data_kept,
        before: loaded.before.clone(),
        after: loaded.after.clone(),
        last,
        prepared_bytes: prepared.bytes,
        prepared_took: prepared.took,
    };
    let planted = options.plant.iter().map(ToString::to_string).collect();
    let outcome = judge::outcome(scenario, search, loaded, verify, engine, planted, &machine)?;
    Ok(Ran { outcome, environment, flush })
}

/// What the machine says about a run.
fn machine(environment: &Environment, places: &Places, usage: Option<&Usage>) -> judge::Machine {
    judge::Machine {
        complaints: surroundings::complaints(environment),
        notes: surroundings::notes(environment, places),
        engine_core_pct: usage.and_then(Usage::busiest_engine_core_pct),
        generator_core_pct: usage.and_then(Usage::busiest_generator_core_pct),
        disk_write_ratio: environment.roofline.disk_write_ratio,
        interrupted: signal::is_interrupted(),
        failures: Vec::new(),
    }
}

/// Whether the engine will feed as many as there are to be.
fn check_followers(scenario: &Scenario, places: &Places) -> Result<(), Failure> {
    let (consumers, shards) = (scenario.consumer.groups as usize, scenario.stream.shards as usize);
    let most = FOLLOWERS_MAX * places.engine_cores;
    if consumers * shards <= most {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{consumers} consumers of {shards} shards are {} followers; {} engine core(s) feed {most} at most",
        consumers * shards,
        places.engine_cores,
    )))
}

/// Makes the calling thread a core that waits for the stages. Gives them back, for their live view.
fn on_waiting_core(stages: Stages) -> Result<(Stages, Result<Finished, Failure>), Failure> {
    let waiting = CoreConfig { name: "loadgen".to_owned(), cpu: None, io_memory_bytes: 64 << 10 };
    let main = move || async move {
        let mut stages = stages;
        let finished = stages.run().await;
        (stages, finished)
    };
    cores::block_on(waiting, main).map_err(Failure::could_not)
}

/// What the waiting core does.
struct Stages {
    scenario: Scenario,
    options: RunOptions,
    rig: subject::Rig,
    /// What the probe wrote flushed; `None` without probes.
    disk_mb_s: Option<f64>,
    live: Live,
}

fn at_rate(scenario: &Scenario, rate: u64) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.producer.rate = Rate::PerSecond(rate);
    scenario
}

impl Stages {
    async fn run(&mut self) -> Result<Finished, Failure> {
        let mut prepared = PreparedBytes::default();
        let scenario = self.scenario.clone();
        if !self.options.search {
            let loaded = self.measure(&scenario, &mut prepared).await?;
            return self.finish(scenario, None, loaded, prepared).await;
        }
        subject::prepare_search(&self.rig, &mut prepared, &mut self.live).await?;
        let found = search::search(&self.rig, &scenario, &self.options, &mut self.live).await?;
        if let Some((rate, loaded)) = found.interrupted {
            // The step that was under way is what there is to report.
            let scenario = at_rate(&scenario, rate);
            return self.finish(scenario, Some(found.search), loaded, prepared).await;
        }
        self.confirm(scenario, found.search, prepared).await
    }

    /// Measures below the highest rate that held: the first part of it that holds for the whole time,
    /// or the last.
    async fn confirm(
        &mut self,
        scenario: Scenario,
        mut search: crate::outcome::Search,
        mut prepared: PreparedBytes,
    ) -> Result<Finished, Failure> {
        let mut rates = search::measured(&search)?.into_iter().peekable();
        loop {
            let rate = rates.next().expect("the last one is taken as it is");
            let scenario = at_rate(&scenario, rate);
            let scenario = subject::fitted(&self.rig, &scenario, &prepared, &mut self.live)?;
            let loaded = self.measure(&scenario, &mut prepared).await?;
            let step = search::step(rate, &scenario, &loaded);
            let is_interrupted = matches!(loaded.ended, Ended::Interrupted { .. });
            if step.held || is_interrupted || rates.peek().is_none() {
                return self.finish(scenario, Some(search), loaded, prepared).await;
            }
            self.live.note(&search::words(&step));
            search.steps.push(step);
            let name = loaded.stream.name();
            self.rig.client.delete_stream(name).await.map_err(Failure::could_not)?;
        }
    }

    async fn measure(
        &mut self,
        scenario: &Scenario,
        prepared: &mut PreparedBytes,
    ) -> Result<Loaded, Failure> {
        let disk_mb_s = self.disk_mb_s;
        subject::prepare(&self.rig, scenario, disk_mb_s, prepared, &mut self.live).await?;
        let plan = load::LoadPlan::new(scenario, &self.options, true);
        load::load(&self.rig, &plan, "measure", &mut self.live).await
    }

    async fn finish(
        &mut self,
        scenario: Scenario,
        search: Option<crate::outcome::Search>,
        mut loaded: Loaded,
        prepared: PreparedBytes,
    ) -> Result<Finished, Failure> {
        let verify = reading::read_back(&self.rig, &mut loaded, &mut self.live).await?;
        let last = self.rig.client.stats().await.map_err(Failure::could_not)?;
        Ok(Finished { scenario, search, loaded, verify, prepared, last })
    }
}
