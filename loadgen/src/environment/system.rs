//! What runs the machine: `os` of run.json.

use crate::environment::reasons::Reasons;
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// `os` of run.json.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// The kernel's release.
    pub kernel: Option<String>,
    /// PRETTY_NAME of os-release(5).
    pub distro: Option<String>,
    /// What the kernel does against each flaw of the processor, by the flaw's name in sysfs.
    pub mitigations: Option<BTreeMap<String, String>>,
    /// The clock source in use.
    pub clocksource: Option<String>,
    /// Soft limits of this process.
    pub rlimits: ResourceLimits,
    /// Why a figure is null.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub null_reasons: Reasons,
}

/// Soft limits, where null is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Memory that may be locked, in bytes.
    pub memlock_bytes: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
}

impl System {
    /// Reads it all.
    #[must_use]
    pub fn read() -> System {
        let mut reasons = Reasons::default();
        let kernel = line("/proc/sys/kernel/osrelease");
        let distro = line("/etc/os-release").and_then(|text| {
            pretty_name(&text).ok_or_else(|| "/etc/os-release has no PRETTY_NAME".to_owned())
        });
        let clocksource = line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        let flaws = mitigations(Path::new("/sys/devices/system/cpu/vulnerabilities"));
        System {
            kernel: reasons.keep("kernel", kernel),
            distro: reasons.keep("distro", distro),
            mitigations: reasons.keep("mitigations", flaws),
            clocksource: reasons.keep("clocksource", clocksource),
            rlimits: ResourceLimits {
                memlock_bytes: getrlimit(Resource::Memlock).current,
                open_files: getrlimit(Resource::Nofile).current,
            },
            null_reasons: reasons,
        }
    }

    /// A sentence where each reading of the clock is a system call, or may be: then every call that
    /// is timed costs the generator some 100 ns more (METHOD.md §2.9).
    #[must_use]
    pub fn clock_warning(&self) -> Option<String> {
        /// Those that the vDSO of x86-64 and of arm64 reads by itself.
        const WITHOUT_SYSTEM_CALL: [&str; 4] =
            ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

        match self.clocksource.as_deref() {
            Some(source) if WITHOUT_SYSTEM_CALL.contains(&source) => None,
            Some(source) => {
                Some(format!("clock source {source}: each reading of the clock is a system call"))
            }
            None => Some("the clock source is unknown: readings may be system calls".to_owned()),
        }
    }
}

fn line(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(text.trim().to_owned())
}

fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

fn mitigations(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut flaws = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let state = fs::read_to_string(entry.path()).map_err(fail)?;
        flaws.insert(entry.file_name().to_string_lossy().into_owned(), state.trim().to_owned());
    }
    Ok(flaws)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_quotes() {
        let text = "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n";
        assert_eq!(pretty_name(text).as_deref(), Some("Debian GNU/Linux 12"));
        assert_eq!(pretty_name("PRETTY_NAME=Alpine\n").as_deref(), Some("Alpine"));
        assert_eq!(pretty_name("NAME=x\n"), None);
    }

    #[test]
    fn slow_and_unknown_clocks_are_warned_of() {
        let with = |source: Option<&str>| System {
            clocksource: source.map(str::to_owned),
            ..System::default()
        };
        assert_eq!(with(Some("tsc")).clock_warning(), None);
        assert_eq!(with(Some("kvm-clock")).clock_warning(), None);
        assert!(with(Some("hpet")).clock_warning().unwrap().contains("hpet"));
        assert!(with(None).clock_warning().unwrap().contains("unknown"));
    }

    #[test]
    fn this_system_is_read_or_says_why_not() {
        let system = System::read();
        assert!(system.kernel.is_some());
        assert_eq!(system.distro.is_none(), system.null_reasons.of("distro").is_some());
        assert!(mitigations(Path::new("/no/such")).unwrap_err().contains("/no/such"));
    }
}
