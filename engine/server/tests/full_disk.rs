//! A disk that is full, under the simulation: who embeds the engine is told so, the wire is not.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gyre::embed::{EngineConfig, Limits, LocalEngine, PutBatch, PutRecord, Span, StreamOptions};
use model::{RecordError, StreamName};
use runtime::clock;
use runtime::sim::{Disk, Faults, Options, run};

const SEGMENT_BYTES: u64 = 16 << 20;
const RECORD_BYTES: u32 = 500_000;

/// Eight records of one shard.
fn batch() -> PutBatch {
    let mut payload = vec![b'd'; RECORD_BYTES as usize];
    payload.push(b'k');
    let (data, key) =
        (Span { start: 0, bytes: RECORD_BYTES }, Span { start: RECORD_BYTES, bytes: 1 });
    let record = PutRecord { key, data, explicit_hash_key: None };
    PutBatch { payload: Arc::new(payload), records: vec![record; 8] }
}

#[test]
fn a_full_disk_is_named_and_what_is_deleted_brings_writes_back() {
    let disk = Disk::new(1);
    disk.set_faults(Faults { bytes_max: Some(7 * SEGMENT_BYTES), ..Faults::default() });
    let main = async {
        let mut config = EngineConfig::new(PathBuf::from("/data"));
        config.memory_bytes = 256 << 20;
        config.segment_bytes = SEGMENT_BYTES;
        config.limits = Limits::Off;
        let engine = LocalEngine::start(config).await.unwrap();
        let client = engine.client();
        let name = |name| StreamName::new(name).unwrap();
        let goes = client.create_stream(&name("goes"), 1, StreamOptions::default()).await.unwrap();
        let stays =
            client.create_stream(&name("stays"), 1, StreamOptions::default()).await.unwrap();
        let mut puts = 0;
        let refused = loop {
            let result = client.put_records(&goes, &batch()).await.unwrap();
            if result.failed > 0 {
                break result;
            }
            puts += 1;
        };
        assert!(puts > 10);
        let error = RecordError::DiskFull { needed_bytes: SEGMENT_BYTES };
        assert_eq!(refused.records, [Err(error); 8], "nothing is taken by halves");
        assert_eq!(error.code(), "InternalFailure");
        client.delete_stream(&name("goes")).await.unwrap();
        clock::sleep(Duration::from_secs(10)).await;
        assert_eq!(client.put_records(&stays, &batch()).await.unwrap().failed, 0);
        drop(client);
        engine.shutdown().await.unwrap();
    };
    run(1, &disk, &Options::default(), main).done().expect("nothing waits for ever");
}
