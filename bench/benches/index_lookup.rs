//! Question: what does it cost to enter a part into the index of a segment, and to find the part
//! that holds a record?
//!
//! Measured against: a sorted map from shard and index to the part (`BTreeMap`), the plain choice.
//! The engine's index is a list of parts that point to the one before of their shard: entering is
//! an append, and finding costs a step for every newer part of the shard. `newest` is a reader at
//! the tail, `middle` one that lags half a segment behind.

#![forbid(unsafe_code)]

use criterion::{BatchSize, Criterion, Throughput};
use std::collections::BTreeMap;
use std::hint::black_box;
use storage::bench_support::IndexBench;

const SHARDS: u32 = 4096;
/// Frames of 256 KiB in a segment of 64 MiB; every eighth shard has a part in each.
const FRAMES: u64 = 256;
const PARTS_PER_FRAME: u32 = SHARDS / 8;
const RECORDS_PER_PART: u32 = 4;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    enter(&mut criterion);
    find(&mut criterion);
    criterion.final_summary();
}

fn enter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index_lookup/enter");
    group.throughput(Throughput::Elements(FRAMES * u64::from(PARTS_PER_FRAME)));
    group.sample_size(10);
    group.bench_function("chained_parts", |bencher| {
        bencher.iter_batched_ref(IndexBench::default, fill, BatchSize::PerIteration);
    });
    group.bench_function("sorted_map", |bencher| {
        bencher.iter_batched_ref(BTreeMap::new, fill_map, BatchSize::PerIteration);
    });
    group.finish();
}

fn find(criterion: &mut Criterion) {
    let mut index = IndexBench::default();
    fill(&mut index);
    let mut map = BTreeMap::new();
    fill_map(&mut map);
    let records = FRAMES / 8 * u64::from(RECORDS_PER_PART);
    for (name, record) in [("newest", records - 1), ("middle", records / 2)] {
        for shard in 0..SHARDS {
            assert!(index.find(shard, record).is_some());
            assert_eq!(index.find(shard, record), find_in_map(&map, shard, record));
        }
        let mut group = criterion.benchmark_group(format!("index_lookup/find_{name}"));
        group.throughput(Throughput::Elements(u64::from(SHARDS)));
        group.bench_function("chained_parts", |bencher| {
            bencher.iter(|| {
                let find = |shard| index.find(shard, black_box(record)).expect("it is there");
                (0..SHARDS).map(|shard| u64::from(find(shard))).sum::<u64>()
            });
        });
        group.bench_function("sorted_map", |bencher| {
            bencher.iter(|| {
                let find = |shard| find_in_map(&map, shard, black_box(record));
                (0..SHARDS).map(|shard| u64::from(find(shard).expect("it is there"))).sum::<u64>()
            });
        });
        group.finish();
    }
}

/// Every part of the segment in the order of its frames: frame, shard, first index, position.
fn parts() -> impl Iterator<Item = (u64, u32, u64, u32)> {
    (0..FRAMES).flat_map(|frame| {
        (0..PARTS_PER_FRAME).map(move |part| {
            let turn = u32::try_from(frame % 8).expect("below 8");
            let shard = part * 8 + turn;
            let first_index = frame / 8 * u64::from(RECORDS_PER_PART);
            let position = u32::try_from(frame).expect("few") * (256 << 10) + part * 500;
            (frame, shard, first_index, position)
        })
    })
}

fn fill(index: &mut IndexBench) {
    for (frame, shard, first_index, position) in parts() {
        index.push(frame, shard, first_index, RECORDS_PER_PART, position);
    }
}

fn fill_map(map: &mut BTreeMap<(u32, u64), (u32, u32)>) {
    for (_, shard, first_index, position) in parts() {
        map.insert((shard, first_index), (RECORDS_PER_PART, position));
    }
}

fn find_in_map(map: &BTreeMap<(u32, u64), (u32, u32)>, shard: u32, record: u64) -> Option<u32> {
    let (&(found, first_index), &(count, position)) = map.range(..=(shard, record)).next_back()?;
    (found == shard && record < first_index + u64::from(count)).then_some(position)
}
