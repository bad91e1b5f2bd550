//! What a start found and decided, for people and for run files.

use std::time::Duration;

use runtime::environment::{DirectoryFacts, UringFacts};
use storage::catalog::CatalogDamage;

use crate::command::OpenedLog;
use crate::identity::Identity;
use crate::memory::MemoryShares;

/// See the module.
#[derive(Clone, Debug)]
pub struct StartReport {
    /// What the folder was made with.
    pub identity: Identity,
    /// Whether it was made by this start.
    pub is_new: bool,
    /// How often it has been opened, this time included.
    pub life: u32,
    /// Cores that have a log.
    pub cores: usize,
    /// Cores that were asked for and have none, because the folder has fewer logs. They were not
    /// started.
    pub idle_cores: usize,
    /// Its logs.
    pub logs: Vec<OpenedLog>,
    /// How many streams there are.
    pub stream_count: usize,
    /// Places where acknowledged entries of the catalog are damaged.
    pub catalog_damage: Vec<CatalogDamage>,
    /// How the memory is cut.
    pub memory: MemoryShares,
    /// The kernel's side of io_uring; `None` under the simulation.
    pub uring: Option<UringFacts>,
    /// The folder's file system and device; `None` under the simulation.
    pub directory: Option<DirectoryFacts>,
    /// How long the start took.
    pub took: Duration,
}
