//! Whether this kernel, under these limits and policies, gives us the io_uring that a core needs.
//!
//! No memory is registered. The rings themselves count as locked memory before Linux 5.12 and again
//! since 6.14 (`io_create_region`): 12 KiB a core, of a limit that may be as low as 64 KiB.
//!
//! Readings first, then a pure function from readings to a verdict, so that every sentence can be
//! tested on a machine where all is well.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use super::error::{StartError, UringRefusal};

/// The operations that `kernel` and `file::kernel` start. The numbers are the kernel's ABI
/// (include/uapi/linux/io_uring.h).
const OPERATIONS: [(u8, &str); 5] =
    [(3, "FSYNC"), (6, "POLL_ADD"), (14, "ASYNC_CANCEL"), (22, "READ"), (23, "WRITE")];

/// No completion is dropped (5.5); a wait has its own timeout (5.11); blocking operations run on
/// threads of this process (5.12).
const FEATURES: u32 = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_NATIVE_WORKERS;
const IORING_FEAT_NODROP: u32 = 1 << 1;
const IORING_FEAT_EXT_ARG: u32 = 1 << 8;
const IORING_FEAT_NATIVE_WORKERS: u32 = 1 << 9;

/// What is good to know where all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UringFacts {
    /// The kernel's release.
    pub release: String,
}

/// Checks once whether io_uring can be used.
///
/// # Errors
/// With the sentence for what is missing.
pub fn check_io_uring() -> Result<UringFacts, StartError> {
    static VERDICT: OnceLock<Result<UringFacts, StartError>> = OnceLock::new();
    VERDICT.get_or_init(|| judge(&read())).clone()
}

/// Makes a ring, and tries again for a while where the kernel has no memory for it: it frees the
/// rings of processes that have ended late, and until then they count.
///
/// # Errors
/// The last attempt's.
#[allow(clippy::disallowed_methods, reason = "no core runs yet: there is a thread to hold up")]
pub(crate) fn while_memory_is_freed<T>(mut make: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const ATTEMPTS: u32 = 21;
    /// 200 ms between the first and the last.
    const PAUSE: Duration = Duration::from_millis(10);

    for _ in 1..ATTEMPTS {
        match make() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => thread::sleep(PAUSE),
            made => return made,
        }
    }
    make()
}

/// All that the verdict depends on.
#[derive(Clone, Debug)]
struct Readings {
    release: String,
    /// Of io_uring_setup, io_uring_register(PROBE) and io_uring_enter: what is there, or the first
    /// error number.
    offer: Result<Offer, i32>,
    /// kernel.io_uring_disabled; `None` on kernels without it.
    disabled: Option<u32>,
}

#[derive(Clone, Debug)]
struct Offer {
    /// By the operation's number.
    operations: [bool; 256],
    features: u32,
}

fn judge(readings: &Readings) -> Result<UringFacts, StartError> {
    let release = readings.release.clone();
    let offer = match &readings.offer {
        Ok(offer) => offer,
        Err(errno) => return Err(StartError::Uring(refusal(readings, *errno))),
    };
    if offer.features & FEATURES != FEATURES {
        return Err(StartError::Uring(UringRefusal::KernelTooOld { release }));
    }
    let missing: Vec<&str> = OPERATIONS
        .iter()
        .filter(|(number, _)| !offer.operations[usize::from(*number)])
        .map(|(_, name)| *name)
        .collect();
    if !missing.is_empty() {
        return Err(StartError::Uring(UringRefusal::Operations { release, missing }));
    }
    Ok(UringFacts { release })
}

