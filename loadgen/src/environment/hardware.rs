//! What the machine is made of: `hw` of run.json.

mod cgroup;
mod cpu;
mod disk_facts;

use crate::environment::disk;
use crate::environment::meters::text::kib_line;
use crate::environment::reasons::Reasons;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// `hw` of run.json.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// Names one machine as configured: 12 hex digits of a SHA-256 over everything below.
    pub hw_id: String,
    /// CPU model, threads online, kind of disk and virtualisation: runs are compared within it. Fit
    /// for a folder's name.
    pub hw_class: String,
    /// The processor.
    pub cpu: Cpu,
    /// Memory that the kernel has, in bytes.
    pub mem_bytes: Option<u64>,
    /// The device below the data folder.
    pub disk: Option<Disk>,
    /// "kvm", "xen", "hyperv", "unknown" …; "none" on bare metal; null where it cannot be told.
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

/// The machine, and the disk below a folder that exists.
#[must_use]
pub fn fingerprint(folder: &Path) -> Hardware {
    let mut reasons = Reasons::default();
    let processor = reasons.keep("cpu", cpu::read()).unwrap_or_default();
    let memory = read("/proc/meminfo").and_then(|text| {
        kib_line(&text, "MemTotal").ok_or_else(|| "/proc/meminfo has no MemTotal".to_owned())
    });
    let device = disk::of_folder(folder).map(|device| disk_facts::read(&device, folder));
    let mut hardware = Hardware {
        hw_id: String::new(),
        hw_class: String::new(),
        virt: reasons.keep("virt", cpu::virtualisation()),
        cpu: processor,
        mem_bytes: reasons.keep("mem_bytes", memory),
        disk: reasons.keep("disk", device),
        cgroup: cgroup::read(),
        null_reasons: reasons,
    };
    hardware.hw_class = class(&hardware);
    hardware.hw_id = id(&hardware);
    hardware
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// As "amd-epyc_2t_virtio_kvm".
fn class(hardware: &Hardware) -> String {
    let disk = hardware.disk.as_ref().map_or("no-disk", |disk| disk.kind.as_str());
    let virt = hardware.virt.as_deref().unwrap_or("unknown");
    let threads = hardware.cpu.threads_online;
    format!("{}_{threads}t_{}_{}", slug(&hardware.cpu.model), slug(disk), slug(virt))
}

/// Lower case, and everything but letters and digits as one hyphen.
fn slug(text: &str) -> String {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let words: Vec<String> =
        words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    words.join("-")
}

fn id(hardware: &Hardware) -> String {
    const DIGITS: usize = 12;

    let json = serde_json::to_vec(hardware).expect("a fingerprint is plain data");
    let digest = Sha256::digest(json);
    digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_a_folder_s_name() {
        let mut hardware = Hardware {
            cpu: Cpu {
                model: "Intel(R) Xeon(R) CPU @ 2.20GHz".to_owned(),
                threads_online: 8,
                instruction_sets: Vec::new(),
            },
            disk: Some(Disk { kind: "nvme".to_owned(), ..Disk::default() }),
            virt: Some("none".to_owned()),
            ..Hardware::default()
        };
        assert_eq!(class(&hardware), "intel-r-xeon-r-cpu-2-20ghz_8t_nvme_none");
        let one = id(&hardware);
        assert_eq!(one.len(), 12);
        assert_eq!(id(&hardware), one);
        hardware.mem_bytes = Some(1);
        assert_ne!(id(&hardware), one);
        hardware.disk = None;
        hardware.virt = None;
        assert_eq!(class(&hardware), "intel-r-xeon-r-cpu-2-20ghz_8t_no-disk_unknown");
    }

    #[test]
    fn this_machine_has_a_name_that_stays() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let hardware = fingerprint(folder);
        assert!(hardware.cpu.threads_online >= 1);
        assert!(hardware.mem_bytes.unwrap() > 1 << 20);
        assert_eq!(fingerprint(folder), hardware);
        assert_eq!(hardware.disk.is_none(), hardware.null_reasons.of("disk").is_some());
    }
}
