//! The embedded engine over a real folder: create, put, get, follow, throttle, reopen.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gyre::embed::{
    Client, Engine, EngineConfig, Limits, Placed, PutBatch, PutRecord, Span, StartError, Stream,
    StreamOptions,
};
use model::limits::{Rate, ShardRates};
use model::{ApiError, HashKey, IteratorType, RecordError, RecordIndex, ShardIndex, StreamName};
use runtime::cores::{self, CoreConfig};
use runtime::{clock, task};

/// A fresh folder under cargo's target directory.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("a folder of ours");
    }
    folder
}

fn config(folder: &Path) -> EngineConfig {
    let mut config = EngineConfig::new(folder.to_path_buf());
    config.memory_bytes = 512 << 20;
    config.segment_bytes = 16 << 20;
    config.limits = Limits::Off;
    config
}

fn start(config: EngineConfig) -> Engine {
    match Engine::start(config) {
        Ok(engine) => engine,
        Err(error) => panic!("{error}"),
    }
}

/// Runs `work` with a client on a core of its own, as a generator would.
fn on_core<T: Send + 'static, Fut: Future<Output = T> + 'static>(
    engine: &Engine,
    work: impl FnOnce(Client) -> Fut + Send + 'static,
) -> T {
    let client = engine.client();
    let config = CoreConfig { name: "caller".to_owned(), cpu: None, io_memory_bytes: 64 << 10 };
    cores::start(config, move || work(client)).expect("io_uring is here").join()
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a stream's name")
}

/// Records `from..to`: the key is `key-N`, the data `data of N`.
fn batch(from: u64, to: u64) -> PutBatch {
    let mut payload = Vec::new();
    let mut add = |text: String| {
        let start = u32::try_from(payload.len()).expect("a small payload");
        payload.extend_from_slice(text.as_bytes());
        Span { start, bytes: u32::try_from(text.len()).expect("a short text") }
    };
    let records = (from..to).map(|number| PutRecord {
        key: add(format!("key-{number}")),
        data: add(format!("data of {number}")),
        explicit_hash_key: None,
    });
    let records = records.collect();
    PutBatch { payload: Arc::new(payload), records }
}

async fn put(client: &Client, stream: &Stream, from: u64, to: u64) -> Vec<Placed> {
    let result = client.put_records(stream, &batch(from, to)).await.expect("a good request");
    assert_eq!(result.failed, 0);
    result.records.into_iter().map(|outcome| outcome.expect("none has failed")).collect()
}

/// All numbers in a shard from its horizon to its tip, and where the reading ended.
async fn read_shard(client: &Client, stream: &Stream, shard: ShardIndex) -> (Vec<u64>, u64) {
    let kind = IteratorType::TrimHorizon;
    let mut iterator = client.shard_iterator(stream, shard, kind).await.expect("a shard");
    let mut numbers = Vec::new();
    loop {
        let result = client.get_records(&iterator, Some(1_000)).await.expect("a shard");
        numbers.extend(result.records().map(|record| number_of(record.key, record.data)));
        iterator = result.next;
        if result.chunks.is_empty() {
            assert_eq!(result.millis_behind, 0);
            return (numbers, iterator.index().get());
        }
    }
}

fn number_of(key: &[u8], data: &[u8]) -> u64 {
    let key = std::str::from_utf8(key).expect("ASCII").strip_prefix("key-").expect("our key");
    let data = std::str::from_utf8(data).expect("ASCII").strip_prefix("data of ");
    assert_eq!(data, Some(key));
    key.parse().expect("a number")
}

/// Every number of `0..count` is in the shard of its key, in order, once.
async fn check_all(client: &Client, stream: &Stream, count: u64) {
    let mut seen = 0;
    for shard in stream.shards().open().to_vec() {
        let (numbers, _) = read_shard(client, stream, shard).await;
        assert!(numbers.is_sorted_by(|a, b| a < b));
        for number in &numbers {
            let key = HashKey::from_partition_key(format!("key-{number}").as_bytes());
            assert_eq!(stream.shards().locate(key), shard);
        }
        seen += numbers.len() as u64;
    }
    assert_eq!(seen, count);
}

#[test]
fn what_was_put_is_read_with_fewer_and_more_cores_than_logs() {
    // The first life makes the folder, with as many logs as it has cores.
    check_cores("embed-2-logs", &[(2, (2, 0)), (1, (1, 0)), (4, (2, 2)), (2, (2, 0))]);
    check_cores("embed-4-logs", &[(4, (4, 0)), (1, (1, 0)), (2, (2, 0)), (4, (4, 0))]);
}

