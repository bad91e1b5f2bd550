//! Question: what does the MD5 of a partition key cost, alone and among the 500 of a PutRecords?
//!
//! Measured against: the `md-5` crate, key by key, which is `digest::Width::Portable`. Keys of 16
//! and 36 bytes (hexadecimal numbers, UUIDs) fit one block; one key in ten of the mixture has 200
//! bytes and does not.

#![forbid(unsafe_code)]

use criterion::{BenchmarkId, Criterion, Throughput};
use digest::{Span, Width, md5, md5_spans_with};
use std::hint::black_box;

const KEYS: usize = 500;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    one_key(&mut criterion);
    many_keys(&mut criterion, "16_bytes", |_| 16);
    many_keys(&mut criterion, "36_bytes", |_| 36);
    many_keys(&mut criterion, "mixture", |key| if key % 10 == 0 { 200 } else { 16 });
    criterion.final_summary();
}

fn one_key(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("md5/one_key");
    for bytes in [16, 36, 200] {
        let key = vec![b'k'; bytes];
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| md5(black_box(&key)));
        });
    }
    group.finish();
}

fn many_keys(criterion: &mut Criterion, name: &str, bytes_of: impl Fn(usize) -> usize) {
    let mut arena = Vec::new();
    let mut spans = Vec::new();
    for key in 0..KEYS {
        let bytes = bytes_of(key);
        let start = u32::try_from(arena.len()).expect("500 short keys");
        spans.push(Span { start, bytes: u32::try_from(bytes).expect("a short key") });
        arena.extend(format!("{key:016x}").bytes().cycle().take(bytes));
    }
    let mut out = vec![0; KEYS];
    let mut group = criterion.benchmark_group(format!("md5/500_keys/{name}"));
    group.throughput(Throughput::Elements(KEYS as u64));
    for width in Width::ALL {
        if !width.is_available() {
            eprintln!("{width:?} is not measured: this CPU lacks it");
            continue;
        }
        group.bench_function(format!("{width:?}"), |bencher| {
            bencher.iter(|| md5_spans_with(width, black_box(&arena), &spans, black_box(&mut out)));
        });
    }
    group.finish();
}
