//! Where the parts of every shard are, for segments that are not sealed yet or still in the cache.
//!
//! ```text
//!   parts   [ A0 | B0 | A1 | C0 | A2 ]      in the order written
//!              ^--------'         |         each part points to the one before of its shard
//!   heads   A -> A2, B -> B0 …  --'         per slot: newest part, records, bytes
//! ```
//! One segment of 64 MiB of 100-byte records over thousands of shards has nearly a million parts, so
//! they stand in blocks that are recycled between segments: a growing vector would copy tens of
//! megabytes under the appender, and fresh memory is slow to touch.

use std::rc::Rc;

use runtime::buffer::Buffer;

use crate::shard::ShardSlot;

/// One shard's part of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Index of its first record.
    pub first_index: u64,
    /// Whose it is.
    pub slot: ShardSlot,
    /// Ordinal of the part before of the same shard in this segment, or `NONE`.
    previous: u32,
    /// Position in the file, bytes.
    pub position: u32,
    /// Bytes of its records.
    pub bytes: u32,
    /// Records, at least one.
    pub count: u32,
    /// Ordinal of its frame in this segment.
    pub frame: u32,
}

const NONE: u32 = u32::MAX;
const PARTS_PER_BLOCK: usize = 4096;
const EMPTY: Part = Part {
    first_index: 0,
    slot: ShardSlot(0),
    previous: NONE,
    position: 0,
    bytes: 0,
    count: 0,
    frame: 0,
};

const _: () = assert!(size_of::<Part>() == 32);

impl Part {
    /// A part that is not in an index yet.
    pub(crate) fn new(
        slot: ShardSlot,
        first_index: u64,
        count: u32,
        position: u32,
        bytes: u32,
        frame: u32,
    ) -> Part {
        Part { first_index, slot, previous: NONE, position, bytes, count, frame }
    }

    /// Index behind its last record.
    pub(crate) fn end_index(&self) -> u64 {
        self.first_index + u64::from(self.count)
    }
}

type Block = Box<[Part]>;

/// Part blocks that no segment uses at the moment.
#[derive(Default)]
pub(crate) struct PartBlocks {
    free: Vec<Block>,
}

impl PartBlocks {
    fn take(&mut self) -> Block {
        self.free.pop().unwrap_or_else(|| vec![EMPTY; PARTS_PER_BLOCK].into_boxed_slice())
    }

    /// Takes the blocks of an index that is done with. As many are kept as it had: the next index
    /// of the same load finds its blocks, and a peak is not kept for ever.
    pub(crate) fn recycle(&mut self, index: SegmentIndex) {
        let kept = index.blocks.len();
        self.free.extend(index.blocks);
        self.free.truncate(kept);
    }

    /// Memory of the free blocks, bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.free.len() * PARTS_PER_BLOCK * size_of::<Part>()
    }
}

/// What one segment holds of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    last: u32,
    /// Records.
    pub count: u32,
    /// Bytes.
    pub bytes: u32,
}

const NO_HEAD: Head = Head { last: NONE, count: 0, bytes: 0 };

/// One frame of the segment.
#[derive(Clone)]
pub(crate) struct FrameMeta {
    /// Ordinal over the life of the log.
    pub number: u64,
    /// Position in the file, bytes.
    pub position: u32,
    /// Bytes with padding.
    pub bytes: u32,
    /// Base of its records' arrival times, Unix ms.
    pub base_ms: u64,
    /// The frame itself while it is in the cache.
    pub buffer: Option<Rc<Buffer>>,
}

/// The index of one segment.
#[derive(Default)]
pub(crate) struct SegmentIndex {
    blocks: Vec<Block>,
    part_count: u32,
    heads: Vec<Head>,
    /// The frames that have parts, in order.
    pub frames: Vec<FrameMeta>,
}

impl SegmentIndex {
    /// Adds a part of the newest frame. Parts of a shard come in index order.
    pub(crate) fn push(&mut self, blocks: &mut PartBlocks, mut part: Part) {
        assert!(part.count > 0);
        assert_eq!(part.frame as usize + 1, self.frames.len());
        let ordinal = self.part_count;
        if (ordinal as usize).is_multiple_of(PARTS_PER_BLOCK) {
            self.blocks.push(blocks.take());
        }
        if part.slot.at() >= self.heads.len() {
            self.heads.resize(part.slot.at() + 1, NO_HEAD);
        }
        let head = &mut self.heads[part.slot.at()];
        part.previous = head.last;
        head.last = ordinal;
        head.count += part.count;
        head.bytes += part.bytes;
        let block = &mut self.blocks[ordinal as usize / PARTS_PER_BLOCK];
        block[ordinal as usize % PARTS_PER_BLOCK] = part;
        self.part_count += 1;
    }

