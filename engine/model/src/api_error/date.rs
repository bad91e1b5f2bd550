//! Dates as AWS prints them in texts: `Wed Mar 04 01:02:40 UTC 2020`, Java's `Date.toString`.
//!
//! Calendar arithmetic only; no clock and no time zone but UTC.

use std::fmt;

const DAY_S: u64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, to be printed; its fraction of a second is dropped.
pub(super) struct AwsDate {
    pub(super) unix_ms: u64,
}

impl fmt::Display for AwsDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix_s = self.unix_ms / 1000;
        let days = unix_s / DAY_S;
        // 1 January 1970 was a Thursday.
        let weekday = pick(&WEEKDAYS, days % 7);
        let (year, month, day) = civil(days);
        let second = unix_s % DAY_S;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday} {} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}", {
            pick(&MONTHS, month)
        })
    }
}

fn pick(names: &[&'static str], index: u64) -> &'static str {
    names[usize::try_from(index).expect("an index of a name is small")]
}

/// Year, month from 0 and day from 1 of a day counted from 1 January 1970. Years are counted from
/// March, so that the day that comes and goes is the last, within eras of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_ERA: u64 = 146_097;
    // 1 March 0000 is 719,468 days before 1 January 1970.
    let shifted = days + 719_468;
    let era = shifted / DAYS_OF_ERA;
    let of_era = shifted % DAYS_OF_ERA;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // March to July and August to December have 153 days each.
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let is_next_year = month_from_march >= 10;
    let month = if is_next_year { month_from_march - 10 } else { month_from_march + 2 };
    (era * 400 + year_of_era + u64::from(is_next_year), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_aws_printed_them() {
        let check = |unix_ms: u64, expected: &str| {
            assert_eq!(AwsDate { unix_ms }.to_string(), expected);
        };
        check(0, "Thu Jan 01 00:00:00 UTC 1970");
        check(951_782_399_999, "Mon Feb 28 23:59:59 UTC 2000");
        check(951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000");
        // The example of a public issue (amazon-kinesis-client 701).
        check(1_583_283_760_000, "Wed Mar 04 01:02:40 UTC 2020");
        check(4_107_542_399_000, "Sun Feb 28 23:59:59 UTC 2100");
        check(4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100");
    }

    #[test]
    fn every_day_of_1200_years_follows_the_day_before() {
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..438_291 {
            assert_eq!(civil(days), (year, month, day));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let of_month = match month {
                1 => 28 + u64::from(is_leap),
                3 | 5 | 8 | 10 => 30,
                _ => 31,
            };
            day += 1;
            if day > of_month {
                (month, day) = (month + 1, 1);
            }
            if month == 12 {
                (year, month) = (year + 1, 0);
            }
        }
    }
}
