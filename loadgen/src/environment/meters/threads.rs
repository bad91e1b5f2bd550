//! CPU time by thread, so that the engine's and the generator's can be told apart in one process.

use super::text::time_on_cpu;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Some threads of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadGroup {
    /// The process.
    pub process: u32,
    /// How their names begin; `None` is all threads of the process.
    pub name_prefix: Option<String>,
}

impl ThreadGroup {
    /// All threads of a process.
    #[must_use]
    pub fn of_process(process: u32) -> ThreadGroup {
        ThreadGroup { process, name_prefix: None }
    }

    /// The threads of this process whose names begin so.
    #[must_use]
    pub fn named(prefix: &str) -> ThreadGroup {
        ThreadGroup { process: std::process::id(), name_prefix: Some(prefix.to_owned()) }
    }

    /// The group's threads as they are now, in ascending order.
    ///
    /// # Errors
    /// With the reason why they cannot be listed, or that there is none.
    pub(super) fn threads(&self) -> Result<Vec<u32>, String> {
        let folder = format!("/proc/{}/task", self.process);
        let names = names(Path::new(&folder))?;
        let threads = match &self.name_prefix {
            None => names.into_keys().collect(),
            Some(prefix) => members(&names, prefix),
        };
        if threads.is_empty() {
            let prefix = self.name_prefix.as_deref().unwrap_or("");
            return Err(format!("process {} has no thread named {prefix}…", self.process));
        }
        Ok(threads)
    }

    /// CPU time of each thread so far. A thread that ends meanwhile is left out.
    pub(super) fn times(&self) -> Result<ThreadTimes, String> {
        let threads = self.threads()?;
        let mut times = BTreeMap::new();
        for thread in threads {
            let path = format!("/proc/{}/task/{thread}/schedstat", self.process);
            // It has ended, or the kernel has no such file: then nothing is found at all.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let time = time_on_cpu(&text).ok_or_else(|| format!("{path} cannot be read"))?;
            times.insert(thread, time);
        }
        if times.is_empty() {
            return Err(format!("/proc/{}/task/*/schedstat cannot be read", self.process));
        }
        Ok(ThreadTimes(times))
    }
}

/// The threads whose names begin with `prefix`, and the kernel's workers for their rings, which it
/// names `iou-wrk-` and the thread that they work for.
fn members(names: &BTreeMap<u32, String>, prefix: &str) -> Vec<u32> {
    let named = |thread: u32| names.get(&thread).is_some_and(|name| name.starts_with(prefix));
    let works_for = |name: &str| name.strip_prefix("iou-wrk-")?.parse::<u32>().ok();
    names
        .iter()
        .filter(|(thread, name)| named(**thread) || works_for(name).is_some_and(named))
        .map(|(thread, _)| *thread)
        .collect()
}

fn names(folder: &Path) -> Result<BTreeMap<u32, String>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let thread = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // A thread may have ended since the folder was read.
        let name = fs::read_to_string(entry.path().join("comm"));
        if let (Some(thread), Ok(name)) = (thread, name) {
            names.insert(thread, name.trim_end().to_owned());
        }
    }
    Ok(names)
}

/// CPU time by thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ThreadTimes(BTreeMap<u32, Duration>);

impl ThreadTimes {
    /// The group's CPU time since `earlier`; what a thread used that has ended is not known.
    pub(super) fn since(&self, earlier: &ThreadTimes) -> Duration {
        self.each_since(earlier).sum()
    }

    /// The most that one of its threads used.
    pub(super) fn busiest_since(&self, earlier: &ThreadTimes) -> Duration {
        self.each_since(earlier).max().unwrap_or_default()
    }

    fn each_since(&self, earlier: &ThreadTimes) -> impl Iterator<Item = Duration> {
        self.0.iter().map(|(thread, time)| {
            time.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_s_workers_belong_to_its_thread() {
        let names = [
            (10, "loadgen"),
            (11, "gyre-0"),
            (12, "gyre-1"),
            (13, "load-0"),
            (14, "iou-wrk-11"),
            (15, "iou-wrk-13"),
            (16, "iou-wrk-x"),
        ];
        let names = names.iter().map(|(thread, name)| (*thread, (*name).to_owned())).collect();
        assert_eq!(members(&names, "gyre-"), [11, 12, 14]);
        assert_eq!(members(&names, "load-"), [13, 15]);
        assert_eq!(members(&names, "nobody"), Vec::<u32>::new());
    }

    #[test]
    fn time_is_counted_by_thread() {
        let millis = Duration::from_millis;
        let earlier = ThreadTimes(BTreeMap::from([(1, millis(100)), (2, millis(50))]));
        let later = ThreadTimes(BTreeMap::from([(1, millis(130)), (3, millis(5))]));
        assert_eq!(later.since(&earlier), millis(35));
        assert_eq!(later.busiest_since(&earlier), millis(30));
    }

    #[test]
    fn this_process_has_threads_and_nobody_has_others() {
        let own = ThreadGroup::of_process(std::process::id());
        assert!(own.times().unwrap().since(&ThreadTimes::default()) > Duration::ZERO);
        let sentence = ThreadGroup::named("no-such-thread").threads().unwrap_err();
        assert!(sentence.contains("no thread named no-such-thread"), "{sentence}");
        assert!(ThreadGroup::of_process(u32::MAX).threads().is_err());
    }
}
