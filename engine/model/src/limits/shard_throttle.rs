//! What may be written to one shard: records and bytes, both or nothing.
//!
//! Lives with the shard on its core and is asked once for every record, in the order of arrival. It
//! never answers for another shard and never reads a clock.

use super::token_bucket::{Rate, TokenBucket};
use super::{
    RECORD_BYTES_MAX_LARGEST, SHARD_WRITE_BYTES_PER_SECOND, SHARD_WRITE_RECORDS_PER_SECOND,
};

/// The two rates of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRates {
    /// Records.
    pub records: Rate,
    /// Bytes of data and keys.
    pub bytes: Rate,
}

impl ShardRates {
    /// AWS's limits. The size of the bucket is not documented; about one second was seen in 2019.
    pub const AWS: Self = Self {
        records: Rate {
            per_second: SHARD_WRITE_RECORDS_PER_SECOND,
            burst: SHARD_WRITE_RECORDS_PER_SECOND,
        },
        bytes: Rate {
            per_second: SHARD_WRITE_BYTES_PER_SECOND,
            burst: SHARD_WRITE_BYTES_PER_SECOND,
        },
    };

    /// AWS's limits where a stream takes large records: the rate is the same, the bucket holds the
    /// largest record. Source: AWS guide, "Handle large records", read 2026-11-24.
    pub const AWS_LARGE_RECORDS: Self =
        Self { bytes: Rate { burst: RECORD_BYTES_MAX_LARGEST, ..Self::AWS.bytes }, ..Self::AWS };
}

/// The two buckets of a shard, full at creation.
#[derive(Clone, Copy, Debug)]
pub struct ShardThrottle {
    records: TokenBucket,
    bytes: TokenBucket,
}

impl ShardThrottle {
    /// Full buckets. Times are nanoseconds of one clock that does not go backwards.
    #[must_use]
    pub fn new(rates: ShardRates, now_ns: u64) -> Self {
        Self {
            records: TokenBucket::new(rates.records, now_ns),
            bytes: TokenBucket::new(rates.bytes, now_ns),
        }
    }

    /// Whether one record of `record_bytes` (data and key) may be written now. It may if and only
    /// if both buckets hold its cost; a refused record takes from neither.
    #[must_use]
    pub fn admit(&mut self, now_ns: u64, record_bytes: u32) -> bool {
        self.records.refill(now_ns);
        self.bytes.refill(now_ns);
        let admitted = self.records.holds(1) && self.bytes.holds(record_bytes);
        if admitted {
            self.records.take(1);
            self.bytes.take(record_bytes);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const SECOND: u64 = 1_000_000_000;

    /// Offers `count` records of one size evenly over a second and returns how many pass.
    fn offer(throttle: &mut ShardThrottle, second: u64, count: u64, record_bytes: u32) -> u64 {
        (0..count)
            .map(|n| u64::from(throttle.admit(second * SECOND + n * SECOND / count, record_bytes)))
            .sum()
    }

    #[test]
    fn records_bind_where_they_are_small() {
        let mut throttle = ShardThrottle::new(ShardRates::AWS, 0);
        // Twice the rate for 10 s: burst + 10 s of the rate.
        let passed: u64 = (0..10).map(|second| offer(&mut throttle, second, 2000, 1024)).sum();
        assert_eq!(passed, 1000 + 10_000 - 1);
    }

    #[test]
    fn bytes_bind_where_they_are_large() {
        let mut throttle = ShardThrottle::new(ShardRates::AWS, 0);
        let passed: u64 = (0..10).map(|second| offer(&mut throttle, second, 500, 16 << 10)).sum();
        assert_eq!(passed, 64 + 640 - 1);
    }

    #[test]
    fn a_refused_record_takes_from_neither_bucket() {
        let mut throttle = ShardThrottle::new(ShardRates::AWS, 0);
        assert!(throttle.admit(0, (1 << 20) - 999));
        // No bytes left for these: the records' bucket must stay as it is.
        for _ in 0..5000 {
            assert!(!throttle.admit(0, 1000));
        }
        for _ in 0..999 {
            assert!(throttle.admit(0, 1));
        }
        assert!(!throttle.admit(0, 0), "the thousand records of the burst are used up");
    }

    #[test]
    fn the_largest_records_pass_where_they_are_allowed() {
        let mut throttle = ShardThrottle::new(ShardRates::AWS, 0);
        assert!(!throttle.admit(0, (1 << 20) + 1));
        assert!(throttle.admit(0, 1 << 20));
        assert!(!throttle.admit(SECOND - 1, 1 << 20));
        assert!(throttle.admit(SECOND, 1 << 20));
        let mut large = ShardThrottle::new(ShardRates::AWS_LARGE_RECORDS, 0);
        assert!(large.admit(0, 10 << 20));
        assert!(!large.admit(0, 1));
        assert!(large.admit(SECOND, 1 << 20));
        assert!(!large.admit(11 * SECOND - 1, 10 << 20));
        assert!(large.admit(11 * SECOND, 10 << 20));
    }

    #[test]
    fn passes_if_and_only_if_both_buckets_alone_would() {
        let mut random = Random::new(1);
        let rates = ShardRates {
            records: Rate { per_second: 10, burst: 5 },
            bytes: Rate { per_second: 1000, burst: 700 },
        };
        let mut throttle = ShardThrottle::new(rates, 0);
        let mut records = TokenBucket::new(rates.records, 0);
        let mut bytes = TokenBucket::new(rates.bytes, 0);
        let mut now_ns = 0;
        let mut passed = 0;
        for _ in 0..10_000 {
            now_ns += random.below(SECOND / 5);
            let cost = u32::try_from(random.below(300)).unwrap();
            let (mut next_records, mut next_bytes) = (records, bytes);
            let both = next_records.admit(now_ns, 1) & next_bytes.admit(now_ns, cost);
            assert_eq!(throttle.admit(now_ns, cost), both);
            if both {
                (records, bytes) = (next_records, next_bytes);
                passed += 1;
            }
        }
        assert!(passed > 1000, "the test must see both answers: {passed}");
    }
}
