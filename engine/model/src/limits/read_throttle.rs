//! What may be read from one shard by `GetRecords`: calls and bytes.
//!
//! A call is admitted before it is known what it returns, so that bytes are charged afterwards.
//! AWS: "If a call to GetRecords returns 10 MB, subsequent calls made within the next 5 seconds
//! throw an exception" (quotas, read 2026-11-24), which is the answer's own time at 2 MiB/s. How
//! much may be read at once is not documented. Ours: a second's worth is free; an answer that goes
//! past what is left of it uses it up, and its whole size must pass in time before the next call.
//! Over any long span no more than the rate is read.

use super::token_bucket::{Rate, TokenBucket};
use super::{SHARD_READ_BYTES_PER_SECOND, SHARD_READ_CALLS_PER_SECOND};

/// The two rates of reading a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRates {
    /// `GetRecords` calls.
    pub calls: Rate,
    /// Bytes of data and keys in the answers.
    pub bytes: Rate,
}

impl ReadRates {
    /// AWS's limits, with a burst of one second.
    pub const AWS: Self = Self {
        calls: Rate { per_second: SHARD_READ_CALLS_PER_SECOND, burst: SHARD_READ_CALLS_PER_SECOND },
        bytes: Rate { per_second: SHARD_READ_BYTES_PER_SECOND, burst: SHARD_READ_BYTES_PER_SECOND },
    };
}

/// The read buckets of a shard, full at creation.
#[derive(Clone, Copy, Debug)]
pub struct ReadThrottle {
    calls: TokenBucket,
    bytes: TokenBucket,
    bytes_per_second: u32,
    /// No call passes before this time.
    blocked_until_ns: u64,
}

impl ReadThrottle {
    /// Full buckets. Times are nanoseconds of one clock that does not go backwards. Panics where no
    /// byte could ever be read.
    #[must_use]
    pub fn new(rates: ReadRates, now_ns: u64) -> Self {
        assert!(rates.bytes.per_second > 0, "a shard that nobody may read has no throttle");
        Self {
            calls: TokenBucket::new(rates.calls, now_ns),
            bytes: TokenBucket::new(rates.bytes, now_ns),
            bytes_per_second: rates.bytes.per_second,
            blocked_until_ns: now_ns,
        }
    }

    /// Whether a call may read now. A refused call takes nothing.
    #[must_use]
    pub fn admit(&mut self, now_ns: u64) -> bool {
        now_ns >= self.blocked_until_ns && self.calls.admit(now_ns, 1)
    }

    /// Charges what an admitted call returns, data and keys. Calls that were admitted together are
    /// charged one after the other.
    pub fn charge(&mut self, now_ns: u64, answer_bytes: u32) {
        if self.bytes.admit(now_ns, answer_bytes) {
            return;
        }
        let nanos = u64::from(answer_bytes) * 1_000_000_000;
        let takes_ns = nanos.div_ceil(u64::from(self.bytes_per_second));
        self.blocked_until_ns = self.blocked_until_ns.max(now_ns).saturating_add(takes_ns);
        self.bytes.drain_until(self.blocked_until_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn an_answer_of_10_mib_blocks_for_5_seconds() {
        let mut throttle = ReadThrottle::new(ReadRates::AWS, 0);
        assert!(throttle.admit(SECOND));
        throttle.charge(SECOND, 10 << 20);
        assert!(!throttle.admit(SECOND));
        assert!(!throttle.admit(6 * SECOND - 1));
        assert!(throttle.admit(6 * SECOND));
    }

    #[test]
    fn five_calls_a_second() {
        let mut throttle = ReadThrottle::new(ReadRates::AWS, 0);
        let mut admitted = |second: u64| {
            (0..100).filter(|n| throttle.admit(second * SECOND + n * SECOND / 100)).count()
        };
        assert_eq!([admitted(0), admitted(1), admitted(2)], [5 + 4, 5, 5]);
    }

    #[test]
    fn two_mib_a_second_in_any_portions() {
        let mut random = Random::new(1);
        for portion_max in [1 << 10, 400 << 10, 2 << 20, 10 << 20] {
            let mut throttle = ReadThrottle::new(ReadRates::AWS, 0);
            let (mut total, mut calls) = (0_u64, 0);
            for now_ns in (0..60 * SECOND).step_by(10_000_000) {
                if throttle.admit(now_ns) {
                    let answer = u32::try_from(random.below(portion_max) + 1).unwrap();
                    throttle.charge(now_ns, answer);
                    total += u64::from(answer);
                    calls += 1;
                }
            }
            // The last answer may be read at the end of the minute and paid for after it.
            assert!(total <= (2 << 20) * 61 + portion_max, "{portion_max}: {total}");
            assert!(calls <= 5 * 61);
            // The rate is also reached where the calls suffice for it.
            if portion_max >= 2 << 20 {
                assert!(total >= (2 << 20) * 55, "{portion_max}: {total}");
            }
        }
    }

    #[test]
    fn a_tail_reader_of_400_kib_five_times_a_second_is_never_refused() {
        let mut throttle = ReadThrottle::new(ReadRates::AWS, 0);
        for call in 0..100 {
            let now_ns = call * SECOND / 5;
            assert!(throttle.admit(now_ns), "{call}");
            throttle.charge(now_ns, 400 << 10);
        }
    }

    #[test]
    fn answers_to_calls_admitted_together_add_up() {
        let mut throttle = ReadThrottle::new(ReadRates::AWS, 0);
        assert!(throttle.admit(0));
        assert!(throttle.admit(0));
        throttle.charge(0, 10 << 20);
        throttle.charge(SECOND, 10 << 20);
        assert!(!throttle.admit(10 * SECOND - 1));
        assert!(throttle.admit(10 * SECOND));
    }
}
