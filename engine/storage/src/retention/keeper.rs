//! The steps of the background, one after the other: see `retention`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use runtime::clock::{self as time, Instant};
use runtime::file::IoError;
use runtime::task;

use super::count::{Count, Fate};
use super::plan::{self, Candidate, PlanBounds};
use super::{Request, rows};
use crate::catalog::{CatalogError, Mutation};
use crate::planted::{Bug, planted};
use crate::pool::Trimmed;
use crate::rebuild;
use crate::rewrite::{self, Rewritten};
use crate::segment_set::{Census, Segment, Shape};
use crate::state::LogInner;

/// After opening, owners get so long to say what they keep before all tables are looked at.
const FIRST_LOOK_AFTER: Duration = Duration::from_secs(1);
/// The time between two looks at what expires; shards of a segment expire one after the other.
const EXPIRY_STEP_MIN: Duration = Duration::from_secs(5);
/// The time between two looks at the clocks.
const EXPIRY_STEP_MAX: Duration = Duration::from_secs(60);
/// A segment whose rewriting failed is left alone for so long.
pub(super) const REST: Duration = Duration::from_secs(10);
/// Segments that are removed with one commit.
const REMOVED_TOGETHER_MAX: usize = 64;
/// Segments behind a requested one that are looked at for being written together with it.
const REQUESTED_TOGETHER_MAX: usize = 8;

/// What the background remembers between its steps.
pub(super) struct Keeper {
    log: Rc<LogInner>,
    /// The arena of the last rewriting: fresh memory is slow to touch.
    arena: Vec<u8>,
    /// Segments that are left alone until then.
    resting: BTreeMap<u64, Instant>,
    /// The next segment of the pass over all tables; `None` between two passes.
    pass_at: Option<u64>,
    first_look_at: Instant,
    /// When a pass for what expires is due.
    expiry_at: Instant,
    /// When a free file that nobody needs may be removed.
    trim_at: Option<Instant>,
    /// Removals that a planted bug holds back until then.
    late: Option<(Instant, Vec<Mutation>)>,
}

impl Keeper {
    pub(super) fn new(log: Rc<LogInner>) -> Keeper {
        let first_look_at = time::now() + FIRST_LOOK_AFTER;
        Keeper {
            log,
            arena: Vec::new(),
            resting: BTreeMap::new(),
            pass_at: None,
            first_look_at,
            expiry_at: first_look_at,
            trim_at: None,
            late: None,
        }
    }

    /// Does all there is to do. Returns when to look again at the latest.
    pub(super) async fn work(&mut self) -> Result<Instant, CatalogError> {
        let log = self.log.clone();
        if let Some((_, late)) = self.late.take_if(|(until, _)| time::now() >= *until) {
            log.pool.commit(late).await?;
        }
        self.pass_at = Some(0);
        loop {
            if log.is_finished() {
                return Ok(time::now());
            }
            let goes_on = self.take_back().await?
                || self.serve_request().await?
                || self.look_at_next().await
                || self.keep_to_cap().await?
                || self.remove_dead().await?
                || self.rewrite_next().await?;
            if !goes_on {
                break;
            }
            if task::should_yield() {
                task::yield_now().await;
            }
        }
        let now = time::now();
        self.resting.retain(|_, until| *until > now);
        if now < self.first_look_at {
            return Ok(self.first_look_at);
        }
        let next = self.resting.values().copied().chain(self.trim_at);
        Ok(next.fold(self.expiry_at, Instant::min))
    }

    /// Takes back one file that nobody reads any more.
    async fn take_back(&mut self) -> Result<bool, CatalogError> {
        let log = &self.log;
        if let Some(entry) = log.segments.freed().try_next() {
            log.pool.give_back(rewrite::free_file(&entry));
            return Ok(true);
        }
        // Of small logs nothing is kept for recycling beyond what is ready.
        let trimmed = log.pool.trim(log.segments.bytes()).await?;
        self.trim_at = match trimmed {
            Trimmed::NotBefore(at) => Some(at),
            Trimmed::Nothing | Trimmed::One => None,
        };
        Ok(matches!(trimmed, Trimmed::One))
    }

