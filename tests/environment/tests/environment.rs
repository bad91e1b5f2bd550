//! The engine on devices, file systems and under policies that a developer's machine does not have
//! by itself: it works, or it refuses with a sentence that says what it is and what to do.
//!
//! Needs root, loop devices and the tools of e2fsprogs, xfsprogs and util-linux.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// A try takes less than a second; what takes longer hangs.
const SECONDS_MAX: &str = "60";

/// A folder of this test's own under cargo's target directory.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

/// A mount that goes away with its value, and the loop device under it.
struct Mounted {
    at: PathBuf,
    device: Option<String>,
}

impl Mounted {
    fn tmpfs(name: &str) -> Mounted {
        let at = folder(name);
        run("mount", &["-t", "tmpfs", "-o", "size=256m", "tmpfs", at.to_str().unwrap()]);
        Mounted { at, device: None }
    }

    /// A file system on a loop device that is not the first: loop 0 is taken by another one.
    fn on_loop(name: &str, sector_bytes: u32, file_system: &str) -> Mounted {
        let folder = folder(name);
        let image = folder.join("image");
        fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
        let size = sector_bytes.to_string();
        let image = image.to_str().unwrap();
        let device = run("losetup", &["--find", "--show", "--sector-size", &size, image]);
        let mut mounted = Mounted { at: folder.join("mounted"), device: Some(device.clone()) };
        let force = if file_system == "xfs" { "-f" } else { "-F" };
        run(&format!("mkfs.{file_system}"), &["-q", force, &device]);
        fs::create_dir(&mounted.at).unwrap();
        run("mount", &[&device, mounted.at.to_str().unwrap()]);
        mounted.device = Some(device);
        mounted
    }

    fn number(&self) -> u32 {
        let device = self.device.as_ref().unwrap();
        device.strip_prefix("/dev/loop").unwrap().parse().unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A failed test may leave it busy or not mounted: what can be given back is.
        drop(Command::new("umount").arg("--lazy").arg(&self.at).output());
        if let Some(device) = &self.device {
            drop(Command::new("losetup").args(["--detach", device]).output());
        }
    }
}

/// Tries the engine in a folder, under `wrapper` where it is not empty.
fn attempt(wrapper: &[&str], data: &Path, options: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_environment");
    let mut words = vec!["timeout", SECONDS_MAX];
    words.extend(wrapper);
    words.extend([program, data.to_str().unwrap()]);
    words.extend(options);
    Command::new(words[0]).args(&words[1..]).output().unwrap()
}

fn works(data: &Path, options: &[&str], expected: &str) {
    let output = attempt(&[], data, options);
    assert!(output.status.success(), "{:?}: {}", output.status, said(&output));
    assert_eq!(said(&output).trim(), format!("works on {expected}"));
}

