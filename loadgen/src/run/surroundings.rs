//! The machine around a run: whether it is calm, what it can do before and after, what was used.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gyre::embed::{CoreStats, FlushMethod, LogCounters};
use model::limits::SHARD_WRITE_RECORDS_PER_SECOND;
use runtime::signal;

use super::folder::Folder;
use super::live::Live;
use super::places::{Places, SHARED};
use super::subject::check_room;
use super::{Failure, RunOptions};
use crate::environment::hardware::fingerprint;
use crate::environment::meters::{ServerWork, ThreadGroup, Usage, Watched};
use crate::environment::preflight::{Preflight, PreflightPlan, preflight};
use crate::environment::probes::{ProbeFigures, ProbeFlush, ProbePlan, Probes, probe};
use crate::environment::reasons::Reasons;
use crate::environment::resources::{GeneratorResources, Resources};
use crate::environment::roofline::{Measured, Roofline, roofline};
use crate::environment::system::System;
use crate::exit_code::ExitCode;
use crate::outcome::{GeneratorOutcome, Load};
use crate::report::Environment;
use crate::scenario::{Durability, LimitsSetting, Scenario};

/// What must be free on the disk.
pub(super) const FREE_BYTES_MIN: u64 = 4 << 30;

/// What was found before the engine started.
#[derive(Default)]
pub(super) struct Surroundings {
    /// The engine's folder: the file system and the disk that are meant.
    data: PathBuf,
    preflight: Preflight,
    /// `None` where nothing is to be probed.
    plan: Option<ProbePlan>,
    probe_file: Option<ProbeFile>,
    before: ProbeFigures,
}

impl Surroundings {
    /// What the probe wrote flushed, MB/s.
    pub(super) fn disk_mb_s(&self) -> Option<f64> {
        self.before.seq_write_mb_s
    }

