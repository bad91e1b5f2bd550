//! `gyre inspect`: a data folder in words, and a verdict. It never writes.
//!
//! ```text
//! lock, shared ─► identity ─► catalog ─► storage::inspect ─► text or JSON, as it comes
//! ```
//! A folder that an engine has open is read without the lock, and the output says so.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use runtime::file::{self, IoError, IoErrorKind};
use storage::catalog::{Catalog, CatalogError, CatalogLook, Unreadable};
use storage::inspect::{Seen, Selection};
use storage::shard::ShardKey;

use self::names::ShardNames;
use self::print::Printer;
use crate::identity::{self, Identity, IdentityError};

mod json;
mod names;
mod print;
mod text;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct InspectRequest {
    /// The data folder.
    pub data: PathBuf,
    /// JSON lines instead of text.
    pub json: bool,
    /// One log only.
    pub log: Option<u16>,
    /// The file of one segment only.
    pub segment: Option<u64>,
    /// Every frame.
    pub frames: bool,
    /// Every part of one shard.
    pub shard: Option<String>,
}

/// What the inspection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every checksum is right, and the chain has no gap.
    Well,
    /// Something is wrong; the findings say what.
    Damaged,
}

impl Verdict {
    /// The number for the shell.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Well => 0,
            Verdict::Damaged => 4,
        }
    }
}

/// Why there is no verdict.
#[derive(Debug)]
pub enum InspectError {
    /// The folder has no identity: it is none of ours, or its creation was never finished.
    NoIdentity(PathBuf),
    /// Its identity makes no sense.
    Identity(PathBuf, IdentityError),
    /// Neither file of the catalog is there.
    CatalogMissing(PathBuf),
    /// No frame of either file is whole.
    CatalogLost,
    /// The folder has no such log.
    NoSuchLog {
        /// Which.
        log: u16,
        /// How many there are.
        logs: u16,
    },
    /// No stream and shard have this name.
    NoSuchShard(String),
    /// The disk refuses.
    Io(IoError),
    /// The kernel refuses io_uring.
    Environment(runtime::environment::StartError),
    /// The output cannot be written.
    Output(io::Error),
}

impl InspectError {
    /// The number for the shell.
    pub fn exit_code(&self) -> u8 {
        match self {
            InspectError::NoSuchLog { .. } | InspectError::NoSuchShard(_) => 2,
            _ => 6,
        }
    }
}

impl std::error::Error for InspectError {}

impl From<IoError> for InspectError {
    fn from(error: IoError) -> InspectError {
        InspectError::Io(error)
    }
}

impl From<runtime::environment::StartError> for InspectError {
    fn from(error: runtime::environment::StartError) -> InspectError {
        InspectError::Environment(error)
    }
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InspectError::NoIdentity(data) => write!(
                f,
                "{} has no file `identity`: it is no data folder of Gyre's, or nothing was ever \
                 acknowledged in it",
                data.display()
            ),
            InspectError::Identity(data, error) => {
                let (data, error) = (data.clone(), *error);
                crate::error::StartError::Identity { data, error }.fmt(f)
            }
            InspectError::CatalogMissing(data) => {
                let data = data.clone();
                crate::error::StartError::CatalogMissing { data }.fmt(f)
            }
            InspectError::CatalogLost => CatalogError::Lost.fmt(f),
            InspectError::NoSuchLog { log, logs } => {
                write!(f, "there is no log {log}: the folder has {logs}, counted from 0")
            }
            InspectError::NoSuchShard(shard) => write!(
                f,
                "no shard {shard}: say STREAM/3, STREAM/shardId-000000000003, or its key as 0x..."
            ),
            InspectError::Io(error) => error.fmt(f),
            InspectError::Environment(error) => error.fmt(f),
            InspectError::Output(error) => write!(f, "the output cannot be written: {error}"),
        }
    }
}

/// What is known before the logs are looked at.
pub(crate) struct Folder<'a> {
    pub(crate) data: &'a Path,
    pub(crate) identity: Identity,
    /// Another process has it open.
    pub(crate) in_use: bool,
}

/// Looks through a folder and prints what is there. Runs on a core.
///
/// # Errors
/// [`InspectError`]. That something is wrong is none: it is the verdict.
pub async fn inspect(
    request: &InspectRequest,
    out: &mut dyn Write,
) -> Result<Verdict, InspectError> {
    let data = &request.data;
    // Held to the end, so that no engine starts under way.
    let (_lock, in_use) = match file::lock_directory_to_read(data).await {
        Ok(lock) => (lock, false),
        Err(error) if error.kind == IoErrorKind::Locked => (None, true),
        Err(error) => return Err(error.into()),
    };
    let found = identity::read(data).await?;
    let found = found.ok_or_else(|| InspectError::NoIdentity(data.clone()))?;
    let identity = found.map_err(|error| InspectError::Identity(data.clone(), error))?;
    let logs = identity.logs;
    if let Some(log) = request.log.filter(|log| *log >= logs) {
        return Err(InspectError::NoSuchLog { log, logs });
    }
    let catalog = read_catalog(data).await?;
    let names = ShardNames::new(catalog.as_ref().ok().map(|look| &look.state));
    let selection = Selection {
        log: request.log,
        segment: request.segment,
        shard: request.shard.as_deref().map(|name| find(&names, name)).transpose()?,
        frames: request.frames,
    };
    let mut printer = Printer::new(request.json, &names, out);
    printer.folder(&Folder { data, identity, in_use });
    let mut see = |seen: Seen<'_>| printer.seen(&seen);
    let totals = storage::inspect::inspect(data, logs, &catalog, &selection, &mut see).await?;
    let verdict = if totals.findings == 0 { Verdict::Well } else { Verdict::Damaged };
    printer.verdict(verdict, &totals);
    printer.end().map_err(InspectError::Output)?;
    Ok(verdict)
}

async fn read_catalog(data: &Path) -> Result<Result<CatalogLook, Unreadable>, InspectError> {
    let exists = Catalog::exists(data).await.map_err(|error| match error {
        CatalogError::Io(error) => InspectError::Io((*error).clone()),
        other => unreachable!("looking for a file is I/O: {other}"),
    })?;
    if !exists {
        return Err(InspectError::CatalogMissing(data.to_path_buf()));
    }
    let look = Catalog::look(data).await?;
    // The identity is written when the first frame is durable.
    if look.as_ref().is_ok_and(|look| look.generation == 0) {
        return Err(InspectError::CatalogLost);
    }
    Ok(look)
}

fn find(names: &ShardNames, name: &str) -> Result<ShardKey, InspectError> {
    names.find(name).ok_or_else(|| InspectError::NoSuchShard(name.to_owned()))
}
