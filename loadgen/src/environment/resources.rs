//! What a run took: `resources` of run.json. Percentages of CPU are of one CPU.

use crate::environment::preflight::STEAL_PCT_MAX;
use crate::environment::reasons::Reasons;
use serde::{Deserialize, Serialize};

/// Above it others decided the run with us, in percent of one CPU.
pub const FOREIGN_CPU_PCT_MAX: f64 = 5.0;

/// `resources` of run.json.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// What the engine took.
    pub server: ServerResources,
    /// What the load generator took.
    pub generator: GeneratorResources,
    /// What the machine says.
    pub host: HostResources,
}

/// What the engine took over the measured window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerResources {
    /// CPU time of the engine's threads per acknowledged record, in microseconds.
    pub cpu_us_per_record: Option<f64>,
    /// The engine's threads, in percent of one CPU.
    pub cpu_pct: Option<f64>,
    /// The highest resident memory since the process started, in bytes. Embedded: of the whole
    /// process, generator included, for threads share their memory.
    pub rss_max_bytes: Option<u64>,
    /// System calls of the engine's threads per acknowledged record, as the kernel counts them.
    pub syscalls_per_record: Option<f64>,
    /// Of these, io_uring_enter.
    pub uring_enters_per_record: Option<f64>,
    /// Flushes that the engine asked for.
    pub flushes: Option<u64>,
    /// Everything written to the device, per byte of payload acknowledged.
    pub bytes_written_per_payload_byte: Option<f64>,
    /// What the engine read from its segments, for readers and for its own housekeeping.
    pub read_bytes: Option<u64>,
    /// Pieces that readers and followers had from the disk, because memory held them no more.
    pub cache_misses: Option<u64>,
    /// Why a figure is null.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub null_reasons: Reasons,
}

/// What the load generator took over the measured window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorResources {
    /// Time in useful work over time; polling is not work.
    pub load_pct: Option<f64>,
    /// CPU time of the generator's threads, in percent of one CPU.
    pub cpu_pct: Option<f64>,
    /// The longest gap in a generator core's heartbeat, in microseconds.
    pub self_stall_max_us: Option<f64>,
    /// Time in gaps of more than 1 ms over time.
    pub self_stall_pct: Option<f64>,
    /// What the generator reaches against the stub.
    pub ceiling_records_per_s: Option<f64>,
    /// Why a figure is null.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub null_reasons: Reasons,
}

/// What the machine says about the measured window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostResources {
    /// Time in which the device had work, in percent.
    pub disk_util_pct: Option<f64>,
    /// Recorded, not judged: our own load makes it.
    pub psi: Option<Pressure>,
    /// CPU time that the host gave to others, in percent of all CPU time.
    pub steal_pct: Option<f64>,
    /// CPU time of others' processes, in percent of one CPU.
    pub foreign_cpu_pct: Option<f64>,
    /// CPU time of kernel threads, in percent of one CPU: our own flushes are among them.
    pub kernel_cpu_pct: Option<f64>,
    /// Interrupts and soft interrupts, in percent of one CPU.
    pub irq_cpu_pct: Option<f64>,
    /// Flushes that reached the device.
    pub device_flushes: Option<u64>,
    /// Bytes that were written to the device, by anyone.
    pub device_written_bytes: Option<u64>,
    /// Reads that reached the device, of anyone.
    pub device_reads: Option<u64>,
    /// Their bytes.
    pub device_read_bytes: Option<u64>,
    /// Why a figure is null.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub null_reasons: Reasons,
}

impl HostResources {
    /// Why the window must not be trusted (METHOD.md §3.3): what was too much, and what is not
    /// known. Empty where the machine was ours.
    #[must_use]
    pub fn contended(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.foreign_cpu_pct {
            Some(pct) if pct <= FOREIGN_CPU_PCT_MAX => {}
            Some(pct) => reasons.push(format!(
                "other processes used {pct:.1} % of a CPU (at most {FOREIGN_CPU_PCT_MAX:.0} %)"
            )),
            None => reasons.push("other processes' CPU time is unknown".to_owned()),
        }
        match self.steal_pct {
            Some(pct) if pct <= STEAL_PCT_MAX => {}
            Some(pct) => reasons.push(format!(
                "the host took {pct:.1} % of the CPU time (at most {STEAL_PCT_MAX:.0} %)"
            )),
            None => reasons.push("the host's share of the CPU time is unknown".to_owned()),
        }
        reasons
    }
}

/// Share of the window in which at least one task waited, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// For a CPU.
    pub cpu_some_pct: Option<f64>,
    /// For I/O.
    pub io_some_pct: Option<f64>,
    /// For memory.
    pub memory_some_pct: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contention_is_what_is_too_much_or_unknown() {
        let check = |foreign_cpu_pct, steal_pct, expected: &[&str]| {
            let host = HostResources { foreign_cpu_pct, steal_pct, ..HostResources::default() };
            let found = host.contended();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (sentence, words) in found.iter().zip(expected) {
                assert!(sentence.contains(words), "{sentence}");
            }
        };
        check(Some(5.0), Some(2.0), &[]);
        check(Some(5.1), Some(2.0), &["5.1 % of a CPU"]);
        check(Some(0.0), Some(9.0), &["host took 9.0 %"]);
        check(None, None, &["unknown", "unknown"]);
    }
}
