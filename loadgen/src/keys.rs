//! The partition key of each record: a pure function of seed and record, so that a second pass can
//! name the key, and hence the shard, of a record that is gone.
//!
//! | `--keys` | the key of a record |
//! | --- | --- |
//! | `uniform` | fresh: 16 random hex characters, no two alike but by chance (1 in 2^64 a pair) |
//! | `uniform:K` | one of K, each as likely |
//! | `zipf:S` | one of 1,000,000 (or `keys.n`), the i-th as likely as i^-S |
//! | `hot:PCT` | one and the same key for PCT per cent of the records, fresh ones for the rest |
//!
//! Zipf draws by rejection-inversion (Hörmann and Derflinger 1996), the way of Apache Commons: no
//! table of K entries, about 1.2 draws a key.

use crate::amount::{AmountError, parse_count_from_one};
use crate::random::{Random, mix};
use crate::record::Identity;
use std::fmt;
use std::str::FromStr;

/// Distinct keys of `zipf:S` where nothing else is said.
pub const ZIPF_KEYS_DEFAULT: u64 = 1_000_000;

/// Bytes of a fresh key.
pub const FRESH_KEY_BYTES: usize = 16;

/// Bytes of the longest key that this file makes: `k-` and a 64-bit number.
pub const KEY_BYTES_MAX: usize = 22;

/// Which keys a run uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyDistribution {
    /// A new random key for every record.
    Fresh,
    /// One of `keys`, each as likely.
    Uniform {
        /// Distinct keys, at least 1.
        keys: u64,
    },
    /// One of `keys`, the i-th as likely as i^-`exponent`.
    Zipf {
        /// Above 0.
        exponent: f64,
        /// Distinct keys, at least 1.
        keys: u64,
    },
    /// The hot key or a fresh one.
    Hot {
        /// How many of a hundred records have the hot key, 0 to 100.
        percent: f64,
    },
}

/// Why a text is not a distribution of keys.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyError {
    /// Not one of the four names.
    UnknownName(String),
    /// Behind the colon stands no number that fits.
    BadNumber(String),
    /// A name that needs a number has none, or the other way round.
    Parameter(&'static str),
    /// A count that is none.
    Amount(AmountError),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName(name) => {
                write!(f, "`{name}` is not one of uniform, uniform:K, zipf:S, hot:PCT")
            }
            Self::BadNumber(number) => {
                write!(f, "`{number}` does not fit: zipf takes S > 0, hot takes 0 to 100")
            }
            Self::Parameter(form) => write!(f, "write {form}"),
            Self::Amount(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyError {}

impl FromStr for KeyDistribution {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        match (name, number) {
            ("uniform", None) => Ok(Self::Fresh),
            ("uniform", Some(keys)) => {
                let keys = parse_count_from_one(keys).map_err(KeyError::Amount)?;
                Ok(Self::Uniform { keys })
            }
            ("zipf", Some(exponent)) => {
                let exponent = number_within(exponent, f64::MIN_POSITIVE, 100.0)?;
                Ok(Self::Zipf { exponent, keys: ZIPF_KEYS_DEFAULT })
            }
            ("zipf", None) => Err(KeyError::Parameter("zipf:S, as zipf:0.99")),
            ("hot", Some(percent)) => {
                Ok(Self::Hot { percent: number_within(percent, 0.0, 100.0)? })
            }
            ("hot", None) => Err(KeyError::Parameter("hot:PCT, as hot:10")),
            _ => Err(KeyError::UnknownName(name.to_owned())),
        }
    }
}

fn number_within(text: &str, min: f64, max: f64) -> Result<f64, KeyError> {
    let number = text.parse::<f64>().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| KeyError::BadNumber(text.to_owned()))
}

impl fmt::Display for KeyDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("uniform"),
            Self::Uniform { keys } => write!(f, "uniform:{keys}"),
            Self::Zipf { exponent, .. } => write!(f, "zipf:{exponent}"),
            Self::Hot { percent } => write!(f, "hot:{percent}"),
        }
    }
}

/// The keys of a run.
#[derive(Clone, Debug)]
pub struct Keys {
    distribution: KeyDistribution,
    /// Apart from the seed that bodies use, or key and body would go hand in hand.
    seed: u64,
    zipf: Option<Zipf>,
}

impl Keys {
    /// The keys that follow from a seed.
    #[must_use]
    pub fn new(distribution: KeyDistribution, seed: u64) -> Self {
        let zipf = match distribution {
            KeyDistribution::Zipf { exponent, keys } => Some(Zipf::new(exponent, keys)),
            _ => None,
        };
        Self { distribution, seed: seed ^ 0x6b65_7973_6b65_7973, zipf }
    }

