//! What was acknowledged and what was read, as sums that do not depend on order.
//!
//! Two sums of 64 bits: one over each record and its index in the shard, one over each record and its
//! arrival. Both together are what a sequence number says; apart, a single record that differs can be
//! found from the difference (see `naming`).

use crate::random::scramble;
use crate::record::Identity;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    index: u64,
    arrival: u64,
}

impl Sum {
    #[inline]
    pub(super) fn add(&mut self, record: Identity, index: u64, arrival_ms: u64) {
        let base = base_of(record);
        self.index = self.index.wrapping_add(term(base, index));
        self.arrival = self.arrival.wrapping_add(term(!base, arrival_ms));
    }

    pub(super) fn merge(&mut self, other: Sum) {
        self.index = self.index.wrapping_add(other.index);
        self.arrival = self.arrival.wrapping_add(other.arrival);
    }

    /// Whether `self` becomes `other` when this record's index is `instead` and not `index`, as far
    /// as indices go.
    pub(super) fn differs_by(self, other: Sum, record: Identity, index: u64, instead: u64) -> bool {
        let base = base_of(record);
        let replaced = self.index.wrapping_sub(term(base, index)).wrapping_add(term(base, instead));
        replaced == other.index
    }
}

#[inline]
fn base_of(record: Identity) -> u64 {
    scramble(record.sequence ^ u64::from(record.producer) << 44)
}

#[inline]
fn term(base: u64, value: u64) -> u64 {
    scramble(base.wrapping_add(value.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let record = |sequence| Identity { producer: 1, sequence };
        let sum = |records: &[(u64, u64, u64)]| {
            let mut sum = Sum::default();
            records.iter().for_each(|&(sequence, index, ms)| sum.add(record(sequence), index, ms));
            sum
        };
        let right = sum(&[(1, 10, 100), (2, 11, 100)]);
        assert_eq!(right, sum(&[(2, 11, 100), (1, 10, 100)]));
        assert_ne!(right, sum(&[(1, 11, 100), (2, 10, 100)]));
        assert_ne!(right, sum(&[(1, 10, 100), (2, 11, 101)]));
        assert_ne!(right, sum(&[(1, 10, 100), (3, 11, 100)]));
        let wrong = sum(&[(1, 10, 100), (2, 13, 100)]);
        assert!(wrong.differs_by(right, record(2), 13, 11));
        assert!(!wrong.differs_by(right, record(1), 10, 11));
    }
}