/// A life for each number of cores; with the cores that then work and those that are idle.
fn check_cores(name_of_folder: &str, lives: &[(usize, (usize, usize))]) {
    let folder = folder(name_of_folder);
    let logs = lives[0].0;
    let mut life = 0;
    for &(cores, expected) in lives {
        let engine = start(EngineConfig { cores, ..config(&folder) });
        let report = engine.report();
        assert_eq!((report.cores, report.idle_cores), expected);
        assert_eq!((usize::from(report.identity.logs), report.is_new), (logs, life == 0));
        assert_eq!(report.logs.len(), logs);
        assert_eq!(report.stream_count, usize::from(life > 0));
        life += 1;
        assert_eq!(report.life, life);
        let from = u64::from(life - 1) * 900;
        on_core(&engine, move |client| async move {
            let stream = match life {
                1 => {
                    let options = StreamOptions::default();
                    client.create_stream(&name("orders"), 16, options).await.unwrap()
                }
                _ => client.describe_stream(&name("orders")).await.unwrap().stream,
            };
            for batch in 0..3 {
                put(&client, &stream, from + batch * 300, from + (batch + 1) * 300).await;
            }
            check_all(&client, &stream, from + 900).await;
        });
        engine.shutdown().unwrap();
    }
}

#[test]
fn outcomes_are_in_request_order_and_indices_are_dense() {
    let folder = folder("embed-order");
    let engine = start(EngineConfig { cores: 2, ..config(&folder) });
    on_core(&engine, |client| async move {
        let options = StreamOptions::default();
        let stream = client.create_stream(&name("s"), 5, options).await.unwrap();
        let mut next = [0; 5];
        for round in 0..10 {
            let placed = put(&client, &stream, round * 500, (round + 1) * 500).await;
            for (number, placed) in (round * 500..).zip(placed) {
                let key = HashKey::from_partition_key(format!("key-{number}").as_bytes());
                assert_eq!(placed.shard, stream.shards().locate(key));
                let next = &mut next[placed.shard.get() as usize];
                assert_eq!(placed.index, *next);
                *next += 1;
            }
        }
    });
    engine.shutdown().unwrap();
}

#[test]
fn a_request_costs_two_messages_per_owner_core() {
    for (cores, logs) in [(1, 4), (2, 4), (4, 4)] {
        let folder = folder(&format!("embed-messages-{cores}"));
        let engine = start(EngineConfig { cores, logs: Some(logs), ..config(&folder) });
        on_core(&engine, move |client| async move {
            let options = StreamOptions::default();
            let stream = client.create_stream(&name("s"), 64, options).await.unwrap();
            for round in 0..20 {
                put(&client, &stream, round * 500, (round + 1) * 500).await;
            }
            let stats = client.stats().await.unwrap();
            assert_eq!(stats.len(), cores);
            for core in stats {
                assert_eq!((core.put_messages, core.put_replies), (20, 20));
                assert_eq!(core.logs.iter().map(|log| log.waiting_bytes).sum::<u64>(), 0);
                assert!(core.logs.iter().all(|log| log.flushes > 0 && log.failure.is_none()));
            }
        });
        engine.shutdown().unwrap();
    }
}

