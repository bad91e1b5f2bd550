//! Many seeds on all CPUs: progress, witnesses, and what was covered.

use std::io;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loadgen::report::provenance::Provenance;
use runtime::clock::{self, Instant};
use runtime::cores;
use serde_json::{Value, json};

use crate::worker::{self, Done, Range, Told, Witness};

/// After so many witnesses a run has told enough.
const WITNESSES_MAX: usize = 10;
/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first seed.
    pub from: u64,
    /// How many were asked for.
    pub seeds: u64,
    /// What they have done.
    pub done: Done,
    /// Violations, in no order.
    pub witnesses: Vec<Witness>,
    /// How long it took.
    pub took: Duration,
}

struct Shared {
    done: Done,
    witnesses: Vec<Witness>,
    shown: Instant,
}

/// Plays `seeds` seeds from `from` on.
///
/// # Errors
/// When workers cannot be started.
pub fn run(from: u64, seeds: u64) -> io::Result<Report> {
    let started = clock::now();
    let workers = cores::online_cpus().len().max(1) as u64;
    let shared =
        Mutex::new(Shared { done: Done::default(), witnesses: Vec::new(), shown: started });
    let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let start = |number| {
            let range = Range { from: from + number, to: from + seeds, step: workers };
            let shared = &shared;
            scope.spawn(move || worker::employ(range, None, &mut |told| hear(shared, told, seeds)))
        };
        let threads: Vec<_> = (0..workers).map(start).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        };
        threads.into_iter().map(join).collect()
    });
    results.into_iter().collect::<io::Result<()>>()?;
    let Shared { done, witnesses, .. } = shared.into_inner().expect("no thread panicked");
    Ok(Report { from, seeds, done, witnesses, took: clock::now() - started })
}

fn hear(shared: &Mutex<Shared>, told: Told, seeds: u64) -> ControlFlow<()> {
    let mut shared = shared.lock().expect("no thread panics with it");
    match told {
        Told::Done(done) => shared.done.add(&done),
        Told::Violation(witness) => {
            eprintln!("{}", witness.text);
            shared.witnesses.push(witness);
        }
    }
    let now = clock::now();
    if now - shared.shown >= SHOW_EVERY {
        shared.shown = now;
        let (played, failed) = (shared.done.seeds, shared.witnesses.len());
        eprintln!("{played} of {seeds} seeds, {failed} with a violation");
    }
    match shared.witnesses.len() >= WITNESSES_MAX {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

impl Report {
    /// What was required and not reached often enough: name, count, how often it had to be.
    #[must_use]
    pub fn missing(&self) -> Vec<(&'static str, u64, u64)> {
        self.done.coverage.missing(self.seeds)
    }

    /// As one object of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let witness = |witness: &Witness| json!({ "seed": witness.seed, "check": witness.check, "text": witness.text });
        let provenance = Provenance::own();
        json!({
            "git": provenance.git,
            "binary_sha256": provenance.binary_sha256,
            "from": self.from,
            "seeds": self.seeds,
            "seconds": self.took.as_secs_f64(),
            "operations": self.done.operations,
            "crashes": self.done.crashes,
            "faults": self.done.faults,
            "coverage": self.done.coverage.json(),
            "violations": self.witnesses.iter().map(witness).collect::<Vec<_>>(),
        })
    }

    /// As people read it.
    #[must_use]
    pub fn text(&self) -> String {
        let Done { operations, crashes, faults, coverage, .. } = &self.done;
        let seconds = self.took.as_secs();
        let mut text = format!(
            "{} seeds from {} in {seconds} s: {operations} operations, {crashes} crashes, {faults} \
             other faults\n",
            self.seeds, self.from
        );
        for (name, count) in coverage.named() {
            text += &format!("  {name:32} {count:>10}\n");
        }
        for (name, count, required) in self.missing() {
            text += &format!("{name} was reached {count} times and must be {required} times\n");
        }
        for witness in &self.witnesses {
            text += &format!("{}\n    again: simulation seed {}\n", witness.text, witness.seed);
        }
        text
    }
}

/// One planted bug and what found it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The bug.
    pub bug: String,
    /// Seeds played, the last one found it if any did.
    pub seeds: u64,
    /// What found it.
    pub witness: Option<Witness>,
}

/// Switches on each bug in turn and plays at most `seeds_max` seeds with it; `report` sees each as
/// it ends.
///
/// # Errors
/// When workers cannot be started.
pub fn bugs(names: &[String], seeds_max: u64, report: &(dyn Fn(&Row) + Sync)) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let search = || {
        while let Some(bug) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut row = Row { bug: bug.clone(), seeds: seeds_max, witness: None };
            let range = Range { from: 0, to: seeds_max, step: 1 };
            worker::employ(range, Some(bug), &mut |told| match told {
                Told::Done(_) => ControlFlow::Continue(()),
                Told::Violation(witness) => {
                    row.seeds = witness.seed + 1;
                    row.witness = Some(witness);
                    ControlFlow::Break(())
                }
            })?;
            report(&row);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..cores::online_cpus().len().max(1)).map(|_| scope.spawn(search)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        };
        threads.into_iter().try_for_each(join)
    })
}
