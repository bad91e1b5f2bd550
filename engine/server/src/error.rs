//! Why an engine was not started.

use std::fmt;
use std::path::PathBuf;

use runtime::file::IoError;
use storage::catalog::CatalogError;
use storage::error::OpenError;

use crate::identity::IdentityError;
use crate::memory::TooSmall;
use crate::stored::UnknownEntry;

/// Why an engine was not started. Each prints a sentence that says what to do.
#[derive(Debug)]
pub enum StartError {
    /// A field of the configuration is out of its bounds.
    Config {
        /// Which.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// The bound on memory is too small for the folder's logs.
    Memory(TooSmall),
    /// The kernel, the CPU or the file system lacks what the engine needs.
    Environment(runtime::environment::StartError),
    /// The disk refused.
    Io(IoError),
    /// The file `identity` is not one.
    Identity {
        /// The data folder.
        data: PathBuf,
        /// What is wrong with it.
        error: IdentityError,
    },
    /// The folder has an identity and no catalog: files of it are missing.
    CatalogMissing {
        /// The data folder.
        data: PathBuf,
    },
    /// The folder has no identity, and its catalog is not that of a new one.
    IdentityMissing {
        /// The data folder.
        data: PathBuf,
    },
    /// The folder changed hands between two looks at it.
    FolderChanged {
        /// The data folder.
        data: PathBuf,
    },
    /// The catalog was not opened.
    Catalog(CatalogError),
    /// The catalog holds an entry of another version.
    UnknownEntry(UnknownEntry),
    /// A log was not opened.
    Log {
        /// Which.
        log: u16,
        /// Why.
        error: OpenError,
    },
    /// A core ended before it was asked to; another error says why.
    CoreEnded {
        /// Which.
        core: usize,
    },
}

impl std::error::Error for StartError {}

impl From<IoError> for StartError {
    fn from(error: IoError) -> StartError {
        StartError::Io(error)
    }
}

impl From<CatalogError> for StartError {
    fn from(error: CatalogError) -> StartError {
        StartError::Catalog(error)
    }
}

impl From<runtime::environment::StartError> for StartError {
    fn from(error: runtime::environment::StartError) -> StartError {
        StartError::Environment(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config { field, must } => write!(f, "{field} must be {must}"),
            StartError::Memory(TooSmall { memory_bytes, memory_bytes_min }) => write!(
                f,
                "{} MiB of memory are too few for the logs of this folder; give at least {} MiB",
                memory_bytes >> 20,
                memory_bytes_min.div_ceil(1 << 20),
            ),
            StartError::Environment(error) => error.fmt(f),
            StartError::Io(error) => error.fmt(f),
            StartError::Identity { data, error } => match error {
                IdentityError::NotOurs => write!(
                    f,
                    "{} has a file `identity` that is not Gyre's; choose another folder",
                    data.display(),
                ),
                IdentityError::Format { found } => write!(
                    f,
                    "{} has format {found}, which this version does not know; use a newer one",
                    data.display(),
                ),
                IdentityError::Malformed { line } => write!(
                    f,
                    "the line `{line}` in {}/identity makes no sense; restore the file",
                    data.display(),
                ),
                IdentityError::Checksum => write!(
                    f,
                    "{}/identity is damaged: its lines are not those of its checksum; restore the \
                     file",
                    data.display(),
                ),
            },
            StartError::CatalogMissing { data } => write!(
                f,
                "{} has an identity but neither catalog-a nor catalog-b; restore these files",
                data.display(),
            ),
            StartError::IdentityMissing { data } => write!(
                f,
                "{} has a catalog with entries but no file `identity`; restore it",
                data.display(),
            ),
            StartError::FolderChanged { data } => write!(
                f,
                "{} was made by another process at this moment; start again",
                data.display(),
            ),
            StartError::Catalog(error) => error.fmt(f),
            StartError::UnknownEntry(UnknownEntry { key }) => write!(
                f,
                "the catalog's entry {:?} was written by a version that this one does not know",
                String::from_utf8_lossy(key),
            ),
            StartError::Log { log, error } => write!(f, "log {log} was not opened: {error}"),
            StartError::CoreEnded { core } => write!(f, "core {core} ended while it started"),
        }
    }
}
