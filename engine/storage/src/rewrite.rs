//! Writes a run of sealed segments anew: what is wanted of them, ordered by retention and shard.
//!
//! ```text
//!   tables ──▶ selection ──▶ arena ◀── frames        read once
//!                              │
//!                              ▼
//!   new file: frames, table, flush, directory ──▶ manifest ──▶ the set ──▶ old files are freed
//! ```
//! One rewriting serves three needs; `retention` decides when:
//! - **Cold reading.** With thousands of shards a record of 100 bytes shares its block with forty
//!   strangers, so whoever reads one shard reads them all, and 4,096 shards read the log 4,096
//!   times. A reader that comes to a segment whose parts are too small to be read one by one (it
//!   has no postings, see `table::COARSE_PART_BYTES`) therefore has it ordered first: one pass to
//!   read and one to write, and every later reader of any shard reads its own bytes. A segment
//!   whose parts are large is never rewritten for a reader: the frames of a one-shard log are in
//!   order already, and its reader gains nothing.
//! - **Retention** and **deletion.** A segment of which a third is dead is written anew without it,
//!   together with its neighbours as long as what they keep fits one segment.
//!
//! It must never free a file before the one that takes its place is durable, with its name, and in
//! the manifest; and never leave out a record that is wanted: a run that cannot be read in full
//! stays as it is, and is remembered as damaged.
//!
//! Memory: an arena of the run's kept bytes, at most `LogOptions::rewriting_bytes_max` with the
//! buffers around it. A single segment that keeps more is gathered in passes, each over all of its
//! frames. Budget: each byte written once and read once a pass, nothing zeroed.

use std::path::Path;
use std::rc::Rc;

use runtime::file::{self, Access, File, IoError, IoErrorKind};

use crate::catalog::{CatalogError, FileEntry, Mutation, SegmentEntry};
use crate::cluster::{FRAME_BYTES_TARGET, Gathering, Image, Selection};
use crate::frame::BLOCK_BYTES;
use crate::planted::{Bug, planted};
use crate::rebuild;
use crate::retention::rows;
use crate::segment_set::{Segment, Shape};
use crate::state::LogInner;
use crate::table::{Footer, Row, Table};

use self::output::Output;
use self::source::Source;

mod output;
mod source;

/// Memory of a rewriting beside its arena, bytes: two pieces being read, frames being written, the
/// list of pieces and the blocks of a table.
const AROUND_BYTES: usize = 2 * source::PIECE_BYTES + (output::DEPTH + 1) * FRAME_BYTES_TARGET;
/// Memory for each shard of the log: rows, places and their order, bytes.
const SHARD_BYTES: usize = 320;

/// What came of a rewriting.
pub(crate) enum Rewritten {
    /// The run is one segment now, with these rows.
    Done(Rc<Segment>, Vec<Row>),
    /// Part of the run cannot be read; those segments are marked, or their tables were mended.
    Damaged,
    /// In passes it would be larger than was reckoned; it is marked.
    TooLarge,
    /// The disk refused to read, or to write the new file, or has no room for it. Nothing has
    /// changed.
    Refused(IoError),
}

/// Bytes of records that a rewriting can hold in `rewriting_bytes_max`.
pub(crate) fn live_bytes_max(rewriting_bytes_max: usize, shard_count: usize) -> u64 {
    let around = AROUND_BYTES + shard_count * SHARD_BYTES;
    // With so little that hardly anything is left, small files are still merged.
    rewriting_bytes_max.saturating_sub(around).max(rewriting_bytes_max / 4) as u64
}

