//! Finds the end of a log after any stop: from the newest whole table over the unsealed tail.
//!
//! | what stands at the next place                              | what follows                        |
//! | ---------------------------------------------------------- | ----------------------------------- |
//! | a frame, whole and chained                                 | taken                               |
//! | none, but the next segment starts with it                  | go on there                         |
//! | none, and no evidence behind it                            | it was torn: the log ends here      |
//! | none, and evidence: a whole frame says it had been durable | damage: refuse the shards concerned |
//!
//! *Evidence* is a whole frame with `durable_frames` above the number that is missing: when that
//! frame was sealed, the missing one had been acknowledged. What a torn or abandoned write left
//! behind cannot be evidence, since it was sealed before the missing frame was durable. But it may
//! stand before the evidence: lives do not fall along a log, and the walk goes on behind it.
//!
//! It must never cut silently what was acknowledged, and never take what an earlier life abandoned.

use std::collections::VecDeque;

use runtime::file::{File, IoError};

use crate::catalog::SegmentEntry;
use crate::committer;
use crate::error::Damage;
use crate::frame::{self, BLOCK_BYTES, CheckedHeader, FRAME_BYTES_MAX, FrameHeader};
use crate::index::{FrameMeta, Part, PartBlocks};
use crate::options::LogOptions;
use crate::planted::{Bug, planted};
use crate::shard::ShardKey;
use crate::shards::Shards;
use crate::state::{FullSegment, LiveSegment, Stage};
use crate::table;

use self::scan::Scan;
use self::suspects::Suspects;

pub(crate) mod scan;
mod suspects;

/// Segments behind the one with a broken frame in which evidence is searched: what is in flight
/// together spans two, and a third where a short one was too small for a frame.
const EVIDENCE_SEGMENTS: usize = 2;

/// A segment that may hold frames of the unsealed tail, in order.
pub(crate) struct TailSegment {
    pub entry: SegmentEntry,
    pub file: File,
}

/// The newest table that is whole: what is known before the unsealed tail.
#[derive(Default)]
pub(crate) struct Base {
    /// First segment of its file, and where its rows start there.
    pub segment: u64,
    pub rows_position: u64,
    pub rows: Vec<table::Row>,
    pub next_frame: u64,
    pub last_checksum: u64,
    pub arrival_ms: u64,
    /// See the footer.
    pub has_nameless_damage: bool,
}

/// What recovery found.
pub(crate) struct Tail {
    pub shards: Shards,
    pub blocks: PartBlocks,
    /// Segments with frames, and the one to append to at the end.
    pub live: Vec<LiveSegment>,
    /// Assigned segments behind them without frames.
    pub unused: Vec<TailSegment>,
    pub next_frame: u64,
    pub last_checksum: u64,
    pub arrival_ms: u64,
    pub damage: Vec<Damage>,
    pub scanned_bytes: u64,
    /// A damaged frame may have held shards that are not in `shards`.
    pub has_nameless_damage: bool,
    /// The frames of which no later one says that they are durable, the oldest first.
    pub doubtful: VecDeque<Doubtful>,
}

/// A frame that was found whole, but may stand in the device's cache only.
pub(crate) struct Doubtful {
    number: u64,
    pub file: File,
    /// Bytes.
    pub position: u64,
    /// With padding.
    pub bytes: usize,
    /// Of its header.
    pub checksum: u64,
}

/// Walks the unsealed tail from `base` over `segments`, the chain's segments behind it.
///
/// # Errors
/// The disk's. Damage is not an error: it is reported, and its shards are refused.
pub(crate) async fn recover(
    options: &LogOptions,
    base: Base,
    segments: Vec<TailSegment>,
) -> Result<Tail, IoError> {
    assert!(!segments.is_empty(), "a segment is assigned before the one before it is full");
    let mut walk = Walk::new(options, base, segments);
    walk.run().await?;
    Ok(walk.finish())
}

struct Walk<'a> {
    options: &'a LogOptions,
    segments: Vec<TailSegment>,
    /// Which of `segments` the walk is in, and where in it.
    at: usize,
    position: u64,
    /// Life of the last frame that was taken.
    life: u32,
    tail: Tail,
    suspects: Suspects,
    scans: Vec<Scan>,
}

