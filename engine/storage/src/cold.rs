//! Reads of sealed segments: from a record's index to its segment, from there to its bytes.
//!
//! ```text
//!   index ──halving over tables──▶ segment, row ──▶ postings: parts are read one by one, ahead of
//!                                              │              a reader that goes on
//!                                              └─▶ none: have it rewritten by shard, or, if it
//!                                                  cannot be, read it all and order it in memory
//! ```
//! Rows say which records of a shard a segment holds, so a search touches tables alone. It must
//! never give bytes whose checksum it has not seen to be right, and never pass over a record that
//! is kept: records are missing only where a shard's oldest have expired.

use std::cell::Cell;
use std::rc::Rc;

use crate::chunk::{Chunk, ReadLimit, cut};
use crate::error::ReadError;
use crate::planted::{Bug, planted};
use crate::retention;
use crate::segment_set::{Segment, SegmentSet};
use crate::shard::{ShardKey, ShardSlot};
use crate::state::LogInner;
use crate::table::Row;
use crate::tables::Tables;

use self::images::Images;
use self::stream::{Stream, Streams};

pub(crate) mod frame_walk;
mod images;
mod proof;
mod stream;

/// What reading sealed segments has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ColdStats {
    /// Parts and images that were read.
    pub misses: u64,
    /// Parts that had been read ahead, or stood in an image.
    pub hits: u64,
    /// Bytes read from segments, tables apart.
    pub read_bytes: u64,
    /// Bytes of images that are kept now.
    pub image_bytes: usize,
}

/// Reads the sealed segments of one log.
pub(crate) struct Cold {
    pub set: SegmentSet,
    pub tables: Tables,
    images: Images,
    streams: Streams,
    stats: Cell<ColdStats>,
}

/// One shard's records from an index on, up to where memory takes over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub slot: ShardSlot,
    pub key: ShardKey,
    pub from: u64,
    pub end: u64,
    /// Segments before this one hold nothing of the shard that is kept.
    pub horizon_segment: u64,
}

/// A segment, and what it holds of a shard.
pub(crate) struct Place {
    pub segment: Rc<Segment>,
    pub row: Row,
}

impl Cold {
    pub(crate) fn new(set: SegmentSet, table_bytes_max: usize, image_bytes_max: usize) -> Cold {
        Cold {
            tables: Tables::new(set.clone(), table_bytes_max),
            images: Images::new(image_bytes_max),
            streams: Streams::default(),
            stats: Cell::default(),
            set,
        }
    }

    pub(crate) fn stats(&self) -> ColdStats {
        ColdStats { image_bytes: self.images.bytes(), ..self.stats.get() }
    }

    fn count(&self, change: impl FnOnce(&mut ColdStats)) {
        let mut stats = self.stats.get();
        change(&mut stats);
        self.stats.set(stats);
    }

    /// The records from `wanted.from` on, or from the first behind it that has not expired, as far
    /// as `limit` goes. `None` if all of them have expired. Without `is_first` the reader has
    /// records already, and gets none that would have to be waited for: else one call could have
    /// the whole log rewritten.
    ///
    /// # Errors
    /// `Damaged` if the first of them cannot be read, `Missing` if no segment holds it and nothing
    /// shows that it was given up, or the disk's.
    pub(crate) async fn read(
        &self,
        log: &LogInner,
        wanted: Wanted,
        limit: &mut ReadLimit,
        is_first: bool,
    ) -> Result<Option<Vec<Chunk>>, ReadError> {
        if let Some(stream) = self.streams.take(wanted.slot, wanted.from) {
            let chunks = self.read_stream(stream, wanted, limit, is_first).await?;
            if !chunks.is_empty() || limit.is_exhausted() {
                return Ok(Some(chunks));
            }
            // It had come to its end.
        }
        let mut from = wanted.from;
        let place = loop {
            let is_behind = |row: &Row| row.next_index > from;
            let low = wanted.horizon_segment;
            let found = match is_first {
                true => self.ordered_first_where(log, wanted.key, low, is_behind).await?,
                false => self.first_where(wanted.key, low, is_behind).await?,
            };
            // A sealed segment may be in memory as well.
            let held_from = found.as_ref().map_or(u64::MAX, |place| place.row.first_index());
            let gap = from..held_from.min(wanted.end);
            if !gap.is_empty() && !self.is_given_up(log, &wanted, gap, found.as_ref()).await? {
                continue;
            }
            let in_front = found.filter(|place| place.row.first_index() < wanted.end);
            // Else all that stood before what memory holds has expired.
            let Some(place) = in_front else { return Ok(None) };
            if place.row.count > 0 {
                break place;
            }
            // Rewriting left out what had expired: what comes next stands in a later segment.
            from = place.row.next_index;
        };
        if !self.tables.shape(&place.segment).await?.has_postings {
            return match is_first {
                true => self.read_image(&place, &wanted, limit).await.map(Some),
                false => Ok(Some(Vec::new())),
            };
        }
        let stream = Stream::new(self, wanted, &place).await?;
        let chunks = self.read_stream(stream, wanted, limit, is_first).await?;
        if chunks.is_empty() && !limit.is_exhausted() {
            // The row promises records for which there are no postings.
            let segment = place.segment.entry().first;
            return Err(ReadError::Damaged { segment, position: 0 });
        }
        Ok(Some(chunks))
    }

