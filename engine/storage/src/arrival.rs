//! How far arrival times follow the wall clock.
//!
//! A record's arrival time is durable, and a shard's never fall: one moment of a wall clock that is
//! years ahead would keep all that comes after from expiring for as long. So within a life
//!
//! | the wall clock                                | arrival times follow                         |
//! | --------------------------------------------- | -------------------------------------------- |
//! | goes with the monotonic clock, or falls back  | it                                           |
//! | jumps ahead by more than an hour              | the monotonic clock, from where it was before |
//! | has gone steadily for a minute after a jump   | it: the machine slept, or was set right      |
//!
//! At an opening it is believed. Pure: it is told what the clocks show.

use std::time::Duration;

use runtime::clock::Instant;

/// A jump of no more than this is followed at once, ms.
const NEAR_MS: u64 = 3_600_000;
/// A jump that is longer is followed when the clock has gone steadily for so long.
const STEADY_FOR: Duration = Duration::from_secs(60);

/// What is believed of the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArrivalClock {
    /// What was believed last, and when.
    believed_ms: u64,
    at: Instant,
    /// A jump that is not believed yet: what the clock showed behind it, and when.
    jump: Option<(u64, Instant)>,
}

impl ArrivalClock {
    /// Believes `wall_ms`.
    pub(crate) fn new(wall_ms: u64, now: Instant) -> ArrivalClock {
        ArrivalClock { believed_ms: wall_ms, at: now, jump: None }
    }

    /// The time to be taken, Unix ms, when the wall clock shows `wall_ms`.
    pub(crate) fn tick(&mut self, wall_ms: u64, now: Instant) -> u64 {
        let own_ms = self.believed_ms.saturating_add(millis(now - self.at));
        if wall_ms <= own_ms.saturating_add(NEAR_MS) {
            *self = ArrivalClock::new(wall_ms, now);
            return wall_ms;
        }
        let (jumped_ms, jumped_at) = *self.jump.get_or_insert((wall_ms, now));
        let steady_ms = jumped_ms.saturating_add(millis(now - jumped_at));
        if wall_ms.abs_diff(steady_ms) > NEAR_MS {
            self.jump = Some((wall_ms, now));
        } else if now - jumped_at >= STEADY_FOR {
            *self = ArrivalClock::new(wall_ms, now);
            return wall_ms;
        }
        own_ms
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * NEAR_MS;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn small_jumps_and_falls_are_followed_at_once() {
        let mut clock = ArrivalClock::new(DAY_MS, at(0));
        assert_eq!(clock.tick(DAY_MS + 5_000, at(5)), DAY_MS + 5_000);
        assert_eq!(clock.tick(DAY_MS + NEAR_MS, at(6)), DAY_MS + NEAR_MS);
        assert_eq!(clock.tick(1_000, at(7)), 1_000);
    }

    #[test]
    fn a_moment_of_nonsense_is_not_followed() {
        let mut clock = ArrivalClock::new(DAY_MS, at(0));
        assert_eq!(clock.tick(30_000 * DAY_MS, at(1)), DAY_MS + 1_000);
        assert_eq!(clock.tick(DAY_MS + 2_000, at(2)), DAY_MS + 2_000);
        // Another jump counts from its own beginning.
        assert_eq!(clock.tick(30_000 * DAY_MS, at(61)), DAY_MS + 61_000);
        assert_eq!(clock.tick(30_000 * DAY_MS, at(62)), DAY_MS + 62_000);
    }

    #[test]
    fn a_clock_that_stays_where_it_jumped_is_followed_after_a_minute() {
        let mut clock = ArrivalClock::new(DAY_MS, at(0));
        let jumped = 9 * DAY_MS;
        assert_eq!(clock.tick(jumped, at(10)), DAY_MS + 10_000);
        assert_eq!(clock.tick(jumped + 59_000, at(69)), DAY_MS + 69_000);
        assert_eq!(clock.tick(jumped + 60_000, at(70)), jumped + 60_000);
        assert_eq!(clock.tick(jumped + 61_000, at(71)), jumped + 61_000);
    }

    #[test]
    fn a_clock_that_keeps_jumping_is_not_followed() {
        let mut clock = ArrivalClock::new(DAY_MS, at(0));
        for second in 1..300 {
            assert_eq!(clock.tick(second * 9 * DAY_MS, at(second)), DAY_MS + second * 1_000);
        }
    }
}
