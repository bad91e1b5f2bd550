//! One try: starts the engine in a folder, puts, reads back, opens it again and reads once more.
//!
//! The last line says what became of it: `works on FILE SYSTEM, direct` or `buffered` with code 0,
//! or the engine's own sentence with code 3. Anything else, a panic above all, is a failed test.
//!
//! With `--count-flushes /sys/block/DISK/stat` it then puts records one at a time and says how many
//! flushes the disk has seen meanwhile, and how many the engine counts.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use gyre::embed::{
    Client, Engine, EngineConfig, FlushMethod, PutBatch, PutRecord, Span, StartError, StreamOptions,
};
use model::{IteratorType, StreamName};
use runtime::cores::{self, CoreConfig};
use seccompiler::{SeccompAction, SeccompFilter};

const RECORDS: u32 = 100;

/// Records put one at a time where flushes are counted.
const FLUSHED_RECORDS: u32 = 500;

/// Field of /sys/block/DISK/stat: flush requests completed (since Linux 5.5).
const FLUSHES_FIELD: usize = 16;

/// Tries the engine in one folder.
#[derive(Parser)]
struct CommandLine {
    /// The data folder.
    data: PathBuf,
    /// Denies this process io_uring, as container runtimes do.
    #[arg(long, value_enum)]
    deny_io_uring: Option<Denial>,
    /// Accepts a file system without direct I/O.
    #[arg(long)]
    allow_buffered: bool,
    /// Writes with O_DSYNC instead of flushing.
    #[arg(long)]
    dsync: bool,
    /// Counts the flushes of the whole disk with this file, /sys/block/DISK/stat.
    #[arg(long)]
    count_flushes: Option<PathBuf>,
}

/// What a denied system call answers.
#[derive(Clone, Copy, ValueEnum)]
enum Denial {
    /// Docker's default profile.
    Eperm,
    /// Profiles that hide what they do not know.
    Enosys,
}

fn main() -> ExitCode {
    let arguments = CommandLine::parse();
    if let Some(denial) = arguments.deny_io_uring {
        deny_io_uring(denial);
    }
    let outcome = try_once(&arguments, true, None)
        .and_then(|_| try_once(&arguments, false, arguments.count_flushes.clone()));
    match outcome {
        Ok(found) => {
            println!("works on {found}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::from(3)
        }
    }
}

/// For this thread and all that it starts.
fn deny_io_uring(denial: Denial) {
    let errno = match denial {
        Denial::Eperm => libc::EPERM,
        Denial::Enosys => libc::ENOSYS,
    };
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    let rules: BTreeMap<i64, Vec<_>> = calls.map(|call| (call, Vec::new())).into();
    let architecture = std::env::consts::ARCH.try_into().expect("seccompiler knows the machine");
    let refusal = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture);
    let program: seccompiler::BpfProgram =
        filter.and_then(|filter| filter.try_into()).expect("three numbers make a filter");
    seccompiler::apply_filter(&program).expect("a process may restrict itself");
}

/// One life of the engine. Says what the folder stands on.
fn try_once(
    arguments: &CommandLine,
    is_first: bool,
    disk: Option<PathBuf>,
) -> Result<String, StartError> {
    let mut config = EngineConfig::new(arguments.data.clone());
    config.memory_bytes = 256 << 20;
    config.segment_bytes = 16 << 20;
    config.allow_buffered = arguments.allow_buffered;
    if arguments.dsync {
        config.flush = FlushMethod::Dsync;
    }
    let engine = Engine::start(config)?;
    let facts = engine.report().directory.clone().expect("a started engine has looked");
    let client = engine.client();
    let core = CoreConfig { name: "client".to_owned(), cpu: None, io_memory_bytes: 64 << 10 };
    cores::block_on(core, move || async move {
        put_and_read(&client, is_first).await;
        if let Some(disk) = disk {
            let (seen, counted) = count_flushes(&client, &disk).await;
            println!("flushes: {seen} seen by the disk, {counted} counted by the engine");
        }
    })
    .map_err(StartError::from)?;
    engine.shutdown().expect("nothing harms the disk");
    let way = if facts.direct { "direct" } else { "buffered" };
    Ok(format!("{}, {way}", facts.file_system))
}

async fn put_and_read(client: &Client, is_first: bool) {
    let name = name();
    let stream = if is_first {
        let options = StreamOptions::default();
        client.create_stream(&name, 1, options).await.expect("a new folder has no streams")
    } else {
        client.describe_stream(&name).await.expect("it was created").stream
    };
    if is_first {
        let result = client.put_records(&stream, &batch(RECORDS)).await.expect("a good request");
        assert_eq!(result.failed, 0);
    }
    let shard = stream.shards().open()[0];
    let start = client.shard_iterator(&stream, shard, IteratorType::TrimHorizon).await;
    let start = start.expect("the shard is there");
    let read = client.get_records(&start, None).await.expect("the shard is there");
    let found: Vec<_> = read.records().map(|record| record.data.to_vec()).collect();
    let put: Vec<_> = (0..RECORDS).map(|number| number.to_le_bytes().to_vec()).collect();
    assert_eq!(found, put, "what was put is read");
}

/// Puts one record after another; gives the flushes that the disk saw and those that the engine
/// counts, both of this time alone.
async fn count_flushes(client: &Client, disk: &Path) -> (u64, u64) {
    let stream = client.describe_stream(&name()).await.expect("it was created").stream;
    let counted = async || -> u64 {
        let cores = client.stats().await.expect("the engine runs");
        cores.iter().flat_map(|core| &core.logs).map(|log| log.flushes).sum()
    };
    let (seen_before, counted_before) = (flushes_seen(disk), counted().await);
    for _ in 0..FLUSHED_RECORDS {
        let result = client.put_records(&stream, &batch(1)).await.expect("a good request");
        assert_eq!(result.failed, 0);
    }
    (flushes_seen(disk) - seen_before, counted().await - counted_before)
}

fn flushes_seen(disk: &Path) -> u64 {
    let text = fs::read_to_string(disk).expect("the disk's counters can be read");
    let field = text.split_whitespace().nth(FLUSHES_FIELD - 1);
    field.and_then(|field| field.parse().ok()).expect("Linux 5.5 counts flushes")
}

fn name() -> StreamName {
    StreamName::new("environment").expect("a stream's name")
}

fn batch(count: u32) -> PutBatch {
    let mut payload = vec![b'k'];
    let key = Span { start: 0, bytes: 1 };
    let records = (0..count).map(|number| {
        let start = u32::try_from(payload.len()).expect("a short payload");
        payload.extend(number.to_le_bytes());
        PutRecord { key, data: Span { start, bytes: 4 }, explicit_hash_key: None }
    });
    let records = records.collect();
    PutBatch { payload: Arc::new(payload), records }
}
