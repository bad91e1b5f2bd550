//! The bytes on disk are those of FORMAT.md: golden files are written again, read, and opened.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::path::{Path, PathBuf};

use runtime::cores::{self, CoreConfig};
use storage::Log;
use storage::catalog::Catalog;
use storage::chunk::ReadLimit;
use storage::frame::{self, BLOCK_BYTES, DirectoryEntry, FrameHeader, FrameKind};
use storage::inspect::{Seen, SegmentStage, Selection, inspect};
use storage::options::LogOptions;
use storage::record::{self, Records};
use storage::shard::ShardKey;

/// A frame of each kind that a segment holds, one block each, written once by this code and checked
/// by hand against FORMAT.md. Frames of kind 4 are in `golden/catalog-a`.
const FRAMES: &[u8] = include_bytes!("../golden/frames");

const BASE_MS: u64 = 0x0102_0304_0506;

fn header(kind: FrameKind, previous: u64, number: u64) -> FrameHeader {
    FrameHeader {
        kind,
        previous,
        number,
        durable_frames: number,
        segment: 0x0b0a,
        base_ms: if kind == FrameKind::Records { BASE_MS } else { 0 },
        life: 0x0d0c,
        generation: 0x0f0e,
        log: 0x1110,
        directory_count: 0,
        payload_bytes: 0,
        record_count: 0,
    }
}

/// Two shards, three records.
fn frame_of_records(kind: FrameKind, previous: u64, number: u64) -> (Vec<u8>, u64) {
    let records = [(7_u64, 0_u32, "k", "first"), (7, 5, "key", ""), (9, 3, "ключ", "third")];
    let bytes_of =
        |&(_, _, key, data): &(u64, u32, &str, &str)| record::encoded_bytes(key.len(), data.len());
    let of_seven = u32::try_from(records[..2].iter().map(bytes_of).sum::<usize>()).unwrap();
    let of_nine = u32::try_from(bytes_of(&records[2])).unwrap();
    let header = FrameHeader {
        base_ms: BASE_MS,
        directory_count: 2,
        payload_bytes: of_seven + of_nine,
        record_count: 3,
        ..header(kind, previous, number)
    };
    let mut bytes = vec![0; header.frame_bytes()];
    let seven = DirectoryEntry { key: ShardKey(7), first_index: 0x1312, count: 2, bytes: of_seven };
    let nine = DirectoryEntry { key: ShardKey(9), first_index: 0, count: 1, bytes: of_nine };
    frame::write_directory_entry(&mut bytes, 0, &seven);
    frame::write_directory_entry(&mut bytes, 1, &nine);
    let mut start = header.payload_start();
    for (_, delta_ms, key, data) in records {
        start += record::encode(&mut bytes[start..], delta_ms, key.as_bytes(), data.as_bytes());
    }
    let checksum = frame::seal(&mut bytes, &header);
    (bytes, checksum)
}

fn control_frame(kind: FrameKind, previous: u64, number: u64) -> (Vec<u8>, u64) {
    let mut bytes = vec![0; BLOCK_BYTES];
    let checksum = frame::seal(&mut bytes, &header(kind, previous, number));
    (bytes, checksum)
}

fn frames() -> Vec<u8> {
    let (mut bytes, checksum) = frame_of_records(FrameKind::Records, 0, 0);
    let (mark, checksum) = control_frame(FrameKind::Mark, checksum, 1);
    let (seal, _) = control_frame(FrameKind::Seal, checksum, 2);
    let (clustered, _) = frame_of_records(FrameKind::Clustered, 0, 0);
    bytes.extend(mark.into_iter().chain(seal).chain(clustered));
    bytes
}

#[test]
fn the_golden_frames_are_written() {
    assert!(frames() == FRAMES, "the frames' bytes differ from golden/frames");
}

#[test]
fn fields_of_the_golden_frames_are_at_the_offsets_of_the_format() {
    let check = |at: usize, expected: &[u8]| {
        assert_eq!(&FRAMES[at..at + expected.len()], expected, "offset {at}");
    };
    check(0, b"GYREFRM1");
    check(48, &[0x0a, 0x0b, 0, 0, 0, 0, 0, 0]);
    check(56, &[0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0, 0]);
    check(64, &[0x0c, 0x0d, 0, 0]);
    check(68, &[0x0e, 0x0f, 0, 0]);
    check(72, &[0x10, 0x11, 1, 1]);
    check(76, &[2, 0, 0, 0]);
    check(84, &[3, 0, 0, 0]);
    // Directory: the first entry's key, index, records; its records take 12 + 1 + 5 and 12 + 3.
    check(128, &[7, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x13, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 33, 0, 0, 0]);
    // Payload: data bytes, key bytes, flags, distance from the base time, key, data.
    check(176, &[5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'k', b'f', b'i', b'r', b's', b't']);
    for (block, kind, number) in [(1, 2, 1), (2, 3, 2), (3, 5, 0)] {
        check(block * BLOCK_BYTES + 74, &[kind, 1]);
        check(block * BLOCK_BYTES + 32, &[number, 0, 0, 0, 0, 0, 0, 0]);
    }
    // Each link is the header checksum of the frame before.
    check(BLOCK_BYTES + 24, &FRAMES[8..16]);
    check(2 * BLOCK_BYTES + 24, &FRAMES[BLOCK_BYTES + 8..BLOCK_BYTES + 16]);
}