    /// Waits for a calm machine, and probes it. Blocks; not to be called on a core.
    pub(super) fn look(
        scenario: &Scenario,
        options: &RunOptions,
        places: &Places,
        folder: &Folder,
        flush: FlushMethod,
        live: &mut Live,
    ) -> Result<Surroundings, Failure> {
        let data = folder.path().to_owned();
        if options.search {
            check_room(&data)?;
        }
        if !options.probes {
            return Ok(Surroundings { data, ..Surroundings::default() });
        }
        let mut plan = PreflightPlan::new(data.clone(), FREE_BYTES_MIN);
        if options.force {
            plan.wait_max = Duration::ZERO;
        }
        live.begin("calm?");
        let preflight = preflight(&plan, &mut |found| {
            live.waiting(&found.complaints().join("; "));
            if signal::is_interrupted() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        interrupted()?;
        live.end(&match preflight.complaints() {
            none if none.is_empty() => "the machine is calm".to_owned(),
            complaints => complaints.join("; "),
        });
        let file = ProbeFile { path: folder.probe().to_owned() };
        let mut plan = ProbePlan::new(file.path.clone());
        plan.cpu = places.engine_cpus.first().copied();
        plan.other_cpu = places.generator_cpus.first().copied();
        plan.flush = match (scenario.stream.durability, flush) {
            (Durability::Written, _) => ProbeFlush::Never,
            (Durability::Durable, FlushMethod::Fdatasync) => ProbeFlush::Fdatasync,
            (Durability::Durable, FlushMethod::Dsync) => ProbeFlush::Dsync,
        };
        let before = probed(&plan, live);
        interrupted()?;
        Ok(Surroundings { data, preflight, plan: Some(plan), probe_file: Some(file), before })
    }

    /// Everything about the machine, once the run is over, and before its folder goes: what removing it
    /// costs the disk is not the probe's. Blocks; not to be called on a core.
    pub(super) fn environment(self, run: &Run<'_>, live: &mut Live) -> Environment {
        let plan = self.plan.filter(|_| !signal::is_interrupted());
        let after = plan.map(|plan| probed(&plan, live));
        // Before anybody asks git whether its checkout is as it was.
        drop(self.probe_file);
        let probes = Probes::new(self.before, after);
        let work = work(run);
        let mut reasons = Reasons::default();
        let (cpu_pct, server, host) = match run.usage {
            Some(usage) => (usage.generator_cpu_pct(), usage.server(&work), usage.host()),
            None => (Err("not measured".to_owned()), Default::default(), Default::default()),
        };
        let ceiling = Err("there is no stub yet to measure it on".to_owned());
        let generator = GeneratorResources {
            load_pct: Some(run.generator.load_pct),
            cpu_pct: reasons.keep("cpu_pct", cpu_pct),
            self_stall_max_us: Some(run.generator.self_stall_max.as_secs_f64() * 1e6),
            self_stall_pct: Some(run.generator.self_stall_pct),
            ceiling_records_per_s: reasons.keep("ceiling_records_per_s", ceiling),
            null_reasons: reasons,
        };
        Environment {
            hardware: fingerprint(&self.data),
            system: System::read(),
            roofline: run.roofline(&probes.mean),
            probes,
            preflight: self.preflight,
            affinity: run.places.affinity(),
            resources: Resources { server, generator, host },
        }
    }
}

/// The file that the probes write and read, this process's own: of one size, made by the first of them
/// and used again by the second. It goes with this value.
struct ProbeFile {
    path: PathBuf,
}

impl Drop for ProbeFile {
    fn drop(&mut self) {
        // Where the probe could not make it there is none, and its sentence stands in the figures.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Whom the meters of a load watch.
pub(super) fn watched(data: &Path) -> Watched {
    Watched {
        server: Some(ThreadGroup::named("gyre-")),
        generator: ThreadGroup::named("generator-"),
        data: Some(data.to_owned()),
    }
}

fn interrupted() -> Result<(), Failure> {
    if !signal::is_interrupted() {
        return Ok(());
    }
    let sentence = "interrupted before anything was measured".to_owned();
    Err(Failure { code: ExitCode::Interrupted, sentence })
}

fn probed(plan: &ProbePlan, live: &mut Live) -> ProbeFigures {
    live.begin("probe");
    let figures = probe(plan);
    let shown =
        |figure: Option<f64>| figure.map_or("n/a".to_owned(), |figure| format!("{figure:.0}"));
    live.end(&format!(
        "disk {} MB/s flushed, 4 KiB write + flush {} µs, read {} MB/s",
        shown(figures.seq_write_mb_s),
        shown(figures.write_flush_p50_us),
        shown(figures.seq_read_mb_s),
    ));
    figures
}

/// A run, as its surroundings are asked about it.
pub(super) struct Run<'a> {
    pub scenario: &'a Scenario,
    pub places: &'a Places,
    pub load: &'a Load,
    pub generator: &'a GeneratorOutcome,
    pub before: &'a [CoreStats],
    pub after: &'a [CoreStats],
    /// The time between them.
    pub counted: Duration,
    pub usage: Option<&'a Usage>,
}

impl Run<'_> {
    fn rose(&self, of: fn(&LogCounters) -> u64) -> u64 {
        let sum =
            |stats: &[CoreStats]| stats.iter().flat_map(|core| &core.logs).map(of).sum::<u64>();
        sum(self.after).saturating_sub(sum(self.before))
    }

    /// How busy the generator was: what it calls useful work, or its thread as the kernel counts, ring
    /// and executor included, whichever is more.
    fn generator_pct(&self) -> f64 {
        let thread = self.usage.and_then(Usage::busiest_generator_core_pct);
        thread.unwrap_or(0.0).max(self.generator.load_pct)
    }

    fn roofline(&self, probes: &ProbeFigures) -> Roofline {
        let seconds = self.load.measured_ns.max(1) as f64 / 1e9;
        let counted_s = self.counted.as_secs_f64().max(1e-9);
        let shards = f64::from(self.scenario.stream.shards);
        let limited = self.scenario.stream.limits == LimitsSetting::Aws;
        roofline(&Measured {
            frame_bytes_per_s: Some(self.rose(|log| log.frame_bytes) as f64 / counted_s),
            flushes_per_s: Some(self.rose(|log| log.flushes) as f64 / counted_s),
            seq_write_mb_s: probes.seq_write_mb_s,
            write_flush_per_s: probes.write_flush_per_s,
            engine_core_pct: self.usage.and_then(Usage::busiest_engine_core_pct),
            generator_load_pct: Some(self.generator_pct()),
            acked_per_s: self.load.counters.acked_records as f64 / seconds,
            generator_ceiling_per_s: None,
            shard_limit_per_s: limited
                .then_some(shards * f64::from(SHARD_WRITE_RECORDS_PER_SECOND)),
        })
    }
}

fn work(run: &Run<'_>) -> ServerWork {
    ServerWork {
        acked_records: run.load.counters.acked_records,
        payload_bytes: run.load.counters.acked_bytes,
        flushes: Some(run.rose(|log| log.flushes)),
        written_bytes: Some(run.rose(|log| log.bytes_written)),
        read_bytes: Some(run.rose(|log| log.bytes_read)),
        cache_misses: Some(run.rose(|log| log.cache_misses)),
    }
}

/// What the machine says against a run: what others took while it ran, and what waiting before it could
/// not mend.
pub(super) fn complaints(environment: &Environment) -> Vec<String> {
    let mut found = environment.preflight.lasting_complaints();
    found.extend(environment.resources.host.contended());
    found.extend(environment.affinity.overlaps().then(|| SHARED.to_owned()));
    found
}

/// What has to be known to read the figures: what was found before the run and was measured again while
/// it went, and how the machine was used.
pub(super) fn notes(environment: &Environment, places: &Places) -> Vec<String> {
    let passing = environment.preflight.passing_complaints();
    let before = passing.into_iter().map(|sentence| format!("before the run: {sentence}"));
    before.chain(places.crowded()).chain(environment.system.clock_warning()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::folder::home;

    #[test]
    fn the_probes_file_goes_with_its_value_whether_it_was_made_or_not() {
        let path = home().join(format!("probe-file-test-{}", std::process::id()));
        let file = ProbeFile { path: path.clone() };
        std::fs::write(&path, "probed").unwrap();
        drop(file);
        assert!(!path.exists());
        drop(ProbeFile { path });
    }
}