    /// The next segment of the pass whose table must be looked at.
    async fn look_at_next(&mut self) -> bool {
        let now = time::now();
        if now < self.first_look_at {
            return false;
        }
        let round = self.log.retention.round.get();
        let now_ms = self.log.retention.tick();
        let is_due = now >= self.expiry_at;
        while let Some(number) = self.pass_at {
            let Some(segment) = self.log.segments.from(number) else { break };
            self.pass_at = Some(segment.entry().last + 1);
            let census = segment.census();
            let expires = is_due && now_ms.is_some_and(|now| census.earliest_expiry_ms <= now);
            if (census.round != round || expires) && !self.rests(&segment) {
                self.look(&segment, now_ms).await;
                return true;
            }
        }
        if self.pass_at.take().is_some() {
            self.end_pass(now, now_ms, is_due);
        }
        false
    }

    /// Says when the next pass for what expires is due.
    fn end_pass(&mut self, now: Instant, now_ms: Option<u64>, was_due: bool) {
        let segments = self.log.segments.all();
        let earliest_ms = segments.iter().map(|segment| segment.census().earliest_expiry_ms).min();
        let left = match (now_ms, earliest_ms) {
            (Some(now_ms), Some(earliest_ms)) => {
                Duration::from_millis(earliest_ms.saturating_sub(now_ms))
            }
            _ => EXPIRY_STEP_MAX,
        };
        let next = now + left.clamp(EXPIRY_STEP_MIN, EXPIRY_STEP_MAX);
        // A pass for another reason does not put off what is due.
        self.expiry_at = if was_due { next } else { self.expiry_at.min(next) };
    }

    fn rests(&self, segment: &Rc<Segment>) -> bool {
        let until = self.resting.get(&segment.entry().first);
        until.is_some_and(|until| time::now() < *until)
    }

    fn rest(&mut self, segment: &Rc<Segment>) {
        self.resting.insert(segment.entry().first, time::now() + REST);
    }

    /// Looks at a table: who is kept, and whose horizon moves.
    async fn look(&mut self, segment: &Rc<Segment>, now_ms: Option<u64>) {
        let round = self.log.retention.round.get();
        let mut count = Count::new(round);
        let behind = segment.entry().last + 1;
        let log = self.log.clone();
        let looked = each_row(&log, segment, |row| {
            let shards = &mut log.state.borrow_mut().shards;
            if count.add(row, shards.life(row.key), now_ms) == Fate::Expires {
                let slot = shards.find(row.key).expect("a shard that expires is known");
                shards.get_mut(slot).expire(row.next_index, behind);
            }
        })
        .await;
        match looked {
            Ok(true) => segment.set_census(count.census()),
            Ok(false) => self.mend(segment).await,
            Err(error) => {
                // The device may be better later; whoever needs the bytes meets the error itself.
                self.note(&error);
                self.rest(segment);
            }
        }
    }

    /// Builds a damaged table anew; the next pass looks at it. Of what cannot be mended nothing is
    /// known, so nothing is done about it.
    async fn mend(&mut self, segment: &Rc<Segment>) {
        segment.note_damaged_table();
        match rebuild::mend(&self.log, segment).await {
            Ok(true) => {}
            Ok(false) => {
                segment.set_damaged();
                self.rest(segment);
            }
            Err(error) => {
                self.note(&error);
                self.rest(segment);
            }
        }
    }

    /// Lets the oldest segment go if the sealed files are above the cap.
    async fn keep_to_cap(&mut self) -> Result<bool, CatalogError> {
        let log = self.log.clone();
        let Some(bytes_max) = log.options.log_bytes_max else { return Ok(false) };
        // The newest two stay: see `plan::dead`.
        if log.segments.bytes() <= bytes_max || log.segments.count() < 3 {
            return Ok(false);
        }
        let oldest = log.segments.from(0).expect("there are three");
        if self.rests(&oldest) {
            return Ok(false);
        }
        if !self.release(&oldest) {
            self.rest(&oldest);
            return Ok(false);
        }
        let mut count = Count::new(0);
        let behind = oldest.entry().last + 1;
        let expire = |row: &crate::table::Row| {
            let shards = &mut log.state.borrow_mut().shards;
            count.add(row, shards.life(row.key), None);
            if let Some(slot) = shards.find(row.key).filter(|_| row.count > 0) {
                shards.get_mut(slot).expire(row.next_index, behind);
            }
        };
        match each_row(&log, &oldest, expire).await {
            Ok(true) => {}
            // Damaged or not, it is the oldest, and its records are above the cap. Whose they are
            // nobody knows, so no horizon says that they are gone.
            Ok(false) => oldest.set_follows_trim(),
            Err(error) => {
                self.note(&error);
                self.rest(&oldest);
                return Ok(true);
            }
        }
        log.state.borrow_mut().stats.expired_early += count.records();
        self.remove(&[oldest]).await?;
        Ok(true)
    }

