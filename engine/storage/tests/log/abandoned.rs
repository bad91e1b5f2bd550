//! Whole frames that an earlier life abandoned behind its end are not those of the log, also where
//! what rots leaves no chain to tell them by.

use std::os::unix::fs::FileExt;

use storage::catalog::CatalogLook;
use storage::frame::{self, DirectoryEntry, FrameHeader, FrameKind};
use storage::inspect::{Concerned, Consequence, Finding, Seen, Selection, inspect};
use storage::record;

use super::cold::uncached;
use super::sealed::{rot, sealed_files};
use super::*;

const BLOCK_BYTES: u64 = 4096;
const ABANDONED: u64 = 20;

/// A frame of life 1 with records of a shard that were never acknowledged, as it may stand behind
/// the frame `last`, which belongs to a later life.
fn abandoned(last: &FrameHeader, number: u64, key: ShardKey, first_index: u64) -> Vec<u8> {
    let record_bytes = record::encoded_bytes(1, 9);
    let payload_bytes = u32::try_from(record_bytes).unwrap() * ABANDONED as u32;
    let header = FrameHeader {
        kind: FrameKind::Records,
        previous: 7,
        number,
        durable_frames: 1,
        life: 1,
        directory_count: 1,
        payload_bytes,
        record_count: ABANDONED as u32,
        ..*last
    };
    let mut bytes = vec![0; header.frame_bytes()];
    let count = ABANDONED as u32;
    let part = DirectoryEntry { key, first_index, count, bytes: payload_bytes };
    frame::write_directory_entry(&mut bytes, 0, &part);
    let mut start = header.payload_start();
    for _ in 0..ABANDONED {
        start += record::encode(&mut bytes[start..], 0, b"k", b"abandoned");
    }
    frame::seal(&mut bytes, &header);
    assert_eq!(bytes.len() as u64, BLOCK_BYTES);
    bytes
}

/// Position and header of the frames at the start of a file.
fn frames(path: &Path) -> Vec<(u64, FrameHeader)> {
    let bytes = std::fs::read(path).unwrap();
    let (mut found, mut position) = (Vec::new(), 0);
    while let Some(Ok(checked)) = bytes.get(position..).map(frame::decode) {
        found.push((position as u64, checked.header));
        position += checked.header.frame_bytes();
    }
    found
}

/// Index behind the last part of the last of these frames.
fn next_index(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let (position, header) = *frames(path).last().unwrap();
    let frame = &bytes[usize::try_from(position).unwrap()..];
    let (part, _) = frame::directory(frame, &header).last().unwrap();
    part.first_index + u64::from(part.count)
}

fn write(path: &Path, position: u64, bytes: &[u8]) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, position).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn a_table_is_not_rebuilt_from_what_an_earlier_life_abandoned() {
    const KEY: ShardKey = ShardKey(7);
    let count = on_core("abandoned-table", async |directory| {
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.open_shard(KEY, DAY_MS);
        append(&log, batch(slot, 0, 100, 10)).await;
        log.shutdown().await;
        let (log, _) = open_with(&directory, uncached).await;
        let slot = log.find_shard(KEY).unwrap();
        let mut next = 100;
        while log.stats().sealed_segments < 4 {
            append(&log, batch(slot, next, next + 10, 700)).await;
            next += 10;
        }
        log.shutdown().await;
        next
    });
    in_next_life("abandoned-table", async move |directory| {
        let sealed = sealed_files(&directory).await;
        let (path, footer) = &sealed[1];
        let end = u64::from(footer.frames_end);
        assert!(end + BLOCK_BYTES <= u64::from(footer.rows_position), "there is a place behind");
        let frames = frames(path);
        let (_, last) = frames.last().unwrap();
        assert_eq!((last.life, last.number + 1), (2, footer.next_frame));
        write(path, end, &abandoned(last, last.number + 1, KEY, next_index(path)));
        rot(path, std::fs::metadata(path).unwrap().len() - BLOCK_BYTES + 40);
        let (log, recovered) = open_with(&directory, uncached).await;
        assert_eq!(recovered.damage, []);
        check_all(&log, log.find_shard(KEY).unwrap(), count).await;
        assert_eq!(log.stats().rebuilt_tables, 1);
        log.shutdown().await;
        let rebuilt = sealed_files(&directory).await;
        let rebuilt = rebuilt.iter().find(|(_, anew)| anew.first == footer.first).unwrap();
        assert_eq!(rebuilt.1.frames_end, footer.frames_end);
        assert_eq!(rebuilt.1.last_checksum, footer.last_checksum);
    });
}