    /// Appends the key of a record to an arena that has room for [`KEY_BYTES_MAX`] more.
    #[inline]
    pub fn append(&self, record: Identity, arena: &mut Vec<u8>) {
        let draw = mix(self.seed, record.producer, record.sequence);
        match self.distribution {
            KeyDistribution::Fresh => append_hex(draw, arena),
            KeyDistribution::Uniform { keys } => {
                append_numbered(Random::new(draw).below(keys) + 1, arena);
            }
            KeyDistribution::Zipf { .. } => {
                let zipf = self.zipf.as_ref().expect("made with the distribution");
                append_numbered(zipf.draw(&mut Random::new(draw)), arena);
            }
            KeyDistribution::Hot { percent } => {
                if Random::new(draw).unit() * 100.0 < percent {
                    append_numbered(1, arena);
                } else {
                    append_hex(draw, arena);
                }
            }
        }
    }

    /// The most frequent keys with their expected share of all records, most frequent first; none
    /// where no key stands out.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<(String, f64)> {
        let name = |number: u64| {
            let mut text = Vec::with_capacity(KEY_BYTES_MAX);
            append_numbered(number, &mut text);
            String::from_utf8(text).expect("a numbered key is ASCII")
        };
        match self.distribution {
            KeyDistribution::Fresh => Vec::new(),
            KeyDistribution::Uniform { keys } => {
                let share = 1.0 / keys as f64;
                (1..=keys).take(count).map(|number| (name(number), share)).collect()
            }
            KeyDistribution::Zipf { exponent, keys } => {
                let total = zipf_total(exponent, keys);
                let share = |i: u64| (i as f64).powf(-exponent) / total;
                (1..=keys).take(count).map(|i| (name(i), share(i))).collect()
            }
            KeyDistribution::Hot { percent } => vec![(name(1), percent / 100.0)],
        }
    }
}

/// The sum of i^-exponent over i from 1 to `keys`: term by term as far as that takes no time, and from
/// there on by its integral, which is right to nine digits.
fn zipf_total(exponent: f64, keys: u64) -> f64 {
    const SUMMED: u64 = 1_000_000;
    let summed: f64 = (1..=keys.min(SUMMED)).map(|i| (i as f64).powf(-exponent)).sum();
    if keys <= SUMMED {
        return summed;
    }
    let (from, to) = (SUMMED as f64 + 0.5, keys as f64 + 0.5);
    let integral = if (exponent - 1.0).abs() < 1e-9 {
        (to / from).ln()
    } else {
        (to.powf(1.0 - exponent) - from.powf(1.0 - exponent)) / (1.0 - exponent)
    };
    summed + integral
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[inline]
fn append_hex(number: u64, arena: &mut Vec<u8>) {
    let mut text = [0; FRESH_KEY_BYTES];
    for (place, byte) in number.to_be_bytes().into_iter().enumerate() {
        text[2 * place] = HEX[usize::from(byte >> 4)];
        text[2 * place + 1] = HEX[usize::from(byte & 15)];
    }
    arena.extend_from_slice(&text);
}

/// `k-000001`, six digits or more.
fn append_numbered(mut number: u64, arena: &mut Vec<u8>) {
    let mut text = *b"k-00000000000000000000";
    let mut place = text.len();
    while number > 0 || place > text.len() - 6 {
        place -= 1;
        text[place] = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
    arena.extend_from_slice(b"k-");
    arena.extend_from_slice(&text[place..]);
}

/// Ranks 1 to `keys`, rank i as likely as i^-exponent. Names as in the paper: `h` is the density's
/// hat, `big_h` its integral.
#[derive(Clone, Debug)]
struct Zipf {
    exponent: f64,
    keys: f64,
    big_h_first: f64,
    big_h_last: f64,
    shortcut: f64,
}

impl Zipf {
    fn new(exponent: f64, keys: u64) -> Self {
        assert!(exponent > 0.0, "checked where it was read");
        assert!(keys > 0, "checked where it was read");
        let keys = keys as f64;
        let mut zipf = Self { exponent, keys, big_h_first: 0.0, big_h_last: 0.0, shortcut: 0.0 };
        zipf.big_h_first = zipf.big_h(1.5) - 1.0;
        zipf.big_h_last = zipf.big_h(keys + 0.5);
        zipf.shortcut = 2.0 - zipf.big_h_inverse(zipf.big_h(2.5) - zipf.h(2.0));
        zipf
    }

    fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let u = self.big_h_last + random.unit() * (self.big_h_first - self.big_h_last);
            let x = self.big_h_inverse(u);
            let rank = x.round().clamp(1.0, self.keys);
            if rank - x <= self.shortcut || u >= self.big_h(rank + 0.5) - self.h(rank) {
                return rank as u64;
            }
        }
    }

    fn h(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// The integral of x^-exponent, continuous where the exponent is 1.
    fn big_h(&self, x: f64) -> f64 {
        let log = x.ln();
        expm1_over((1.0 - self.exponent) * log) * log
    }

    fn big_h_inverse(&self, x: f64) -> f64 {
        let t = (x * (1.0 - self.exponent)).max(-1.0);
        (ln1p_over(t) * x).exp()
    }
}

/// (e^x - 1) / x, and its limit at 0.
fn expm1_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.exp_m1() / x } else { 1.0 + x * 0.5 * (1.0 + x / 3.0) }
}

