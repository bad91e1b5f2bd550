//! What time it is for retention: a clock that a wall clock set wrongly cannot hurry.
//!
//! ```text
//!   opened            highest arrival time of the log, or the wall clock where they agree
//!   from then on      advanced by the monotonic clock, led by the wall clock while that is near
//!   wall clock far    deletion pauses, with a warning: nothing expires for a mistake
//!   far for an hour   and steady all the while: somebody meant it, and it is taken
//! ```
//! A stop of more than an hour looks like a clock that was set forward: what expired meanwhile is
//! kept an hour longer. Pure: it is told what the clocks show.

use std::fmt;
use std::time::Duration;

use runtime::clock::Instant;

/// A wall clock is near if it differs by no more than this, ms.
const NEAR_MS: u64 = 3_600_000;
/// A wall clock that is far is taken when it has gone steadily for so long.
const STEADY_FOR: Duration = Duration::from_secs(3600);
/// What a steady clock may drift in that time, ms: ten times what a bad crystal does.
const DRIFT_MS: u64 = 10_000;

/// Deletion pauses, for the wall clock is far from retention's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPause {
    /// Retention's time, Unix ms.
    pub retention_ms: u64,
    /// What the wall clock showed instead, Unix ms.
    pub wall_ms: u64,
}

impl fmt::Display for ClockPause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClockPause { retention_ms, wall_ms } = *self;
        let minutes = wall_ms.abs_diff(retention_ms) / 60_000;
        let direction = if wall_ms > retention_ms { "ahead of" } else { "behind" };
        write!(
            formatter,
            "nothing expires for now: the wall clock ({wall_ms} ms) is {minutes} minutes \
             {direction} the log's ({retention_ms} ms); it is believed when it has gone steadily \
             for an hour"
        )
    }
}

/// See the file's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetentionClock {
    /// Retention's time at `at`, Unix ms.
    time_ms: u64,
    at: Instant,
    far: Option<Far>,
}

/// A wall clock that is far.
#[derive(Clone, Copy, Debug)]
struct Far {
    /// How far, when it was first seen there: wall clock less retention's, ms.
    offset_ms: i128,
    since: Instant,
    wall_ms: u64,
}

impl RetentionClock {
    /// A clock for a log whose highest arrival time is `arrival_ms`; 0 for a log without records.
    pub(crate) fn new(arrival_ms: u64, now: Instant, wall_ms: u64) -> RetentionClock {
        let time_ms = if arrival_ms == 0 { wall_ms } else { arrival_ms };
        let mut clock = RetentionClock { time_ms, at: now, far: None };
        clock.tick(now, wall_ms);
        clock
    }

    /// Takes note of both clocks. Gives retention's time, or `None` while deletion pauses.
    pub(crate) fn tick(&mut self, now: Instant, wall_ms: u64) -> Option<u64> {
        let own_ms = self.time_ms.saturating_add(millis(now - self.at));
        (self.time_ms, self.at) = (own_ms, now);
        if wall_ms.abs_diff(own_ms) <= NEAR_MS {
            self.far = None;
            // It never falls while the clocks agree, as arrival times do not.
            self.time_ms = own_ms.max(wall_ms);
            return Some(self.time_ms);
        }
        let offset_ms = i128::from(wall_ms) - i128::from(own_ms);
        let is_steady = |far: &Far| offset_ms.abs_diff(far.offset_ms) <= u128::from(DRIFT_MS);
        let far = match self.far.filter(is_steady) {
            Some(far) => Far { wall_ms, ..far },
            None => Far { offset_ms, since: now, wall_ms },
        };
        if now - far.since < STEADY_FOR {
            self.far = Some(far);
            return None;
        }
        self.far = None;
        self.time_ms = wall_ms;
        Some(wall_ms)
    }

    /// Why deletion pauses, if it did at the last tick.
    pub(crate) fn pause(&self) -> Option<ClockPause> {
        let retention_ms = self.time_ms;
        self.far.map(|far| ClockPause { retention_ms, wall_ms: far.wall_ms })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const START_MS: u64 = 1_700_000_000_000;

    fn at(minutes: u64) -> Instant {
        Instant::from_nanos(minutes * 60_000_000_000)
    }

    /// Ticks of (minutes of the monotonic clock, what the wall clock shows in minutes from the
    /// start), and the time given in minutes from the start.
    fn check(arrival_minutes: i64, ticks: &[(u64, i64, Option<i64>)]) {
        let ms = |minutes: i64| START_MS.saturating_add_signed(minutes * 60_000);
        let mut clock = RetentionClock::new(ms(arrival_minutes), at(0), ms(ticks[0].1));
        for &(now, wall, expected) in ticks {
            let found = clock.tick(at(now), ms(wall));
            assert_eq!(found, expected.map(ms), "at {now}, wall {wall}");
            assert_eq!(clock.pause().is_some(), found.is_none());
        }
    }

    #[test]
    fn a_near_wall_clock_leads_and_never_drags() {
        check(0, &[(0, 0, Some(0)), (10, 15, Some(15)), (20, 5, Some(25)), (30, 40, Some(40))]);
    }

    #[test]
    fn a_far_wall_clock_pauses_deletion_until_it_comes_back() {
        check(0, &[(0, 0, Some(0)), (1, 200, None), (30, 229, None), (40, 40, Some(40))]);
        check(0, &[(0, 0, Some(0)), (5, -300, None), (6, 6, Some(6))]);
    }

    #[test]
    fn a_far_wall_clock_that_is_steady_for_an_hour_is_taken() {
        check(0, &[(0, 500, None), (59, 559, None), (60, 560, Some(560)), (61, 561, Some(561))]);
        check(0, &[(0, -500, None), (60, -440, Some(-440)), (70, -430, Some(-430))]);
    }

    #[test]
    fn a_wall_clock_that_jumps_about_is_never_taken() {
        check(
            0,
            &[
                (0, 500, None),
                (59, 700, None),
                (61, 561, None),
                (119, 619, None),
                (121, 621, Some(621)),
            ],
        );
    }

    #[test]
    fn a_log_without_records_believes_the_wall_clock() {
        let mut clock = RetentionClock::new(0, at(7), START_MS);
        assert_eq!(clock.tick(at(8), START_MS + 60_000), Some(START_MS + 60_000));
        assert_eq!(clock.pause(), None);
    }

    #[test]
    fn the_pause_says_what_both_clocks_show() {
        let mut clock = RetentionClock::new(START_MS, at(0), START_MS);
        assert_eq!(clock.tick(at(1), START_MS + 9 * HOUR_MS), None);
        let expected =
            ClockPause { retention_ms: START_MS + 60_000, wall_ms: START_MS + 9 * HOUR_MS };
        assert_eq!(clock.pause(), Some(expected));
    }
}
