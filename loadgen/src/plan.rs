//! How many shards a load needs, and how even it will lie on them.
//!
//! The Kinesis guide's formula ("Amazon Kinesis Data Streams terminology", initial number of shards):
//!
//! ```text
//!   number_of_shards = max(incoming_write_bandwidth_in_KB / 1000, outgoing_read_bandwidth_in_KB / 2000)
//! ```
//!
//! and what it leaves out: 1,000 records a second per shard; the partition key counts in the bytes;
//! consumers that poll share the 2 MB/s of a shard, those that subscribe have 2 MB/s each; and a few
//! keys fall on shards like a few dice: the hottest shard gets far more than the mean. The last is
//! drawn many times with the seed; nothing here is a forecast of Gyre's speed.

mod spread;

use crate::amount::{show_count, show_short};
use crate::keys::FRESH_KEY_BYTES;
use model::limits::{
    SHARD_READ_BYTES_PER_SECOND, SHARD_READ_CALLS_PER_SECOND, SHARD_WRITE_BYTES_PER_SECOND,
    SHARD_WRITE_RECORDS_PER_SECOND,
};
use serde::Serialize;
pub use spread::{EVEN_RATIO, Spread, keys_for_even};
use std::fmt::{self, Write as _};

/// The guide's own divisors, in KB of 1,000 bytes: a little below the limits themselves.
const WRITE_KB_PER_SHARD: f64 = 1000.0;
const READ_KB_PER_SHARD: f64 = 2000.0;

/// What the key adds to a record where nothing else is said: a key as `loadgen run` makes it.
pub const KEY_BYTES_DEFAULT: u64 = FRESH_KEY_BYTES as u64;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Written each second, KB of 1,000 bytes, without keys.
    pub in_kb: u64,
    /// Read each second by all consumers together.
    pub out_kb: u64,
    /// Records written each second, where known.
    pub records_per_second: Option<u64>,
    /// Consumers; where not said, as many as read everything once for `out_kb`.
    pub consumers: Option<u64>,
    /// Distinct partition keys, all as frequent; where not said, more than matters.
    pub keys: Option<u64>,
    /// Bytes of a partition key.
    pub key_bytes: u64,
    /// Of the drawings of keys.
    pub seed: u64,
}

/// The answer; `--json` prints it as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Shards that carry the load.
    pub shards: u64,
    /// What asks for that many: `in_bytes`, `out_bytes` or `records`.
    pub binding_limit: &'static str,
    /// For the bytes written, keys included where the records per second are known.
    pub shards_for_in: u64,
    /// For the bytes read by consumers that share a shard's read limit.
    pub shards_for_out: u64,
    /// For the records written; null where their number is not known.
    pub shards_for_records: Option<u64>,
    /// Shards when every consumer subscribes and has a read limit of its own.
    pub shards_if_consumers_subscribe: u64,
    /// Consumers assumed.
    pub consumers: u64,
    /// Written each second with keys, KB; as given where the number of records is not known.
    pub in_kb_with_keys: f64,
    /// How often each of the polling consumers may ask a shard, calls a second.
    pub polls_per_second_and_consumer: f64,
    /// How the keys fall; null where their number was not given.
    pub hottest_shard: Option<HottestShard>,
    /// What will go wrong, in sentences.
    pub warnings: Vec<String>,
}

/// The load of the shard that gets most keys, over random keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HottestShard {
    /// Distinct keys.
    pub keys: u64,
    /// Drawings that the figures below come from.
    pub drawings: u64,
    /// Keys of a shard on average.
    pub keys_mean: f64,
    /// Keys of the hottest shard in half of the drawings.
    pub keys_median: f64,
    /// Keys of the hottest shard that 99 of 100 drawings do not exceed.
    pub keys_p99: f64,
    /// Written to a shard on average, KB/s.
    pub in_kb_mean: f64,
    /// Written to the hottest shard, median, KB/s.
    pub in_kb_median: f64,
    /// Written to the hottest shard, 99th percentile, KB/s.
    pub in_kb_p99: f64,
    /// Records written to the hottest shard each second, median.
    pub records_per_second_median: Option<f64>,
    /// Records written to the hottest shard each second, 99th percentile.
    pub records_per_second_p99: Option<f64>,
    /// Read from the hottest shard, median, KB/s.
    pub out_kb_median: f64,
    /// Drawings in which the hottest shard's writes pass a limit, per cent.
    pub throttled_drawings_pct: f64,
    /// Distinct keys from which on the hottest shard has at most 1.2 times the mean.
    pub keys_for_even: u64,
}

