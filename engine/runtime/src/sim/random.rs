//! The one source of chance in a simulation, and the running hash of what was decided.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, a few instructions a draw, good enough
//! to decide schedules and faults. It must never be used for anything that needs secrecy.

use std::cell::Cell;

/// Independent decisions draw from independent streams, so that for instance a new fault does not
/// change the schedule up to the point where it strikes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Schedule = 1,
    Program = 2,
    Disk = 3,
    Network = 4,
}

/// A stream of random numbers that is a function of its seed.
#[derive(Clone, Debug)]
pub(super) struct Generator {
    state: u64,
}

impl Generator {
    pub(super) fn new(seed: u64, stream: Stream) -> Self {
        Self { state: mix(seed ^ mix(stream as u64)) }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`. The bias of the multiplication, below 2^-32 for every bound that
    /// the simulation uses, is of no concern here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0);
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of a product of two u64 is a u64")
    }

    /// An index into something with `count` members.
    pub(super) fn index(&mut self, count: usize) -> usize {
        let index = self.below(u64::try_from(count).expect("a count fits in 64 bits"));
        usize::try_from(index).expect("it is below a usize")
    }

    /// A number in `low..=high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high);
        low + self.below((high - low).saturating_add(1))
    }

    /// True with this probability. Draws nothing for 0, so a fault that is switched off costs
    /// nothing and changes nothing.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        assert!((0.0..=1.0).contains(&probability));
        if probability <= 0.0 {
            return false;
        }
        // 53 bits are what an f64 can hold exactly.
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        unit < probability
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// SplitMix64's finalizer: a bijection in which every input bit reaches every output bit.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A running hash over every decision: two runs with equal hashes went the same way.
#[derive(Debug, Default)]
pub(super) struct Trace(Cell<u64>);

impl Trace {
    pub(super) fn note(&self, what: u64) {
        self.0.set(mix(self.0.get().rotate_left(5) ^ what));
    }

    /// Notes the first and last 64 bytes: headers and their checksums stand there, and hashing
    /// whole pages would cost more than the rest of a simulated write.
    pub(super) fn note_ends(&self, bytes: &[u8]) {
        let ends = bytes.iter().take(64).chain(bytes.iter().rev().take(64));
        let hash = ends
            .fold(0u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
        self.note(hash);
    }

    pub(super) fn hash(&self) -> u64 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::{Generator, Stream};

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut random = Generator::new(7, Stream::Disk);
        let drawn: Vec<u64> = (0..1000).map(|_| random.between(3, 6)).collect();
        assert!(drawn.iter().all(|value| (3..=6).contains(value)));
        assert!((3..=6).all(|value| drawn.contains(&value)));
        assert!(random.between(0, u64::MAX) != random.between(0, u64::MAX));
    }

    #[test]
    fn chance_is_about_right_and_free_at_zero() {
        let mut random = Generator::new(1, Stream::Schedule);
        let hits = (0..10_000).filter(|_| random.chance(0.25)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
        let mut untouched = random.clone();
        assert!(!random.chance(0.0));
        assert_eq!(random.next(), untouched.next());
        assert!((0..1000).all(|_| random.chance(1.0)));
    }

    #[test]
    fn neighbouring_seeds_and_streams_have_nothing_in_common() {
        let first = |seed, stream| Generator::new(seed, stream).next();
        assert_ne!(first(1, Stream::Disk), first(2, Stream::Disk));
        assert_ne!(first(1, Stream::Disk), first(1, Stream::Program));
    }
}
