//! System calls of other threads as the kernel counts them: its tracepoints, through perf.
//!
//! A tracepoint is named by a number that only tracefs tells. Where nobody has mounted it, a mount
//! of our own that has no place in any folder, and is gone with its descriptor, tells it as well:
//! nothing changes for anyone else.

use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;

/// Every system call as it begins.
const ALL: &str = "raw_syscalls/sys_enter";
/// Of them, those that submit to or wait for a ring.
const URING_ENTER: &str = "syscalls/sys_enter_io_uring_enter";

/// Counts what some threads do from now on.
pub(super) struct SystemCallCounters {
    all: Result<Vec<Counter>, String>,
    uring_enters: Result<Vec<Counter>, String>,
}

/// System calls since the start, or why they are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SystemCalls {
    pub(super) all: Result<u64, String>,
    pub(super) uring_enters: Result<u64, String>,
}

impl SystemCallCounters {
    /// Starts counting. Threads that the given ones start later are counted too.
    pub(super) fn start(threads: &Result<Vec<u32>, String>) -> SystemCallCounters {
        let count = |event: &str| {
            let threads = threads.as_ref().map_err(Clone::clone)?;
            let tracepoint = tracepoint(event)?;
            threads.iter().map(|thread| counter(tracepoint, *thread)).collect()
        };
        SystemCallCounters { all: count(ALL), uring_enters: count(URING_ENTER) }
    }

    pub(super) fn stop(self) -> SystemCalls {
        SystemCalls { all: sum(self.all), uring_enters: sum(self.uring_enters) }
    }
}

fn counter(tracepoint: u64, thread: u32) -> Result<Counter, String> {
    let thread = i32::try_from(thread).map_err(|_| "a thread's number is an int".to_owned())?;
    let mut builder = Builder::new(Tracepoint::with_id(tracepoint));
    // A tracepoint is kernel code, and would count nothing without it.
    builder.observe_pid(thread).any_cpu().include_kernel().include_hv().inherit(true);
    let mut counter = builder.build().map_err(|error| {
        format!("perf_event_open: {error} (root, CAP_PERFMON or kernel.perf_event_paranoid=-1)")
    })?;
    counter.enable().map_err(|error| format!("perf: {error}"))?;
    Ok(counter)
}

fn sum(counters: Result<Vec<Counter>, String>) -> Result<u64, String> {
    let mut sum = 0;
    for mut counter in counters? {
        sum += counter.read().map_err(|error| format!("perf: {error}"))?;
    }
    Ok(sum)
}

/// The number of a tracepoint.
fn tracepoint(event: &str) -> Result<u64, String> {
    let mut refused = None;
    for folder in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        match fs::read_to_string(format!("{folder}/events/{event}/id")) {
            Ok(text) => return number(event, &text),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let mounted = mount_apart().map_err(|errno| {
        let refused = refused.map_or_else(String::new, |error| format!("{error}; "));
        format!(
            "tracefs cannot be read at /sys/kernel/tracing ({refused}a mount of our own: {errno}); \
             as root: mount -t tracefs tracefs /sys/kernel/tracing"
        )
    })?;
    let path = format!("events/{event}/id");
    let missing = |reason: String| format!("this kernel has no tracepoint {event}: {reason}");
    let file = openat(&mounted, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| missing(errno.to_string()))?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).map_err(|error| missing(error.to_string()))?;
    number(event, &text)
}

fn number(event: &str, text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("the number of tracepoint {event} cannot be read"))
}

/// tracefs in no folder.
fn mount_apart() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::gettid;

    /// Where the tests may not use perf the reason says so; where they may, the count is exact.
    #[test]
    fn own_system_calls_are_counted_or_the_reason_is_given() {
        let thread = u32::try_from(gettid().as_raw_nonzero().get()).unwrap();
        let counters = SystemCallCounters::start(&Ok(vec![thread]));
        for _ in 0..1_000 {
            std::hint::black_box(rustix::process::getppid());
        }
        match counters.stop().all {
            Ok(calls) => assert!((1_000..1_100).contains(&calls), "{calls}"),
            Err(reason) => assert!(reason.contains("perf") || reason.contains("trace"), "{reason}"),
        }
    }

    #[test]
    fn a_missing_thread_and_a_missing_tracepoint_have_their_reasons() {
        let counters = SystemCallCounters::start(&Err("no engine here".to_owned()));
        assert_eq!(counters.stop().all, Err("no engine here".to_owned()));
        assert!(tracepoint("raw_syscalls/no_such_thing").unwrap_err().contains("trace"));
        assert!(number("a/b", "x").unwrap_err().contains("a/b"));
        assert_eq!(number("a/b", "443\n"), Ok(443));
    }
}
