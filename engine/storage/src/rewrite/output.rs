//! Writes images to a file of their own: frames, then the table.

use std::collections::VecDeque;
use std::rc::Rc;

use runtime::buffer::Buffer;
use runtime::file::{File, IoError, Pending};
use runtime::task;

use crate::catalog::SegmentEntry;
use crate::cluster::{Image, Written, table_of};
use crate::sealer;
use crate::shard::ShardKey;
use crate::table::{Footer, Posting, Row, Table, tail_bytes};

/// Frames in flight: enough to keep the device busy, few enough to leave it to appends.
pub(super) const DEPTH: usize = 4;

/// A file that is being written.
pub(super) struct Output {
    file: File,
    entry: SegmentEntry,
    life: u32,
    frames: u64,
    frames_end: u64,
    postings: Vec<(ShardKey, Posting)>,
}

impl Output {
    /// Nothing is written yet to `file`, which is to hold `entry`.
    pub(super) fn new(file: File, entry: SegmentEntry, life: u32) -> Output {
        Output { file, entry, life, frames: 0, frames_end: 0, postings: Vec::new() }
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether the file takes an image and a table behind it. What is gathered at once has a file of
    /// its size. In passes it may be larger than was reckoned: times that are months apart cut more
    /// frames than sizes do.
    pub(super) fn has_room(&self, image: &Image) -> bool {
        let postings = self.postings.len() + image.piece_count();
        let tail = tail_bytes(image.rows().len(), postings);
        self.frames_end + image.frames_end() + tail <= self.entry.bytes
    }

    /// Writes the frames of an image behind those that are there.
    ///
    /// # Errors
    /// The disk's; then the file is of no use.
    pub(super) async fn append(&mut self, image: &Image) -> Result<(), IoError> {
        let SegmentEntry { first, generation, log, .. } = self.entry;
        let position = u32::try_from(self.frames_end).expect("a run was bounded to fit");
        let (segment, life, frames_before) = (first, self.life, self.frames);
        let written = Written { segment, generation, log, life, frames_before, position };
        let mut postings = Vec::new();
        let mut pending: VecDeque<Pending<()>> = VecDeque::new();
        for ordinal in 0..image.frame_count() {
            if pending.len() >= DEPTH {
                pending.pop_front().expect("there are writes in flight").await?;
            }
            let (position, bytes) = image.frame_place(ordinal);
            let mut buffer = Buffer::reused(bytes);
            image.encode_frame(ordinal, &written, &mut buffer, &mut postings);
            pending.push_back(self.file.write(self.frames_end + position, Rc::new(buffer)));
            if task::should_yield() {
                task::yield_now().await;
            }
        }
        for write in pending {
            write.await?;
        }
        self.frames += image.frame_count() as u64;
        self.frames_end += image.frames_end();
        self.postings.extend(image.keyed(postings));
        Ok(())
    }

    /// Writes the table. All is durable after a flush.
    ///
    /// # Errors
    /// The disk's; then the file is of no use.
    pub(super) async fn finish(self, rows: &[Row], chain: &Footer) -> Result<Table, IoError> {
        let Output { file, entry, life, frames_end, postings, .. } = self;
        let (rows, postings) = table_of(rows, postings);
        assert!(frames_end + tail_bytes(rows.len(), postings.len()) <= entry.bytes);
        let footer = Footer {
            first: entry.first,
            last: entry.last,
            generation: entry.generation,
            log: entry.log,
            clustered: true,
            has_postings: true,
            frames_end: u32::try_from(frames_end).expect("a run was bounded to fit"),
            next_frame: chain.next_frame,
            last_checksum: chain.last_checksum,
            arrival_ms: chain.arrival_ms,
            has_nameless_damage: chain.has_nameless_damage,
            life,
            seed: runtime::random::seed(),
            ..Footer::default()
        };
        let table = Table::new(footer, rows, postings, entry.bytes);
        sealer::write_table(&file, &table).await?;
        Ok(table)
    }
}
