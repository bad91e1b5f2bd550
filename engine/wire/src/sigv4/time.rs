//! The time of a signature: `20150830T123600Z`.
//!
//! Calendar arithmetic only: no clock, no time zone but UTC.

use std::fmt;

/// A second between 1970 and the end of 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignatureTime(u64);

/// 31 December 9999, 23:59:59.
const LAST_S: u64 = 253_402_300_799;
const DAY_S: u64 = 86_400;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl SignatureTime {
    /// Later seconds than there are become the last one.
    #[must_use]
    pub fn of_unix_s(unix_s: u64) -> Self {
        Self(unix_s.min(LAST_S))
    }

    /// Unix seconds.
    #[must_use]
    pub fn unix_s(self) -> u64 {
        self.0
    }

    /// Reads `20150830T123600Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
        if bytes[8] != b'T' || bytes[15] != b'Z' {
            return None;
        }
        let clock = [number(&bytes[9..11])?, number(&bytes[11..13])?, number(&bytes[13..15])?];
        Self::of_civil(number(&bytes[..4])?, number(&bytes[4..6])?, number(&bytes[6..8])?, clock)
    }

    /// Reads `Sun, 30 Aug 2015 12:36:00 GMT`, as the header `Date` has it.
    #[must_use]
    pub fn parse_http(text: &str) -> Option<Self> {
        let text = text.split_once(", ")?.1.strip_suffix(" GMT")?;
        let mut words = text.split(' ');
        let day = number(words.next()?.as_bytes())?;
        let name = words.next()?;
        let month = (1..).zip(MONTHS).find(|(_, month)| *month == name)?.0;
        let year = number(words.next()?.as_bytes())?;
        let mut clock = words.next()?.split(':').map(|part| number(part.as_bytes()));
        let clock = [clock.next()??, clock.next()??, clock.next()??];
        if words.next().is_some() {
            return None;
        }
        Self::of_civil(year, month, day, clock)
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(self) -> TimeText {
        let (year, month, day) = civil(self.0 / DAY_S);
        let second = self.0 % DAY_S;
        let mut text = *b"00000000T000000Z";
        write(year, &mut text[..4]);
        write(month, &mut text[4..6]);
        write(day, &mut text[6..8]);
        write(second / 3600, &mut text[9..11]);
        write(second / 60 % 60, &mut text[11..13]);
        write(second % 60, &mut text[13..15]);
        TimeText(text)
    }

    fn of_civil(year: u64, month: u64, day: u64, clock: [u64; 3]) -> Option<Self> {
        let [hour, minute, second] = clock;
        // Leap seconds are the last second of their minute.
        let second = second.min(if second == 60 { 59 } else { second });
        if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days(year, month, day);
        // A day that its month does not have would be another day.
        if civil(days) != (year, month, day) {
            return None;
        }
        Some(Self(days * DAY_S + hour * 3600 + minute * 60 + second))
    }
}

/// A time as it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeText([u8; 16]);

impl TimeText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("digits are ASCII")
    }

    /// Its first eight digits.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.as_str()[..8]
    }
}

impl fmt::Display for TimeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Up to four digits.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn write(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit is below 10");
        number /= 10;
    }
    assert!(number == 0, "the parts of a date have few digits");
}

/// Years counted from March, so that the leap day is a year's last: then a month's first day is a
/// straight line (Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - EPOCH
}

/// Days from 1 March of the year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        let check = |unix_s: u64, text: &str| {
            let time = SignatureTime::of_unix_s(unix_s);
            assert_eq!(time.text().as_str(), text);
            assert_eq!(SignatureTime::parse(text), Some(time));
        };
        check(0, "19700101T000000Z");
        check(951_782_400, "20000229T000000Z");
        check(1_440_938_160, "20150830T123600Z");
        check(4_107_542_400, "21000301T000000Z");
        check(LAST_S, "99991231T235959Z");
        for day in 0..200_000 {
            let time = SignatureTime::of_unix_s(day * DAY_S + 86_399);
            assert_eq!(SignatureTime::parse(time.text().as_str()), Some(time));
        }
    }

    #[test]
    fn texts_that_are_no_time() {
        let check = |text: &str| assert_eq!(SignatureTime::parse(text), None, "{text}");
        check("");
        check("a");
        check("20150830T123600");
        check("20150830 123600Z");
        check("20150230T123600Z");
        check("20150000T123600Z");
        check("20151301T123600Z");
        check("20150830T243600Z");
        check("19691231T235959Z");
        check("2015083éT12360Z");
    }

    #[test]
    fn dates_of_http() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                SignatureTime::parse_http(text).map(SignatureTime::unix_s),
                expected,
                "{text}"
            );
        };
        check("Sun, 30 Aug 2015 12:36:00 GMT", Some(1_440_938_160));
        check("Sun, 30 Aug 2015 12:36:00", None);
        check("Sun, 30 August 2015 12:36:00 GMT", None);
        check("Sun, 30 Aug 2015 12:36 GMT", None);
        check("Sun, 30 Aug 2015 12:36:00 x GMT", None);
        check("", None);
    }
}
