//! The proof that records which no sealed segment gives were given up on purpose.
//!
//! ```text
//!   before            gap of a shard             behind
//!   [ .. from )     [ from .. end )            [ end .. ]
//!    its row ends      who took it?             the first segment that the search found
//! ```
//! A search that passed over a segment would look to a reader as if records had expired. So what is
//! not found is looked at from another side than the search does:
//! - What this life gives up moves the shard's horizon before a file goes: a gap ends there at most.
//! - What earlier lives gave up shows in the segments that are left: numbers before one are missing,
//!   or it was rewritten; or it is the first one that the newest table says is of use to the shard.
//! - In every case the segment before the one found must end before the gap.
//!
//! Costs one row of one table, and only where there is a gap.

use std::ops::Range;
use std::rc::Rc;

use super::{Cold, Place, Wanted};
use crate::error::ReadError;
use crate::reader;
use crate::segment_set::Segment;
use crate::state::LogInner;

impl Cold {
    /// Whether the records `gap` of a shard, of which the search found none, were given up. `found`
    /// is the first segment that the search found to reach behind the gap's start. False if
    /// segments were replaced or removed meanwhile: search again.
    ///
    /// # Errors
    /// `Missing` if they should be here, and those of reading a table.
    pub(super) async fn is_given_up(
        &self,
        log: &LogInner,
        wanted: &Wanted,
        gap: Range<u64>,
        found: Option<&Place>,
    ) -> Result<bool, ReadError> {
        assert!(!gap.is_empty());
        let before = self.before(found);
        let in_use = before.as_ref().filter(|it| it.entry().last >= wanted.horizon_segment);
        let row = match in_use {
            Some(segment) => self.tables.row(segment, wanted.key).await?,
            None => None,
        };
        // Of a shard that was deleted meanwhile nothing is left to be found.
        reader::readable(log, wanted.slot)?;
        if log.state.borrow().shards.get(wanted.slot).horizon >= gap.end {
            return Ok(true);
        }
        let is_same =
            self.before(found).as_ref().map(Rc::as_ptr) == before.as_ref().map(Rc::as_ptr);
        if !is_same || found.is_some_and(|place| place.segment.is_retired()) {
            return Ok(false);
        }
        let is_first = row.is_none_or(|row| row.next_index <= gap.start);
        let is_left_from_earlier = found.is_some_and(|place| place.segment.follows_trim())
            || found.is_some() && before.is_some() && in_use.is_none();
        if is_first && is_left_from_earlier {
            return Ok(true);
        }
        log.state.borrow_mut().stats.missing_reads += 1;
        Err(ReadError::Missing { key: wanted.key, index: gap.start })
    }

    /// The segment before the one found, or the newest.
    fn before(&self, found: Option<&Place>) -> Option<Rc<Segment>> {
        match found {
            Some(place) => self.set.before(place.segment.entry().first),
            None => self.set.newest(),
        }
    }
}
