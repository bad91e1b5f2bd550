//! Looks at the disk of a folder that died, for coverage: what did the crash leave?
//!
//! It reads the bytes by FORMAT.md, beside the engine and for no verdict on it: a run whose crashes
//! never tore anything would pass whatever the engine did.

use std::path::PathBuf;

use storage::catalog::{CatalogState, SegmentEntry};
use storage::frame::{self, BLOCK_BYTES, FrameHeader, FrameKind};
use storage::table::{Footer, Region};

use crate::coverage::Reached;
use crate::plan::{folder, segments_folder};
use crate::world::World;

/// A frame of a log's chain.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its file.
    pub path: PathBuf,
    /// Its segment.
    pub segment: u64,
    /// Where it starts, bytes.
    pub position: u64,
    /// Its header.
    pub header: FrameHeader,
    /// The shards in its directory.
    pub shards: Vec<u64>,
}

/// The whole and chained frames of a log, from the oldest that is there.
#[derive(Debug)]
pub struct Chain {
    /// Which log.
    pub log: u16,
    /// The log has no segment yet.
    pub is_new: bool,
    /// The frames.
    pub frames: Vec<Place>,
}

/// A segment's bytes.
struct Segment {
    entry: SegmentEntry,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Segment {
    /// The frame at `position` if it is whole and of this use of the file.
    fn whole(&self, position: usize) -> Option<(FrameHeader, u64)> {
        let checked = frame::decode(self.bytes.get(position..)?).ok()?;
        let header = checked.header;
        let is_of_this_use = header.log == self.entry.log
            && header.generation == self.entry.generation
            && header.segment == self.entry.first;
        is_of_this_use.then_some((header, checked.checksum))
    }

    fn block(&self, position: usize) -> Option<&[u8]> {
        self.bytes.get(position..position + BLOCK_BYTES)
    }
}

/// Where a chain ends: segment's ordinal, position, number and `previous` of the next frame.
#[derive(Clone, Copy)]
struct End {
    at: usize,
    position: usize,
    number: u64,
    previous: u64,
}

/// Walks the chain of log `log`, and notes what the death before left of it.
pub fn examine_log(world: &World, state: &CatalogState, log: u16) -> Chain {
    let segments = segments(world, state, log);
    let mut chain = Chain { log, is_new: segments.is_empty(), frames: Vec::new() };
    if segments.is_empty() {
        return chain;
    }
    let mut end = End { at: 0, position: 0, number: 0, previous: 0 };
    if let Some((header, _)) = segments[0].whole(0) {
        end = End { number: header.number, previous: header.previous, ..end };
    }
    loop {
        let segment = &segments[end.at];
        if take(segment, &mut end, &mut chain) {
            continue;
        }
        let mut next = End { at: end.at + 1, position: 0, ..end };
        let goes_on = segments.get(next.at).is_some_and(|it| take(it, &mut next, &mut chain));
        if !goes_on {
            break;
        }
        end = next;
    }
    note_end(world, &segments, end);
    note_tables(world, &segments[..end.at], &chain, state.life);
    if segments[..=end.at].iter().any(|segment| segment.entry.generation > 1) {
        world.reach(Reached::Recycled);
    }
    world.note_seal(log, &chain);
    chain
}

/// Takes the frame at the end if it is the expected one.
fn take(segment: &Segment, end: &mut End, chain: &mut Chain) -> bool {
    let Some((header, checksum)) = segment.whole(end.position) else { return false };
    if (header.number, header.previous) != (end.number, end.previous) {
        return false;
    }
    let bytes = &segment.bytes[end.position..];
    chain.frames.push(Place {
        path: segment.path.clone(),
        segment: segment.entry.first,
        position: end.position as u64,
        header,
        shards: frame::directory(bytes, &header).map(|(entry, _)| entry.key.0).collect(),
    });
    end.position += header.frame_bytes();
    end.number += 1;
    end.previous = checksum;
    true
}

fn segments(world: &World, state: &CatalogState, log: u16) -> Vec<Segment> {
    let folder = segments_folder();
    let there = world.disk.list_raw(&folder);
    let entries = state.segments.range((log, 0)..=(log, u64::MAX)).map(|(_, entry)| *entry);
    let mut chained: Vec<SegmentEntry> = entries.collect();
    if let Some(newest) = chained.iter().rposition(|entry| entry.clustered) {
        world.reach(Reached::Rewritten);
        chained.drain(..=newest);
    }
    // Segments between may have been removed: the chain's end begins behind the last gap.
    let follows = |pair: &[SegmentEntry]| pair[0].last + 1 == pair[1].first;
    if let Some(gap) = chained.windows(2).rposition(|pair| !follows(pair)) {
        chained.drain(..=gap);
    }
    let read = |entry: SegmentEntry| {
        let name = format!("{log:03}-{:08}.seg", entry.file);
        let is_there = there.iter().any(|(other, _)| *other == name);
        let path = folder.join(name);
        is_there.then(|| Segment { entry, bytes: world.disk.read_raw(&path), path })
    };
    chained.into_iter().map_while(read).collect()
}

fn note_end(world: &World, segments: &[Segment], end: End) {
    let segment = &segments[end.at];
    if let Some(block) = segment.block(end.position) {
        match frame::decode_header(block) {
            Some(checked) if checked.header.generation == segment.entry.generation => {
                let is_expected = checked.header.number == end.number;
                if is_expected && segment.whole(end.position).is_none() {
                    world.reach(Reached::TornTail);
                }
            }
            Some(checked) if checked.header.generation < segment.entry.generation => {
                if frame::decode(&segment.bytes[end.position..]).is_ok() {
                    world.reach(Reached::StaleFrame);
                }
            }
            // A file's first use starts with zeros: only a frame of ours can have left more.
            None if segment.entry.generation == 1 && block.iter().any(|byte| *byte != 0) => {
                world.reach(Reached::TornTail);
            }
            Some(_) | None => {}
        }
    }
    let behind = segments[end.at..].iter().enumerate().any(|(offset, segment)| {
        let from = if offset == 0 { end.position } else { 0 };
        let mut positions = (from..segment.bytes.len()).step_by(BLOCK_BYTES);
        positions.any(|at| segment.whole(at).is_some_and(|(header, _)| header.number > end.number))
    });
    if behind {
        world.reach(Reached::Hole);
    }
}

/// What stands behind the frames of the full segments.
fn note_tables(world: &World, full: &[Segment], chain: &Chain, life: u32) {
    let mut unsealed = 1;
    for segment in full {
        match table_of(segment) {
            TableState::Whole(written_in) => {
                unsealed = 1;
                if written_in + 1 == life {
                    world.reach(Reached::Sealed);
                }
                continue;
            }
            TableState::Torn => world.reach(Reached::TableTorn),
            TableState::Missing if has_remains(segment, chain) => world.reach(Reached::TableTorn),
            TableState::Missing => {}
        }
        unsealed += 1;
    }
    if unsealed > 1 {
        world.reach(Reached::TailOverSegments);
    }
}

enum TableState {
    /// Written in this life.
    Whole(u32),
    /// The footer is whole and a block is not.
    Torn,
    /// There is no footer.
    Missing,
}

fn table_of(segment: &Segment) -> TableState {
    let file_bytes = segment.entry.bytes;
    let footer = segment.bytes.len().checked_sub(BLOCK_BYTES);
    let footer = footer.and_then(|at| Footer::decode(&segment.bytes[at..], file_bytes));
    let Some(footer) = footer.filter(|footer| {
        (footer.generation, footer.first) == (segment.entry.generation, segment.entry.first)
    }) else {
        return TableState::Missing;
    };
    let regions = [Region::Rows, Region::Postings, Region::SparseKeys];
    let is_whole = regions.into_iter().all(|region| {
        (0..region.blocks(footer.count(region))).all(|block| {
            let at = footer.block_position(region, block) as usize;
            region.is_whole(&segment.bytes[at..at + BLOCK_BYTES], footer.seed)
        })
    });
    if is_whole { TableState::Whole(footer.life) } else { TableState::Torn }
}

/// Whether something was written behind the frames of a file in its first use.
fn has_remains(segment: &Segment, chain: &Chain) -> bool {
    let frames = chain.frames.iter().filter(|place| place.segment == segment.entry.first);
    let end = frames.map(|place| place.position as usize + place.header.frame_bytes()).max();
    let is_first_use = segment.entry.generation == 1;
    // What is left of an abandoned frame stands at the end of the frames, a table at the file's.
    let table = segment.bytes.len() - 2 * BLOCK_BYTES;
    is_first_use
        && end.is_some_and(|end| end <= table)
        && segment.bytes[table..].iter().any(|byte| *byte != 0)
}

/// A frame of one of the catalog's files.
#[derive(Clone, Debug)]
pub struct CatalogPlace {
    /// Its file.
    pub path: PathBuf,
    /// Where it starts, bytes.
    pub position: u64,
    /// Its header.
    pub header: FrameHeader,
}

/// The chain of the catalog's current file, and what a crash left behind it.
pub fn examine_catalog(world: &World) -> Vec<CatalogPlace> {
    let there = world.disk.list_raw(folder());
    let mut newest: Vec<CatalogPlace> = Vec::new();
    let mut is_torn = false;
    for name in ["catalog-a", "catalog-b"] {
        if !there.iter().any(|(other, _)| other == name) {
            continue;
        }
        let path = folder().join(name);
        let bytes = world.disk.read_raw(&path);
        let (places, torn) = catalog_chain(&bytes, &path);
        let generation = |places: &[CatalogPlace]| places.first().map(|it| it.header.generation);
        if generation(&places) > generation(&newest) {
            is_torn = torn;
            newest = places;
        } else if places.is_empty() {
            is_torn |= torn;
        }
    }
    if is_torn {
        world.reach(Reached::ManifestTorn);
    }
    newest
}

/// The chained frames from the file's start, and whether behind them stands a part of the next.
fn catalog_chain(bytes: &[u8], path: &std::path::Path) -> (Vec<CatalogPlace>, bool) {
    let mut places: Vec<CatalogPlace> = Vec::new();
    let mut position = 0;
    while let Some(rest) = bytes.get(position..)
        && let Ok(checked) = frame::decode(rest)
    {
        let header = checked.header;
        let follows = places.last().is_none_or(|last| {
            let last = &last.header;
            (header.generation, header.number) == (last.generation, last.number + 1)
        });
        if !follows {
            return (places, false);
        }
        let path = path.to_path_buf();
        places.push(CatalogPlace { path, position: position as u64, header });
        position += header.frame_bytes();
    }
    let is_torn = bytes.get(position..).and_then(frame::decode_header).is_some_and(|checked| {
        let header = checked.header;
        header.kind == FrameKind::Catalog
            && places.last().is_none_or(|last| last.header.generation <= header.generation)
    });
    let is_first_use = places.first().is_none_or(|first| first.header.generation <= 2);
    let block = bytes.get(position..position + BLOCK_BYTES);
    let has_remains = block.is_some_and(|block| block.iter().any(|byte| *byte != 0));
    (places, is_torn || (is_first_use && has_remains))
}
