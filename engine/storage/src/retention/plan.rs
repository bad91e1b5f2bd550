//! What to do next about the sealed segments, from what the last look at their tables found.
//!
//! | a segment, or a run of neighbours                           | what follows                     |
//! | ----------------------------------------------------------- | -------------------------------- |
//! | holds nothing that is wanted, and is not of the newest two  | removed                          |
//! | a reader waits for it to be ordered by shard                | rewritten, with those behind it  |
//! | would be a third smaller                                    | rewritten into one file          |
//! | four small ones or more, none with more than half of it all | rewritten into one file          |
//!
//! So no known segment but the newest, and what is cached or damaged, has a file of more than one
//! and a half times what it keeps, whatever the mixture; where the memory does not take what a single
//! one keeps, it is gathered in passes. Of those the deadest goes first.
//!
//! The last two are bounded: bytes are written again only where a third of their file goes, or
//! where their file grows to twice its size. So a byte is rewritten as often as its neighbours die,
//! plus the logarithm of segment over file. Pure.

use crate::cluster::passes_file_bytes;
use crate::table::tail_bytes;

/// Small files are merged when there are so many side by side.
const MERGE_COUNT_MIN: usize = 4;
/// Segments of one run: their tables are read one after the other before anything is written.
const RUN_COUNT_MAX: usize = 256;

/// What is known of one sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Size of its file, bytes.
    pub file_bytes: u64,
    /// Bytes of the records that are kept.
    pub live_bytes: u64,
    /// Shards of which something is kept.
    pub live_shards: usize,
    /// Its table was looked at.
    pub is_known: bool,
    /// Recovery starts from its table.
    pub is_newest: bool,
    /// It comes before the newest: should the newest table rot, recovery starts from this one.
    pub is_before_newest: bool,
    /// A reader would gain if it were ordered by shard.
    pub gains_order: bool,
    /// All of it can be read, and nothing has failed there lately.
    pub may_rewrite: bool,
}

/// What bounds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlanBounds {
    /// Bytes of records that one rewriting can hold in memory.
    pub live_bytes_max: u64,
    /// Size of a segment file, bytes.
    pub segment_bytes: u64,
    /// Rows of a table.
    pub shard_count: usize,
}

/// Places of segments of which nothing is wanted. The newest two stay, for their tables are needed:
/// of a shard that is silent, the frames of the newest say nothing. The older one is written anew
/// without its records.
pub(crate) fn dead(segments: &[Candidate]) -> Vec<usize> {
    let is_dead = |one: &Candidate| {
        one.is_known && one.live_shards == 0 && !one.is_newest && !one.is_before_newest
    };
    (0..segments.len()).filter(|&at| is_dead(&segments[at])).collect()
}

/// How many of `segments`, of which a reader asks for the first, are to be written into one file.
/// A sequential reader will want those behind it too, and larger parts are cheaper to read. 0 if it
/// stays as it is. The newest does: recovery can rebuild its table only from frames of the chain.
pub(crate) fn requested_count(segments: &[Candidate], bounds: &PlanBounds) -> usize {
    let mut live_bytes = 0;
    let wanted = |one: &&Candidate| {
        live_bytes += one.live_bytes;
        let fits = live_bytes <= bounds.live_bytes_max;
        one.is_known && one.may_rewrite && one.gains_order && !one.is_newest && fits
    };
    segments.iter().take(RUN_COUNT_MAX).take_while(wanted).count()
}

/// The run whose writing frees most for each byte written, from the first to behind the last; the
/// segments are in the order of their numbers. Of equal ones the first.
pub(crate) fn next_run(segments: &[Candidate], bounds: &PlanBounds) -> Option<(usize, usize)> {
    let mut best = None;
    let mut from = 0;
    while from < segments.len() {
        let Some(to) = best_end(segments, from, bounds) else {
            from += 1;
            continue;
        };
        let mut run = Run::default();
        segments[from..to].iter().for_each(|segment| run.add(segment));
        // What is left of the files, in parts of 1,024.
        let left = run.written_bytes(bounds) * 1024 / run.file_bytes;
        if best.is_none_or(|(least, _)| left < least) {
            best = Some((left, (from, to)));
        }
        from = to;
    }
    best.map(|(_, run)| run)
}

/// The longest run from `from` on that is worth its writing; one past its last.
fn best_end(segments: &[Candidate], from: usize, bounds: &PlanBounds) -> Option<usize> {
    let mut run = Run::default();
    let mut best = None;
    for (at, segment) in segments.iter().enumerate().skip(from).take(RUN_COUNT_MAX) {
        // The newest stays as it is: should its table rot, recovery rebuilds it from its frames,
        // which it can only where they are those of the chain.
        let may = segment.is_known && segment.may_rewrite && !segment.is_newest;
        if !may || !is_worth_a_look(segment, bounds) {
            break;
        }
        run.add(segment);
        let fits = (run.live_bytes <= bounds.live_bytes_max || run.count == 1)
            && run.written_bytes(bounds) <= bounds.segment_bytes.max(segment.file_bytes);
        if !fits {
            break;
        }
        if run.saves_a_third(bounds) || run.merges_small_ones() {
            best = Some(at + 1);
        }
    }
    best
}

/// It is small, or would become so.
fn is_worth_a_look(segment: &Candidate, bounds: &PlanBounds) -> bool {
    let mut alone = Run::default();
    alone.add(segment);
    segment.file_bytes <= bounds.segment_bytes / 4 || alone.saves_a_third(bounds)
}

#[derive(Default)]
struct Run {
    count: usize,
    file_bytes: u64,
    largest_bytes: u64,
    live_bytes: u64,
    live_shards: usize,
}

