//! `shards` and `skew`: a row for each shard of the stream. Counters cover warm-up and measured time,
//! since the limits know no warm-up, and so does the mean that is the utilisation.

use crate::outcome::Shards;
use crate::report::round::{ns_to_us, to_digits, to_places};
use crate::stats::distribution::calls_needed;
use model::ShardIndex;
use model::limits::ShardRates;
use serde::Serialize;

/// A row of `shards`. Offered and throttled are attempts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardRow {
    /// `shardId-000000000017`.
    pub id: String,
    /// The first hash key, in decimal as Kinesis writes it.
    pub hash_lo: String,
    /// The last.
    pub hash_hi: String,
    /// Attempts sent.
    pub offered_records: u64,
    /// Attempts accepted.
    pub accepted_records: u64,
    /// Their data and keys.
    pub accepted_bytes: u64,
    /// Attempts refused by the throttle.
    pub throttled_records: u64,
    /// Most bytes accepted in one second.
    pub peak_1s_bytes: u64,
    /// Most records accepted in one second.
    pub peak_1s_records: u32,
    /// Accepted bytes in per cent of the limit, mean; null without limits.
    pub util_bytes_pct: Option<f64>,
    /// Accepted records in per cent of the limit, mean; null without limits.
    pub util_records_pct: Option<f64>,
    /// The limit that is nearer; null without limits, or without records.
    pub binding_limit: Option<BindingLimit>,
    /// Seconds in which more was accepted than the limits allow; null without limits, and where none were
    /// found by checkers that saw a part of the writers each.
    pub over_accept_s: Option<u32>,
    /// Seconds in which a record was refused that they allow; null without limits, and where no
    /// checker saw all writers of the stream.
    pub unjust_throttle_s: Option<u32>,
    /// 99th percentile of the calls' responses, within 6.3 %; null below 1,000 calls.
    pub response_p99_us: Option<f64>,
}

/// Which of a shard's limits is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BindingLimit {
    /// 1,048,576 bytes a second.
    Bytes,
    /// 1,000 records a second.
    Records,
}

impl BindingLimit {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Records => "records",
        }
    }
}

/// The rows of all shards.
#[must_use]
pub fn rows(shards: &Shards) -> Vec<ShardRow> {
    let stats = &shards.stats;
    assert!(shards.hash_ranges.len() == stats.counters().len(), "a range for each shard");
    let counted_s = shards.counted_ns as f64 / 1e9;
    let row = |(place, (low, high)): (usize, &(u128, u128))| {
        let counters = &stats.counters()[place];
        let share = |count: u64, limit: u32| {
            to_digits(100.0 * count as f64 / counted_s / f64::from(limit), 4)
        };
        let found = shards.limits.as_ref().map(|found| found[place]);
        let util = found.map(|_| Utilisation {
            bytes: share(counters.accepted_bytes, ShardRates::AWS.bytes.per_second),
            records: share(counters.accepted_records, ShardRates::AWS.records.per_second),
        });
        let octaves = &stats.octaves()[place];
        let p99 = octaves.quantile(0.99).filter(|_| octaves.count() >= calls_needed(0.99));
        ShardRow {
            id: id_of(place),
            hash_lo: low.to_string(),
            hash_hi: high.to_string(),
            offered_records: counters.offered_records,
            accepted_records: counters.accepted_records,
            accepted_bytes: counters.accepted_bytes,
            throttled_records: counters.throttled_records,
            peak_1s_bytes: counters.peak_1s_bytes(),
            peak_1s_records: counters.peak_1s_records(),
            util_bytes_pct: util.map(|util| util.bytes),
            util_records_pct: util.map(|util| util.records),
            binding_limit: util.and_then(Utilisation::binding),
            over_accept_s: found
                .map(|found| found.over_accept_s)
                .filter(|over| shards.all_writers_seen || *over > 0),
            unjust_throttle_s: found
                .filter(|_| shards.all_writers_seen)
                .map(|found| found.unjust_throttle_s),
            response_p99_us: p99.map(|ns| ns_to_us(ns as f64)),
        }
    };
    shards.hash_ranges.iter().enumerate().map(row).collect()
}

#[derive(Clone, Copy)]
struct Utilisation {
    bytes: f64,
    records: f64,
}

impl Utilisation {
    fn binding(self) -> Option<BindingLimit> {
        let higher =
            if self.bytes > self.records { BindingLimit::Bytes } else { BindingLimit::Records };
        (self.bytes.max(self.records) > 0.0).then_some(higher)
    }
}

