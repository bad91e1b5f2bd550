//! Whether this kernel, under these limits and policies, gives us the io_uring that glommio needs.
//!
//! Readings first, then a pure function from readings to a verdict, so that every sentence can be
//! tested on a machine where all is well.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::{StartError, UringRefusal};

/// What glommio's reactor refuses to start without (sys/uring.rs, MIN_MEMLOCK_LIMIT).
const LOCKED_BYTES_MIN: u64 = 512 * 1024;

/// A core registers its memory with each of its three rings, and each registration counts.
const RINGS_PER_CORE: u64 = 3;

/// The operations that glommio asks for (sys/uring.rs, GLOMMIO_URING_OPS) and ASYNC_CANCEL, which
/// it uses without asking. The numbers are the kernel's ABI (include/uapi/linux/io_uring.h).
const OPERATIONS: [(u8, &str); 24] = [
    (0, "NOP"),
    (1, "READV"),
    (2, "WRITEV"),
    (3, "FSYNC"),
    (4, "READ_FIXED"),
    (5, "WRITE_FIXED"),
    (6, "POLL_ADD"),
    (7, "POLL_REMOVE"),
    (9, "SENDMSG"),
    (10, "RECVMSG"),
    (11, "TIMEOUT"),
    (12, "TIMEOUT_REMOVE"),
    (13, "ACCEPT"),
    (14, "ASYNC_CANCEL"),
    (15, "LINK_TIMEOUT"),
    (16, "CONNECT"),
    (17, "FALLOCATE"),
    (18, "OPENAT"),
    (19, "CLOSE"),
    (21, "STATX"),
    (22, "READ"),
    (23, "WRITE"),
    (26, "SEND"),
    (27, "RECV"),
];

/// What is good to know where all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UringFacts {
    /// The kernel's release.
    pub release: String,
    /// Memory that this process may lock, in bytes; `None` where there is no limit for it.
    pub locked_bytes_max: Option<u64>,
}

impl UringFacts {
    /// Whether cores with this much `io_memory_bytes` in all can register it. Where they cannot,
    /// glommio goes on with unregistered memory without a word, at some cost per operation.
    pub fn can_register(&self, io_memory_bytes: u64) -> bool {
        let needed = io_memory_bytes.saturating_mul(RINGS_PER_CORE);
        self.locked_bytes_max.is_none_or(|allowed| needed <= allowed)
    }
}

/// Checks once whether io_uring can be used, and raises the soft limit of locked memory as far as
/// it goes.
///
/// # Errors
/// With the sentence for what is missing.
pub fn check_io_uring() -> Result<UringFacts, StartError> {
    static VERDICT: OnceLock<Result<UringFacts, StartError>> = OnceLock::new();
    VERDICT.get_or_init(|| judge(&read())).clone()
}

/// All that the verdict depends on.
#[derive(Clone, Debug)]
struct Readings {
    release: String,
    /// Of io_uring_setup, io_uring_register(PROBE) and io_uring_enter: the bits of the operations
    /// that are there, or the first error number.
    operations: Result<[bool; 256], i32>,
    /// Of the same for a ring with IOPOLL, which glommio makes in every core.
    poll_ring: Result<(), i32>,
    /// kernel.io_uring_disabled; `None` on kernels without it.
    disabled: Option<u32>,
    locked_bytes_max: Option<u64>,
}

fn judge(readings: &Readings) -> Result<UringFacts, StartError> {
    let release = readings.release.clone();
    let rings = readings.poll_ring.and(readings.operations.as_ref().map_err(|errno| *errno));
    let there = rings.map_err(|errno| StartError::Uring(refusal(readings, errno)))?;
    let missing: Vec<&str> = OPERATIONS
        .iter()
        .filter(|(number, _)| !there[usize::from(*number)])
        .map(|(_, name)| *name)
        .collect();
    if !missing.is_empty() {
        return Err(StartError::Uring(UringRefusal::Operations { release, missing }));
    }
    match readings.locked_bytes_max {
        Some(allowed_bytes) if allowed_bytes < LOCKED_BYTES_MIN => {
            Err(StartError::LockedMemory { allowed_bytes, needed_bytes: LOCKED_BYTES_MIN })
        }
        locked_bytes_max => Ok(UringFacts { release, locked_bytes_max }),
    }
}

