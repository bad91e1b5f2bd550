//! Meters over a window of a run: who used the CPU, what it asked of the kernel, what the machine
//! did meanwhile.
//!
//! ```text
//!   Meters::start ──── the measured window ──── stop ─▶ Usage ─▶ resources of run.json
//! ```
//! Everything is read at both ends and nothing in between: a meter must not cost what it measures.
//! Only system calls are counted while they happen, by the kernel. The threads that are watched
//! must live at both ends: stop the meters before the engine.

mod host;
mod system_calls;
pub(crate) mod text;
mod threads;

use crate::environment::disk;
use crate::environment::reasons::Reasons;
use crate::environment::resources::{HostResources, ServerResources};
use host::{HostSnapshot, read};
use std::path::PathBuf;
use std::time::Duration;
use system_calls::{SystemCallCounters, SystemCalls};
pub use threads::ThreadGroup;
use threads::ThreadTimes;

/// Whom to watch.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The engine's threads: `ThreadGroup::named("gyre-")` where it is embedded, its process where it
    /// was spawned, `None` where it is elsewhere.
    pub server: Option<ThreadGroup>,
    /// The generator's threads.
    pub generator: ThreadGroup,
    /// A folder on the disk to watch; `None` where the server's disk is not here.
    pub data: Option<PathBuf>,
}

/// Meters that are running.
pub struct Meters {
    watched: Watched,
    disk: Result<PathBuf, String>,
    host: HostSnapshot,
    server: Result<ThreadTimes, String>,
    generator: Result<ThreadTimes, String>,
    system_calls: SystemCallCounters,
}

impl Meters {
    /// Starts the window. Takes some milliseconds: one file per process and watched thread.
    #[must_use]
    pub fn start(watched: Watched) -> Meters {
        let disk = match &watched.data {
            Some(folder) => disk::of_folder(folder),
            None => Err("the server's disk is not on this machine".to_owned()),
        };
        let server = group(watched.server.as_ref());
        let system_calls =
            SystemCallCounters::start(&server.clone().and_then(ThreadGroup::threads));
        Meters {
            disk: disk.clone(),
            server: server.and_then(ThreadGroup::times),
            generator: watched.generator.times(),
            host: HostSnapshot::take(&disk),
            watched,
            system_calls,
        }
    }

    /// Ends the window.
    #[must_use]
    pub fn stop(self) -> Usage {
        let server = group(self.watched.server.as_ref());
        let system_calls = self.system_calls.stop();
        let server_times = server.clone().and_then(ThreadGroup::times);
        let generator_times = self.watched.generator.times();
        let host = HostSnapshot::take(&self.disk);
        Usage {
            span: host.taken() - self.host.taken(),
            server_cpu: cpu(server_times, &self.server),
            generator_cpu: cpu(generator_times, &self.generator),
            server_rss_max_bytes: server.and_then(rss_max_bytes),
            system_calls,
            host: host.since(&self.host, std::process::id()),
        }
    }
}

fn group(group: Option<&ThreadGroup>) -> Result<&ThreadGroup, String> {
    group.ok_or_else(|| "the server is not on this machine, or not ours".to_owned())
}

fn cpu(
    later: Result<ThreadTimes, String>,
    earlier: &Result<ThreadTimes, String>,
) -> Result<CpuTime, String> {
    let later = later?;
    let earlier = earlier.as_ref().map_err(Clone::clone)?;
    Ok(CpuTime { all: later.since(earlier), busiest: later.busiest_since(earlier) })
}

/// The highest resident memory of the group's process since it started.
fn rss_max_bytes(group: &ThreadGroup) -> Result<u64, String> {
    let path = format!("/proc/{}/status", group.process);
    read(path.into(), |text| text::kib_line(text, "VmHWM"))
}

/// CPU time of a group of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTime {
    all: Duration,
    busiest: Duration,
}

/// What the window took.
#[derive(Clone, Debug)]
pub struct Usage {
    span: Duration,
    server_cpu: Result<CpuTime, String>,
    generator_cpu: Result<CpuTime, String>,
    server_rss_max_bytes: Result<u64, String>,
    system_calls: SystemCalls,
    host: HostResources,
}

/// What the server did in the window, as it and the load say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerWork {
    /// Records acknowledged.
    pub acked_records: u64,
    /// Their data, without keys.
    pub payload_bytes: u64,
    /// Flushes that the engine asked for, where it says.
    pub flushes: Option<u64>,
    /// All bytes that the engine wrote, where it says.
    pub written_bytes: Option<u64>,
    /// All bytes that the engine read, where it says.
    pub read_bytes: Option<u64>,
    /// Of what readers asked for, the pieces that came from the disk, where it says.
    pub cache_misses: Option<u64>,
}

