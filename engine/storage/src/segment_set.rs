//! The sealed segments of one log, in order, and the files that hold them.
//!
//! ```text
//!   numbers   0 .. 4        5     6     7 .. 9          chain segments and rewritten runs
//!   files     clustered     chain chain clustered       opened when needed, a bounded number kept
//! ```
//! A segment that was replaced or removed stays readable for those who hold it; its file is given
//! up when the last of them lets go, never before: a recycled file would give a reader another
//! segment's bytes.
//!
//! About 150 bytes a segment, whatever it holds: 2.4 MB for a log of a terabyte.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use runtime::file::{self, Access, File, IoError};
use runtime::local::Notify;

use crate::catalog::SegmentEntry;
use crate::pool::file_name;
use crate::table::{Footer, Region};

/// What is kept in memory of a segment's footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Seed of the table's block checksums.
    pub seed: u64,
    /// Rows of the table.
    pub row_count: u32,
    /// Postings of the table.
    pub posting_count: u32,
    /// Every part has a posting.
    pub has_postings: bool,
    /// First byte behind the last frame.
    pub frames_end: u32,
}

impl Shape {
    /// The part of a footer that readers need.
    pub fn of(footer: &Footer) -> Shape {
        Shape {
            seed: footer.seed,
            row_count: footer.row_count,
            posting_count: footer.posting_count,
            has_postings: footer.has_postings,
            frames_end: footer.frames_end,
        }
    }
}

/// What the last look at a segment's table found alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Which look it was; 0: none yet.
    pub round: u32,
    /// Shards of which something is kept.
    pub live_shards: u32,
    /// Bytes of the records that are kept.
    pub live_bytes: u32,
    /// Bytes of all records, kept or not.
    pub record_bytes: u32,
    /// When the next shard has nothing left here, Unix ms.
    pub earliest_expiry_ms: u64,
}

/// What is known of a table's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableState {
    /// Nobody has found a damaged one.
    Whole,
    /// Somebody has.
    Damaged,
    /// And it could not be built anew.
    Lost,
}

/// One sealed segment, or a run of them in one file.
pub struct Segment {
    entry: SegmentEntry,
    shape: Cell<Option<Shape>>,
    census: Cell<Census>,
    /// A frame or the table cannot be read: it is never rewritten, or what is left would be taken
    /// for all there was.
    damaged: Cell<bool>,
    /// In passes it would get larger than was reckoned.
    too_large: Cell<bool>,
    table_state: Cell<TableState>,
    /// What stood right before it, or in it, may be gone without a horizon that says so: an earlier
    /// life gave it up, or its table could not be read when it was.
    follows_trim: Cell<bool>,
    file: RefCell<Option<File>>,
    /// Who takes the file when the last user lets go, once the segment was replaced or removed.
    retired: RefCell<Option<Rc<Freed>>>,
}

impl Segment {
    fn new(entry: SegmentEntry, follows_trim: bool) -> Segment {
        Segment {
            entry,
            shape: Cell::new(None),
            census: Cell::default(),
            damaged: Cell::new(false),
            too_large: Cell::new(false),
            table_state: Cell::new(TableState::Whole),
            follows_trim: Cell::new(follows_trim),
            file: RefCell::new(None),
            retired: RefCell::new(None),
        }
    }

    /// Where it lies.
    pub fn entry(&self) -> &SegmentEntry {
        &self.entry
    }

    /// The shape of its table, once its footer was read.
    pub fn shape(&self) -> Option<Shape> {
        self.shape.get()
    }

    /// Remembers the shape of its table, and forgets what the one before said.
    pub fn set_shape(&self, shape: Option<Shape>) {
        self.shape.set(shape);
    }

    /// What the last look at its table found.
    pub fn census(&self) -> Census {
        self.census.get()
    }

    /// Remembers what a look at its table found.
    pub fn set_census(&self, census: Census) {
        self.census.set(census);
    }

    /// Whether some of it cannot be read.
    pub fn is_damaged(&self) -> bool {
        self.damaged.get()
    }

    /// Remembers that some of it cannot be read.
    pub fn set_damaged(&self) {
        self.damaged.set(true);
    }

    /// Whether it was found too large to be rewritten in passes.
    pub fn is_too_large(&self) -> bool {
        self.too_large.get()
    }