fn refusal(readings: &Readings, errno: i32) -> UringRefusal {
    let release = readings.release.clone();
    match (errno, readings.disabled) {
        (libc::EPERM | libc::EACCES, Some(value @ (1 | 2))) => UringRefusal::Disabled { value },
        (libc::EPERM | libc::EACCES, _) => UringRefusal::Forbidden,
        // EINVAL: a kernel that has io_uring but not the probe, or not the flag.
        (libc::ENOSYS | libc::EINVAL, _) if is_older(&release, (5, 8)) => {
            UringRefusal::KernelTooOld { release }
        }
        (libc::ENOSYS, _) => UringRefusal::Missing { release },
        (libc::ENOMEM, _) => UringRefusal::NoMemory,
        (errno, _) => UringRefusal::Errno(errno),
    }
}

/// Whether a release such as "5.4.0-42-generic" is older than a version; one that cannot be read
/// counts as new.
fn is_older(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    match (next(), next()) {
        (Some(major), Some(minor)) => (major, minor) < version,
        (_, _) => false,
    }
}

fn read() -> Readings {
    Readings {
        release: rustix::system::uname().release().to_string_lossy().into_owned(),
        operations: probe_operations().map_err(number),
        poll_ring: setup(IORING_SETUP_IOPOLL).map(drop).map_err(number),
        disabled: fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
            .ok() // Kernels before 6.6 have no such setting.
            .and_then(|text| text.trim().parse().ok()),
        locked_bytes_max: raise_locked_memory(),
    }
}

/// Raises the soft limit to the hard one and returns it; `None` where it does not apply.
fn raise_locked_memory() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Memlock);
    if current != maximum {
        // Lowering it is no concern of ours, and an unlimited soft limit needs no raising.
        let raised = Rlimit { current: maximum, maximum };
        if current.is_some() && setrlimit(Resource::Memlock, raised).is_err() {
            return current;
        }
    }
    // glommio's own minimum holds for privileged processes too; beyond it they have no limit.
    match maximum {
        Some(bytes) if bytes >= LOCKED_BYTES_MIN && may_lock_anything() => None,
        limit => limit,
    }
}

/// Whether the process has CAP_IPC_LOCK.
fn may_lock_anything() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    procfs::process::Process::myself()
        .and_then(|process| process.status())
        .is_ok_and(|status| status.capeff >> CAP_IPC_LOCK & 1 == 1)
}

const IORING_SETUP_IOPOLL: u32 = 1;
const IORING_REGISTER_PROBE: libc::c_uint = 8;
/// A ring of the least size: it is only there to be asked.
const ENTRIES: libc::c_uint = 1;

fn probe_operations() -> io::Result<[bool; 256]> {
    /// struct io_uring_probe_op: op u8, resv u8, flags u16, resv2 u32.
    const OPERATION_BYTES: usize = 8;
    /// struct io_uring_probe before `ops`: last_op u8, ops_len u8, resv u16, resv2 [u32; 3].
    const HEAD_BYTES: usize = 16;
    const SUPPORTED: u8 = 1;

    let ring = setup(0)?;
    let mut probe = [0u64; (HEAD_BYTES + 256 * OPERATION_BYTES) / 8];
    // SAFETY: IORING_REGISTER_PROBE with 256 entries writes one `io_uring_probe` with 256
    // `io_uring_probe_op` behind it, the size and more than the alignment of `probe`, which outlives
    // the call. The kernel wants it zeroed, and it is. `ring` is an open ring.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring.as_raw_fd(),
            IORING_REGISTER_PROBE,
            probe.as_mut_ptr(),
            256 as libc::c_uint,
        )
    };
    check(result)?;
    enter(&ring)?;
    let bytes: Vec<u8> = probe.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut there = [false; 256];
    for entry in bytes[HEAD_BYTES..].chunks_exact(OPERATION_BYTES) {
        // The low byte of `flags`; entries past `last_op` are all zero and say nothing.
        let flags = u16::from_ne_bytes([entry[2], entry[3]]);
        there[usize::from(entry[0])] |= flags & u16::from(SUPPORTED) != 0;
    }
    Ok(there)
}