/// ln(1 + x) / x, and its limit at 0.
fn ln1p_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.ln_1p() / x } else { 1.0 - x * (0.5 - x * (1.0 / 3.0 - 0.25 * x)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn key(keys: &Keys, producer: u32, sequence: u64) -> String {
        let mut arena = Vec::new();
        keys.append(Identity { producer, sequence }, &mut arena);
        String::from_utf8(arena).unwrap()
    }

    fn counts(distribution: &str, records: u64) -> BTreeMap<String, u64> {
        let keys = Keys::new(distribution.parse().unwrap(), 42);
        let mut counts = BTreeMap::new();
        for sequence in 0..records {
            *counts.entry(key(&keys, 0, sequence)).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn distributions_are_read() {
        let check = |text: &str, expected: KeyDistribution| {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        };
        check("uniform", KeyDistribution::Fresh);
        check("uniform:40", KeyDistribution::Uniform { keys: 40 });
        check("zipf:0.99", KeyDistribution::Zipf { exponent: 0.99, keys: ZIPF_KEYS_DEFAULT });
        check("hot:12.5", KeyDistribution::Hot { percent: 12.5 });
        let refused = |text: &str, expected: &str| {
            let error = text.parse::<KeyDistribution>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        refused("gauss", "not one of uniform, uniform:K, zipf:S, hot:PCT");
        refused("zipf", "zipf:S");
        refused("zipf:0", "S > 0");
        refused("zipf:nan", "S > 0");
        refused("hot:101", "0 to 100");
        refused("uniform:0", "at least 1");
        refused("uniform:1x", "not a unit");
    }

    #[test]
    fn fresh_keys_are_16_hex_characters_and_all_differ() {
        let counts = counts("uniform", 10_000);
        assert_eq!(counts.len(), 10_000);
        let is_hex = |key: &String| {
            key.len() == 16 && key.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        assert!(counts.keys().all(is_hex));
    }

    #[test]
    fn a_key_is_a_function_of_seed_and_record() {
        for distribution in ["uniform", "uniform:1000000", "zipf:1", "hot:50"] {
            let distribution: KeyDistribution = distribution.parse().unwrap();
            let (one, two) = (Keys::new(distribution, 1), Keys::new(distribution, 2));
            let sequence = |keys: &Keys, p| (0..50).map(|s| key(keys, p, s)).collect::<Vec<_>>();
            assert_eq!(sequence(&one, 0), sequence(&one, 0));
            assert_ne!(sequence(&one, 0), sequence(&one, 1));
            assert_ne!(sequence(&one, 0), sequence(&two, 0));
        }
    }

    #[test]
    fn k_keys_are_k_and_even() {
        let counts = counts("uniform:40", 40_000);
        assert_eq!(counts.len(), 40);
        assert!(counts.contains_key("k-000001"));
        assert!(counts.contains_key("k-000040"));
        assert!(counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_hot_key_takes_its_share() {
        let counts = counts("hot:10", 50_000);
        let hot = counts["k-000001"];
        assert!((4_700..5_300).contains(&hot), "{hot}");
        assert_eq!(counts.len() as u64, 50_000 - hot + 1);
    }

    #[test]
    fn zipf_ranks_have_their_shares() {
        for exponent in [0.5, 0.99, 1.0, 1.5] {
            let zipf = Zipf::new(exponent, 1_000);
            let mut random = Random::new(3);
            let mut counts = [0_u32; 1_001];
            for _ in 0..200_000 {
                counts[zipf.draw(&mut random) as usize] += 1;
            }
            let total: f64 = (1..=1_000).map(|i| f64::from(i).powf(-exponent)).sum();
            for rank in [1_u32, 2, 3, 10, 100] {
                let expected = 200_000.0 * f64::from(rank).powf(-exponent) / total;
                let found = f64::from(counts[rank as usize]);
                let deviations = (found - expected) / expected.sqrt();
                assert!(deviations.abs() < 4.5, "{exponent} {rank}: {found}, not {expected}");
            }
            assert_eq!(counts[0], 0);
        }
    }

    #[test]
    fn the_sum_of_many_ranks_takes_no_time() {
        let check = |exponent: f64| {
            let keys = 3_000_000_u64;
            let exact: f64 = (1..=keys).map(|i| (i as f64).powf(-exponent)).sum();
            let found = zipf_total(exponent, keys);
            assert!((found / exact - 1.0).abs() < 1e-9, "{exponent}: {found} {exact}");
        };
        check(0.75);
        check(1.0);
        check(1.2);
        assert!(zipf_total(1.0, u64::MAX) > 44.0);
    }

    #[test]
    fn the_top_keys_are_told() {
        let top = |text: &str| Keys::new(text.parse().unwrap(), 0).top(2);
        assert_eq!(top("uniform"), []);
        assert_eq!(top("uniform:4")[1], ("k-000002".to_owned(), 0.25));
        assert_eq!(top("hot:10"), [("k-000001".to_owned(), 0.1)]);
        let zipf = top("zipf:1");
        // The millionth harmonic number is 14.3927.
        assert!((zipf[0].1 - 1.0 / 14.3927).abs() < 1e-5);
        assert!((zipf[1].1 - 0.5 / 14.3927).abs() < 1e-5);
    }
}
