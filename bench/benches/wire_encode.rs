//! Question: what does it cost to write the records of a GetRecords, and the answer of a PutRecords?
//!
//! Record by record from what the log has, against the plain path: a struct of strings for each,
//! then their encoding. 1,000 records of 100 bytes.

#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput};
use model::{RecordIndex, SequenceNumber, ShardIndex};
use std::hint::black_box;
use wire::operations::get_records::GetRecordsOutput;
use wire::operations::put_records::{PutRecordsOutput, PutRecordsWriter};
use wire::records::{GetRecordsRest, RecordsWriter, StoredRecord};
use wire::structure::{self, Blob};
use wire::structures::{PutRecordsResultEntry, Record};
use wire::{Encoding, Timestamp};

const RECORDS: usize = 1_000;
const DATA: [u8; 100] = [7; 100];
const KEY: &str = "key-000000000017";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for encoding in [Encoding::Json, Encoding::Cbor] {
        assert_eq!(get_by_writer(encoding), get_plain(encoding));
        assert_eq!(put_by_writer(encoding), put_plain(encoding));
        let mut group = criterion.benchmark_group(format!("{encoding:?}"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        let mut check = |name: &str, answer: fn(Encoding) -> Vec<u8>| {
            group.bench_function(name, |bencher| bencher.iter(|| answer(black_box(encoding))));
        };
        check("get_records/writer", get_by_writer);
        check("get_records/plain", get_plain);
        check("put_records/writer", put_by_writer);
        check("put_records/plain", put_plain);
        group.finish();
    }
    criterion.final_summary();
}

fn numbers() -> impl Iterator<Item = SequenceNumber> {
    (0..RECORDS as u64).map(|index| SequenceNumber {
        shard_created_s: 1_488_269_257,
        shard: ShardIndex::new(0),
        record: RecordIndex::new(index),
        arrival_s: 1_491_587_454,
    })
}

fn get_by_writer(encoding: Encoding) -> Vec<u8> {
    let mut writer = RecordsWriter::new(encoding, Vec::with_capacity(RECORDS * 320));
    for number in numbers() {
        writer.record(&StoredRecord {
            number,
            arrival: Timestamp(1_491_587_454_120),
            data: &DATA,
            partition_key: Some(KEY),
            is_encrypted: false,
        });
    }
    writer.finish(&GetRecordsRest {
        next_shard_iterator: None,
        millis_behind_latest: Some(0),
        child_shards: None,
    })
}

fn get_plain(encoding: Encoding) -> Vec<u8> {
    let record = |number: SequenceNumber| Record {
        sequence_number: number.to_string(),
        approximate_arrival_timestamp: Some(Timestamp(1_491_587_454_120)),
        data: Blob(DATA.to_vec()),
        partition_key: Some(KEY.to_owned()),
        encryption_type: None,
    };
    let output = GetRecordsOutput {
        records: numbers().map(record).collect(),
        next_shard_iterator: None,
        millis_behind_latest: Some(0),
        child_shards: None,
    };
    structure::encode(&output, encoding)
}

fn put_by_writer(encoding: Encoding) -> Vec<u8> {
    let mut writer = PutRecordsWriter::new(encoding, RECORDS, 0);
    numbers().for_each(|number| writer.written(number));
    writer.finish(None)
}

fn put_plain(encoding: Encoding) -> Vec<u8> {
    let entry = |number: SequenceNumber| PutRecordsResultEntry {
        sequence_number: Some(number.to_string()),
        shard_id: Some(number.shard.to_string()),
        error_code: None,
        error_message: None,
    };
    let output = PutRecordsOutput {
        failed_record_count: Some(0),
        records: numbers().map(entry).collect(),
        encryption_type: None,
    };
    structure::encode(&output, encoding)
}
