//! Chance for tests: splitmix64, so that a failing test is a function of the seed it prints.

/// A generator whose every output follows from its seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn u128(&mut self) -> u128 {
        u128::from(self.u64()) << 64 | u128::from(self.u64())
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.u64() % bound
    }

    /// A number of up to `bits` bits, each magnitude as likely as another: edges are met often.
    pub(crate) fn of_bits(&mut self, bits: u32) -> u64 {
        let kept = u32::try_from(self.below(u64::from(bits) + 1)).unwrap();
        self.u64().checked_shr(64 - kept).unwrap_or(0)
    }
}
