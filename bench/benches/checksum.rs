//! Question: what does the checksum of a header, a block and a frame cost?
//!
//! Measured against: CRC-32 by carry-less multiplication (the `crc32fast` crate), the usual choice
//! of logs. It has 32 bits: of four billion damaged frames it lets one pass.

#![forbid(unsafe_code)]

use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use xxhash_rust::xxh3::xxh3_64;

/// The checksummed part of a header, a block, and frames as a quiet and a busy log write them.
const BYTES: [usize; 5] = [112, 4 << 10, 64 << 10, 256 << 10, 1 << 20];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("checksum");
    for bytes in BYTES {
        let content: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("xxh3_64", bytes), |bencher| {
            bencher.iter(|| xxh3_64(black_box(&content)));
        });
        group.bench_function(BenchmarkId::new("crc32", bytes), |bencher| {
            bencher.iter(|| crc32fast::hash(black_box(&content)));
        });
    }
    group.finish();
    criterion.final_summary();
}
