//! Opens a log: finds its files, recovers it, and starts the tasks that serve it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::rc::Rc;

use runtime::clock;
use runtime::file::{self, Access, File, IoError};
use runtime::local::{Notify, Semaphore};
use runtime::task;

use crate::arrival::ArrivalClock;
use crate::catalog::{CatalogClient, CatalogState, SegmentEntry};
use crate::cold::Cold;
use crate::committer;
use crate::error::OpenError;
use crate::follower::Followers;
use crate::frame::{self, BLOCK_BYTES};
use crate::gather::Gather;
use crate::index::PartBlocks;
use crate::log::Recovered;
use crate::options::LogOptions;
use crate::planted::{Bug, planted};
use crate::pool::{self, Pool, Ready};
use crate::rebuild::{self, Around, Rebuilt};
use crate::recovery::{self, Base, Doubtful, Tail, TailSegment};
use crate::retention::Retention;
use crate::segment_set::SegmentSet;
use crate::service;
use crate::shards::Shards;
use crate::state::{LiveSegment, LogInner, Phase, Stage, State};
use crate::stats::LogStats;
use crate::table::{Footer, Row};
use crate::tables;

/// Sealed segments whose files stay open between two reads.
const OPEN_FILES_MAX: usize = 64;
/// Reads at a time for followers that fell behind and for searches by time; each takes about 2 MiB.
const OWN_READS_MAX: usize = 8;
/// A table is written again in pieces of so many bytes.
const REWRITTEN_TOGETHER_BYTES: u64 = 256 << 10;

/// See [`crate::log::Log::open`].
pub(crate) async fn open(
    options: LogOptions,
    catalog: CatalogClient,
    manifest: &CatalogState,
) -> Result<(Rc<LogInner>, Recovered), OpenError> {
    options.assert_valid();
    let started = clock::now();
    let log = options.log;
    if let Some(damage) = manifest.damage.iter().find(|damage| damage.log == Some(log)) {
        return Err(OpenError::ManifestDamaged(*damage));
    }
    file::create_directory_all(&pool::segments_directory(&options)).await?;
    // Its own name must be durable too, or a power cut takes all that is in it.
    if !planted(Bug::ForgetFolderSync) {
        file::sync_directory(&options.directory).await?;
    }
    remove_orphans(&options, manifest).await?;
    let entries: Vec<SegmentEntry> = of_log(manifest, log).collect();
    let pool = make_pool(&options, catalog, manifest, &entries);
    let segments = SegmentSet::new(&pool::segments_directory(&options), OPEN_FILES_MAX);
    let (tail, mut rebuilt_tables) = match entries.is_empty() {
        true => (found(&options, &pool).await?, Vec::new()),
        false => recover(&options, &pool, &segments, &entries).await?,
    };
    let is_full = |segment: &&LiveSegment| matches!(segment.stage, Stage::Full(_));
    rebuilt_tables.extend(tail.live.iter().filter(is_full).map(|segment| segment.entry.first));
    let phase = match entries.is_empty() {
        true => Phase::Open,
        false => Phase::AwaitSeal,
    };
    let (scanned_bytes, damage) = (tail.scanned_bytes, tail.damage.clone());
    let shard_count = tail.shards.count();
    // Only now: a log that cannot go on without a free file needs it more.
    pool.set_reserve_aside();
    let inner = Rc::new(assemble(options, pool, segments, tail, phase));
    let retention_pause = inner.retention.pause();
    let took = clock::now() - started;
    inner.state.borrow_mut().stats.rebuilt_tables = rebuilt_tables.len() as u64;
    let recovered =
        Recovered { scanned_bytes, took, damage, rebuilt_tables, shard_count, retention_pause };
    service::start(&inner);
    committer::pump(&inner);
    sealed(&inner).await?;
    Ok((inner, recovered))
}

fn of_log(manifest: &CatalogState, log: u16) -> impl Iterator<Item = SegmentEntry> {
    manifest.segments.range((log, 0)..=(log, u64::MAX)).map(|(_, entry)| *entry)
}

