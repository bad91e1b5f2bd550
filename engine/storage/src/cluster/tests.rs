//! Tests of rewriting in memory against a plain model: what goes in comes out, for all times,
//! sizes and mixes of live and dead shards.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::frame::{self, DirectoryEntry, FrameHeader, FrameKind};
use crate::record::{self, Records};
use crate::table::Posting;

/// Arrival time and data.
type Stored = (u64, Vec<u8>);
type Model = BTreeMap<ShardKey, Vec<Stored>>;
/// Whose, index of the first, records.
type Part = (ShardKey, u64, Vec<Stored>);

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// A frame of the records `parts`, each shard's from its given index on.
fn chain_frame(parts: &[Part]) -> Vec<u8> {
    let base_ms = parts.iter().flat_map(|(_, _, records)| records.iter().map(|r| r.0)).min();
    let bytes_of = |records: &[Stored]| -> usize {
        records.iter().map(|(_, data)| record::encoded_bytes(1, data.len())).sum()
    };
    let header = FrameHeader {
        kind: FrameKind::Records,
        previous: 1,
        number: 2,
        durable_frames: 0,
        segment: 3,
        base_ms: base_ms.unwrap_or(0),
        life: 1,
        generation: 1,
        log: 0,
        directory_count: parts.len() as u32,
        payload_bytes: parts.iter().map(|(_, _, records)| bytes_of(records) as u32).sum(),
        record_count: parts.iter().map(|(_, _, records)| records.len() as u32).sum(),
    };
    let mut out = vec![0; header.frame_bytes()];
    let mut at = header.payload_start();
    for (ordinal, (key, first_index, records)) in parts.iter().enumerate() {
        let entry = DirectoryEntry {
            key: *key,
            first_index: *first_index,
            count: records.len() as u32,
            bytes: bytes_of(records) as u32,
        };
        frame::write_directory_entry(&mut out, ordinal, &entry);
        for (arrival_ms, data) in records {
            let delta_ms = (arrival_ms - header.base_ms) as u32;
            at += record::encode(&mut out[at..], delta_ms, b"k", data);
        }
    }
    frame::seal(&mut out, &header);
    out
}

/// Segments of frames over `shards` shards, whose records are about `record_bytes` long and arrive
/// `step_ms` apart. Gives frames and rows by segment, and the model.
struct Log {
    segments: Vec<(Vec<Vec<u8>>, Vec<Row>)>,
    model: Model,
}

fn log(seed: u64, segments: usize, shards: u64, record_bytes: u64, step_ms: u64) -> Log {
    let mut random = Random(seed);
    let mut model = Model::new();
    let mut now_ms = 1_700_000_000_000;
    let mut log = Log { segments: Vec::new(), model: Model::new() };
    for _ in 0..segments {
        let before: BTreeMap<_, _> = model.iter().map(|(key, all)| (*key, all.len())).collect();
        let mut frames = Vec::new();
        for _ in 0..20 {
            let mut parts: Vec<Part> = Vec::new();
            for key in 0..shards {
                // Sometimes a shard is absent; the first has most of the records.
                let count = if key == 0 { 8 } else { random.below(3) };
                let key = ShardKey(key * 10);
                let first_index = model.get(&key).map_or(0, Vec::len) as u64;
                let mut records = Vec::new();
                for _ in 0..count {
                    now_ms += random.below(step_ms + 1);
                    let bytes = random.below(record_bytes * 2) as usize;
                    records.push((now_ms, vec![random.below(256) as u8; bytes]));
                }
                if !records.is_empty() {
                    model.entry(key).or_default().extend(records.iter().cloned());
                    parts.push((key, first_index, records));
                }
            }
            frames.push(chain_frame(&parts));
        }
        let rows = model.iter().map(|(key, all)| {
            let new = &all[before.get(key).copied().unwrap_or(0)..];
            let bytes = new.iter().map(|(_, data)| record::encoded_bytes(1, data.len()) as u32);
            Row {
                key: *key,
                next_index: all.len() as u64,
                last_arrival_ms: all.last().map_or(0, |record| record.0),
                first_live_segment: 0,
                retention_ms: 1,
                count: new.len() as u32,
                bytes: bytes.sum(),
                first_posting: 0,
                postings: 0,
                closed: false,
                damaged: false,
            }
        });
        log.segments.push((frames, rows.collect()));
    }
    log.model = model;
    log
}

