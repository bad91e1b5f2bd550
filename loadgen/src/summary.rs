//! A run in a few lines.

use crate::amount::{show_count, show_short};
use crate::outcome::Outcome;
use crate::stats::distribution::Quantile;
use crate::stats::recorder::Kind;
use std::fmt;

/// See the module.
pub struct Summary<'a>(pub &'a Outcome);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary(outcome) = self;
        let load = &outcome.load;
        let counters = &load.counters;
        let seconds = load.measured_ns as f64 / 1e9;
        let per_second = |count: u64| show_short(count as f64 / seconds);
        let mb_s = counters.acked_bytes as f64 / 1e6 / seconds;
        writeln!(f, " offered   {}/s", per_second(counters.offered_records))?;
        writeln!(f, " acked     {}/s  {mb_s:.1} MB/s", per_second(counters.acked_records))?;
        for (name, count) in [
            ("throttled", counters.throttled_records),
            ("failed", counters.failed_records),
            ("timed out", counters.timed_out_records),
            ("unsent", counters.unsent_records),
        ] {
            if count > 0 {
                writeln!(f, " {name:<9} {} records", show_count(count))?;
            }
        }
        for kind in Kind::ALL {
            let latency = load.latency(kind);
            if latency.count() == 0 {
                continue;
            }
            write!(f, " {:<13}", kind.name())?;
            for q in [0.5, 0.99, 0.999] {
                match latency.quantile(q) {
                    Quantile::Value(ns) => write!(f, "  {:9.3}", ns as f64 / 1e6)?,
                    Quantile::AtLeast(ns) => write!(f, "  ≥ {:7.3}", ns as f64 / 1e6)?,
                    Quantile::NeedsCalls(_) => write!(f, "        n/a")?,
                }
            }
            writeln!(f, "  ms (p50 p99 p99.9), {} calls", show_count(latency.calls()))?;
        }
        let verify = &outcome.verify;
        writeln!(f, " verify    {}: {} read", verify.verdict.word(), show_count(verify.checked))?;
        for sentence in verify.named.iter().chain(&outcome.validity.reasons) {
            writeln!(f, "   {sentence}")?;
        }
        let limits = load.shards.limits.iter().flatten();
        let (over, unjust) = limits.fold((0, 0), |(over, unjust), shard| {
            (over + shard.over_accept_s, unjust + shard.unjust_throttle_s)
        });
        writeln!(f, " limits    {over} over-accepted seconds, {unjust} with unjust throttles")?;
        let generator = &outcome.generator;
        writeln!(
            f,
            " generator {:.0} % busy, longest stall {:.2} ms",
            generator.load_pct,
            generator.self_stall_max.as_secs_f64() * 1e3
        )?;
        for slo in &outcome.slo {
            let mark = if slo.pass { "held" } else { "broken" };
            writeln!(f, " slo       {} {mark}: {}", slo.expression, slo.observed)?;
        }
        Ok(())
    }
}