impl Usage {
    /// The window's length.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.span
    }

    /// `resources.host`.
    #[must_use]
    pub fn host(&self) -> HostResources {
        self.host.clone()
    }

    /// `resources.generator.cpu_pct`, or why it is null.
    ///
    /// # Errors
    /// With the reason.
    pub fn generator_cpu_pct(&self) -> Result<f64, String> {
        self.generator_cpu.clone().map(|cpu| self.pct(cpu.all))
    }

    /// The busiest thread of the engine, in percent of one CPU: what `roofline` calls a core.
    #[must_use]
    pub fn busiest_engine_core_pct(&self) -> Option<f64> {
        self.server_cpu.as_ref().ok().map(|cpu| self.pct(cpu.busiest))
    }

    /// The busiest thread of the generator, in percent of one CPU.
    #[must_use]
    pub fn busiest_generator_core_pct(&self) -> Option<f64> {
        self.generator_cpu.as_ref().ok().map(|cpu| self.pct(cpu.busiest))
    }

    /// `resources.server`.
    #[must_use]
    pub fn server(&self, work: &ServerWork) -> ServerResources {
        let mut reasons = Reasons::default();
        let records = match work.acked_records {
            0 => Err("no record was acknowledged".to_owned()),
            records => Ok(records as f64),
        };
        let per_record = |amount: Result<f64, String>| Ok(amount? / records.clone()?);
        let cpu = self.server_cpu.clone().map(|cpu| cpu.all);
        let cpu_us = cpu.clone().map(|cpu| cpu.as_secs_f64() * 1e6);
        let calls = self.system_calls.all.clone().map(|calls| calls as f64);
        let enters = self.system_calls.uring_enters.clone().map(|enters| enters as f64);
        let unsaid = || "the server does not say".to_owned();
        let written =
            work.written_bytes.ok_or_else(unsaid).and_then(|written| match work.payload_bytes {
                0 => Err("no record was acknowledged".to_owned()),
                payload => Ok(written as f64 / payload as f64),
            });
        let rss_max_bytes = self.server_rss_max_bytes.clone();
        ServerResources {
            cpu_us_per_record: reasons.keep("cpu_us_per_record", per_record(cpu_us)),
            cpu_pct: reasons.keep("cpu_pct", cpu.map(|cpu| self.pct(cpu))),
            rss_max_bytes: reasons.keep("rss_max_bytes", rss_max_bytes),
            syscalls_per_record: reasons.keep("syscalls_per_record", per_record(calls)),
            uring_enters_per_record: reasons.keep("uring_enters_per_record", per_record(enters)),
            flushes: reasons.keep("flushes", work.flushes.ok_or_else(unsaid)),
            bytes_written_per_payload_byte: reasons.keep("bytes_written_per_payload_byte", written),
            read_bytes: reasons.keep("read_bytes", work.read_bytes.ok_or_else(unsaid)),
            cache_misses: reasons.keep("cache_misses", work.cache_misses.ok_or_else(unsaid)),
            null_reasons: reasons,
        }
    }

    fn pct(&self, cpu: Duration) -> f64 {
        100.0 * cpu.as_secs_f64() / self.span.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage() -> Usage {
        let millis = Duration::from_millis;
        Usage {
            span: millis(2_000),
            server_cpu: Ok(CpuTime { all: millis(1_000), busiest: millis(900) }),
            generator_cpu: Ok(CpuTime { all: millis(500), busiest: millis(500) }),
            server_rss_max_bytes: Ok(1 << 30),
            system_calls: SystemCalls { all: Ok(4_000), uring_enters: Err("none".to_owned()) },
            host: HostResources::default(),
        }
    }

    #[test]
    fn figures_are_per_acknowledged_record() {
        let work = ServerWork {
            acked_records: 1_000_000,
            payload_bytes: 100_000_000,
            flushes: Some(800),
            written_bytes: Some(140_000_000),
            read_bytes: Some(0),
            cache_misses: None,
        };
        let server = usage().server(&work);
        assert_eq!(server.cpu_us_per_record, Some(1.0));
        assert_eq!(server.cpu_pct, Some(50.0));
        assert_eq!(server.syscalls_per_record, Some(0.004));
        assert_eq!(server.uring_enters_per_record, None);
        assert_eq!(server.null_reasons.of("uring_enters_per_record"), Some("none"));
        assert_eq!(server.flushes, Some(800));
        assert_eq!(server.bytes_written_per_payload_byte, Some(1.4));
        assert_eq!((server.read_bytes, server.cache_misses), (Some(0), None));
        assert_eq!(usage().busiest_engine_core_pct(), Some(45.0));
        assert_eq!(usage().generator_cpu_pct(), Ok(25.0));
        assert_eq!(usage().busiest_generator_core_pct(), Some(25.0));
    }

    #[test]
    fn nothing_acknowledged_is_null_not_infinite() {
        let server = usage().server(&ServerWork::default());
        assert_eq!((server.cpu_us_per_record, server.syscalls_per_record), (None, None));
        assert_eq!(server.bytes_written_per_payload_byte, None);
        assert_eq!(server.null_reasons.of("cpu_us_per_record"), Some("no record was acknowledged"));
        assert_eq!(server.null_reasons.of("flushes"), Some("the server does not say"));
    }

    #[test]
    fn this_process_is_measured() {
        let own = ThreadGroup::of_process(std::process::id());
        let watched = Watched { server: Some(own.clone()), generator: own, data: None };
        let meters = Meters::start(watched);
        let began = runtime::clock::now();
        while runtime::clock::now() - began < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        let usage = meters.stop();
        assert!(usage.span() >= Duration::from_millis(60));
        assert!(usage.busiest_engine_core_pct().unwrap() > 1.0);
        let server = usage.server(&ServerWork { acked_records: 1, ..ServerWork::default() });
        assert!(server.rss_max_bytes.unwrap() > 1 << 20);
        assert_eq!(
            usage.host().null_reasons.of("disk_util_pct"),
            Some("the server's disk is not on this machine")
        );
    }

    #[test]
    fn a_server_elsewhere_has_no_figures_but_reasons() {
        let own = ThreadGroup::of_process(std::process::id());
        let usage = Meters::start(Watched { server: None, generator: own, data: None }).stop();
        let server = usage.server(&ServerWork { acked_records: 1, ..ServerWork::default() });
        assert_eq!(server.syscalls_per_record, None);
        let reason = server.null_reasons.of("syscalls_per_record").unwrap();
        assert!(reason.contains("not on this machine"));
        assert_eq!(server.rss_max_bytes, None);
    }
}
