//! The durable catalog of a data folder: which file holds which segment, and the server's keys.
//!
//! One task owns the two files; everybody else holds a [`CatalogClient`] and sends it commits. What
//! is queued while a flush runs becomes one frame, so that a commit costs one write and one flush,
//! shared by all that came together. It must never acknowledge a commit before its flush, and
//! nothing at all after a write or flush has failed.
//!
//! ```text
//! commit ─┐
//! commit ─┼─ queue ─► task: one frame ─► catalog-a │snapshot│entries│mark│entries│ ...
//! commit ─┘                              catalog-b │older                            (next snapshot)
//! ```

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use runtime::file::{IoError, IoErrorKind};
use runtime::mesh;
use runtime::task;

pub use self::damage::{CatalogDamage, CatalogFile};
use self::encode::LOGS_MAX;
pub use self::look::CatalogLook;
use self::mutation::Scope;
pub use self::mutation::{FileEntry, Mutation, SegmentEntry};
pub use self::recovery::Unreadable;
pub use self::state::CatalogState;
use self::task_loop::{Request, serve};
use self::writer::Writer;

mod damage;
mod encode;
mod look;
mod mutation;
mod recovery;
mod state;
mod task_loop;
mod writer;

/// One commit's entries, and what is gathered into one frame, are at most so many bytes.
pub const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Commits that wait for the task. When it is full, `commit` waits for room.
const QUEUE_COUNT_MAX: usize = 64;

const _: () = assert!(COMMIT_BYTES_MAX <= encode::PAYLOAD_BYTES_MAX);

/// The catalog of one data folder; see [`Catalog::open`].
pub struct Catalog;

impl Catalog {
    /// Opens the catalog in `directory`, which exists and is locked by the caller, or creates it,
    /// and spawns the task that owns its files on this core. The new life is durable on return.
    ///
    /// # Errors
    /// [`CatalogError::Unreadable`] if acknowledged entries are damaged and it cannot be said which
    /// logs they concern; nothing has been written then. [`CatalogError::Io`] if the disk refuses.
    pub async fn open(directory: &Path) -> Result<(CatalogClient, CatalogState), CatalogError> {
        Ok(Catalog::start(Writer::open(directory).await?))
    }

    /// Opens the catalog of a folder that is known to have one, as [`Catalog::open`] does, and
    /// creates none: files in which nothing is whole are not those of a new folder.
    ///
    /// # Errors
    /// [`CatalogError::Lost`] if no frame of either file is whole; nothing has been written then.
    /// Else as for [`Catalog::open`].
    pub async fn open_existing(
        directory: &Path,
    ) -> Result<(CatalogClient, CatalogState), CatalogError> {
        Ok(Catalog::start(Writer::open_existing(directory).await?))
    }

    fn start(writer: Writer) -> (CatalogClient, CatalogState) {
        let state = writer.state().clone();
        let (sender, receiver) = mesh::channel(QUEUE_COUNT_MAX);
        drop(task::spawn(serve(writer, receiver)));
        (CatalogClient { sender }, state)
    }

    /// Reads the catalog in `directory` without opening it: nothing is written.
    ///
    /// # Errors
    /// The disk's. The inner error: acknowledged entries are damaged, and it cannot be said whose.
    pub async fn look(directory: &Path) -> Result<Result<CatalogLook, Unreadable>, IoError> {
        look::look(directory).await
    }

