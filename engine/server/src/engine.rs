//! The engine as a set of threads: start, stop.
//!
//! Core 0 brings the others up and is the last to end, because it owns the catalog.

use std::convert::Infallible;
use std::sync::mpsc::{SyncSender, sync_channel};

use runtime::cores::{self, Core, CoreConfig};
use runtime::environment;
use runtime::mesh::Sender;
use runtime::task;
use storage::catalog::CatalogError;

use crate::bring_up::{CoreStart, FirstStart, Plan, Up, Wiring, bring_up, plan, run_core, wire};
use crate::client::Client;
use crate::config::EngineConfig;
use crate::error::StartError;
use crate::report::StartReport;

/// Kept for the buffers of the core that only looks at the folder, bytes.
const LOOK_IO_MEMORY_BYTES: usize = 1 << 20;
/// Kept for reads and writes of the catalog on core 0, bytes.
const CATALOG_IO_MEMORY_BYTES: usize = 4 << 20;

/// A running engine. Dropping it shuts it down as well, and swallows what that could say.
pub struct Engine {
    client: Client,
    report: StartReport,
    running: Option<Running>,
}

struct Running {
    lifelines: Vec<Sender<Infallible>>,
    cores: Vec<Core<Ended>>,
}

/// What a core's thread ends with.
type Ended = Result<(), CatalogError>;

type Started = SyncSender<Result<StartReport, StartError>>;

impl Engine {
    /// Starts an engine in its own threads, one per core, and waits until it serves: every log is
    /// recovered, every stream is open. Blocks the thread; not to be called on a core.
    ///
    /// # Errors
    /// [`StartError`]; no thread is left then.
    pub fn start(config: EngineConfig) -> Result<Engine, StartError> {
        config.check()?;
        let uring = environment::check_io_uring()?;
        let plan = look(config)?;
        let Plan { config, .. } = &plan;
        let directory = environment::check_directory(&config.data, config.allow_buffered)?;
        let config = config.clone();
        let shares = plan.shares;
        let placement = plan.placement;
        let Wiring { client, lifelines, starts, first } = wire(plan);
        let (started, report) = sync_channel(1);
        let mut first = Some((first, started));
        let mut running = Running { lifelines, cores: Vec::new() };
        for start in starts {
            let core = start.seat.core;
            let frames = placement.logs_of(core).count() * shares.frame_buffers_bytes_per_log;
            let settings = CoreConfig {
                name: format!("gyre-{core}"),
                cpu: config.cpu_of(core),
                io_memory_bytes: frames + if core == 0 { CATALOG_IO_MEMORY_BYTES } else { 0 },
            };
            let thread = match first.take() {
                Some((first, started)) => {
                    cores::start(settings, move || run_first(start, first, started))
                }
                None => cores::start(settings, move || async move {
                    run_core(start).await;
                    Ok(())
                }),
            };
            match thread {
                Ok(thread) => running.cores.push(thread),
                Err(error) => {
                    drop(running.stop());
                    return Err(StartError::Environment(error));
                }
            }
        }
        match report.recv().unwrap_or(Err(StartError::CoreEnded { core: 0 })) {
            Ok(mut report) => {
                report.uring = Some(uring);
                report.directory = Some(directory);
                Ok(Engine { client, report, running: Some(running) })
            }
            Err(error) => {
                drop(running.stop());
                Err(error)
            }
        }
    }

    /// A handle for requests, to be cloned for every core that makes some.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What the start found.
    pub fn report(&self) -> &StartReport {
        &self.report
    }

    /// Stops: takes no more requests, writes what waits, answers what was accepted, writes the
    /// marks, and joins the threads. Blocks the thread.
    ///
    /// # Errors
    /// If the catalog could not write its last mark. A log that has failed shows in the stats.
    pub fn shutdown(mut self) -> Result<(), CatalogError> {
        self.running.take().expect("an engine is shut down once").stop()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            drop(running.stop());
        }
    }
}

impl Running {
    /// Stops the cores, core 0 last, and gives what that one ended with.
    fn stop(self) -> Ended {
        let Running { mut lifelines, mut cores } = self;
        // Lifelines of cores that were never started.
        lifelines.truncate(cores.len().max(1));
        while cores.len() > 1 {
            drop(lifelines.pop());
            let core = cores.pop().expect("there is more than one");
            core.join()?;
        }
        drop(lifelines);
        cores.pop().map_or(Ok(()), Core::join)
    }
}

/// Looks at the folder from a core of its own, which ends at once.
fn look(config: EngineConfig) -> Result<Plan, StartError> {
    let settings = CoreConfig {
        name: "gyre-look".to_owned(),
        cpu: None,
        io_memory_bytes: LOOK_IO_MEMORY_BYTES,
    };
    cores::start(settings, move || plan(config))?.join()
}

/// What core 0 runs.
async fn run_first(start: CoreStart, first: FirstStart, started: Started) -> Ended {
    let own = task::spawn(run_core(start));
    match bring_up(first).await {
        Ok((up, report)) => {
            // `start` waits for this.
            drop(started.send(Ok(report)));
            own.await;
            up.close().await
        }
        Err(error) => {
            drop(started.send(Err(error)));
            own.await;
            Ok(())
        }
    }
}

/// An engine whose cores are all tasks of the calling core: for the simulation, where the whole
/// engine must be a function of one seed, and for tests.
pub struct LocalEngine {
    client: Client,
    report: StartReport,
    lifelines: Vec<Sender<Infallible>>,
    cores: Vec<task::Task<()>>,
    up: Up,
}

impl LocalEngine {
    /// Starts an engine on this core, and waits until it serves.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: EngineConfig) -> Result<LocalEngine, StartError> {
        let Wiring { client, lifelines, starts, first } = wire(plan(config).await?);
        let cores = starts.into_iter().map(|start| task::spawn(run_core(start))).collect();
        let (up, report) = bring_up(first).await?;
        Ok(LocalEngine { client, report, lifelines, cores, up })
    }

    /// A handle for requests.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What the start found.
    pub fn report(&self) -> &StartReport {
        &self.report
    }

    /// Stops, as [`Engine::shutdown`] does.
    ///
    /// # Errors
    /// As there.
    pub async fn shutdown(self) -> Result<(), CatalogError> {
        let LocalEngine { client, lifelines, cores, up, .. } = self;
        drop((client, lifelines));
        for core in cores {
            core.await;
        }
        up.close().await
    }
}
