//! Builds the table of a sealed segment anew from its frames, where its own has rotted.
//!
//! ```text
//!   frames of the segment ──▶ parts      which records of whom it holds, and where
//!   whole blocks of its table ─▶ rows    as they are
//!   tables before and behind ──▶ rows    of those that the two above say nothing of
//! ```
//! The newest table of a log is not mended here while it belongs to the chain: recovery walks its
//! frames. A table is written over only where it was found damaged, and its frames never: a crash
//! meanwhile leaves what was there before, a damaged table.
//!
//! Budget: the segment and the tables of its neighbours are read once, in memory a row per shard and
//! table, and a posting per part where the segment had postings.

use std::rc::Rc;

use runtime::file::{File, IoError};
use runtime::random;
use xxhash_rust::xxh3::xxh3_64;

use crate::catalog::SegmentEntry;
use crate::cold::frame_walk;
use crate::error::ReadError;
use crate::frame::{self, BLOCK_BYTES, FrameHeader};
use crate::record::Records;
use crate::recovery::scan::Scan;
use crate::sealer;
use crate::segment_set::{Segment, Shape, TableState};
use crate::state::LogInner;
use crate::table::{Footer, Posting, Region, Row, Table, row_at, tail_bytes};
use crate::tables;

use self::merge::{Between, Seen, Sources};

mod merge;

/// What stands around a segment.
#[derive(Default)]
pub(crate) struct Around {
    /// The table of the segment just before it, where that is whole; empty before the first.
    pub before: Option<Vec<Row>>,
    /// What that table's footer says.
    pub has_nameless_damage: bool,
    /// The table of the chain's segment just behind it, where that is whole.
    pub behind: Option<Vec<Row>>,
    /// The first frame behind it.
    pub link: Option<Link>,
    /// That frame's number, where it is known not to be one that was abandoned.
    pub frames_until: Option<u64>,
}

/// Where a frame stands in the chain.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub number: u64,
    pub previous: u64,
    pub life: u32,
}

/// A table that was built anew.
pub(crate) struct Rebuilt {
    pub footer: Footer,
    /// Those of shards of which nobody says where their indices go on are marked as damaged.
    pub rows: Vec<Row>,
}

/// Builds the table anew and writes it, if it fits: rows of shards that were deleted since may stand
/// in the table before, and a rewritten segment's file has no room to spare.
///
/// # Errors
/// The disk's.
pub(crate) async fn rebuild(
    file: &File,
    entry: &SegmentEntry,
    around: &Around,
) -> Result<Rebuilt, IoError> {
    let footer = tables::read_footer(file, entry).await?;
    let (kept, between) = match &footer {
        Some(footer) => whole_rows(file, footer).await?,
        None => (Vec::new(), vec![Between::default()]),
    };
    let has_postings = entry.clustered || footer.is_some_and(|footer| footer.has_postings);
    // Frames of a rewritten segment have numbers of their own.
    let frames_until = around.frames_until.filter(|_| !entry.clustered).unwrap_or(u64::MAX);
    let (seen, end) = see(file, entry, footer.as_ref(), has_postings, frames_until).await?;
    let sources = Sources {
        segment: entry.first,
        is_chain: !entry.clustered,
        kept: &kept,
        between: &between,
        seen: &seen,
        before: around.before.as_deref(),
        behind: around.behind.as_deref(),
    };
    let merged = merge::merge(&sources);
    let last_of_rows = merged.rows.iter().map(|row| row.last_arrival_ms).max().unwrap_or(0);
    // What an earlier life abandoned may stand at the start of the next segment still.
    let follows = |link: &Link| link.life >= end.life && link.number >= end.next_frame;
    let link = around.link.filter(|link| entry.clustered || follows(link));
    let link = match (link, entry.clustered) {
        (Some(link), _) => (link.number, link.previous),
        // Who starts from this table meets a missing frame, and says so.
        (None, true) => (0, 0),
        (None, false) => (end.next_frame, end.last_checksum),
    };
    let anew = Footer {
        first: entry.first,
        last: entry.last,
        generation: entry.generation,
        log: entry.log,
        clustered: entry.clustered,
        has_postings,
        frames_end: footer.map_or(end.frames_end, |footer| footer.frames_end),
        next_frame: footer.map_or(link.0, |footer| footer.next_frame),
        last_checksum: footer.map_or(link.1, |footer| footer.last_checksum),
        arrival_ms: footer.map_or(end.arrival_ms.max(last_of_rows), |footer| footer.arrival_ms),
        life: footer.map_or(end.life, |footer| footer.life),
        // Where the footer is lost, damaged frames may have made it say so.
        has_nameless_damage: footer
            .map_or(around.has_nameless_damage || seen.has_holes, |it| it.has_nameless_damage),
        seed: random::seed(),
        ..Footer::default()
    };
    let table_bytes = tail_bytes(merged.rows.len(), merged.postings.len());
    let mut footer = anew;
    if u64::from(anew.frames_end) + table_bytes <= entry.bytes {
        let table = Table::new(anew, merged.rows.clone(), merged.postings, entry.bytes);
        footer = *table.footer();
        sealer::write_table(file, &table).await?;
        file.flush().await?;
    }
    Ok(Rebuilt { footer, rows: merged.rows })
}

