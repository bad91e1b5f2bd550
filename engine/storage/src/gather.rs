//! Turns the open frame, a list of runs of waiting batches, into the bytes of one frame.
//!
//! ```text
//!   runs      batch 7: A B A C      batch 8: B A
//!   pass 1    count records and bytes per shard       A 3, B 2, C 1
//!   pass 2    copy each record to its shard's cursor  [A A A | B B | C]
//! ```
//! Budget: one read of the record list, one copy of key and data, one read for the checksum; no
//! allocation per record. The cursors of a thousand shards fit the first-level cache.

use std::rc::Rc;
use std::sync::Arc;

use runtime::buffer::Buffer;

use crate::frame::{self, DirectoryEntry, FrameHeader, FrameKind, HEADER_BYTES};
use crate::record;
use crate::shard::ShardSlot;
use crate::shards::Shards;

/// One record of an append: who gets it, and where key and data stand in the batch's payload.
#[derive(Clone, Copy, Debug)]
pub struct AppendRecord {
    /// The shard.
    pub slot: ShardSlot,
    /// Where the partition key starts, bytes.
    pub key_start: u32,
    /// Where the data starts, bytes.
    pub data_start: u32,
    /// Bytes of the data.
    pub data_bytes: u32,
    /// Bytes of the partition key.
    pub key_bytes: u16,
}

impl AppendRecord {
    /// Bytes that the record takes in a part.
    pub(crate) fn encoded_bytes(&self) -> usize {
        record::encoded_bytes(usize::from(self.key_bytes), self.data_bytes as usize)
    }
}

/// A batch that was accepted: its records have indices and one arrival time.
pub(crate) struct Batch {
    pub payload: Arc<Vec<u8>>,
    pub records: Vec<AppendRecord>,
    /// The index of each record, in the order of `records`.
    pub indices: Vec<u64>,
    pub arrival_ms: u64,
}

/// The records `from..to` of a batch, as far as they belong to one frame.
pub(crate) struct Run {
    pub batch: Rc<Batch>,
    pub from: usize,
    pub to: usize,
}

/// A shard's part in a frame that was just gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GatheredPart {
    pub slot: ShardSlot,
    pub first_index: u64,
    pub count: u32,
    pub bytes: u32,
    /// Start within the frame, bytes.
    pub start: u32,
}

#[derive(Clone, Copy, Default)]
struct Cursor {
    /// Pass 1: bytes counted. Pass 2: where the next record goes.
    bytes: u32,
    count: u32,
}

/// Reused between frames, so that gathering allocates nothing but the frame.
#[derive(Default)]
pub(crate) struct Gather {
    cursors: Vec<Cursor>,
    /// The parts of the newest frame, in the order of its directory.
    pub parts: Vec<GatheredPart>,
}

/// A gathered frame and its header checksum.
pub(crate) struct Gathered {
    pub buffer: Buffer,
    pub checksum: u64,
}

impl Gather {
    /// Gathers `runs`, whose records belong to shards of `shards`, into one frame.
    ///
    /// Of `header` the fields `directory_count`, `payload_bytes` and `record_count` are filled in
    /// here. `self.parts` holds the parts afterwards.
    pub(crate) fn gather(
        &mut self,
        runs: &[Run],
        shards: &Shards,
        header: &mut FrameHeader,
    ) -> Gathered {
        assert_eq!(header.kind, FrameKind::Records);
        self.count(runs, shards.count());
        header.directory_count = u32::try_from(self.parts.len()).expect("a frame has < 2^32 parts");
        header.payload_bytes = self.parts.iter().map(|part| part.bytes).sum();
        header.record_count = self.parts.iter().map(|part| part.count).sum();
        let mut buffer = Buffer::reused(header.frame_bytes());
        self.write_directory(&mut buffer, shards, header);
        self.copy(&mut buffer, runs, header.base_ms);
        let content_bytes = header.content_bytes();
        // What stood in a reused buffer must not reach the disk.
        buffer[content_bytes..].fill(0);
        let checksum = frame::seal(&mut buffer, header);
        Gathered { buffer, checksum }
    }

    fn count(&mut self, runs: &[Run], shard_count: usize) {
        self.parts.clear();
        self.cursors.resize(shard_count, Cursor::default());
        for run in runs {
            let batch = &run.batch;
            let indices = &batch.indices[run.from..run.to];
            for (record, &index) in batch.records[run.from..run.to].iter().zip(indices) {
                let cursor = &mut self.cursors[record.slot.at()];
                if cursor.count == 0 {
                    let slot = record.slot;
                    let part =
                        GatheredPart { slot, first_index: index, count: 0, bytes: 0, start: 0 };
                    self.parts.push(part);
                }
                cursor.count += 1;
                cursor.bytes +=
                    u32::try_from(record.encoded_bytes()).expect("a record has at most 10 MiB");
            }
        }
        for part in &mut self.parts {
            let cursor = self.cursors[part.slot.at()];
            part.count = cursor.count;
            part.bytes = cursor.bytes;
        }
    }

    fn write_directory(&mut self, frame: &mut [u8], shards: &Shards, header: &FrameHeader) {
        let mut start = u32::try_from(header.payload_start()).expect("a frame has < 2^32 bytes");
        for (ordinal, part) in self.parts.iter_mut().enumerate() {
            let entry = DirectoryEntry {
                key: shards.get(part.slot).key,
                first_index: part.first_index,
                count: part.count,
                bytes: part.bytes,
            };
            frame::write_directory_entry(frame, ordinal, &entry);
            part.start = start;
            self.cursors[part.slot.at()].bytes = start;
            start += part.bytes;
        }
        assert_eq!(start as usize, header.content_bytes());
    }

    fn copy(&mut self, frame: &mut [u8], runs: &[Run], base_ms: u64) {
        for run in runs {
            let batch = &run.batch;
            let delta_ms = u32::try_from(batch.arrival_ms - base_ms)
                .expect("a frame is closed where its batches are 49 days apart");
            for record in &batch.records[run.from..run.to] {
                let key_start = record.key_start as usize;
                let data_start = record.data_start as usize;
                let key = &batch.payload[key_start..key_start + usize::from(record.key_bytes)];
                let data = &batch.payload[data_start..data_start + record.data_bytes as usize];
                let cursor = &mut self.cursors[record.slot.at()];
                let out = &mut frame[cursor.bytes as usize..];
                cursor.bytes += record::encode(out, delta_ms, key, data) as u32;
            }
        }
        for part in &self.parts {
            let cursor = &mut self.cursors[part.slot.at()];
            assert_eq!(cursor.bytes, part.start + part.bytes);
            *cursor = Cursor::default();
        }
    }
}

/// A frame without records: a mark or a seal. One block.
pub(crate) fn control_frame(header: &FrameHeader) -> Gathered {
    assert!(matches!(header.kind, FrameKind::Mark | FrameKind::Seal));
    assert_eq!(header.content_bytes(), HEADER_BYTES);
    let mut buffer = Buffer::zeroed(header.frame_bytes());
    let checksum = frame::seal(&mut buffer, header);
    Gathered { buffer, checksum }
}