    /// Whether `directory` holds a catalog's file, whole or not.
    ///
    /// # Errors
    /// The disk's.
    pub async fn exists(directory: &Path) -> Result<bool, CatalogError> {
        for file in [CatalogFile::A, CatalogFile::B] {
            if runtime::file::exists(&directory.join(file.name())).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A handle for commits, usable on any core.
#[derive(Clone)]
pub struct CatalogClient {
    sender: mesh::Sender<Request>,
}

impl CatalogClient {
    /// Makes `mutations` durable together: on return all of them are, on an error none is promised.
    /// Waits while the queue is full. Logs have numbers below 1,024.
    ///
    /// # Errors
    /// [`CatalogError::TooLarge`] and [`CatalogError::Full`] refuse this commit alone;
    /// [`CatalogError::Io`] after the first failed write or flush refuses every later one.
    pub async fn commit(&self, mutations: Vec<Mutation>) -> Result<(), CatalogError> {
        let bytes = mutations.iter().map(Mutation::encoded_bytes).sum();
        if bytes > COMMIT_BYTES_MAX {
            return Err(CatalogError::TooLarge { bytes, bytes_max: COMMIT_BYTES_MAX });
        }
        let names_a_log = |mutation: &Mutation| match mutation.scope() {
            Scope::Log(log) => usize::from(log) < LOGS_MAX,
            Scope::Sets => true,
        };
        assert!(mutations.iter().all(names_a_log), "a folder has fewer than 1,024 logs");
        let (reply, outcome) = mesh::reply();
        let request = Request::Commit { mutations, bytes, reply };
        self.sender.send(request).await.map_err(|_| CatalogError::Closed)?;
        outcome.await.map_err(|_| CatalogError::Closed)?
    }

    /// Writes the mark that witnesses the last commit and ends the task. Later commits are refused.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if the mark could not be written, or an earlier write failed.
    pub async fn shutdown(&self) -> Result<(), CatalogError> {
        let (reply, outcome) = mesh::reply();
        let request = Request::Shutdown { reply };
        self.sender.send(request).await.map_err(|_| CatalogError::Closed)?;
        outcome.await.map_err(|_| CatalogError::Closed)?
    }
}

/// Why the catalog was not opened, or a commit not made.
#[derive(Clone, Debug)]
pub enum CatalogError {
    /// Acknowledged entries are damaged, and it cannot be said whose they were.
    Unreadable(Unreadable),
    /// No frame of either file is whole, and the folder is not a new one.
    Lost,
    /// The last frame is not whole when it is read again. Nothing was written.
    Misread {
        /// Where it starts, bytes.
        position: u64,
    },
    /// A write, flush or other operation failed. The catalog acknowledges nothing more.
    Io(Arc<IoError>),
    /// The commit is too large.
    TooLarge {
        /// Bytes of its entries.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The catalog's content would become larger than one snapshot can be.
    Full {
        /// Bytes that the snapshot could take with this commit.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The catalog was shut down.
    Closed,
}

impl CatalogError {
    /// Whether there was no space, on the disk or in the catalog: the commit was refused as a whole,
    /// nothing has changed, and a later one may be taken.
    #[must_use]
    pub fn is_for_space(&self) -> bool {
        match self {
            CatalogError::Io(error) => matches!(error.kind, IoErrorKind::NoSpace),
            CatalogError::Full { .. } => true,
            CatalogError::Unreadable(_)
            | CatalogError::Lost
            | CatalogError::Misread { .. }
            | CatalogError::TooLarge { .. }
            | CatalogError::Closed => false,
        }
    }
}

impl From<IoError> for CatalogError {
    fn from(error: IoError) -> CatalogError {
        CatalogError::Io(Arc::new(error))
    }
}

impl std::error::Error for CatalogError {}

impl fmt::Display for CatalogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogError::Unreadable(Unreadable { file, position, witness }) => write!(
                formatter,
                "{file} is damaged at position {position}: a later frame at {witness} shows that \
                 entries there had been acknowledged, and they cannot be read. No log of this \
                 folder can be served; restore the file, or look at it with `gyre inspect`"
            ),
            CatalogError::Lost => formatter.write_str(
                "neither catalog-a nor catalog-b holds anything that is whole, or both are of a \
                 later version. No log of this folder can be served, and nothing was written or \
                 removed; restore the files",
            ),
            CatalogError::Misread { position } => write!(
                formatter,
                "a second reading of the catalog at {position} gives other bytes than the first: \
                 the medium or the memory is failing"
            ),
            CatalogError::Io(error) => write!(formatter, "the catalog has stopped: {error}"),
            CatalogError::TooLarge { bytes, bytes_max } => {
                write!(formatter, "a commit of {bytes} bytes is larger than {bytes_max} bytes")
            }
            CatalogError::Full { bytes, bytes_max } => write!(
                formatter,
                "the catalog is full: {bytes} bytes of entries, at most {bytes_max} fit"
            ),
            CatalogError::Closed => formatter.write_str("the catalog was shut down"),
        }
    }
}
