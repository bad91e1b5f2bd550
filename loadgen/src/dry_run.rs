//! What a run would do: records, bytes, seconds, disk, memory, hottest shard. Nothing is started.

use crate::amount::{show_bytes, show_count, show_short};
use crate::keys::{FRESH_KEY_BYTES, KEY_BYTES_MAX, KeyDistribution, Keys};
use crate::plan::Spread;
use crate::scenario::{LimitsSetting, Rate, Scenario};
use model::limits::{SHARD_WRITE_BYTES_PER_SECOND, SHARD_WRITE_RECORDS_PER_SECOND};
use serde::Serialize;
use std::fmt;

/// The answer; `--json` prints it as it is. Null: a closed loop's rate is known afterwards only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DryRun {
    /// The resolved scenario.
    pub scenario: Scenario,
    /// Warm-up and measurement together, without probes and reading back.
    pub seconds: f64,
    /// Records over that time.
    pub records: Option<u64>,
    /// Their data without keys.
    pub payload_bytes: Option<u64>,
    /// Data and keys: the disk takes at least that much.
    pub disk_bytes_min: Option<u64>,
    /// Calls in flight at most.
    pub in_flight_max: u64,
    /// Records a second of the hottest shard, 99th percentile over random keys.
    pub hottest_shard_records_per_s: Option<f64>,
    /// The same in bytes with keys.
    pub hottest_shard_bytes_per_s: Option<f64>,
    /// Whether that shard will be throttled.
    pub throttles: Option<bool>,
    /// A search finds the rate: all figures are those of the highest that it may try, and the run is
    /// shortened to what a quarter of the free space takes.
    pub searched: bool,
}

/// Predicts the default run as far as that can be done: what it takes at most.
#[must_use]
pub fn dry_run_of_search(scenario: &Scenario) -> DryRun {
    // Its rate is measured at a part of what has held without throttling.
    DryRun { searched: true, throttles: Some(false), ..dry_run(scenario) }
}

/// Predicts a run.
#[must_use]
pub fn dry_run(scenario: &Scenario) -> DryRun {
    let seconds = (scenario.run.warmup.0 + scenario.run.measure.0).as_secs_f64();
    let rate = match scenario.producer.rate {
        Rate::Max => None,
        Rate::PerSecond(rate) => Some(rate),
    };
    let records = rate.map(|rate| (rate as f64 * seconds).ceil() as u64);
    let data_bytes = scenario.record_bytes().0;
    let keys = scenario.producer.keys.distribution();
    let cost_bytes = data_bytes + key_bytes(keys);
    let hottest = rate.map(|rate| hottest_share(scenario, rate) * rate as f64);
    let limited = scenario.stream.limits == LimitsSetting::Aws;
    let throttles = hottest.map(|records| {
        let bytes = records * cost_bytes as f64;
        let over = records > f64::from(SHARD_WRITE_RECORDS_PER_SECOND)
            || bytes > f64::from(SHARD_WRITE_BYTES_PER_SECOND);
        limited && over
    });
    DryRun {
        scenario: scenario.clone(),
        seconds,
        records,
        payload_bytes: records.map(|records| records * data_bytes),
        disk_bytes_min: records.map(|records| records * cost_bytes),
        in_flight_max: scenario.producer.in_flight(),
        hottest_shard_records_per_s: hottest,
        hottest_shard_bytes_per_s: hottest.map(|records| records * cost_bytes as f64),
        throttles,
        searched: false,
    }
}

const fn key_bytes(keys: KeyDistribution) -> u64 {
    match keys {
        KeyDistribution::Fresh | KeyDistribution::Hot { .. } => FRESH_KEY_BYTES as u64,
        KeyDistribution::Uniform { .. } | KeyDistribution::Zipf { .. } => KEY_BYTES_MAX as u64,
    }
}

