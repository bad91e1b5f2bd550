//! What this machine's disk, memory, loopback and timers can do, asked before and after a run.
//!
//! The disk is asked through `runtime`'s own files, on a core that is pinned as the engine's are, and
//! with the engine's block size, depth and flush method: what the engine reaches can then be said in
//! percent of this. About three seconds, and once per machine the writing of the file.
//!
//! ```text
//!   a core on the engine's CPU     sequential write, write + flush, sequential read, memcpy, sleep
//!   the same, and all CPUs spin    write + flush
//!   two cores                      loopback
//! ```

mod disk;
mod machine;
mod samples;

use crate::environment::reasons::Reasons;
use gyre::embed::{FRAME_BYTES, WRITE_DEPTH};
use runtime::cores::{self, CoreConfig};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// `probes` of run.json: the mean of the readings before and after the run, and both of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Probes {
    /// What every ratio uses.
    #[serde(flatten)]
    pub mean: ProbeFigures,
    /// Before the run.
    pub before: ProbeFigures,
    /// After the run; null where it was interrupted.
    pub after: Option<ProbeFigures>,
}

impl Probes {
    /// Both rounds and their mean.
    #[must_use]
    pub fn new(before: ProbeFigures, after: Option<ProbeFigures>) -> Probes {
        let mean = match &after {
            None => before.clone(),
            Some(after) => before.mean(after),
        };
        Probes { mean, before, after }
    }
}

/// One round of probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeFigures {
    /// Sequential writes with the engine's flush method, MB (10⁶ bytes) a second.
    pub seq_write_mb_s: Option<f64>,
    /// The size of each of those writes, in bytes.
    pub seq_write_block_bytes: u64,
    /// How many of them were in flight.
    pub seq_write_depth: u32,
    /// A write of 4 KiB to a pre-written file, made durable, alone: median, in microseconds.
    pub write_flush_p50_us: Option<f64>,
    /// The same, 99th percentile.
    pub write_flush_p99_us: Option<f64>,
    /// The same, how many a second.
    pub write_flush_per_s: Option<f64>,
    /// The same with all CPUs busy, 99th percentile.
    pub write_flush_busy_p99_us: Option<f64>,
    /// Sequential reads of 1 MiB, eight in flight, MB a second.
    pub seq_read_mb_s: Option<f64>,
    /// Memory copied by one core, GB (10⁹ bytes) a second.
    pub memcpy_gb_s: Option<f64>,
    /// There and back over TCP on 127.0.0.1, median, in microseconds.
    pub loopback_rtt_p50_us: Option<f64>,
    /// How late a sleeping core wakes, 99th percentile, in microseconds.
    pub sleep_overshoot_p99_us: Option<f64>,
    /// Why a figure is null.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub null_reasons: Reasons,
}

impl ProbeFigures {
    /// The mean of each figure, or the one that is there.
    fn mean(&self, other: &ProbeFigures) -> ProbeFigures {
        let mean = |pick: fn(&ProbeFigures) -> Option<f64>| match (pick(self), pick(other)) {
            (Some(first), Some(second)) => Some((first + second) / 2.0),
            (first, second) => first.or(second),
        };
        let mut figures = ProbeFigures {
            seq_write_mb_s: mean(|figures| figures.seq_write_mb_s),
            seq_write_block_bytes: self.seq_write_block_bytes,
            seq_write_depth: self.seq_write_depth,
            write_flush_p50_us: mean(|figures| figures.write_flush_p50_us),
            write_flush_p99_us: mean(|figures| figures.write_flush_p99_us),
            write_flush_per_s: mean(|figures| figures.write_flush_per_s),
            write_flush_busy_p99_us: mean(|figures| figures.write_flush_busy_p99_us),
            seq_read_mb_s: mean(|figures| figures.seq_read_mb_s),
            memcpy_gb_s: mean(|figures| figures.memcpy_gb_s),
            loopback_rtt_p50_us: mean(|figures| figures.loopback_rtt_p50_us),
            sleep_overshoot_p99_us: mean(|figures| figures.sleep_overshoot_p99_us),
            null_reasons: Reasons::default(),
        };
        for (figure, sentence) in &self.null_reasons.0 {
            if other.null_reasons.of(figure).is_some() {
                figures.null_reasons.add(figure, sentence.clone());
            }
        }
        figures
    }
}

/// What to probe, and how the engine that is measured against it works.
#[derive(Clone, Debug)]
pub struct ProbePlan {
    /// The file to write and read, on the data folder's file system; made where it is missing, kept
    /// and used again.
    pub file: PathBuf,
    /// Its size where it is made, bytes; less where that is more than a quarter of what is free.
    pub file_bytes: u64,
    /// The engine's frame: the size of a sequential write, bytes.
    pub block_bytes: usize,
    /// The engine's writes in flight.
    pub depth: usize,
    /// How those writes are made durable.
    pub flush: ProbeFlush,
    /// The CPU of the engine's first core; `None` where it is not pinned.
    pub cpu: Option<usize>,
    /// The CPU of the generator's first core.
    pub other_cpu: Option<usize>,
    /// How long each probe takes, as a multiple of its usual time: 1 is about three seconds in all.
    pub patience: f64,
}

