//! From a configuration to an engine that serves: the steps, whichever threads they run on.
//!
//! ```text
//! lock ─► identity ─► catalog ─► (new folder: identity is written) ─► all logs ─► streams ─► report
//! ```
//! The identity comes after the catalog: a folder without one holds nothing that was acknowledged,
//! and one that has an identity must have a catalog.

use std::convert::Infallible;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use runtime::clock;
use runtime::environment::{self, DirectoryRefusal};
use runtime::file::{self, DirectoryLock, IoErrorKind};
use runtime::local::{self, OneshotSender};
use runtime::mesh::{self, Receiver, Reply, ReplySender, Sender};
use runtime::task::{self, Task};
use storage::catalog::{Catalog, CatalogClient, CatalogError, CatalogState};

use crate::client::Client;
use crate::command::{OpenLogs, OpenedLog};
use crate::config::EngineConfig;
use crate::core::{self, CoreDoor, CoreSeat, CoreSetup};
use crate::error::StartError;
use crate::identity::{self, Identity};
use crate::memory::{MemoryShares, Shape};
use crate::placement::Placement;
use crate::queues::{COMMAND_QUEUE_COUNT, PUT_QUEUE_COUNT, REGISTRY_QUEUE_COUNT};
use crate::registry::{self, Quota, Registry, RegistryRequest};
use crate::report::StartReport;
use crate::stored::StoredStreams;

/// What is decided before anything is written.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) config: EngineConfig,
    pub(crate) identity: Identity,
    pub(crate) is_new: bool,
    /// How many folders had to be made: the data folder, and those above it that were missing.
    pub(crate) made_folders: usize,
    pub(crate) placement: Placement,
    pub(crate) shares: MemoryShares,
}

/// Makes the data folder if need be and looks at its identity.
///
/// # Errors
/// [`StartError`].
pub(crate) async fn plan(config: EngineConfig) -> Result<Plan, StartError> {
    config.check()?;
    let made_folders = missing_folders(&config.data).await?;
    file::create_directory_all(&config.data).await.map_err(|error| match error.kind {
        IoErrorKind::AlreadyExists => in_the_way(&config.data),
        _ => error.into(),
    })?;
    let found = read_identity(&config).await?;
    let cores = u16::try_from(config.cores).expect("the number of cores was checked");
    let new = Identity { logs: config.logs.unwrap_or(cores), segment_bytes: config.segment_bytes };
    let identity = found.unwrap_or(new);
    let placement = Placement::new(identity.logs, config.cores);
    let shape = Shape { logs: usize::from(identity.logs), cores: placement.cores() };
    let shares = MemoryShares::cut(config.memory_bytes, shape).map_err(StartError::Memory)?;
    Ok(Plan { config, identity, is_new: found.is_none(), made_folders, placement, shares })
}

/// What stands at the data folder's path is something else.
fn in_the_way(data: &Path) -> StartError {
    let refusal = DirectoryRefusal::NotADirectory;
    environment::StartError::Directory { path: data.to_path_buf(), refusal }.into()
}