/// A stream of more shards has nobody.
pub const SHARDS_MAX: u64 = 100_000;
/// More keys than that are as even as can be, and take too long to be drawn.
pub const KEYS_MAX: u64 = 1_000_000_000_000;

impl Question {
    /// Whether it can be answered.
    ///
    /// # Errors
    /// With a sentence.
    pub fn check(&self) -> Result<(), String> {
        let shards = needs(self).shards();
        if shards > SHARDS_MAX {
            let (shards, most) = (show_count(shards), show_count(SHARDS_MAX));
            return Err(format!("{shards} shards would be needed; a stream has {most} at most"));
        }
        if self.keys.is_some_and(|keys| keys > KEYS_MAX) {
            return Err(format!("--keys is {} at most", show_count(KEYS_MAX)));
        }
        Ok(())
    }
}

/// The shards that each of the limits asks for.
struct Needs {
    consumers: u64,
    in_kb: f64,
    for_in: u64,
    for_out: u64,
    for_records: Option<u64>,
}

impl Needs {
    fn for_writes(&self) -> u64 {
        self.for_in.max(self.for_records.unwrap_or(0)).max(1)
    }

    fn shards(&self) -> u64 {
        self.for_writes().max(self.for_out)
    }
}

fn needs(question: &Question) -> Needs {
    let in_kb = in_kb_with_keys(question);
    let records_max = f64::from(SHARD_WRITE_RECORDS_PER_SECOND);
    Needs {
        consumers: question.consumers.unwrap_or_else(|| consumers_of(question)),
        in_kb,
        for_in: shards_for(in_kb, WRITE_KB_PER_SHARD),
        for_out: shards_for(question.out_kb as f64, READ_KB_PER_SHARD),
        for_records: question.records_per_second.map(|n| shards_for(n as f64, records_max)),
    }
}

/// Answers a question that was checked.
#[must_use]
pub fn plan(question: &Question) -> Plan {
    let needs = needs(question);
    let (for_writes, shards) = (needs.for_writes(), needs.shards());
    let Needs { consumers, in_kb, for_in, for_out, for_records } = needs;
    let out_kb = question.out_kb as f64;
    let for_own_reads = shards_for(out_kb / consumers as f64, READ_KB_PER_SHARD);
    let binding_limit = if shards == for_out && for_out > for_writes {
        "out_bytes"
    } else if for_records.is_some_and(|count| count == shards && count > for_in) {
        "records"
    } else {
        "in_bytes"
    };
    let hottest_shard = question.keys.map(|keys| hottest_shard(question, shards, keys, in_kb));
    let mut plan = Plan {
        shards,
        binding_limit,
        shards_for_in: for_in,
        shards_for_out: for_out,
        shards_for_records: for_records,
        shards_if_consumers_subscribe: for_writes.max(for_own_reads),
        consumers,
        in_kb_with_keys: in_kb,
        polls_per_second_and_consumer: f64::from(SHARD_READ_CALLS_PER_SECOND) / consumers as f64,
        hottest_shard,
        warnings: Vec::new(),
    };
    plan.warnings = warnings(question, &plan);
    plan
}

/// As many consumers as read everything once for what is read in all, at least one.
fn consumers_of(question: &Question) -> u64 {
    question.out_kb.div_ceil(question.in_kb.max(1)).max(1)
}

fn in_kb_with_keys(question: &Question) -> f64 {
    let keys = question.records_per_second.unwrap_or(0) as f64 * question.key_bytes as f64;
    question.in_kb as f64 + keys / 1000.0
}

fn shards_for(load: f64, per_shard: f64) -> u64 {
    (load / per_shard).ceil() as u64
}

