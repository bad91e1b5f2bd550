//! The rows of a table from all that is known of it. Pure.
//!
//! | a shard                                   | its next index behind the segment                 |
//! | ----------------------------------------- | ------------------------------------------------- |
//! | has a row in a whole block                | that of the row                                   |
//! | has a row in the table behind             | the first that the segment behind holds of it     |
//! | has records in the frames                 | behind the last of them                           |
//! | has none, in a segment of the chain       | as before: what it lacks in the frames it lacks   |
//! | has none, in a rewritten segment          | uncertain: what it had may have expired           |
//!
//! The last three hold only where no frame is damaged; else the shard is uncertain, and its row
//! promises what the frames might have held: a reader is refused rather than led past it.

use std::collections::{BTreeMap, BTreeSet};

use crate::shard::ShardKey;
use crate::table::{Posting, Row};

/// What the frames of the segment hold.
#[derive(Default)]
pub(super) struct Seen {
    shards: BTreeMap<ShardKey, SeenShard>,
    /// Frames are damaged.
    pub has_holes: bool,
}

#[derive(Default)]
struct SeenShard {
    first_index: u64,
    next_index: u64,
    bytes: u32,
    last_arrival_ms: u64,
    postings: Vec<Posting>,
}

impl Seen {
    /// Adds the next part of a shard.
    pub(super) fn add(
        &mut self,
        key: ShardKey,
        part: Posting,
        last_arrival_ms: u64,
        with_postings: bool,
    ) {
        let shard = self.shards.entry(key).or_default();
        if shard.next_index == 0 {
            shard.first_index = part.first_index;
        }
        shard.next_index = part.end_index();
        shard.bytes = shard.bytes.saturating_add(part.bytes);
        shard.last_arrival_ms = last_arrival_ms;
        if with_postings {
            shard.postings.push(part);
        }
    }
}

/// A stretch of keys whose rows are lost: behind the one, before the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Between {
    pub behind: Option<ShardKey>,
    pub before: Option<ShardKey>,
}

impl Between {
    fn holds(&self, key: ShardKey) -> bool {
        self.behind.is_none_or(|behind| behind < key)
            && self.before.is_none_or(|before| key < before)
    }
}

/// All that is known.
pub(super) struct Sources<'a> {
    /// First number of the segment.
    pub segment: u64,
    /// It was not rewritten.
    pub is_chain: bool,
    /// Rows of whole blocks, sorted.
    pub kept: &'a [Row],
    /// Where rows are lost.
    pub between: &'a [Between],
    pub seen: &'a Seen,
    /// The table just before, sorted.
    pub before: Option<&'a [Row]>,
    /// The table just behind, of a segment of the chain, sorted.
    pub behind: Option<&'a [Row]>,
}

/// A table's content. Rows whose next index is uncertain are marked as damaged.
pub(super) struct Merged {
    pub rows: Vec<Row>,
    pub postings: Vec<Posting>,
}

pub(super) fn merge(sources: &Sources<'_>) -> Merged {
    let mut merged = Merged { rows: Vec::new(), postings: Vec::new() };
    let lists = [sources.before, sources.behind].into_iter().flatten().flatten();
    let lost = |key: &ShardKey| sources.between.iter().any(|between| between.holds(*key));
    let others = lists.map(|row| row.key).chain(sources.seen.shards.keys().copied()).filter(lost);
    let keys: BTreeSet<ShardKey> = others.chain(sources.kept.iter().map(|row| row.key)).collect();
    for key in keys {
        let Some((mut row, is_certain)) = row(sources, key) else { continue };
        row.damaged |= !is_certain;
        let postings = sources.seen.shards.get(&key).map_or(&[][..], |shard| &shard.postings);
        row.first_posting =
            u32::try_from(merged.postings.len()).expect("a segment has < 2^32 parts");
        row.postings = u32::try_from(postings.len()).expect("a segment has < 2^32 parts");
        merged.postings.extend_from_slice(postings);
        merged.rows.push(row);
    }
    merged
}

/// The row of a shard, and whether its next index is certain; `None` if it had no records yet.
fn row(sources: &Sources<'_>, key: ShardKey) -> Option<(Row, bool)> {
    if let Some(row) = find(sources.kept, key) {
        return Some((*row, true));
    }
    let seen = sources.seen.shards.get(&key);
    let before = sources.before.and_then(|rows| find(rows, key));
    let behind = sources.behind.and_then(|rows| find(rows, key));
    let before_index = before.map_or(0, |row| row.next_index);
    let at_least = seen.map_or(0, |seen| seen.next_index).max(before_index);
    let is_whole = !sources.seen.has_holes;
    let certain = match (behind, seen) {
        (Some(behind), _) => Some(behind.first_index()),
        (None, Some(seen)) if is_whole => Some(seen.next_index),
        (None, None) if is_whole && sources.is_chain && sources.before.is_some() => {
            Some(before_index)
        }
        _ => None,
    };
    let next_index = certain.map_or(at_least, |index| index.max(at_least));
    if next_index == 0 {
        return None;
    }
    let first_index = match sources.before {
        // What a rewritten segment lacks has expired, unless a damaged frame held it.
        Some(_) if sources.is_chain || !is_whole => before_index,
        _ => seen.map_or(next_index, |seen| seen.first_index),
    };
    let like = before.or(behind);
    let row = Row {
        key,
        next_index,
        last_arrival_ms: seen
            .map(|seen| seen.last_arrival_ms)
            .or(before.map(|row| row.last_arrival_ms))
            .unwrap_or(0),
        first_live_segment: before.map_or(sources.segment, |row| row.first_live_segment),
        retention_ms: like.map_or(u64::MAX, |row| row.retention_ms),
        count: u32::try_from(next_index.saturating_sub(first_index)).unwrap_or(u32::MAX),
        bytes: seen.map_or(0, |seen| seen.bytes),
        first_posting: 0,
        postings: 0,
        closed: before.is_some_and(|row| row.closed),
        damaged: before.is_some_and(|row| row.damaged),
    };
    Some((row, certain.is_some()))
}

