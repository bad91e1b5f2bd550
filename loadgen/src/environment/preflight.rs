//! Whether the machine is calm enough to measure on (METHOD.md §3.3).
//!
//! It waits, for a build that has just ended leaves the pressure high for twenty seconds; it says so
//! every second; and it gives up when the time is over or when waiting cannot help.

use super::meters::text::{CpuTicks, cpu_ticks, some_pressure, vmstat};
use runtime::clock;
use rustix::fs::statvfs;
use serde::{Deserialize, Serialize};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Above it others' work waits for our CPUs, or ours for theirs, in percent.
pub const CPU_PRESSURE_PCT_MAX: f64 = 10.0;
/// Above it the host has given our CPUs to others, in percent.
pub const STEAL_PCT_MAX: f64 = 2.0;
/// How long to wait for a machine that was just busy.
pub const WAIT_MAX: Duration = Duration::from_secs(45);
/// Between two readings.
const STEP: Duration = Duration::from_secs(1);

/// `preflight` of run.json: the last readings before the run, and what was asked of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preflight {
    /// Share of the last ten seconds in which a task waited for a CPU, in percent.
    pub psi_cpu_some_avg10: Option<f64>,
    /// CPU time that the host gave to others, in percent of all CPU time.
    pub steal_pct: Option<f64>,
    /// The load average of one minute.
    pub load1: Option<f64>,
    /// How long it waited for the machine to calm down, in seconds.
    pub waited_s: f64,
    /// Each condition and whether it held.
    pub checks: Vec<Check>,
}

impl Preflight {
    /// Whether every condition was read and held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.state == CheckState::Pass)
    }

    /// Whether a condition was read and did not hold.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.checks.iter().any(|check| check.state == CheckState::Fail)
    }

    /// The sentences of the conditions that did not hold or could not be read.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.complaints_about(|_| true)
    }

    /// The [`Preflight::complaints`] about what a run measures again while it goes: others' work and the
    /// host's. What was found then decides.
    #[must_use]
    pub fn passing_complaints(&self) -> Vec<String> {
        self.complaints_about(|name| [CPU_PRESSURE, STEAL].contains(&name))
    }

    /// The other [`Preflight::complaints`].
    #[must_use]
    pub fn lasting_complaints(&self) -> Vec<String> {
        self.complaints_about(|name| ![CPU_PRESSURE, STEAL].contains(&name))
    }

    fn complaints_about(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let bad = self.checks.iter().filter(|check| check.state != CheckState::Pass);
        bad.filter(|check| is_meant(&check.name)).map(|check| check.sentence.clone()).collect()
    }

    /// Whether waiting could mend what failed: room on the disk does not come back by itself.
    fn may_mend(&self) -> bool {
        let mut failed = self.checks.iter().filter(|check| check.state == CheckState::Fail);
        self.failed() && failed.all(|check| check.name != DISK_SPACE)
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// "cpu_pressure", "steal", "swap" or "disk_space".
    pub name: String,
    /// Whether it held.
    pub state: CheckState,
    /// What was read and what was asked, or why it could not be read.
    pub sentence: String,
}

/// How a condition came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It was read and held.
    Pass,
    /// It was read and did not hold.
    Fail,
    /// It could not be read, which is not a pass.
    Unknown,
}

const CPU_PRESSURE: &str = "cpu_pressure";
const STEAL: &str = "steal";
const SWAP: &str = "swap";
const DISK_SPACE: &str = "disk_space";

/// What a run needs of the machine.
#[derive(Clone, Debug)]
pub struct PreflightPlan {
    /// A folder that exists, where the data will be.
    pub folder: PathBuf,
    /// What must be free there, bytes.
    pub free_bytes_min: u64,
    /// How long to wait at most.
    pub wait_max: Duration,
}

impl PreflightPlan {
    /// The usual wait.
    #[must_use]
    pub fn new(folder: PathBuf, free_bytes_min: u64) -> PreflightPlan {
        PreflightPlan { folder, free_bytes_min, wait_max: WAIT_MAX }
    }
}

