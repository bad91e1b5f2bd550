//! Why nothing could start, each with its remedy. The sentences are for people: they name the
//! setting, not the system call.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a core or the whole process could not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// io_uring cannot be used.
    Uring(UringRefusal),
    /// The CPU does not exist or this process may not use it.
    Cpu {
        /// The CPU that was asked for.
        cpu: usize,
        /// Those that could be.
        allowed: Vec<usize>,
    },
    /// No thread could be started.
    Thread {
        /// The system's error number.
        errno: i32,
    },
    /// No signal handler could be installed.
    Signals {
        /// The system's error number.
        errno: i32,
    },
    /// The ring of one core could not be made, although io_uring works.
    Ring {
        /// The system's error number, where there is one.
        errno: Option<i32>,
    },
    /// The data directory cannot be used.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        refusal: DirectoryRefusal,
    },
}

/// Why io_uring cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UringRefusal {
    /// The kernel is older than io_uring as we need it.
    KernelTooOld {
        /// The kernel's release.
        release: String,
    },
    /// The kernel is new enough, but the system call is not there.
    Missing {
        /// The kernel's release.
        release: String,
    },
    /// kernel.io_uring_disabled forbids it.
    Disabled {
        /// The setting's value: 1 for unprivileged processes, 2 for all.
        value: u32,
    },
    /// The system calls are refused, and not by that setting: a seccomp profile does it.
    Forbidden,
    /// The kernel lacks operations.
    Operations {
        /// The kernel's release.
        release: String,
        /// Their names.
        missing: Vec<&'static str>,
    },
    /// The kernel has no memory, or the cgroup's limit is used up.
    NoMemory,
    /// Anything else.
    Errno(i32),
}

/// Why a directory cannot hold data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryRefusal {
    /// There is none.
    NotFound,
    /// It is something else.
    NotADirectory,
    /// It cannot be written to, or not be looked at.
    Errno(i32),
    /// The file system passes direct I/O through the page cache, or has none.
    Buffered {
        /// Its name.
        file_system: String,
    },
    /// Direct I/O wants more alignment than our buffers have.
    Alignment {
        /// What it wants, in bytes.
        bytes: usize,
    },
    /// What was written was not what was read back.
    Corrupted,
}

impl StartError {
    pub(crate) fn of_thread(error: &io::Error) -> Self {
        Self::Thread { errno: error.raw_os_error().unwrap_or(0) }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uring(refusal) => refusal.fmt(formatter),
            Self::Cpu { cpu, allowed } => write!(
                formatter,
                "CPU {cpu} cannot be used: this process may use {allowed:?}; choose among these or \
                 start it with another affinity (taskset, cpuset)",
            ),
            Self::Thread { errno } => write!(
                formatter,
                "no thread could be started ({}); raise the limit of processes (ulimit -u, \
                 pids.max of the cgroup)",
                describe(*errno),
            ),
            Self::Signals { errno } => {
                write!(formatter, "signals cannot be caught: {}", describe(*errno))
            }
            Self::Ring { errno: Some(libc::EMFILE | libc::ENFILE) } => formatter.write_str(
                "a core's io_uring could not be made: too many open files; raise the limit \
                 (ulimit -n)",
            ),
            Self::Ring { errno: Some(libc::ENOMEM) } => formatter.write_str(
                "a core's io_uring could not be made for lack of memory; use fewer cores, or raise \
                 the limit of locked memory (ulimit -l, LimitMEMLOCK= of a service, --ulimit \
                 memlock of a container) or of the cgroup's memory",
            ),
            Self::Ring { errno: Some(errno) } => {
                write!(formatter, "a core's io_uring could not be made: {}", describe(*errno))
            }
            Self::Ring { errno: None } => {
                formatter.write_str("a core's thread ended before its io_uring was made")
            }
            Self::Directory { path, refusal } => {
                write!(formatter, "{} cannot hold data: {refusal}", path.display())
            }
        }
    }
}

impl fmt::Display for UringRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelTooOld { release } => write!(
                formatter,
                "kernel {release} is too old for io_uring as it is needed here; use 5.12 or newer",
            ),
            Self::Missing { release } => write!(
                formatter,
                "io_uring is not there although kernel {release} is new enough: a sandbox hides it \
                 (container runtime, gVisor), or the kernel was built without CONFIG_IO_URING; \
                 run outside the sandbox, or with a seccomp profile that allows io_uring_setup, \
                 io_uring_enter and io_uring_register",
            ),
            Self::Disabled { value: 1 } => formatter.write_str(
                "io_uring is switched off for unprivileged processes; set \
                 kernel.io_uring_disabled=0 (sysctl -w), or add this process's group to \
                 kernel.io_uring_group",
            ),
            Self::Disabled { .. } => formatter.write_str(
                "io_uring is switched off on this machine; set kernel.io_uring_disabled=0 \
                 (sysctl -w)",
            ),
            Self::Forbidden => formatter.write_str(
                "io_uring is refused by a security policy, most likely the container's seccomp \
                 profile; allow io_uring_setup, io_uring_enter and io_uring_register there (Docker: \
                 --security-opt seccomp=profile.json, or seccomp=unconfined for a try)",
            ),
            Self::Operations { release, missing } => write!(
                formatter,
                "the io_uring of kernel {release} lacks {}; use kernel 5.12 or newer",
                missing.join(", "),
            ),
            Self::NoMemory => formatter.write_str(
                "io_uring could not be set up for lack of memory; raise the limit of locked memory \
                 (ulimit -l, LimitMEMLOCK= of a service, --ulimit memlock of a container) or of the \
                 cgroup's memory",
            ),
            Self::Errno(errno) => {
                write!(formatter, "io_uring could not be set up: {}", describe(*errno))
            }
        }
    }
}

impl fmt::Display for DirectoryRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => formatter.write_str("it does not exist; create it"),
            Self::NotADirectory => formatter.write_str("it is not a directory; choose another"),
            Self::Errno(errno) => {
                write!(formatter, "a file in it cannot be written and read: {}", describe(*errno))
            }
            Self::Buffered { file_system } => write!(
                formatter,
                "its file system, {file_system}, has no direct I/O, so a figure would be the page \
                 cache's; choose a directory on ext4 or xfs, or accept it with --allow-buffered",
            ),
            Self::Alignment { bytes } => write!(
                formatter,
                "its device wants direct I/O in blocks of {bytes} bytes and ours are of 4096; \
                 choose another device",
            ),
            Self::Corrupted => formatter.write_str(
                "what was written to a file in it was not what was read back; check the device",
            ),
        }
    }
}

impl std::error::Error for StartError {}
impl std::error::Error for UringRefusal {}
impl std::error::Error for DirectoryRefusal {}

fn describe(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