/// `skew`: how uneven the accepted records lie on the shards.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SkewSection {
    /// The highest load over the mean: 1 is even.
    pub max_over_mean: Option<f64>,
    /// Gini's coefficient: 0 is even, near 1 is everything on one shard.
    pub gini: Option<f64>,
    /// Its id.
    pub hottest_shard: Option<String>,
    /// The most frequent partition keys; none where no key stands out.
    pub top_keys: Vec<TopKey>,
}

/// One of [`SkewSection::top_keys`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopKey {
    /// The partition key.
    pub key: String,
    /// Its expected share of all records, per cent.
    pub share_pct: f64,
}

impl SkewSection {
    /// The section.
    #[must_use]
    pub fn new(shards: &Shards) -> Self {
        let top = |(key, share): &(String, f64)| TopKey {
            key: key.clone(),
            share_pct: to_digits(100.0 * share, 3),
        };
        Self {
            max_over_mean: shards.skew.map(|skew| to_digits(skew.max_over_mean, 4)),
            gini: shards.skew.map(|skew| to_places(skew.gini, 4)),
            hottest_shard: shards.skew.map(|skew| id_of(skew.hottest)),
            top_keys: shards.top_keys.iter().map(top).collect(),
        }
    }
}

fn id_of(place: usize) -> String {
    let number = u32::try_from(place).expect("checked: at most 100,000 shards");
    ShardIndex::new(number).id().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit_checker::{LimitChecker, StreamAge};
    use crate::stats::shards::{AnswerMoment, ShardStats};
    use crate::stats::skew::skew;

    fn shards(is_limited: bool) -> Shards {
        let mut stats = ShardStats::new(2);
        for i in 0..8_000_u32 {
            stats.offer(1);
            if i < 4_400 {
                let at = AnswerMoment { call: i + 1, second: i / 1_100 };
                stats.accept(1, 1_040, 2_000_000, at);
            } else {
                stats.throttle(1);
            }
        }
        let checker = LimitChecker::new(ShardRates::AWS, 2, StreamAge::Fresh);
        Shards {
            hash_ranges: vec![(0, u128::MAX / 2), (u128::MAX / 2 + 1, u128::MAX)],
            stats,
            counted_ns: 4_000_000_000,
            limits: is_limited.then(|| checker.verdicts().to_vec()),
            all_writers_seen: true,
            skew: skew(&[0, 4_400]),
            top_keys: vec![("k-1".to_owned(), 0.012_345)],
        }
    }

    #[test]
    fn a_row_is_measured_against_its_limits() {
        let rows = rows(&shards(true));
        assert_eq!(rows[1].id, "shardId-000000000001");
        assert_eq!(rows[1].hash_hi, "340282366920938463463374607431768211455");
        assert_eq!((rows[1].offered_records, rows[1].throttled_records), (8_000, 3_600));
        assert_eq!(rows[1].util_records_pct, Some(110.0));
        assert_eq!(rows[1].util_bytes_pct, Some(109.1));
        assert_eq!(rows[1].binding_limit, Some(BindingLimit::Records));
        assert_eq!((rows[1].over_accept_s, rows[1].unjust_throttle_s), (Some(0), Some(0)));
        assert!(rows[1].response_p99_us.is_some_and(|us| (us / 2_000.0 - 1.0).abs() < 0.063));
        assert_eq!((rows[0].binding_limit, rows[0].response_p99_us), (None, None));
    }

    #[test]
    fn several_writers_prove_an_excess_at_most() {
        let mut shards = Shards { all_writers_seen: false, ..shards(true) };
        let found = |shards: &Shards| {
            let row = &rows(shards)[1];
            (row.over_accept_s, row.unjust_throttle_s)
        };
        assert_eq!(found(&shards), (None, None));
        shards.limits.as_mut().unwrap()[1].over_accept_s = 2;
        assert_eq!(found(&shards), (Some(2), None));
    }

    #[test]
    fn without_limits_nothing_is_said_of_them() {
        let rows = rows(&shards(false));
        assert_eq!(rows[1].util_records_pct, None);
        assert_eq!(rows[1].binding_limit, None);
        assert_eq!((rows[1].over_accept_s, rows[1].unjust_throttle_s), (None, None));
        assert_eq!(rows[1].accepted_records, 4_400);
    }

    #[test]
    fn skew_names_the_hottest_shard() {
        let section = SkewSection::new(&shards(true));
        assert_eq!(section.max_over_mean, Some(2.0));
        assert_eq!(section.gini, Some(0.5));
        assert_eq!(section.hottest_shard.as_deref(), Some("shardId-000000000001"));
        assert_eq!(section.top_keys, [TopKey { key: "k-1".to_owned(), share_pct: 1.23 }]);
    }
}
