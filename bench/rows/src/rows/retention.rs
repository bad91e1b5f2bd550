//! Retention: 1 % of the bytes are kept for a year, the others expire or are deleted, and the disk
//! must soon hold little more than what is kept.

use std::path::PathBuf;
use std::time::Duration;

use gyre::embed::{Client, Stream};
use loadgen::run::Failure;
use runtime::clock::{self, Instant};
use serde::Serialize;
use serde_json::json;

use super::{of_gib, ratio};
use crate::cli::{RetentionFlags, Shared};
use crate::device::folder_bytes;
use crate::fill::{Batches, Fill, Filled, calls_for, fill};
use crate::place::{Cpus, Place};
use crate::read::{Read, read};
use crate::report::{Figure, Gate, Report, Unit};
use crate::rig::{Rig, YEAR_MS, create};
use crate::subject::Subject;
use crate::{check_interrupted, progress};

/// One call of so many goes to the stream that is kept.
const KEPT_EVERY: u64 = 100;
/// Of the kept bytes, and beside that.
const LIVE_RATIO_MAX: f64 = 1.5;
const SEGMENTS_BESIDE_MAX: u64 = 4;
/// How long it may take.
const WITHIN: Duration = Duration::from_secs(60);
/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// It must stay within for so long.
const STAYS: Duration = Duration::from_secs(2);
/// Segments beside the log while it is filled.
const SEGMENTS_BESIDE: u64 = 12;
const SEED: u64 = 43;

/// One look at the disk.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sample {
    /// Since the last record expired or the deletion had returned; negative before.
    seconds: f64,
    /// Blocks of all files of the data folder, bytes.
    disk_bytes: u64,
    /// What the engine says of its logs' files, bytes.
    file_bytes: u64,
}

struct Sampled {
    filled: Filled,
    samples: Vec<Sample>,
    read: Read,
}

/// Measures the row.
///
/// # Errors
/// It could not be measured.
pub(crate) fn run(flags: &RetentionFlags, shared: &Shared) -> Result<Report, Failure> {
    let bytes = of_gib(flags.gib);
    let place = Place::open(shared, bytes + bytes / 4 + SEGMENTS_BESIDE * shared.segment)?;
    let cpus = Cpus::choose();
    let data = place.engine();
    let config = Rig::config(shared, cpus, &data, 2 * flags.shards);
    let rig = Rig::start(config.clone(), cpus)?;
    let watch = Watch { data: data.clone(), flags: flags.clone(), segment_bytes: shared.segment };
    let sampled = rig.drive(move |client| async move { watch.run(client).await })?;
    let subject = Subject::new(&config, rig.report(), &data);
    rig.shutdown()?;
    place.close()?;

    let Sampled { filled, samples, read } = &sampled;
    let live_bytes = kept_bytes(filled, flags.record_bytes);
    let bound = bound(live_bytes, shared.segment);
    let within = within_since(samples, bound);
    let peak = samples.first().map(|sample| sample.disk_bytes as f64);
    let last = samples.last().map(|sample| sample.disk_bytes as f64);
    let kept = ratio(read.records, filled.records_by_stream[0]);
    let figures = vec![
        Figure::plain("keys and data put", Some(filled.payload_bytes as f64), Unit::Bytes),
        Figure::plain("keys and data kept", Some(live_bytes as f64), Unit::Bytes),
        Figure::plain("disk when all was put", peak, Unit::Bytes),
        Figure::gated("disk at the end", last, Unit::Bytes, Gate::AtMost(bound)),
        Figure::gated(
            "time until the disk was within that",
            within,
            Unit::Seconds,
            Gate::AtMost(WITHIN.as_secs_f64()),
        ),
        Figure::gated("kept records read back", kept, Unit::Ratio, Gate::AtLeast(1.0)),
    ];
    let parameters = json!({
        "gib": flags.gib, "shards_each": flags.shards, "record_bytes": flags.record_bytes,
        "kept_every": KEPT_EVERY, "delete": flags.delete,
        "retention_ms": if flags.delete { YEAR_MS } else { retention_ms(flags) },
        "watch_ms": u64::try_from(flags.watch.as_millis()).unwrap_or(u64::MAX),
    });
    let samples = json!({ "filled": filled, "disk": samples, "read": read });
    Ok(Report::new("retention", figures, parameters, subject, samples))
}

