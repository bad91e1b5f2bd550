//! A wall clock that jumps, under the simulation: nothing is lost or reordered, and arrival times
//! within a shard never fall, also from one life to the next.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::path::PathBuf;
use std::sync::Arc;

use gyre::embed::{
    Client, EngineConfig, Limits, LocalEngine, PutBatch, PutRecord, Span, Stream, StreamOptions,
};
use model::{ApiError, HashKey, IteratorType, StreamName};
use runtime::sim::{Disk, Options, run};

const SHARDS: u32 = 2;
const BATCHES: u32 = 20;
const HOUR_MS: i64 = 3_600_000;

fn config() -> EngineConfig {
    let mut config = EngineConfig::new(PathBuf::from("/data"));
    config.memory_bytes = 256 << 20;
    config.segment_bytes = 16 << 20;
    config.limits = Limits::Off;
    config
}

/// One record for each shard, both with this number.
fn batch(number: u32) -> PutBatch {
    let mut payload = number.to_le_bytes().to_vec();
    payload.push(b'k');
    let (data, key) = (Span { start: 0, bytes: 4 }, Span { start: 4, bytes: 1 });
    let records = [HashKey::MIN, HashKey::MAX].map(|hash| {
        let explicit_hash_key = Some(hash);
        PutRecord { key, data, explicit_hash_key }
    });
    PutBatch { payload: Arc::new(payload), records: records.to_vec() }
}

async fn stream(client: &Client) -> Stream {
    let name = StreamName::new("s").unwrap();
    match client.describe_stream(&name).await {
        Ok(found) => found.stream,
        Err(ApiError::ResourceNotFound(_)) => {
            client.create_stream(&name, SHARDS, StreamOptions::default()).await.unwrap()
        }
        Err(error) => panic!("{error}"),
    }
}

/// Puts what this life adds while the clock jumps, and reads everything.
async fn life(disk: Disk, number: u32) {
    let engine = LocalEngine::start(config()).await.unwrap();
    let client = engine.client();
    let stream = stream(&client).await;
    for step in 0..BATCHES {
        let hours = [3, -5, 1, -1, 0, 2][step as usize % 6];
        disk.jump_wall_clock(hours * HOUR_MS);
        let result = client.put_records(&stream, &batch(number * BATCHES + step)).await.unwrap();
        assert_eq!(result.failed, 0);
    }
    for shard in stream.shards().open().to_vec() {
        let start = client.shard_iterator(&stream, shard, IteratorType::TrimHorizon).await;
        let mut iterator = start.unwrap();
        let mut found: Vec<(u32, u64)> = Vec::new();
        loop {
            let result = client.get_records(&iterator, None).await.unwrap();
            if result.chunks.is_empty() {
                break;
            }
            found.extend(result.records().map(|record| {
                (u32::from_le_bytes(record.data.try_into().unwrap()), record.arrival_ms)
            }));
            iterator = result.next;
        }
        let expected = 0..(number + 1) * BATCHES;
        assert!(found.iter().map(|(number, _)| *number).eq(expected), "{found:?}");
        assert!(found.is_sorted_by_key(|(_, arrival_ms)| *arrival_ms), "{found:?}");
    }
    drop(client);
    engine.shutdown().await.unwrap();
}

#[test]
fn a_clock_that_jumps_loses_and_reorders_nothing() {
    for seed in 0..5 {
        let disk = Disk::new(seed);
        for number in 0..3 {
            let running = life(disk.clone(), number);
            run(seed, &disk, &Options::default(), running).done().expect("nothing waits for ever");
            // From one life to the next it goes back by more than it ever went forward.
            disk.jump_wall_clock(-30 * HOUR_MS);
        }
    }
}
