//! Which log a shard lives in, and which core opens a log.
//!
//! The first never changes for a data folder: it is a function of numbers that are stored. The
//! second is decided anew at every start, so that a folder moves between machines.

use model::ShardIndex;
use storage::shard::ShardKey;

/// A stream's number within its data folder. Never used again, not even after deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamNumber(pub u32);

/// The name that storage knows a shard by.
pub(crate) fn shard_key(stream: StreamNumber, shard: ShardIndex) -> ShardKey {
    ShardKey(u64::from(stream.0) << 32 | u64::from(shard.get()))
}

/// How the logs of a folder are spread over the cores of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    logs: u16,
    cores: u16,
}

impl Placement {
    /// Spreads `logs` over at most `cores` cores.
    pub(crate) fn new(logs: u16, cores: usize) -> Placement {
        assert!(logs > 0);
        assert!(cores > 0);
        let cores = u16::try_from(cores).unwrap_or(u16::MAX).min(logs);
        Placement { logs, cores }
    }

    /// How many logs there are.
    pub(crate) fn logs(self) -> u16 {
        self.logs
    }

    /// How many cores have a log; the first so many.
    pub(crate) fn cores(self) -> usize {
        usize::from(self.cores)
    }

    /// The log of a shard. Neighbours lie in different logs, and streams start in different ones.
    pub(crate) fn log_of(self, stream: StreamNumber, shard: ShardIndex) -> u16 {
        let ordinal = u64::from(stream.0) + u64::from(shard.get());
        u16::try_from(ordinal % u64::from(self.logs)).expect("a remainder is below its divisor")
    }

    /// The core that opens a log.
    pub(crate) fn core_of_log(self, log: u16) -> usize {
        assert!(log < self.logs);
        usize::from(log % self.cores)
    }

    /// Which of its core's logs a log is, counted from 0.
    pub(crate) fn ordinal_of_log(self, log: u16) -> usize {
        assert!(log < self.logs);
        usize::from(log / self.cores)
    }

    /// The core that owns a shard.
    pub(crate) fn core_of(self, stream: StreamNumber, shard: ShardIndex) -> usize {
        self.core_of_log(self.log_of(stream, shard))
    }

    /// The logs that a core opens, in order.
    pub(crate) fn logs_of(self, core: usize) -> impl Iterator<Item = u16> {
        (0..self.logs).filter(move |log| self.core_of_log(*log) == core)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(logs: u16, cores: usize, expected: &[&[u16]]) {
        let placement = Placement::new(logs, cores);
        let found: Vec<Vec<u16>> =
            (0..cores).map(|core| placement.logs_of(core).collect()).collect();
        assert_eq!(found, expected, "{logs} logs on {cores} cores");
        assert_eq!(placement.cores(), cores.min(usize::from(logs)));
        for logs in expected {
            for (ordinal, log) in logs.iter().enumerate() {
                assert_eq!(placement.ordinal_of_log(*log), ordinal);
            }
        }
    }

    #[test]
    fn every_log_has_one_core_and_spare_cores_have_none() {
        check(1, 1, &[&[0]]);
        check(4, 1, &[&[0, 1, 2, 3]]);
        check(4, 2, &[&[0, 2], &[1, 3]]);
        check(2, 4, &[&[0], &[1], &[], &[]]);
        check(3, 2, &[&[0, 2], &[1]]);
    }

    #[test]
    fn a_shard_stays_in_its_log_whatever_the_cores() {
        for cores in 1..6 {
            let placement = Placement::new(4, cores);
            let log =
                |stream, shard| placement.log_of(StreamNumber(stream), ShardIndex::new(shard));
            assert_eq!((log(0, 0), log(0, 1), log(1, 0), log(3, 7)), (0, 1, 1, 2));
            assert_eq!(log(u32::MAX, 1), 0);
        }
    }

    #[test]
    fn keys_are_ordered_by_stream_and_shard() {
        let key = |stream, shard| shard_key(StreamNumber(stream), ShardIndex::new(shard)).0;
        assert_eq!(key(0, 0), 0);
        assert_eq!(key(1, 2), (1 << 32) + 2);
        assert!(key(1, i32::MAX.cast_unsigned()) < key(2, 0));
    }
}
