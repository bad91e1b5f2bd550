//! What runs the machine: `os` of run.json.

use crate::environment::reasons::Reasons;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