    /// As `first_where`, and asks that a segment be rewritten by shard first if its parts are too
    /// small to be read one by one. It stays without postings only if that is not possible.
    pub(crate) async fn ordered_first_where(
        &self,
        log: &LogInner,
        key: ShardKey,
        low: u64,
        is_behind: impl Fn(&Row) -> bool,
    ) -> Result<Option<Place>, ReadError> {
        let Some(place) = self.first_where(key, low, &is_behind).await? else { return Ok(None) };
        let has_postings = self.tables.shape(&place.segment).await?.has_postings;
        if has_postings || !retention::ordered(log, &place.segment).await {
            return Ok(Some(place));
        }
        self.first_where(key, low, is_behind).await
    }

    /// The first segment, from the one that covers `low` on, whose row of the shard is one for which
    /// `is_behind` holds; it must hold for every later one too. A segment without a row is before.
    ///
    /// # Errors
    /// `Damaged` if a table on the way is, or the disk's.
    async fn first_where(
        &self,
        key: ShardKey,
        low: u64,
        is_behind: impl Fn(&Row) -> bool,
    ) -> Result<Option<Place>, ReadError> {
        let from_number =
            |number| self.set.at(number).map_or(number, |covering| covering.entry().first);
        let mut low = low;
        let mut high = u64::MAX;
        let mut found = None;
        // What stands from `low` on may meanwhile have become one with what stands before it.
        while let Some(segment) = self.set.middle(from_number(low), high) {
            let row = self.tables.row(&segment, key).await?;
            match row.filter(|row| is_behind(row)) {
                Some(row) => {
                    high = segment.entry().first;
                    found = Some(Place { segment, row });
                }
                None => low = segment.entry().last + 1,
            }
        }
        Ok(found)
    }

    /// Reads from the image of a segment whose parts are too small to be read one by one; for a
    /// reader that has nothing yet.
    async fn read_image(
        &self,
        place: &Place,
        wanted: &Wanted,
        limit: &mut ReadLimit,
    ) -> Result<Vec<Chunk>, ReadError> {
        let image = self.images.get(self, &place.segment, wanted.key).await?;
        let mut next = wanted.from.max(place.row.first_index());
        let mut chunks = Vec::new();
        let mut is_first = true;
        for part in image.parts(wanted.key, next) {
            if part.first_index > next && !planted(Bug::ImageReadStepsOverHoles) {
                break;
            }
            let base_ms = part.base_ms;
            let chunk = cut(part.bytes, base_ms, part.first_index, next, limit, is_first);
            let Some(chunk) = chunk else { break };
            self.count(|stats| stats.hits += 1);
            next = chunk.end_index();
            chunks.push(chunk);
            is_first = false;
        }
        if chunks.is_empty() && !limit.is_exhausted() {
            // The row promises a record that no whole frame holds.
            return Err(image.damage(place.segment.entry().first));
        }
        Ok(chunks)
    }

    /// The last part of the shard in this segment that begins before `arrival_ms`, as the indices
    /// of its first record and behind its last. `first_ms` says when the record of an index arrived.
    ///
    /// # Errors
    /// `Damaged`, or the disk's.
    pub(crate) async fn last_part_before(
        &self,
        place: &Place,
        arrival_ms: u64,
        first_ms: impl AsyncFn(u64) -> Result<u64, ReadError>,
    ) -> Result<Option<(u64, u64)>, ReadError> {
        let Place { segment, row } = place;
        if !self.tables.shape(segment).await?.has_postings {
            let image = self.images.get(self, segment, row.key).await?;
            // A piece of an image begins with its base.
            // Nothing of it is wanted any more: then it is not in the image.
            let Some((mut expected, end)) = image.range(row.key) else { return Ok(None) };
            let mut last = None;
            for part in image.parts(row.key, expected) {
                if part.first_index > expected {
                    break;
                }
                if part.base_ms >= arrival_ms {
                    return Ok(last);
                }
                expected = part.end_index();
                last = Some((part.first_index, expected));
            }
            // Of what no whole frame holds nobody knows when it arrived.
            let is_whole = expected == end;
            return if is_whole { Ok(last) } else { Err(image.damage(segment.entry().first)) };
        }
        let (mut low, mut high) = (row.first_posting, row.first_posting + row.postings);
        let mut last = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let part = self.tables.posting(segment, middle).await?;
            // Frames of a rewritten segment mix shards of different times, so their bases do not
            // rise from part to part.
            let part_ms = match segment.entry().clustered {
                true => first_ms(part.first_index).await?,
                false => part.base_ms,
            };
            match part_ms < arrival_ms {
                true => {
                    last = Some((part.first_index, part.end_index()));
                    low = middle + 1;
                }
                false => high = middle,
            }
        }
        Ok(last)
    }
}
