//! The forgetful disk behind FUSE: the kernel's calls are served under one lock, so that a cut
//! falls between two calls, or into the time that a flush takes: by then what it is to cover has
//! been written and nothing of it is durable.

use super::attributes::{attributes_of, kind_of, owner_of, permissions};
use super::disk::{Disk, DiskCounts, Owner, errno};
use super::fate::CutCounts;
use super::names::NodeNumber;
use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::thread::Timespec;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The kernel caches nothing: after a cut a name or a length may be another.
const CACHED_FOR: Duration = Duration::ZERO;

/// The largest write that the kernel is to send in one piece (it allows 1 MiB).
const WRITE_BYTES_MAX: u32 = 1 << 20;

/// Calls served at once: reads and other files' writes go on while flushes take their time.
const SERVING_THREADS: usize = 4;

/// A mounted forgetful file system. Dropping it unmounts.
#[derive(Debug)]
pub struct Mount {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    /// Serves while it lives.
    _session: BackgroundSession,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    backing: PathBuf,
    is_cut: bool,
    /// Counts revivals. A handle from before a cut is dead for ever: the ring of a killed process
    /// may still have writes under way.
    epoch: u64,
    /// Open directories: what they held when they were opened.
    listings: BTreeMap<u64, Vec<(OsString, NodeNumber, FileType)>>,
    next_listing: u64,
    /// How long flushes take, at most.
    flush_time_max: Duration,
    rng: fastrand::Rng,
}

impl Mount {
    /// Mounts an empty file system at `path`; its bytes go to `backing`. Both are existing, empty
    /// folders. Root mounts by itself, anybody else needs `fusermount3`. Flushes take no time.
    ///
    /// # Errors
    /// There is no `/dev/fuse`, or mounting is not allowed here.
    pub fn new(backing: &Path, path: &Path) -> io::Result<Mount> {
        Mount::with_slow_flushes(backing, path, Duration::ZERO, 0)
    }

