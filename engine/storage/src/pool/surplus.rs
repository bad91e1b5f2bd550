//! How many files a log keeps beside its records, and how it gets rid of the others.
//!
//! | the log                         | segments ready     | free files | what is too many goes            |
//! | ------------------------------- | ------------------ | ---------- | -------------------------------- |
//! | was written within `idle_after` | `spare_segments`   | a few      | after `surplus_kept`             |
//! | has been idle for longer        | one                | none       | at once                          |
//! | was stocked                     | `spare_segments`   | all        | not before the free ones are used |
//! | has met a full disk             | as many as it gets | a few      | at once                          |
//!
//! The reserve comes on top of that. A removal has the device discard the file's blocks, which holds
//! up every flush for tens of milliseconds: so under load a file too many stays for a while, for most
//! often the log soon takes it again, and between two removals there is always a rest.
//!
//! A segment that is ready is given up by the manifest first: its number and its file are assigned
//! anew only after that, and no frame was ever written to it.

use runtime::clock::{self, Instant};
use runtime::file;

use super::Pool;
use crate::catalog::{CatalogError, Mutation};
use crate::rewrite::free_file;

/// After a removal the next one waits this many times as long as it took: other logs may be on the
/// same device.
const REMOVAL_REST: u32 = 1;

/// What became of a free file that nobody needs.
pub(crate) enum Trimmed {
    /// There was none.
    Nothing,
    /// One was removed.
    One,
    /// It stays until then.
    NotBefore(Instant),
}

/// What is to be done so that the right number of segments is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// One more is made ready.
    Prepare,
    /// The reserve is made.
    MakeReserve,
    /// The newest is given up.
    GiveUp,
    /// Nothing before something changes, or the log becomes idle then.
    Wait(Option<Instant>),
}

impl Pool {
    /// What comes next, for a log that wants a reserve or does not. The reserve comes first, unless
    /// appends wait: on a disk that fills up it must be there.
    pub(crate) fn next_step(&self, wants_reserve: bool) -> Step {
        let ready = self.ready_count();
        if wants_reserve && self.lacks_reserve() && ready > 0 {
            return Step::MakeReserve;
        }
        let is_idle = self.is_idle();
        self.is_resting.set(is_idle);
        let wanted = self.wanted_count();
        if ready < wanted {
            Step::Prepare
        } else if ready > wanted {
            Step::GiveUp
        } else {
            // Whatever the disk has said before: nothing is lacking now.
            self.out_of_space.set(false);
            Step::Wait((!is_idle).then(|| self.idle_at()))
        }
    }

    /// Segments that should be ready.
    fn wanted_count(&self) -> usize {
        let gives_up = self.is_idle() && !self.is_stocked.get();
        if gives_up { 1 } else { self.spare_segments }
    }

    fn is_idle(&self) -> bool {
        clock::now() >= self.idle_at()
    }

    /// When the log will be idle if nothing is appended, and nobody waits to append.
    fn idle_at(&self) -> Instant {
        self.used_at.get() + self.idle_after
    }

    /// The log is written, or waits for room: it wants more than an idle one has.
    pub(crate) fn note_used(&self) {
        self.used_at.set(clock::now());
        if self.is_resting.replace(false) {
            self.wanted.notify_all();
        }
    }

    /// Makes a free file of the newest segment that is ready.
    ///
    /// # Errors
    /// The catalog's. A full disk is not an error: `is_out_of_space` says so.
    pub(crate) async fn give_up_ready(&self) -> Result<(), CatalogError> {
        let Some(newest) = self.files.borrow_mut().ready.pop_back() else { return Ok(()) };
        let entry = newest.entry;
        let mutations = vec![
            Mutation::RemoveSegment { log: self.log, first: entry.first },
            Mutation::PutFile(free_file(&entry)),
        ];
        match self.catalog.commit(mutations).await {
            Ok(()) => {}
            // The segment is as ready as it was.
            Err(error) if error.is_for_space() => {
                self.add_ready(newest);
                self.ran_out_of_space();
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let mut files = self.files.borrow_mut();
        assert_eq!(files.next_segment, entry.first + 1, "the newest is given up first");
        files.next_segment = entry.first;
        files.free.push(free_file(&entry));
        Ok(())
    }

    /// Removes one free file if there is one that a log of `sealed_bytes` does not need: of another
    /// size, or too many. What was stocked stays until it is used up.
    ///
    /// # Errors
    /// The disk's or the catalog's.
    pub(crate) async fn trim(&self, sealed_bytes: u64) -> Result<Trimmed, CatalogError> {
        let Some(at) = self.surplus(sealed_bytes) else {
            self.trim_at.set(None);
            return Ok(Trimmed::Nothing);
        };
        let now = clock::now();
        let trim_at = self.trim_at.get().unwrap_or(now + self.surplus_kept);
        self.trim_at.set(Some(trim_at));
        let not_before = trim_at.min(self.idle_at()).max(self.rests_until.get());
        // A full disk cannot wait.
        if now < not_before && !self.out_of_space.get() {
            return Ok(Trimmed::NotBefore(not_before));
        }
        let entry = self.files.borrow_mut().free.swap_remove(at);
        let removal = Mutation::RemoveFile { log: self.log, file: entry.file };
        if let Err(error) = self.catalog.commit(vec![removal]).await {
            // Where there is no space nothing has changed; any other error ends the log.
            self.files.borrow_mut().free.push(entry);
            return Err(error);
        }
        // A crash before leaves a file that the manifest does not know, which opening removes.
        file::remove(&self.path(entry.file)).await?;
        file::sync_directory(&self.directory).await?;
        self.space_came_back();
        let end = clock::now();
        self.rests_until.set(end + (end - now) * REMOVAL_REST);
        Ok(Trimmed::One)
    }

    /// The place of a free file that is not needed.
    fn surplus(&self, sealed_bytes: u64) -> Option<usize> {
        let kept = self.free_files_max(sealed_bytes);
        let free = &self.files.borrow().free;
        let odd = free.iter().position(|free| free.bytes != self.segment_bytes);
        let is_too_many = !self.is_stocked.get() && free.len() > kept;
        odd.or_else(|| is_too_many.then(|| free.len() - 1))
    }

    /// Free files that a log of `sealed_bytes` keeps. While segments are to be made ready, they
    /// are taken from these: one that fits there is never removed.
    fn free_files_max(&self, sealed_bytes: u64) -> usize {
        let lacking = self.wanted_count().saturating_sub(self.ready_count());
        if self.is_idle() {
            return lacking;
        }
        let quarter = usize::try_from(sealed_bytes / 4 / self.segment_bytes).unwrap_or(usize::MAX);
        lacking + self.free_files_max.min(quarter)
    }
}
