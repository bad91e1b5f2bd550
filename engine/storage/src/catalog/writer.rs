//! The two files: opening, appending frames, switching with a snapshot.
//!
//! One write and one flush at a time. After either has failed nothing more is written: whether the
//! frame is on the disk is decided by the next opening, never by trying again.
//!
//! A switch costs one write of the snapshot for every file full of frames; the other file is made
//! at least four snapshots long beforehand, so that the cost of a commit stays within a constant.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use runtime::buffer::Buffer;
use runtime::file::{self, Access, File, IoError};

use super::CatalogError;
use super::damage::CatalogFile;
use super::encode::Draft;
use super::mutation::Mutation;
use super::recovery::{End, Recovered, recover};
use super::state::CatalogState;
use crate::frame::{self, BLOCK_BYTES, FrameKind};
use crate::planted::{Bug, planted};

/// Size of a new file, bytes: 255 small commits between snapshots.
const FILE_BYTES_MIN: u64 = 1 << 20;
/// A file holds at least so many snapshots of the size that it starts with.
const SNAPSHOTS_PER_FILE: u64 = 4;
/// Files are read and zeroed in pieces of this size, bytes.
const PIECE_BYTES: usize = 256 << 10;

const _: () = assert!(FILE_BYTES_MIN.is_multiple_of(PIECE_BYTES as u64));

/// The catalog's content and the file that its next frame goes to.
pub(super) struct Writer {
    directory: PathBuf,
    state: CatalogState,
    end: End,
    file: File,
    /// Whether something was acknowledged behind which no frame stands yet.
    unwitnessed: bool,
    /// The first failed write or flush.
    failure: Option<Arc<IoError>>,
}

impl Writer {
    /// Reads or creates the catalog and makes a new life durable.
    pub(super) async fn open(directory: &Path) -> Result<Writer, CatalogError> {
        match read(directory).await? {
            None => Writer::create(directory).await,
            Some(recovered) => Writer::reopen(directory, recovered).await,
        }
    }

    /// As `open`, but never creates one.
    pub(super) async fn open_existing(directory: &Path) -> Result<Writer, CatalogError> {
        let recovered = read(directory).await?.ok_or(CatalogError::Lost)?;
        Writer::reopen(directory, recovered).await
    }

    /// Writes the first snapshot, of nothing. What lies there was never acknowledged.
    async fn create(directory: &Path) -> Result<Writer, CatalogError> {
        let end = End::default().switched();
        let file = prepare(directory, CatalogFile::of(end.generation), BLOCK_BYTES as u64).await?;
        // The other file is made now too: a switch on a full disk must not need space, or nothing
        // could be freed.
        let other = CatalogFile::of(end.switched().generation);
        prepare(directory, other, BLOCK_BYTES as u64).await?;
        let mut writer = Writer::new(directory, CatalogState::default(), end, file);
        writer.state.life = 1;
        writer.append(&Draft::entries(&[])).await?;
        Ok(writer)
    }

    async fn reopen(directory: &Path, recovered: Recovered) -> Result<Writer, CatalogError> {
        let Recovered { state, end, last_position } = recovered;
        let path = directory.join(CatalogFile::of(end.generation).name());
        let file = file::open(&path, Access::ReadWrite).await?;
        // What was read may still be in the device's cache alone, and the next frame will say that
        // everything before it is durable. A flush may have failed for the last frame already: no
        // later flush covers it unless it is written again, with the same bytes.
        if !planted(Bug::TrustFailedFlush) {
            let bytes = usize::try_from(end.position - last_position).expect("a frame fits memory");
            let last = file.read(last_position, bytes).await?;
            // A misread would become what is durable.
            let checked = frame::decode(&last).ok();
            if checked.is_none_or(|checked| checked.checksum != end.previous) {
                return Err(CatalogError::Misread { position: last_position });
            }
            file.write(last_position, Rc::new(last)).await?;
        }
        file.flush().await?;
        let mut writer = Writer::new(directory, state, end, file);
        writer.state.life += 1;
        let seal = Draft::empty(FrameKind::Seal);
        if writer.fits(&seal) {
            writer.append(&seal).await?;
        } else {
            writer.switch(writer.state.clone()).await?;
        }
        Ok(writer)
    }

    fn new(directory: &Path, state: CatalogState, end: End, file: File) -> Writer {
        let directory = directory.to_path_buf();
        Writer { directory, state, end, file, unwitnessed: false, failure: None }
    }

    /// The content as of the last acknowledged commit.
    pub(super) fn state(&self) -> &CatalogState {
        &self.state
    }

    /// Whether a mark is due when the catalog falls idle.
    pub(super) fn wants_mark(&self) -> bool {
        self.unwitnessed && self.failure.is_none()
    }