fn refusal(readings: &Readings, errno: i32) -> UringRefusal {
    let release = readings.release.clone();
    match (errno, readings.disabled) {
        (libc::EPERM | libc::EACCES, Some(value @ (1 | 2))) => UringRefusal::Disabled { value },
        (libc::EPERM | libc::EACCES, _) => UringRefusal::Forbidden,
        // EINVAL: a kernel that has io_uring but not the probe, or not the flag.
        (libc::ENOSYS | libc::EINVAL, _) if is_older(&release, (5, 12)) => {
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
        offer: probe().map_err(number),
        disabled: fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
            .ok() // Kernels before 6.6 have no such setting.
            .and_then(|text| text.trim().parse().ok()),
    }
}

const IORING_REGISTER_PROBE: libc::c_uint = 8;
/// A ring of the least size: it is only there to be asked.
const ENTRIES: libc::c_uint = 1;

fn probe() -> io::Result<Offer> {
    /// struct io_uring_probe_op: op u8, resv u8, flags u16, resv2 u32.
    const OPERATION_BYTES: usize = 8;
    /// struct io_uring_probe before `ops`: last_op u8, ops_len u8, resv u16, resv2 [u32; 3].
    const HEAD_BYTES: usize = 16;
    const SUPPORTED: u8 = 1;

    let (ring, features) = while_memory_is_freed(setup)?;
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
    let mut operations = [false; 256];
    for entry in bytes[HEAD_BYTES..].chunks_exact(OPERATION_BYTES) {
        // The low byte of `flags`; entries past `last_op` are all zero and say nothing.
        let flags = u16::from_ne_bytes([entry[2], entry[3]]);
        operations[usize::from(entry[0])] |= flags & u16::from(SUPPORTED) != 0;
    }
    Ok(Offer { operations, features })
}

/// A ring and the kernel's features.
fn setup() -> io::Result<(OwnedFd, u32)> {
    /// struct io_uring_params: ten u32, of which the sixth is `features`, and 80 bytes of offsets.
    const PARAMETER_WORDS: usize = 30;
    const FEATURES_WORD: usize = 5;

    let mut parameters = [0u32; PARAMETER_WORDS];
    // SAFETY: io_uring_setup reads and writes one `io_uring_params`: 120 bytes of the alignment of
    // u32, as `parameters`, which outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, parameters.as_mut_ptr()) };
    let descriptor = check(result)?;
    let descriptor = RawFd::try_from(descriptor).expect("a descriptor is an int");
    // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
    let ring = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok((ring, parameters[FEATURES_WORD]))
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
            offer: Ok(Offer { operations: [true; 256], features: u32::MAX }),
            disabled: Some(0),
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
        let errno = |errno| move |readings: &mut Readings| readings.offer = Err(errno);
        check(errno(libc::EPERM), &["seccomp", "--security-opt"]);
        check(
            |readings| {
                readings.offer = Err(libc::EPERM);
                readings.disabled = Some(2);
            },
            &["kernel.io_uring_disabled=0", "on this machine"],
        );
        check(
            |readings| {
                readings.offer = Err(libc::EPERM);
                readings.disabled = Some(1);
            },
            &["kernel.io_uring_disabled=0", "kernel.io_uring_group"],
        );
        check(
            |readings| {
                readings.offer = Err(libc::ENOSYS);
                readings.release = "4.19.0".to_owned();
            },
            &["4.19.0 is too old", "5.12"],
        );
        check(
            |readings| {
                readings.offer = Err(libc::EINVAL);
                readings.release = "5.4.0-42-generic".to_owned();
            },
            &["5.4.0-42-generic is too old"],
        );
        check(errno(libc::ENOSYS), &["sandbox", "CONFIG_IO_URING"]);
        check(errno(libc::ENOMEM), &["ulimit -l", "cgroup"]);
        check(errno(libc::EMFILE), &["os error 24"]);
    }

    /// The attempts that are made while the first `failures` end with `errno`, and the outcome.
    fn attempts(failures: u32, errno: i32) -> (u32, Option<i32>) {
        let mut made = 0;
        let outcome = while_memory_is_freed(|| {
            made += 1;
            if made <= failures { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) }
        });
        (made, outcome.err().and_then(|error| error.raw_os_error()))
    }

    #[test]
    fn only_a_lack_of_memory_is_waited_for_and_not_for_ever() {
        assert_eq!(attempts(0, libc::ENOMEM), (1, None));
        assert_eq!(attempts(3, libc::ENOMEM), (4, None));
        assert_eq!(attempts(u32::MAX, libc::ENOMEM), (21, Some(libc::ENOMEM)));
        assert_eq!(attempts(u32::MAX, libc::EPERM), (1, Some(libc::EPERM)));
    }

    #[test]
    fn missing_operations_are_named() {
        check(
            |readings| {
                let mut operations = [true; 256];
                operations[3] = false;
                operations[23] = false;
                readings.offer = Ok(Offer { operations, features: u32::MAX });
            },
            &["FSYNC, WRITE", "5.12"],
        );
    }

    #[test]
    fn a_kernel_without_waits_that_end_is_too_old() {
        check(
            |readings| {
                let features = !IORING_FEAT_EXT_ARG;
                readings.offer = Ok(Offer { operations: [true; 256], features });
                readings.release = "5.10.0".to_owned();
            },
            &["5.10.0 is too old", "5.12"],
        );
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(is_older("5.7.19", (5, 12)));
        assert!(is_older("5.10.0-8-amd64", (5, 12)));
        assert!(!is_older("5.12.1", (5, 12)));
        assert!(!is_older("6.1", (5, 12)));
        assert!(!is_older("mystery", (5, 12)));
    }

    #[test]
    fn this_machine_is_fit_for_the_other_tests() {
        check_io_uring().expect("the tests of this crate need io_uring");
    }
}