impl Run {
    fn add(&mut self, segment: &Candidate) {
        self.count += 1;
        self.file_bytes += segment.file_bytes;
        self.largest_bytes = self.largest_bytes.max(segment.file_bytes);
        self.live_bytes += segment.live_bytes;
        // The same shards, most likely; with few shards in each the sum is nearer.
        self.live_shards = self.live_shards.max(segment.live_shards);
    }

    /// About what the new file will have: records, a directory entry and a posting for each shard's
    /// pieces, and the table.
    fn written_bytes(&self, bounds: &PlanBounds) -> u64 {
        if self.live_bytes > bounds.live_bytes_max {
            let (rows, bytes_max) = (bounds.shard_count, bounds.live_bytes_max);
            return passes_file_bytes(self.live_bytes, self.live_shards, rows, bytes_max);
        }
        let pieces =
            self.live_shards as u64 + self.live_bytes / crate::cluster::PIECE_BYTES_MAX as u64 + 1;
        let pieces = usize::try_from(pieces).expect("a run fits the memory");
        let directory_bytes = (pieces * crate::frame::DIRECTORY_ENTRY_BYTES) as u64;
        self.live_bytes + directory_bytes + tail_bytes(bounds.shard_count, pieces)
    }

    fn saves_a_third(&self, bounds: &PlanBounds) -> bool {
        self.written_bytes(bounds) * 3 <= self.file_bytes * 2
    }

    fn merges_small_ones(&self) -> bool {
        self.count >= MERGE_COUNT_MIN && self.largest_bytes * 2 <= self.file_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const BOUNDS: PlanBounds =
        PlanBounds { live_bytes_max: 128 * MIB, segment_bytes: 64 * MIB, shard_count: 4096 };

    fn segment(file_mib: u64, live_kib: u64) -> Candidate {
        Candidate {
            file_bytes: file_mib * MIB,
            live_bytes: live_kib << 10,
            live_shards: if live_kib == 0 { 0 } else { 40 },
            is_known: true,
            is_newest: false,
            is_before_newest: false,
            gains_order: file_mib == 64,
            may_rewrite: true,
        }
    }

    fn check(segments: &[Candidate], expected: Option<(usize, usize)>) {
        assert_eq!(next_run(segments, &BOUNDS), expected);
    }

    #[test]
    fn what_is_dead_is_removed_but_for_the_newest_two() {
        let (live, gone) = (segment(64, 60 << 10), segment(64, 0));
        let damaged = Candidate { may_rewrite: false, ..gone };
        let unknown = Candidate { is_known: false, ..gone };
        let newest = Candidate { is_newest: true, ..gone };
        let before_newest = Candidate { is_before_newest: true, ..gone };
        assert_eq!(dead(&[live, gone, unknown, damaged, before_newest, newest]), [1, 3]);
        check(&[before_newest, newest], Some((0, 1)));
        check(&[live, newest], None);
        check(&[live, unknown, live], None);
        check(&[], None);
    }

    #[test]
    fn a_third_of_a_file_must_go() {
        check(&[segment(64, 60 << 10); 2], None);
        check(&[segment(64, 43 << 10)], None);
        check(&[segment(64, 41 << 10)], Some((0, 1)));
        check(&[Candidate { may_rewrite: false, ..segment(64, 41 << 10) }], None);
        // Two of them together would be longer than a segment.
        check(&[segment(64, 41 << 10); 2], Some((0, 1)));
        check(&[segment(64, 20 << 10); 4], Some((0, 3)));
        check(&[segment(64, 600); 100], Some((0, 100)));
        // The deadest goes first.
        let (half, tenth) = (segment(64, 32 << 10), segment(64, 6 << 10));
        check(&[half, segment(64, 60 << 10), tenth], Some((2, 3)));
        // What no memory takes at once is written for itself, in passes.
        let small = PlanBounds { live_bytes_max: MIB, ..BOUNDS };
        assert_eq!(next_run(&[half; 3], &small), Some((0, 1)));
        assert_eq!(next_run(&[segment(64, 60 << 10)], &small), None);
    }

    #[test]
    fn what_is_mostly_table_is_not_written_over_and_over() {
        // 4,096 rows take 270 KiB, whatever is kept.
        check(&[segment(1, 500)], None);
        check(&[segment(1, 500), segment(64, 60 << 10)], None);
        let tiny = Candidate { file_bytes: 300 << 10, is_newest: true, ..segment(1, 0) };
        check(&[tiny], None);
    }

    #[test]
    fn small_neighbours_are_merged_by_fours_and_only_when_they_double() {
        check(&[segment(4, 3600); 3], None);
        check(&[segment(4, 3600); 4], Some((0, 4)));
        let large = segment(16, 15 << 10);
        check(&[large, segment(2, 1600), segment(2, 1600), segment(2, 1600)], None);
        let four = [large, segment(8, 7900), segment(4, 3900), segment(4, 3900)];
        check(&four, Some((0, 4)));
        let (full, small) = (segment(64, 60 << 10), segment(4, 3600));
        check(&[small, small, full, small, small], None);
    }

    #[test]
    fn a_reader_gets_what_it_asks_for_and_what_it_will_want_next() {
        let check = |segments: &[Candidate], expected| {
            assert_eq!(requested_count(segments, &BOUNDS), expected);
        };
        let full = segment(64, 60 << 10);
        let ordered = Candidate { gains_order: false, ..full };
        check(&[full, full, full], 2);
        check(&[full, ordered], 1);
        check(&[ordered, full], 0);
        check(&[full, Candidate { may_rewrite: false, ..full }], 1);
        check(&[full, Candidate { is_newest: true, ..full }], 1);
        // What does not fit the memory stays as it is.
        check(&[Candidate { live_bytes: 200 * MIB, ..full }, full], 0);
    }
}
