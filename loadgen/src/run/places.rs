//! Which CPUs the engine has, and which the generator.

use runtime::cores;

use super::Failure;
use crate::cli::CpuList;
use crate::environment::affinity::Affinity;
use crate::scenario::{LimitsSetting, Scenario};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Engine cores; may be more than there are CPUs.
    pub engine_cores: usize,
    pub engine_cpus: Vec<usize>,
    pub generator_cpus: Vec<usize>,
}

/// Why a run in which engine and generator share a CPU is void.
pub(super) const SHARED: &str = "engine and generator share a CPU: their figures are not their own";

impl Places {
    /// What the scenario says; else half of the CPUs for each, the generator's the later ones. With limits
    /// the generator has one: whether they are kept, only a checker can say that sees every call.
    pub(super) fn choose(scenario: &Scenario) -> Result<Places, Failure> {
        let of = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                let list = text.parse::<CpuList>();
                list.map(|list| Some(list.0)).map_err(|error| Failure::usage(error.to_string()))
            }
        };
        let engine = of(&scenario.target.cpus)?;
        let generator = of(&scenario.producer.cpus)?;
        let cores = scenario.target.cores.map(|cores| cores as usize);
        let is_chosen = generator.is_none();
        let mut places = Places::among(&cores::online_cpus(), engine, generator, cores)?;
        if is_chosen && scenario.stream.limits == LimitsSetting::Aws {
            places.generator_cpus.truncate(1);
        }
        Ok(places)
    }

    fn among(
        online: &[usize],
        engine: Option<Vec<usize>>,
        generator: Option<Vec<usize>>,
        cores: Option<usize>,
    ) -> Result<Places, Failure> {
        for cpu in engine.iter().chain(&generator).flatten() {
            if !online.contains(cpu) {
                return Err(Failure::usage(format!(
                    "CPU {cpu} is not one of those that this process may use ({})",
                    CpuList(online.to_vec())
                )));
            }
        }
        if cores == Some(0) {
            return Err(Failure::usage("--cores must be at least 1".to_owned()));
        }
        let not_in = |taken: &Option<Vec<usize>>| -> Vec<usize> {
            let is_free = |cpu: &usize| !taken.as_ref().is_some_and(|taken| taken.contains(cpu));
            let free: Vec<usize> = online.iter().copied().filter(is_free).collect();
            if free.is_empty() { online.to_vec() } else { free }
        };
        let engine_cpus = engine.unwrap_or_else(|| {
            let mut free = not_in(&generator);
            let most = if generator.is_some() { free.len() } else { (free.len() / 2).max(1) };
            free.truncate(cores.unwrap_or(most).min(most));
            free
        });
        let generator_cpus = generator.unwrap_or_else(|| not_in(&Some(engine_cpus.clone())));
        let engine_cores = cores.unwrap_or(engine_cpus.len());
        Ok(Places { engine_cores, engine_cpus, generator_cpus })
    }

    /// `affinity` of run.json.
    pub(super) fn affinity(&self) -> Affinity {
        Affinity {
            server: Some(self.engine_cpus.clone()),
            generator: Some(self.generator_cpus.clone()),
        }
    }

    /// What a reader of the figures has to know of them.
    pub(super) fn crowded(&self) -> Option<String> {
        let (cores, cpus) = (self.engine_cores, self.engine_cpus.len());
        (cores > cpus).then(|| format!("{cores} engine cores share {cpus} CPU(s)"))
    }

    /// All that is to be told before the run.
    pub(super) fn warnings(&self) -> Vec<String> {
        let shared = self.affinity().overlaps().then(|| SHARED.to_owned());
        shared.into_iter().chain(self.crowded()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_and_generator_are_kept_apart_where_there_is_room() {
        let check = |online: &[usize],
                     engine: Option<&[usize]>,
                     generator: Option<&[usize]>,
                     cores,
                     expected: (usize, &[usize], &[usize], usize)| {
            let lists = (engine.map(<[usize]>::to_vec), generator.map(<[usize]>::to_vec));
            let places = Places::among(online, lists.0, lists.1, cores).unwrap();
            let found = (
                places.engine_cores,
                &*places.engine_cpus,
                &*places.generator_cpus,
                places.warnings().len(),
            );
            assert_eq!(found, expected);
        };
        check(&[0, 1], None, None, None, (1, &[0], &[1], 0));
        check(&[0, 1, 2, 3], None, None, None, (2, &[0, 1], &[2, 3], 0));
        check(&[0, 1, 2, 3], None, None, Some(1), (1, &[0], &[1, 2, 3], 0));
        check(&[0, 1], None, None, Some(2), (2, &[0], &[1], 1));
        check(&[0, 1], Some(&[1]), None, None, (1, &[1], &[0], 0));
        check(&[0, 1], None, Some(&[0]), None, (1, &[1], &[0], 0));
        check(&[0, 1], Some(&[0, 1]), Some(&[1]), None, (2, &[0, 1], &[1], 1));
        check(&[5], None, None, None, (1, &[5], &[5], 1));
    }

    #[test]
    fn with_limits_one_checker_sees_every_call() {
        let mut scenario = Scenario::run_default();
        assert_eq!(Places::choose(&scenario).unwrap().generator_cpus.len(), 1);
        let all = CpuList(cores::online_cpus());
        scenario.producer.cpus = Some(all.to_string());
        assert_eq!(Places::choose(&scenario).unwrap().generator_cpus, all.0, "as it was said");
    }

    #[test]
    fn a_cpu_that_is_not_there_is_a_usage_error() {
        let error = Places::among(&[0, 1], Some(vec![7]), None, None).unwrap_err();
        assert_eq!(error.code, crate::exit_code::ExitCode::Usage);
        assert!(error.sentence.contains("CPU 7"), "{}", error.sentence);
        assert!(Places::among(&[0, 1], None, None, Some(0)).is_err());
    }
}