/// The rows in whole blocks, and the stretches of keys between which the others lie.
async fn whole_rows(file: &File, footer: &Footer) -> Result<(Vec<Row>, Vec<Between>), IoError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut between = Vec::new();
    let mut open: Option<Between> = None;
    for at in 0..Region::Rows.blocks(footer.count(Region::Rows)) {
        let position = footer.block_position(Region::Rows, at);
        let block = file.read(position, BLOCK_BYTES).await?;
        if !Region::Rows.is_whole(&block, footer.seed) {
            let behind = rows.last().map(|row| row.key);
            open.get_or_insert(Between { behind, before: None });
            continue;
        }
        if let Some(lost) = open.take() {
            between.push(Between { before: Some(row_at(&block, 0).key), ..lost });
        }
        let count = footer.count_in_block(Region::Rows, at);
        rows.extend((0..count).map(|slot| row_at(&block, slot)));
    }
    between.extend(open);
    Ok((rows, between))
}

/// Where the frames of a segment end, in the file and in the chain.
#[derive(Default)]
struct End {
    frames_end: u32,
    next_frame: u64,
    last_checksum: u64,
    arrival_ms: u64,
    life: u32,
}

/// Looks at all frames of the segment; in the chain, those with numbers below `frames_until`.
async fn see(
    file: &File,
    entry: &SegmentEntry,
    footer: Option<&Footer>,
    with_postings: bool,
    frames_until: u64,
) -> Result<(Seen, End), IoError> {
    let mut seen = Seen::default();
    let mut end = End::default();
    let all = u32::try_from(entry.bytes).expect("a segment has < 2^32 bytes");
    let walk_end = footer.map_or(all, |footer| footer.frames_end);
    let take = |position: u64, bytes: &[u8], header: &FrameHeader| {
        if header.number >= frames_until {
            return;
        }
        for (part, start) in frame::directory(bytes, header) {
            let part_bytes = &bytes[start..start + part.bytes as usize];
            let records = Records::new(part_bytes, header.base_ms, part.first_index);
            let last_ms = records.last().map_or(header.base_ms, |record| record.arrival_ms);
            end.arrival_ms = end.arrival_ms.max(last_ms);
            let posting = Posting {
                position: position as u32 + start as u32,
                bytes: part.bytes,
                first_index: part.first_index,
                count: part.count,
                base_ms: header.base_ms,
                checksum: if with_postings { xxh3_64(part_bytes) } else { 0 },
            };
            seen.add(part.key, posting, last_ms, with_postings);
        }
        end.frames_end = (position + header.frame_bytes() as u64) as u32;
        end.next_frame = header.number + 1;
        end.last_checksum = frame::decode_header(bytes).map_or(0, |checked| checked.checksum);
        end.life = end.life.max(header.life);
        end.arrival_ms = end.arrival_ms.max(header.base_ms);
    };
    let damaged = frame_walk::walk(file, entry, walk_end, take).await?;
    // Behind the last frame of a file whose footer is lost there is the rest of its table.
    let is_frame = |position: &&u64| footer.is_some() || **position < u64::from(end.frames_end);
    seen.has_holes = damaged.iter().any(|position| is_frame(&position));
    Ok((seen, end))
}

