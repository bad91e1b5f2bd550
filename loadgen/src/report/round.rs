//! Figures without digits that nobody measured. HdrHistogram keeps three; a rate has as many as its
//! count.

use serde::{Serialize, Serializer};

/// A number with so many places behind the point.
#[must_use]
pub fn to_places(number: f64, places: usize) -> f64 {
    format!("{number:.places$}").parse().unwrap_or(number)
}

/// A number with so many significant digits, at least one.
#[must_use]
pub fn to_digits(number: f64, digits: usize) -> f64 {
    let behind_the_first = digits.saturating_sub(1);
    format!("{number:.behind_the_first$e}").parse().unwrap_or(number)
}

/// Writes a figure, where there is one, with three significant digits.
///
/// # Errors
/// The serializer's.
pub fn three_digits<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    number.map(|number| to_digits(number, 3)).serialize(serializer)
}

/// Nanoseconds as microseconds with four digits: one more than a histogram keeps.
#[must_use]
pub fn ns_to_us(ns: f64) -> f64 {
    to_digits(ns / 1_000.0, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_places() {
        let check = |found: f64, expected: f64| assert_eq!(found.to_bits(), expected.to_bits());
        check(to_digits(123_456.0, 4), 123_500.0);
        check(to_digits(0.001_234_56, 3), 0.001_23);
        check(to_digits(0.0, 3), 0.0);
        check(to_digits(9.999, 3), 10.0);
        check(to_places(2_003_451.749, 1), 2_003_451.7);
        check(to_places(0.044, 2), 0.04);
        check(ns_to_us(4_567_891.0), 4_568.0);
        assert!(to_digits(f64::NAN, 3).is_nan());
        assert!(to_places(f64::INFINITY, 3).is_infinite());
    }
}