    /// Removes segments of which nothing is wanted.
    async fn remove_dead(&mut self) -> Result<bool, CatalogError> {
        let segments = self.log.segments.all();
        let candidates = self.candidates(&segments);
        let dead = plan::dead(&candidates).into_iter().map(|at| &segments[at]);
        let dead: Vec<_> = dead.filter(|dead| !self.rests(dead)).cloned().collect();
        drop(segments);
        let (mut dead, read): (Vec<_>, Vec<_>) =
            dead.into_iter().partition(|segment| self.release(segment));
        read.iter().for_each(|segment| self.rest(segment));
        dead.truncate(REMOVED_TOGETHER_MAX);
        if dead.is_empty() {
            return Ok(false);
        }
        self.remove(&dead).await?;
        Ok(true)
    }

    async fn remove(&mut self, segments: &[Rc<Segment>]) -> Result<(), CatalogError> {
        let log = &self.log;
        let mutations = segments.iter().flat_map(|segment| {
            let entry = segment.entry();
            let free = rewrite::free_file(entry);
            [
                Mutation::RemoveSegment { log: entry.log, first: entry.first },
                Mutation::PutFile(free),
            ]
        });
        if planted(Bug::ReuseFileBeforeManifest) {
            let mut late = self.late.take().map_or(Vec::new(), |(_, late)| late);
            late.extend(mutations);
            self.late = Some((time::now() + REST, late));
        } else {
            log.pool.commit(mutations.collect()).await?;
        }
        log.state.borrow_mut().stats.removed_segments += segments.len() as u64;
        segments.iter().for_each(|segment| log.segments.remove(segment));
        Ok(())
    }

    /// Answers one reader that wants a segment in the order of its shards.
    async fn serve_request(&mut self) -> Result<bool, CatalogError> {
        let log = self.log.clone();
        let waiting =
            |(number, request): (&u64, &Request)| (*request == Request::Waits).then_some(*number);
        let number = log.retention.requested.borrow().iter().find_map(waiting);
        let Some(number) = number else { return Ok(false) };
        let mut segments = Vec::new();
        let mut next = log.segments.at(number);
        // What is still in memory is not cold.
        let oldest_cached = log.oldest_cached();
        while let Some(segment) = next.filter(|_| segments.len() < REQUESTED_TOGETHER_MAX) {
            if segment.entry().last >= oldest_cached {
                break;
            }
            if segment.census().round == 0 && !self.rests(&segment) {
                // Before the first look at all tables, owners may not have said what they keep:
                // then all of it is kept.
                self.look(&segment, None).await;
            }
            next = log.segments.from(segment.entry().last + 1);
            segments.push(segment);
        }
        let candidates = self.candidates(&segments);
        let count = plan::requested_count(&candidates, &self.bounds());
        segments.truncate(count);
        let was_ordered = !segments.is_empty() && self.rewrite(segments).await?;
        let mut requested = log.retention.requested.borrow_mut();
        match was_ordered {
            true => requested.remove(&number),
            false => requested.insert(number, Request::Refused(time::now() + REST)),
        };
        drop(requested);
        log.retention.answered.notify_all();
        Ok(true)
    }

    /// Writes the first run anew that is worth it.
    async fn rewrite_next(&mut self) -> Result<bool, CatalogError> {
        let mut segments = self.log.segments.all();
        let candidates = self.candidates(&segments);
        let Some((from, to)) = plan::next_run(&candidates, &self.bounds()) else {
            return Ok(false);
        };
        segments.truncate(to);
        segments.drain(..from);
        self.rewrite(segments).await?;
        Ok(true)
    }

