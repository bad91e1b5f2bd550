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
//! buffers around it. Budget: each byte read once and written once, nothing zeroed.

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
    let gathered = match gather(log, run, arena).await {
        Ok(Some(gathered)) => gathered,
        Ok(None) => return Ok(Rewritten::Damaged),
        Err(error) => return Ok(Rewritten::Refused(error)),
    };
    let Gathered { image, chain } = gathered;
    let (entry, path) = {
        let first = run[0].entry();
        let last = run[run.len() - 1].entry();
        let file = log.pool.new_file_number();
        let bytes = image.file_bytes();
        let entry =
            SegmentEntry { last: last.last, file, generation: 1, bytes, clustered: true, ..*first };
        (entry, log.pool.path(file))
    };
    let written = match create(log, &path, entry.bytes).await? {
        Ok(file) => write(log, file, &image, &entry, &chain).await,
        Err(error) => Err(error),
    };
    *arena = image.into_arena();
    let table = match written {
        Ok(table) => table,
        Err(error) => return Ok(Rewritten::Refused(given_up(&path, error).await)),
    };
    match log.pool.commit(mutations(run, &entry)).await {
        Ok(()) => {}
        // A full disk refuses the commit as a whole; after any other error nobody knows.
        Err(CatalogError::Io(error))
            if matches!(error.kind, IoErrorKind::NoSpace)
                || planted(Bug::FailedCommitRemovesTheNewFile) =>
        {
            return Ok(Rewritten::Refused(given_up(&path, IoError::clone(&error)).await));
        }
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

struct Gathered {
    image: Image,
    /// The footer of the run's last segment: where the chain goes on.
    chain: Footer,
}

/// What is wanted of the run, in memory; `None` if part of it cannot be read.
async fn gather(
    log: &Rc<LogInner>,
    run: &[Rc<Segment>],
    arena: &mut Vec<u8>,
) -> Result<Option<Gathered>, IoError> {
    let mut selection = Selection::default();
    let mut sources = Vec::new();
    for segment in run {
        let file = log.segments.file(segment).await?;
        let Some(footer) = rows::read_footer(&file, segment.entry()).await? else {
            return damaged_table(log, segment).await;
        };
        selection.begin_segment();
        let add = |row: &Row| selection.add(row, log.state.borrow().shards.life(row.key));
        if !rows::each_row(&file, &footer, add).await? {
            return damaged_table(log, segment).await;
        }
        count_read(log, footer_bytes(segment.entry(), &footer));
        sources.push((segment, file, footer));
    }
    let (_, _, chain) = *sources.last().expect("a run has segments");
    let mut gathering = Gathering::new(selection, std::mem::take(arena));
    for (segment, file, footer) in &sources {
        let frames_end = u64::from(footer.frames_end);
        count_read(log, frames_end);
        let source = source::gather(file, segment.entry(), frames_end, &mut gathering).await?;
        if source == Source::Damaged {
            segment.set_damaged();
            *arena = gathering.finish().into_arena();
            return Ok(None);
        }
    }
    let image = gathering.finish();
    if !image.holes().is_empty() {
        // Which of them lacks the records is not known, and does not matter: none is rewritten.
        run.iter().for_each(|segment| segment.set_damaged());
        *arena = image.into_arena();
        return Ok(None);
    }
    Ok(Some(Gathered { image, chain }))
}

/// Builds the table anew, for the next try; what cannot be mended is not rewritten.
async fn damaged_table(log: &LogInner, segment: &Rc<Segment>) -> Result<Option<Gathered>, IoError> {
    segment.note_damaged_table();
    if !rebuild::mend(log, segment).await? {
        segment.set_damaged();
    }
    Ok(None)
}

fn footer_bytes(entry: &SegmentEntry, footer: &Footer) -> u64 {
    entry.bytes - u64::from(footer.rows_position)
}

fn count_read(log: &LogInner, bytes: u64) {
    log.state.borrow_mut().stats.read_bytes += bytes;
}

/// Makes the new file; on a full disk in the space of the log's reserve, for more is freed than is
/// written.
///
/// # Errors
/// The catalog's.
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
    if let Err(error) = remove_left(path).await {
        return Ok(Err(error));
    }
    match log.pool.give_up_reserve().await? {
        true => Ok(file::create(path, Access::ReadWrite, bytes).await),
        false => Ok(Err(error)),
    }
}

/// Writes the new file and makes it and its name durable.
async fn write(
    log: &LogInner,
    file: File,
    image: &Image,
    entry: &SegmentEntry,
    chain: &Footer,
) -> Result<Table, IoError> {
    let table = output::write(&file, image, entry, chain, log.options.life).await?;
    if !planted(Bug::FreeOldBeforeNewDurable) {
        file.flush().await?;
        file::sync_directory(log.segments.directory()).await?;
    }
    Ok(table)
}

/// Removes what a rewriting that failed has left. What cannot be removed either is removed when the
/// log is opened next, as a file that the manifest does not know. Returns the error to be told.
async fn given_up(path: &Path, error: IoError) -> IoError {
    remove_left(path).await.err().unwrap_or(error)
}

async fn remove_left(path: &Path) -> Result<(), IoError> {
    match file::exists(path).await {
        Ok(true) => file::remove(path).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    }
}