    /// Parts in the segment.
    pub(crate) fn part_count(&self) -> u32 {
        self.part_count
    }

    /// The part with this ordinal.
    pub(crate) fn part(&self, ordinal: u32) -> &Part {
        assert!(ordinal < self.part_count);
        &self.blocks[ordinal as usize / PARTS_PER_BLOCK][ordinal as usize % PARTS_PER_BLOCK]
    }

    /// What the segment holds of a shard; zeros if nothing.
    pub(crate) fn head(&self, slot: ShardSlot) -> Head {
        self.heads.get(slot.at()).copied().unwrap_or(NO_HEAD)
    }

    /// What the segment holds of every shard, by slot.
    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// A shard's parts from the newest to the oldest.
    pub(crate) fn newest_first(&self, slot: ShardSlot) -> impl Iterator<Item = &Part> {
        self.ordinals_newest_first(slot).map(|ordinal| self.part(ordinal))
    }

    /// The ordinals of a shard's parts from the newest to the oldest.
    pub(crate) fn ordinals_newest_first(&self, slot: ShardSlot) -> impl Iterator<Item = u32> {
        let mut next = self.head(slot).last;
        std::iter::from_fn(move || {
            (next != NONE).then(|| {
                let ordinal = next;
                next = self.part(ordinal).previous;
                ordinal
            })
        })
    }

    /// Memory that the index holds without its cached frames, bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.blocks.len() * PARTS_PER_BLOCK * size_of::<Part>()
            + self.heads.capacity() * size_of::<Head>()
            + self.frames.capacity() * size_of::<FrameMeta>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(index: &mut SegmentIndex, blocks: &mut PartBlocks, slot: u32, first: u64, count: u32) {
        let frame = index.frames.len() as u32 - 1;
        let slot = ShardSlot(slot);
        let part = Part { first_index: first, slot, count, bytes: count * 10, frame, ..EMPTY };
        index.push(blocks, part);
    }

    #[test]
    fn parts_of_a_shard_are_found_newest_first_across_blocks() {
        let mut blocks = PartBlocks::default();
        let mut index = SegmentIndex::default();
        let frame = FrameMeta { number: 0, position: 0, bytes: 4096, base_ms: 0, buffer: None };
        for round in 0..3_000u64 {
            index.frames.push(frame.clone());
            push(&mut index, &mut blocks, 7, round * 2, 2);
            push(&mut index, &mut blocks, 3, round, 1);
        }
        assert_eq!(index.part_count(), 6_000);
        let firsts: Vec<_> =
            index.newest_first(ShardSlot(7)).map(|part| part.first_index).collect();
        let expected: Vec<_> = (0..3_000u64).rev().map(|round| round * 2).collect();
        assert_eq!(firsts, expected);
        assert_eq!(index.head(ShardSlot(3)).count, 3_000);
        assert_eq!(index.head(ShardSlot(7)).bytes, 60_000);
        assert_eq!(index.newest_first(ShardSlot(5)).count(), 0);
        assert_eq!(index.newest_first(ShardSlot(500)).count(), 0);
    }

    #[test]
    fn blocks_are_recycled() {
        let mut blocks = PartBlocks::default();
        let mut index = SegmentIndex::default();
        let frame = FrameMeta { number: 0, position: 0, bytes: 4096, base_ms: 0, buffer: None };
        index.frames.push(frame.clone());
        push(&mut index, &mut blocks, 0, 0, 1);
        blocks.recycle(index);
        assert_eq!(blocks.free.len(), 1);
        let mut next = SegmentIndex::default();
        next.frames.push(frame);
        push(&mut next, &mut blocks, 1, 5, 1);
        assert_eq!(blocks.free.len(), 0);
        assert_eq!(next.newest_first(ShardSlot(1)).count(), 1);
        assert_eq!(next.newest_first(ShardSlot(0)).count(), 0);
    }
}
