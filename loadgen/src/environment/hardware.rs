//! What the machine is made of: `hw` of run.json.

use crate::environment::reasons::Reasons;
use serde::{Deserialize, Serialize};

/// `hw` of run.json.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// Names one machine as configured: 12 hex digits of a SHA-256 over everything below.
    pub hw_id: String,
    /// CPU model, threads online, kind of disk and virtualisation: runs are compared within it.
    pub hw_class: String,
    /// The processor.
    pub cpu: Cpu,
    /// Memory that the kernel has, in bytes.
    pub mem_bytes: Option<u64>,
    /// The device below the data folder.
    pub disk: Option<Disk>,
    /// "kvm", "xen", "hyperv", …; "none" on bare metal; null where it cannot be told.
    pub virt: Option<String>,
    /// What the control group allows this process.
    pub cgroup: Cgroup,
    /// Why a figure is null.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub null_reasons: Reasons,
}

/// The processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// As the kernel names it.
    pub model: String,
    /// Hardware threads online.
    pub threads_online: usize,
    /// Of the instruction sets that change our figures, those that are there.
    pub instruction_sets: Vec<String>,
}

/// A block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The whole device, "vda", also where the folder is on a partition.
    pub name: String,
    /// As the device says; null for virtual ones that say nothing.
    pub model: Option<String>,
    /// "nvme", "ssd", "hdd", "virtio" or "virtual".
    pub kind: String,
    /// The active I/O scheduler.
    pub scheduler: Option<String>,
    /// "write back" or "write through".
    pub write_cache: Option<String>,
    /// Whether a single write can be forced to the medium.
    pub fua: Option<bool>,
    /// The smallest block that can be addressed, in bytes.
    pub logical_block_bytes: Option<u32>,
    /// The smallest block that is written without reading, in bytes.
    pub physical_block_bytes: Option<u32>,
    /// The file system of the data folder.
    pub file_system: Option<String>,
}

/// Limits of the control group, version 1 or 2.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cgroup {
    /// CPU time per second of wall time, in CPUs; null is no limit.
    pub cpus_max: Option<f64>,
    /// Memory, in bytes; null is no limit.
    pub memory_max_bytes: Option<u64>,
}