fn image(
    segments: &[(Vec<Vec<u8>>, Vec<Row>)],
    life: impl Fn(ShardKey) -> Option<ShardLife>,
) -> Image {
    let mut selection = Selection::default();
    for (_, rows) in segments {
        selection.begin_segment();
        rows.iter().for_each(|row| selection.add(row, life(row.key)));
    }
    let mut gathering = Gathering::new(selection, vec![7; 100]);
    for (frames, _) in segments {
        for frame in frames {
            let checked = frame::decode(frame).unwrap();
            gathering.add_frame(frame, &checked.header);
        }
    }
    gathering.finish()
}

fn kept(retention_ms: u64, horizon: u64) -> Option<ShardLife> {
    Some(ShardLife { retention_ms, horizon, deleted: false })
}

fn check_records(
    records: impl Iterator<Item = (u64, u64, Vec<u8>)>,
    expected: &[Stored],
    first_index: u64,
) {
    let mut index = first_index;
    for (found, arrival_ms, data) in records {
        assert_eq!(found, index);
        assert_eq!((arrival_ms, &data), (expected[index as usize].0, &expected[index as usize].1));
        index += 1;
    }
    assert_eq!(index as usize, expected.len());
}

fn owned(part: &[u8], base_ms: u64, first_index: u64) -> Vec<(u64, u64, Vec<u8>)> {
    let mut records = Records::new(part, base_ms, first_index);
    let owned = records.by_ref().map(|r| (r.index, r.arrival_ms, r.data.to_vec())).collect();
    assert!(records.rest().is_empty());
    owned
}

/// The image's frames as a file, checked whole one by one.
fn encode(image: &Image) -> (Vec<u8>, Vec<Row>, Vec<Posting>) {
    let written =
        Written { segment: 3, generation: 1, log: 0, life: 9, frames_before: 0, position: 0 };
    let mut file = Vec::new();
    let mut postings = Vec::new();
    for ordinal in 0..image.frame_count() {
        let (position, bytes) = image.frame_place(ordinal);
        assert_eq!(position as usize, file.len());
        let mut frame = vec![0xee; bytes];
        image.encode_frame(ordinal, &written, &mut frame, &mut postings);
        let header = frame::decode(&frame).unwrap().header;
        assert_eq!((header.kind, header.number), (FrameKind::Clustered, ordinal as u64));
        assert!(header.directory_count == 1 || bytes <= FRAME_BYTES_TARGET + 4096);
        let firsts = frame::directory(&frame, &header)
            .flat_map(|(entry, start)| {
                owned(&frame[start..start + entry.bytes as usize], header.base_ms, 0)
            })
            .map(|(_, arrival_ms, _)| arrival_ms);
        assert_eq!(firsts.min(), Some(header.base_ms), "the base is the least arrival time");
        file.extend(frame);
    }
    assert_eq!(file.len() as u64, image.frames_end());
    let (rows, postings) = table_of(image.rows(), image.keyed(postings).collect());
    let tail = crate::table::tail_bytes(rows.len(), postings.len());
    assert_eq!(image.frames_end() + tail, image.file_bytes());
    (file, rows, postings)
}

/// Everything that `life` wants is in the image and in its file, and nothing else is.
fn check(
    log: &Log,
    segments: std::ops::Range<usize>,
    life: impl Fn(ShardKey) -> Option<ShardLife>,
) {
    let run = &log.segments[segments];
    let image = image(run, &life);
    assert_eq!(image.holes(), []);
    let (file, rows, postings) = encode(&image);
    assert!(rows.is_sorted_by_key(|row| row.key));
    let newest = &run.last().unwrap().1;
    for source in newest {
        let key = source.key;
        let row = rows.iter().find(|row| row.key == key);
        let Some(life) = life(key).filter(|life| !life.deleted) else {
            assert_eq!((row, image.parts(key, 0).next()), (None, None));
            continue;
        };
        let row = row.unwrap();
        let first = run
            .iter()
            .filter_map(|(_, rows)| rows.iter().find(|row| row.key == key))
            .find(|row| life.keeps(row))
            .map_or(row.next_index, Row::first_index);
        assert_eq!((row.next_index, row.first_index()), (source.next_index, first));
        let expected = &log.model[&key][..row.next_index as usize];
        let parts = image.parts(key, 0);
        check_records(
            parts.flat_map(|part| owned(part.bytes, part.base_ms, part.first_index)),
            expected,
            first,
        );
        let own = &postings[row.first_posting as usize..][..row.postings as usize];
        let parts = own.iter().flat_map(|posting| {
            let part = &file[posting.position as usize..][..posting.bytes as usize];
            assert_eq!(xxh3_64(part), posting.checksum);
            owned(part, posting.base_ms, posting.first_index)
        });
        check_records(parts, expected, first);
    }
}

