//! The processor, and whether it is a real one.

use super::{Cpu, read as text_of};
use runtime::cores;
use std::fs;

/// What `digest`, checksums and base64 run faster with.
const INSTRUCTION_SETS: [&str; 7] =
    ["avx2", "avx512f", "avx512bw", "vaes", "sha_ni", "asimd", "sve"];

pub(super) fn read() -> Result<Cpu, String> {
    let text = text_of("/proc/cpuinfo")?;
    let threads_online = text_of("/sys/devices/system/cpu/online")
        .ok() // Without sysfs the affinity tells.
        .and_then(|list| count(list.trim()))
        .unwrap_or_else(|| cores::online_cpus().len());
    let flags = field(&text, &["flags", "Features"]).unwrap_or_default();
    let has = |name: &&str| flags.split(' ').any(|flag| flag == *name);
    let instruction_sets = INSTRUCTION_SETS.iter().filter(|name| has(name));
    Ok(Cpu {
        model: field(&text, &["model name", "Model", "uarch", "CPU part"])
            .unwrap_or("unknown")
            .to_owned(),
        threads_online,
        instruction_sets: instruction_sets.map(|name| (*name).to_owned()).collect(),
    })
}

/// The value of the first line that has one of these names; names differ by architecture.
fn field<'a>(text: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == *name).then(|| value.trim())
        })
    })
}

/// How many CPUs a list as "0-3,8" has.
fn count(list: &str) -> Option<usize> {
    let mut count = 0;
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

/// The hypervisor below, "none" on bare metal.
pub(super) fn virtualisation() -> Result<String, String> {
    // Each of these is missing on most machines, which is an answer as well.
    let hint = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let clues = Clues {
        cpuinfo: text_of("/proc/cpuinfo")?,
        hypervisor: hint("/sys/hypervisor/type"),
        vendor: hint("/sys/class/dmi/id/sys_vendor"),
        product: hint("/sys/class/dmi/id/product_name"),
        clocks: hint("/sys/devices/system/clocksource/clocksource0/available_clocksource"),
    };
    clues.judge().ok_or_else(|| "this architecture does not tell".to_owned())
}

/// What tells a virtual machine.
#[derive(Default)]
struct Clues {
    cpuinfo: String,
    hypervisor: String,
    vendor: String,
    product: String,
    clocks: String,
}

impl Clues {
    fn judge(&self) -> Option<String> {
        let named = |name: &str| Some(name.to_owned());
        if !self.hypervisor.trim().is_empty() {
            return named(self.hypervisor.trim());
        }
        let maker = format!("{} {}", self.vendor.trim(), self.product.trim()).to_lowercase();
        let known = [
            ("kvm", "kvm"),
            ("qemu", "kvm"),
            ("amazon ec2", "kvm"),
            ("google compute engine", "kvm"),
            ("virtual machine", "hyperv"),
            ("vmware", "vmware"),
            ("virtualbox", "virtualbox"),
            ("xen", "xen"),
        ];
        // On x86 the processor says whether there is one at all: EC2 has bare metal too.
        let flags = field(&self.cpuinfo, &["flags"]);
        let is_virtual = flags.map(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
        if is_virtual == Some(false) {
            return named("none");
        }
        if let Some((_, name)) = known.iter().find(|(word, _)| maker.contains(word)) {
            return named(name);
        }
        if self.clocks.contains("kvm-clock") {
            return named("kvm");
        }
        if self.clocks.contains("hyperv") {
            return named("hyperv");
        }
        is_virtual.and_then(|_| named("unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPYC: &str = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n\
                        flags\t\t: fpu avx2 hypervisor sha_ni\n";

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field(EPYC, &["model name"]), Some("AMD EPYC"));
        assert_eq!(field(EPYC, &["Model", "model"]), Some("1"));
        assert_eq!(field(EPYC, &["CPU part"]), None);
    }

    #[test]
    fn lists_of_cpus() {
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-3,8"), Some(5));
        assert_eq!(count("3-1"), None);
        assert_eq!(count(""), None);
    }

    #[test]
    fn who_is_below() {
        let check = |clues: Clues, expected: Option<&str>| {
            assert_eq!(clues.judge().as_deref(), expected);
        };
        let on_x86 = || Clues { cpuinfo: EPYC.to_owned(), ..Clues::default() };
        check(on_x86(), Some("unknown"));
        check(Clues { clocks: "tsc kvm-clock".to_owned(), ..on_x86() }, Some("kvm"));
        check(Clues { product: "Virtual Machine\n".to_owned(), ..on_x86() }, Some("hyperv"));
        check(Clues { hypervisor: "xen\n".to_owned(), ..on_x86() }, Some("xen"));
        let metal = Clues {
            cpuinfo: "flags : fpu avx2".to_owned(),
            vendor: "Amazon EC2".to_owned(),
            ..Clues::default()
        };
        check(metal, Some("none"));
        let arm = || Clues { cpuinfo: "Features : asimd".to_owned(), ..Clues::default() };
        check(arm(), None);
        check(Clues { vendor: "Amazon EC2".to_owned(), ..arm() }, Some("kvm"));
    }
}