/// Writes `run`, adjacent segments of the set, into one file in their place. `arena` is memory to
/// be used again; it comes back there.
///
/// # Errors
/// The catalog's: whether the run was replaced is unknown then.
pub(crate) async fn rewrite(
    log: &Rc<LogInner>,
    run: &[Rc<Segment>],
    arena: &mut Vec<u8>,
) -> Result<Rewritten, CatalogError> {
    assert!(!run.is_empty());
    let mut passes = match Passes::begin(log, run, std::mem::take(arena)).await {
        Ok(passes) => passes,
        Err(stop) => return Ok(stop.into()),
    };
    let entry = |bytes| {
        let (first, last) = (run[0].entry(), run[run.len() - 1].entry());
        let file = log.pool.new_file_number();
        SegmentEntry { last: last.last, file, generation: 1, bytes, clustered: true, ..*first }
    };
    let bytes_max = passes.file_bytes_max();
    let written = match passes.next().await {
        Ok(image) => {
            let entry = entry(if passes.is_at_end() { image.file_bytes() } else { bytes_max });
            write(log, passes, image, entry, arena).await?
        }
        Err(stop) => Err(stop),
    };
    let (table, entry) = match written {
        Ok(written) => written,
        Err(stop) => {
            if matches!(stop, Stop::TooLarge) {
                run.iter().for_each(|segment| segment.set_too_large());
            }
            return Ok(stop.into());
        }
    };
    let path = log.pool.path(entry.file);
    match log.pool.commit(mutations(run, &entry)).await {
        Ok(()) => {}
        Err(CatalogError::Io(error))
            if matches!(error.kind, IoErrorKind::NoSpace)
                || planted(Bug::FailedCommitRemovesTheNewFile) =>
        {
            let error = given_up(&path).await.err().unwrap_or_else(|| IoError::clone(&error));
            return Ok(Rewritten::Refused(error));
        }
        Err(error) if error.is_for_space() => {
            file::remove(&path).await?;
            return Err(error);
        }
        // After any other error nobody knows what the manifest says.
        Err(error) => return Err(error),
    }
    let segment = log.segments.replace(entry);
    segment.set_shape(Some(Shape::of(table.footer())));
    log.state.borrow_mut().stats.rewritten_bytes += entry.bytes;
    Ok(Rewritten::Done(segment, table.rows().to_vec()))
}

/// The new segment takes the place of the run; the run's files become free in the same commit.
fn mutations(run: &[Rc<Segment>], entry: &SegmentEntry) -> Vec<Mutation> {
    let removed = run.iter().filter(|segment| segment.entry().first != entry.first);
    let removals = removed
        .map(|segment| Mutation::RemoveSegment { log: entry.log, first: segment.entry().first });
    let freed = run.iter().map(|segment| Mutation::PutFile(free_file(segment.entry())));
    std::iter::once(Mutation::PutSegment(*entry)).chain(removals).chain(freed).collect()
}

/// The entry of a file whose segment is gone.
pub(crate) fn free_file(entry: &SegmentEntry) -> FileEntry {
    let SegmentEntry { log, file, generation, bytes, .. } = *entry;
    FileEntry { log, file, generation, bytes }
}

/// Why a run stays as it is.
enum Stop {
    Damaged,
    TooLarge,
    Refused(IoError),
}

impl From<IoError> for Stop {
    fn from(error: IoError) -> Stop {
        Stop::Refused(error)
    }
}

impl From<Stop> for Rewritten {
    fn from(stop: Stop) -> Rewritten {
        match stop {
            Stop::Damaged => Rewritten::Damaged,
            Stop::TooLarge => Rewritten::TooLarge,
            Stop::Refused(error) => Rewritten::Refused(error),
        }
    }
}

/// What is wanted of a run, as much at a time as the memory takes.
struct Passes<'a> {
    log: &'a LogInner,
    sources: Vec<(&'a Rc<Segment>, File, Footer)>,
    /// What was not gathered yet.
    left: Selection,
    bytes_max: u64,
    arena: Vec<u8>,
}

impl<'a> Passes<'a> {
    /// Reads the tables of the run.
    async fn begin(
        log: &'a LogInner,
        run: &'a [Rc<Segment>],
        arena: Vec<u8>,
    ) -> Result<Passes<'a>, Stop> {
        let shard_count = log.state.borrow().shards.count();
        let bytes_max = live_bytes_max(log.options.rewriting_bytes_max, shard_count);
        let mut left = Selection::default();
        let mut sources = Vec::new();
        for segment in run {
            let file = log.segments.file(segment).await?;
            let Some(footer) = rows::read_footer(&file, segment.entry()).await? else {
                return Err(damaged_table(log, segment).await?);
            };
            left.begin_segment();
            let add = |row: &Row| left.add(row, log.state.borrow().shards.life(row.key));
            if !rows::each_row(&file, &footer, add).await? {
                return Err(damaged_table(log, segment).await?);
            }
            count_read(log, footer_bytes(segment.entry(), &footer));
            sources.push((segment, file, footer));
        }
        Ok(Passes { log, sources, left, bytes_max, arena })
    }

    /// The footer of the run's last segment: where the chain goes on.
    fn chain(&self) -> Footer {
        self.sources.last().expect("a run has segments").2
    }

    /// Bytes of a file that takes all that is left.
    fn file_bytes_max(&self) -> u64 {
        self.left.file_bytes_max(self.bytes_max)
    }

    fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// Reads the frames of the run, and gathers what comes next.
    async fn next(&mut self) -> Result<Image, Stop> {
        let selection = self.left.take_pass(self.bytes_max);
        let arena = std::mem::take(&mut self.arena);
        let mut gathering = Gathering::pass(selection, arena, self.bytes_max);
        for (segment, file, footer) in &self.sources {
            let frames_end = u64::from(footer.frames_end);
            count_read(self.log, frames_end);
            let source = source::gather(file, segment.entry(), frames_end, &mut gathering).await?;
            if source == Source::Damaged {
                segment.set_damaged();
                return Err(Stop::Damaged);
            }
        }
        gathering.put_back(&mut self.left);
        let image = gathering.finish();
        if !image.holes().is_empty() {
            // Which of them lacks the records is not known, and does not matter: none is rewritten.
            self.sources.iter().for_each(|(segment, ..)| segment.set_damaged());
            return Err(Stop::Damaged);
        }
        Ok(image)
    }
}