/// Removes files of this log that the manifest does not know: what a crash left between the
/// creation of a file and its entry, or between its entry's removal and its own.
///
/// The manifest names a segment before a frame is written to it, and keeps the newest: a file with a
/// later one is no orphan, and is never removed.
async fn remove_orphans(options: &LogOptions, manifest: &CatalogState) -> Result<(), OpenError> {
    let log = options.log;
    let last = of_log(manifest, log).map(|entry| entry.last).max();
    let of_segments = of_log(manifest, log).map(|entry| entry.file);
    let of_files = manifest.files.range((log, 0)..=(log, u32::MAX)).map(|(_, entry)| entry.file);
    let known: BTreeSet<String> =
        of_segments.chain(of_files).map(|file| pool::file_name(log, file)).collect();
    let directory = pool::segments_directory(options);
    let prefix = pool::file_prefix(log);
    let mut orphans = Vec::new();
    for entry in file::list(&directory).await? {
        let name = entry.name.to_string();
        if !name.starts_with(&prefix) || known.contains(&name) {
            continue;
        }
        let path = directory.join(&name);
        let segment = first_segment(&path, log).await?;
        if let Some(segment) = segment.filter(|segment| last.is_none_or(|last| *segment > last)) {
            let number = name.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".seg"));
            let file = number.and_then(|number| number.parse().ok()).unwrap_or(u32::MAX);
            return Err(OpenError::ManifestBehind { file, segment });
        }
        orphans.push(path);
    }
    for path in &orphans {
        file::remove(path).await?;
    }
    if !orphans.is_empty() {
        file::sync_directory(&directory).await?;
    }
    Ok(())
}

/// The segment that the header at the start of a file names, if it is one of this log.
async fn first_segment(path: &Path, log: u16) -> Result<Option<u64>, IoError> {
    let file = file::open(path, Access::Read).await?;
    let mut segment = None;
    if file.bytes() >= BLOCK_BYTES as u64 {
        let block = file.read(0, BLOCK_BYTES).await?;
        let header = frame::decode_header(&block).map(|checked| checked.header);
        segment = header.filter(|header| header.log == log).map(|header| header.segment);
    }
    file.close().await;
    Ok(segment)
}

fn make_pool(
    options: &LogOptions,
    catalog: CatalogClient,
    manifest: &CatalogState,
    entries: &[SegmentEntry],
) -> Pool {
    let log = options.log;
    let free: Vec<_> =
        manifest.files.range((log, 0)..=(log, u32::MAX)).map(|(_, entry)| *entry).collect();
    let next_segment = entries.iter().map(|entry| entry.last + 1).max().unwrap_or(0);
    let used = entries.iter().map(|entry| entry.file).chain(free.iter().map(|free| free.file));
    let next_file = used.max().map_or(0, |file| file + 1);
    Pool::new(options, catalog, free, next_segment, next_file)
}

/// A log that has no segment yet: its first is short, so that the start is quick.
async fn found(options: &LogOptions, pool: &Pool) -> Result<Tail, OpenError> {
    pool.prepare(options.first_segment_bytes).await?;
    let Ready { entry, file } = pool.take().ok_or(OpenError::DiskFull)?;
    Ok(Tail {
        shards: Shards::default(),
        blocks: PartBlocks::default(),
        live: vec![LiveSegment::new(entry, file)],
        unused: Vec::new(),
        next_frame: 0,
        last_checksum: 0,
        arrival_ms: 0,
        damage: Vec::new(),
        scanned_bytes: 0,
        has_nameless_damage: false,
        doubtful: VecDeque::new(),
    })
}

