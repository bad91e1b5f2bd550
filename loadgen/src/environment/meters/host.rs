//! What the machine did meanwhile: others' CPU time, steal, pressure, the disk.

use super::text::{
    BlockStat, CpuTicks, ProcessStat, SomePressure, block_stat, cpu_ticks, process_stat,
    some_pressure,
};
use crate::environment::resources::{HostResources, Pressure};
use runtime::clock::{self, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The machine's counters at one moment.
#[derive(Clone, Debug)]
pub(super) struct HostSnapshot {
    taken: Instant,
    cpu: Result<CpuTicks, String>,
    processes: Result<Processes, String>,
    cpu_pressure: Result<SomePressure, String>,
    io_pressure: Result<SomePressure, String>,
    memory_pressure: Result<SomePressure, String>,
    disk: Result<BlockStat, String>,
}

impl HostSnapshot {
    /// Reads everything; `disk` is a folder of /sys/block, or why there is none.
    pub(super) fn take(disk: &Result<PathBuf, String>) -> HostSnapshot {
        let pressure = |name| read(Path::new("/proc/pressure").join(name), some_pressure);
        HostSnapshot {
            taken: clock::now(),
            cpu: read("/proc/stat".into(), cpu_ticks),
            processes: processes(Path::new("/proc")),
            cpu_pressure: pressure("cpu"),
            io_pressure: pressure("io"),
            memory_pressure: pressure("memory"),
            disk: disk.clone().and_then(|disk| read(disk.join("stat"), block_stat)),
        }
    }

    pub(super) fn taken(&self) -> Instant {
        self.taken
    }

    /// What has happened since `earlier`, in run.json's words. `process` and its descendants are
    /// ours.
    pub(super) fn since(&self, earlier: &HostSnapshot, process: u32) -> HostResources {
        let span = self.taken - earlier.taken;
        let mut host = HostResources::default();
        let reasons = &mut host.null_reasons;
        let cpu = both(&self.cpu, &earlier.cpu).map(|(later, earlier)| later.since(*earlier));
        match &cpu {
            Ok(cpu) => {
                host.steal_pct = cpu.steal_pct();
                host.irq_cpu_pct = Some(pct_of_ticks(cpu.interrupts, span));
            }
            Err(reason) => {
                reasons.add("steal_pct", reason.clone());
                reasons.add("irq_cpu_pct", reason.clone());
            }
        }
        let shares = both(&self.processes, &earlier.processes)
            .map(|(later, earlier)| shares(later, earlier, process));
        let kernel = shares.as_ref().map(|shares| pct_of_ticks(shares.kernel_ticks, span));
        host.kernel_cpu_pct = reasons.keep("kernel_cpu_pct", kernel.map_err(Clone::clone));
        let foreign = cpu.and_then(|cpu| {
            let shares = shares?;
            let ours = shares.own_ticks + shares.kernel_ticks;
            // Tasks' own times are exact where the total is sampled: the rest may come out below 0.
            Ok(pct_of_ticks(cpu.tasks.saturating_sub(ours), span))
        });
        host.foreign_cpu_pct = reasons.keep("foreign_cpu_pct", foreign);
        let disk = both(&self.disk, &earlier.disk);
        let util = disk.as_ref().map(|(later, earlier)| {
            let busy = later.busy.saturating_sub(earlier.busy);
            (100.0 * busy.as_secs_f64() / span.as_secs_f64()).min(100.0)
        });
        host.disk_util_pct = reasons.keep("disk_util_pct", util.map_err(Clone::clone));
        let rose = |of: fn(&BlockStat) -> u64| match &disk {
            Ok((later, earlier)) => Ok(of(later).saturating_sub(of(earlier))),
            Err(reason) => Err(reason.clone()),
        };
        host.device_written_bytes =
            reasons.keep("device_written_bytes", rose(|disk| disk.written_bytes));
        host.device_reads = reasons.keep("device_reads", rose(|disk| disk.reads));
        host.device_read_bytes = reasons.keep("device_read_bytes", rose(|disk| disk.read_bytes));
        let flushes = disk.and_then(|(later, earlier)| match (later.flushes, earlier.flushes) {
            (Some(later), Some(earlier)) => Ok(later.saturating_sub(earlier)),
            (_, _) => Err("this kernel does not count a device's flushes".to_owned()),
        });
        host.device_flushes = reasons.keep("device_flushes", flushes);
        host.psi = reasons.keep("psi", self.pressure_since(earlier, span));
        host
    }

    fn pressure_since(&self, earlier: &HostSnapshot, span: Duration) -> Result<Pressure, String> {
        let some = |later: &Result<SomePressure, String>,
                    earlier: &Result<SomePressure, String>| {
            both(later, earlier).map(|(later, earlier)| {
                let waited = later.total.saturating_sub(earlier.total);
                100.0 * waited.as_secs_f64() / span.as_secs_f64()
            })
        };
        let cpu = some(&self.cpu_pressure, &earlier.cpu_pressure)?;
        // Kernels that have the one have the others.
        let io = some(&self.io_pressure, &earlier.io_pressure)?;
        let memory = some(&self.memory_pressure, &earlier.memory_pressure)?;
        Ok(Pressure {
            cpu_some_pct: Some(cpu),
            io_some_pct: Some(io),
            memory_some_pct: Some(memory),
        })
    }
}

fn both<'a, T>(
    later: &'a Result<T, String>,
    earlier: &'a Result<T, String>,
) -> Result<(&'a T, &'a T), String> {
    match (later, earlier) {
        (Ok(later), Ok(earlier)) => Ok((later, earlier)),
        (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
    }
}

/// Clock ticks of all CPUs together, in percent of one CPU.
fn pct_of_ticks(ticks: u64, span: Duration) -> f64 {
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    100.0 * ticks as f64 / per_second / span.as_secs_f64()
}

pub(super) fn read<T>(path: PathBuf, parse: fn(&str) -> Option<T>) -> Result<T, String> {
    let shown = path.display();
    let text = fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
    parse(&text).ok_or_else(|| format!("{shown} says something unknown"))
}

type Processes = BTreeMap<u32, ProcessStat>;

fn processes(folder: &Path) -> Result<Processes, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut processes = Processes::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(process) = process else { continue };
        // A process may have ended since the folder was read.
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let stat = process_stat(&text)
            .ok_or_else(|| format!("/proc/{process}/stat says something unknown"))?;
        processes.insert(process, stat);
    }
    Ok(processes)
}

