//! Segments made ready ahead of their use: recycled files, or new ones written with zeros.
//!
//! A segment is ready when its file exists durably, its blocks are written (a flush then costs no
//! journal commit of the file system), and the manifest says durably which segment it holds: before
//! that no frame may be written to it, or a torn first frame would bring deleted records back.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use runtime::buffer::Buffer;
use runtime::clock::{self, Instant};
use runtime::file::{self, Access, File, IoError, IoErrorKind};
use runtime::local::Notify;
use runtime::task;

use crate::catalog::{CatalogClient, CatalogError, FileEntry, Mutation, SegmentEntry};
use crate::options::{FlushMethod, LogOptions};
use crate::planted::{Bug, planted};

pub(crate) use self::surplus::{Step, Trimmed};

mod reserve;
mod surplus;

/// Zeros are written in pieces of this size, bytes: what an append waits behind at most.
const ZERO_PIECE_BYTES: usize = 256 << 10;
/// Pieces of zeros in flight where somebody waits for the segment.
const ZERO_DEPTH: usize = 16;
/// The pause between two pieces of zeros while nothing is appended.
const ZERO_PAUSE: Duration = Duration::from_millis(5);
/// How late a planted bug tells the manifest: late enough for the segment to be in use.
const LATE_COMMIT_AFTER: Duration = Duration::from_millis(50);

/// How fast a file is written with zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the disk.
    Full,
    /// No faster than the log itself is written, unless that waits: the device's queue is first of
    /// all the appends'.
    Appends,
}

/// A segment that frames may be written to.
pub(crate) struct Ready {
    pub entry: SegmentEntry,
    pub file: File,
}

/// The files of one log that hold no segment in use.
pub(crate) struct Pool {
    files: RefCell<Files>,
    /// There is something to prepare.
    pub wanted: Notify,
    /// A segment became ready, or space ran out or came back.
    pub changed: Notify,
    out_of_space: Cell<bool>,
    zeroed_bytes: Cell<u64>,
    log: u16,
    directory: PathBuf,
    access: Access,
    segment_bytes: u64,
    spare_segments: usize,
    free_files_max: usize,
    surplus_kept: Duration,
    idle_after: Duration,
    /// There are free files that were stocked and not used yet.
    is_stocked: Cell<bool>,
    /// When a free file too many may be removed although the log is written.
    trim_at: Cell<Option<Instant>>,
    /// After a removal nothing is removed before.
    rests_until: Cell<Instant>,
    /// Bytes of all frames since the log was opened, and news of it.
    appended_bytes: Cell<u64>,
    appended: Notify,
    /// When the log last was written, waited for room or got a segment ready.
    used_at: Cell<Instant>,
    /// The number of ready segments is that of an idle log.
    is_resting: Cell<bool>,
    /// Files that are being made.
    preparing: Cell<usize>,
    /// The log is at its end: no more are made.
    is_stopping: Cell<bool>,
    catalog: CatalogClient,
}

#[derive(Default)]
struct Files {
    ready: VecDeque<Ready>,
    free: Vec<FileEntry>,
    /// A free file that no segment is made of: a full disk's rewriting gets its space.
    reserve: Option<FileEntry>,
    next_segment: u64,
    next_file: u32,
}

/// The folder of the segment files.
pub(crate) fn segments_directory(options: &LogOptions) -> PathBuf {
    options.directory.join("segments")
}

/// The name of a segment file, as FORMAT.md says.
pub(crate) fn file_name(log: u16, file: u32) -> String {
    format!("{}{file:08}.seg", file_prefix(log))
}

/// How the names of a log's files start.
pub(crate) fn file_prefix(log: u16) -> String {
    format!("{log:03}-")
}

/// How segment files are opened for the log's way of flushing.
pub(crate) fn access(options: &LogOptions) -> Access {
    match options.flush {
        FlushMethod::Fdatasync => Access::ReadWrite,
        FlushMethod::Dsync => Access::ReadWriteDsync,
    }
}

impl Pool {
    /// A pool of free files and segments that are assigned but empty.
    pub(crate) fn new(
        options: &LogOptions,
        catalog: CatalogClient,
        free: Vec<FileEntry>,
        next_segment: u64,
        next_file: u32,
    ) -> Pool {
        let ready = VecDeque::new();
        let files = Files { ready, free, reserve: None, next_segment, next_file };
        Pool {
            files: RefCell::new(files),
            wanted: Notify::new(),
            changed: Notify::new(),
            out_of_space: Cell::new(false),
            zeroed_bytes: Cell::new(0),
            log: options.log,
            directory: segments_directory(options),
            access: access(options),
            segment_bytes: options.segment_bytes,
            spare_segments: options.spare_segments,
            free_files_max: options.free_files_max,
            surplus_kept: options.surplus_kept,
            idle_after: options.idle_after,
            is_stocked: Cell::new(false),
            trim_at: Cell::new(None),
            rests_until: Cell::new(clock::now()),
            appended_bytes: Cell::new(0),
            used_at: Cell::new(clock::now()),
            is_resting: Cell::new(false),
            appended: Notify::new(),
            preparing: Cell::new(0),
            is_stopping: Cell::new(false),
            catalog,
        }
    }

