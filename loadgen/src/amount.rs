//! Numbers as people write them: `10k`, `2M`, `1MiB`, `300ms`.
//!
//! Counts and bytes are read in exact integer arithmetic, so that `0.1M` is 100,000 and never
//! 99,999. Decimal letters are decimal (`1k` is 1,000 also of bytes); 1,024 is written `KiB`. Crates
//! for this read either bytes only or silently take `10kB` for a rate; spans of time are humantime's.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a text is not an amount. Each says what would be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Nothing before the unit.
    NoNumber(String),
    /// The unit is not one of those that fit here.
    UnknownUnit {
        /// What stood behind the number.
        unit: String,
        /// What could have stood there.
        known: &'static str,
    },
    /// `1.5` of something that comes in ones.
    NotWhole(String),
    /// Past 2^64 - 1.
    TooLarge(String),
    /// Zero where there must be something.
    Zero(&'static str),
    /// Not a span of time; humantime's reason.
    NotASpan(String),
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber(text) => write!(f, "`{text}` does not start with a number"),
            Self::UnknownUnit { unit, known } => {
                write!(f, "`{unit}` is not a unit here; use {known}")
            }
            Self::NotWhole(text) => write!(f, "`{text}` is not a whole number"),
            Self::TooLarge(text) => write!(f, "`{text}` is too large"),
            Self::Zero(what) => write!(f, "{what} must be at least 1"),
            Self::NotASpan(reason) => {
                write!(f, "{reason}; write a number and a unit, as 300ms, 10s or 2m")
            }
        }
    }
}

impl std::error::Error for AmountError {}

const COUNT_UNITS: [(&str, u64); 6] = [
    ("", 1),
    ("k", 1_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];
const COUNT_UNITS_SHOWN: &str = "none, k, M or G (thousands, millions, billions)";

const BYTE_UNITS: [(&str, u64); 16] = [
    ("", 1),
    ("B", 1),
    ("k", 1_000),
    ("K", 1_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("M", 1_000_000),
    ("MB", 1_000_000),
    ("G", 1_000_000_000),
    ("GB", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
const BYTE_UNITS_SHOWN: &str = "none, kB, MB, GB (decimal) or KiB, MiB, GiB (1,024)";

/// A number of things: `500`, `10k`, `2.5M`, `1_000`.
///
/// # Errors
/// Where it is not one, with what would be.
pub fn parse_count(text: &str) -> Result<u64, AmountError> {
    parse_with(text, &COUNT_UNITS, COUNT_UNITS_SHOWN)
}

/// A number of things of which there is at least one.
///
/// # Errors
/// As [`parse_count`], and for 0.
pub fn parse_count_from_one(text: &str) -> Result<u64, AmountError> {
    match parse_count(text)? {
        0 => Err(AmountError::Zero("this number")),
        count => Ok(count),
    }
}

/// A number of bytes: `100`, `64KiB`, `1.5GB`.
///
/// # Errors
/// Where it is not one, with what would be.
pub fn parse_bytes(text: &str) -> Result<u64, AmountError> {
    parse_with(text, &BYTE_UNITS, BYTE_UNITS_SHOWN)
}

/// A span of time: `300ms`, `10s`, `2m 30s`.
///
/// # Errors
/// Where it is not one, with what would be.
pub fn parse_span(text: &str) -> Result<Duration, AmountError> {
    humantime::parse_duration(text).map_err(|error| AmountError::NotASpan(error.to_string()))
}

fn parse_with(text: &str, units: &[(&str, u64)], known: &'static str) -> Result<u64, AmountError> {
    let text = text.trim();
    let is_digit = |c: char| c.is_ascii_digit() || c == '_' || c == '.';
    let number_bytes = text.find(|c| !is_digit(c)).unwrap_or(text.len());
    let (number, unit) = text.split_at(number_bytes);
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(AmountError::NoNumber(text.to_owned()));
    }
    let unit = unit.trim();
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(AmountError::UnknownUnit { unit: unit.to_owned(), known });
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') {
        return Err(AmountError::NotWhole(text.to_owned()));
    }
    let too_large = || AmountError::TooLarge(text.to_owned());
    let whole = digits(whole).and_then(|n| n.checked_mul(u128::from(*scale)));
    let (numerator, denominator) = fraction_of(fraction).ok_or_else(too_large)?;
    let parts = numerator.checked_mul(u128::from(*scale)).ok_or_else(too_large)?;
    if !parts.is_multiple_of(denominator) {
        return Err(AmountError::NotWhole(text.to_owned()));
    }
    let total = whole.and_then(|n| n.checked_add(parts / denominator)).ok_or_else(too_large)?;
    u64::try_from(total).map_err(|_| too_large())
}

fn digits(text: &str) -> Option<u128> {
    text.bytes()
        .filter(|b| *b != b'_')
        .try_fold(0_u128, |sum, digit| sum.checked_mul(10)?.checked_add(u128::from(digit - b'0')))
}

/// The digits after the point as numerator and denominator.
fn fraction_of(text: &str) -> Option<(u128, u128)> {
    let places = u32::try_from(text.bytes().filter(|b| *b != b'_').count()).ok()?;
    Some((digits(text)?, 10_u128.checked_pow(places)?))
}

/// A count with thousands separated, as tables print it: `1,799,940`.
#[must_use]
pub fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number in three significant places and a letter: `60.0 k`, `1.80 M`, `950`.
#[must_use]
pub fn show_short(number: f64) -> String {
    let (scaled, letter) = match number.abs() {
        n if n >= 999_500_000.0 => (number / 1e9, " G"),
        n if n >= 999_500.0 => (number / 1e6, " M"),
        n if n >= 999.5 => (number / 1e3, " k"),
        _ => (number, ""),
    };
    format!("{}{letter}", show_three_places(scaled))
}

/// A number in three significant places, none of them behind the point from 100 on.
#[must_use]
pub fn show_three_places(number: f64) -> String {
    match number.abs() {
        n if n >= 99.95 => format!("{number:.0}"),
        n if n >= 9.995 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// Bytes in the unit that suits them, powers of 1,024: `64 KiB`, `1.5 GiB`.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = bytes as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let number = format!("{scaled:.1}");
    format!("{} {}", number.strip_suffix(".0").unwrap_or(&number), units[unit])
}

/// A number of things in a scenario file: an integer, or a text as `10k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

/// A number of bytes in a scenario file: an integer, or a text as `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A span of time in a scenario file: a text as `300ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Count {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        parse_count(text).map(Self)
    }
}

impl FromStr for Bytes {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        parse_bytes(text).map(Self)
    }
}