impl<'a> Walk<'a> {
    fn new(options: &'a LogOptions, base: Base, segments: Vec<TailSegment>) -> Walk<'a> {
        let mut shards = Shards::default();
        let mut damage = Vec::new();
        let damaged: Vec<_> = base.rows.iter().filter(|row| row.damaged).collect();
        if !damaged.is_empty() {
            // An earlier opening found it; where, is not remembered.
            damage.push(Damage {
                segment: base.segment,
                position: base.rows_position,
                frame: None,
                shards: damaged.iter().map(|row| row.key).collect(),
            });
        }
        for row in &base.rows {
            let slot = shards.find_or_create(row.key, row.retention_ms);
            let shard = shards.get_mut(slot);
            shard.next_index = row.next_index;
            shard.sealed_index = row.next_index;
            shard.durable_index = row.next_index;
            shard.last_arrival_ms = row.last_arrival_ms;
            shard.horizon_segment = row.first_live_segment;
            shard.closed = row.closed;
            shard.damaged = row.damaged;
        }
        let scans = segments.iter().map(|segment| Scan::new(segment.file.clone())).collect();
        let first = &segments[0];
        let tail = Tail {
            shards,
            blocks: PartBlocks::default(),
            live: vec![LiveSegment::new(first.entry, first.file.clone())],
            unused: Vec::new(),
            next_frame: base.next_frame,
            last_checksum: base.last_checksum,
            arrival_ms: base.arrival_ms,
            damage,
            scanned_bytes: 0,
            has_nameless_damage: base.has_nameless_damage,
            doubtful: VecDeque::new(),
        };
        let suspects = Suspects::default();
        Walk { options, segments, at: 0, position: 0, life: 0, tail, suspects, scans }
    }

    async fn run(&mut self) -> Result<(), IoError> {
        loop {
            if let Some(header) = self.expected_at(self.at, self.position).await? {
                self.take(header).await?;
            } else if self.expected_starts_next().await? {
                self.go_to_segment(self.at + 1);
            } else if let Some((at, position, header)) = self.evidence().await? {
                self.report_damage((at, position), &header).await?;
                while self.at < at {
                    self.go_to_segment(self.at + 1);
                }
                self.position = position;
                self.tail.next_frame = header.header.number;
                self.tail.last_checksum = header.header.previous;
            } else {
                return Ok(());
            }
        }
    }

    /// The frame at this place if it is whole, chained, and the one that is expected next.
    async fn expected_at(
        &mut self,
        at: usize,
        position: u64,
    ) -> Result<Option<CheckedHeader>, IoError> {
        let Some(checked) = self.whole_at(at, position).await? else { return Ok(None) };
        let is_chained = checked.header.number == self.tail.next_frame
            && checked.header.previous == self.tail.last_checksum;
        let is_stale = checked.header.generation < self.segments[at].entry.generation;
        let is_trusted = planted(Bug::IgnoreChain) && checked.header.number >= self.tail.next_frame
            || planted(Bug::TrustStaleFrame) && is_stale;
        Ok((is_chained || is_trusted).then_some(checked))
    }

    /// The frame at this place if it is whole: its checksums are right, and generation, segment and
    /// life are not those of another use of the file or of the future.
    async fn whole_at(
        &mut self,
        at: usize,
        position: u64,
    ) -> Result<Option<CheckedHeader>, IoError> {
        let entry = self.segments[at].entry;
        let Some(bytes) = self.scans[at].frame(position).await? else { return Ok(None) };
        let Ok(checked) = frame::decode(bytes) else { return Ok(None) };
        Ok(self.belongs(&checked, &entry).then_some(checked))
    }

    fn belongs(&self, checked: &CheckedHeader, entry: &SegmentEntry) -> bool {
        let header = &checked.header;
        let FrameHeader { segment, generation, life, .. } = *header;
        let is_trusted = planted(Bug::TrustStaleFrame)
            && header.is_of(&SegmentEntry { first: segment, generation, ..*entry });
        let is_abandoned = life < self.life && !planted(Bug::IgnoreChain);
        (header.is_of(entry) && !is_abandoned || is_trusted) && life <= self.options.life
    }

    async fn expected_starts_next(&mut self) -> Result<bool, IoError> {
        if self.at + 1 == self.segments.len() {
            return Ok(false);
        }
        Ok(self.expected_at(self.at + 1, 0).await?.is_some())
    }

    /// Takes the frame at the walk's place.
    async fn take(&mut self, checked: CheckedHeader) -> Result<(), IoError> {
        let header = checked.header;
        let bytes = self.scans[self.at].frame(self.position).await?;
        let bytes = bytes.expect("the frame was just found whole");
        let Tail { shards, blocks, live, arrival_ms, scanned_bytes, .. } = &mut self.tail;
        let segment = live.last_mut().expect("the walk is in a segment");
        if header.directory_count > 0 {
            let frame_ordinal = segment.index.frames.len() as u32;
            segment.index.frames.push(FrameMeta {
                number: header.number,
                position: self.position as u32,
                bytes: header.frame_bytes() as u32,
                base_ms: header.base_ms,
                buffer: None,
            });
            for (entry, start) in frame::directory(bytes, &header) {
                let slot = shards.find_or_create(entry.key, u64::MAX);
                let shard = shards.get_mut(slot);
                if planted(Bug::ClearsBeforeAccusing) {
                    self.suspects.seen(entry.key);
                }
                if entry.first_index != shard.next_index {
                    self.suspects.found_gap(entry.key);
                }
                self.suspects.seen(entry.key);
                if shard.horizon_segment == u64::MAX {
                    shard.horizon_segment = segment.entry.first;
                }
                let end_index = entry.first_index + u64::from(entry.count);
                shard.next_index = end_index;
                shard.sealed_index = end_index;
                shard.durable_index = end_index;
                let part_bytes = &bytes[start..start + entry.bytes as usize];
                let records =
                    crate::record::Records::new(part_bytes, header.base_ms, entry.first_index);
                let last = records.last().filter(|_| !planted(Bug::RecoveryDatesFramesByTheirBase));
                let last_ms = last.map_or(header.base_ms, |record| record.arrival_ms);
                shard.last_arrival_ms = last_ms;
                *arrival_ms = (*arrival_ms).max(last_ms);
                let position = self.position as u32 + start as u32;
                let part = Part::new(
                    slot,
                    entry.first_index,
                    entry.count,
                    position,
                    entry.bytes,
                    frame_ordinal,
                );
                segment.index.push(blocks, part);
            }
        }
        *arrival_ms = (*arrival_ms).max(header.base_ms);
        *scanned_bytes += header.frame_bytes() as u64;
        self.position += header.frame_bytes() as u64;
        segment.position = self.position;
        segment.evicted_frames = segment.index.frames.len();
        self.tail.next_frame = header.number + 1;
        self.tail.last_checksum = checked.checksum;
        self.life = header.life;
        self.doubt(&checked);
        Ok(())
    }

    /// The frame says which are durable before it, and joins those that are not known to be.
    fn doubt(&mut self, checked: &CheckedHeader) {
        let doubtful = &mut self.tail.doubtful;
        let wrongly = u64::from(planted(Bug::DoubtTrustsTheFrontier));
        let durable_frames = checked.header.durable_frames + wrongly;
        while doubtful.pop_front_if(|it| it.number < durable_frames).is_some() {}
        let bytes = checked.header.frame_bytes();
        doubtful.push_back(Doubtful {
            number: checked.header.number,
            file: self.segments[self.at].file.clone(),
            position: self.position - bytes as u64,
            bytes,
            checksum: checked.checksum,
        });
    }

    fn go_to_segment(&mut self, at: usize) {
        let live = self.tail.live.last().expect("the walk is in a segment");
        let (slots, rows) = committer::table_rows(&self.tail.shards, live);
        let full = FullSegment {
            rows,
            slots,
            next_frame: self.tail.next_frame,
            last_checksum: self.tail.last_checksum,
            arrival_ms: self.tail.arrival_ms,
            has_nameless_damage: self.tail.has_nameless_damage,
        };
        self.live_mut().stage = Stage::Full(Box::new(full));
        let TailSegment { entry, file } = &self.segments[at];
        self.tail.live.push(LiveSegment::new(*entry, file.clone()));
        self.at = at;
        self.position = 0;
    }

    fn live_mut(&mut self) -> &mut LiveSegment {
        self.tail.live.last_mut().expect("the walk is in a segment")
    }

    /// Searches the rest of the tail for evidence that the expected frame had been durable. Gives
    /// the first whole frame behind the broken one, where the walk can go on.
    async fn evidence(&mut self) -> Result<Option<(usize, u64, CheckedHeader)>, IoError> {
        if planted(Bug::SkipEvidence) {
            return Ok(None);
        }
        let missing = self.tail.next_frame;
        let mut first: Option<(usize, u64, CheckedHeader)> = None;
        let mut before = None;
        let mut from = self.position + self.broken_bytes().await?;
        let last = self.segments.len().min(self.at + 1 + EVIDENCE_SEGMENTS);
        for at in self.at..last {
            let end = self.segments[at].entry.bytes.min(from + window_bytes(self.options));
            while from + (BLOCK_BYTES as u64) <= end {
                let found = self.whole_at(at, from).await?;
                let Some(checked) = found.filter(|checked| checked.header.number > missing) else {
                    from += BLOCK_BYTES as u64;
                    continue;
                };
                let place = (at, from, checked);
                from += checked.header.frame_bytes() as u64;
                first = first.filter(|(.., first)| !is_abandoned(first, before, &checked));
                let place = first.get_or_insert(place);
                before = Some(checked);
                if checked.header.durable_frames > missing {
                    return Ok(Some(*place));
                }
            }
            from = 0;
        }
        Ok(None)
    }

    /// Bytes at the walk's place that the broken frame is known to take: those are not searched for
    /// frames, since clients say what stands in them. 0 where its header is not whole.
    async fn broken_bytes(&mut self) -> Result<u64, IoError> {
        let entry = self.segments[self.at].entry;
        let Some(bytes) = self.scans[self.at].frame(self.position).await? else { return Ok(0) };
        let broken = frame::decode_header(bytes).filter(|checked| {
            self.belongs(checked, &entry)
                && checked.header.number == self.tail.next_frame
                && checked.header.previous == self.tail.last_checksum
        });
        Ok(broken.map_or(0, |checked| checked.header.frame_bytes() as u64))
    }

    /// Notes the damage from the walk's place up to the frame `next`, which stands at `next_place`.
    async fn report_damage(
        &mut self,
        next_place: (usize, u64),
        next: &CheckedHeader,
    ) -> Result<(), IoError> {
        let missing = self.tail.next_frame..next.header.number;
        let is_one = missing.clone().count() == 1;
        // A single frame right before one in the next segment did not fit into this one.
        let (at, position) = match next_place {
            (at, position) if is_one && at > self.at && position > 0 => (at, 0),
            _ => (self.at, self.position),
        };
        let known = match is_one || planted(Bug::FirstDamagedFrameSpeaksForAll) {
            true => self.directory_at(at, position).await?,
            false => None,
        };
        self.tail.damage.push(Damage {
            segment: self.segments[at].entry.first,
            position,
            frame: Some(missing.start),
            shards: Vec::new(),
        });
        self.suspects.start(self.tail.damage.len() - 1, known);
        Ok(())
    }

    /// The shards of the damaged frame, if its header and directory are whole.
    async fn directory_at(
        &mut self,
        at: usize,
        position: u64,
    ) -> Result<Option<Vec<ShardKey>>, IoError> {
        let missing = self.tail.next_frame;
        let Some(bytes) = self.scans[at].frame(position).await? else { return Ok(None) };
        let Some(checked) = frame::decode_header(bytes) else { return Ok(None) };
        let is_it = checked.header.number == missing
            && bytes.len() >= checked.header.payload_start()
            && frame::directory_is_right(bytes, &checked.header);
        Ok(is_it.then(|| {
            frame::directory(bytes, &checked.header).map(|(entry, _)| entry.key).collect()
        }))
    }

    fn finish(mut self) -> Tail {
        let refused = self.suspects.refused(&self.tail.shards, self.tail.damage.len());
        for (damage, keys) in self.tail.damage.iter_mut().zip(refused) {
            for key in &keys {
                let slot = self.tail.shards.find_or_create(*key, u64::MAX);
                self.tail.shards.get_mut(slot).damaged = true;
            }
            damage.shards.extend(keys);
        }
        let Tail { shards, live, .. } = &mut self.tail;
        let is_nameless = self.suspects.has_nameless();
        live.iter_mut().for_each(|segment| remember_damage(segment, shards, is_nameless));
        self.tail.has_nameless_damage |= is_nameless;
        self.tail.unused = self.segments.split_off(self.at + 1);
        self.tail
    }
}

/// The next opening may start from the table of this segment, behind the damage: it must say which
/// shards are refused. The room for a table is that of all shards that had been opened.
fn remember_damage(segment: &mut LiveSegment, shards: &Shards, is_nameless: bool) {
    let Stage::Full(full) = &mut segment.stage else { return };
    full.has_nameless_damage |= is_nameless;
    for (slot, shard) in shards.by_key().filter(|(_, shard)| shard.damaged) {
        match full.rows.binary_search_by_key(&shard.key, |row| row.key) {
            Ok(at) => full.rows[at].damaged = true,
            Err(at) => {
                let row = table::Row {
                    key: shard.key,
                    next_index: 0,
                    last_arrival_ms: 0,
                    first_live_segment: segment.entry.first,
                    retention_ms: shard.retention_ms,
                    count: 0,
                    bytes: 0,
                    first_posting: 0,
                    postings: 0,
                    closed: shard.closed,
                    damaged: true,
                };
                full.rows.insert(at, row);
                full.slots.insert(at, slot);
            }
        }
    }
}

/// Whether `first`, a whole frame behind a broken one, was abandoned by an earlier life, as far as a
/// whole frame further behind tells: that has its number or a lower one, or is of a later life and
/// not chained to the frame that was found `before` it.
pub(crate) fn is_abandoned(
    first: &CheckedHeader,
    before: Option<CheckedHeader>,
    next: &CheckedHeader,
) -> bool {
    let is_chained = before.is_some_and(|before| {
        next.header.number == before.header.number + 1 && next.header.previous == before.checksum
    });
    next.header.number <= first.header.number || next.header.life > first.header.life && !is_chained
}

/// Bytes behind a frame in which a frame must stand that was sealed when it was durable: itself,
/// and what can have been in flight when it became durable.
fn window_bytes(options: &LogOptions) -> u64 {
    (FRAME_BYTES_MAX + options.write_depth * options.frame_bytes + FRAME_BYTES_MAX) as u64
}
