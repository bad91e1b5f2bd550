//! What is still wanted of one segment, counted over the rows of its table.
//!
//! Pure. A shard expires in a segment when its newest record there does: a segment is a few seconds
//! of a busy log, and no look at the records is needed.

use crate::life::ShardLife;
use crate::segment_set::Census;
use crate::table::Row;

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It says of no record that is not gone already.
    Gone,
    /// Its records expire now: the shard's horizon moves to the row's `next_index`.
    Expires,
    /// Its records are kept.
    Kept,
}

/// Adds up the rows of one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    census: Census,
    records: u64,
}

impl Count {
    /// A count for look `round`.
    pub(crate) fn new(round: u32) -> Count {
        let census = Census { round, earliest_expiry_ms: u64::MAX, ..Census::default() };
        Count { census, records: 0 }
    }

    /// Adds a row. `life` is `None` for a shard that was deleted, `now_ms` while deletion pauses.
    pub(crate) fn add(&mut self, row: &Row, life: Option<ShardLife>, now_ms: Option<u64>) -> Fate {
        self.census.record_bytes = self.census.record_bytes.saturating_add(row.bytes);
        let Some(life) = life.filter(|life| life.keeps(row)) else { return Fate::Gone };
        let expiry_ms = life.expiry_ms(row);
        if now_ms.is_some_and(|now_ms| expiry_ms <= now_ms) {
            return Fate::Expires;
        }
        let census = &mut self.census;
        census.live_shards += 1;
        census.live_bytes = census.live_bytes.saturating_add(row.bytes);
        census.earliest_expiry_ms = census.earliest_expiry_ms.min(expiry_ms);
        self.records += u64::from(row.count);
        Fate::Kept
    }

    /// What was found.
    pub(crate) fn census(&self) -> Census {
        self.census
    }

    /// Records that are kept.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::ShardKey;

    fn row(next_index: u64, count: u32, last_arrival_ms: u64) -> Row {
        Row {
            key: ShardKey(1),
            next_index,
            last_arrival_ms,
            first_live_segment: 0,
            retention_ms: 9,
            count,
            bytes: count * 10,
            first_posting: 0,
            postings: 0,
            closed: false,
            damaged: false,
        }
    }

    fn life(retention_ms: u64, horizon: u64) -> Option<ShardLife> {
        Some(ShardLife { retention_ms, horizon, deleted: false })
    }

    #[test]
    fn rows_are_kept_until_their_newest_record_expires() {
        let mut count = Count::new(3);
        assert_eq!(count.add(&row(10, 10, 1_000), life(500, 0), Some(1_499)), Fate::Kept);
        assert_eq!(count.add(&row(20, 4, 900), life(500, 0), Some(1_400)), Fate::Expires);
        assert_eq!(count.add(&row(20, 4, 900), life(500, 0), None), Fate::Kept);
        let expected = Census {
            round: 3,
            live_shards: 2,
            live_bytes: 140,
            record_bytes: 180,
            earliest_expiry_ms: 1_400,
        };
        assert_eq!((count.census(), count.records()), (expected, 14));
    }

    #[test]
    fn what_is_behind_the_horizon_deleted_or_absent_is_gone() {
        let mut count = Count::new(1);
        assert_eq!(count.add(&row(10, 10, 1_000), life(500, 10), Some(0)), Fate::Gone);
        assert_eq!(count.add(&row(10, 10, 1_000), None, Some(0)), Fate::Gone);
        assert_eq!(count.add(&row(10, 0, 1_000), life(500, 0), Some(0)), Fate::Gone);
        let deleted = life(500, 0).map(|life| ShardLife { deleted: true, ..life });
        assert_eq!(count.add(&row(10, 10, 1_000), deleted, Some(0)), Fate::Gone);
        let nothing = Census {
            round: 1,
            record_bytes: 300,
            earliest_expiry_ms: u64::MAX,
            ..Census::default()
        };
        assert_eq!(count.census(), nothing);
    }

    #[test]
    fn records_that_are_kept_for_ever_do_not_overflow() {
        let mut count = Count::new(1);
        assert_eq!(count.add(&row(1, 1, 1_000), life(u64::MAX, 0), Some(u64::MAX - 1)), Fate::Kept);
    }
}