#[test]
fn the_golden_frames_are_read() {
    let checked = frame::decode(FRAMES).unwrap();
    let header = checked.header;
    assert_eq!((header.kind, header.number, header.record_count), (FrameKind::Records, 0, 3));
    let mut records = Vec::new();
    for (entry, start) in frame::directory(FRAMES, &header) {
        let part = &FRAMES[start..start + entry.bytes as usize];
        for record in Records::new(part, header.base_ms, entry.first_index) {
            let key = std::str::from_utf8(record.key).unwrap().to_owned();
            records.push((entry.key.0, record.index, record.arrival_ms - BASE_MS, key));
        }
    }
    let key = |text: &str| text.to_owned();
    let expected = [(7, 0x1312, 0, key("k")), (7, 0x1313, 5, key("key")), (9, 0, 3, key("ключ"))];
    assert_eq!(records, expected);
}

/// A log of two segments, one sealed, as this code wrote it once: 20 batches of 3 records for each
/// of the shards 1, 2 and 3. Trailing zeros of the files are left out.
const LOG: [(&str, &[u8], u64); 4] = [
    ("catalog-a", include_bytes!("../golden/log/catalog-a"), 1 << 20),
    ("segments/000-00000000.seg", include_bytes!("../golden/log/segment-0"), LOG_SEGMENT_BYTES),
    ("segments/000-00000001.seg", include_bytes!("../golden/log/segment-1"), LOG_SEGMENT_BYTES),
    // Made ready and never used.
    ("segments/000-00000002.seg", &[], LOG_SEGMENT_BYTES),
];
const LOG_SEGMENT_BYTES: u64 = 128 << 10;
const LOG_BATCHES: u64 = 20;

fn log_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(folder.join("segments")).unwrap();
    for (name, content, bytes) in LOG {
        // Zeros are written, as the engine does: a hole would be no data.
        let mut whole = content.to_vec();
        whole.resize(usize::try_from(bytes).unwrap(), 0);
        std::fs::write(folder.join(name), whole).unwrap();
    }
    folder
}

fn on_core<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let config = CoreConfig { name: "golden".to_owned(), cpu: None, io_memory_bytes: 4 << 20 };
    cores::block_on(config, move || async move { work().await }).unwrap()
}

#[test]
fn the_golden_log_is_well() {
    let folder = log_folder("golden-inspect");
    let (stages, parts, totals) = on_core(async move || {
        let catalog = Catalog::look(&folder).await.unwrap();
        let selection = Selection { shard: Some(ShardKey(2)), ..Selection::default() };
        let (mut stages, mut parts) = (Vec::new(), 0);
        let mut see = |seen: Seen<'_>| match seen {
            Seen::Segment(segment) => stages.push(segment.stage),
            Seen::Part(part) => {
                assert_eq!((part.first_index, part.count), (parts * 3, 3));
                parts += 1;
            }
            Seen::Finding(finding) => panic!("{finding:?}"),
            _ => {}
        };
        let totals = inspect(&folder, 1, &catalog, &selection, &mut see).await.unwrap();
        (stages, parts, totals)
    });
    assert_eq!(stages[..2], [SegmentStage::Sealed, SegmentStage::Open]);
    assert_eq!((parts, totals.records, totals.findings), (LOG_BATCHES, LOG_BATCHES * 9, 0));
}

#[test]
fn the_golden_log_is_opened_and_read() {
    let folder = log_folder("golden-open");
    on_core(async move || {
        let (log, recovered) = open(&folder).await;
        assert_eq!((recovered.damage.len(), recovered.shard_count), (0, 3));
        for key in 1..=3 {
            let slot = log.find_shard(ShardKey(key)).unwrap();
            let mut next = 0;
            while next < LOG_BATCHES * 3 {
                let limit = ReadLimit { records: 1_000, bytes: 1 << 20 };
                let result = log.read(slot, next, limit).await.unwrap();
                for record in result.chunks.iter().flat_map(|chunk| chunk.records()) {
                    let text = format!("record {} of shard {key}", record.index);
                    assert_eq!((record.index, record.key), (next, b"key".as_slice()));
                    assert!(record.data.starts_with(text.as_bytes()));
                    next += 1;
                }
                assert_eq!(result.next, next);
            }
        }
        log.shutdown().await;
    });
}

async fn open(folder: &Path) -> (Log, storage::Recovered) {
    let (catalog, state) = Catalog::open(folder).await.unwrap();
    let mut options = LogOptions::new(folder.to_path_buf(), 0, state.life);
    options.segment_bytes = LOG_SEGMENT_BYTES;
    options.first_segment_bytes = LOG_SEGMENT_BYTES;
    options.frame_bytes = 16 << 10;
    options.spare_segments = 1;
    Log::open(options, catalog, &state).await.unwrap()
}