    /// Remembers that it is too large to be rewritten in passes.
    pub fn set_too_large(&self) {
        self.too_large.set(true);
    }

    /// What is known of its table's blocks.
    pub fn table_state(&self) -> TableState {
        self.table_state.get()
    }

    /// Remembers what is known of its table's blocks.
    pub fn set_table_state(&self, state: TableState) {
        self.table_state.set(state);
    }

    /// Remembers that a block of its table was found damaged.
    pub fn note_damaged_table(&self) {
        if self.table_state.get() == TableState::Whole {
            self.table_state.set(TableState::Damaged);
        }
    }

    /// Whether records before it, or of it, may be gone though no horizon of this life says so.
    pub fn follows_trim(&self) -> bool {
        self.follows_trim.get()
    }

    /// Remembers that records before it may be gone though no horizon says so.
    pub fn set_follows_trim(&self) {
        self.follows_trim.set(true);
    }

    /// Whether it was replaced or removed since.
    pub fn is_retired(&self) -> bool {
        self.retired.borrow().is_some()
    }

    /// A footer that places the regions of its table.
    pub fn footer_of(&self, shape: &Shape) -> Footer {
        let footer = Footer {
            first: self.entry.first,
            last: self.entry.last,
            generation: self.entry.generation,
            log: self.entry.log,
            clustered: self.entry.clustered,
            has_postings: shape.has_postings,
            frames_end: shape.frames_end,
            seed: shape.seed,
            ..Footer::default()
        };
        footer.placed(shape.row_count as usize, shape.posting_count as usize, self.entry.bytes)
    }

    /// Blocks in a region of its table.
    pub fn block_count(&self, shape: &Shape, region: Region) -> usize {
        let footer = self.footer_of(shape);
        region.blocks(footer.count(region))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some(freed) = self.retired.borrow_mut().take() {
            freed.entries.borrow_mut().push_back(self.entry);
            freed.changed.notify_all();
        }
    }
}

/// Files whose segments were replaced or removed and that nobody reads any more. There is at most
/// one entry per file of the log, so it needs no other bound.
#[derive(Default)]
pub struct Freed {
    entries: RefCell<VecDeque<SegmentEntry>>,
    changed: Notify,
}

impl Freed {
    /// The next file to take back, if there is one.
    pub fn try_next(&self) -> Option<SegmentEntry> {
        self.entries.borrow_mut().pop_front()
    }

    /// Resolves when there may be a next file to take back.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The sealed segments of one log. Clones share it.
#[derive(Clone)]
pub struct SegmentSet {
    inner: Rc<Inner>,
}

struct Inner {
    directory: PathBuf,
    open_files_max: usize,
    /// Sorted by number, without overlap.
    segments: RefCell<Vec<Rc<Segment>>>,
    /// Segments that keep their file open, in the order in which they were opened.
    open: RefCell<VecDeque<Weak<Segment>>>,
    freed: Rc<Freed>,
    bytes: Cell<u64>,
}

impl SegmentSet {
    /// An empty set of files in `directory`, of which at most `open_files_max` stay open without
    /// being used.
    pub fn new(directory: &Path, open_files_max: usize) -> SegmentSet {
        assert!(open_files_max > 0);
        SegmentSet {
            inner: Rc::new(Inner {
                directory: directory.to_path_buf(),
                open_files_max,
                segments: RefCell::default(),
                open: RefCell::default(),
                freed: Rc::default(),
                bytes: Cell::new(0),
            }),
        }
    }

    /// Adds a segment whose table is durable: one that an earlier life has left, or that was just
    /// sealed.
    pub fn insert(&self, entry: SegmentEntry) -> Rc<Segment> {
        let end_before = self.before(entry.first).map_or(0, |before| before.entry.last + 1);
        self.put(entry, entry.clustered || end_before != entry.first)
    }

    fn put(&self, entry: SegmentEntry, follows_trim: bool) -> Rc<Segment> {
        let segment = Rc::new(Segment::new(entry, follows_trim));
        let mut segments = self.inner.segments.borrow_mut();
        let at = segments.partition_point(|other| other.entry.first < entry.first);
        assert!(entry.first <= entry.last);
        assert!(at == 0 || segments[at - 1].entry.last < entry.first);
        assert!(segments.get(at).is_none_or(|next| next.entry.first > entry.last));
        segments.insert(at, segment.clone());
        self.inner.bytes.set(self.inner.bytes.get() + entry.bytes);
        segment
    }

