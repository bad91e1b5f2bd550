//! One process that plays seeds one after the other, and tells its parent by lines of JSON.
//!
//! A process and not a thread: a planted bug is switched on for the whole process, and a broken
//! invariant of the engine ends it.

use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use runtime::clock;
use serde_json::{Value, json};

use crate::check::{Check, Finding, Violation};
use crate::coverage::Coverage;
use crate::seed;

/// Seeds between two lines.
const SEEDS_PER_LINE: u64 = 20;
/// A seed takes a fraction of a second; one that takes so long has no end.
const SEED_TIME_MAX: Duration = Duration::from_secs(120);
/// How often the time of a seed is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which seeds a worker plays: `from`, `from + step`, .. below `to`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// One past the last.
    pub to: u64,
    /// How far apart they are.
    pub step: u64,
}

/// A violation as a line tells it.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The seed that repeats it.
    pub seed: u64,
    /// The check that found it.
    pub check: String,
    /// All that is known.
    pub text: String,
}

/// What seeds have done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Seeds that were played to their end.
    pub seeds: u64,
    /// Operations of their clients.
    pub operations: u64,
    /// Their kills and power cuts.
    pub crashes: u64,
    /// Faults beside these.
    pub faults: u64,
    /// What they have reached.
    pub coverage: Coverage,
}

impl Done {
    /// Adds what others have done.
    pub fn add(&mut self, other: &Done) {
        self.seeds += other.seeds;
        self.operations += other.operations;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.coverage.add(&other.coverage);
    }

    fn json(&self) -> Value {
        json!({
            "seeds": self.seeds,
            "operations": self.operations,
            "crashes": self.crashes,
            "faults": self.faults,
            "coverage": self.coverage.json(),
        })
    }

    fn from_json(line: &Value) -> Option<Done> {
        let count = |name: &str| line.get(name)?.as_u64();
        Some(Done {
            seeds: count("seeds")?,
            operations: count("operations")?,
            crashes: count("crashes")?,
            faults: count("faults")?,
            coverage: Coverage::from_json(line.get("coverage")?)?,
        })
    }
}

/// What a worker tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// So much more was done.
    Done(Done),
    /// A seed has come to a violation.
    Violation(Witness),
}

/// The worker's side: plays the range and prints lines.
///
/// # Errors
/// When nobody listens any more.
pub fn work(range: Range) -> io::Result<()> {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("a panic without words");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = format!("{message} ({place})");
        match seed::violation_of_panic(&message) {
            Some(violation) => println!("{}", violation_json(&violation)),
            None => eprintln!("{message}"),
        }
        // Also where panics unwind: the destructors of a broken world must not run.
        std::process::exit(101);
    }));
    let playing = AtomicU64::new(range.from);
    std::thread::scope(|scope| {
        let (alive, ended) = mpsc::channel();
        let playing = &playing;
        scope.spawn(move || watch(playing, &ended));
        let played = play(range, playing);
        drop(alive);
        played
    })
}

fn play(range: Range, playing: &AtomicU64) -> io::Result<()> {
    let mut done = Done::default();
    // Not locked: the watch has to be heard.
    let mut out = io::stdout();
    for seed in (range.from..range.to).step_by(usize::try_from(range.step).expect("few workers")) {
        playing.store(seed, Ordering::Relaxed);
        let played = seed::play(seed, false);
        done.seeds += 1;
        done.operations += played.operations;
        done.crashes += played.crashes;
        done.faults += played.faults;
        done.coverage.add(&played.coverage);
        if let Some(violation) = &played.violation {
            writeln!(out, "{}", violation_json(violation))?;
        }
        if done.seeds == SEEDS_PER_LINE || played.violation.is_some() {
            writeln!(out, "{}", std::mem::take(&mut done).json())?;
            out.flush()?;
        }
    }
    writeln!(out, "{}", done.json())?;
    out.flush()
}

/// Ends the process when a seed does not end: a loop within one step is seen by nobody else.
fn watch(playing: &AtomicU64, ended: &mpsc::Receiver<()>) {
    let (mut seed, mut since) = (playing.load(Ordering::Relaxed), clock::now());
    while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let now = clock::now();
        let current = playing.load(Ordering::Relaxed);
        if current != seed {
            (seed, since) = (current, now);
        } else if now - since > SEED_TIME_MAX {
            let seen = format!("none within {} s", SEED_TIME_MAX.as_secs());
            let finding = Finding::new(Check::Livelock, "an end", seen);
            let violation = Violation { seed, life: 0, operation: 0, shard: None, finding };
            println!("{}", violation_json(&violation));
            std::process::exit(101);
        }
    }
}

fn violation_json(violation: &Violation) -> Value {
    json!({
        "seed": violation.seed,
        "check": violation.finding.check.name(),
        "text": violation.to_string(),
    })
}

fn parse(line: &str) -> Option<Told> {
    let line: Value = serde_json::from_str(line).ok()?;
    let Some(text) = line.get("text") else { return Done::from_json(&line).map(Told::Done) };
    Some(Told::Violation(Witness {
        seed: line.get("seed")?.as_u64()?,
        check: line.get("check")?.as_str()?.to_owned(),
        text: text.as_str()?.to_owned(),
    }))
}

/// The parent's side: starts workers on the range, one after the other where one dies of a broken
/// invariant, until all of it is played or `hear` wants no more.
///
/// # Errors
/// When a worker cannot be started, or dies without a word.
pub fn employ(
    range: Range,
    bug: Option<&str>,
    hear: &mut dyn FnMut(Told) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut range = range;
    while range.from < range.to {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker").args(["--from", &range.from.to_string()]);
        command.args(["--to", &range.to.to_string(), "--step", &range.step.to_string()]);
        command.args(bug.map(|bug| ["--bug", bug]).into_iter().flatten());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().expect("its output is a pipe");
        let mut last_seed = None;
        for line in io::BufReader::new(out).lines() {
            let line = line?;
            let told =
                parse(&line).ok_or_else(|| io::Error::other(format!("not a line: {line}")))?;
            if let Told::Violation(witness) = &told {
                last_seed = Some(witness.seed);
            }
            if hear(told).is_break() {
                child.kill()?;
                child.wait()?;
                return Ok(());
            }
        }
        if child.wait()?.success() {
            return Ok(());
        }
        // What it did since its last line is lost, but for the seed that it died of.
        let seed = last_seed.ok_or_else(|| io::Error::other("a worker died without a word"))?;
        range.from = seed + range.step;
    }
    Ok(())
}
