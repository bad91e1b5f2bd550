//! Starting after SIGKILL: a child of this process appends until it is killed in the middle of it,
//! and an engine in this process takes the folder over.
//!
//! ```text
//! child    Engine ─► put … "full" ─► put … ✂        once at each size of the log
//! here                                  Engine::start ─► GetRecords ─► put     timed
//! ```

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gyre::embed::Client;
use loadgen::run::Failure;
use model::{IteratorType, ShardIndex, StreamName};
use runtime::clock;
use runtime::task;
use serde::Serialize;
use serde_json::json;

use super::of_gib;
use crate::cli::{AppenderFlags, Shared, StartFlags};
use crate::device::{Bytes, Meter};
use crate::fill::{Batches, Fill, calls_for, fill};
use crate::place::{Cpus, Place};
use crate::report::{Figure, Gate, Report, Unit};
use crate::rig::{Rig, YEAR_MS, create};
use crate::subject::Subject;
use crate::{check_interrupted, progress};

/// From the start of the engine to the first acknowledgement.
const SERVING_MAX: Duration = Duration::from_secs(2);
/// What recovery may read, in segments: what is in use, what is full and not sealed yet, and the
/// newest table.
const TAIL_SEGMENTS_MAX: u64 = 4;
/// Segments beside the log.
const SEGMENTS_BESIDE: u64 = 12;
/// The log at each kill, of the whole.
const SIZES: [f64; 3] = [0.125, 0.5, 1.0];
/// The child says so often that it lives.
const SIGN_EVERY: Duration = Duration::from_millis(20);
/// It is killed so many signs after the log was full: not always at the same place.
const SIGNS: [u32; 3] = [3, 7, 11];
const STREAM: &str = "killed";
const SEED: u64 = 44;

/// One kill and start.
#[derive(Clone, Debug, Serialize)]
struct Started {
    /// The log's files when the engine had started, bytes.
    file_bytes: u64,
    /// Until every log was recovered.
    started_s: f64,
    /// Until GetRecords had an answer with records.
    first_get_s: f64,
    /// Until a call of 500 records was acknowledged.
    first_put_s: f64,
    /// Of the unsealed tail, as the engine says.
    scanned_bytes: u64,
    /// What the process read and wrote until it had started, as the kernel says.
    moved: Option<Bytes>,
    /// Shards that recovery found.
    shards: usize,
}

/// Measures the row.
///
/// # Errors
/// It could not be measured.
pub(crate) fn run(flags: &StartFlags, shared: &Shared) -> Result<Report, Failure> {
    let bytes = of_gib(flags.gib);
    let place = Place::open(shared, bytes + bytes / 8 + SEGMENTS_BESIDE * shared.segment)?;
    let cpus = Cpus::choose();
    let data = place.engine();
    let config = Rig::config(shared, cpus, &data, flags.shards);
    let mut rounds: Vec<Started> = Vec::new();
    let mut subject = None;
    let mut there = 0.0;
    for (size, signs) in SIZES.into_iter().zip(SIGNS) {
        // What it appends between being full and being killed comes on top.
        let calls = calls_for(((size - there) * bytes as f64) as u64, flags.record_bytes);
        there = size;
        progress(&format!("appending until the log has {:.2} GiB", size * flags.gib));
        let mut child = Appender::start(flags, shared, &data, calls)?;
        child.kill_when_full(signs)?;
        progress("killed; starting");
        let outside = Meter::of_folder(&data);
        let before = outside.read_outside();
        let began = clock::now();
        let rig = Rig::start(config.clone(), cpus)?;
        let started_s = (clock::now() - began).as_secs_f64();
        let moved = outside.read_outside().since(before).process;
        let record_bytes = flags.record_bytes;
        let (file_bytes, first_get_s, first_put_s) = rig.drive(move |client| async move {
            let (got, put) = serve(&client, record_bytes, began).await?;
            let stats = client.stats().await.map_err(Failure::could_not)?;
            let logs = stats.iter().flat_map(|core| &core.logs);
            Ok((logs.map(|log| log.file_bytes).sum(), got, put))
        })?;
        let logs = &rig.report().logs;
        rounds.push(Started {
            file_bytes,
            started_s,
            first_get_s,
            first_put_s,
            scanned_bytes: logs.iter().map(|log| log.scanned_bytes).sum(),
            moved,
            shards: logs.iter().map(|log| log.shard_count).sum(),
        });
        subject = Some(Subject::new(&config, rig.report(), &data));
        rig.shutdown()?;
        check_interrupted()?;
    }
    place.close()?;
    let subject = subject.expect("there are several sizes");
    let parameters = json!({
        "gib": flags.gib, "shards": flags.shards, "record_bytes": flags.record_bytes,
        "sizes": SIZES, "signs_until_killed": SIGNS,
    });
    let figures = figures(&rounds, shared.segment);
    Ok(Report::new("start", figures, parameters, subject, json!({ "rounds": rounds })))
}

