//! Walks one log from its first segment to its end: every frame, every link, every table.
//!
//! What stands where a frame is expected is judged as recovery judges it: in a sealed segment
//! everything before the end of its frames was acknowledged; behind the last table, what a later
//! frame witnesses.

use std::collections::BTreeMap;
use std::path::Path;

use runtime::file::IoError;

use super::chain::{Link, Look, Opened, Owner, open};
use super::report::Report;
use super::seen::{
    Concerned, EndSeen, FrameSeen, KnownBy, PartSeen, Seen, SegmentSeen, SegmentStage, Wrong,
};
use super::suspects::Suspects;
use super::table_check::{LastBlock, TableSeen, last_block, read_table};
use crate::catalog::SegmentEntry;
use crate::frame::{self, BLOCK_BYTES, CheckedHeader, DirectoryEntry};
use crate::recovery::is_abandoned;
use crate::shard::ShardKey;
use crate::table::{Footer, Row};

/// Segments behind the one with a broken frame in which a witness is searched, as in recovery.
const WITNESS_SEGMENTS: usize = 2;

/// See the module.
pub(super) struct LogWalk<'a, 'b> {
    pub(super) folder: &'a Path,
    pub(super) log: u16,
    pub(super) life: u32,
    /// Life of the last frame of the chain that was taken.
    pub(super) life_min: u32,
    /// The manifest's entries of the log, in order.
    pub(super) entries: &'a [SegmentEntry],
    pub(super) report: &'a mut Report<'b>,
    /// What the next frame must carry, where it is known.
    pub(super) link: Option<Link>,
    /// Index of each shard's next record.
    pub(super) indices: BTreeMap<ShardKey, u64>,
    /// Whether a shard that is not in `indices` has had no record.
    pub(super) knows_all: bool,
    pub(super) suspects: Suspects,
    /// Where the walk goes on in a later segment, when the rest of this one is damaged.
    pub(super) resume: Option<(usize, u64)>,
    pub(super) has_ended: bool,
    pub(super) is_torn: bool,
}

/// What one segment held.
#[derive(Default)]
pub(super) struct Counted {
    frames: u64,
    records: u64,
    /// Records of each shard.
    pub(super) shards: BTreeMap<ShardKey, u64>,
    frames_end: u64,
}

/// How the walk goes on from a place where the expected frame is not.
enum Onward {
    At(u64),
    NextSegment,
}

impl LogWalk<'_, '_> {
    fn owner(&self) -> Owner {
        Owner { life: self.life, life_min: self.life_min }
    }

    /// Walks the entries `at..to`.
    ///
    /// # Errors
    /// The disk's.
    pub(super) async fn run(mut self, at: usize, to: usize) -> Result<(), IoError> {
        if let Some(before) = at.checked_sub(1) {
            self.start_behind(before).await?;
        } else {
            self.start();
        }
        for at in at..to {
            let entry = self.entries[at];
            let Some(mut opened) = open(self.folder, &entry).await? else {
                self.missing(&entry);
                continue;
            };
            if opened.file.bytes() != entry.bytes {
                let wrong = Wrong::FileBytes { found: opened.file.bytes() };
                self.lost(&entry, 0, wrong);
                continue;
            }
            match entry.clustered {
                true => self.clustered(&mut opened).await?,
                false => self.chained(at, &mut opened).await?,
            }
        }
        for finding in self.suspects.close(&self.indices) {
            self.report.finding(finding);
        }
        if to == self.entries.len() {
            self.report.see(Seen::End(EndSeen {
                log: self.log,
                next_frame: self.link.map(|link| link.number),
                shards: self.indices.len(),
                is_torn: self.is_torn,
            }));
        }
        Ok(())
    }

    /// Only a log that still has its first frame starts with what is known.
    fn start(&mut self) {
        let is_first = self.entries.first().is_some_and(|entry| entry.first == 0);
        self.knows_all = is_first;
        self.link = is_first.then_some(Link { number: 0, previous: 0 });
    }

    /// What the table of an entry says is where the walk starts; nothing, where it is not whole.
    async fn start_behind(&mut self, at: usize) -> Result<(), IoError> {
        let entry = self.entries[at];
        let Some(opened) = open(self.folder, &entry).await? else { return Ok(()) };
        if opened.file.bytes() != entry.bytes {
            return Ok(());
        }
        if let LastBlock::Footer(footer) = last_block(&opened.file, &entry).await? {
            let table = read_table(&opened.file, &footer).await?;
            self.take_table(&footer, &table);
        }
        Ok(())
    }

