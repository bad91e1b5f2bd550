//! What the control groups of this process allow, in version 1 and 2.

use super::Cgroup;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// Memory limits from here up are version 1's way to say that there is none, in bytes.
const MEMORY_UNLIMITED_BYTES: u64 = 1 << 60;

/// The tightest limits on the way from this process's groups up. A file that is missing sets none:
/// so it is outside of control groups, and in a container whose root is the group.
pub(super) fn read() -> Cgroup {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let text = |path: PathBuf| fs::read_to_string(path).ok();
    let cpus = folders(&groups, "cpu").into_iter().filter_map(|folder| {
        let modern = text(folder.join("cpu.max")).and_then(|text| cpu_max(&text));
        modern.or_else(|| {
            let quota = text(folder.join("cpu.cfs_quota_us"))?;
            cpu_quota(&quota, &text(folder.join("cpu.cfs_period_us"))?)
        })
    });
    let memory = folders(&groups, "memory").into_iter().filter_map(|folder| {
        let modern = text(folder.join("memory.max"));
        memory_max(&modern.or_else(|| text(folder.join("memory.limit_in_bytes")))?)
    });
    Cgroup { cpus_max: cpus.reduce(f64::min), memory_max_bytes: memory.min() }
}

/// The folders in which a controller's limits for us may stand, from /proc/self/cgroup.
fn folders(groups: &str, controller: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let roots = match controllers {
            // Version 2; where both are in use it has a folder of its own.
            "" => ["", "unified"],
            // Version 1: controllers that share a hierarchy share its folder, with links to it.
            names if names.split(',').any(|name| name == controller) => [controller, controller],
            _ => continue,
        };
        for root in roots.map(|name| Path::new(ROOT).join(name)) {
            let group = root.join(path.trim_start_matches('/'));
            for folder in group.ancestors().take_while(|folder| folder.starts_with(&root)) {
                if !folders.iter().any(|known| known == folder) {
                    folders.push(folder.to_path_buf());
                }
            }
        }
    }
    folders
}

/// cpu.max: quota and period in microseconds, or "max".
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cpu_quota(quota, period)
}

fn cpu_quota(quota: &str, period: &str) -> Option<f64> {
    // "max" and -1 are no limit.
    let quota: u64 = quota.trim().parse().ok()?;
    let period: u64 = period.trim().parse().ok()?;
    (period > 0).then(|| quota as f64 / period as f64)
}

fn memory_max(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < MEMORY_UNLIMITED_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_none() {
        assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(cpu_quota("-1\n", "100000\n"), None);
        assert_eq!(cpu_quota("50000\n", "100000\n"), Some(0.5));
        assert_eq!(memory_max("max\n"), None);
        assert_eq!(memory_max("9223372036854771712\n"), None);
        assert_eq!(memory_max("1073741824\n"), Some(1 << 30));
    }

    #[test]
    fn limits_stand_in_the_group_and_above() {
        let check = |groups, controller, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(folders(groups, controller), expected, "{groups}");
        };
        check(
            "4:memory:/a/b\n3:cpu,cpuacct:/\n",
            "memory",
            &["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"],
        );
        check("3:cpu,cpuacct:/\n", "cpu", &["/sys/fs/cgroup/cpu"]);
        check(
            "0::/user.slice\n",
            "cpu",
            &[
                "/sys/fs/cgroup/user.slice",
                "/sys/fs/cgroup",
                "/sys/fs/cgroup/unified/user.slice",
                "/sys/fs/cgroup/unified",
            ],
        );
        check("", "cpu", &[]);
    }
}