/// The first answer and the first acknowledgement, seconds since `began`.
async fn serve(
    client: &Client,
    record_bytes: u64,
    began: clock::Instant,
) -> Result<(f64, f64), Failure> {
    let name = StreamName::new(STREAM).expect("a stream's name");
    let found = client.describe_stream(&name).await.map_err(Failure::could_not)?;
    let (shard, kind) = (ShardIndex::new(0), IteratorType::TrimHorizon);
    let iterator = client.shard_iterator(&found.stream, shard, kind).await;
    let iterator = iterator.map_err(Failure::could_not)?;
    let got = client.get_records(&iterator, None).await.map_err(Failure::could_not)?;
    let first_get_s = (clock::now() - began).as_secs_f64();
    if got.records().next().is_none() {
        return Err(Failure::could_not("the first GetRecords found nothing"));
    }
    let batches = Batches::new(record_bytes, SEED);
    let ready = clock::now();
    fill(client, &batches, Fill::one(&found.stream, 1)).await?;
    // Making the batches is not the engine's time.
    let first_put_s = first_get_s + (clock::now() - ready).as_secs_f64();
    Ok((first_get_s, first_put_s))
}

fn figures(rounds: &[Started], segment_bytes: u64) -> Vec<Figure> {
    let mut figures = Vec::new();
    let serving = Gate::AtMost(SERVING_MAX.as_secs_f64());
    let tail = Gate::AtMost((TAIL_SEGMENTS_MAX * segment_bytes) as f64);
    for (round, size) in rounds.iter().zip(SIZES) {
        let pct = 100.0 * size;
        let name = |what: &str| format!("{what}, at {pct} % of the log");
        let read = round.moved.map(|moved| moved.read as f64);
        figures.extend([
            Figure::plain(name("files"), Some(round.file_bytes as f64), Unit::Bytes),
            Figure::plain(name("started"), Some(round.started_s), Unit::Seconds),
            Figure::plain(name("first GetRecords"), Some(round.first_get_s), Unit::Seconds),
            Figure::gated(name("first put"), Some(round.first_put_s), Unit::Seconds, serving),
            Figure::gated(
                name("unsealed tail"),
                Some(round.scanned_bytes as f64),
                Unit::Bytes,
                tail,
            ),
            Figure::gated(name("read by the process"), read, Unit::Bytes, tail),
        ]);
    }
    figures
}

/// The child process. It dies with this value.
struct Appender {
    child: Child,
    signs: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Appender {
    fn start(
        flags: &StartFlags,
        shared: &Shared,
        data: &Path,
        calls: u64,
    ) -> Result<Appender, Failure> {
        let program = std::env::current_exe().map_err(Failure::could_not)?;
        let mut command = Command::new(program);
        command.arg("appender").arg("--data").arg(data);
        for (flag, value) in [
            ("--shards", u64::from(flags.shards)),
            ("--record-bytes", flags.record_bytes),
            ("--calls", calls),
            ("--memory", shared.memory),
            ("--segment", shared.segment),
        ] {
            command.arg(flag).arg(value.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::could_not)?;
        let output = child.stdout.take().expect("the output is piped");
        Ok(Appender { child, signs: BufReader::new(output).lines() })
    }

    /// Kills it so many signs after it has said that the log is full.
    fn kill_when_full(&mut self, signs: u32) -> Result<(), Failure> {
        while self.sign()? != "full" {
            check_interrupted()?;
        }
        for _ in 0..signs {
            self.sign()?;
        }
        self.child.kill().map_err(Failure::could_not)?;
        self.child.wait().map_err(Failure::could_not)?;
        Ok(())
    }

    fn sign(&mut self) -> Result<String, Failure> {
        match self.signs.next() {
            Some(Ok(sign)) => Ok(sign),
            Some(Err(error)) => Err(Failure::could_not(error)),
            None => Err(Failure::could_not("the appending process ended before it was killed")),
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // Where an error is on its way up, the child must not live on; that it is dead is no error.
        if self.child.kill().is_ok() {
            self.child.wait().ok(); // nobody is left to tell
        }
    }
}

/// What the child does: appends for ever, says "full" after so many calls, and gives a sign of life
/// all the time. It ends by itself only when nobody hears the sign.
///
/// # Errors
/// The engine refused something.
pub(crate) fn append_until_killed(flags: &AppenderFlags, shared: &Shared) -> Result<(), Failure> {
    let data = shared.data.clone().ok_or_else(|| Failure::usage("--data is missing".to_owned()))?;
    let cpus = Cpus::choose();
    let rig = Rig::start(Rig::config(shared, cpus, &data, flags.shards), cpus)?;
    let AppenderFlags { shards, record_bytes, calls } = *flags;
    rig.drive(move |client| async move {
        let found = client.list_streams().await.map_err(Failure::could_not)?;
        let stream = match found.into_iter().next() {
            Some(found) => found.stream,
            None => create(&client, STREAM, shards, YEAR_MS).await?,
        };
        drop(task::spawn(async {
            while say("alive").is_ok() {
                clock::sleep(SIGN_EVERY).await;
            }
            // Nobody listens: the parent is dead, and so must this be.
            std::process::exit(1);
        }));
        let batches = Batches::new(record_bytes, SEED);
        fill(&client, &batches, Fill::one(&stream, calls)).await?;
        say("full").map_err(Failure::could_not)?;
        fill(&client, &batches, Fill::one(&stream, u64::MAX)).await?;
        Ok(())
    })
}

fn say(sign: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{sign}")?;
    output.flush()
}