/// A log whose first segment ends with a seal and one small frame of life 2, of shard 1. Shard 2 has
/// ten records before and four behind, in the next segment. The small frame's header rots, and the
/// segment's footer; behind it stands a frame of shard 2 that life 1 abandoned.
fn make_broken_end(name: &'static str) -> (u64, PathBuf) {
    on_core(name, async |directory| {
        let (log, _) = open(&directory).await;
        let [one, two] = [1, 2].map(|key| log.open_shard(ShardKey(key), DAY_MS));
        append(&log, batch(one, 0, 10, 60_000)).await;
        append(&log, batch(two, 0, 10, 1_000)).await;
        log.shutdown().await;
        let (log, _) = open(&directory).await;
        let [one, two] = [1, 2].map(|key| log.find_shard(ShardKey(key)).unwrap());
        append(&log, batch(one, 10, 11, 10)).await;
        // Too large for what is left of the segment.
        append(&log, batch(two, 10, 11, 700_000)).await;
        for number in 11..14 {
            append(&log, batch(two, number, number + 1, 10)).await;
        }
        log.shutdown().await;
    });
    let path = directory(name).join("segments/000-00000000.seg");
    let frames = frames(&path);
    let (position, last) = *frames.last().unwrap();
    assert_eq!((last.kind, last.life, last.record_count), (FrameKind::Records, 2, 1));
    assert_eq!(frames[frames.len() - 2].1.kind, FrameKind::Seal);
    write(&path, position + BLOCK_BYTES, &abandoned(&last, last.number + 1, ShardKey(2), 10));
    rot(&path, position + 40);
    rot(&path, std::fs::metadata(&path).unwrap().len() - BLOCK_BYTES + 40);
    (position, path)
}

#[test]
fn recovery_does_not_go_on_at_what_an_earlier_life_abandoned() {
    let (position, _) = make_broken_end("abandoned-tail");
    in_next_life("abandoned-tail", async move |directory| {
        let (log, recovered) = open(&directory).await;
        let [damage] = &recovered.damage[..] else { panic!("{:?}", recovered.damage) };
        assert_eq!((damage.segment, damage.position), (0, position));
        assert_eq!(damage.shards, [ShardKey(1)]);
        check_all(&log, log.find_shard(ShardKey(2)).unwrap(), 14).await;
        log.shutdown().await;
    });
}

#[test]
fn a_frame_in_a_torn_records_data_is_no_evidence() {
    on_core("forged", async |directory| {
        let (log, _) = open(&directory).await;
        let slot = log.open_shard(ShardKey(1), DAY_MS);
        append(&log, batch(slot, 0, 10, 10)).await;
        append(&log, batch(slot, 10, 11, 40_000)).await;
    });
    let path = directory("forged").join("segments/000-00000000.seg");
    let frames = frames(&path);
    let (position, torn) = *frames.iter().rfind(|(_, it)| it.kind == FrameKind::Records).unwrap();
    assert!(torn.payload_bytes > 40_000);
    // Nothing behind the frame has landed, and of itself all but a sector. What a client had sent
    // looks like a frame that knows of later ones.
    write(&path, position + torn.frame_bytes() as u64, &[0; 3 * BLOCK_BYTES as usize]);
    rot(&path, position + 3 * BLOCK_BYTES);
    let mut forged = abandoned(&torn, torn.number + 9, ShardKey(2), 0);
    let header = frame::decode_header(&forged).unwrap().header;
    frame::seal(&mut forged, &FrameHeader { durable_frames: torn.number + 8, ..header });
    write(&path, position + 2 * BLOCK_BYTES, &forged);
    in_next_life("forged", async |directory| {
        let (log, recovered) = open(&directory).await;
        assert_eq!(recovered.damage, []);
        assert!(log.find_shard(ShardKey(2)).is_none(), "nobody has written to it");
        check_all(&log, log.find_shard(ShardKey(1)).unwrap(), 10).await;
        log.shutdown().await;
    });
}

#[test]
fn an_inspection_does_not_go_on_there_either() {
    let (position, _) = make_broken_end("abandoned-inspect");
    let findings = in_next_life("abandoned-inspect", async |directory| {
        let look: Result<CatalogLook, _> = Catalog::look(&directory).await.unwrap();
        let mut findings: Vec<Finding> = Vec::new();
        let mut see = |seen: Seen<'_>| {
            if let Seen::Finding(finding) = seen {
                findings.push(finding.clone());
            }
        };
        inspect(&directory, 1, &look, &Selection::default(), &mut see).await.unwrap();
        findings.retain(|finding| finding.consequence == Consequence::Refused);
        findings
    });
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding.concerned, Concerned::Shards(vec![ShardKey(1)]));
    assert_eq!((finding.place.segment, finding.place.position), (Some(0), position));
}