    /// From here on the walk knows what the table says, and only that.
    pub(super) fn take_table(&mut self, footer: &Footer, table: &TableSeen) {
        self.link = Some(Link { number: footer.next_frame, previous: footer.last_checksum });
        match &table.rows {
            Some(rows) => {
                self.indices.extend(rows.iter().map(|row| (row.key, row.next_index)));
                self.knows_all = true;
            }
            None => self.knows_all = false,
        }
    }

    fn missing(&mut self, entry: &SegmentEntry) {
        self.lost(entry, 0, Wrong::FileMissing);
        self.report.see(Seen::Segment(SegmentSeen {
            entry: *entry,
            stage: SegmentStage::Missing,
            frames: 0,
            records: 0,
            shards: 0,
            frames_end: 0,
            footer: None,
        }));
    }

    /// A whole file cannot be read: who had records in it, a later table or directory says.
    fn lost(&mut self, entry: &SegmentEntry, position: u64, wrong: Wrong) {
        let place = self.report.place(entry, position);
        let finding = self.report.refused(place, wrong, None, Concerned::Log(self.log));
        if let Some(decided) = self.suspects.open(finding, &self.indices) {
            self.report.finding(decided);
        }
        self.link = None;
    }

    async fn chained(&mut self, at: usize, opened: &mut Opened) -> Result<(), IoError> {
        let entry = opened.entry;
        let last = last_block(&opened.file, &entry).await?;
        let footer = match last {
            LastBlock::Footer(footer) => Some(footer),
            LastBlock::Unsealed | LastBlock::Damaged => None,
        };
        let table = match &footer {
            Some(footer) => read_table(&opened.file, footer).await?,
            None => TableSeen::default(),
        };
        let end = footer.map(|footer| u64::from(footer.frames_end));
        let mut counted = Counted::default();
        let mut position = match self.resume {
            Some((resumed, position)) if resumed == at => position,
            Some((resumed, _)) if resumed > at => entry.bytes,
            _ => 0,
        };
        let was_ended = self.has_ended;
        while !self.has_ended && position < end.unwrap_or(entry.bytes) {
            let owner = self.owner();
            match opened.look(owner, position, self.link).await? {
                Look::Expected(checked) => {
                    self.take(opened, position, &checked, &table, &mut counted).await?;
                    position += checked.header.frame_bytes() as u64;
                    counted.frames_end = position;
                }
                other => match self.onward(at, opened, position, end, other).await? {
                    Onward::At(next) => position = next,
                    Onward::NextSegment => break,
                },
            }
        }
        match (footer, last) {
            (Some(footer), _) => self.check_table(&entry, &footer, &table, &counted),
            (None, LastBlock::Damaged) if !self.has_ended => self.damaged_footer(&entry),
            (None, _) => {}
        }
        let stage = match (footer, last) {
            (Some(_), _) => SegmentStage::Sealed,
            (None, LastBlock::Damaged) if !self.has_ended => SegmentStage::Sealed,
            _ if was_ended || (counted.frames == 0 && self.has_ended) => SegmentStage::Ready,
            _ => SegmentStage::Open,
        };
        self.segment(&entry, stage, &counted, footer);
        Ok(())
    }

    pub(super) fn segment(
        &mut self,
        entry: &SegmentEntry,
        stage: SegmentStage,
        counted: &Counted,
        footer: Option<Footer>,
    ) {
        self.report.see(Seen::Segment(SegmentSeen {
            entry: *entry,
            stage,
            frames: counted.frames,
            records: counted.records,
            shards: counted.shards.len(),
            frames_end: counted.frames_end,
            footer,
        }));
    }