    /// Adds a segment that recovery found assigned and empty.
    pub(crate) fn add_ready(&self, ready: Ready) {
        self.files.borrow_mut().ready.push_back(ready);
    }

    /// The next segment, if one is ready.
    pub(crate) fn take(&self) -> Option<Ready> {
        let ready = self.files.borrow_mut().ready.pop_front();
        self.wanted.notify_all();
        ready
    }

    /// Bytes of each segment that is ready.
    pub(crate) fn ready_bytes(&self) -> impl Iterator<Item = u64> {
        let bytes: Vec<_> =
            self.files.borrow().ready.iter().map(|ready| ready.entry.bytes).collect();
        bytes.into_iter()
    }

    /// How many segments are ready.
    pub(crate) fn ready_count(&self) -> usize {
        self.files.borrow().ready.len()
    }

    /// Whether the last attempt to prepare a segment found the disk full.
    pub(crate) fn is_out_of_space(&self) -> bool {
        self.out_of_space.get()
    }

    /// Zeros written so far, bytes.
    pub(crate) fn zeroed_bytes(&self) -> u64 {
        self.zeroed_bytes.get()
    }

    /// The path of one of this log's files.
    pub(crate) fn path(&self, file: u32) -> PathBuf {
        self.directory.join(file_name(self.log, file))
    }

    /// A file number that no file of this log has.
    pub(crate) fn new_file_number(&self) -> u32 {
        let mut files = self.files.borrow_mut();
        let file = files.next_file;
        files.next_file += 1;
        file
    }

    /// Makes one more segment of `bytes` ready.
    ///
    /// # Errors
    /// The disk's or the catalog's. A full disk is not an error: `is_out_of_space` says so.
    pub(crate) async fn prepare(&self, bytes: u64) -> Result<(), CatalogError> {
        self.until_stopped(self.prepare_one(bytes)).await
    }

    /// Runs one step of making files, unless the log is at its end; `stop` waits for it.
    async fn until_stopped(
        &self,
        step: impl Future<Output = Result<(), CatalogError>>,
    ) -> Result<(), CatalogError> {
        if self.is_stopping.get() {
            return Ok(());
        }
        self.preparing.set(self.preparing.get() + 1);
        let done = step.await;
        self.preparing.set(self.preparing.get() - 1);
        self.changed.notify_all();
        done
    }

    /// Makes no more segments ready, and returns when nothing is written for one.
    pub(crate) async fn stop(&self) {
        self.is_stopping.set(true);
        self.appended.notify_all();
        loop {
            let changed = self.changed.notified();
            if self.preparing.get() == 0 {
                return;
            }
            changed.await;
        }
    }

