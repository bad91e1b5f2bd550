//! One run, from a scenario to what is left of it.
//!
//! ```text
//!   place cores ─► data folder ─► engine ─► prepare segments ─► (search) ─► load ─► read back ─► judge
//!     places        folder        subject                       search     load     reading    judge
//! ```
//! The calling thread becomes a core that only waits and shows how things stand; the load runs on
//! generator cores of its own, the engine on its own.

use std::path::PathBuf;
use std::time::Duration;

use runtime::cores::{self, CoreConfig};
use runtime::signal;

use crate::cli::Plant;
use crate::exit_code::ExitCode;
use crate::outcome::{EngineOutcome, Outcome};
use crate::scenario::Scenario;

pub use self::live::{Live, LiveMode};
use self::load::Loaded;
use self::places::Places;
use self::subject::Subject;

mod folder;
pub mod judge;
mod live;
mod load;
mod places;
mod reading;
mod search;
mod subject;

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
    fn could_not(sentence: impl ToString) -> Failure {
        Failure { code: ExitCode::CouldNotRun, sentence: sentence.to_string() }
    }

    fn usage(sentence: String) -> Failure {
        Failure { code: ExitCode::Usage, sentence }
    }
}

/// What the core that waits comes back with.
struct Finished {
    scenario: Scenario,
    search: Option<crate::outcome::Search>,
    loaded: Loaded,
    verify: crate::outcome::Verification,
    prepared: subject::PreparedBytes,
    last: Vec<gyre::embed::CoreStats>,
}

/// Carries out a run. Blocks; not to be called on a core.
///
/// # Errors
/// Where nothing was measured; the sentence says why.
pub fn run(scenario: &Scenario, options: &RunOptions) -> Result<Outcome, Failure> {
    signal::watch().map_err(Failure::could_not)?;
    let mut live = Live::new(options.live);
    let places = Places::choose(scenario)?;
    places.warnings.iter().for_each(|warning| live.note(warning));
    let folder = folder::Folder::open(options)?;
    let subject = Subject::start(scenario, options, &places, folder.path())?;
    let report = subject.report().clone();
    let finished = {
        let (scenario, options, places) = (scenario.clone(), options.clone(), places.clone());
        let (rig, data) = (subject.rig(&places), folder.path().to_owned());
        let waiting = CoreConfig {
            name: "loadgen".to_owned(),
            cpu: None,
            io_memory_bytes: 64 << 10,
            spin: Duration::ZERO,
        };
        let main = move || async move {
            let stages = Stages { scenario, options, rig, data, live };
            stages.run().await
        };
        cores::block_on(waiting, main).map_err(Failure::could_not)?
    };
    let shutdown = subject.shutdown();
    let data = folder.path().to_owned();
    let data_kept = folder.close(options.keep_data)?;
    let finished = finished?;
    shutdown?;
    let Finished { scenario, search, loaded, verify, prepared, last } = finished;
    let engine = EngineOutcome {
        report,
        cpus: places.engine_cpus.clone(),
        data,
        data_kept,
        before: loaded.before.clone(),
        after: loaded.after.clone(),
        last,
        cpu: loaded.engine_cpu,
        prepared_bytes: prepared.bytes,
        prepared_took: prepared.took,
    };
    judge::outcome(scenario, search, loaded, verify, engine)
}

/// What the waiting core does.
struct Stages {
    scenario: Scenario,
    options: RunOptions,
    rig: subject::Rig,
    data: PathBuf,
    live: Live,
}

impl Stages {
    async fn run(mut self) -> Result<Finished, Failure> {
        let prepared =
            subject::prepare(&self.rig, &self.scenario, &self.data, &mut self.live).await?;
        let mut scenario = self.scenario.clone();
        let mut search = None;
        if self.options.search {
            let found = search::search(&self.rig, &scenario, &self.options, &mut self.live).await?;
            search::settle(&mut scenario, &found)?;
            search = Some(found);
        }
        let plan = load::LoadPlan::new(&scenario, &self.options);
        let mut loaded = load::load(&self.rig, &plan, "measure", &mut self.live).await?;
        let verify = reading::read_back(&self.rig, &mut loaded, &mut self.live).await?;
        let last = self.rig.client.stats().await.map_err(Failure::could_not)?;
        Ok(Finished { scenario, search, loaded, verify, prepared, last })
    }
}
