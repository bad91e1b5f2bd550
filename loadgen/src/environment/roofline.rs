//! How near the run came to what the machine can do, and what stopped it. A pure function of what
//! was measured.

use serde::{Deserialize, Serialize};

/// Above this share of its probe the disk is what stops a run (METHOD.md §3.2).
pub const DISK_RATIO: f64 = 0.85;
/// Above this share of a CPU an engine core is, in percent.
pub const ENGINE_CORE_PCT: f64 = 90.0;
/// Above this share of its time in useful work the generator is, in percent.
pub const GENERATOR_LOAD_PCT: f64 = 90.0;
/// Above this share of what it reaches on the stub the generator is too.
pub const GENERATOR_CEILING_RATIO: f64 = 0.85;
/// Above this share of what all shards together may take their limits are.
pub const SHARD_LIMITS_RATIO: f64 = 0.95;

/// `roofline` of run.json.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Bytes of sealed frames written a second over the probe's `seq_write`.
    pub disk_write_ratio: Option<f64>,
    /// Flushes a second over the probe's `write_flush_per_s`.
    pub flush_ratio: Option<f64>,
    /// "disk", "engine core", "generator", "shard limits" or "none: …" with the shares.
    pub bottleneck: String,
}

/// What was measured in one window; `None` where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Bytes of sealed frames written a second.
    pub frame_bytes_per_s: Option<f64>,
    /// Flushes a second that the engine asked for.
    pub flushes_per_s: Option<f64>,
    /// The probe's figure, MB a second.
    pub seq_write_mb_s: Option<f64>,
    /// The probe's figure.
    pub write_flush_per_s: Option<f64>,
    /// The busiest engine core, in percent of a CPU.
    pub engine_core_pct: Option<f64>,
    /// The busiest generator core: time in useful work over time, in percent.
    pub generator_load_pct: Option<f64>,
    /// Records acknowledged a second.
    pub acked_per_s: f64,
    /// What the generator reaches on the stub, records a second.
    pub generator_ceiling_per_s: Option<f64>,
    /// What the limits of all open shards let through, records a second; `None` without limits.
    pub shard_limit_per_s: Option<f64>,
}

/// The ratios, and the name of what stopped the run.
///
/// The rate of flushes names nothing: an engine with one flush in flight at a time comes near the
/// probe's rate as soon as two calls are under way, and then writes more with each flush.
#[must_use]
pub fn roofline(measured: &Measured) -> Roofline {
    let ratio = |part: Option<f64>, whole: Option<f64>| match (part, whole) {
        (Some(part), Some(whole)) if whole > 0.0 => Some(part / whole),
        (_, _) => None,
    };
    let seq_write = measured.seq_write_mb_s.map(|mb_s| mb_s * 1e6);
    let disk = ratio(measured.frame_bytes_per_s, seq_write);
    Roofline {
        disk_write_ratio: disk,
        flush_ratio: ratio(measured.flushes_per_s, measured.write_flush_per_s),
        bottleneck: bottleneck(measured, disk),
    }
}

fn bottleneck(measured: &Measured, disk: Option<f64>) -> String {
    let reaches = |share: Option<f64>, limit: f64| share.is_some_and(|share| share >= limit);
    let of_acked = |whole: Option<f64>| whole.map(|whole| measured.acked_per_s / whole);
    // A run at the limits of its shards is stopped by them, whatever else is busy.
    if reaches(of_acked(measured.shard_limit_per_s), SHARD_LIMITS_RATIO) {
        return "shard limits".to_owned();
    }
    // Of two that are reached, the one that is farther beyond its threshold.
    let core = measured.engine_core_pct;
    if reaches(disk, DISK_RATIO) || reaches(core, ENGINE_CORE_PCT) {
        let disk = disk.unwrap_or(0.0) / DISK_RATIO;
        let core = core.unwrap_or(0.0) / ENGINE_CORE_PCT;
        return if disk >= core { "disk" } else { "engine core" }.to_owned();
    }
    if reaches(measured.generator_load_pct, GENERATOR_LOAD_PCT)
        || reaches(of_acked(measured.generator_ceiling_per_s), GENERATOR_CEILING_RATIO)
    {
        return "generator".to_owned();
    }
    let shares = [
        core.map(|pct| format!("engine core at {pct:.0} %")),
        disk.map(|ratio| format!("disk at {:.0} % of its probe", 100.0 * ratio)),
        measured.generator_load_pct.map(|pct| format!("generator at {pct:.0} %")),
    ];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    match shares.is_empty() {
        true => "none: nothing could be measured".to_owned(),
        false => format!("none: {}", shares.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn easy() -> Measured {
        Measured {
            frame_bytes_per_s: Some(380e6),
            flushes_per_s: Some(2_400.0),
            seq_write_mb_s: Some(1_000.0),
            write_flush_per_s: Some(2_500.0),
            engine_core_pct: Some(56.0),
            generator_load_pct: Some(40.0),
            acked_per_s: 3e6,
            generator_ceiling_per_s: Some(6e6),
            shard_limit_per_s: Some(4.096e6),
        }
    }

    #[test]
    fn ratios_are_of_the_probes() {
        let found = roofline(&easy());
        assert_eq!(found.disk_write_ratio, Some(0.38));
        assert_eq!(found.flush_ratio, Some(0.96));
        let unknown = roofline(&Measured { seq_write_mb_s: None, ..easy() });
        assert_eq!(unknown.disk_write_ratio, None);
        let zero = roofline(&Measured { seq_write_mb_s: Some(0.0), ..easy() });
        assert_eq!(zero.disk_write_ratio, None);
    }

    #[test]
    fn the_bottleneck_has_a_name() {
        let check = |measured: Measured, expected: &str| {
            assert_eq!(roofline(&measured).bottleneck, expected, "{measured:?}");
        };
        check(easy(), "none: engine core at 56 %, disk at 38 % of its probe, generator at 40 %");
        let disk = Measured { frame_bytes_per_s: Some(900e6), ..easy() };
        check(disk, "disk");
        let core = Measured { engine_core_pct: Some(97.0), ..easy() };
        check(core, "engine core");
        check(Measured { engine_core_pct: Some(91.0), ..disk }, "disk");
        check(Measured { frame_bytes_per_s: Some(851e6), ..core }, "engine core");
        check(Measured { generator_load_pct: Some(90.0), ..easy() }, "generator");
        check(Measured { generator_ceiling_per_s: Some(3.2e6), ..easy() }, "generator");
        check(Measured { generator_load_pct: Some(99.0), ..core }, "engine core");
        check(Measured { acked_per_s: 3.95e6, ..disk }, "shard limits");
        check(
            Measured { shard_limit_per_s: None, ..easy() },
            "none: engine core at 56 %, disk at 38 % of its probe, generator at 40 %",
        );
        check(Measured::default(), "none: nothing could be measured");
    }
}
