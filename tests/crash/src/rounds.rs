//! Rounds: a life that writes until it is killed or its power is cut, now and then some lives that
//! die while they recover, and one that lists everything for the oracle. Where all of them died
//! before a record was acknowledged, longer ones follow; a round without any has not passed.
//!
//! A data folder lives through several rounds, so that what one crash left behind meets the next.
//! The plan follows from the seed; where exactly a kill falls is the machine's doing.

use crate::child::{Life, Mode, Subject};
use crate::forgetful::{CutCounts, DiskCounts, Mount};
use crate::journal::{self, Event};
use crate::listing;
use crate::oracle::{Oracle, OracleCounts, Violation};
use crate::process::{Process, Sign};
use crate::record::mix;
use fastrand::Rng;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Opening and listing takes longer than this only where something hangs.
const LISTING_LIMIT: Duration = Duration::from_secs(60);

/// How long further lives write where a round has acknowledged nothing so far. On the busiest machine
/// the last one is long enough, or something hangs.
const IDLE_TIMES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(800), Duration::from_millis(3_200)];

/// The slowest flush of the forgetful file system; the median is a sixteenth of it.
const FLUSH_TIME_MAX: Duration = Duration::from_millis(16);

/// How lives end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Crash {
    /// SIGKILL: the kernel and its caches live on.
    Kill,
    /// The power goes: what was not flushed is kept, dropped or torn.
    Power,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How lives end.
    pub crash: Crash,
    /// The engine.
    pub subject: Subject,
    /// How often.
    pub rounds: u32,
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// Where data folders go; created, and emptied where nothing was found.
    pub directory: PathBuf,
    /// The binary with the command `child`.
    pub program: PathBuf,
}

/// What became of one round.
#[derive(Clone, Debug)]
pub struct Round {
    /// From 0.
    pub number: u32,
    /// The data folder, from 0.
    pub folder: u32,
    /// Processes that were started.
    pub lives: u32,
    /// Where the deaths fell.
    pub moments: Vec<String>,
    /// Records of this round.
    pub counts: OracleCounts,
    /// Records in the last listing.
    pub listed: u64,
    /// What the cuts did.
    pub cut: CutCounts,
    /// What was asked of the disk; nothing where it is not ours.
    pub disk: DiskCounts,
    /// The first few violations.
    pub violations: Vec<Violation>,
    /// All violations.
    pub violation_count: u64,
    /// A life that ended by itself or never began to serve, in its own words.
    pub failure: Option<String>,
    /// Where the evidence was kept.
    pub witness: Option<PathBuf>,
}

impl Round {
    /// Nothing happened that must not.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violation_count == 0 && self.failure.is_none()
    }
}

/// When a life dies.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after the start, most likely before it serves.
    Opening(Duration),
    /// So long after it has listed everything.
    Writing(Duration),
    /// By itself, when it has listed everything and closed the engine.
    End,
}

/// One data folder and all that is known of it.
struct Folder {
    number: u32,
    root: PathBuf,
    data: PathBuf,
    mount: Option<Mount>,
    oracle: Oracle,
    rounds_left: u32,
}

/// The state of a run.
struct Run<'a> {
    plan: &'a Plan,
    rng: Rng,
    next_life: u32,
    next_folder: u32,
    has_witness: bool,
}

/// Plays the plan; `report` sees each round as it ends and says whether to go on.
///
/// # Errors
/// A folder cannot be written, a file system not mounted, a child not started. What a child does
/// wrong is no error but a round that has not passed.
pub fn run(plan: &Plan, report: &mut dyn FnMut(&Round) -> bool) -> io::Result<()> {
    fs::create_dir_all(&plan.directory)?;
    let rng = Rng::with_seed(mix(plan.seed));
    let mut run = Run { plan, rng, next_life: 0, next_folder: 0, has_witness: false };
    let mut folder = None;
    for number in 0..plan.rounds {
        let mut current = match folder.take() {
            Some(folder) => folder,
            None => run.new_folder()?,
        };
        let mut round = run.round(number, &mut current)?;
        current.rounds_left -= 1;
        if !round.passed() && !run.has_witness {
            round.witness = Some(keep_witness(&current)?);
            run.has_witness = true;
        } else if !round.passed() || current.rounds_left == 0 || number + 1 == plan.rounds {
            let root = current.root.clone();
            drop(current); // unmounts
            fs::remove_dir_all(root)?;
        } else {
            folder = Some(current);
        }
        if !report(&round) {
            break;
        }
    }
    if let Some(folder) = folder {
        let root = folder.root.clone();
        drop(folder);
        fs::remove_dir_all(root)?;
    }
    Ok(())
}