/// Reads, and waits while something fails that may mend. `say` hears of each reading that failed,
/// before it waits on, and may end the waiting. Blocks the thread, which must not be a core; takes a
/// second at least, for steal is a rate.
pub fn preflight(
    plan: &PreflightPlan,
    say: &mut dyn FnMut(&Preflight) -> ControlFlow<()>,
) -> Preflight {
    let began = clock::now();
    let mut before = Counters::read();
    loop {
        rest(STEP);
        let after = Counters::read();
        let mut found = judge(&Readings::take(&before, &after, &plan.folder), plan);
        let waited = clock::now() - began;
        found.waited_s = waited.as_secs_f64();
        let is_over = !found.may_mend() || waited + STEP > plan.wait_max;
        if is_over || say(&found).is_break() {
            return found;
        }
        before = after;
    }
}

/// Sleeps without `std::thread::sleep`, which only `runtime` may use.
fn rest(span: Duration) {
    let end = clock::now() + span;
    loop {
        let left = end - clock::now();
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

/// Counters whose growth is judged.
struct Counters {
    cpu: Result<CpuTicks, String>,
    swapped_pages: Result<u64, String>,
}

impl Counters {
    fn read() -> Counters {
        let swapped = |text: &str| Some(vmstat(text, "pswpin")? + vmstat(text, "pswpout")?);
        Counters {
            cpu: read("/proc/stat", cpu_ticks),
            swapped_pages: read("/proc/vmstat", swapped),
        }
    }
}

/// What the verdict depends on.
#[derive(Clone, Debug)]
struct Readings {
    cpu_pressure: Result<f64, String>,
    steal_pct: Result<f64, String>,
    swapped_pages: Result<u64, String>,
    free_bytes: Result<u64, String>,
    load1: Option<f64>,
}

impl Readings {
    fn take(before: &Counters, after: &Counters, folder: &Path) -> Readings {
        let steal_pct = match (&before.cpu, &after.cpu) {
            (Ok(before), Ok(after)) => {
                let steal = after.since(*before).steal_pct();
                steal.ok_or_else(|| "/proc/stat stands still".to_owned())
            }
            (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        };
        let swapped_pages = match (&before.swapped_pages, &after.swapped_pages) {
            (Ok(before), Ok(after)) => Ok(after.saturating_sub(*before)),
            (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        };
        let pressure = |text: &str| some_pressure(text).map(|pressure| pressure.avg10);
        let load1 = |text: &str| text.split(' ').next()?.parse().ok();
        Readings {
            cpu_pressure: read("/proc/pressure/cpu", pressure),
            steal_pct,
            swapped_pages,
            free_bytes: free_bytes(folder),
            // It decides nothing, so its absence needs no reason.
            load1: read("/proc/loadavg", load1).ok(),
        }
    }
}

fn read<T>(path: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    parse(&text).ok_or_else(|| format!("{path} says something unknown"))
}

fn free_bytes(folder: &Path) -> Result<u64, String> {
    let shown = folder.display();
    let facts = statvfs(folder).map_err(|errno| format!("{shown}: {errno}"))?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

fn judge(readings: &Readings, plan: &PreflightPlan) -> Preflight {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let checks = vec![
        check(CPU_PRESSURE, &readings.cpu_pressure, |pct| {
            let sentence = format!(
                "tasks waited for a CPU in {pct:.1} % of the last 10 s (at most \
                 {CPU_PRESSURE_PCT_MAX:.0} %)"
            );
            (*pct <= CPU_PRESSURE_PCT_MAX, sentence)
        }),
        check(STEAL, &readings.steal_pct, |pct| {
            let sentence =
                format!("the host took {pct:.1} % of the CPU time (at most {STEAL_PCT_MAX:.0} %)");
            (*pct <= STEAL_PCT_MAX, sentence)
        }),
        check(SWAP, &readings.swapped_pages, |pages| {
            (*pages == 0, format!("{pages} pages were swapped within a second (none may be)"))
        }),
        check(DISK_SPACE, &readings.free_bytes, |free| {
            let needed = plan.free_bytes_min;
            let shown = plan.folder.display();
            let sentence =
                format!("{:.1} GiB are free below {shown} ({:.1} needed)", gib(*free), gib(needed));
            (*free >= needed, sentence)
        }),
    ];
    Preflight {
        // Their reasons stand in the checks.
        psi_cpu_some_avg10: readings.cpu_pressure.clone().ok(),
        steal_pct: readings.steal_pct.clone().ok(),
        load1: readings.load1,
        waited_s: 0.0,
        checks,
    }
}

fn check<T>(
    name: &str,
    reading: &Result<T, String>,
    judge: impl FnOnce(&T) -> (bool, String),
) -> Check {
    let (state, sentence) = match reading {
        Err(reason) => (CheckState::Unknown, reason.clone()),
        Ok(value) => match judge(value) {
            (true, sentence) => (CheckState::Pass, sentence),
            (false, sentence) => (CheckState::Fail, sentence),
        },
    };
    Check { name: name.to_owned(), state, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Readings {
        Readings {
            cpu_pressure: Ok(10.0),
            steal_pct: Ok(2.0),
            swapped_pages: Ok(0),
            free_bytes: Ok(4 << 30),
            load1: Some(0.5),
        }
    }

    fn plan() -> PreflightPlan {
        PreflightPlan::new(PathBuf::from("/data"), 4 << 30)
    }

    #[test]
    fn a_calm_machine_passes_at_its_limits() {
        let found = judge(&calm(), &plan());
        assert!(found.passed(), "{found:?}");
        assert!(!found.failed());
        assert_eq!((found.psi_cpu_some_avg10, found.load1), (Some(10.0), Some(0.5)));
        assert_eq!(found.complaints(), Vec::<String>::new());
    }

    #[test]
    fn each_condition_fails_by_itself() {
        let check = |spoil: &dyn Fn(&mut Readings), words: &str, may_mend: bool| {
            let mut readings = calm();
            spoil(&mut readings);
            let found = judge(&readings, &plan());
            assert!(found.failed() && !found.passed());
            assert_eq!(found.complaints().len(), 1);
            assert!(found.complaints()[0].contains(words), "{:?}", found.complaints());
            assert_eq!(found.may_mend(), may_mend);
        };
        check(&|readings| readings.cpu_pressure = Ok(10.1), "10.1 % of the last 10 s", true);
        check(&|readings| readings.steal_pct = Ok(2.5), "took 2.5 %", true);
        check(&|readings| readings.swapped_pages = Ok(3), "3 pages", true);
        check(&|readings| readings.free_bytes = Ok(1 << 30), "1.0 GiB are free below /data", false);
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_no_pass() {
        let mut readings = calm();
        readings.cpu_pressure = Err("/proc/pressure/cpu: no such file".to_owned());
        let found = judge(&readings, &plan());
        assert!(!found.passed() && !found.failed() && !found.may_mend());
        assert_eq!(found.checks[0].state, CheckState::Unknown);
        assert_eq!(found.complaints(), ["/proc/pressure/cpu: no such file"]);
        assert_eq!(found.psi_cpu_some_avg10, None);
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["checks"][0]["state"], "unknown");
    }

    #[test]
    fn room_that_is_missing_is_not_waited_for() {
        let mut plan = PreflightPlan::new(std::env::temp_dir(), u64::MAX);
        plan.wait_max = Duration::from_secs(3_600);
        let mut said = 0;
        let found = preflight(&plan, &mut |_| {
            said += 1;
            ControlFlow::Continue(())
        });
        assert!(found.failed());
        assert_eq!(said, 0);
        assert!(found.waited_s >= 1.0);
    }
}
