//! Whole segments in memory, ordered by shard, for those whose parts are small and mixed.
//!
//! Records of thousands of shards stand side by side in a frame, and only the whole frame has a
//! checksum: whoever wants one shard of such a segment has read all of it. So it is read once and
//! kept for the others, within a bound; where all of it would be above the bound, only the wanted
//! shard's records are kept of what is read. Readers come here only where the segment could not be
//! rewritten by shard: no space, no memory for it, or damaged.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use runtime::local::Semaphore;

use super::{Cold, frame_walk};
use crate::cluster::{Gathering, Image, ImagePart, Selection};
use crate::error::ReadError;
use crate::life::ShardLife;
use crate::segment_set::Segment;
use crate::shard::ShardKey;
use crate::table::Row;

/// What an image holds for each shard beside the records, about, bytes.
const ROW_BYTES: usize = 320;

/// The image of one segment, or of one shard there.
pub(super) struct SegmentImage {
    image: Image,
    /// All that it holds is of this shard.
    only: Option<ShardKey>,
    bytes: usize,
    /// Where frames were no whole ones.
    damaged: Vec<u64>,
}

impl SegmentImage {
    /// The parts of a shard from the one that holds record `from` on.
    pub(super) fn parts(&self, key: ShardKey, from: u64) -> impl Iterator<Item = ImagePart<'_>> {
        self.image.parts(key, from)
    }

    /// The indices of a shard that should be here: first, and behind the last.
    pub(super) fn range(&self, key: ShardKey) -> Option<(u64, u64)> {
        self.image.range(key)
    }

    /// What to say of a record that is missing here.
    pub(super) fn damage(&self, segment: u64) -> ReadError {
        let position = self.damaged.first().copied().unwrap_or(0);
        ReadError::Damaged { segment, position }
    }
}

/// The images that are in memory.
pub(super) struct Images {
    /// The least recently used in front. They need no file, and hold none back from its next use.
    loaded: RefCell<VecDeque<(Weak<Segment>, Rc<SegmentImage>)>>,
    /// One is made at a time: its memory is the bound's largest part, and others may want the same.
    loading: Semaphore,
    bytes_max: usize,
}

impl Images {
    pub(super) fn new(bytes_max: usize) -> Images {
        Images { loaded: RefCell::default(), loading: Semaphore::new(1), bytes_max }
    }

    /// Bytes of the images that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.loaded.borrow().iter().map(|(_, image)| image.bytes).sum()
    }

    fn find(&self, segment: &Rc<Segment>, key: ShardKey) -> Option<Rc<SegmentImage>> {
        let mut loaded = self.loaded.borrow_mut();
        let at = loaded.iter().position(|(other, image)| {
            let has_shard = image.only.is_none_or(|only| only == key);
            other.as_ptr() == Rc::as_ptr(segment) && has_shard
        })?;
        let found = loaded.remove(at).expect("it was just found");
        let image = found.1.clone();
        loaded.push_back(found);
        Some(image)
    }

    /// An image of a segment with all of a shard's records, from memory or made now.
    ///
    /// # Errors
    /// `Damaged` if the table is, or the disk's. Damaged frames are no error: what they held is
    /// missing.
    pub(super) async fn get(
        &self,
        cold: &Cold,
        segment: &Rc<Segment>,
        key: ShardKey,
    ) -> Result<Rc<SegmentImage>, ReadError> {
        if let Some(image) = self.find(segment, key) {
            return Ok(image);
        }
        let _one = self.loading.acquire(1).await;
        if let Some(image) = self.find(segment, key) {
            return Ok(image);
        }
        let image = Rc::new(self.load(cold, segment, key).await?);
        if image.bytes <= self.bytes_max {
            self.make_room(image.bytes);
            self.loaded.borrow_mut().push_back((Rc::downgrade(segment), image.clone()));
        }
        Ok(image)
    }

    async fn load(
        &self,
        cold: &Cold,
        segment: &Rc<Segment>,
        key: ShardKey,
    ) -> Result<SegmentImage, ReadError> {
        let rows = cold.tables.rows(segment).await?;
        let shape = cold.tables.shape(segment).await?;
        let all_bytes: usize = rows.iter().map(|row| row.bytes as usize + ROW_BYTES).sum();
        let only = (all_bytes > self.bytes_max).then_some(key);
        let is_selected = |row: &&Row| only.is_none_or(|only| only == row.key);
        let selection = select(rows.iter().filter(is_selected));
        drop(rows);
        let bytes = usize::try_from(selection.bytes()).expect("a segment has < 2^32 bytes");
        self.make_room(bytes);
        let mut gathering = Gathering::new(selection, Vec::new());
        let file = cold.set.file(segment).await?;
        let take = |_, frame: &[u8], header: &_| gathering.add_frame(frame, header);
        let damaged = frame_walk::walk(&file, segment.entry(), shape.frames_end, take).await?;
        cold.count(|stats| {
            stats.misses += 1;
            stats.read_bytes += u64::from(shape.frames_end);
        });
        let bytes = bytes + gathering.memory_bytes();
        Ok(SegmentImage { image: gathering.finish(), only, bytes, damaged })
    }

    /// Lets the longest unused images go until one of `bytes` fits, or none is left.
    fn make_room(&self, bytes: usize) {
        let mut loaded = self.loaded.borrow_mut();
        loaded.retain(|(segment, _)| segment.strong_count() > 0);
        let held = |loaded: &VecDeque<(_, Rc<SegmentImage>)>| {
            loaded.iter().map(|(_, image)| image.bytes).sum::<usize>()
        };
        while !loaded.is_empty() && held(&loaded) + bytes > self.bytes_max {
            loaded.pop_front();
        }
    }
}

fn select<'a>(rows: impl Iterator<Item = &'a Row>) -> Selection {
    let mut selection = Selection::default();
    selection.begin_segment();
    for row in rows {
        let life = ShardLife { retention_ms: row.retention_ms, horizon: 0, deleted: false };
        selection.add(row, Some(life));
    }
    selection
}