impl Run<'_> {
    fn new_folder(&mut self) -> io::Result<Folder> {
        let number = self.next_folder;
        self.next_folder += 1;
        let root = self.plan.directory.join(format!("folder-{number}"));
        clear(&root)?;
        let (mount, parent) = match self.plan.crash {
            Crash::Kill => (None, root.clone()),
            Crash::Power => {
                let (backing, mounted) = (root.join("backing"), root.join("mounted"));
                fs::create_dir(&backing)?;
                fs::create_dir(&mounted)?;
                let seed = self.rng.u64(..);
                let mount = Mount::with_slow_flushes(&backing, &mounted, FLUSH_TIME_MAX, seed)?;
                (Some(mount), mounted)
            }
        };
        Ok(Folder {
            number,
            data: parent.join("data"),
            root,
            mount,
            oracle: Oracle::new(self.plan.seed),
            rounds_left: self.rng.u32(1..=8),
        })
    }

    fn round(&mut self, number: u32, folder: &mut Folder) -> io::Result<Round> {
        let mut round = Round {
            number,
            folder: folder.number,
            lives: 0,
            moments: Vec::new(),
            counts: OracleCounts::default(),
            listed: 0,
            cut: CutCounts::default(),
            disk: DiskCounts::default(),
            violations: Vec::new(),
            violation_count: 0,
            failure: None,
            witness: None,
        };
        let counts_before = folder.oracle.counts();
        let disk_before = folder.mount.as_ref().map(Mount::counts).unwrap_or_default();
        round.failure = self.play_lives(folder, &mut round)?;
        let counts = folder.oracle.counts();
        round.counts.sent = counts.sent - counts_before.sent;
        round.counts.acked = counts.acked - counts_before.acked;
        round.counts.gone = counts.gone.saturating_sub(counts_before.gone);
        if let Some(mount) = &folder.mount {
            round.disk = mount.counts().since(disk_before);
        }
        (round.violations, round.violation_count) = folder.oracle.take_violations();
        Ok(round)
    }

    /// All lives of a round, the last of which lists. Returns what went wrong with a process itself,
    /// or that the round proves nothing: no record was acknowledged that could have been lost.
    fn play_lives(&mut self, folder: &mut Folder, round: &mut Round) -> io::Result<Option<String>> {
        let acked_before = folder.oracle.counts().acked;
        for moment in self.draw_moments() {
            let failure = self.live(folder, Mode::Write, moment, round)?;
            if failure.is_some() {
                return Ok(failure);
            }
        }
        for time in IDLE_TIMES {
            if folder.oracle.counts().acked > acked_before {
                break;
            }
            let failure = self.live(folder, Mode::Write, Moment::Writing(time), round)?;
            if failure.is_some() {
                return Ok(failure);
            }
        }
        let failure = self.live(folder, Mode::List, Moment::End, round)?;
        let is_idle = folder.oracle.counts().acked == acked_before;
        let words = || {
            let lives = round.lives - 1;
            format!("no record was acknowledged in {lives} lives: the round proves nothing")
        };
        Ok(failure.or_else(|| is_idle.then(words)))
    }

    /// When the writing lives of a round end: one that writes, and perhaps some that die young.
    fn draw_moments(&mut self) -> Vec<Moment> {
        let mut moments = Vec::new();
        let first = match self.rng.u8(0..8) {
            0 => Moment::Opening(self.draw_time(300)),
            _ => Moment::Writing(self.draw_time(1_500)),
        };
        moments.push(first);
        for _ in 0..[0, 0, 0, 1, 2][self.rng.usize(0..5)] {
            moments.push(Moment::Opening(self.draw_time(300)));
        }
        moments
    }

    /// Short and long times alike: uniform in the logarithm, from 0.1 ms.
    fn draw_time(&mut self, ms_max: u32) -> Duration {
        let octaves = f64::from(ms_max * 10).log2();
        Duration::from_secs_f64((self.rng.f64() * octaves).exp2() / 10_000.0)
    }

    /// One life to its end. Returns what went wrong with the process itself.
    fn live(
        &mut self,
        folder: &mut Folder,
        mode: Mode,
        moment: Moment,
        round: &mut Round,
    ) -> io::Result<Option<String>> {
        let number = self.next_life;
        self.next_life += 1;
        round.lives += 1;
        let life = Life {
            subject: self.plan.subject,
            crash: self.plan.crash,
            mode,
            data: folder.data.clone(),
            journal: folder.root.join(format!("journal-{number}")),
            listing: folder.root.join(format!("listing-{number}")),
            run: self.plan.seed,
            life: number,
        };
        let stderr = folder.root.join(format!("stderr-{number}"));
        let mut process = Process::start(&self.plan.program, &life, &stderr)?;
        let failure = play(&mut process, moment, round)?;
        // After its own end the power may go as well: everything must be durable by then.
        let cuts = !matches!(moment, Moment::End) || self.rng.bool();
        if let (Some(mount), true) = (&folder.mount, cuts) {
            round.cut.add(mount.cut(self.rng.u64(..))?);
        }
        process.kill()?;
        if let Some(mount) = &folder.mount {
            mount.revive();
        }
        let events = journal::read(&life.journal)?;
        let rows = listing::read(&life.listing)?;
        let complete = events.contains(&Event::Listed);
        folder.oracle.check_listing(&rows, complete);
        folder.oracle.learn(&events);
        if complete {
            round.listed = rows.len() as u64;
        }
        Ok(failure)
    }
}

