//! A door for `bench/` to two parts that are nobody else's business: gathering and the index.
//!
//! Both are measured alone, without a disk and without a log around them, which no public way
//! allows; `pub(crate)` types would otherwise have to become promises. Nothing else may use it.

use std::rc::Rc;
use std::sync::Arc;

use runtime::buffer::Buffer;

use crate::frame::{FrameHeader, FrameKind};
use crate::gather::{AppendRecord, Batch, Gather, Run};
use crate::index::{FrameMeta, Part, PartBlocks, SegmentIndex};
use crate::shard::{ShardKey, ShardSlot};
use crate::shards::Shards;

/// Batches that wait, gathered again and again.
pub struct GatherBench {
    gather: Gather,
    shards: Shards,
    runs: Vec<Run>,
}

impl GatherBench {
    /// Batches with one record for each shard named; all records are cut from `payload`, in which
    /// a key of `key_bytes` and its data take the same bytes each.
    pub fn new(
        shard_count: usize,
        payload: &[u8],
        key_bytes: usize,
        batches: Vec<Vec<u32>>,
    ) -> GatherBench {
        let mut shards = Shards::default();
        for key in 0..shard_count as u64 {
            shards.find_or_create(ShardKey(key), 1);
        }
        let payload = Arc::new(payload.to_vec());
        let runs = batches.iter().map(|slots| run(&payload, key_bytes, slots)).collect();
        GatherBench { gather: Gather::default(), shards, runs }
    }

    /// Makes the frame.
    pub fn gather(&mut self) -> Buffer {
        let mut header = FrameHeader {
            kind: FrameKind::Records,
            previous: 0,
            number: 0,
            durable_frames: 0,
            segment: 0,
            base_ms: 0,
            life: 1,
            generation: 1,
            log: 0,
            directory_count: 0,
            payload_bytes: 0,
            record_count: 0,
        };
        self.gather.gather(&self.runs, &self.shards, &mut header).buffer
    }
}

fn run(payload: &Arc<Vec<u8>>, key_bytes: usize, slots: &[u32]) -> Run {
    let record_bytes = payload.len() / slots.len();
    let records = slots.iter().enumerate().map(|(at, slot)| AppendRecord {
        slot: ShardSlot(*slot),
        key_start: (at * record_bytes) as u32,
        data_start: (at * record_bytes + key_bytes) as u32,
        data_bytes: (record_bytes - key_bytes) as u32,
        key_bytes: key_bytes as u16,
    });
    let batch = Batch {
        payload: Arc::clone(payload),
        records: records.collect(),
        indices: vec![0; slots.len()],
        arrival_ms: 0,
    };
    Run { batch: Rc::new(batch), from: 0, to: slots.len() }
}

/// The index of one segment.
#[derive(Default)]
pub struct IndexBench {
    index: SegmentIndex,
    blocks: PartBlocks,
}

impl IndexBench {
    /// Enters a part of frame `frame`, which is the newest or the next.
    pub fn push(&mut self, frame: u64, shard: u32, first_index: u64, count: u32, position: u32) {
        if self.index.frames.len() as u64 <= frame {
            let meta =
                FrameMeta { number: frame, position: 0, bytes: 4096, base_ms: 0, buffer: None };
            self.index.frames.push(meta);
        }
        let slot = ShardSlot(shard);
        let part = Part::new(slot, first_index, count, position, count * 100, frame as u32);
        self.index.push(&mut self.blocks, part);
    }

    /// Where the part with record `record` of a shard is, as a read finds it.
    pub fn find(&self, shard: u32, record: u64) -> Option<u32> {
        let mut parts = self.index.newest_first(ShardSlot(shard));
        let part = parts.find(|part| part.first_index <= record)?;
        (record < part.end_index()).then_some(part.position)
    }
}
