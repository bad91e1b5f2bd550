//! A token bucket in whole numbers: what may pass in any span of t seconds is burst + rate * t.
//!
//! Tokens are counted in billionths. At `r` tokens a second exactly `r` billionths come in each
//! nanosecond, so that nothing is ever rounded and a bucket asked a million times a second refills
//! like one that is asked once. It never reads a clock: time is an argument.

/// Billionths of a token in a token, as nanoseconds in a second.
const BILLION: u64 = 1_000_000_000;

/// How a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come in each second.
    pub per_second: u32,
    /// Tokens that the bucket holds when it is full.
    pub burst: u32,
}

/// Tokens that come in steadily and go out as they are asked for. Full at creation.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    rate: Rate,
    /// Billionths of a token that are in the bucket, as of `refilled_ns`.
    level: u64,
    refilled_ns: u64,
}

impl TokenBucket {
    /// A full bucket. Times are nanoseconds of one clock that does not go backwards.
    #[must_use]
    pub fn new(rate: Rate, now_ns: u64) -> Self {
        Self { rate, level: u64::from(rate.burst) * BILLION, refilled_ns: now_ns }
    }

    /// Takes `cost` tokens if they are there, else nothing.
    #[must_use]
    pub fn admit(&mut self, now_ns: u64, cost: u32) -> bool {
        self.refill(now_ns);
        let admitted = self.holds(cost);
        if admitted {
            self.take(cost);
        }
        admitted
    }

    /// Lets in what has come since the last time. A time before that one adds nothing.
    pub(super) fn refill(&mut self, now_ns: u64) {
        let elapsed_ns = now_ns.saturating_sub(self.refilled_ns);
        let arrived = elapsed_ns.saturating_mul(u64::from(self.rate.per_second));
        let full = u64::from(self.rate.burst) * BILLION;
        self.level = self.level.saturating_add(arrived).min(full);
        self.refilled_ns = self.refilled_ns.max(now_ns);
    }

    /// Whether `cost` tokens are there, as of the last refill.
    pub(super) fn holds(&self, cost: u32) -> bool {
        u64::from(cost) * BILLION <= self.level
    }

    /// Takes what [`TokenBucket::holds`] has found to be there.
    pub(super) fn take(&mut self, cost: u32) {
        assert!(self.holds(cost));
        self.level -= u64::from(cost) * BILLION;
    }

    /// Empties the bucket; nothing comes in before `until_ns`.
    pub(super) fn drain_until(&mut self, until_ns: u64) {
        self.level = 0;
        self.refilled_ns = self.refilled_ns.max(until_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const SECOND: u64 = BILLION;

    #[test]
    fn full_at_creation_then_the_rate() {
        let rate = Rate { per_second: 1000, burst: 1000 };
        let mut bucket = TokenBucket::new(rate, 7 * SECOND);
        let mut admitted_by = |until_ns: u64| {
            let mut count = 0;
            for now_ns in (7 * SECOND..=until_ns).step_by(100_000) {
                count += u32::from(bucket.admit(now_ns, 1));
            }
            count
        };
        // 10,000 a second are asked for: burst + rate * t pass.
        assert_eq!(admitted_by(8 * SECOND), 2000);
    }

    #[test]
    fn a_refused_cost_takes_nothing() {
        let mut bucket = TokenBucket::new(Rate { per_second: 10, burst: 10 }, 0);
        assert!(!bucket.admit(0, 11));
        assert!(bucket.admit(0, 9));
        assert!(!bucket.admit(0, 2));
        assert!(bucket.admit(0, 1));
        assert!(!bucket.admit(0, 1));
    }

    #[test]
    fn a_token_is_there_at_its_nanosecond_and_not_before() {
        // A third of a token a second: the last billionth of one comes after 3 s, not after 2.99.
        let mut bucket = TokenBucket::new(Rate { per_second: 3, burst: 1 }, 0);
        assert!(bucket.admit(0, 1));
        assert!(!bucket.admit(333_333_333, 1));
        assert!(bucket.admit(333_333_334, 1));
    }

    #[test]
    fn time_that_goes_backwards_or_far_adds_nothing_false() {
        let mut bucket = TokenBucket::new(Rate { per_second: 1, burst: 1 }, 5 * SECOND);
        assert!(bucket.admit(5 * SECOND, 1));
        assert!(!bucket.admit(4 * SECOND, 1));
        assert!(!bucket.admit(5 * SECOND, 1));
        assert!(bucket.admit(6 * SECOND, 1));
        assert!(bucket.admit(u64::MAX, 1));
        assert!(!bucket.admit(u64::MAX, 1));
        let largest = Rate { per_second: u32::MAX, burst: u32::MAX };
        let mut bucket = TokenBucket::new(largest, 0);
        assert!(bucket.admit(0, u32::MAX));
        assert!(bucket.admit(u64::MAX, u32::MAX));
        assert!(bucket.admit(u64::MAX, 0));
    }

    /// The definition: a cost passes if and only if, for every earlier moment x, what has passed
    /// since x and the cost itself are within burst + rate * (now - x).
    #[test]
    fn agrees_with_the_definition_over_all_spans() {
        let mut random = Random::new(1);
        for _ in 0..200 {
            let per_second = 1 + u32::try_from(random.below(2000)).unwrap();
            let burst = 1 + u32::try_from(random.below(2000)).unwrap();
            let mut bucket = TokenBucket::new(Rate { per_second, burst }, 0);
            let mut passed: Vec<(u64, u32)> = Vec::new();
            let mut now_ns = 0;
            for _ in 0..200 {
                now_ns += random.below(SECOND / 10);
                let cost = u32::try_from(random.below(u64::from(burst) / 2 + 2)).unwrap();
                let mut since = 0_u128;
                let mut fits = cost <= burst;
                for (at_ns, earlier) in passed.iter().rev() {
                    since += u128::from(*earlier) * u128::from(BILLION);
                    let room = u128::from(burst) * u128::from(BILLION)
                        + u128::from(per_second) * u128::from(now_ns - at_ns);
                    fits &= since + u128::from(cost) * u128::from(BILLION) <= room;
                }
                assert_eq!(bucket.admit(now_ns, cost), fits);
                if fits {
                    passed.push((now_ns, cost));
                }
            }
        }
    }

    #[test]
    fn asking_often_does_not_change_the_rate() {
        let rate = Rate { per_second: 999_983, burst: 1 };
        let mut asked_often = TokenBucket::new(rate, 0);
        let mut count = 0_u64;
        for now_ns in (0..SECOND / 100).step_by(7) {
            count += u64::from(asked_often.admit(now_ns, 1));
        }
        // 0.01 s at 999,983/s and a burst of 1; each token waits up to 7 ns for the next question.
        assert!((9_930..=10_000).contains(&count), "{count}");
        let mut level = TokenBucket::new(rate, 0);
        level.drain_until(0);
        let mut once = level;
        for now_ns in 0..1000 {
            level.refill(now_ns);
        }
        once.refill(999);
        assert_eq!(level.level, once.level);
    }
}