/// Waits for the moment. Returns what the process did instead of living that long.
fn play(process: &mut Process, moment: Moment, round: &mut Round) -> io::Result<Option<String>> {
    let (limit, after) = match moment {
        Moment::Opening(time) => (time, time),
        Moment::Writing(time) => (LISTING_LIMIT, time),
        Moment::End => (LISTING_LIMIT, LISTING_LIMIT),
    };
    let serving = match process.wait(limit)? {
        Sign::Listed => true,
        Sign::Nothing => false,
        Sign::Ended => return ended_by_itself(process),
    };
    if !serving {
        if let Moment::Opening(time) = moment {
            round.moments.push(format!("opening, {time:.1?}"));
            return Ok(None);
        }
        return Ok(Some(format!("not serving after {limit:?}: {}", process.last_words())));
    }
    match (moment, process.wait(after)?) {
        (Moment::Opening(time) | Moment::Writing(time), Sign::Nothing) => {
            round.moments.push(format!("serving, {time:.1?}"));
            Ok(None)
        }
        (Moment::End, Sign::Ended) => {
            let status = process.join()?;
            let words = || format!("ended with {status}: {}", process.last_words());
            Ok((!status.success()).then(words))
        }
        (Moment::End, _) => Ok(Some(format!("not closed after {after:?}"))),
        (_, Sign::Ended | Sign::Listed) => ended_by_itself(process),
    }
}

fn ended_by_itself(process: &mut Process) -> io::Result<Option<String>> {
    let status = process.join()?;
    Ok(Some(format!("ended by itself with {status}: {}", process.last_words())))
}

/// Keeps a folder as it is, and of a mounted one a copy of what it shows. Returns where.
fn keep_witness(folder: &Folder) -> io::Result<PathBuf> {
    if folder.mount.is_some() && folder.data.exists() {
        copy_tree(&folder.data, &folder.root.join("data"))?;
    }
    Ok(folder.root.clone())
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// An empty folder, whatever an interrupted run left there.
fn clear(root: &Path) -> io::Result<()> {
    let mounted = root.join("mounted");
    // Not mounted is what we want; anything else shows when the folder is removed.
    rustix::mount::unmount(&mounted, rustix::mount::UnmountFlags::DETACH).ok();
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir(root),
    }
}
