//! Which record is which: the pair that every record carries and every table is indexed by.

/// A record of a run. Records of one producer are numbered without gaps, in the order of their ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Which producer made it, from 0.
    pub producer: u32,
    /// Its number among that producer's, from 0.
    pub sequence: u64,
}