    /// Takes a whole frame that is expected here.
    pub(super) async fn take(
        &mut self,
        opened: &mut Opened,
        position: u64,
        checked: &CheckedHeader,
        table: &TableSeen,
        counted: &mut Counted,
    ) -> Result<(), IoError> {
        let header = checked.header;
        let entry = opened.entry;
        self.link = Some(Link::behind(checked));
        if !entry.clustered {
            self.life_min = header.life;
        }
        counted.frames += 1;
        counted.records += u64::from(header.record_count);
        self.report.frame(FrameSeen { header, position });
        let bytes = opened.scan.frame(position).await?.expect("the frame was just seen");
        for (part, start) in frame::directory(bytes, &header) {
            *counted.shards.entry(part.key).or_default() += u64::from(part.count);
            let part_position = position + start as u64;
            self.report.part(PartSeen {
                key: part.key,
                segment: entry.first,
                position: part_position,
                first_index: part.first_index,
                count: part.count,
                bytes: part.bytes,
                base_ms: header.base_ms,
            });
            let part_bytes = &bytes[start..start + part.bytes as usize];
            if !table.promises(part_position, part_bytes) {
                let place = self.report.place(&entry, part_position);
                self.report.rebuilt(place, Wrong::TableDisagrees, vec![part.key]);
            }
            if !entry.clustered {
                self.advance(&entry, position, &part);
            }
        }
        Ok(())
    }

    /// A shard goes on with a part of the chain.
    fn advance(&mut self, entry: &SegmentEntry, position: u64, part: &DirectoryEntry) {
        let expected = match self.indices.get(&part.key) {
            Some(next) => Some(*next),
            None => self.knows_all.then_some(0),
        };
        if expected == Some(part.first_index) {
            self.suspects.goes_on(part.key);
        } else if expected.is_some() && !self.suspects.has_gap(part.key) {
            let place = self.report.place(entry, position);
            let concerned = Concerned::Shards(vec![part.key]);
            let mut finding = self.report.refused(place, Wrong::IndexGap, None, concerned);
            finding.known_by = KnownBy::Gaps;
            self.report.finding(finding);
        }
        self.indices.insert(part.key, part.first_index + u64::from(part.count));
    }

    /// Not the expected frame: damage, the end of the segment, or the end of the log.
    async fn onward(
        &mut self,
        at: usize,
        opened: &mut Opened,
        position: u64,
        end: Option<u64>,
        look: Look,
    ) -> Result<Onward, IoError> {
        let Look::Other { wrong, header, shards } = look else {
            unreachable!("the caller has taken what was expected")
        };
        let behind =
            header.map_or(BLOCK_BYTES as u64, |checked| checked.header.frame_bytes() as u64);
        let behind = position + behind;
        let owner = self.owner();
        let missing = self.link.map(|link| link.number);
        if end.is_none() {
            if self.next_segment_starts(at).await? {
                return Ok(Onward::NextSegment);
            }
            let Some((resumed, resume, next)) = self.witness(at, behind).await? else {
                self.has_ended = true;
                self.is_torn = header.is_some();
                return Ok(Onward::NextSegment);
            };
            opened.look_anew();
            if let Look::Expected(_) = opened.look(owner, position, self.link).await? {
                // In a folder in use it has been written since, and the witness after it.
                return Ok(Onward::At(position));
            }
            if header.is_none() {
                self.damaged(opened, position, wrong, Some(next.header.number), shards);
                self.link = Some(Link::before(&next));
                self.resume = Some((resumed, resume));
                let is_here = resumed == at;
                return Ok(if is_here { Onward::At(resume) } else { Onward::NextSegment });
            }
        }
        if let Some(checked) = header {
            self.damaged(opened, position, wrong, Some(checked.header.number + 1), shards);
            self.link = Some(Link::behind(&checked));
            return Ok(Onward::At(behind));
        }
        let end = end.expect("without an end a witness was searched");
        let next = opened.next_whole(owner, position + BLOCK_BYTES as u64, end, missing).await?;
        let behind_number = next.map(|(_, checked)| checked.header.number);
        self.damaged(opened, position, wrong, behind_number, shards);
        match next {
            Some((resume, checked)) => {
                self.link = Some(Link::before(&checked));
                Ok(Onward::At(resume))
            }
            // The footer says what the next segment starts with.
            None => Ok(Onward::At(end)),
        }
    }

    /// Whether the next segment starts with the frame that is expected.
    async fn next_segment_starts(&mut self, at: usize) -> Result<bool, IoError> {
        let Some(entry) = self.entries.get(at + 1).filter(|entry| !entry.clustered) else {
            return Ok(false);
        };
        let (Some(mut next), Some(link)) = (open(self.folder, entry).await?, self.link) else {
            return Ok(false);
        };
        let look = next.look(self.owner(), 0, Some(link)).await?;
        Ok(!matches!(look, Look::Other { wrong: Wrong::FrameHeader | Wrong::FrameChain, .. }))
    }

