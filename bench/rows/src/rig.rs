//! The engine under test, in this process, and the core that drives it.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use gyre::embed::{Client, Engine, EngineConfig, Limits, StartReport, Stream, StreamOptions};
use loadgen::run::Failure;
use model::StreamName;
use runtime::clock;
use runtime::cores::{self, CoreConfig};

use crate::cli::Shared;
use crate::device::{Meter, Moved};
use crate::place::Cpus;
use crate::{check_interrupted, progress};

/// The background has nothing to do when it has moved no byte for so long.
const CALM: Duration = Duration::from_millis(1_500);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long it may take.
const CALM_WITHIN: Duration = Duration::from_secs(120);
/// A year, ms.
pub(crate) const YEAR_MS: u64 = 365 * 24 * 3_600_000;

/// See the module.
pub(crate) struct Rig {
    engine: Engine,
    cpus: Cpus,
}

impl Rig {
    /// How an engine is started here: one core, one log, no limits, durable.
    pub(crate) fn config(shared: &Shared, cpus: Cpus, data: &Path, shards: u32) -> EngineConfig {
        let mut config = EngineConfig::new(data.to_owned());
        config.limits = Limits::Off;
        config.cpus = cpus.engine.into_iter().collect();
        config.memory_bytes = usize::try_from(shared.memory).unwrap_or(usize::MAX);
        config.segment_bytes = shared.segment;
        config.shards_max = config.shards_max.max(shards);
        config
    }

    /// Starts one.
    ///
    /// # Errors
    /// The engine's sentence.
    pub(crate) fn start(config: EngineConfig, cpus: Cpus) -> Result<Rig, Failure> {
        let engine = Engine::start(config).map_err(Failure::could_not)?;
        Ok(Rig { engine, cpus })
    }

    /// What the start found.
    pub(crate) fn report(&self) -> &StartReport {
        self.engine.report()
    }

    /// Runs a future on the caller's core and waits for it. Blocks.
    ///
    /// # Errors
    /// The future's, or there is no such core.
    pub(crate) fn drive<T, Fut>(
        &self,
        main: impl FnOnce(Client) -> Fut + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T, Failure>> + 'static,
    {
        let config = CoreConfig {
            name: "rows-caller".to_owned(),
            cpu: self.cpus.caller,
            io_memory_bytes: 64 << 10,
        };
        let client = self.engine.client();
        cores::start(config, move || main(client)).map_err(Failure::could_not)?.join()
    }

    /// Stops it.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) fn shutdown(self) -> Result<(), Failure> {
        self.engine.shutdown().map_err(Failure::could_not)
    }
}

/// Makes a stream.
///
/// # Errors
/// The engine's.
pub(crate) async fn create(
    client: &Client,
    name: &str,
    shards: u32,
    retention_ms: u64,
) -> Result<Stream, Failure> {
    let name = StreamName::new(name).expect("a stream's name");
    let options = StreamOptions { retention_ms, ..StreamOptions::default() };
    client.create_stream(&name, shards, options).await.map_err(Failure::could_not)
}

/// Waits until the background has come to rest: what is full is sealed, what was to be ordered or
/// freed is. Returns what was moved by then.
///
/// # Errors
/// It does not come to rest, or Ctrl-C.
pub(crate) async fn calm(client: &Client, meter: &Meter) -> Result<Moved, Failure> {
    progress("waiting until the background has nothing to do");
    let began = clock::now();
    let mut last = meter.read(client).await?;
    let mut changed = began;
    loop {
        check_interrupted()?;
        clock::sleep(LOOK_EVERY).await;
        let now = clock::now();
        let found = meter.read(client).await?;
        if found.engine != last.engine {
            changed = now;
        } else if now - changed >= CALM {
            return Ok(found);
        }
        if now - began >= CALM_WITHIN {
            let seconds = CALM_WITHIN.as_secs();
            return Err(Failure::could_not(format!("no rest within {seconds} s: {found:?}")));
        }
        last = found;
    }
}