/// How many folders at the end of a path do not exist.
async fn missing_folders(path: &Path) -> Result<usize, StartError> {
    let mut count = 0;
    for folder in path.ancestors() {
        if folder == Path::new("") || file::exists(folder).await? {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// Makes the name of a new data folder durable, and those of the folders above that were made with
/// it. Its own in any case: a start that was killed may have made the folder and come no further.
async fn sync_names(plan: &Plan) -> Result<(), StartError> {
    for folder in plan.config.data.ancestors().skip(1).take(plan.made_folders.max(1)) {
        let here = Path::new(".");
        file::sync_directory(if folder == Path::new("") { here } else { folder }).await?;
    }
    Ok(())
}

async fn read_identity(config: &EngineConfig) -> Result<Option<Identity>, StartError> {
    let found = identity::read(&config.data).await?.transpose();
    found.map_err(|error| StartError::Identity { data: config.data.clone(), error })
}

/// A core's seat, and how it is told to open its logs.
pub(crate) struct CoreStart {
    pub(crate) seat: CoreSeat,
    pub(crate) setup: CoreSetup,
    orders: Receiver<Order>,
}

struct Order {
    logs: OpenLogs,
    reply: ReplySender<Result<Vec<OpenedLog>, StartError>>,
}

/// What core 0 needs to bring up the engine.
pub(crate) struct FirstStart {
    plan: Plan,
    orders: Vec<Sender<Order>>,
    doors: Vec<CoreDoor>,
    requests: Receiver<RegistryRequest>,
}

/// All queues of an engine.
pub(crate) struct Wiring {
    pub(crate) client: Client,
    /// Dropping one stops its core.
    pub(crate) lifelines: Vec<Sender<Infallible>>,
    pub(crate) starts: Vec<CoreStart>,
    pub(crate) first: FirstStart,
}

/// Makes the queues between the cores of a plan.
pub(crate) fn wire(plan: Plan) -> Wiring {
    let Plan { placement, shares, .. } = plan;
    let setup = CoreSetup { placement, limits: plan.config.limits, shares };
    let (mut lifelines, mut starts) = (Vec::new(), Vec::new());
    let (mut doors, mut orders) = (Vec::new(), Vec::new());
    for core in 0..placement.cores() {
        let (put_sender, puts) = mesh::channel(PUT_QUEUE_COUNT);
        let (command_sender, commands) = mesh::channel(COMMAND_QUEUE_COUNT);
        let (lifeline_sender, lifeline) = mesh::channel(1);
        let (order_sender, order_receiver) = mesh::channel(1);
        doors.push(CoreDoor { puts: put_sender, commands: command_sender });
        lifelines.push(lifeline_sender);
        orders.push(order_sender);
        let seat = CoreSeat { core, puts, commands, lifeline };
        starts.push(CoreStart { seat, setup, orders: order_receiver });
    }
    let (request_sender, requests) = mesh::channel(REGISTRY_QUEUE_COUNT);
    let client = Client::new(doors.clone(), request_sender, placement);
    let first = FirstStart { plan, orders, doors, requests };
    Wiring { client, lifelines, starts, first }
}

/// What a core runs: waits for the order to open its logs, then serves until it is stopped.
pub(crate) async fn run_core(start: CoreStart) {
    let CoreStart { seat, setup, mut orders } = start;
    // No order comes where the start has failed elsewhere.
    let Some(Order { logs, reply }) = orders.recv().await else { return };
    match core::open(seat.core, setup, logs).await {
        Ok((owner, opened)) => {
            reply.send(Ok(opened));
            core::serve_until_stopped(owner, seat).await;
        }
        Err((log, error)) => reply.send(Err(StartError::Log { log, error })),
    }
}

/// An engine that serves, seen from core 0.
pub(crate) struct Up {
    catalog: CatalogClient,
    lock: DirectoryLock,
    registry: Task<()>,
    stop_registry: OneshotSender<()>,
}

impl Up {
    /// To be called when all cores have ended: refuses requests about streams, writes the catalog's
    /// mark and unlocks the folder.
    ///
    /// # Errors
    /// The catalog's, also from an earlier failed write.
    pub(crate) async fn close(self) -> Result<(), CatalogError> {
        // What the core leaves standing would keep its queue open, and those who wait on it waiting.
        self.stop_registry.send(());
        self.registry.await;
        let closed = self.catalog.shutdown().await;
        drop(self.lock);
        closed
    }
}

/// Brings up the engine; runs on core 0, whose own seat runs beside it as a task.
///
/// # Errors
/// [`StartError`]. Cores that had opened their logs serve until they are stopped.
pub(crate) async fn bring_up(first: FirstStart) -> Result<(Up, StartReport), StartError> {
    let FirstStart { plan, orders, doors, requests } = first;
    let started = clock::now();
    let lock = file::lock_directory(&plan.config.data).await?;
    let (catalog, state) = open_catalog(&plan).await?;
    let config = &plan.config;
    let stored = StoredStreams::read(&state.sets, config.account);
    let stored = stored.map_err(StartError::UnknownEntry)?;
    let state = Arc::new(state);
    let logs = open_logs(&plan, &orders, &catalog, &state).await?;
    let quota = Quota {
        account: config.account,
        region: config.region.clone(),
        shards_max: config.shards_max,
    };
    let registry = Registry::open(quota, catalog.clone(), doors, stored).await;
    let registry = Rc::new(registry.map_err(|ended| StartError::CoreEnded { core: ended.0 })?);
    let report = StartReport {
        identity: plan.identity,
        is_new: plan.is_new,
        life: state.life,
        cores: plan.placement.cores(),
        idle_cores: config.cores - plan.placement.cores(),
        logs,
        stream_count: registry.stream_count(),
        catalog_damage: state.damage.clone(),
        memory: plan.shares,
        uring: None,
        directory: None,
        took: clock::now() - started,
    };
    let (stop_registry, stopped) = local::oneshot();
    let registry = task::spawn(registry::serve(registry, requests, stopped));
    Ok((Up { catalog, lock, registry, stop_registry }, report))
}

/// Opens or creates the catalog of a folder that is locked, and gives a new folder its identity.
async fn open_catalog(plan: &Plan) -> Result<(CatalogClient, CatalogState), StartError> {
    let data = &plan.config.data;
    let found = read_identity(&plan.config).await?;
    if found.is_some() == plan.is_new {
        return Err(StartError::FolderChanged { data: data.clone() });
    }
    if !plan.is_new && !Catalog::exists(data).await? {
        return Err(StartError::CatalogMissing { data: data.clone() });
    }
    if !plan.is_new {
        return Ok(Catalog::open_existing(data).await?);
    }
    let (catalog, state) = Catalog::open(data).await?;
    // Logs and streams come after the identity: without these a start has died before.
    if !(state.sets.is_empty() && state.segments.is_empty() && state.files.is_empty()) {
        return Err(StartError::IdentityMissing { data: data.clone() });
    }
    sync_names(plan).await?;
    identity::write(data, plan.identity).await?;
    Ok((catalog, state))
}

/// Has all cores open their logs, at the same time.
async fn open_logs(
    plan: &Plan,
    orders: &[Sender<Order>],
    catalog: &CatalogClient,
    manifest: &Arc<CatalogState>,
) -> Result<Vec<OpenedLog>, StartError> {
    let mut opening: Vec<Reply<_>> = Vec::new();
    for (core, order) in orders.iter().enumerate() {
        let options = plan
            .placement
            .logs_of(core)
            .map(|log| plan.config.log_options(log, manifest.life, plan.identity, &plan.shares));
        let logs = OpenLogs {
            logs: options.collect(),
            catalog: catalog.clone(),
            manifest: Arc::clone(manifest),
        };
        let (reply, opened) = mesh::reply();
        let sent = order.send(Order { logs, reply }).await;
        sent.map_err(|_| StartError::CoreEnded { core })?;
        opening.push(opened);
    }
    let mut logs = Vec::new();
    for (core, opened) in opening.into_iter().enumerate() {
        logs.extend(opened.await.map_err(|_| StartError::CoreEnded { core })??);
    }
    logs.sort_by_key(|log| log.log);
    Ok(logs)
}