#[test]
fn all_that_is_wanted_comes_out_for_sizes_from_bytes_to_hundreds_of_kilobytes() {
    for (seed, record_bytes) in [(1, 10), (2, 200), (3, 5_000), (4, 60_000), (5, 400_000)] {
        let log = log(seed, 2, 5, record_bytes, 3);
        check(&log, 0..1, |_| kept(1, 0));
        check(&log, 1..2, |_| kept(1, 0));
        check(&log, 0..2, |_| kept(1, 0));
    }
}

#[test]
fn arrival_times_over_years_fit() {
    for (seed, step_ms) in [(1, 86_400_000), (2, 30 * 86_400_000), (3, u64::from(u32::MAX) - 5)] {
        let mut log = log(seed, 3, 4, 100, step_ms / 30);
        check(&log, 0..3, |_| kept(1, 0));
        // A second rewriting, of what a first one wrote.
        let images =
            log.segments.iter().map(|segment| image(std::slice::from_ref(segment), |_| kept(1, 0)));
        let rewritten: Vec<_> = images
            .map(|image| {
                let (file, rows, _) = encode(&image);
                let frames = (0..image.frame_count()).map(|ordinal| {
                    let (position, bytes) = image.frame_place(ordinal);
                    file[position as usize..][..bytes].to_vec()
                });
                (frames.collect(), rows)
            })
            .collect();
        log.segments = rewritten;
        check(&log, 0..3, |_| kept(1, 0));
    }
}

/// What passes of `bytes_max` give together: images, and what their file was reckoned to take.
fn pass_images(segments: &[(Vec<Vec<u8>>, Vec<Row>)], bytes_max: u64) -> (Vec<Image>, u64) {
    let mut left = Selection::default();
    for (_, rows) in segments {
        left.begin_segment();
        rows.iter().for_each(|row| left.add(row, kept(1 + row.key.0 % 3, 0)));
    }
    let file_bytes_max = left.file_bytes_max(bytes_max);
    let mut images = Vec::new();
    while !left.is_empty() {
        let mut gathering = Gathering::pass(left.take_pass(bytes_max), vec![7; 100], bytes_max);
        for frame in segments.iter().flat_map(|(frames, _)| frames) {
            gathering.add_frame(frame, &frame::decode(frame).unwrap().header);
        }
        gathering.put_back(&mut left);
        images.push(gathering.finish());
    }
    (images, file_bytes_max)
}

#[test]
fn passes_give_what_one_gathering_gives_in_the_same_order_and_in_the_reckoned_file() {
    for (seed, record_bytes) in [(1, 10), (2, 200), (3, 5_000), (4, 60_000), (5, 400_000)] {
        let log = log(seed, 2, 9, record_bytes, 3);
        let records = |images: &[Image]| -> Vec<(ShardKey, u64, u64, Vec<u8>)> {
            let mut all = Vec::new();
            for image in images {
                assert_eq!(image.holes(), []);
                let (file, rows, postings) = encode(image);
                let mut own: Vec<_> = rows
                    .iter()
                    .flat_map(|row| {
                        let from = row.first_posting as usize;
                        let own = postings[from..from + row.postings as usize].iter();
                        own.map(|posting| (row.key, *posting))
                    })
                    .collect();
                own.sort_by_key(|(_, posting)| posting.position);
                for (key, posting) in own {
                    let part = &file[posting.position as usize..][..posting.bytes as usize];
                    let part = owned(part, posting.base_ms, posting.first_index);
                    all.extend(part.into_iter().map(|(index, at, data)| (key, index, at, data)));
                }
            }
            all
        };
        let (whole, _) = pass_images(&log.segments, u64::MAX);
        assert_eq!(whole.len(), 1);
        let expected = records(&whole);
        let count: usize = log.model.values().map(Vec::len).sum();
        assert_eq!(expected.len(), count);
        let live_bytes: u64 =
            log.segments.iter().flat_map(|(_, rows)| rows).map(|row| u64::from(row.bytes)).sum();
        for passes in [2, 3, 10, 100] {
            let (images, file_bytes_max) = pass_images(&log.segments, live_bytes / passes);
            assert!(images.len() as u64 >= passes.min(20), "{} of {passes}", images.len());
            assert!(records(&images) == expected, "seed {seed}, {passes} passes");
            let frames_end: u64 = images.iter().map(Image::frames_end).sum();
            let pieces = images.iter().map(Image::piece_count).sum();
            let tail = tail_bytes(images[0].rows().len(), pieces);
            assert!(frames_end + tail <= file_bytes_max, "{frames_end} {tail} {file_bytes_max}");
        }
    }
}