fn hottest_shard(question: &Question, shards: u64, keys: u64, in_kb: f64) -> HottestShard {
    let spread = Spread::draw(keys, shards, question.seed);
    let share = |keys_of_shard: f64| keys_of_shard / keys as f64;
    let records = |keys_of_shard: f64| {
        question.records_per_second.map(|count| count as f64 * share(keys_of_shard))
    };
    let write_kb_max = f64::from(SHARD_WRITE_BYTES_PER_SECOND) / 1000.0;
    let bytes_allow = write_kb_max / in_kb * keys as f64;
    let records_allow = question.records_per_second.map_or(f64::INFINITY, |count| {
        f64::from(SHARD_WRITE_RECORDS_PER_SECOND) / count as f64 * keys as f64
    });
    let (mean, median, p99) = (spread.mean(), spread.quantile(0.5), spread.quantile(0.99));
    HottestShard {
        keys,
        drawings: spread.drawings(),
        keys_mean: mean,
        keys_median: median,
        keys_p99: p99,
        in_kb_mean: in_kb * share(mean),
        in_kb_median: in_kb * share(median),
        in_kb_p99: in_kb * share(p99),
        records_per_second_median: records(median),
        records_per_second_p99: records(p99),
        out_kb_median: question.out_kb as f64 * share(median),
        throttled_drawings_pct: 100.0 * spread.share_above(bytes_allow.min(records_allow)),
        keys_for_even: keys_for_even(shards, question.seed),
    }
}

fn warnings(question: &Question, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(hot) = &plan.hottest_shard else {
        return warnings;
    };
    if hot.keys_p99 > EVEN_RATIO * hot.keys_mean {
        warnings.push(few_keys(plan, hot));
    }
    let key_kb = plan.in_kb_with_keys / hot.keys as f64;
    let key_records = question.records_per_second.map_or(0.0, |n| n as f64 / hot.keys as f64);
    let write_kb_max = f64::from(SHARD_WRITE_BYTES_PER_SECOND) / 1000.0;
    if key_kb > write_kb_max || key_records > f64::from(SHARD_WRITE_RECORDS_PER_SECOND) {
        warnings.push(
            "one key alone is more than a shard takes: no number of shards helps, only more keys"
                .to_owned(),
        );
    }
    let read_kb_max = f64::from(SHARD_READ_BYTES_PER_SECOND) / 1000.0;
    if hot.out_kb_median > read_kb_max {
        warnings.push(format!(
            "the hottest shard's readers want {} KB/s (median); polling consumers share {} KB/s \
             a shard and fall behind there, subscribed ones have as much each",
            show_count(hot.out_kb_median.round() as u64),
            show_count(read_kb_max.round() as u64),
        ));
    }
    warnings
}