#[test]
fn iterators_of_all_five_types() {
    let folder = folder("embed-iterators");
    let engine = start(config(&folder));
    on_core(&engine, |client| async move {
        let options = StreamOptions::default();
        let stream = client.create_stream(&name("s"), 1, options).await.unwrap();
        let shard = ShardIndex::new(0);
        let first = put(&client, &stream, 0, 10).await;
        clock::sleep(Duration::from_millis(5)).await;
        let second = put(&client, &stream, 10, 20).await;
        let (early_ms, late_ms) = (first[0].arrival_ms, second[0].arrival_ms);
        assert!(late_ms > early_ms);
        let check = async |kind: IteratorType, expected: u64| {
            let iterator = client.shard_iterator(&stream, shard, kind).await.unwrap();
            assert_eq!(iterator.index().get(), expected, "{kind:?}");
        };
        check(IteratorType::TrimHorizon, 0).await;
        check(IteratorType::Latest, 20).await;
        check(IteratorType::AtSequenceNumber(RecordIndex::new(7)), 7).await;
        check(IteratorType::AfterSequenceNumber(RecordIndex::new(7)), 8).await;
        // What stands in the ending number of a closed shard, and what any client can ask for.
        let last = RecordIndex::MAX;
        check(IteratorType::AtSequenceNumber(last), last.get()).await;
        check(IteratorType::AfterSequenceNumber(last), last.get()).await;
        let behind = IteratorType::AfterSequenceNumber(last);
        let iterator = client.shard_iterator(&stream, shard, behind).await.unwrap();
        let read = client.get_records(&iterator, None).await;
        assert!(read.is_ok_and(|result| result.records().count() == 0));
        check(IteratorType::AtTimestamp { ms: 0 }, 0).await;
        check(IteratorType::AtTimestamp { ms: early_ms }, 0).await;
        check(IteratorType::AtTimestamp { ms: early_ms + 1 }, 10).await;
        check(IteratorType::AtTimestamp { ms: late_ms }, 10).await;
        let ms = clock::wall_ms() + 100_000;
        let future = client.shard_iterator(&stream, shard, IteratorType::AtTimestamp { ms }).await;
        let text = future.unwrap_err().to_string();
        assert!(text.starts_with("The timestampInMillis parameter cannot be greater"), "{text}");

        let sequence = stream.sequence_number(shard, RecordIndex::new(7), early_ms).to_digits();
        let sequence = std::str::from_utf8(&sequence).unwrap();
        assert_eq!(stream.record_index(shard, sequence), Ok(RecordIndex::new(7)));
        assert!(stream.record_index(shard, "7").is_err());

        let iterator = client.shard_iterator(&stream, shard, IteratorType::TrimHorizon).await;
        let result = client.get_records(&iterator.unwrap(), Some(3)).await.unwrap();
        assert_eq!(result.records().count(), 3);
        assert_eq!(result.next.index().get(), 3);
        assert!(result.millis_behind > 0);
    });
    engine.shutdown().unwrap();
}

#[test]
fn a_follower_is_fed_and_a_slow_one_loses_nothing() {
    let folder = folder("embed-follow");
    let engine = start(config(&folder));
    on_core(&engine, |client| async move {
        let options = StreamOptions::default();
        let stream = client.create_stream(&name("s"), 1, options).await.unwrap();
        let shard = ShardIndex::new(0);
        put(&client, &stream, 0, 100).await;
        let start = client.shard_iterator(&stream, shard, IteratorType::TrimHorizon).await.unwrap();
        let mut fast = client.follow(&start).await.unwrap();
        let mut slow = client.follow(&start).await.unwrap();
        let writer = {
            let (client, stream) = (client.clone(), stream.clone());
            task::spawn(async move {
                for round in 1..100 {
                    put(&client, &stream, round * 100, (round + 1) * 100).await;
                }
            })
        };
        let mut next = 0;
        while next < 10_000 {
            for record in fast.next().await.unwrap().records() {
                assert_eq!(record.index, next);
                assert_eq!(number_of(record.key, record.data), next);
                next += 1;
            }
        }
        writer.await;
        // It has taken nothing so far: what is on its way is bounded, the rest stays in the log.
        let mut next = 0;
        while next < 10_000 {
            for record in slow.next().await.unwrap().records() {
                assert_eq!(record.index, next);
                next += 1;
            }
        }
        drop(fast);
        client.delete_stream(&name("s")).await.unwrap();
        let end = slow.next().await.unwrap_err();
        assert_eq!(end.code(), "ResourceNotFoundException");
    });
    engine.shutdown().unwrap();
}

#[test]
fn records_past_the_rate_are_refused_and_the_others_are_unharmed() {
    let folder = folder("embed-throttle");
    let rates = ShardRates {
        records: Rate { per_second: 1, burst: 40 },
        bytes: Rate { per_second: 1, burst: 1 << 20 },
    };
    let engine = start(EngineConfig { limits: Limits::Buckets(rates), ..config(&folder) });
    on_core(&engine, |client| async move {
        let options = StreamOptions::default();
        let stream = client.create_stream(&name("s"), 2, options).await.unwrap();
        let mut batch = batch(0, 100);
        for (position, record) in batch.records.iter_mut().enumerate() {
            // Ten for shard 1, the rest for shard 0.
            let to_upper = position % 10 == 9;
            record.explicit_hash_key = Some(if to_upper { HashKey::MAX } else { HashKey::MIN });
        }
        let result = client.put_records(&stream, &batch).await.unwrap();
        let (lower, upper): (Vec<_>, Vec<_>) =
            result.records.iter().enumerate().partition(|(position, _)| position % 10 != 9);
        assert!(upper.iter().all(|(_, outcome)| outcome.is_ok()));
        let shard = ShardIndex::new(0);
        let refused = Err(RecordError::ThroughputExceeded { shard });
        assert!(lower[..40].iter().all(|(_, outcome)| outcome.is_ok()));
        assert!(lower[41..].iter().all(|(_, outcome)| **outcome == refused));
        assert_eq!(result.failed, lower.iter().filter(|(_, outcome)| outcome.is_err()).count());
        let text = RecordError::ThroughputExceeded { shard };
        let text = text.message(stream.address()).to_string();
        assert_eq!(
            text,
            "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012."
        );
        // Nothing of a refused record is there, and the indices have no gap.
        let (numbers, next) = read_shard_throttled(&client, &stream, shard).await;
        assert_eq!(numbers.len() as u64, next);
        assert_eq!(numbers.len(), lower.iter().filter(|(_, outcome)| outcome.is_ok()).count());
    });
    engine.shutdown().unwrap();
}