fn retention_ms(flags: &RetentionFlags) -> u64 {
    u64::try_from(flags.retention.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn kept_bytes(filled: &Filled, record_bytes: u64) -> u64 {
    filled.records_by_stream[0] * (record_bytes + crate::fill::KEY_BYTES)
}

/// What the disk may hold for so many kept bytes.
fn bound(live_bytes: u64, segment_bytes: u64) -> f64 {
    LIVE_RATIO_MAX * live_bytes as f64 + (SEGMENTS_BESIDE_MAX * segment_bytes) as f64
}

/// Since when the disk has been within its bound, and has stayed there; 0 where it was there before.
fn within_since(samples: &[Sample], bound: f64) -> Option<f64> {
    let is_above = |sample: &Sample| sample.disk_bytes as f64 > bound;
    let first = match samples.iter().rposition(is_above) {
        None => samples.first(),
        Some(last_above) => samples.get(last_above + 1),
    };
    first.map(|sample| sample.seconds.max(0.0))
}

struct Watch {
    data: PathBuf,
    flags: RetentionFlags,
    segment_bytes: u64,
}

impl Watch {
    async fn run(self, client: Client) -> Result<Sampled, Failure> {
        let RetentionFlags { shards, record_bytes, delete, .. } = self.flags;
        let kept = create(&client, "kept", shards, YEAR_MS).await?;
        let others_ms = if delete { YEAR_MS } else { retention_ms(&self.flags) };
        let goes = create(&client, "goes", shards, others_ms).await?;
        let batches = Batches::new(record_bytes, SEED);
        progress("putting");
        let filled = fill(
            &client,
            &batches,
            Fill {
                streams: vec![kept.clone(), goes.clone()],
                pick: |call| usize::from(!call.is_multiple_of(KEPT_EVERY)),
                first_call: 0,
                calls: calls_for(of_gib(self.flags.gib), record_bytes),
                end: None,
            },
        )
        .await?;
        let mut samples = Vec::new();
        let zero = self.let_go(&client, &goes, &mut samples).await?;
        progress("waiting until the disk is free");
        let live_bytes = kept_bytes(&filled, record_bytes);
        let bound = bound(live_bytes, self.segment_bytes);
        self.watch(&client, zero, bound, &mut samples).await?;
        let read = read(&client, &kept, (0, shards), 4).await?;
        Ok(Sampled { filled, samples, read })
    }

    /// Deletes the larger stream, or says when the last of its records expires. Looks at the disk
    /// first.
    async fn let_go(
        &self,
        client: &Client,
        goes: &Stream,
        samples: &mut Vec<Sample>,
    ) -> Result<Instant, Failure> {
        let now = clock::now();
        if !self.flags.delete {
            let zero = now + self.flags.retention;
            samples.push(self.look(client, zero).await?);
            return Ok(zero);
        }
        samples.push(self.look(client, now).await?);
        client.delete_stream(goes.name()).await.map_err(Failure::could_not)?;
        Ok(clock::now())
    }

    /// Looks at the disk until it stays within the bound.
    async fn watch(
        &self,
        client: &Client,
        zero: Instant,
        bound: f64,
        samples: &mut Vec<Sample>,
    ) -> Result<(), Failure> {
        loop {
            check_interrupted()?;
            clock::sleep(LOOK_EVERY).await;
            let sample = self.look(client, zero).await?;
            samples.push(sample);
            let within = within_since(samples, bound);
            let stays = within.is_some_and(|since| sample.seconds >= since + STAYS.as_secs_f64());
            if stays || sample.seconds >= self.flags.watch.as_secs_f64() {
                return Ok(());
            }
        }
    }

    async fn look(&self, client: &Client, zero: Instant) -> Result<Sample, Failure> {
        let stats = client.stats().await.map_err(Failure::could_not)?;
        let now = clock::now();
        let behind = (now - zero).as_secs_f64();
        let ahead = (zero - now).as_secs_f64();
        Ok(Sample {
            seconds: behind - ahead,
            disk_bytes: folder_bytes(&self.data)?,
            file_bytes: stats.iter().flat_map(|core| &core.logs).map(|log| log.file_bytes).sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_staying_within() {
        let sample = |seconds, disk_bytes| Sample { seconds, disk_bytes, file_bytes: 0 };
        let check = |disk: &[(f64, u64)], expected| {
            let samples: Vec<_> = disk.iter().map(|&(at, bytes)| sample(at, bytes)).collect();
            assert_eq!(within_since(&samples, 100.0), expected, "{disk:?}");
        };
        check(&[(-1.0, 500), (1.0, 300), (2.0, 100), (3.0, 90)], Some(2.0));
        check(&[(-1.0, 500), (1.0, 90), (2.0, 101), (3.0, 90)], Some(3.0));
        check(&[(-1.0, 90), (1.0, 90)], Some(0.0));
        check(&[(-1.0, 500), (1.0, 101)], None);
        check(&[], None);
    }

    #[test]
    fn the_bound_is_for_what_is_kept() {
        assert_eq!(bound(1_000, 64), 1_500.0 + 256.0);
    }
}
