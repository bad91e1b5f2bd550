//! Question: what does it cost to check a frame and walk its records?
//!
//! Measured against: a checksum for every record instead of one for the frame, which would let a
//! reader check only what it takes. 2,000 records of 100 bytes in 1, 64 and 1,000 parts.

#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput};
use std::hint::black_box;
use storage::frame::{self, DirectoryEntry, FrameHeader, FrameKind};
use storage::record::{self, Records};
use storage::shard::ShardKey;
use xxhash_rust::xxh3::xxh3_64;

const RECORDS: usize = 2_000;
const KEY: [u8; 16] = [b'k'; 16];
const DATA: [u8; 100] = [7; 100];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for parts in [1, 64, 1_000] {
        let frame = sample(parts);
        let checksums = checksums(&frame);
        assert_eq!(checksums.len(), whole(&frame));
        let mut group = criterion.benchmark_group(format!("decode/{parts}_parts"));
        group.throughput(Throughput::Elements(whole(&frame) as u64));
        group.bench_function("checksum_per_frame", |bencher| {
            bencher.iter(|| whole(black_box(&frame)));
        });
        group.bench_function("checksum_per_record", |bencher| {
            bencher.iter(|| one_by_one(black_box(&frame), &checksums));
        });
        group.finish();
    }
    criterion.final_summary();
}

/// The engine's way.
fn whole(bytes: &[u8]) -> usize {
    let checked = frame::decode(bytes).expect("a whole frame");
    let header = checked.header;
    let parts = frame::directory(bytes, &header).map(|(entry, start)| {
        let part = &bytes[start..start + entry.bytes as usize];
        let records = Records::new(part, header.base_ms, entry.first_index);
        records.map(|record| record.data.len().min(1)).sum::<usize>()
    });
    parts.sum()
}

/// The alternative: the header is trusted once its own checksum is right.
fn one_by_one(bytes: &[u8], checksums: &[u64]) -> usize {
    let header = frame::decode_header(bytes).expect("a header").header;
    let mut checksums = checksums.iter();
    let mut right = 0;
    for (entry, start) in frame::directory(bytes, &header) {
        let part = &bytes[start..start + entry.bytes as usize];
        let mut records = Records::new(part, header.base_ms, entry.first_index);
        let mut rest = part;
        while records.next().is_some() {
            let record = &rest[..rest.len() - records.rest().len()];
            right += usize::from(checksums.next() == Some(&xxh3_64(record)));
            rest = records.rest();
        }
    }
    right
}

fn checksums(bytes: &[u8]) -> Vec<u64> {
    let header = frame::decode(bytes).expect("a whole frame").header;
    let payload = &bytes[header.payload_start()..header.content_bytes()];
    payload.chunks(record::encoded_bytes(KEY.len(), DATA.len())).map(xxh3_64).collect()
}

fn sample(parts: usize) -> Vec<u8> {
    let count = |count: usize| u32::try_from(count).expect("a frame is small");
    let record_bytes = record::encoded_bytes(KEY.len(), DATA.len());
    let part_records = RECORDS / parts;
    let records = part_records * parts;
    let header = FrameHeader {
        kind: FrameKind::Records,
        previous: 0,
        number: 0,
        durable_frames: 0,
        segment: 0,
        base_ms: 1_700_000_000_000,
        life: 1,
        generation: 1,
        log: 0,
        directory_count: count(parts),
        payload_bytes: count(records * record_bytes),
        record_count: count(records),
    };
    let mut bytes = vec![0; header.frame_bytes()];
    for part in 0..parts {
        let entry = DirectoryEntry {
            key: ShardKey(part as u64),
            first_index: 0,
            count: count(part_records),
            bytes: count(part_records * record_bytes),
        };
        frame::write_directory_entry(&mut bytes, part, &entry);
    }
    let payload = header.payload_start()..header.content_bytes();
    for out in bytes[payload].chunks_exact_mut(record_bytes) {
        record::encode(out, 0, &KEY, &DATA);
    }
    frame::seal(&mut bytes, &header);
    bytes
}