/// Whose ticks are not a stranger's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shares {
    own_ticks: u64,
    kernel_ticks: u64,
}

/// A process that has ended is a stranger's, unless it was a child of ours that was waited for.
fn shares(later: &Processes, earlier: &Processes, process: u32) -> Shares {
    let ours = tree(later, process);
    let mut shares = Shares::default();
    for (number, stat) in later {
        let before = earlier.get(number).filter(|before| before.ticks <= stat.ticks);
        let ticks = stat.ticks - before.map_or(0, |before| before.ticks);
        if stat.is_kernel_thread {
            shares.kernel_ticks += ticks;
        } else if ours.contains(number) {
            let children = before.map_or(0, |before| before.children_ticks);
            shares.own_ticks += ticks + stat.children_ticks.saturating_sub(children);
        }
    }
    shares
}

/// A process and its descendants.
fn tree(processes: &Processes, root: u32) -> BTreeSet<u32> {
    let mut tree = BTreeSet::from([root]);
    loop {
        let before = tree.len();
        let children = processes.iter().filter(|(_, stat)| tree.contains(&stat.parent));
        let children: Vec<u32> = children.map(|(number, _)| *number).collect();
        tree.extend(children);
        if tree.len() == before {
            return tree;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(
        parent: u32,
        is_kernel_thread: bool,
        ticks: u64,
        children_ticks: u64,
    ) -> ProcessStat {
        ProcessStat { parent, is_kernel_thread, ticks, children_ticks }
    }

    #[test]
    fn ours_the_kernel_s_and_the_strangers() {
        let earlier = Processes::from([
            (2, process(0, true, 100, 0)),
            (10, process(1, false, 50, 5)),
            (20, process(1, false, 900, 0)),
            (31, process(10, false, 7, 0)),
        ]);
        let later = Processes::from([
            (2, process(0, true, 130, 0)),
            (9, process(2, true, 4, 0)),
            (10, process(1, false, 80, 12)),
            (11, process(10, false, 6, 0)),
            (12, process(11, false, 3, 0)),
            (20, process(1, false, 999, 0)),
        ]);
        let expected = Shares { own_ticks: 30 + 7 + 6 + 3, kernel_ticks: 30 + 4 };
        assert_eq!(shares(&later, &earlier, 10), expected);
        assert_eq!(tree(&later, 10), BTreeSet::from([10, 11, 12]));
    }

    fn snapshot(at_ms: u64, tasks: u64) -> HostSnapshot {
        let pressure = |micros| {
            let total = Duration::from_micros(micros);
            Ok(SomePressure { avg10: 0.0, total })
        };
        HostSnapshot {
            taken: Instant::from_nanos(at_ms * 1_000_000),
            cpu: Ok(CpuTicks { tasks, idle: 2 * tasks, interrupts: tasks / 10, steal: tasks / 4 }),
            processes: Ok(Processes::from([
                (2, process(0, true, tasks / 5, 0)),
                (10, process(1, false, tasks / 2, 0)),
            ])),
            cpu_pressure: pressure(at_ms * 100),
            io_pressure: pressure(at_ms * 10),
            memory_pressure: pressure(0),
            disk: Ok(BlockStat {
                reads: at_ms,
                read_bytes: 512 * at_ms,
                written_bytes: 4_096 * at_ms,
                busy: Duration::from_millis(at_ms / 4),
                flushes: Some(2 * at_ms),
            }),
        }
    }

    #[test]
    fn a_window_in_run_json_s_words() {
        let ticks = rustix::param::clock_ticks_per_second();
        // Two seconds of which tasks ran one.
        let (earlier, later) = (snapshot(1_000, 0), snapshot(3_000, ticks));
        let host = later.since(&earlier, 10);
        assert!(host.null_reasons.is_empty(), "{host:?}");
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 0.6, "{found:?} is not {expected}");
        };
        near(host.kernel_cpu_pct, 10.0);
        near(host.foreign_cpu_pct, 50.0 - 10.0 - 25.0);
        near(host.irq_cpu_pct, 5.0);
        near(host.steal_pct, 100.0 * 0.25 / 3.35);
        near(host.disk_util_pct, 25.0);
        assert_eq!(host.device_flushes, Some(4_000));
        assert_eq!(host.device_written_bytes, Some(4_096 * 2_000));
        assert_eq!((host.device_reads, host.device_read_bytes), (Some(2_000), Some(512 * 2_000)));
        near(host.psi.unwrap().cpu_some_pct, 10.0);
        near(host.psi.unwrap().io_some_pct, 1.0);
    }

    #[test]
    fn what_cannot_be_read_is_null_with_its_reason() {
        let gone = Err("not here".to_owned());
        let mut later = snapshot(3_000, 100);
        later.processes = gone.clone();
        later.disk = Err("no disk".to_owned());
        later.cpu_pressure = Err("no pressure".to_owned());
        let host = later.since(&snapshot(1_000, 0), 10);
        assert_eq!((host.foreign_cpu_pct, host.kernel_cpu_pct), (None, None));
        assert_eq!((host.disk_util_pct, host.device_flushes, host.psi), (None, None, None));
        assert!(host.steal_pct.is_some());
        assert_eq!(host.null_reasons.of("foreign_cpu_pct"), Some("not here"));
        assert_eq!(host.null_reasons.of("device_flushes"), Some("no disk"));
        assert_eq!(host.null_reasons.of("psi"), Some("no pressure"));
    }

    #[test]
    fn this_machine_can_be_read() {
        let snapshot = HostSnapshot::take(&Err("none".to_owned()));
        assert!(snapshot.cpu.is_ok());
        assert!(snapshot.processes.unwrap().contains_key(&std::process::id()));
        assert_eq!(snapshot.disk, Err("none".to_owned()));
    }
}