    /// The first whole frame behind the missing one, if one there says that it had been durable.
    async fn witness(
        &mut self,
        at: usize,
        from: u64,
    ) -> Result<Option<(usize, u64, CheckedHeader)>, IoError> {
        let missing = self.link.map(|link| link.number);
        let owner = self.owner();
        let last = self.entries.len().min(at + 1 + WITNESS_SEGMENTS);
        let mut first: Option<(usize, u64, CheckedHeader)> = None;
        let mut before = None;
        let mut from = from;
        for behind in at..last {
            let entry = self.entries[behind];
            let Some(mut segment) = open(self.folder, &entry).await? else { continue };
            while let Some((position, checked)) =
                segment.next_whole(owner, from, entry.bytes, missing).await?
            {
                first = first.filter(|(.., first)| !is_abandoned(first, before, &checked));
                let first = *first.get_or_insert((behind, position, checked));
                before = Some(checked);
                if checked.header.durable_frames > missing.unwrap_or(0) {
                    return Ok(Some(first));
                }
                from = position + checked.header.frame_bytes() as u64;
            }
            from = 0;
        }
        Ok(None)
    }

    /// Acknowledged frames from the expected one to the one before `next` cannot be read.
    fn damaged(
        &mut self,
        opened: &Opened,
        position: u64,
        wrong: Wrong,
        next: Option<u64>,
        shards: Option<Vec<ShardKey>>,
    ) {
        let place = self.report.place(&opened.entry, position);
        let missing = self.link.map(|link| link.number);
        let frames = missing.zip(next).map(|(missing, next)| missing..next);
        let finding = self.report.refused(place, wrong, frames, Concerned::Log(self.log));
        match shards {
            Some(mut shards) => {
                shards.sort_unstable();
                self.suspects.name(shards.iter().copied());
                let mut finding = finding;
                finding.concerned = Concerned::Shards(shards);
                finding.known_by = KnownBy::Directory;
                self.report.finding(finding);
            }
            None => {
                if let Some(decided) = self.suspects.open(finding, &self.indices) {
                    self.report.finding(decided);
                }
            }
        }
    }

    pub(super) fn damaged_footer(&mut self, entry: &SegmentEntry) {
        let place = self.report.place(entry, entry.bytes - BLOCK_BYTES as u64);
        let keys = self.indices.keys().copied().collect();
        self.report.rebuilt(place, Wrong::TableFooter, keys);
    }

    /// The table of a segment of the chain, behind its frames.
    fn check_table(
        &mut self,
        entry: &SegmentEntry,
        footer: &Footer,
        table: &TableSeen,
        counted: &Counted,
    ) {
        self.damaged_blocks(entry, footer, table);
        let next = Link { number: footer.next_frame, previous: footer.last_checksum };
        let frames_agree = self.link.is_none_or(|link| link == next);
        let is_trusted = self.suspects.are_open() || frames_agree;
        if table.disagrees || !is_trusted {
            let place = self.report.place(entry, u64::from(footer.rows_position));
            self.report.rebuilt(place, Wrong::TableDisagrees, Vec::new());
        }
        if let Some(rows) = &table.rows {
            let (indices, knows_all) = (&self.indices, self.knows_all);
            let walked = |row: &Row| match indices.get(&row.key) {
                Some(next) => *next,
                None if knows_all => 0,
                // Where the shard was before is not known; what is counted is of this segment.
                None => row.first_index() + counted.shards.get(&row.key).copied().unwrap_or(0),
            };
            let (decided, disagreeing) = self.suspects.ask_table(rows, walked);
            decided.into_iter().for_each(|finding| self.report.finding(finding));
            if !disagreeing.is_empty() {
                let place = self.report.place(entry, u64::from(footer.rows_position));
                self.report.rebuilt(place, Wrong::TableDisagrees, disagreeing);
            }
        }
        self.take_table(footer, table);
    }

    /// Says which blocks of a table are damaged, and whose they are.
    pub(super) fn damaged_blocks(
        &mut self,
        entry: &SegmentEntry,
        footer: &Footer,
        table: &TableSeen,
    ) {
        for blocks in &table.damaged {
            let position = footer.block_position(blocks.region, blocks.first);
            let place = self.report.place(entry, position);
            let wrong = Wrong::TableBlocks { region: blocks.region, count: blocks.count };
            let keys = table.concerned(self.indices.keys().copied());
            self.report.rebuilt(place, wrong, keys);
        }
    }
}