    /// Writes a run anew. False if it stays as it is; then it is left alone for a while.
    async fn rewrite(&mut self, run: Vec<Rc<Segment>>) -> Result<bool, CatalogError> {
        let log = self.log.clone();
        let last = run.last().expect("a run has segments").clone();
        if !self.release(&last) {
            run.iter().for_each(|segment| self.rest(segment));
            return Ok(false);
        }
        let rewritten = rewrite::rewrite(&log, &run, &mut self.arena).await?;
        let (segment, rows) = match rewritten {
            Rewritten::Done(segment, rows) => (segment, rows),
            Rewritten::Damaged | Rewritten::TooLarge => return Ok(false),
            Rewritten::Refused(error) => {
                self.note(&error);
                run.iter().for_each(|segment| self.rest(segment));
                return Ok(false);
            }
        };
        // Its table may be older than what was deleted meanwhile: the round says so.
        let mut count = Count::new(log.retention.round.get());
        {
            let state = log.state.borrow();
            for row in &rows {
                count.add(row, state.shards.life(row.key), None);
            }
        }
        segment.set_census(count.census());
        Ok(true)
    }

    /// Counts and keeps an error, for those who look after the log.
    pub(super) fn note(&self, error: &impl ToString) {
        self.log.state.borrow_mut().stats.background_errors += 1;
        *self.log.retention.trouble.borrow_mut() = Some(error.to_string());
    }

    fn bounds(&self) -> PlanBounds {
        let options = &self.log.options;
        let shard_count = self.log.state.borrow().shards.count();
        PlanBounds {
            live_bytes_max: rewrite::live_bytes_max(options.rewriting_bytes_max, shard_count),
            segment_bytes: options.segment_bytes,
            shard_count,
        }
    }

    fn candidates(&self, segments: &[Rc<Segment>]) -> Vec<Candidate> {
        let newest = self.log.segments.newest().map(|newest| newest.entry().first);
        let before = newest.and_then(|newest| self.log.segments.before(newest));
        let before_newest = before.map(|before| before.entry().first);
        let oldest_cached = self.log.oldest_cached();
        let candidate = |segment: &Rc<Segment>| {
            let census = segment.census();
            let entry = segment.entry();
            let has_postings = |shape: Shape| shape.has_postings;
            Candidate {
                file_bytes: entry.bytes,
                live_bytes: u64::from(census.live_bytes),
                live_shards: census.live_shards as usize,
                is_known: census.round > 0,
                is_newest: newest == Some(entry.first),
                is_before_newest: before_newest == Some(entry.first),
                gains_order: !entry.clustered && !segment.shape().is_some_and(has_postings),
                may_rewrite: !segment.is_damaged()
                    && !segment.is_too_large()
                    && !self.rests(segment)
                    && (entry.last < oldest_cached || is_third_dead(&census)),
            }
        };
        segments.iter().map(candidate).collect()
    }

    /// Makes the index and the cached frames of the segment leave the memory, and those of the
    /// segments before it. False where somebody reads there.
    fn release(&self, segment: &Rc<Segment>) -> bool {
        self.log.state.borrow_mut().release(segment.entry().last)
    }
}

/// Whether enough of the records is gone to drop what is left from the cache. Padding is no reason:
/// what a slow log has written is made dense when it has left the cache.
fn is_third_dead(census: &Census) -> bool {
    u64::from(census.live_bytes) * 3 <= u64::from(census.record_bytes) * 2
}

/// Calls `each` with every row of a segment. False if its table is damaged.
async fn each_row(
    log: &LogInner,
    segment: &Rc<Segment>,
    each: impl FnMut(&crate::table::Row),
) -> Result<bool, IoError> {
    let file = log.segments.file(segment).await?;
    let Some(footer) = rows::read_footer(&file, segment.entry()).await? else { return Ok(false) };
    segment.set_shape(Some(Shape::of(&footer)));
    log.state.borrow_mut().stats.read_bytes +=
        segment.entry().bytes - u64::from(footer.rows_position);
    rows::each_row(&file, &footer, each).await
}
