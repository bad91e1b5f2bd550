//! Hands on what is seen, filters what was not asked for, and counts.

use std::ops::Range;

use super::seen::{
    Concerned, Consequence, Finding, FrameSeen, KnownBy, PartSeen, Place, Seen, Wrong,
};
use super::{Selection, Totals};
use crate::catalog::SegmentEntry;
use crate::pool;
use crate::shard::ShardKey;

/// See the module.
pub(super) struct Report<'a> {
    pub(super) selection: &'a Selection,
    pub(super) out: &'a mut dyn FnMut(Seen<'_>),
    pub(super) totals: Totals,
}

impl Report<'_> {
    pub(super) fn see(&mut self, seen: Seen<'_>) {
        if let Seen::Segment(_) = seen {
            self.totals.segments += 1;
        }
        (self.out)(seen);
    }

    pub(super) fn frame(&mut self, frame: FrameSeen) {
        self.totals.frames += 1;
        self.totals.records += u64::from(frame.header.record_count);
        self.totals.bytes += frame.header.frame_bytes() as u64;
        if self.selection.frames {
            (self.out)(Seen::Frame(frame));
        }
    }

    pub(super) fn part(&mut self, part: PartSeen) {
        if self.selection.shard == Some(part.key) {
            (self.out)(Seen::Part(part));
        }
    }

    pub(super) fn finding(&mut self, finding: Finding) {
        self.totals.findings += 1;
        (self.out)(Seen::Finding(finding));
    }

    /// A place in a segment's file.
    pub(super) fn place(&self, entry: &SegmentEntry, position: u64) -> Place {
        Place {
            log: Some(entry.log),
            segment: Some(entry.first),
            file: format!("segments/{}", pool::file_name(entry.log, entry.file)),
            position,
        }
    }

    /// A finding for which shards are refused. It is not reported by this.
    pub(super) fn refused(
        &self,
        place: Place,
        wrong: Wrong,
        frames: Option<Range<u64>>,
        concerned: Concerned,
    ) -> Finding {
        let known_by = KnownBy::Exclusion;
        Finding { place, wrong, frames, concerned, known_by, consequence: Consequence::Refused }
    }

    /// Reports something wrong with a table, which the engine builds anew.
    pub(super) fn rebuilt(&mut self, place: Place, wrong: Wrong, keys: Vec<ShardKey>) {
        self.finding(Finding {
            place,
            wrong,
            frames: None,
            concerned: Concerned::Shards(keys),
            known_by: KnownBy::Gaps,
            consequence: Consequence::Rebuilt,
        });
    }
}