/// Mends the table that a reader has found damaged; true if it is worth another try.
///
/// # Errors
/// The disk's.
pub(crate) async fn mends(log: &LogInner, error: &ReadError) -> Result<bool, IoError> {
    let &ReadError::Damaged { segment, position } = error else { return Ok(false) };
    let Some(segment) = log.segments.at(segment) else { return Ok(false) };
    match segment.table_state() {
        TableState::Damaged => mend(log, &segment).await,
        // Somebody else has mended it meanwhile, if it was the table.
        TableState::Whole => {
            let is_in_table =
                |shape: Shape| shape.frames_end > 0 && position >= u64::from(shape.frames_end);
            Ok(segment.shape().is_some_and(is_in_table))
        }
        TableState::Lost => Ok(false),
    }
}

/// Builds the table of a sealed segment anew, if it is damaged. False if that is not possible: then
/// it is not tried again.
///
/// # Errors
/// The disk's.
pub(crate) async fn mend(log: &LogInner, segment: &Rc<Segment>) -> Result<bool, IoError> {
    let _one = log.mending.acquire(1).await;
    if segment.is_retired() || segment.table_state() == TableState::Lost {
        return Ok(segment.is_retired());
    }
    let file = log.segments.file(segment).await?;
    let entry = segment.entry();
    if let Some((footer, _)) = whole_table(&file, entry).await? {
        segment.set_shape(Some(Shape::of(&footer)));
        segment.set_table_state(TableState::Whole);
        return Ok(true);
    }
    let around = around(log, segment).await?;
    if around.before.is_some() || around.behind.is_some() {
        // Else silent shards would be forgotten, should this be the newest whole table.
        rebuild(&file, entry, &around).await?;
    }
    let Some((footer, _)) = whole_table(&file, entry).await? else {
        segment.set_table_state(TableState::Lost);
        return Ok(false);
    };
    segment.set_shape(Some(Shape::of(&footer)));
    segment.set_table_state(TableState::Whole);
    log.state.borrow_mut().stats.rebuilt_tables += 1;
    Ok(true)
}

/// The footer and all rows of a table, if it is whole.
async fn whole_table(
    file: &File,
    entry: &SegmentEntry,
) -> Result<Option<(Footer, Vec<Row>)>, IoError> {
    let Some(footer) = tables::read_footer(file, entry).await? else { return Ok(None) };
    Ok(tables::read_whole(file, &footer).await?.map(|rows| (footer, rows)))
}

async fn around(log: &LogInner, segment: &Rc<Segment>) -> Result<Around, IoError> {
    let entry = segment.entry();
    let mut around = Around::default();
    let before = log.segments.before(entry.first);
    if entry.first == 0 {
        around.before = Some(Vec::new());
    } else if let Some(before) = before.filter(|before| before.entry().last + 1 == entry.first) {
        let file = log.segments.file(&before).await?;
        if let Some((footer, rows)) = whole_table(&file, before.entry()).await? {
            around.before = Some(rows);
            around.has_nameless_damage = footer.has_nameless_damage;
        }
    }
    let behind = log.segments.at(entry.last + 1).filter(|behind| !behind.entry().clustered);
    if let Some(behind) = behind {
        let file = log.segments.file(&behind).await?;
        around.behind = whole_table(&file, behind.entry()).await?.map(|(_, rows)| rows);
        around.link = link(&file, behind.entry()).await?;
        // A sealed segment starts with a frame that was acknowledged.
        around.frames_until = around.link.map(|link| link.number);
        return Ok(around);
    }
    let live = {
        let state = log.state.borrow();
        let live = state.live_segment(entry.last + 1);
        live.map(|live| (live.file.clone(), live.entry, live.readers.clone()))
    };
    if let Some((file, behind, _readers)) = live {
        around.link = link(&file, &behind).await?;
    }
    Ok(around)
}

/// The first frame of a segment of the chain, if it is whole.
///
/// # Errors
/// The disk's.
pub(crate) async fn link(file: &File, entry: &SegmentEntry) -> Result<Option<Link>, IoError> {
    let mut scan = Scan::new(file.clone());
    let Some(bytes) = scan.frame(0).await? else { return Ok(None) };
    let first = frame::decode(bytes).ok().map(|checked| checked.header);
    let first = first.filter(|header| header.is_of(entry));
    let FrameHeader { number, previous, life, .. } = match first {
        Some(header) => header,
        None => return Ok(None),
    };
    Ok(Some(Link { number, previous, life }))
}
