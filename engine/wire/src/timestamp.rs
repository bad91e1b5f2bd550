//! Moments as the API has them.
//!
//! JSON says seconds with a fraction, CBOR milliseconds; inside it is milliseconds.

use std::fmt;

/// Unix time in milliseconds. Negative before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From Unix seconds, to the nearest millisecond; what no `i64` holds becomes its nearest.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what we say")]
        Self((seconds * 1000.0).round() as i64)
    }
}

/// Seconds with as many decimals as it needs, as JSON carries them.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let ms = self.0.unsigned_abs();
        let (seconds, fraction) = (ms / 1000, ms % 1000);
        match fraction {
            0 => write!(f, "{sign}{seconds}"),
            _ if fraction % 100 == 0 => write!(f, "{sign}{seconds}.{}", fraction / 100),
            _ if fraction % 10 == 0 => write!(f, "{sign}{seconds}.{:02}", fraction / 10),
            _ => write!(f, "{sign}{seconds}.{fraction:03}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_there_and_back() {
        let check = |ms: i64, text: &str| {
            assert_eq!(Timestamp(ms).to_string(), text);
            assert_eq!(Timestamp::from_seconds(text.parse().unwrap()), Timestamp(ms), "{text}");
        };
        check(0, "0");
        check(1, "0.001");
        check(-1, "-0.001");
        check(1_441_215_410_867, "1441215410.867");
        check(1_441_215_410_860, "1441215410.86");
        check(1_441_215_410_800, "1441215410.8");
        check(1_441_215_410_000, "1441215410");
        check(-1_500, "-1.5");
    }

    #[test]
    fn what_is_too_large_is_the_largest() {
        assert_eq!(Timestamp::from_seconds(1e300), Timestamp(i64::MAX));
        assert_eq!(Timestamp::from_seconds(-1e300), Timestamp(i64::MIN));
        assert_eq!(Timestamp::from_seconds(f64::NAN), Timestamp(0));
    }
}
