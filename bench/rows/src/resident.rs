//! Resident memory of this process, as the kernel says. Engine and caller are one process, so what the
//! caller holds counts too.

use loadgen::run::Failure;
use serde::Serialize;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Resident {
    /// Now, bytes.
    pub now: u64,
    /// The most there was since the process started, bytes.
    pub highest: u64,
}

impl Resident {
    /// Asks the kernel.
    ///
    /// # Errors
    /// It does not say.
    pub(crate) fn read() -> Result<Resident, Failure> {
        let path = "/proc/self/status";
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::could_not(format!("{path}: {error}")))?;
        of_status(&text).ok_or_else(|| Failure::could_not(format!("{path} names no memory")))
    }
}

fn of_status(text: &str) -> Option<Resident> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    };
    Some(Resident { now: bytes("VmRSS:")?, highest: bytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_text() {
        let text = "Name:\trows\nVmPeak:\t  900 kB\nVmHWM:\t     40 kB\nVmRSS:\t      8 kB\n";
        assert_eq!(of_status(text), Some(Resident { now: 8 << 10, highest: 40 << 10 }));
        assert_eq!(of_status("VmHWM:\t 40 kB\n"), None);
        assert_eq!(of_status("VmHWM:\t 40\nVmRSS:\t 8 kB\n"), None);
        let own = Resident::read().unwrap();
        assert!(own.now > 0 && own.highest >= own.now / 2, "{own:?}");
    }
}
