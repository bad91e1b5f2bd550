//! Cold reading. Many shards: what the disk moves until each of them has been read. One shard: how
//! fast.
//!
//! Many shards are read by the engine that wrote them, once its background is at rest: what it still
//! has in memory (a quarter of its bound) costs no read, which a log of 10 GiB hardly notices and one
//! of 1 GiB does. All that is moved after the last acknowledgement counts, zeros for the next
//! segments included. The one shard is read by an engine started anew, so that nothing is in memory.

use gyre::embed::{Client, Stream};
use loadgen::environment::probes::{ProbeFigures, ProbePlan, Probes, probe};
use loadgen::run::Failure;
use model::ShardIndex;
use serde_json::json;

use super::{of_gib, ratio};
use crate::cli::{ColdReadFlags, Shared};
use crate::device::{Bytes, Meter, Moved};
use crate::fill::{Batches, Fill, Filled, calls_for, fill};
use crate::place::{Cpus, Place};
use crate::read::{Read, read};
use crate::report::{Figure, Gate, Report, Unit};
use crate::rig::{Rig, YEAR_MS, calm, create};
use crate::subject::Subject;
use crate::{check_interrupted, progress};

/// What may be moved after the appends, over the log's bytes.
const MOVED_RATIO_MAX: f64 = 3.3;
/// What one shard may cost, over its bytes, and beside that for each segment.
const OWN_RATIO_MAX: f64 = 1.5;
const SEGMENT_SHARE_BYTES: u64 = 64 << 10;
/// Of the probe's sequential reading.
const SPEED_RATIO_MIN: f64 = 0.8;
/// Segments beside the log: spare ones, the one in use, one being rewritten, free ones.
const SEGMENTS_BESIDE: u64 = 12;
const PROBE_BYTES: u64 = 1 << 30;
const SEED: u64 = 42;

/// Measures the row.
///
/// # Errors
/// It could not be measured.
pub(crate) fn run(flags: &ColdReadFlags, shared: &Shared) -> Result<Report, Failure> {
    if flags.shards == 1 { one_shard(flags, shared) } else { many_shards(flags, shared) }
}

/// What reading many shards moved.
struct Sampled {
    filled: Filled,
    log_bytes: u64,
    /// From the last acknowledgement until the background rested.
    settled: Moved,
    /// From the last acknowledgement until all was read and the background rested again.
    all: Moved,
    read: Read,
    one: Moved,
    one_read: Read,
}

fn many_shards(flags: &ColdReadFlags, shared: &Shared) -> Result<Report, Failure> {
    let record_bytes = flags.record_bytes.unwrap_or(100);
    let bytes = of_gib(flags.gib);
    // Rewriting lays a record down once more before its old file is free.
    let place = Place::open(shared, bytes + bytes / 4 + SEGMENTS_BESIDE * shared.segment)?;
    let cpus = Cpus::choose();
    let data = place.engine();
    let config = Rig::config(shared, cpus, &data, flags.shards);
    let rig = Rig::start(config.clone(), cpus)?;
    let meter = Meter::of_folder(&data);
    let (shards, readers) = (flags.shards, flags.readers);
    let sampled = rig.drive(move |client| async move {
        let stream = create(&client, "cold", shards, YEAR_MS).await?;
        let batches = Batches::new(record_bytes, SEED);
        progress("putting");
        let calls = calls_for(bytes, record_bytes);
        let filled = fill(&client, &batches, Fill::one(&stream, calls)).await?;
        let before = meter.read(&client).await?;
        let log_bytes = log_bytes(&client).await?;
        let rested = calm(&client, &meter).await?;
        progress("reading all shards");
        let all = read(&client, &stream, (0, shards), readers).await?;
        let after = calm(&client, &meter).await?;
        progress("reading one shard alone");
        let one = shards / 2;
        let one_read = read(&client, &stream, (one, one + 1), 1).await?;
        let last = meter.read(&client).await?;
        Ok(Sampled {
            filled,
            log_bytes,
            settled: rested.since(before),
            all: after.since(before),
            read: all,
            one: last.since(after),
            one_read,
        })
    })?;
    let subject = Subject::new(&config, rig.report(), &data);
    rig.shutdown()?;
    place.close()?;
    let parameters = json!({
        "gib": flags.gib, "shards": shards, "record_bytes": record_bytes, "readers": readers,
    });
    let samples = json!({
        "filled": sampled.filled,
        "log_bytes": sampled.log_bytes,
        "moved_until_at_rest": sampled.settled,
        "moved_after_the_appends": sampled.all,
        "read": sampled.read,
        "moved_for_one_shard": sampled.one,
        "one_shard_read": sampled.one_read,
    });
    let figures = many_figures(&sampled, record_bytes, shared.segment);
    Ok(Report::new("cold-read", figures, parameters, subject, samples))
}

/// Bytes of the frames that hold what was put.
async fn log_bytes(client: &gyre::embed::Client) -> Result<u64, Failure> {
    let stats = client.stats().await.map_err(Failure::could_not)?;
    Ok(stats.iter().flat_map(|core| &core.logs).map(|log| log.frame_bytes).sum())
}

