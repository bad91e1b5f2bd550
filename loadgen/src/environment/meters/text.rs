//! What the files of /proc and /sys say, as functions from their text. `None`: it says something
//! else than we know.

use std::time::Duration;

/// CPU time of all CPUs together since the machine's start, in clock ticks (proc_stat(5)). Tasks
/// run in `user`, `nice` and `system`, guests included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    pub(crate) tasks: u64,
    pub(crate) idle: u64,
    pub(crate) interrupts: u64,
    pub(crate) steal: u64,
}

impl CpuTicks {
    /// What has passed since `earlier`. Counters of a CPU that went offline may fall: then zero.
    pub(crate) fn since(self, earlier: CpuTicks) -> CpuTicks {
        CpuTicks {
            tasks: self.tasks.saturating_sub(earlier.tasks),
            idle: self.idle.saturating_sub(earlier.idle),
            interrupts: self.interrupts.saturating_sub(earlier.interrupts),
            steal: self.steal.saturating_sub(earlier.steal),
        }
    }

    /// Steal in percent of all time; `None` where no time has passed.
    pub(crate) fn steal_pct(self) -> Option<f64> {
        let all = self.tasks + self.idle + self.interrupts + self.steal;
        (all > 0).then(|| 100.0 * self.steal as f64 / all as f64)
    }
}

/// The first line of /proc/stat: user nice system idle iowait irq softirq steal …
pub(crate) fn cpu_ticks(text: &str) -> Option<CpuTicks> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = numbers(fields)?;
    let &[user, nice, system, idle, iowait, irq, softirq, steal, ..] = fields.as_slice() else {
        return None;
    };
    Some(CpuTicks {
        tasks: user + nice + system,
        idle: idle + iowait,
        interrupts: irq + softirq,
        steal,
    })
}

/// The line `some` of a file in /proc/pressure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SomePressure {
    /// Percent of the last ten seconds.
    pub(crate) avg10: f64,
    /// Since the machine's start.
    pub(crate) total: Duration,
}

pub(crate) fn some_pressure(text: &str) -> Option<SomePressure> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let field = |name| line.split(' ').find_map(|field| field.strip_prefix(name));
    let avg10 = field("avg10=")?.parse().ok()?;
    let total = Duration::from_micros(field("total=")?.parse().ok()?);
    Some(SomePressure { avg10, total })
}

/// What /proc/PID/stat says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) parent: u32,
    pub(crate) is_kernel_thread: bool,
    /// User and system time of all its threads, also of those that have ended.
    pub(crate) ticks: u64,
    /// The same of children that have ended and were waited for.
    pub(crate) children_ticks: u64,
}

/// /proc/PID/stat: the name in brackets may hold anything, brackets and line feeds included.
pub(crate) fn process_stat(text: &str) -> Option<ProcessStat> {
    /// PF_KTHREAD of include/linux/sched.h.
    const KERNEL_THREAD: u64 = 0x0020_0000;

    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    // Counted from the state, field 3 of proc_pid_stat(5).
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(ProcessStat {
        parent: u32::try_from(number(4)?).ok()?,
        is_kernel_thread: number(9)? & KERNEL_THREAD != 0,
        ticks: number(14)? + number(15)?,
        children_ticks: number(16)? + number(17)?,
    })
}