#[test]
fn dead_and_deleted_shards_are_left_out() {
    let log = log(11, 4, 9, 300, 10);
    let middle = log.segments[1].1.iter().map(|row| (row.key, row.next_index));
    let middle: BTreeMap<_, _> = middle.collect();
    check(&log, 0..4, |key| match key.0 {
        0 => kept(5, middle[&key]),
        10 => kept(3, middle[&key] + 1),
        20 => kept(3, u64::MAX),
        30 => None,
        40 => kept(3, 1).map(|life| ShardLife { deleted: true, ..life }),
        _ => kept(7, 0),
    });
    check(&log, 0..4, |_| None);
    check(&log, 2..3, |_| kept(1, u64::MAX));
}

#[test]
fn output_is_ordered_by_retention_and_then_by_shard() {
    let log = log(12, 1, 6, 50, 1);
    let image = image(&log.segments, |key| kept(key.0 % 20, 0));
    let (file, ..) = encode(&image);
    let header = frame::decode(&file).unwrap().header;
    let keys: Vec<_> = frame::directory(&file, &header).map(|(entry, _)| entry.key.0).collect();
    assert_eq!(keys, [0, 20, 40, 10, 30, 50]);
}

#[test]
fn what_the_frames_lack_is_a_hole_and_the_rest_is_served() {
    let log = log(13, 1, 3, 50, 1);
    let (frames, rows) = &log.segments[0];
    for missing in [0, 7, frames.len() - 1] {
        let mut cut = frames.clone();
        let lost = cut.remove(missing);
        let image = image(&[(cut, rows.clone())], |_| kept(1, 0));
        let header = frame::decode(&lost).unwrap().header;
        let expected: Vec<_> = frame::directory(&lost, &header)
            .map(|(entry, _)| Hole {
                key: entry.key,
                first_index: entry.first_index,
                end_index: entry.first_index + u64::from(entry.count),
            })
            .collect();
        let mut holes = image.holes().to_vec();
        holes.sort_by_key(|hole| hole.key);
        assert_eq!(holes, expected);
        for part in image.parts(ShardKey(0), 0) {
            let all = owned(part.bytes, part.base_ms, part.first_index);
            all.iter().for_each(|r| assert_eq!(log.model[&ShardKey(0)][r.0 as usize].1, r.2));
        }
    }
    let mut doubled = frames.clone();
    doubled.insert(1, frames[0].clone());
    assert!(!image(&[(doubled, rows.clone())], |_| kept(1, 0)).holes().is_empty());
}

#[test]
fn parts_start_where_the_reader_wants() {
    let log = log(14, 1, 2, 20_000, 1);
    let image = image(&log.segments, |_| kept(1, 0));
    let all: Vec<_> = image.parts(ShardKey(0), 0).map(|part| part.first_index).collect();
    assert!(all.len() > 2);
    for (at, first) in all.iter().enumerate() {
        assert_eq!(image.parts(ShardKey(0), *first).count(), all.len() - at);
        assert_eq!(image.parts(ShardKey(0), first + 1).count(), all.len() - at);
    }
    assert_eq!(image.range(ShardKey(0)), Some((0, 160)));
    assert_eq!(image.range(ShardKey(5)), None);
    assert_eq!(image.parts(ShardKey(0), 160).count(), 0);
}
