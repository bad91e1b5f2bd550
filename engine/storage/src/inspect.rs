//! Looks through a data folder that no engine has open: what is there, what is wrong, and where.
//!
//! ```text
//!   catalog ──▶ manifest ──▶ each log ──▶ each segment: frames by their chain, table by its blocks
//!                                          └▶ findings: place, what, which shards, what follows
//! ```
//! Decodes with the engine's own code and judges by recovery's table, over the whole log instead of
//! its unsealed tail. It never writes. Memory: the catalog, the newest indices of one log's shards,
//! one table and a window of 1 MiB at a time, whatever the log's size.
//!
//! A folder in use may be looked at: what is being written meanwhile is behind the acknowledged
//! prefix, but a segment that is rewritten or removed under way shows as damage that is none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use runtime::file::{self, IoError};

use crate::catalog::{CatalogDamage, CatalogLook, SegmentEntry, Unreadable};
use crate::pool;
use crate::shard::ShardKey;

use self::log_walk::LogWalk;
use self::report::Report;
pub use self::seen::{
    Concerned, Consequence, EndSeen, Finding, FrameSeen, KnownBy, LogSeen, PartSeen, Place, Seen,
    SegmentSeen, SegmentStage, Wrong,
};
use self::suspects::Suspects;

mod chain;
mod clustered;
mod log_walk;
mod report;
mod seen;
mod suspects;
mod table_check;

/// What is looked at, and what is told of it beside segments and findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// One log only.
    pub log: Option<u16>,
    /// The file that holds this segment number only; what is before it is taken from its table.
    pub segment: Option<u64>,
    /// Tell the parts of this shard.
    pub shard: Option<ShardKey>,
    /// Tell every frame.
    pub frames: bool,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Segments.
    pub segments: u64,
    /// Whole frames.
    pub frames: u64,
    /// Their records.
    pub records: u64,
    /// Their bytes, padding included.
    pub bytes: u64,
    /// Places where something is wrong.
    pub findings: u64,
}

/// Looks through the folder, which has `logs` logs and the catalog `catalog`, and tells `out` what
/// is there.
///
/// # Errors
/// The disk's. That something is wrong is no error: it is told, and counted.
pub async fn inspect(
    folder: &Path,
    logs: u16,
    catalog: &Result<CatalogLook, Unreadable>,
    selection: &Selection,
    out: &mut dyn FnMut(Seen<'_>),
) -> Result<Totals, IoError> {
    let mut report = Report { selection, out, totals: Totals::default() };
    let catalog = match catalog {
        Ok(catalog) => catalog,
        Err(unreadable) => {
            let place = Place {
                log: None,
                segment: None,
                file: unreadable.file.name().to_owned(),
                position: unreadable.position,
            };
            let finding = report.refused(place, Wrong::CatalogUnreadable, None, Concerned::Folder);
            report.finding(finding);
            return Ok(report.totals);
        }
    };
    report.see(Seen::Catalog(catalog));
    for damage in &catalog.state.damage {
        let finding = catalog_finding(&report, damage);
        report.finding(finding);
    }
    let (from, to) = selection.log.map_or((0, logs), |log| (log, log.saturating_add(1).min(logs)));
    for log in from..to {
        walk(folder, log, catalog, &mut report).await?;
    }
    Ok(report.totals)
}

fn catalog_finding(report: &Report<'_>, damage: &CatalogDamage) -> Finding {
    let place = Place {
        log: damage.log,
        segment: None,
        file: damage.file.name().to_owned(),
        position: damage.position,
    };
    let frames = Some(damage.number..damage.number + 1);
    match damage.log {
        Some(log) => {
            let concerned = Concerned::Log(log);
            let finding = report.refused(place, Wrong::CatalogEntries, frames, concerned);
            Finding { known_by: KnownBy::Directory, ..finding }
        }
        None => Finding {
            consequence: Consequence::Harmless,
            ..report.refused(place, Wrong::CatalogFrame, frames, Concerned::Shards(Vec::new()))
        },
    }
}

async fn walk(
    folder: &Path,
    log: u16,
    catalog: &CatalogLook,
    report: &mut Report<'_>,
) -> Result<(), IoError> {
    let state = &catalog.state;
    let entries = state.segments.range((log, 0)..=(log, u64::MAX));
    let entries: Vec<SegmentEntry> = entries.map(|(_, entry)| *entry).collect();
    let free_files = state.files.range((log, 0)..=(log, u32::MAX)).count();
    let orphans = orphans(folder, log, catalog).await?;
    report.see(Seen::Log(LogSeen { log, segments: entries.len(), free_files, orphans }));
    if state.damage.iter().any(|damage| damage.log == Some(log)) {
        // What is left of its manifest says nothing certain about its files.
        return Ok(());
    }
    let selected = report.selection.segment;
    let (at, to) = match selected {
        None => (0, entries.len()),
        Some(segment) => {
            let holds = |entry: &SegmentEntry| (entry.first..=entry.last).contains(&segment);
            let Some(at) = entries.iter().position(holds) else { return Ok(()) };
            (at, at + 1)
        }
    };
    let walk = LogWalk {
        folder,
        log,
        life: state.life,
        life_min: 0,
        entries: &entries,
        report,
        link: None,
        indices: BTreeMap::new(),
        knows_all: false,
        suspects: Suspects::default(),
        resume: None,
        has_ended: false,
        is_torn: false,
    };
    walk.run(at, to).await
}

/// Files of the log's name that the manifest does not know.
async fn orphans(folder: &Path, log: u16, catalog: &CatalogLook) -> Result<usize, IoError> {
    let segments = folder.join("segments");
    if !file::exists(&segments).await? {
        return Ok(0);
    }
    let state = &catalog.state;
    let used = state.segments.range((log, 0)..=(log, u64::MAX)).map(|(_, entry)| entry.file);
    let free = state.files.range((log, 0)..=(log, u32::MAX)).map(|(_, entry)| entry.file);
    let known: BTreeSet<String> = used.chain(free).map(|file| pool::file_name(log, file)).collect();
    let prefix = pool::file_prefix(log);
    let listed = file::list(&segments).await?;
    let names = listed.iter().map(|entry| &entry.name).filter(|name| name.starts_with(&prefix));
    Ok(names.filter(|name| !known.contains(*name)).count())
}