/// /proc/PID/task/TID/schedstat: time on a CPU (ns), time waiting for one, slices.
pub(crate) fn time_on_cpu(text: &str) -> Option<Duration> {
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// A line `Name:  123 kB` of /proc/meminfo or /proc/PID/status, in bytes.
pub(crate) fn kib_line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// A line `name 123` of /proc/vmstat.
pub(crate) fn vmstat(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// /sys/block/DISK/stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockStat {
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
    /// Time in which it had something to do.
    pub(crate) busy: Duration,
    /// `None` before Linux 5.5.
    pub(crate) flushes: Option<u64>,
}

pub(crate) fn block_stat(text: &str) -> Option<BlockStat> {
    /// Of the counters, whatever the device's own sectors are.
    const SECTOR_BYTES: u64 = 512;

    let fields: Vec<u64> = numbers(text)?;
    // Fields are counted from 1 in the kernel's Documentation/block/stat.rst.
    let field = |number: usize| fields.get(number - 1).copied();
    Some(BlockStat {
        reads: field(1)?,
        read_bytes: field(3)? * SECTOR_BYTES,
        written_bytes: field(7)? * SECTOR_BYTES,
        busy: Duration::from_millis(field(10)?),
        flushes: field(16),
    })
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|field| field.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_of_all_cpus() {
        let text = "cpu  62745 53916 20613 88408 23985 7 868 1959 0 0\n\
                    cpu0 30888 27057 10196 46059 10849 0 207 988 0 0\nintr 1826756 0\n";
        let ticks = cpu_ticks(text).unwrap();
        assert_eq!((ticks.tasks, ticks.idle), (62_745 + 53_916 + 20_613, 88_408 + 23_985));
        assert_eq!((ticks.interrupts, ticks.steal), (875, 1_959));
        let since = CpuTicks { steal: 1_000, ..ticks };
        assert_eq!(ticks.since(since), CpuTicks { steal: 959, ..CpuTicks::default() });
        let share = CpuTicks { tasks: 50, idle: 45, interrupts: 3, steal: 2 };
        assert_eq!(share.steal_pct(), Some(2.0));
        assert_eq!(CpuTicks::default().steal_pct(), None);
        assert_eq!(cpu_ticks("cpu  1 2 3"), None, "before Linux 2.6.11 there was no steal");
        assert_eq!(cpu_ticks("cpu0 1 2 3 4 5 6 7 8"), None);
    }

    #[test]
    fn pressure_and_its_total() {
        let text = "some avg10=15.68 avg60=38.49 avg300=24.33 total=124470503\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let total = Duration::from_micros(124_470_503);
        assert_eq!(some_pressure(text), Some(SomePressure { avg10: 15.68, total }));
        assert_eq!(some_pressure("full avg10=0.00 total=0\n"), None);
    }

    #[test]
    fn a_process_with_any_name() {
        let check = |text: &str, expected| assert_eq!(process_stat(text), expected, "{text}");
        let stat = |parent, is_kernel_thread, ticks, children_ticks| {
            Some(ProcessStat { parent, is_kernel_thread, ticks, children_ticks })
        };
        check(
            "412 (odd) (name)) S 7 412 412 0 -1 4194304 900 0 0 0 31 11 5 2 20 0 3 0 99 1 1",
            stat(7, false, 42, 7),
        );
        check(
            "12 (kworker/0:1H) I 2 0 0 0 -1 69238880 0 0 0 0 0 8 0 0 0 -20 1 0 5 0 0",
            stat(2, true, 8, 0),
        );
        check("412 (cut) S 7 412", None);
        check("", None);
    }

    #[test]
    fn lines_with_units() {
        let status = "VmPeak:\t  123 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(kib_line(status, "VmHWM"), Some(2_048 * 1_024));
        assert_eq!(kib_line(status, "VmH"), None);
        assert_eq!(kib_line("Threads:\t12\n", "Threads"), None);
        let text = "pswpin 5\npswpout 17\npswpouts 1\n";
        assert_eq!(vmstat(text, "pswpout"), Some(17));
        assert_eq!(vmstat(text, "pswp"), None);
        assert_eq!(time_on_cpu("1500 10240 1\n"), Some(Duration::from_nanos(1_500)));
    }

    #[test]
    fn a_block_device_of_new_and_old_kernels() {
        let text = "   89153     7980 10078402    60648    34337    34168 11104728    68909       \
                    16    17284   135656     6063       73  1006744     2924     7897     3173\n";
        let stat = block_stat(text).unwrap();
        assert_eq!(stat.written_bytes, 11_104_728 * 512);
        assert_eq!(stat.busy, Duration::from_millis(17_284));
        assert_eq!(stat.flushes, Some(7_897));
        assert_eq!(block_stat("1 2 3 4 5 6 7 8 9 10 11").unwrap().flushes, None);
        assert_eq!(block_stat("1 2 3"), None);
    }
}