async fn recover(
    options: &LogOptions,
    pool: &Pool,
    sealed: &SegmentSet,
    entries: &[SegmentEntry],
) -> Result<(Tail, Vec<u64>), OpenError> {
    let (base, tail_from) = newest_table(options, pool, entries).await?;
    let (base, tail_from, rebuilt) =
        behind_rewritten(options, pool, entries, base, tail_from).await?;
    entries[..tail_from].iter().for_each(|entry| drop(sealed.insert(*entry)));
    let mut segments = Vec::new();
    for entry in &entries[tail_from..] {
        assert!(!entry.clustered);
        let file = file::open(&pool.path(entry.file), pool::access(options)).await?;
        segments.push(TailSegment { entry: *entry, file });
    }
    if segments.is_empty() {
        // The last segment was never full, or the next would be assigned; but its table is whole.
        pool.prepare(options.segment_bytes).await?;
        let Ready { entry, file } = pool.take().ok_or(OpenError::DiskFull)?;
        segments.push(TailSegment { entry, file });
    }
    let mut tail = recovery::recover(options, base, segments).await?;
    if !planted(Bug::ServeRecoveredUnflushed) {
        make_durable(&tail).await?;
    }
    for TailSegment { entry, file } in tail.unused.drain(..) {
        pool.add_ready(Ready { entry, file });
    }
    Ok((tail, rebuilt))
}

/// Goes on behind the last rewritten segment that has no whole table: its frames are not those of
/// the chain, so no walk goes over it. Its table and those before it are built anew, which takes
/// two damaged tables, for the newest segment is never a rewritten one.
async fn behind_rewritten(
    options: &LogOptions,
    pool: &Pool,
    entries: &[SegmentEntry],
    mut base: Base,
    tail_from: usize,
) -> Result<(Base, usize, Vec<u64>), OpenError> {
    let last = entries.iter().rposition(|entry| entry.clustered);
    let end = last.map_or(tail_from, |last| tail_from.max(last + 1));
    let mut rebuilt_tables = Vec::new();
    for at in tail_from..end {
        let entry = &entries[at];
        let is_adjacent = at.checked_sub(1).map_or(0, |at| entries[at].last + 1) == entry.first;
        let earlier = std::mem::take(&mut base.rows);
        let (before, far) = if is_adjacent { (Some(earlier), None) } else { (None, Some(earlier)) };
        let has_nameless_damage = base.has_nameless_damage;
        let mut around = Around { before, has_nameless_damage, ..Around::default() };
        if let Some(behind) = entries.get(at + 1).filter(|behind| !behind.clustered) {
            let file = file::open(&pool.path(behind.file), pool::access(options)).await?;
            around.link = rebuild::link(&file, behind).await?;
        }
        let file = file::open(&pool.path(entry.file), pool::access(options)).await?;
        let Rebuilt { footer, mut rows } = rebuild::rebuild(&file, entry, &around).await?;
        // Where segments between are gone, nobody knows how far their shards had come.
        let is_silent = |row: &Row| rows.binary_search_by_key(&row.key, |row| row.key).is_err();
        let silent: Vec<Row> = far.into_iter().flatten().filter(is_silent).collect();
        rows.extend(silent.into_iter().map(|row| Row { damaged: true, ..row }));
        rows.sort_unstable_by_key(|row| row.key);
        base = Base {
            segment: entry.first,
            rows_position: u64::from(footer.rows_position),
            rows,
            next_frame: footer.next_frame,
            last_checksum: footer.last_checksum,
            arrival_ms: base.arrival_ms.max(footer.arrival_ms),
            has_nameless_damage: base.has_nameless_damage || footer.has_nameless_damage,
        };
        rebuilt_tables.push(entry.first);
    }
    Ok((base, end, rebuilt_tables))
}

/// What was found whole may still be in the device's cache only, and a flush may have failed for it
/// already: no later flush covers that unless it is written again. The bytes are the same, so that a
/// sector that was durable stays what it was.
///
/// What a second reading gives is looked at again: a misread would become what is durable.
async fn make_durable(tail: &Tail) -> Result<(), OpenError> {
    for Doubtful { file, position, bytes, checksum, .. } in &tail.doubtful {
        if !planted(Bug::TrustFailedFlush) {
            let frame = file.read(*position, *bytes).await?;
            if frame::decode(&frame).ok().is_none_or(|checked| checked.checksum != *checksum) {
                return Err(OpenError::Misread { position: *position });
            }
            file.write(*position, Rc::new(frame)).await?;
        }
    }
    for segment in &tail.live {
        segment.file.flush().await?;
    }
    Ok(())
}

