//! How K keys fall on n shards: the number of keys on the hottest one, drawn many times.
//!
//! MD5 throws each key on a shard like a die. Up to 100 keys a shard every key is thrown; above, the
//! number on a shard is drawn from the normal law with the binomial's mean and variance, which is
//! closer than the drawings are many.

use crate::random::Random;

/// The hottest shard has at most so many times the mean where keys are called even.
pub const EVEN_RATIO: f64 = 1.2;

const DRAWINGS_MAX: u64 = 10_000;
const DRAWINGS_MIN: u64 = 200;
/// Throws and draws of all drawings together, at most: below a second of one CPU.
const WORK_MAX: u64 = 20_000_000;
const THROWN_KEYS_PER_SHARD_MAX: u64 = 100;

/// The hottest shard's number of keys in each drawing.
#[derive(Clone, Debug)]
pub struct Spread {
    mean: f64,
    /// Ascending.
    hottest: Vec<f64>,
}

impl Spread {
    /// Draws `keys` keys on `shards` shards, both at least 1.
    #[must_use]
    pub fn draw(keys: u64, shards: u64, seed: u64) -> Self {
        assert!(keys > 0, "no key falls nowhere");
        assert!(shards > 0, "a stream has at least one shard");
        let thrown = keys / shards < THROWN_KEYS_PER_SHARD_MAX;
        let work = if thrown { keys } else { shards };
        let drawings = (WORK_MAX / work).clamp(DRAWINGS_MIN, DRAWINGS_MAX);
        let mut random = Random::new(seed ^ keys ^ (shards << 32));
        let mut counts = vec![0; usize::try_from(shards).expect("shards fit in memory")];
        let mut hottest: Vec<f64> = (0..drawings)
            .map(|_| match thrown {
                true => f64::from(throw(keys, &mut counts, &mut random)),
                false => normal_max(keys, shards, &mut random),
            })
            .collect();
        hottest.sort_by(f64::total_cmp);
        Self { mean: keys as f64 / shards as f64, hottest }
    }

    /// Keys of a shard on average.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// How many drawings there were.
    #[must_use]
    pub fn drawings(&self) -> u64 {
        self.hottest.len() as u64
    }

    /// The smallest number of keys that a share `q` of the drawings does not exceed.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.hottest.len() as f64).ceil() as usize;
        self.hottest[rank.clamp(1, self.hottest.len()) - 1]
    }

    /// The share of drawings whose hottest shard has more keys than that.
    #[must_use]
    pub fn share_above(&self, keys: f64) -> f64 {
        let below = self.hottest.partition_point(|hottest| *hottest <= keys);
        1.0 - below as f64 / self.hottest.len() as f64
    }
}

fn throw(keys: u64, counts: &mut [u32], random: &mut Random) -> u32 {
    counts.fill(0);
    let shards = counts.len() as u64;
    for _ in 0..keys {
        counts[usize::try_from(random.below(shards)).expect("below a usize")] += 1;
    }
    counts.iter().copied().max().expect("at least one shard")
}

fn normal_max(keys: u64, shards: u64, random: &mut Random) -> f64 {
    let mean = keys as f64 / shards as f64;
    let deviation = (mean * (1.0 - 1.0 / shards as f64)).sqrt();
    let highest = (0..shards).map(|_| normal(random)).fold(f64::MIN, f64::max);
    mean + deviation * highest
}

/// Box and Muller, one of the two.
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

/// The number of keys, of 1, 2 and 5 times a power of ten, from which on the hottest shard has at most
/// [`EVEN_RATIO`] times the mean in 99 of 100 drawings.
#[must_use]
pub fn keys_for_even(shards: u64, seed: u64) -> u64 {
    if shards == 1 {
        return 1;
    }
    let mut power = 1_u64;
    loop {
        for digit in [1, 2, 5] {
            let keys = digit * power;
            // Fewer than 25 a shard never are: their deviation alone is a fifth of the mean.
            if keys < 25 * shards {
                continue;
            }
            let spread = Spread::draw(keys, shards, seed);
            if spread.quantile(0.99) <= EVEN_RATIO * spread.mean() {
                return keys;
            }
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_maxima() {
        // METHOD.md: 2 M records/s on 4,096 shards; the hottest gets (median) 2,000/s with 10,000
        // keys of 200/s, 880 with 100,000 of 20/s, 604 with 1,000,000 of 2/s.
        let check = |keys: u64, expected: [f64; 2]| {
            let median = Spread::draw(keys, 4_096, 42).quantile(0.5);
            let [low, high] = expected;
            assert!((low..=high).contains(&median), "{keys}: {median}");
        };
        check(10_000, [10.0, 10.0]);
        check(100_000, [44.0, 45.0]);
        check(1_000_000, [299.0, 304.0]);
    }

    #[test]
    fn two_coins() {
        // Two keys on two shards: together in half of the drawings.
        let spread = Spread::draw(2, 2, 1);
        assert_eq!(spread.drawings(), 10_000);
        assert!((spread.share_above(1.0) - 0.5).abs() < 0.02);
        assert_eq!(spread.quantile(0.99), 2.0);
        let one = Spread::draw(7, 1, 1);
        assert_eq!((one.quantile(0.5), one.mean()), (7.0, 7.0));
    }

    #[test]
    fn thrown_and_drawn_agree_where_they_meet() {
        // 99 keys a shard are thrown, 101 drawn; their excess over the mean is nearly the same.
        let excess = |keys| {
            let spread = Spread::draw(keys, 100, 5);
            (spread.quantile(0.5) - spread.mean()) / spread.mean().sqrt()
        };
        let (thrown, drawn) = (excess(9_900), excess(10_100));
        assert!((thrown - drawn).abs() < 0.15, "{thrown} {drawn}");
    }

    #[test]
    fn even_means_even() {
        for shards in [2, 15, 1_000] {
            let keys = keys_for_even(shards, 1);
            let spread = Spread::draw(keys, shards, 1);
            assert!(spread.quantile(0.99) <= EVEN_RATIO * spread.mean());
        }
        assert_eq!(keys_for_even(1, 1), 1);
    }
}
