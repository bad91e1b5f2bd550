//! Question: what does it cost to make a frame of the records that wait, sealing included?
//!
//! 2,500 records of 100 bytes (five batches of 500: 256 KiB, a quarter of the engine's largest frame)
//! over 1, 64 and 4,096 shards. Measured against: a bucket per shard, filled on arrival and then concatenated, which is
//! the other way to bring a frame into the order of its shards: every byte is copied twice.

#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput};
use runtime::cores::{self, CoreConfig};
use std::hint::black_box;
use storage::bench_support::GatherBench;
use storage::frame::{self, DirectoryEntry, FrameHeader, FrameKind};
use storage::record;
use storage::shard::ShardKey;

const BATCHES: usize = 5;
const BATCH_RECORDS: usize = 500;
const KEY_BYTES: usize = 16;
const DATA_BYTES: usize = 100;

fn main() {
    // On a core, as in the product: there a frame's buffer is used again, elsewhere it is new, and
    // the kernel's clearing of its pages would be most of what is measured.
    let config = CoreConfig { name: "gather".to_owned(), cpu: None, io_memory_bytes: 8 << 20 };
    let core = cores::start(config, || async {
        let mut criterion = Criterion::default().configure_from_args();
        for shards in [1, 64, 4096] {
            measure(&mut criterion, shards);
        }
        criterion.final_summary();
    });
    core.expect("a core needs io_uring").join();
}

fn measure(criterion: &mut Criterion, shards: usize) {
    let order = order(shards);
    let payload = vec![7; BATCH_RECORDS * (KEY_BYTES + DATA_BYTES)];
    let batches = order.chunks(BATCH_RECORDS).map(<[u32]>::to_vec).collect();
    let mut gather = GatherBench::new(shards, &payload, KEY_BYTES, batches);
    let mut buckets = Buckets::new(shards);
    let gathered = gather.gather();
    let bucketed = buckets.gather(&order, &payload);
    assert_eq!(gathered.len(), bucketed.len());
    assert_eq!(records_of(&gathered), records_of(bucketed));

    let mut group = criterion.benchmark_group(format!("gather/{shards}_shards"));
    group.throughput(Throughput::Elements(order.len() as u64));
    group.bench_function("counting_sort", |bencher| bencher.iter(|| gather.gather().len()));
    group.bench_function("bucket_per_shard", |bencher| {
        bencher.iter(|| buckets.gather(black_box(&order), black_box(&payload)).len());
    });
    group.finish();
}

fn records_of(bytes: &[u8]) -> u32 {
    frame::decode(bytes).expect("a whole frame").header.record_count
}

/// The alternative: one growing list of bytes per shard, kept between frames.
struct Buckets {
    buckets: Vec<Bucket>,
    touched: Vec<usize>,
    frame: Vec<u8>,
}

#[derive(Clone, Default)]
struct Bucket {
    bytes: Vec<u8>,
    count: u32,
}

impl Buckets {
    fn new(shards: usize) -> Self {
        let buckets = vec![Bucket::default(); shards];
        Self { buckets, touched: Vec::new(), frame: Vec::new() }
    }

    fn gather(&mut self, order: &[u32], payload: &[u8]) -> &[u8] {
        let record_bytes = record::encoded_bytes(KEY_BYTES, DATA_BYTES);
        for (at, shard) in order.iter().enumerate() {
            let start = at % BATCH_RECORDS * (KEY_BYTES + DATA_BYTES);
            let (key, data) = payload[start..start + KEY_BYTES + DATA_BYTES].split_at(KEY_BYTES);
            let bucket = &mut self.buckets[*shard as usize];
            if bucket.count == 0 {
                self.touched.push(*shard as usize);
            }
            bucket.count += 1;
            let end = bucket.bytes.len();
            bucket.bytes.resize(end + record_bytes, 0);
            record::encode(&mut bucket.bytes[end..], 0, key, data);
        }
        let header = self.header(order.len(), record_bytes);
        self.frame.clear();
        self.frame.resize(header.frame_bytes(), 0);
        let mut start = header.payload_start();
        for (ordinal, shard) in self.touched.drain(..).enumerate() {
            let Bucket { bytes, count } = &mut self.buckets[shard];
            let entry = DirectoryEntry {
                key: ShardKey(shard as u64),
                first_index: 0,
                count: std::mem::take(count),
                bytes: u32::try_from(bytes.len()).expect("a frame is small"),
            };
            frame::write_directory_entry(&mut self.frame, ordinal, &entry);
            self.frame[start..start + bytes.len()].copy_from_slice(bytes);
            start += bytes.len();
            bytes.clear();
        }
        frame::seal(&mut self.frame, &header);
        &self.frame
    }

    fn header(&self, records: usize, record_bytes: usize) -> FrameHeader {
        let count = |count: usize| u32::try_from(count).expect("a frame is small");
        FrameHeader {
            kind: FrameKind::Records,
            previous: 0,
            number: 0,
            durable_frames: 0,
            segment: 0,
            base_ms: 0,
            life: 1,
            generation: 1,
            log: 0,
            directory_count: count(self.touched.len()),
            payload_bytes: count(records * record_bytes),
            record_count: count(records),
        }
    }
}

/// A shard for each record, in an order that the CPU cannot foresee: splitmix64.
fn order(shards: usize) -> Vec<u32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        u32::try_from((z ^ (z >> 27)) % shards as u64).expect("few shards")
    };
    (0..BATCHES * BATCH_RECORDS).map(|_| next()).collect()
}