/// Builds the table anew, for the next try; what cannot be mended is not rewritten.
async fn damaged_table(log: &LogInner, segment: &Rc<Segment>) -> Result<Stop, IoError> {
    segment.note_damaged_table();
    if !rebuild::mend(log, segment).await? {
        segment.set_damaged();
    }
    Ok(Stop::Damaged)
}

fn footer_bytes(entry: &SegmentEntry, footer: &Footer) -> u64 {
    entry.bytes - u64::from(footer.rows_position)
}

fn count_read(log: &LogInner, bytes: u64) {
    log.state.borrow_mut().stats.read_bytes += bytes;
}

/// Makes the new file; on a full disk in the space of the log's reserve, for more is freed than is
/// written.
async fn create(
    log: &LogInner,
    path: &Path,
    bytes: u64,
) -> Result<Result<File, IoError>, CatalogError> {
    assert!(bytes.is_multiple_of(BLOCK_BYTES as u64));
    let error = match file::create(path, Access::ReadWrite, bytes).await {
        Err(error) if matches!(error.kind, IoErrorKind::NoSpace) => error,
        other => return Ok(other),
    };
    if let Err(error) = given_up(path).await {
        return Ok(Err(error));
    }
    match log.pool.give_up_reserve().await? {
        true => Ok(file::create(path, Access::ReadWrite, bytes).await),
        false => Ok(Err(error)),
    }
}

/// Writes the new file and makes it and its name durable, or leaves none. The memory comes back to
/// `arena`.
///
/// # Errors
/// The catalog's.
async fn write(
    log: &LogInner,
    passes: Passes<'_>,
    first: Image,
    entry: SegmentEntry,
    arena: &mut Vec<u8>,
) -> Result<Result<(Table, SegmentEntry), Stop>, CatalogError> {
    let path = log.pool.path(entry.file);
    let written = match create(log, &path, entry.bytes).await? {
        Ok(file) => {
            let output = Output::new(file, entry, log.options.life);
            write_passes(log, passes, first, output, arena).await
        }
        Err(error) => Err(error.into()),
    };
    Ok(match written {
        Ok(table) => Ok((table, entry)),
        Err(stop) => Err(given_up(&path).await.err().map_or(stop, Stop::Refused)),
    })
}

async fn write_passes(
    log: &LogInner,
    mut passes: Passes<'_>,
    first: Image,
    mut output: Output,
    arena: &mut Vec<u8>,
) -> Result<Table, Stop> {
    let rows = first.rows().to_vec();
    append(&mut output, &first).await?;
    passes.arena = first.into_arena();
    while !passes.is_at_end() {
        let image = passes.next().await?;
        append(&mut output, &image).await?;
        passes.arena = image.into_arena();
    }
    let file = output.file().clone();
    let table = output.finish(&rows, &passes.chain()).await?;
    *arena = passes.arena;
    if !planted(Bug::FreeOldBeforeNewDurable) {
        file.flush().await?;
        file::sync_directory(log.segments.directory()).await?;
    }
    Ok(table)
}

async fn append(output: &mut Output, image: &Image) -> Result<(), Stop> {
    if !output.has_room(image) {
        return Err(Stop::TooLarge);
    }
    Ok(output.append(image).await?)
}

/// Removes what a rewriting that failed has left. What cannot be removed either is removed when the
/// log is opened next, as a file that the manifest does not know.
async fn given_up(path: &Path) -> Result<(), IoError> {
    match file::exists(path).await {
        Ok(true) => file::remove(path).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    }
}