fn few_keys(plan: &Plan, hot: &HottestShard) -> String {
    let kb = |number: f64| show_count(number.round() as u64);
    let mut text = format!(
        "{} keys are few for {} shards: the hottest shard gets {} of them and {} KB/s (median over \
         random keys), {} and {} KB/s (99th percentile), where the mean is {:.1} and {} KB/s",
        show_count(hot.keys),
        show_count(plan.shards),
        hot.keys_median.round(),
        kb(hot.in_kb_median),
        hot.keys_p99.round(),
        kb(hot.in_kb_p99),
        hot.keys_mean,
        kb(hot.in_kb_mean),
    );
    if let (Some(median), Some(p99)) = (hot.records_per_second_median, hot.records_per_second_p99) {
        write!(text, "; {} and {} records/s", kb(median), kb(p99)).expect("a String takes it");
    }
    let throttled = hot.throttled_drawings_pct;
    if throttled > 0.0 {
        let share =
            if throttled < 1.0 { "less than 1".to_owned() } else { format!("{throttled:.0}") };
        write!(text, "; it is throttled in {share} of 100 drawings").expect("a String takes it");
    }
    let even = show_count(hot.keys_for_even);
    write!(text, "; from about {even} keys on it has at most {EVEN_RATIO} times the mean")
        .expect("a String takes it");
    text
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binding = match self.binding_limit {
            "out_bytes" => "reading",
            "records" => "records a second",
            _ => "writing",
        };
        writeln!(f, " {} shards, because of {binding}", show_count(self.shards))?;
        let in_kb = show_short(self.in_kb_with_keys * 1000.0);
        writeln!(f, "   writing   {:>7}   {in_kb}B/s at 1 MB/s a shard", self.shards_for_in)?;
        match self.shards_for_records {
            Some(count) => writeln!(f, "   records   {count:>7}   at 1,000/s a shard")?,
            None => writeln!(
                f,
                "   records   unknown   1,000/s a shard: say --records-per-second, which also \
                 counts the keys' bytes"
            )?,
        }
        let consumers = self.consumers;
        writeln!(
            f,
            "   reading   {:>7}   at 2 MB/s a shard, shared by {consumers} consumer{} that poll, \
             {:.1} times a second each",
            self.shards_for_out,
            if consumers == 1 { "" } else { "s" },
            self.polls_per_second_and_consumer,
        )?;
        let subscribed = self.shards_if_consumers_subscribe;
        writeln!(f, "   {subscribed} shards would do if every consumer subscribed (2 MB/s each)")?;
        for warning in &self.warnings {
            writeln!(f, " warning: {warning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(in_kb: u64, out_kb: u64) -> Question {
        Question {
            in_kb,
            out_kb,
            records_per_second: None,
            consumers: None,
            keys: None,
            key_bytes: KEY_BYTES_DEFAULT,
            seed: 42,
        }
    }

    #[test]
    fn the_guides_formula() {
        let check = |in_kb: u64, out_kb: u64, expected: u64, limit: &str| {
            let plan = plan(&question(in_kb, out_kb));
            assert_eq!((plan.shards, plan.binding_limit), (expected, limit), "{in_kb} {out_kb}");
        };
        check(5_000, 30_000, 15, "out_bytes");
        check(5_000, 10_000, 5, "in_bytes");
        check(5_001, 10_000, 6, "in_bytes");
        check(0, 0, 1, "in_bytes");
        check(1, 2_001, 2, "out_bytes");
    }

    #[test]
    fn records_and_their_keys_count() {
        let records = |records_per_second| {
            plan(&Question { records_per_second: Some(records_per_second), ..question(5_000, 0) })
        };
        let plan = records(20_001);
        assert_eq!((plan.shards, plan.binding_limit), (21, "records"));
        // 5,000 KB/s of data and 3,000 keys of 16 bytes a second: 5,048 KB/s.
        let plan = records(3_000);
        assert_eq!((plan.shards, plan.binding_limit), (6, "in_bytes"));
        assert_eq!(plan.in_kb_with_keys, 5_048.0);
    }

    #[test]
    fn subscribed_consumers_do_not_share() {
        let plan = plan(&question(5_000, 30_000));
        assert_eq!(plan.consumers, 6);
        assert_eq!(plan.shards_if_consumers_subscribe, 5);
        assert!((plan.polls_per_second_and_consumer - 5.0 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn few_keys_get_a_warning_with_figures() {
        let few = plan(&Question { keys: Some(40), ..question(5_000, 30_000) });
        assert_eq!(few.shards, 15);
        let hot = few.hottest_shard.as_ref().unwrap();
        assert_eq!(hot.in_kb_mean.round(), 333.0);
        // 40 keys of 125 KB/s each: six or seven on the hottest shard, nine once in a hundred.
        assert!([6.0, 7.0].contains(&hot.keys_median), "{hot:?}");
        assert!([9.0, 10.0].contains(&hot.keys_p99), "{hot:?}");
        assert_eq!(hot.in_kb_median, hot.keys_median * 125.0);
        assert_eq!(hot.keys_for_even, 5_000);
        assert!(few.warnings[0].contains("40 keys are few for 15 shards"), "{:?}", few.warnings);
        assert!(few.warnings[0].contains("from about 5,000 keys on"), "{:?}", few.warnings);
        assert!(few.to_string().contains("15 shards, because of reading"));

        let many = plan(&Question { keys: Some(1_000_000), ..question(5_000, 10_000) });
        assert_eq!(many.warnings, [] as [String; 0]);
    }

    #[test]
    fn one_key_that_is_too_much_is_told() {
        let plan = plan(&Question { keys: Some(2), ..question(5_000, 5_000) });
        assert!(plan.warnings.iter().any(|text| text.contains("no number of shards helps")));
        assert_eq!(plan.hottest_shard.unwrap().throttled_drawings_pct, 100.0);
    }
}
