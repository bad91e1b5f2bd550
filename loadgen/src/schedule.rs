//! When each record is meant to be sent: a pure function of its tick number.
//!
//! ```text
//!   tick i is meant at t0 + floor(i * 10^9 / rate) ns, in 128 bits: no rounded interval adds up
//!
//!   first tick          the batch is due at the earlier of: first + linger, the tick that fills it
//!      |  .  .  .  .  |due|
//! ```
//!
//! Several producers share one schedule: producer p of P takes the ticks p, p + P, p + 2P, ... as its
//! sequence 0, 1, 2, ... The cut into batches follows from the schedule alone, so a late generator
//! sends the same batches, later. Times are nanoseconds since t0; nothing here reads a clock.

use std::num::NonZeroU64;

const SECOND_NS: u64 = 1_000_000_000;

/// How ticks follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Ticks in equal distances.
    Fixed {
        /// Ticks in a second.
        per_second: NonZeroU64,
    },
}

/// The ticks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    arrival: Arrival,
}

/// One producer's share of the ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Which of the producers.
    pub producer: u32,
    /// How many there are.
    pub producers: u32,
}

/// What closes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRule {
    /// Records that fill a batch, at least 1.
    pub records_max: u32,
    /// How long after its first tick an unfilled batch is sent all the same.
    pub linger_ns: u64,
}

/// A batch as planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedBatch {
    /// The producer's sequence of the first record; the others follow without a gap.
    pub first_sequence: u64,
    /// Records, at least 1.
    pub count: u32,
    /// The first record's tick.
    pub first_ns: u64,
    /// Nothing of the batch is sent before this.
    pub due_ns: u64,
}

impl Schedule {
    /// Equal distances, `per_second` of them.
    #[must_use]
    pub const fn fixed(per_second: NonZeroU64) -> Self {
        Self { arrival: Arrival::Fixed { per_second } }
    }

    /// How ticks follow each other.
    #[must_use]
    pub const fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// When a tick is meant, in nanoseconds since t0.
    #[must_use]
    pub fn offset_ns(&self, tick: u64) -> u64 {
        let Arrival::Fixed { per_second } = self.arrival;
        // The product fits 64 bits for the first 18 billion ticks, where the division is cheap.
        if let Some(product) = tick.checked_mul(SECOND_NS) {
            return product / per_second;
        }
        let offset = u128::from(tick) * u128::from(SECOND_NS) / u128::from(per_second.get());
        u64::try_from(offset).expect("no plan lasts 584 years")
    }

    /// How many ticks are meant before a time.
    #[must_use]
    pub fn ticks_before(&self, offset_ns: u64) -> u64 {
        let Arrival::Fixed { per_second } = self.arrival;
        let product = u128::from(offset_ns) * u128::from(per_second.get());
        let ticks = product.div_ceil(u128::from(SECOND_NS));
        u64::try_from(ticks).expect("ticks are counted in 64 bits")
    }

    /// How many records of a lane are meant before a time.
    #[must_use]
    pub fn records_before(&self, lane: Lane, offset_ns: u64) -> u64 {
        let ticks = self.ticks_before(offset_ns);
        ticks.saturating_sub(u64::from(lane.producer)).div_ceil(u64::from(lane.producers))
    }

    /// The batch that starts with a lane's record `first_sequence`, out of the records below
    /// `sequence_end`; `None` when there is none left.
    #[must_use]
    pub fn batch(
        &self,
        lane: Lane,
        first_sequence: u64,
        sequence_end: u64,
        rule: BatchRule,
    ) -> Option<PlannedBatch> {
        assert!(rule.records_max > 0, "an empty batch says nothing");
        if first_sequence >= sequence_end {
            return None;
        }
        let first_ns = self.offset_ns(lane.tick(first_sequence));
        let lingers_until_ns = first_ns.saturating_add(rule.linger_ns);
        let left = sequence_end - first_sequence;
        let filling = first_sequence + u64::from(rule.records_max) - 1;
        let filled_ns = self.offset_ns(lane.tick(filling));
        if filled_ns <= lingers_until_ns {
            let count = left.min(u64::from(rule.records_max));
            // A batch that the end of the plan cuts short is known to be whole at its last tick.
            let due_ns = self.offset_ns(lane.tick(first_sequence + count - 1));
            return Some(planned(first_sequence, count, first_ns, due_ns));
        }
        let meant = self.records_before(lane, lingers_until_ns.saturating_add(1)) - first_sequence;
        assert!(meant >= 1, "the first record is meant before its linger ends");
        assert!(meant < u64::from(rule.records_max), "a filled batch does not linger");
        Some(planned(first_sequence, meant.min(left), first_ns, lingers_until_ns))
    }

    /// The times of a lane's records from `first_sequence` on: each equals
    /// `offset_ns(lane.tick(sequence))`, by one addition instead of a division.
    #[must_use]
    pub fn walk(&self, lane: Lane, first_sequence: u64) -> Walk {
        let Arrival::Fixed { per_second } = self.arrival;
        let per_second = per_second.get();
        let product = u128::from(lane.tick(first_sequence)) * u128::from(SECOND_NS);
        let remainder = product % u128::from(per_second);
        let step = u128::from(lane.producers) * u128::from(SECOND_NS);
        let low = |n: u128| u64::try_from(n).expect("below a 64-bit number of ticks a second");
        Walk {
            next_ns: self.offset_ns(lane.tick(first_sequence)),
            remainder: low(remainder),
            step_ns: low(step / u128::from(per_second)),
            step_remainder: low(step % u128::from(per_second)),
            per_second,
        }
    }
}

fn planned(first_sequence: u64, count: u64, first_ns: u64, due_ns: u64) -> PlannedBatch {
    let count = u32::try_from(count).expect("at most records_max, which has 32 bits");
    PlannedBatch { first_sequence, count, first_ns, due_ns }
}

