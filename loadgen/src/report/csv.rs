//! `series.csv` and `shards.csv`: for spreadsheets and plots. No field needs quotes: numbers, ids and
//! words only; what is null in run.json is empty.

use crate::report::document::shards::ShardRow;
use crate::report::round::{ns_to_us, to_places};
use crate::stats::SLICE_NS;
use crate::stats::series::Series;
use std::fmt::Write as _;

/// A line for each 100 ms of the measured time.
#[must_use]
pub fn series(series: &Series) -> String {
    let mut text = String::from(
        "at_s,offered_records,acked_records,throttled_records,calls,response_mean_us,\
         response_max_us\n",
    );
    for (place, slice) in series.slices().iter().enumerate() {
        let at_s = to_places(place as f64 * SLICE_NS as f64 / 1e9, 1);
        let mean = (slice.calls > 0).then(|| slice.response_ns_sum as f64 / slice.calls as f64);
        let max = (slice.calls > 0).then_some(slice.response_ns_max as f64);
        let line = [
            at_s.to_string(),
            slice.offered.to_string(),
            slice.acked.to_string(),
            slice.throttled.to_string(),
            slice.calls.to_string(),
            shown(mean.map(ns_to_us)),
            shown(max.map(ns_to_us)),
        ];
        writeln!(text, "{}", line.join(",")).expect("a String takes it");
    }
    text
}

/// A line for each shard.
#[must_use]
pub fn shards(rows: &[ShardRow]) -> String {
    let mut text = String::from(
        "id,hash_lo,hash_hi,offered_records,accepted_records,accepted_bytes,throttled_records,\
         peak_1s_bytes,peak_1s_records,util_bytes_pct,util_records_pct,binding_limit,\
         over_accept_s,unjust_throttle_s,response_p99_us\n",
    );
    for row in rows {
        let line = [
            row.id.clone(),
            row.hash_lo.clone(),
            row.hash_hi.clone(),
            row.offered_records.to_string(),
            row.accepted_records.to_string(),
            row.accepted_bytes.to_string(),
            row.throttled_records.to_string(),
            row.peak_1s_bytes.to_string(),
            row.peak_1s_records.to_string(),
            shown(row.util_bytes_pct),
            shown(row.util_records_pct),
            row.binding_limit.map_or("", |limit| limit.word()).to_owned(),
            shown(row.over_accept_s),
            shown(row.unjust_throttle_s),
            shown(row.response_p99_us),
        ];
        writeln!(text, "{}", line.join(",")).expect("a String takes it");
    }
    text
}

fn shown(number: Option<impl ToString>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::recorder::Measured;

    #[test]
    fn a_line_for_each_slice() {
        let mut counted = Series::new(Measured { from_ns: 0, until_ns: 250_000_000 });
        let slice = counted.at(150_000_000);
        (slice.offered, slice.acked, slice.throttled) = (500, 400, 100);
        (slice.calls, slice.response_ns_sum, slice.response_ns_max) = (2, 3_000_000, 2_000_000);
        let text = series(&counted);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[1], "0,0,0,0,0,,");
        assert_eq!(lines[2], "0.1,500,400,100,2,1500,2000");
        assert!(lines.iter().all(|line| line.split(',').count() == 7));
    }

    #[test]
    fn a_line_for_each_shard_with_the_names_of_run_json() {
        let row = ShardRow {
            id: "shardId-000000000000".to_owned(),
            hash_lo: "0".to_owned(),
            hash_hi: "9".to_owned(),
            offered_records: 1,
            accepted_records: 2,
            accepted_bytes: 3,
            throttled_records: 4,
            peak_1s_bytes: 5,
            peak_1s_records: 6,
            util_bytes_pct: Some(7.5),
            util_records_pct: None,
            binding_limit: None,
            over_accept_s: Some(0),
            unjust_throttle_s: None,
            response_p99_us: Some(8.25),
        };
        let text = shards(std::slice::from_ref(&row));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "shardId-000000000000,0,9,1,2,3,4,5,6,7.5,,,0,,8.25");
        let json = serde_json::to_value(&row).unwrap();
        let mut names: Vec<&str> = lines[0].split(',').collect();
        names.sort_unstable();
        let mut expected: Vec<&String> = json.as_object().unwrap().keys().collect();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}