    /// Puts a rewritten segment in the place of the run that it covers, which must still be here.
    pub fn replace(&self, entry: SegmentEntry) -> Rc<Segment> {
        let replaced: Vec<Rc<Segment>> = {
            let mut segments = self.inner.segments.borrow_mut();
            let from = segments.partition_point(|other| other.entry.last < entry.first);
            let to = segments.partition_point(|other| other.entry.first <= entry.last);
            assert!(from < to);
            assert!(segments[from].entry.first >= entry.first);
            assert!(segments[to - 1].entry.last <= entry.last);
            segments.drain(from..to).collect()
        };
        let follows_trim = replaced.iter().any(|segment| segment.follows_trim());
        replaced.into_iter().for_each(|segment| self.retire(segment));
        self.put(entry, follows_trim)
    }

    /// Removes a segment of which nothing is wanted.
    pub fn remove(&self, segment: &Rc<Segment>) {
        let removed = {
            let mut segments = self.inner.segments.borrow_mut();
            let at = segments.iter().position(|other| Rc::ptr_eq(other, segment));
            let removed = segments.remove(at.expect("a segment is removed once"));
            // The one behind now stands where records of earlier lives are gone.
            let at = segments.partition_point(|other| other.entry.first < removed.entry.first);
            if let Some(behind) = segments.get(at).filter(|_| removed.follows_trim()) {
                behind.set_follows_trim();
            }
            removed
        };
        self.retire(removed);
    }

    fn retire(&self, segment: Rc<Segment>) {
        let bytes = self.inner.bytes.get();
        assert!(bytes >= segment.entry.bytes);
        self.inner.bytes.set(bytes - segment.entry.bytes);
        // Those who still read hold the file themselves.
        segment.file.borrow_mut().take();
        *segment.retired.borrow_mut() = Some(self.inner.freed.clone());
    }

    /// Whether `segment` is part of the set now.
    pub fn contains(&self, segment: &Rc<Segment>) -> bool {
        self.at(segment.entry.first).is_some_and(|found| Rc::ptr_eq(&found, segment))
    }

    /// How many segments there are.
    pub fn count(&self) -> usize {
        self.inner.segments.borrow().len()
    }

    /// Bytes of their files.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes.get()
    }

    /// The files to take back.
    pub fn freed(&self) -> Rc<Freed> {
        self.inner.freed.clone()
    }

    /// The segment that covers this number.
    pub fn at(&self, number: u64) -> Option<Rc<Segment>> {
        let segments = self.inner.segments.borrow();
        let at = segments.partition_point(|segment| segment.entry.last < number);
        segments.get(at).filter(|segment| segment.entry.first <= number).cloned()
    }

    /// The first segment whose first number is `number` or higher.
    pub fn from(&self, number: u64) -> Option<Rc<Segment>> {
        let segments = self.inner.segments.borrow();
        let at = segments.partition_point(|segment| segment.entry.first < number);
        segments.get(at).cloned()
    }

    /// The last segment whose last number is below `number`.
    pub fn before(&self, number: u64) -> Option<Rc<Segment>> {
        let segments = self.inner.segments.borrow();
        let at = segments.partition_point(|segment| segment.entry.last < number);
        at.checked_sub(1).map(|at| segments[at].clone())
    }

    /// The newest segment. Recovery starts from its table, so its file is never given up.
    pub fn newest(&self) -> Option<Rc<Segment>> {
        self.inner.segments.borrow().last().cloned()
    }

    /// The middle one of the segments whose first number is in `low..high`: a step of a search that
    /// stays right while segments are replaced.
    pub fn middle(&self, low: u64, high: u64) -> Option<Rc<Segment>> {
        let segments = self.inner.segments.borrow();
        let from = segments.partition_point(|segment| segment.entry.first < low);
        let to = segments.partition_point(|segment| segment.entry.first < high);
        (from < to).then(|| segments[from + (to - from) / 2].clone())
    }

    /// All segments, for a look at each without an await in between.
    pub fn all(&self) -> Vec<Rc<Segment>> {
        self.inner.segments.borrow().clone()
    }