/// It must refuse with one sentence that has all `words`, and neither panic nor hang.
fn refuses(wrapper: &[&str], data: &Path, options: &[&str], words: &[&str]) {
    let output = attempt(wrapper, data, options);
    let text = said(&output);
    assert_eq!(output.status.signal(), None, "{text}");
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

#[test]
fn it_works_on_ext4_and_xfs_with_either_sector_size_on_any_loop_device() {
    let mut mounts = Vec::new();
    for file_system in ["ext4", "xfs"] {
        for sector_bytes in [512, 4096] {
            let name = format!("{file_system}-{sector_bytes}");
            let mounted = Mounted::on_loop(&name, sector_bytes, file_system);
            let expected = format!("{file_system}, direct");
            works(&mounted.at.join("flushed"), &[], &expected);
            works(&mounted.at.join("dsync"), &["--dsync"], &expected);
            mounts.push(mounted);
        }
    }
    let numbers: Vec<_> = mounts.iter().map(Mounted::number).collect();
    assert!(numbers.iter().max().unwrap() >= &2, "the third and later ones were used: {numbers:?}");
}

/// The device's own counter is beyond the reach of a wrong count in the engine.
#[test]
fn the_disk_sees_the_flushes_that_the_engine_counts() {
    let mounted = Mounted::on_loop("flushes", 512, "ext4");
    let stat = format!("/sys/block/loop{}/stat", mounted.number());
    for (name, way) in [("flushed", None), ("dsync", Some("--dsync"))] {
        let mut options = vec!["--count-flushes", &stat];
        options.extend(way);
        let output = attempt(&[], &mounted.at.join(name), &options);
        let text = said(&output);
        assert!(output.status.success(), "{:?}: {text}", output.status);
        let line = text.lines().find(|line| line.starts_with("flushes: ")).unwrap();
        let numbers: Vec<u64> = line
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        let [seen, counted] = numbers[..] else { panic!("{line}") };
        assert!(counted >= 450, "nearly every record is flushed alone: {line}");
        assert!(seen * 10 >= counted * 9, "{line}");
    }
}

#[test]
fn memory_is_refused_as_a_disk_unless_it_is_accepted() {
    let mounted = Mounted::tmpfs("tmpfs");
    let words = ["cannot hold data", "tmpfs", "no direct I/O", "--allow-buffered"];
    refuses(&[], &mounted.at.join("refused"), &[], &words);
    let accepted = mounted.at.join("accepted");
    works(&accepted, &["--allow-buffered"], "tmpfs, buffered");
    refuses(&[], &accepted, &[], &words);
}

#[test]
fn a_security_policy_is_named() {
    let data = folder("denied").join("data");
    let words = ["security policy", "seccomp", "io_uring_setup"];
    refuses(&[], &data, &["--deny-io-uring", "eperm"], &words);
    let words = ["io_uring is not there", "seccomp", "io_uring_setup"];
    refuses(&[], &data, &["--deny-io-uring", "enosys"], &words);
    assert!(!data.exists(), "who cannot start makes no folder");
}

/// Held by whoever turns the kernel's switch, and by whom it would disturb.
static TURN: Mutex<()> = Mutex::new(());

/// Root without a single capability: the kernel's limits hold for it.
const WITHOUT_CAPABILITIES: [&str; 4] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];

/// Some kernels count the rings as locked memory, some do not.
#[test]
fn little_locked_memory_is_enough_and_its_lack_is_named() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let limited = |limit| [&WITHOUT_CAPABILITIES[..], &["prlimit", limit]].concat();
    let output = attempt(&limited("--memlock=65536:65536"), &folder("memlock").join("data"), &[]);
    assert!(output.status.success(), "{:?}: {}", output.status, said(&output));
    let output = attempt(&limited("--memlock=0:0"), &folder("memlock-none").join("data"), &[]);
    let text = said(&output);
    assert!(output.status.success() || text.contains("ulimit -l"), "{text}");
}

/// Value 1 leaves io_uring to the privileged, so that nobody else on the machine is disturbed.
#[test]
fn the_kernels_switch_is_named() {
    const SWITCH: &str = "/proc/sys/kernel/io_uring_disabled";
    struct Restore(String);
    impl Drop for Restore {
        fn drop(&mut self) {
            fs::write(SWITCH, &self.0).unwrap();
        }
    }

    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _restore = Restore(fs::read_to_string(SWITCH).unwrap());
    fs::write(SWITCH, "1").unwrap();
    let data = folder("switch").join("data");
    let words = ["switched off for unprivileged", "kernel.io_uring_disabled=0"];
    refuses(&WITHOUT_CAPABILITIES, &data, &[], &words);
}

#[test]
fn folders_that_cannot_be_are_refused() {
    let folder = folder("folders");
    let file = folder.join("file");
    fs::write(&file, b"not a folder").unwrap();
    refuses(&[], &file, &[], &["folders/file cannot hold data", "not a directory; choose another"]);
    refuses(&[], Path::new("/proc/gyre"), &[], &["/proc/gyre"]);
}
