//! What was offered and what became of it. Every unique record ends in exactly one place:
//!
//! ```text
//!   offered = acked + throttled_final + failed + timed_out + unsent        (records)
//!   sent    = offered - unsent + retried                                   (attempts)
//! ```
//!
//! A count that does not balance is a bug of ours, and the program says so instead of a figure.

use serde::Serialize;
use std::fmt;

/// Counters of the measured time, by their names in run.json. Bytes are data without keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Unique records whose tick lies in the measured time.
    pub offered_records: u64,
    /// Attempts that left.
    pub sent_records: u64,
    /// Unique records acknowledged.
    pub acked_records: u64,
    /// Attempts refused by the throttle.
    pub throttled_records: u64,
    /// Unique records given up after a refusal by the throttle.
    pub throttled_final_records: u64,
    /// Unique records given up after another error.
    pub failed_records: u64,
    /// Unique records of which no answer came in time.
    pub timed_out_records: u64,
    /// Unique records never sent.
    pub unsent_records: u64,
    /// Attempts after the first.
    pub retried_records: u64,
    /// Calls answered.
    pub calls: u64,
    /// Data of acknowledged records.
    #[serde(rename = "payload_bytes")]
    pub acked_bytes: u64,
}

/// An equation that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Which one.
    pub equation: &'static str,
    /// Its left side.
    pub left: u64,
    /// Its right side.
    pub right: u64,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "records do not balance: {} ({} and {})", self.equation, self.left, self.right)
    }
}

impl std::error::Error for Imbalance {}

impl Counters {
    /// Adds another worker's.
    pub const fn merge(&mut self, other: &Self) {
        self.offered_records += other.offered_records;
        self.sent_records += other.sent_records;
        self.acked_records += other.acked_records;
        self.throttled_records += other.throttled_records;
        self.throttled_final_records += other.throttled_final_records;
        self.failed_records += other.failed_records;
        self.timed_out_records += other.timed_out_records;
        self.unsent_records += other.unsent_records;
        self.retried_records += other.retried_records;
        self.calls += other.calls;
        self.acked_bytes += other.acked_bytes;
    }

    /// Whether both equations hold. On every run; a caller ends with exit code 70 where not.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check_balance(&self) -> Result<(), Imbalance> {
        let ends = self.acked_records
            + self.throttled_final_records
            + self.failed_records
            + self.timed_out_records
            + self.unsent_records;
        let check = |equation, left: u64, right: u64| {
            if left == right { Ok(()) } else { Err(Imbalance { equation, left, right }) }
        };
        check(
            "offered = acked + throttled_final + failed + timed_out + unsent",
            self.offered_records,
            ends,
        )?;
        let sent =
            (self.offered_records + self.retried_records).saturating_sub(self.unsent_records);
        check("sent = offered - unsent + retried", self.sent_records, sent)
    }

    /// Unique records that took for ever in an SLO's eyes.
    #[must_use]
    pub const fn lost_records(&self) -> u64 {
        self.throttled_final_records + self.failed_records + self.timed_out_records
    }

    /// A count as a rate over the planned window: acknowledgements count by their tick, so that the
    /// drain behind the window adds nothing.
    #[must_use]
    pub fn per_second(count: u64, measured_ns: u64) -> f64 {
        count as f64 / (measured_ns as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCED: Counters = Counters {
        offered_records: 100,
        sent_records: 97,
        acked_records: 80,
        throttled_records: 12,
        throttled_final_records: 5,
        failed_records: 3,
        timed_out_records: 2,
        unsent_records: 10,
        retried_records: 7,
        calls: 4,
        acked_bytes: 8_000,
    };

    #[test]
    fn records_balance_or_it_is_told() {
        assert_eq!(BALANCED.check_balance(), Ok(()));
        assert_eq!(BALANCED.lost_records(), 10);
        let lost = Counters { acked_records: 79, ..BALANCED };
        let imbalance = lost.check_balance().unwrap_err();
        assert_eq!((imbalance.left, imbalance.right), (100, 99));
        let unsent = Counters { sent_records: 98, ..BALANCED };
        let told = unsent.check_balance().unwrap_err().to_string();
        assert!(told.contains("sent = offered - unsent + retried (98 and 97)"), "{told}");
        let mut sum = BALANCED;
        sum.merge(&BALANCED);
        assert_eq!(sum.check_balance(), Ok(()));
        assert_eq!(Counters::per_second(80, 2_000_000_000), 40.0);
    }
}