fn find(rows: &[Row], key: ShardKey) -> Option<&Row> {
    rows.binary_search_by_key(&key, |row| row.key).ok().map(|at| &rows[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(key: u64, next_index: u64, count: u32) -> Row {
        Row {
            key: ShardKey(key),
            next_index,
            last_arrival_ms: 5,
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

    fn seen(parts: &[(u64, u64, u32)], has_holes: bool) -> Seen {
        let mut seen = Seen { has_holes, ..Seen::default() };
        for &(key, first_index, count) in parts {
            let (position, bytes, base_ms, checksum) = (0, count * 10, 0, 0);
            let part = Posting { position, bytes, first_index, count, base_ms, checksum };
            seen.add(ShardKey(key), part, 7, true);
        }
        seen
    }

    const ALL: [Between; 1] = [Between { behind: None, before: None }];

    /// Key, next index, count, certain.
    type Expected = (u64, u64, u32, bool);

    fn check(sources: &Sources<'_>, expected: &[Expected]) {
        let merged = merge(sources);
        let rows: Vec<Expected> = merged
            .rows
            .iter()
            .map(|row| (row.key.0, row.next_index, row.count, !row.damaged))
            .collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_segment_of_the_chain_is_told_by_its_frames_and_the_table_before() {
        let frames = seen(&[(2, 50, 5), (3, 0, 7), (2, 55, 5)], false);
        let before = [row_of(1, 30, 4), row_of(2, 50, 50)];
        let sources = Sources {
            segment: 4,
            is_chain: true,
            kept: &[],
            between: &ALL,
            seen: &frames,
            before: Some(&before),
            behind: None,
        };
        check(&sources, &[(1, 30, 0, true), (2, 60, 10, true), (3, 7, 7, true)]);
        assert_eq!(merge(&sources).postings.len(), 3);
        // Nobody knows of shards that are silent.
        check(&Sources { before: None, ..sources }, &[(2, 60, 10, true), (3, 7, 7, true)]);
    }

    #[test]
    fn what_a_rewritten_segment_lacks_is_told_by_the_table_behind() {
        let frames = seen(&[(2, 58, 2)], false);
        let before = [row_of(1, 30, 4), row_of(2, 50, 50)];
        let behind = [row_of(1, 41, 1), row_of(2, 60, 0), row_of(3, 3, 3)];
        let sources = Sources {
            segment: 4,
            is_chain: false,
            kept: &[],
            between: &ALL,
            seen: &frames,
            before: Some(&before),
            behind: Some(&behind),
        };
        check(&sources, &[(1, 40, 0, true), (2, 60, 2, true)]);
        check(&Sources { behind: None, ..sources }, &[(1, 30, 0, false), (2, 60, 2, true)]);
    }

    #[test]
    fn whole_blocks_are_believed_and_only_what_lies_between_them_is_searched() {
        let frames = seen(&[(2, 58, 2), (6, 9, 1)], false);
        let before = [row_of(1, 30, 4), row_of(4, 5, 5), row_of(5, 8, 8)];
        let kept = [row_of(1, 77, 1), row_of(3, 12, 0), row_of(6, 10, 1)];
        let between = [Between { behind: Some(ShardKey(3)), before: Some(ShardKey(5)) }];
        let sources = Sources {
            segment: 4,
            is_chain: false,
            kept: &kept,
            between: &between,
            seen: &frames,
            before: Some(&before),
            behind: None,
        };
        let expected = [(1, 77, 1, true), (3, 12, 0, true), (4, 5, 0, false), (6, 10, 1, true)];
        check(&sources, &expected);
    }

    #[test]
    fn a_damaged_frame_makes_rows_promise_what_it_may_have_held() {
        let frames = seen(&[(2, 55, 5)], true);
        let before = [row_of(1, 30, 4), row_of(2, 50, 50)];
        let behind = [row_of(2, 70, 5)];
        let sources = Sources {
            segment: 4,
            is_chain: true,
            kept: &[],
            between: &ALL,
            seen: &frames,
            before: Some(&before),
            behind: Some(&behind),
        };
        check(&sources, &[(1, 30, 0, false), (2, 65, 15, true)]);
        check(&Sources { is_chain: false, ..sources }, &[(1, 30, 0, false), (2, 65, 15, true)]);
    }
}
