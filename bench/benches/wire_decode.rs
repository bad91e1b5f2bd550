//! Question: what does it cost to read the body of a PutRecords?
//!
//! As spans of the body (base64 decoded where it lies), against the plain path: a tree of values,
//! types and constraints by the table, a struct of strings. 500 records of 100 bytes and of 1 KiB.
//! And what does it cost its client to read the answer?

#![forbid(unsafe_code)]

use criterion::{BatchSize, Criterion, Throughput};
use model::{RecordIndex, SequenceNumber, ShardIndex};
use wire::call::decode_output;
use wire::operations::put_records::{
    PutRecords, PutRecordsOutput, PutRecordsSpans, PutRecordsWriter, scan_answer,
};
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
    for encoding in [Encoding::Json, Encoding::Cbor] {
        let body = answer(encoding);
        let mut group = criterion.benchmark_group(format!("{encoding:?}/answer"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        let mut records = Vec::new();
        group.bench_function("spans", |bencher| {
            bencher.iter(|| scan_answer(encoding, &body, &mut records).expect("it is plain"));
        });
        group.bench_function("plain", |bencher| {
            bencher.iter(|| decode_output::<PutRecordsOutput>(encoding, &body));
        });
        group.finish();
    }
    criterion.final_summary();
}

fn answer(encoding: Encoding) -> Vec<u8> {
    let mut writer = PutRecordsWriter::new(encoding, RECORDS, 0);
    for index in 0..RECORDS as u64 {
        writer.written(SequenceNumber {
            shard_created_s: 1_488_269_257,
            shard: ShardIndex::new(0),
            record: RecordIndex::new(index),
            arrival_s: 1_491_587_454,
        });
    }
    writer.finish(None)
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