    async fn prepare_one(&self, bytes: u64) -> Result<(), CatalogError> {
        let recycled = self.take_free(bytes);
        let (free, file) = match recycled {
            Some(free) => (free, file::open(&self.path(free.file), self.access).await?),
            None => match self.create(bytes, Pace::Appends).await? {
                Some(created) => created,
                None => return Ok(()),
            },
        };
        let entry = self.entry_of(&free);
        let mut mutations = vec![Mutation::PutSegment(entry)];
        if recycled.is_some() {
            mutations.push(Mutation::RemoveFile { log: self.log, file: free.file });
        }
        if planted(Bug::UseSegmentBeforeManifest) {
            self.make_ready(Ready { entry, file });
            let catalog = self.catalog.clone();
            drop(task::spawn(async move {
                clock::sleep(LATE_COMMIT_AFTER).await;
                // A planted bug has no one to tell.
                drop(catalog.commit(mutations).await);
            }));
            return Ok(());
        }
        match self.catalog.commit(mutations).await {
            Ok(()) => {}
            // The file stays as free as it was.
            Err(error) if error.is_for_space() => {
                self.ran_out_of_space();
                match recycled {
                    Some(free) => self.files.borrow_mut().free.push(free),
                    None => file::remove(&self.path(free.file)).await?,
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.out_of_space.set(false);
        self.make_ready(Ready { entry, file });
        Ok(())
    }

    fn make_ready(&self, ready: Ready) {
        {
            let mut files = self.files.borrow_mut();
            assert_eq!(ready.entry.first, files.next_segment, "one segment is prepared at a time");
            files.next_segment += 1;
        }
        self.add_ready(ready);
        self.note_used();
        self.changed.notify_all();
    }

    fn ran_out_of_space(&self) {
        self.out_of_space.set(true);
        self.changed.notify_all();
    }

    fn take_free(&self, bytes: u64) -> Option<FileEntry> {
        let mut files = self.files.borrow_mut();
        let at = files.free.iter().position(|free| free.bytes == bytes)?;
        if files.free.len() == 1 {
            self.is_stocked.set(false);
        }
        Some(files.free.swap_remove(at))
    }

    /// The next segment in this file.
    fn entry_of(&self, free: &FileEntry) -> SegmentEntry {
        let segment = self.files.borrow().next_segment;
        SegmentEntry {
            log: self.log,
            first: segment,
            last: segment,
            file: free.file,
            generation: free.generation + 1,
            bytes: free.bytes,
            clustered: false,
        }
    }

    /// Creates a file and writes it with zeros; `None` where the disk is full or the log ends.
    async fn create(&self, bytes: u64, pace: Pace) -> Result<Option<(FileEntry, File)>, IoError> {
        let number = self.new_file_number();
        let path = self.path(number);
        match self.create_zeroed(&path, bytes, pace).await {
            Ok(_) if self.is_stopping.get() => {
                file::remove(&path).await?;
                Ok(None)
            }
            Ok(file) => {
                let entry = FileEntry { log: self.log, file: number, generation: 0, bytes };
                Ok(Some((entry, file)))
            }
            Err(error) if matches!(error.kind, IoErrorKind::NoSpace) => {
                self.ran_out_of_space();
                if file::exists(&path).await? {
                    file::remove(&path).await?;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn create_zeroed(&self, path: &Path, bytes: u64, pace: Pace) -> Result<File, IoError> {
        let file = file::create(path, self.access, bytes).await?;
        let appended_before = self.appended_bytes.get();
        let piece = Rc::new(Buffer::zeroed(ZERO_PIECE_BYTES.min(bytes as usize)));
        let mut pending = VecDeque::new();
        let mut position = 0;
        while position < bytes && !self.is_stopping.get() {
            let left = bytes - position;
            let piece = match left < piece.len() as u64 {
                true => Rc::new(Buffer::zeroed(left as usize)),
                false => piece.clone(),
            };
            let piece_bytes = piece.len() as u64;
            pending.push_back(file.write(position, piece));
            position += piece_bytes;
            let depth = if self.is_hurried(pace) { ZERO_DEPTH } else { 1 };
            while pending.len() >= depth {
                pending.pop_front().expect("there are pending writes").await?;
            }
            self.keep_pace(pace, appended_before + position).await;
        }
        for write in pending {
            write.await?;
        }
        self.zeroed_bytes.set(self.zeroed_bytes.get() + bytes);
        file.flush().await?;
        if !planted(Bug::ForgetDirectorySync) {
            file::sync_directory(&self.directory).await?;
        }
        Ok(file)
    }

    /// Whether somebody waits for the file.
    fn is_hurried(&self, pace: Pace) -> bool {
        pace == Pace::Full || self.ready_count() == 0
    }

    /// Waits until `appended_bytes` are appended, or nothing is for a while, or there is a hurry.
    async fn keep_pace(&self, pace: Pace, appended_bytes: u64) {
        let must_wait = || {
            let is_ahead = self.appended_bytes.get() < appended_bytes;
            is_ahead && !self.is_hurried(pace) && !self.is_stopping.get()
        };
        while must_wait() {
            let appended = self.appended.notified();
            if clock::timeout_at(clock::now() + ZERO_PAUSE, appended).await.is_none() {
                return;
            }
        }
    }

    /// A frame of so many bytes was handed to the disk.
    pub(crate) fn note_appended(&self, bytes: u64) {
        self.appended_bytes.set(self.appended_bytes.get() + bytes);
        self.appended.notify_all();
        self.note_used();
    }

    /// Makes the reserve, then adds free files of zeros until there are `count` segments ready or
    /// free, or the disk is full. Returns how many there are.
    ///
    /// # Errors
    /// The disk's or the catalog's.
    pub(crate) async fn stock(&self, count: usize) -> Result<usize, CatalogError> {
        self.make_reserve(Pace::Full).await?;
        while self.stocked() < count {
            let Some((entry, _file)) = self.create(self.segment_bytes, Pace::Full).await? else {
                break;
            };
            self.catalog.commit(vec![Mutation::PutFile(entry)]).await?;
            self.files.borrow_mut().free.push(entry);
            self.is_stocked.set(true);
        }
        Ok(self.stocked())
    }

    fn stocked(&self) -> usize {
        let files = self.files.borrow();
        files.ready.len() + files.free.len()
    }

    /// Takes back a file that the manifest has as free, to be recycled or trimmed.
    pub(crate) fn give_back(&self, entry: FileEntry) {
        let can_be_used = entry.bytes == self.segment_bytes;
        if can_be_used && self.lacks_reserve() {
            self.files.borrow_mut().reserve = Some(entry);
            return;
        }
        self.files.borrow_mut().free.push(entry);
        // A file of another size helps only when it is removed.
        if can_be_used {
            self.space_came_back();
        }
    }

    fn space_came_back(&self) {
        self.out_of_space.set(false);
        self.wanted.notify_all();
        self.changed.notify_all();
    }

    /// Commits to the manifest.
    ///
    /// # Errors
    /// The catalog's.
    pub(crate) async fn commit(&self, mutations: Vec<Mutation>) -> Result<(), CatalogError> {
        self.catalog.commit(mutations).await
    }

    /// Bytes of the files that are ready or free, and of the reserve.
    pub(crate) fn file_bytes(&self) -> u64 {
        let files = self.files.borrow();
        let ready = files.ready.iter().map(|ready| ready.entry.bytes);
        let free = files.free.iter().chain(&files.reserve).map(|free| free.bytes);
        ready.chain(free).sum()
    }
}
