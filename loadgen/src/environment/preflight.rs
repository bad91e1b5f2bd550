//! Whether the machine is calm enough to measure on (METHOD.md §3.3).

use serde::{Deserialize, Serialize};

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