impl FromStr for Span {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        parse_span(text).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// An integer of the file, or a text that still has to be read.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl Written {
    fn read(self, parse: fn(&str) -> Result<u64, AmountError>) -> Result<u64, AmountError> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => parse(&text),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        written.read(parse_count).map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        written.read(parse_bytes).map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let check =
            |text: &str, expected: u64| assert_eq!(parse_count(text), Ok(expected), "{text}");
        check("0", 0);
        check("500", 500);
        check("10k", 10_000);
        check("10K", 10_000);
        check("2M", 2_000_000);
        check("2.5M", 2_500_000);
        check("0.1M", 100_000);
        check("1_000_000", 1_000_000);
        check(" 7 ", 7);
        check("4 k", 4_000);
        check("18446744073709551615", u64::MAX);
    }

    #[test]
    fn bytes() {
        let check =
            |text: &str, expected: u64| assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        check("100", 100);
        check("1k", 1_000);
        check("64KiB", 65_536);
        check("1MiB", 1_048_576);
        check("1.5GiB", 1_610_612_736);
        check("1GB", 1_000_000_000);
        check("0.5KiB", 512);
    }

    #[test]
    fn what_is_not_an_amount_is_told_why() {
        let check = |text: &str, expected: &str| {
            let error = parse_count(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "does not start with a number");
        check("k", "does not start with a number");
        check("-3", "does not start with a number");
        check("10q", "`q` is not a unit here; use none, k, M or G");
        check("10kB", "`kB` is not a unit");
        check("1.5", "not a whole number");
        check("1.2.3", "not a whole number");
        check("0.0001k", "not a whole number");
        check("18446744073709551616", "too large");
        check("99999999999999999999999999999999999999999", "too large");
        check("1.00000000000000000000000000000000000000000000", "too large");
        assert!(parse_bytes("1Mi").unwrap_err().to_string().contains("KiB, MiB, GiB"));
        assert!(parse_count_from_one("0").unwrap_err().to_string().contains("at least 1"));
    }

    #[test]
    fn spans() {
        let check = |text: &str, expected: Duration| assert_eq!(parse_span(text), Ok(expected));
        check("300ms", Duration::from_millis(300));
        check("0s", Duration::ZERO);
        check("2m 5s", Duration::from_secs(125));
        check("0.5ms", Duration::from_micros(500));
        let error = parse_span("10").unwrap_err().to_string();
        assert!(error.contains("write a number and a unit"), "{error}");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(show_count(0), "0");
        assert_eq!(show_count(999), "999");
        assert_eq!(show_count(1_799_940), "1,799,940");
        assert_eq!(show_short(60_000.0), "60.0 k");
        assert_eq!(show_short(1_800_000.0), "1.80 M");
        assert_eq!(show_short(999_999.0), "1.00 M");
        assert_eq!(show_short(950.0), "950");
        assert_eq!(show_short(0.0), "0.00");
        assert_eq!(show_bytes(65_536), "64 KiB");
        assert_eq!(show_bytes(1_610_612_736), "1.5 GiB");
        assert_eq!(show_bytes(17), "17 B");
    }
}