    /// As `new`; a flush takes a time drawn from `seed`, mostly far below the maximum. A device
    /// takes its time as well, and a power cut is most telling in it.
    ///
    /// # Errors
    /// As `new`.
    pub fn with_slow_flushes(
        backing: &Path,
        path: &Path,
        flush_time_max: Duration,
        seed: u64,
    ) -> io::Result<Mount> {
        let state = State {
            disk: Disk::new(backing),
            backing: backing.to_owned(),
            is_cut: false,
            epoch: 0,
            listings: BTreeMap::new(),
            next_listing: 0,
            flush_time_max,
            rng: fastrand::Rng::with_seed(seed),
        };
        let state = Arc::new(Mutex::new(state));
        let mut config = Config::default();
        config.n_threads = Some(SERVING_THREADS);
        config.mount_options =
            vec![MountOption::FSName("forgetful".to_owned()), MountOption::NoAtime];
        let served = Served { state: Arc::clone(&state) };
        let session = fuser::spawn_mount(served, path, &config)?;
        Ok(Mount { state, path: path.to_owned(), _session: session })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The power goes. Every later call fails with `EIO` until `revive`; every call that has
    /// returned counts. What was not flushed is kept, dropped or torn as `seed` has it.
    ///
    /// # Errors
    /// The backing folder cannot be written.
    pub fn cut(&self, seed: u64) -> io::Result<CutCounts> {
        let mut state = lock(&self.state);
        state.is_cut = true;
        state.listings.clear();
        state.disk.cut(seed)
    }

    /// The power comes back. Handles from before the cut stay dead.
    pub fn revive(&self) {
        let mut state = lock(&self.state);
        state.is_cut = false;
        state.epoch += 1;
    }

    /// What was asked of it since it was mounted.
    #[must_use]
    pub fn counts(&self) -> DiskCounts {
        lock(&self.state).disk.counts
    }

    /// Changes that no flush has covered: of files, and of names.
    #[must_use]
    pub fn pending_counts(&self) -> (usize, usize) {
        lock(&self.state).disk.pending_counts()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: the ring of a process that was killed may hold its files for a while. Anybody
        // but root is refused here, and the session, dropped next, asks fusermount3 for the same.
        rustix::mount::unmount(&self.path, rustix::mount::UnmountFlags::DETACH).ok();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic under the lock ends the serving thread, and the caller's calls fail with it.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the session's thread holds.
struct Served {
    state: Arc<Mutex<State>>,
}

impl Served {
    /// The disk, unless the power is out.
    fn powered(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = lock(&self.state);
        if state.is_cut { Err(Errno::EIO) } else { Ok(state) }
    }

    /// The disk for a handle, unless the handle is from before a cut.
    fn through(&self, handle: FileHandle) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.powered()?;
        if handle.0 == state.epoch { Ok(state) } else { Err(Errno::EIO) }
    }
}

impl Served {
    /// Lets the time of a flush pass, without the lock.
    fn take_flush_time(&self) {
        let time = {
            let mut state = lock(&self.state);
            // The fourth power: a median of a sixteenth of the maximum.
            let share = state.rng.f64().powi(4);
            state.flush_time_max.mul_f64(share)
        };
        if !time.is_zero() {
            rest(time);
        }
    }

    fn flush_file(&self, node: INodeNo, handle: FileHandle) -> Result<(), Errno> {
        let bound = self.through(handle)?.disk.flush_bound(node.0)?;
        self.take_flush_time();
        Ok(self.through(handle)?.disk.flush_file(node.0, bound)?)
    }

    /// First a write like any other, which a cut may keep or lose, then durable.
    fn write_durable(
        &self,
        node: INodeNo,
        handle: FileHandle,
        position: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        self.through(handle)?.disk.begin_durable(node.0, position, data.to_vec())?;
        self.take_flush_time();
        Ok(self.through(handle)?.disk.write_durable(node.0, position, data)?)
    }

    fn flush_directory(&self, node: INodeNo, handle: FileHandle) -> Result<(), Errno> {
        self.take_flush_time();
        let mut state = self.powered()?;
        if !state.listings.contains_key(&handle.0) {
            return Err(Errno::EIO); // opened before the cut
        }
        Ok(state.disk.flush_directory(node.0)?)
    }
}

/// Sleeps on this thread, which is not a core and has nothing else to do.
fn rest(time: Duration) {
    let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
    // Woken early by a signal is early enough.
    drop(rustix::thread::nanosleep(&time));
}

impl Filesystem for Served {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        config.set_max_write(WRITE_BYTES_MAX).map_err(|_| errno(libc::EINVAL))?;
        // Without it the kernel would wait for each direct write of a ring in turn.
        config.add_capabilities(InitFlags::FUSE_ASYNC_DIO).map_err(|_| errno(libc::ENOSYS))?;
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.powered().and_then(|state| Ok(state.disk.lookup(parent.0, name)?)) {
            Ok(found) => reply.entry(&CACHED_FOR, &attributes_of(found), Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(
        &self,
        _request: &Request,
        node: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match self.powered().and_then(|state| Ok(state.disk.attributes(node.0)?)) {
            Ok(found) => reply.attr(&CACHED_FOR, &attributes_of(found)),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _request: &Request,
        node: INodeNo,
        mode: Option<u32>,
        user: Option<u32>,
        group: Option<u32>,
        bytes: Option<u64>,
        _read: Option<TimeOrNow>,
        _written: Option<TimeOrNow>,
        _changed: Option<std::time::SystemTime>,
        handle: Option<FileHandle>,
        _created: Option<std::time::SystemTime>,
        _flags_changed: Option<std::time::SystemTime>,
        _backed_up: Option<std::time::SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let result = handle.map_or_else(|| self.powered(), |handle| self.through(handle));
        let result = result.and_then(|mut state| {
            let owner = state.disk.attributes(node.0)?.owner;
            let owner = Owner {
                mode: mode.map_or(owner.mode, permissions),
                user: user.unwrap_or(owner.user),
                group: group.unwrap_or(owner.group),
            };
            state.disk.set_owner(node.0, owner)?;
            if let Some(bytes) = bytes {
                state.disk.resize(node.0, bytes)?;
            }
            Ok(state.disk.attributes(node.0)?)
        });
        match result {
            Ok(found) => reply.attr(&CACHED_FOR, &attributes_of(found)),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let owner = owner_of(request, mode & !umask);
        let result = self.powered();
        match result.and_then(|mut state| Ok(state.disk.create_directory(parent.0, name, owner)?)) {
            Ok(found) => reply.entry(&CACHED_FOR, &attributes_of(found), Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let result = self.powered();
        answer(result.and_then(|mut state| Ok(state.disk.remove_file(parent.0, name)?)), reply);
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let result = self.powered();
        let result =
            result.and_then(|mut state| Ok(state.disk.remove_directory(parent.0, name)?));
        answer(result, reply);
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((parent.0, name), (new_parent.0, new_name));
        let result = self.powered().and_then(|mut state| {
            if flags.contains(RenameFlags::RENAME_EXCHANGE) {
                return Ok(state.disk.exchange(from, to)?);
            }
            let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
            Ok(state.disk.rename(from, to, replace)?)
        });
        answer(result, reply);
    }

    fn open(&self, _request: &Request, node: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let result = self.powered().and_then(|mut state| {
            state.disk.open(node.0)?;
            Ok(state.epoch)
        });
        match result {
            Ok(epoch) => reply.opened(FileHandle(epoch), unbuffered()),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let owner = owner_of(request, mode & !umask);
        let result = self.powered().and_then(|mut state| {
            let created = state.disk.create_file(parent.0, name, owner)?;
            state.disk.open(created.node)?;
            Ok((created, state.epoch))
        });
        match result {
            Ok((created, epoch)) => reply.created(
                &CACHED_FOR,
                &attributes_of(created),
                Generation(0),
                FileHandle(epoch),
                unbuffered(),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _request: &Request,
        node: INodeNo,
        handle: FileHandle,
        position: u64,
        count: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let result = self.through(handle);
        match result
            .and_then(|mut state| Ok(state.disk.read(node.0, position, u64::from(count))?))
        {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _request: &Request,
        node: INodeNo,
        handle: FileHandle,
        position: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // The kernel adds O_DSYNC for each write that asks for it, O_SYNC contains it.
        let result = if flags.0 & libc::O_DSYNC != 0 {
            self.write_durable(node, handle, position, data)
        } else {
            let result = self.through(handle);
            result.and_then(|mut state| Ok(state.disk.write(node.0, position, data.to_vec())?))
        };
        let count = u32::try_from(data.len()).expect("the kernel writes at most 1 MiB at once");
        match result {
            Ok(()) => reply.written(count),
            Err(error) => reply.error(error),
        }
    }

    fn fallocate(
        &self,
        _request: &Request,
        node: INodeNo,
        handle: FileHandle,
        position: u64,
        bytes: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let result = self.through(handle).and_then(|mut state| {
            let kept = state.disk.attributes(node.0)?.bytes;
            let end = position + bytes;
            // Zeroing is a write of zeros; allocating beyond the end is a new length of zeros.
            let zeroed = match mode & !libc::FALLOC_FL_KEEP_SIZE {
                0 => 0,
                libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_PUNCH_HOLE => {
                    end.min(kept).saturating_sub(position)
                }
                _ => return Err(Errno::EOPNOTSUPP),
            };
            if zeroed > 0 {
                let zeros = vec![0; usize::try_from(zeroed).map_err(|_| Errno::EFBIG)?];
                state.disk.write(node.0, position, zeros)?;
            }
            if mode & libc::FALLOC_FL_KEEP_SIZE == 0 && end > kept {
                state.disk.resize(node.0, end)?;
            }
            Ok(())
        });
        answer(result, reply);
    }

    fn fsync(
        &self,
        _request: &Request,
        node: INodeNo,
        handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        answer(self.flush_file(node, handle), reply);
    }

    fn release(
        &self,
        _request: &Request,
        node: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let result = self.through(handle);
        answer(result.and_then(|mut state| Ok(state.disk.release(node.0)?)), reply);
    }

    fn opendir(&self, _request: &Request, node: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let result = self.powered().and_then(|mut state| {
            let mut listing = vec![
                (OsString::from("."), node.0, FileType::Directory),
                (OsString::from(".."), node.0, FileType::Directory),
            ];
            for (name, found) in state.disk.list(node.0)? {
                listing.push((name, found.node, kind_of(found)));
            }
            state.next_listing += 1;
            let number = state.next_listing;
            state.listings.insert(number, listing);
            Ok(number)
        });
        match result {
            Ok(number) => reply.opened(FileHandle(number), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _request: &Request,
        _node: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = match self.powered() {
            Ok(state) => state,
            Err(error) => return reply.error(error),
        };
        let Some(listing) = state.listings.get(&handle.0) else {
            return reply.error(Errno::EIO);
        };
        for (next, (name, node, kind)) in (1..).zip(listing) {
            if next > offset && reply.add(INodeNo(*node), next, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _request: &Request,
        _node: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        lock(&self.state).listings.remove(&handle.0);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        node: INodeNo,
        handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        answer(self.flush_directory(node, handle), reply);
    }

    fn statfs(&self, _request: &Request, _node: INodeNo, reply: ReplyStatfs) {
        let backing = match self.powered() {
            Ok(state) => state.backing.clone(),
            Err(error) => return reply.error(error),
        };
        match rustix::fs::statvfs(&backing) {
            Ok(found) => {
                let unit = u32::try_from(found.f_frsize).expect("a block is small");
                reply.statfs(
                    found.f_blocks,
                    found.f_bfree,
                    found.f_bavail,
                    found.f_files,
                    found.f_ffree,
                    unit,
                    255,
                    unit,
                );
            }
            Err(error) => reply.error(Errno::from_i32(error.raw_os_error())),
        }
    }
}

fn answer(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

/// Past the page cache, several direct writes of one file at once, and no call on closing: a
/// process that ends with files open on its own mount would wait for its own answer.
fn unbuffered() -> FopenFlags {
    FopenFlags::FOPEN_DIRECT_IO
        | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
        | FopenFlags::FOPEN_NOFLUSH
}