fn setup(flags: u32) -> io::Result<OwnedFd> {
    /// struct io_uring_params: ten u32, of which the third is `flags`, and 80 bytes of offsets.
    const PARAMETER_WORDS: usize = 30;
    const FLAGS_WORD: usize = 2;

    let mut parameters = [0u32; PARAMETER_WORDS];
    parameters[FLAGS_WORD] = flags;
    // SAFETY: io_uring_setup reads and writes one `io_uring_params`: 120 bytes of the alignment of
    // u32, as `parameters`, which outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, parameters.as_mut_ptr()) };
    let descriptor = check(result)?;
    let descriptor = RawFd::try_from(descriptor).expect("a descriptor is an int");
    // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Enters the ring with nothing to do: policies may allow the one call and refuse the other.
fn enter(ring: &OwnedFd) -> io::Result<()> {
    let none: libc::c_uint = 0;
    // SAFETY: nothing is submitted and nothing waited for, and the signal mask is null with size 0:
    // the call touches no memory of ours. `ring` is an open ring.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            ring.as_raw_fd(),
            none,
            none,
            none,
            std::ptr::null::<libc::sigset_t>(),
            0usize,
        )
    };
    check(result).map(|_| ())
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn number(error: io::Error) -> i32 {
    error.raw_os_error().expect("a failed system call leaves its number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Readings {
        Readings {
            release: "6.1.0-18-amd64".to_owned(),
            operations: Ok([true; 256]),
            poll_ring: Ok(()),
            disabled: Some(0),
            locked_bytes_max: Some(8 << 20),
        }
    }

    /// The sentence for readings that differ from good ones as `spoil` says must hold all `words`.
    fn check(spoil: impl FnOnce(&mut Readings), words: &[&str]) {
        let mut readings = fine();
        spoil(&mut readings);
        let sentence = judge(&readings).expect_err("this must be refused").to_string();
        for word in words {
            assert!(sentence.contains(word), "'{word}' is not in: {sentence}");
        }
    }

    #[test]
    fn every_refusal_has_its_own_remedy() {
        let errno = |errno| move |readings: &mut Readings| readings.operations = Err(errno);
        check(errno(libc::EPERM), &["seccomp", "--security-opt"]);
        check(
            |readings| {
                readings.operations = Err(libc::EPERM);
                readings.disabled = Some(2);
            },
            &["kernel.io_uring_disabled=0", "on this machine"],
        );
        check(
            |readings| {
                readings.operations = Err(libc::EPERM);
                readings.disabled = Some(1);
            },
            &["kernel.io_uring_disabled=0", "kernel.io_uring_group"],
        );
        check(
            |readings| {
                readings.operations = Err(libc::ENOSYS);
                readings.release = "4.19.0".to_owned();
            },
            &["4.19.0 is too old", "5.8"],
        );
        check(
            |readings| {
                readings.operations = Err(libc::EINVAL);
                readings.release = "5.4.0-42-generic".to_owned();
            },
            &["5.4.0-42-generic is too old"],
        );
        check(errno(libc::ENOSYS), &["sandbox", "CONFIG_IO_URING"]);
        check(errno(libc::ENOMEM), &["ulimit -l"]);
        check(errno(libc::EMFILE), &["os error 24"]);
        check(|readings| readings.poll_ring = Err(libc::EPERM), &["seccomp"]);
    }

    #[test]
    fn missing_operations_are_named() {
        check(
            |readings| {
                let mut there = [true; 256];
                there[17] = false;
                there[27] = false;
                readings.operations = Ok(there);
            },
            &["FALLOCATE, RECV", "5.8"],
        );
    }

    #[test]
    fn little_locked_memory_is_refused_with_both_figures() {
        check(|readings| readings.locked_bytes_max = Some(64 << 10), &["512 KiB", "only 64 KiB"]);
    }

    #[test]
    fn registration_counts_three_times() {
        let facts = judge(&fine()).expect("all is well");
        assert!(facts.can_register(2 << 20));
        assert!(!facts.can_register(3 << 20));
        let unlimited = Readings { locked_bytes_max: None, ..fine() };
        assert!(judge(&unlimited).expect("all is well").can_register(1 << 40));
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(is_older("5.7.19", (5, 8)));
        assert!(!is_older("5.10.0-8-amd64", (5, 8)));
        assert!(!is_older("6.1", (5, 8)));
        assert!(!is_older("mystery", (5, 8)));
    }

    #[test]
    fn this_machine_is_fit_for_the_other_tests() {
        check_io_uring().expect("the tests of this crate need io_uring");
    }
}