async fn read_shard_throttled(
    client: &Client,
    stream: &Stream,
    shard: ShardIndex,
) -> (Vec<u64>, u64) {
    let kind = IteratorType::TrimHorizon;
    let iterator = client.shard_iterator(stream, shard, kind).await.expect("a shard");
    let result = client.get_records(&iterator, None).await.expect("a first call is admitted");
    let numbers = result.records().map(|record| number_of(record.key, record.data)).collect();
    (numbers, result.next.index().get())
}

#[test]
fn five_reads_a_second_and_no_more() {
    let folder = folder("embed-read-throttle");
    let engine = start(EngineConfig { limits: Limits::Aws, ..config(&folder) });
    on_core(&engine, |client| async move {
        let options = StreamOptions::default();
        let stream = client.create_stream(&name("s"), 2, options).await.unwrap();
        let shard = ShardIndex::new(0);
        let kind = IteratorType::Latest;
        let iterator = client.shard_iterator(&stream, shard, kind).await.unwrap();
        let started = clock::now();
        let mut admitted = 0;
        let refused = loop {
            match client.get_records(&iterator, None).await {
                Ok(_) => admitted += 1,
                Err(error) => break error,
            }
        };
        let seconds = (clock::now() - started).as_secs();
        assert!((5..=5 + 5 * (seconds + 1)).contains(&admitted), "{admitted} in {seconds} s");
        assert_eq!(refused.code(), "ProvisionedThroughputExceededException");
        let other = client.shard_iterator(&stream, ShardIndex::new(1), kind).await.unwrap();
        assert!(client.get_records(&other, None).await.is_ok());
    });
    engine.shutdown().unwrap();
}

#[test]
fn streams_come_and_go_and_their_records_with_them() {
    let folder = folder("embed-streams");
    let engine = start(EngineConfig { shards_max: 10, ..config(&folder) });
    let old = on_core(&engine, |client| async move {
        let options = StreamOptions::default();
        let missing = client.describe_stream(&name("a")).await.unwrap_err().to_string();
        assert_eq!(missing, "Stream a under account 123456789012 not found.");
        let stream = client.create_stream(&name("a"), 4, options).await.unwrap();
        let again = client.create_stream(&name("a"), 4, options).await.unwrap_err();
        assert_eq!(again.to_string(), "Stream a under account 123456789012 already exists.");
        let none = client.create_stream(&name("b"), 0, options).await.unwrap_err();
        assert_eq!(none.code(), "ValidationException");
        let many = client.create_stream(&name("b"), 7, options).await.unwrap_err();
        assert!(many.to_string().contains("Current shard count for the account: 4. Limit: 10."));
        client.create_stream(&name("b"), 6, options).await.unwrap();
        put(&client, &stream, 0, 100).await;
        let iterator = client
            .shard_iterator(&stream, ShardIndex::new(0), IteratorType::TrimHorizon)
            .await
            .unwrap();
        client.delete_stream(&name("a")).await.unwrap();
        let gone = client.put_records(&stream, &batch(0, 1)).await.unwrap_err();
        assert_eq!(gone.to_string(), "Stream a under account 123456789012 not found.");
        let gone = client.get_records(&iterator, None).await.unwrap_err();
        assert_eq!(gone.code(), "ResourceNotFoundException");
        let gone = client.delete_stream(&name("a")).await.unwrap_err();
        assert_eq!(gone.code(), "ResourceNotFoundException");
        let new = client.create_stream(&name("a"), 4, options).await.unwrap();
        check_all(&client, &new, 0).await;
        put(&client, &new, 0, 10).await;
        stream.number()
    });
    engine.shutdown().unwrap();
    for _ in 0..2 {
        let engine = start(config(&folder));
        on_core(&engine, move |client| async move {
            let streams = client.list_streams().await.unwrap();
            let names: Vec<_> = streams.iter().map(|found| found.stream.name().as_str()).collect();
            assert_eq!(names, ["a", "b"]);
            assert_ne!(streams[0].stream.number(), old);
            check_all(&client, &streams[0].stream, 10).await;
        });
        engine.shutdown().unwrap();
    }
}