/// The hottest shard's part of all records: where a second's fresh keys are the dice, or the run's K
/// keys are; and never less than the most frequent key alone.
fn hottest_share(scenario: &Scenario, rate: u64) -> f64 {
    let shards = u64::from(scenario.stream.shards);
    let distribution = scenario.producer.keys.distribution();
    let dice = match distribution {
        KeyDistribution::Uniform { keys } => keys.min(rate),
        _ => rate,
    };
    let spread = Spread::draw(dice, shards, scenario.seed);
    let even = spread.quantile(0.99) / dice as f64;
    let top = Keys::new(distribution, scenario.seed).top(1);
    let top_share = match distribution {
        KeyDistribution::Uniform { .. } => 0.0,
        _ => top.first().map_or(0.0, |(_, share)| *share),
    };
    top_share + (1.0 - top_share) * even
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "known afterwards (closed loop)".to_owned();
        let count = |count: Option<u64>| count.map_or_else(unknown, show_count);
        let bytes = |bytes: Option<u64>| bytes.map_or_else(unknown, show_bytes);
        write!(f, "{}", self.scenario.to_toml())?;
        writeln!(f)?;
        writeln!(f, " seconds         {:.1} (without probes and reading back)", self.seconds)?;
        if self.searched {
            let rate = self.scenario.producer.rate;
            writeln!(
                f,
                " rate            searched, {rate} records/s at most: 95 % of the shards' limit"
            )?;
            writeln!(f, " measured        at 90 % of the highest that holds, or 75 %, or 50 %")?;
            writeln!(
                f,
                " disk            a quarter of what is free at most: else it is shortened"
            )?;
            writeln!(f, " records, most   {}", count(self.records))?;
            writeln!(f, " payload, most   {}", bytes(self.payload_bytes))?;
            writeln!(f, " in flight       {} calls at most", self.in_flight_max)?;
            return writeln!(f, " nothing was started (--dry-run)");
        }
        writeln!(f, " records         {}", count(self.records))?;
        writeln!(f, " payload         {}", bytes(self.payload_bytes))?;
        writeln!(f, " disk, at least  {}", bytes(self.disk_bytes_min))?;
        writeln!(f, " in flight       {} calls at most", self.in_flight_max)?;
        if let (Some(records), Some(rate_bytes), Some(throttles)) =
            (self.hottest_shard_records_per_s, self.hottest_shard_bytes_per_s, self.throttles)
        {
            let verdict =
                if throttles { "over its limits: throttled" } else { "within its limits" };
            writeln!(
                f,
                " hottest shard   {} records/s, {}B/s (99th percentile), {verdict}",
                show_short(records),
                show_short(rate_bytes),
            )?;
        }
        writeln!(f, " nothing was started (--dry-run)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::KeysSetting;

    fn scenario(rate: u64, shards: u32, keys: &str) -> Scenario {
        let mut scenario = Scenario::run_default();
        scenario.producer.rate = Rate::PerSecond(rate);
        scenario.stream.shards = shards;
        scenario.producer.keys = KeysSetting::from(keys.parse::<KeyDistribution>().unwrap());
        scenario
    }

    #[test]
    fn an_open_loop_is_predicted() {
        let plan = dry_run(&scenario(10_000, 64, "uniform"));
        assert_eq!(plan.seconds, 12.0);
        assert_eq!(plan.records, Some(120_000));
        assert_eq!(plan.payload_bytes, Some(12_000_000));
        assert_eq!(plan.disk_bytes_min, Some(120_000 * 116));
        let hottest = plan.hottest_shard_records_per_s.unwrap();
        assert!((160.0..230.0).contains(&hottest), "{hottest}");
        assert_eq!(plan.throttles, Some(false));
        assert!(plan.to_string().contains("records         120,000"));
    }

    #[test]
    fn a_hot_key_throttles_and_limits_off_does_not() {
        let mut hot = scenario(20_000, 64, "hot:10");
        let plan = dry_run(&hot);
        let hottest = plan.hottest_shard_records_per_s.unwrap();
        assert!((2_280.0..2_500.0).contains(&hottest), "{hottest}");
        assert_eq!(plan.throttles, Some(true));
        hot.stream.limits = LimitsSetting::Off;
        assert_eq!(dry_run(&hot).throttles, Some(false));
    }

    #[test]
    fn the_default_run_promises_no_rate() {
        let text = dry_run_of_search(&Scenario::default_run()).to_string();
        assert!(text.contains("searched, 3891200 records/s at most"), "{text}");
        assert!(!text.contains("its limits") && !text.contains("hottest"), "{text}");
    }

    #[test]
    fn a_closed_loop_predicts_nothing_that_it_cannot_know() {
        let plan = dry_run(&Scenario::run_default());
        assert_eq!(plan.records, None);
        assert_eq!(plan.throttles, None);
        assert!(plan.to_string().contains("closed loop"));
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["records"], serde_json::Value::Null);
    }
}
