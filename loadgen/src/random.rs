//! Chance as a function of the seed: a mix of numbers, and a generator for where draws must go on.
//!
//! Everything that loadgen draws comes from here and from `seed`, so that the same seed gives the
//! same records and the same verdict. Nothing here asks the operating system.

/// 2^64 divided by the golden ratio, odd: steps of it visit every 64-bit number.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64: every bit of the input moves every bit of the output.
#[must_use]
pub const fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number out of three. For a fixed seed and producer it is a bijection of the sequence: no two
/// records of a producer share it.
#[must_use]
pub const fn mix(seed: u64, producer: u32, sequence: u64) -> u64 {
    let stream = scramble(seed ^ (producer as u64).wrapping_mul(0xd6e8_feb8_6659_fd93));
    scramble(stream.wrapping_add(sequence.wrapping_mul(GOLDEN)))
}

/// SplitMix64. Good enough for load and resampling, and a function of its seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator whose every output follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        scramble(self.0)
    }

    /// A number below `bound`, which is at least 1. By multiplication: the favour that some numbers
    /// enjoy is at most bound / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the upper half of 128 bits has 64")
    }

    /// A number from 0 up to but without 1, in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        let bits = (self.bits() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_of_splitmix64() {
        // The first outputs for seed 1234567, as in Rosetta Code's table of SplitMix64.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn below_is_even_and_unit_stays_below_one() {
        let mut random = Random::new(7);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[usize::try_from(random.below(10)).unwrap()] += 1;
            let unit = random.unit();
            assert!((0.0..1.0).contains(&unit));
        }
        // Ten thousand each, with a standard deviation of 95.
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
    }

    #[test]
    fn mix_differs_by_each_of_its_three() {
        let base = mix(1, 2, 3);
        assert_ne!(base, mix(0, 2, 3));
        assert_ne!(base, mix(1, 3, 3));
        assert_ne!(base, mix(1, 2, 4));
        assert_eq!(base, mix(1, 2, 3));
    }
}