#[test]
fn bad_input_is_refused_with_kinesis_texts() {
    let folder = folder("embed-bad-input");
    let engine = start(config(&folder));
    on_core(&engine, |client| async move {
        let options = StreamOptions::default();
        let stream = client.create_stream(&name("s"), 1, options).await.unwrap();
        let refused = async |batch: PutBatch| -> ApiError {
            client.put_records(&stream, &batch).await.unwrap_err()
        };
        assert_eq!(refused(batch(0, 0)).await.code(), "ValidationException");
        assert_eq!(refused(batch(0, 501)).await.code(), "ValidationException");
        let mut no_key = batch(0, 2);
        no_key.records[1].key.bytes = 0;
        let text = refused(no_key).await.to_string();
        assert!(text.contains("'records.2.member.partitionKey'"), "{text}");
        let shard = ShardIndex::new(1);
        let kind = IteratorType::Latest;
        let missing = client.shard_iterator(&stream, shard, kind).await.unwrap_err().to_string();
        assert_eq!(
            missing,
            "Shard shardId-000000000001 in stream s under account 123456789012 does not exist"
        );
        check_all(&client, &stream, 0).await;
    });
    engine.shutdown().unwrap();
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let folder = folder("embed-start");
    let check = |config: EngineConfig, expected: &str| {
        let error = Engine::start(config).err().expect("it cannot start").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(EngineConfig { cores: 0, ..config(&folder) }, "cores must be 1 to 1,024");
    check(EngineConfig { logs: Some(0), ..config(&folder) }, "logs must be 1 to 1,024");
    check(EngineConfig { segment_bytes: 5000, ..config(&folder) }, "segment_bytes must be");
    check(EngineConfig { memory_bytes: 1 << 20, ..config(&folder) }, "MiB of memory are too few");
    let engine = start(config(&folder));
    let second = Engine::start(config(&folder)).err().expect("the folder is in use");
    assert!(matches!(second, StartError::Io(_)), "{second}");
    drop(engine);
    let catalog = std::fs::read(folder.join("catalog-a")).unwrap();
    let identity = std::fs::read(folder.join("identity")).unwrap();
    std::fs::write(folder.join("catalog-a"), vec![0; catalog.len()]).unwrap();
    check(config(&folder), "neither catalog-a nor catalog-b holds anything that is whole");
    std::fs::write(folder.join("catalog-a"), catalog).unwrap();
    std::fs::remove_file(folder.join("identity")).unwrap();
    check(config(&folder), "no file `identity`; restore it");
    let bit = identity.iter().position(|byte| *byte == b'1').unwrap();
    let mut rotten = identity.clone();
    rotten[bit + "\nlogs 1".len()] ^= 4;
    std::fs::write(folder.join("identity"), rotten).unwrap();
    check(config(&folder), "identity is damaged");
    std::fs::write(folder.join("identity"), identity).unwrap();
    start(config(&folder)).shutdown().unwrap();
    for file in ["catalog-a", "catalog-b"] {
        if folder.join(file).exists() {
            std::fs::rename(folder.join(file), folder.join("moved")).unwrap();
        }
    }
    check(config(&folder), "neither catalog-a nor catalog-b");
    std::fs::write(folder.join("identity"), [b'x'; 4096]).unwrap();
    check(config(&folder), "not Gyre's");
}

#[test]
fn requests_after_the_end_are_internal_failures() {
    let folder = folder("embed-end");
    let engine = start(config(&folder));
    let stream = on_core(&engine, |client| async move {
        client.create_stream(&name("s"), 1, StreamOptions::default()).await.unwrap()
    });
    let client = engine.client();
    engine.shutdown().unwrap();
    let other = start(config(&folder));
    on_core(&other, |_| async move {
        let result = client.put_records(&stream, &batch(0, 3)).await.unwrap();
        assert_eq!(result.records, [Err(RecordError::InternalFailure); 3]);
        assert_eq!(client.list_streams().await.unwrap_err(), ApiError::InternalFailure);
    });
    other.shutdown().unwrap();
}