/// The table that recovery starts from may have been read from the device's cache only, and later
/// tables would become durable without it. Those before it were durable when it was written.
async fn make_table_durable(
    file: &File,
    entry: &SegmentEntry,
    footer: &Footer,
) -> Result<(), OpenError> {
    let mut position = u64::from(footer.rows_position);
    while position < entry.bytes {
        let bytes = (entry.bytes - position).min(REWRITTEN_TOGETHER_BYTES);
        // The bytes are the same; see `make_durable`.
        let piece = file.read(position, bytes as usize).await?;
        for block in piece.chunks_exact(BLOCK_BYTES) {
            if !footer.has_whole_block(position, block, entry.bytes) {
                return Err(OpenError::Misread { position });
            }
            position += BLOCK_BYTES as u64;
        }
        file.write(position - bytes, Rc::new(piece)).await?;
    }
    Ok(file.flush().await?)
}

/// The newest segment with a whole table, and which entry comes behind it. Looks only at the
/// segments behind that one, so that the cost of a start follows the unsealed tail.
async fn newest_table(
    options: &LogOptions,
    pool: &Pool,
    entries: &[SegmentEntry],
) -> Result<(Base, usize), OpenError> {
    for (at, entry) in entries.iter().enumerate().rev() {
        let file = file::open(&pool.path(entry.file), pool::access(options)).await?;
        let Some(footer) = tables::read_footer(&file, entry).await? else { continue };
        // A table that was torn, or that rots, is as if there were none: its segment is walked.
        let Some(rows) = tables::read_whole(&file, &footer).await? else { continue };
        make_table_durable(&file, entry, &footer).await?;
        let base = Base {
            segment: entry.first,
            rows_position: u64::from(footer.rows_position),
            rows,
            next_frame: footer.next_frame,
            last_checksum: footer.last_checksum,
            arrival_ms: footer.arrival_ms,
            has_nameless_damage: footer.has_nameless_damage,
        };
        return Ok((base, at + 1));
    }
    match entries[0].first {
        0 => Ok((Base::default(), 0)),
        first => Err(OpenError::TableDamaged { segment: first }),
    }
}

fn assemble(
    options: LogOptions,
    pool: Pool,
    segments: SegmentSet,
    tail: Tail,
    phase: Phase,
) -> LogInner {
    let state = State {
        shards: tail.shards,
        gather: Gather::default(),
        blocks: tail.blocks,
        open: VecDeque::new(),
        waiting_bytes: 0,
        live: tail.live.into(),
        in_flight: VecDeque::new(),
        writes_in_flight: 0,
        next_frame: tail.next_frame,
        last_checksum: tail.last_checksum,
        durable_frames: tail.next_frame,
        marked: true,
        arrival_ms: tail.arrival_ms,
        arrival_clock: ArrivalClock::new(clock::wall_ms(), clock::now()),
        cached_bytes: 0,
        failed: None,
        phase,
        is_closed: false,
        linger_armed: false,
        damage: tail.damage,
        has_nameless_damage: tail.has_nameless_damage,
        stats: LogStats::default(),
    };
    let retention = Retention::new(tail.arrival_ms);
    let cold =
        Cold::new(segments.clone(), options.table_cache_bytes_max, options.image_cache_bytes_max);
    LogInner {
        options,
        segments,
        cold,
        retention,
        state: RefCell::new(state),
        pool,
        written: Notify::new(),
        durable: Notify::new(),
        room: Notify::new(),
        full: Notify::new(),
        sealed: Notify::new(),
        mending: Semaphore::new(1),
        own_reads: Semaphore::new(OWN_READS_MAX),
        followers: Followers::default(),
        finished: Cell::new(false),
    }
}

/// Waits for the seal frame. A full disk does not keep the log from being read.
async fn sealed(log: &Rc<LogInner>) -> Result<(), OpenError> {
    loop {
        let durable = log.durable.notified();
        {
            let state = log.state.borrow();
            if let Some(error) = &state.failed {
                return Err(OpenError::Failed(error.clone()));
            }
            if state.phase == Phase::Open || log.pool.is_out_of_space() {
                return Ok(());
            }
        }
        durable.await;
    }
}

/// Keeps the task handle type out of the callers' way.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    drop(task::spawn(future));
}
