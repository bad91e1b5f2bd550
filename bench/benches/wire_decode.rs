//! Question: what does it cost to read the body of a PutRecords?
//!
//! As spans of the body (base64 decoded where it lies), against the plain path: a tree of values,
//! types and constraints by the table, a struct of strings. 500 records of 100 bytes and of 1 KiB.

#![forbid(unsafe_code)]

use criterion::{BatchSize, Criterion, Throughput};
use wire::operations::put_records::{PutRecords, PutRecordsSpans};
use wire::structure::{self, Blob};
use wire::structures::PutRecordsRequestEntry;
use wire::{Encoding, Operation, Request};

const RECORDS: usize = 500;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for data_bytes in [100, 1024] {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let body = structure::encode(&sample(data_bytes), encoding);
            let mut group = criterion.benchmark_group(format!("{encoding:?}/{data_bytes}_bytes"));
            group.throughput(Throughput::Elements(RECORDS as u64));
            group.bench_function("spans", |bencher| {
                let read = |body| PutRecordsSpans::scan(encoding, body).expect("it is plain");
                bencher.iter_batched(|| body.clone(), read, BatchSize::PerIteration);
            });
            group.bench_function("plain", |bencher| {
                bencher.iter(|| Request::read(Operation::PutRecords, encoding, &body));
            });
            group.finish();
        }
    }
    criterion.final_summary();
}

fn sample(data_bytes: usize) -> PutRecords {
    let record = |number: usize| PutRecordsRequestEntry {
        data: Blob((0..data_bytes).map(|byte| (byte * 31 + number) as u8).collect()),
        explicit_hash_key: None,
        partition_key: Some(format!("key-{number:012}")),
    };
    PutRecords {
        records: (0..RECORDS).map(record).collect(),
        stream_name: Some("orders".to_owned()),
        stream_arn: None,
        stream_id: None,
        dry_run: None,
    }
}