fn many_figures(sampled: &Sampled, record_bytes: u64, segment_bytes: u64) -> Vec<Figure> {
    let Sampled { filled, log_bytes, all, read, one, one_read, .. } = sampled;
    let over_log = |bytes: Option<Bytes>| bytes.and_then(|bytes| ratio(bytes.sum(), *log_bytes));
    let gate = Gate::AtMost(MOVED_RATIO_MAX);
    let own_bytes = one_read.records * (record_bytes + crate::fill::KEY_BYTES);
    let segments = log_bytes.div_ceil(segment_bytes) + 1;
    let bound = OWN_RATIO_MAX * own_bytes as f64 + (segments * SEGMENT_SHARE_BYTES) as f64;
    let own = Gate::AtMost(bound);
    let sum = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.sum() as f64);
    vec![
        Figure::plain("log", Some(*log_bytes as f64), Unit::Bytes),
        Figure::gated(
            "records read, of those put",
            ratio(read.records, filled.records),
            Unit::Ratio,
            Gate::AtLeast(1.0),
        ),
        Figure::gated("moved by the engine, of the log", over_log(all.engine), Unit::Ratio, gate),
        Figure::gated("moved by the process, of the log", over_log(all.process), Unit::Ratio, gate),
        Figure::plain("moved by the device, of the log", over_log(all.device), Unit::Ratio),
        Figure::plain("one shard, its bytes", Some(own_bytes as f64), Unit::Bytes),
        Figure::gated("one shard, moved by the engine", sum(one.engine), Unit::Bytes, own),
        Figure::gated("one shard, moved by the process", sum(one.process), Unit::Bytes, own),
        Figure::plain("reading all", Some(read.seconds), Unit::Seconds),
    ]
}

fn one_shard(flags: &ColdReadFlags, shared: &Shared) -> Result<Report, Failure> {
    let record_bytes = flags.record_bytes.unwrap_or(1_000);
    let bytes = of_gib(flags.gib);
    let place = Place::open(shared, bytes + PROBE_BYTES + SEGMENTS_BESIDE * shared.segment)?;
    let cpus = Cpus::choose();
    let data = place.engine();
    let config = Rig::config(shared, cpus, &data, 1);
    let mut plan = ProbePlan::new(place.probe());
    plan.file_bytes = PROBE_BYTES;
    plan.cpu = cpus.engine;
    plan.other_cpu = cpus.caller;

    let rig = Rig::start(config.clone(), cpus)?;
    let meter = Meter::of_folder(&data);
    let filled = rig.drive(move |client| async move {
        let stream = create(&client, "cold", 1, YEAR_MS).await?;
        let batches = Batches::new(record_bytes, SEED);
        progress("putting");
        let filled =
            fill(&client, &batches, Fill::one(&stream, calls_for(bytes, record_bytes))).await?;
        calm(&client, &meter).await?;
        Ok(filled)
    })?;
    rig.shutdown()?;

    let before = probed(&plan)?;
    let rig = Rig::start(config.clone(), cpus)?;
    let meter = Meter::of_folder(&data);
    let (moved, read) = rig.drive(move |client| async move {
        let stream = only_stream(&client).await?;
        calm(&client, &meter).await?;
        progress("reading the shard");
        let before = meter.read(&client).await?;
        let read = read(&client, &stream, (0, 1), 1).await?;
        Ok((meter.read(&client).await?.since(before), read))
    })?;
    let subject = Subject::new(&config, rig.report(), &data);
    rig.shutdown()?;
    let after = probed(&plan)?;
    place.close()?;

    let probes = Probes::new(before, Some(after));
    let read_bytes = read.records * (record_bytes + crate::fill::KEY_BYTES);
    let mb_s = read_bytes as f64 / 1e6 / read.seconds;
    let probe_mb_s = probes.mean.seq_read_mb_s;
    let of_probe = probe_mb_s.map(|probe| mb_s / probe);
    let cold = moved.process.and_then(|moved| ratio(moved.read, read_bytes));
    let whole = Gate::AtLeast(1.0);
    let figures = vec![
        Figure::plain("keys and data", Some(read_bytes as f64), Unit::Bytes),
        Figure::gated(
            "records read, of those put",
            ratio(read.records, filled.records),
            Unit::Ratio,
            whole,
        ),
        Figure::plain("read from the disk, of keys and data", cold, Unit::Ratio),
        Figure::plain("cold reading", Some(mb_s), Unit::MegabytesPerSecond),
        Figure::plain("the probe's sequential reading", probe_mb_s, Unit::MegabytesPerSecond),
        Figure::gated(
            "cold reading, of the probe",
            of_probe,
            Unit::Ratio,
            Gate::AtLeast(SPEED_RATIO_MIN),
        ),
    ];
    let parameters = json!({ "gib": flags.gib, "shards": 1, "record_bytes": record_bytes });
    let samples = json!({ "filled": filled, "read": read, "moved": moved, "probes": probes });
    Ok(Report::new("cold-read --shards 1", figures, parameters, subject, samples))
}

/// The stream that the life before has left.
async fn only_stream(client: &Client) -> Result<Stream, Failure> {
    let found = client.list_streams().await.map_err(Failure::could_not)?;
    let stream = found.into_iter().next().expect("the stream is durable").stream;
    assert!(stream.shards().get(ShardIndex::new(0)).is_some());
    Ok(stream)
}

fn probed(plan: &ProbePlan) -> Result<ProbeFigures, Failure> {
    check_interrupted()?;
    progress("probing the disk");
    Ok(probe(plan))
}