    /// The path of a segment's file.
    pub fn path(&self, log: u16, file: u32) -> PathBuf {
        self.inner.directory.join(file_name(log, file))
    }

    /// The folder of the files.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// The file of a segment, opened if it is not. Hold the segment while using it.
    ///
    /// # Errors
    /// The disk's.
    pub async fn file(&self, segment: &Rc<Segment>) -> Result<File, IoError> {
        if let Some(file) = &*segment.file.borrow() {
            return Ok(file.clone());
        }
        let path = self.path(segment.entry.log, segment.entry.file);
        let file = file::open(&path, Access::ReadWrite).await?;
        if segment.is_retired() || segment.file.borrow().is_some() {
            return Ok(file);
        }
        *segment.file.borrow_mut() = Some(file.clone());
        let mut open = self.inner.open.borrow_mut();
        open.push_back(Rc::downgrade(segment));
        if open.len() > self.inner.open_files_max {
            let oldest = open.pop_front().and_then(|oldest| oldest.upgrade());
            drop(oldest.and_then(|oldest| oldest.file.borrow_mut().take()));
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(first: u64, last: u64) -> SegmentEntry {
        SegmentEntry {
            log: 0,
            first,
            last,
            file: first as u32,
            generation: 1,
            bytes: 100,
            clustered: first != last,
        }
    }

    fn set(numbers: &[(u64, u64)]) -> SegmentSet {
        let set = SegmentSet::new(Path::new("segments"), 4);
        numbers.iter().for_each(|&(first, last)| drop(set.insert(entry(first, last))));
        set
    }

    fn numbers(set: &SegmentSet) -> Vec<(u64, u64)> {
        set.all().iter().map(|segment| (segment.entry.first, segment.entry.last)).collect()
    }

    #[test]
    fn segments_are_found_by_the_numbers_that_they_cover() {
        let set = set(&[(5, 5), (0, 3), (7, 9)]);
        assert_eq!(numbers(&set), [(0, 3), (5, 5), (7, 9)]);
        let at = |number| set.at(number).map(|segment| segment.entry.first);
        let found: Vec<_> = (0..11).map(at).collect();
        let none = None;
        let expected = [Some(0), Some(0), Some(0), Some(0), none, Some(5), none];
        assert_eq!(found[..7], expected);
        assert_eq!(found[7..], [Some(7), Some(7), Some(7), None]);
        assert_eq!(set.from(4).unwrap().entry.first, 5);
        assert_eq!(set.before(7).unwrap().entry.first, 5);
        assert!(set.before(3).is_none());
        assert_eq!(set.middle(0, 10).unwrap().entry.first, 5);
        assert_eq!(set.middle(6, 10).unwrap().entry.first, 7);
        assert!(set.middle(1, 5).is_none());
        assert_eq!((set.count(), set.bytes()), (3, 300));
    }

    #[test]
    fn a_replaced_file_is_freed_when_its_last_reader_lets_go() {
        let set = set(&[(0, 0), (1, 1), (2, 2), (3, 3)]);
        let reader = set.at(1).unwrap();
        let freed = set.freed();
        set.replace(entry(0, 2));
        assert_eq!(numbers(&set), [(0, 2), (3, 3)]);
        let mut files = Vec::new();
        while let Some(entry) = freed.try_next() {
            files.push(entry.file);
        }
        assert_eq!(files, [0, 2]);
        assert!(reader.is_retired());
        assert!(!set.contains(&reader));
        drop(reader);
        assert_eq!(freed.try_next().map(|entry| entry.file), Some(1));
        assert_eq!(set.bytes(), 200);
    }

    #[test]
    fn a_removed_segment_is_freed_and_dropping_the_set_frees_nothing() {
        let set = set(&[(0, 0), (1, 1)]);
        let freed = set.freed();
        let oldest = set.at(0).unwrap();
        set.remove(&oldest);
        assert!(freed.try_next().is_none());
        drop(oldest);
        assert!(freed.try_next().is_some());
        drop(set);
        assert!(freed.try_next().is_none());
    }

    #[test]
    fn what_is_kept_of_a_segment_is_small() {
        assert!(size_of::<Segment>() + 16 + 8 <= 176);
    }
}