    /// Whether a write or flush has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Makes `mutations` durable together, in one frame.
    ///
    /// # Errors
    /// The first failed write or flush, from then on always. A file that could not be prepared for
    /// a switch fails this commit alone.
    pub(super) async fn commit(&mut self, mutations: &[Mutation]) -> Result<(), CatalogError> {
        self.check()?;
        let draft = Draft::entries(mutations);
        if self.fits(&draft) {
            self.append(&draft).await?;
            mutations.iter().for_each(|mutation| self.state.apply(mutation));
        } else {
            let mut state = self.state.clone();
            mutations.iter().for_each(|mutation| state.apply(mutation));
            self.switch(state).await?;
        }
        Ok(())
    }

    /// Witnesses the last frame, if nothing does yet.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub(super) async fn mark(&mut self) -> Result<(), CatalogError> {
        self.check()?;
        if !self.unwitnessed {
            return Ok(());
        }
        self.append(&Draft::empty(FrameKind::Mark)).await?;
        self.unwitnessed = false;
        Ok(())
    }

    fn check(&self) -> Result<(), CatalogError> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => Err(CatalogError::Io(Arc::clone(failure))),
        }
    }

    /// Whether the frame fits into the current file with room for its mark.
    fn fits(&self, draft: &Draft) -> bool {
        let end = self.end.position + (draft.frame_bytes() + BLOCK_BYTES) as u64;
        end <= self.file.bytes()
    }

    /// Starts the other file with a snapshot of `state`, which is the content from then on.
    async fn switch(&mut self, state: CatalogState) -> Result<(), CatalogError> {
        let draft = Draft::entries(&state.snapshot());
        let end = self.end.switched();
        let other = CatalogFile::of(end.generation);
        // Until the snapshot is durable the current file stays as it is, and so do we.
        let file = prepare(&self.directory, other, draft.frame_bytes() as u64).await?;
        self.file = file;
        self.end = end;
        self.append(&draft).await?;
        self.state = state;
        Ok(())
    }

    /// Writes and flushes one frame at the end of the current file.
    async fn append(&mut self, draft: &Draft) -> Result<(), CatalogError> {
        assert!(self.failure.is_none());
        let mut buffer = Buffer::zeroed(draft.frame_bytes());
        let end = draft.write(&self.end, self.state.life, &mut buffer);
        assert!(end.position <= self.file.bytes());
        let written = self.file.write(self.end.position, Rc::new(buffer)).await;
        let durable = match written {
            Ok(()) if planted(Bug::CatalogAcknowledgesUnflushed) => Ok(()),
            Ok(()) => self.file.flush().await,
            Err(error) => Err(error),
        };
        if let Err(error) = durable {
            let error = Arc::new(error);
            self.failure = Some(Arc::clone(&error));
            return Err(CatalogError::Io(error));
        }
        self.end = end;
        self.unwitnessed = true;
        Ok(())
    }
}

async fn read(directory: &Path) -> Result<Option<Recovered>, CatalogError> {
    let a = read_file(&directory.join(CatalogFile::A.name())).await?;
    let b = read_file(&directory.join(CatalogFile::B.name())).await?;
    recover(&a, &b).map_err(CatalogError::Unreadable)
}

/// Opens `file` for a new generation, long enough for snapshots of `snapshot_bytes`; makes it anew
/// if it is missing or too short. Its old content is of no use any more: the other file is current.
async fn prepare(
    directory: &Path,
    file: CatalogFile,
    snapshot_bytes: u64,
) -> Result<File, CatalogError> {
    let path = directory.join(file.name());
    let bytes = (snapshot_bytes * SNAPSHOTS_PER_FILE).next_power_of_two().max(FILE_BYTES_MIN);
    if file::exists(&path).await? {
        let old = file::open(&path, Access::ReadWrite).await?;
        if old.bytes() >= bytes {
            // An opening that died may have made it without getting as far as this.
            old.flush().await?;
            file::sync_directory(directory).await?;
            return Ok(old);
        }
        old.close().await;
        file::remove(&path).await?;
    }
    let new = file::create(&path, Access::ReadWrite, bytes).await?;
    zero(&new).await?;
    new.flush().await?;
    file::sync_directory(directory).await?;
    Ok(new)
}

async fn zero(file: &File) -> Result<(), IoError> {
    let zeros = Rc::new(Buffer::zeroed(PIECE_BYTES));
    assert!(file.bytes().is_multiple_of(PIECE_BYTES as u64));
    for position in (0..file.bytes()).step_by(PIECE_BYTES) {
        file.write(position, zeros.clone()).await?;
    }
    Ok(())
}

/// The file's bytes, cut to whole blocks; none if it is not there.
pub(super) async fn read_file(path: &Path) -> Result<Vec<u8>, IoError> {
    if !file::exists(path).await? {
        return Ok(Vec::new());
    }
    let file = file::open(path, Access::Read).await?;
    let end = file.bytes() - file.bytes() % BLOCK_BYTES as u64;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < end {
        let rest = end - bytes.len() as u64;
        let piece = usize::try_from(rest).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        bytes.extend_from_slice(&file.read(bytes.len() as u64, piece).await?);
    }
    file.close().await;
    Ok(bytes)
}
