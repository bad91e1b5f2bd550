//! The catalog as it lies there, for an inspection: read, never written, no new life.

use std::path::Path;

use runtime::file::IoError;

use super::damage::CatalogFile;
use super::recovery::{Unreadable, recover};
use super::state::CatalogState;
use super::writer::read_file;

/// What the two files hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogLook {
    /// The content, with what is damaged of it. `life` is that of the last opening.
    pub state: CatalogState,
    /// The current file.
    pub file: CatalogFile,
    /// Its generation; 0 where nothing was ever acknowledged.
    pub generation: u32,
    /// Where its next frame would go, bytes.
    pub position: u64,
    /// Number of the next frame, counted over both files.
    pub next_frame: u64,
}

/// See [`super::Catalog::look`].
pub(super) async fn look(folder: &Path) -> Result<Result<CatalogLook, Unreadable>, IoError> {
    let a = read_file(&folder.join(CatalogFile::A.name())).await?;
    let b = read_file(&folder.join(CatalogFile::B.name())).await?;
    Ok(recover(&a, &b).map(|found| {
        let (state, end) = found.map(|found| (found.state, found.end)).unwrap_or_default();
        CatalogLook {
            state,
            file: CatalogFile::of(end.generation.max(1)),
            generation: end.generation,
            position: end.position,
            next_frame: end.number,
        }
    }))
}