impl Lane {
    /// The only producer.
    pub const ONLY: Self = Self { producer: 0, producers: 1 };

    /// The tick of this producer's record.
    #[must_use]
    pub fn tick(self, sequence: u64) -> u64 {
        assert!(self.producer < self.producers, "a lane is one of its lanes");
        sequence * u64::from(self.producers) + u64::from(self.producer)
    }
}

/// See [`Schedule::walk`]. Never ends.
#[derive(Clone, Debug)]
pub struct Walk {
    next_ns: u64,
    remainder: u64,
    step_ns: u64,
    step_remainder: u64,
    per_second: u64,
}

impl Iterator for Walk {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let now_ns = self.next_ns;
        self.next_ns += self.step_ns;
        self.remainder += self.step_remainder;
        if self.remainder >= self.per_second {
            self.remainder -= self.per_second;
            self.next_ns += 1;
        }
        Some(now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn fixed(per_second: u64) -> Schedule {
        Schedule::fixed(NonZeroU64::new(per_second).unwrap())
    }

    #[test]
    fn ticks_do_not_drift() {
        let check = |rate: u64, tick: u64, expected: u64| {
            assert_eq!(fixed(rate).offset_ns(tick), expected, "{tick} at {rate}/s");
        };
        check(1_000, 0, 0);
        check(1_000, 1, 1_000_000);
        check(3, 1, 333_333_333);
        check(3, 2, 666_666_666);
        check(3, 3, SECOND_NS);
        // Seven a second for a year: a rounded interval would be 31 ms off by now.
        check(7, 7 * 31_536_000, 31_536_000 * SECOND_NS);
        // Past 64 bits of i * 10^9.
        check(5_000_000, 5_000_000 * 86_400, 86_400 * SECOND_NS);
        check(u64::MAX, u64::MAX, SECOND_NS);
    }

    #[test]
    fn ticks_before_counts_exactly_those() {
        for rate in [1, 3, 7, 999, 1_000, 2_000_000, 3_000_000_000] {
            let schedule = fixed(rate);
            let mut random = Random::new(rate);
            for _ in 0..1_000 {
                let at = random.below(100 * SECOND_NS);
                let count = schedule.ticks_before(at);
                assert!(count == 0 || schedule.offset_ns(count - 1) < at);
                assert!(schedule.offset_ns(count) >= at);
            }
        }
        assert_eq!(fixed(1_000).ticks_before(10 * SECOND_NS), 10_000);
        assert_eq!(fixed(1_000).ticks_before(0), 0);
    }

    #[test]
    fn a_walk_gives_what_the_division_gives() {
        for (rate, producers) in [(1, 1), (3, 2), (7, 3), (1_999_993, 4), (5_000_000, 1)] {
            let schedule = fixed(rate);
            for producer in 0..producers {
                let lane = Lane { producer, producers };
                for first in [0, 1, 12_345, 9_000_000_000] {
                    let walked = schedule.walk(lane, first).take(1_000);
                    for (sequence, walked_ns) in (first..).zip(walked) {
                        assert_eq!(walked_ns, schedule.offset_ns(lane.tick(sequence)));
                    }
                }
            }
        }
    }

    #[test]
    fn a_batch_is_due_when_full_or_after_its_linger() {
        let rule = BatchRule { records_max: 5, linger_ns: 2_000_000 };
        let check = |rate: u64, first: u64, end: u64, expected: (u32, u64, u64)| {
            let batch = fixed(rate).batch(Lane::ONLY, first, end, rule).unwrap();
            assert_eq!((batch.count, batch.first_ns, batch.due_ns), expected);
        };
        // 10,000/s: five records take 0.4 ms.
        check(10_000, 0, 1_000, (5, 0, 400_000));
        check(10_000, 5, 1_000, (5, 500_000, 900_000));
        // 1,000/s: ticks 0, 1 and 2 ms, then the linger ends.
        check(1_000, 0, 1_000, (3, 0, 2_000_000));
        check(1_000, 3, 1_000, (3, 3_000_000, 5_000_000));
        // The end of the plan cuts short.
        check(10_000, 995, 997, (2, 99_500_000, 99_600_000));
        check(1_000, 999, 1_000, (1, 999_000_000, 1_001_000_000));
        assert_eq!(fixed(1_000).batch(Lane::ONLY, 1_000, 1_000, rule), None);
    }

    #[test]
    fn batches_of_all_lanes_carry_every_tick_once() {
        for (rate, records_max, linger_ns) in
            [(1_000, 5, 2_000_000), (2_000_000, 500, 1_000_000), (8_000, 500, 0), (3, 7, SECOND_NS)]
        {
            let schedule = fixed(rate);
            let rule = BatchRule { records_max, linger_ns };
            let mut ticks = 0;
            for producer in 0..3 {
                let lane = Lane { producer, producers: 3 };
                let end = schedule.records_before(lane, SECOND_NS);
                let (mut next, mut due_ns) = (0, 0);
                while let Some(batch) = schedule.batch(lane, next, end, rule) {
                    assert_eq!(batch.first_sequence, next);
                    assert!(batch.due_ns >= due_ns, "batches are due in order");
                    let last = schedule.offset_ns(lane.tick(next + u64::from(batch.count) - 1));
                    assert!(last <= batch.due_ns, "nothing is sent before it is due");
                    assert!(batch.due_ns <= batch.first_ns + linger_ns);
                    next += u64::from(batch.count);
                    due_ns = batch.due_ns;
                }
                assert_eq!(next, end);
                ticks += end;
            }
            assert_eq!(ticks, schedule.ticks_before(SECOND_NS));
        }
    }
}
