//! Where a reader starts in a shard.
//!
//! Only the start is a noun of its own; where a reader has come to is a [`RecordIndex`].

use crate::record::RecordIndex;

/// Kinesis's `ShardIteratorType` with what it needs, sequence numbers already decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IteratorType {
    /// The oldest record that has not expired.
    TrimHorizon,
    /// What comes after everything that is stored at the moment of the call.
    Latest,
    /// From this record on.
    AtSequenceNumber(RecordIndex),
    /// From the record after this one.
    AfterSequenceNumber(RecordIndex),
    /// From the first record that arrived at this time or later; before the horizon the same as
    /// [`IteratorType::TrimHorizon`].
    AtTimestamp {
        /// Unix time in milliseconds.
        ms: u64,
    },
}

impl IteratorType {
    /// The API's names, in the order in which AWS lists them when it refuses another
    /// (recorded by kinesalite 3.3.3).
    pub const NAMES: [&'static str; 5] =
        ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"];

    /// The API's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AfterSequenceNumber(_) => Self::NAMES[0],
            Self::Latest => Self::NAMES[1],
            Self::AtTimestamp { .. } => Self::NAMES[2],
            Self::AtSequenceNumber(_) => Self::NAMES[3],
            Self::TrimHorizon => Self::NAMES[4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_apis() {
        let check = |kind: IteratorType, expected: &str| assert_eq!(kind.name(), expected);
        check(IteratorType::TrimHorizon, "TRIM_HORIZON");
        check(IteratorType::Latest, "LATEST");
        check(IteratorType::AtSequenceNumber(RecordIndex::ZERO), "AT_SEQUENCE_NUMBER");
        check(IteratorType::AfterSequenceNumber(RecordIndex::ZERO), "AFTER_SEQUENCE_NUMBER");
        check(IteratorType::AtTimestamp { ms: 0 }, "AT_TIMESTAMP");
    }
}