/// How sequential writes are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFlush {
    /// One fdatasync in flight that covers what had completed before it, over and over.
    Fdatasync,
    /// Each write with O_DSYNC.
    Dsync,
    /// Not at all: for an engine that acknowledges what is written.
    Never,
}

impl ProbePlan {
    /// A file of 1 GiB, the engine's own frames, as many in flight as it has, flushed by fdatasync,
    /// nothing pinned.
    #[must_use]
    pub fn new(file: PathBuf) -> ProbePlan {
        ProbePlan {
            file,
            file_bytes: 1 << 30,
            block_bytes: FRAME_BYTES,
            depth: WRITE_DEPTH,
            flush: ProbeFlush::Fdatasync,
            cpu: None,
            other_cpu: None,
            patience: 1.0,
        }
    }

    /// How long a probe lasts that usually takes `ms` milliseconds.
    fn span(&self, ms: u64) -> Duration {
        Duration::from_millis(ms).mul_f64(self.patience)
    }

    fn core(&self, name: &str, cpu: Option<usize>, io_memory_bytes: usize) -> CoreConfig {
        let name = name.to_owned();
        CoreConfig { name, cpu, io_memory_bytes }
    }
}

/// One round of all probes. Blocks the thread, which must not be a core; what cannot be measured is
/// null and has its reason.
#[must_use]
pub fn probe(plan: &ProbePlan) -> ProbeFigures {
    let mut figures = ProbeFigures {
        seq_write_block_bytes: plan.block_bytes as u64,
        seq_write_depth: u32::try_from(plan.depth).unwrap_or(u32::MAX),
        ..ProbeFigures::default()
    };
    disk::probe(plan, &mut figures);
    machine::probe(plan, &mut figures);
    figures
}

/// Runs a future on a core of its own and waits for it; any failure is a sentence.
fn on_core<T, Fut>(
    config: CoreConfig,
    main: impl FnOnce() -> Fut + Send + 'static,
) -> Result<T, String>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T, String>> + 'static,
{
    cores::start(config, main).map_err(|error| error.to_string())?.join()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_what_is_there() {
        let mut before = ProbeFigures {
            seq_write_mb_s: Some(2_000.0),
            memcpy_gb_s: Some(8.0),
            ..ProbeFigures::default()
        };
        let mut after = ProbeFigures { seq_write_mb_s: Some(3_000.0), ..ProbeFigures::default() };
        before.null_reasons.add("seq_read_mb_s", "no file".to_owned());
        after.null_reasons.add("seq_read_mb_s", "no file".to_owned());
        after.null_reasons.add("memcpy_gb_s", "no memory".to_owned());
        let probes = Probes::new(before.clone(), Some(after));
        assert_eq!(probes.mean.seq_write_mb_s, Some(2_500.0));
        assert_eq!(probes.mean.memcpy_gb_s, Some(8.0));
        assert_eq!(probes.mean.null_reasons.of("seq_read_mb_s"), Some("no file"));
        assert_eq!(probes.mean.null_reasons.of("memcpy_gb_s"), None);
        assert_eq!(Probes::new(before.clone(), None).mean, before);
    }

    #[test]
    fn the_mean_stands_at_the_top_of_the_json() {
        let figures = ProbeFigures { memcpy_gb_s: Some(8.0), ..ProbeFigures::default() };
        let json = serde_json::to_value(Probes::new(figures, None)).unwrap();
        assert_eq!(json["memcpy_gb_s"], 8.0);
        assert_eq!(json["before"]["memcpy_gb_s"], 8.0);
        assert!(json["after"].is_null());
        assert!(json.get("null_reasons").is_none());
    }

    #[test]
    fn this_machine_answers_every_probe() {
        // Beside the test's own binary: there the file system is that of the target folder.
        let binary = std::env::current_exe().unwrap();
        let name = format!("probe-{}", std::process::id());
        let mut plan = ProbePlan::new(binary.with_file_name(name));
        plan.file_bytes = 16 << 20;
        plan.patience = 0.05;
        let figures = [probe(&plan), probe(&plan)];
        std::fs::remove_file(&plan.file).unwrap();
        for figures in figures {
            // A busy machine may leave a figure without samples; then it is null and says why.
            for figure in [
                figures.seq_write_mb_s,
                figures.write_flush_p50_us,
                figures.write_flush_per_s,
                figures.seq_read_mb_s,
                figures.memcpy_gb_s,
                figures.loopback_rtt_p50_us,
            ] {
                assert!(figure.is_none_or(|figure| figure > 0.0), "{figures:?}");
            }
            assert!(figures.memcpy_gb_s.is_some(), "it needs nothing but memory: {figures:?}");
            let json = serde_json::to_value(&figures).unwrap();
            for (name, figure) in json.as_object().unwrap() {
                let explained = figures.null_reasons.of(name).is_some();
                assert_eq!(figure.is_null(), explained, "{name} of {figures:?}");
            }
        }
    }
}
