//! `gyre inspect` on folders of the embedded engine: bytes are flipped, the inspection must name
//! the place and the shards, and the engine must refuse those and serve the rest.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gyre::embed::{
    Client, Engine, EngineConfig, Limits, PutBatch, PutRecord, Span, StartError, Stream,
    StreamOptions,
};
use gyre::inspect::{InspectRequest, Verdict, inspect};
use model::{IteratorType, ShardIndex, StreamName};
use runtime::cores::{self, CoreConfig};
use serde_json::Value;
use storage::frame::{self, BLOCK_BYTES, HEADER_BYTES};

const SHARDS: u32 = 8;
const BATCHES: u64 = 90;
const RECORDS_PER_BATCH: u64 = 48;

fn config(folder: &Path, logs: u16) -> EngineConfig {
    let mut config = EngineConfig::new(folder.to_path_buf());
    config.memory_bytes = 512 << 20;
    config.segment_bytes = 16 << 20;
    config.logs = Some(logs);
    config.limits = Limits::Off;
    config
}

fn on_core<T: Send + 'static, Fut: Future<Output = T> + 'static>(
    work: impl FnOnce() -> Fut + Send + 'static,
) -> T {
    let config = CoreConfig { name: "caller".to_owned(), cpu: None, io_memory_bytes: 4 << 20 };
    cores::start(config, work).expect("io_uring is here").join()
}

/// The two shards that a batch goes to.
fn shards_of(batch: u64) -> [u32; 2] {
    let shard = |number: u64| u32::try_from(number % u64::from(SHARDS)).unwrap();
    [shard(batch), shard(batch + 3)]
}

fn batch(stream: &Stream, batch: u64) -> PutBatch {
    let mut payload = Vec::new();
    let mut records = Vec::new();
    for number in 0..RECORDS_PER_BATCH {
        let start = u32::try_from(payload.len()).unwrap();
        payload.extend_from_slice(b"key");
        payload.extend_from_slice(format!("batch {batch} record {number}").as_bytes());
        payload.resize(payload.len() + 2_000, b'.');
        let end = u32::try_from(payload.len()).unwrap();
        let shard = ShardIndex::new(shards_of(batch)[usize::try_from(number % 2).unwrap()]);
        records.push(PutRecord {
            key: Span { start, bytes: 3 },
            data: Span { start: start + 3, bytes: end - start - 3 },
            explicit_hash_key: Some(stream.shards().get(shard).unwrap().range.start()),
        });
    }
    PutBatch { payload: Arc::new(payload), records }
}

/// A folder of its own for a test, with every batch acknowledged and a clean end: some segments
/// are sealed, the last is not.
fn make(name: &str, logs: u16) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("inspect-{name}"));
    for stale in [&folder, &damaged_copy_of(&folder)] {
        if stale.exists() {
            fs::remove_dir_all(stale).expect("a folder of ours");
        }
    }
    let engine = start(&folder, logs).unwrap();
    let client = engine.client();
    on_core(move || async move {
        let name = StreamName::new("orders").unwrap();
        let stream = client.create_stream(&name, SHARDS, StreamOptions::default()).await.unwrap();
        for number in 0..BATCHES {
            let result = client.put_records(&stream, &batch(&stream, number)).await.unwrap();
            assert_eq!(result.failed, 0);
        }
    });
    engine.shutdown().unwrap();
    folder
}

fn start(folder: &Path, logs: u16) -> Result<Engine, StartError> {
    Engine::start(config(folder, logs))
}

fn damaged_copy_of(folder: &Path) -> PathBuf {
    folder.with_extension("copy")
}

/// The engine changes what it opens: it gets a copy.
fn copy(folder: &Path) -> PathBuf {
    let copy = damaged_copy_of(folder);
    if copy.exists() {
        fs::remove_dir_all(&copy).unwrap();
    }
    fs::create_dir_all(copy.join("segments")).unwrap();
    for inner in ["", "segments"] {
        for entry in fs::read_dir(folder.join(inner)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, copy.join(inner).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    copy
}

fn request(folder: &Path) -> InspectRequest {
    InspectRequest {
        data: folder.to_path_buf(),
        json: true,
        log: None,
        segment: None,
        frames: false,
        shard: None,
    }
}

/// Inspects in this process: the verdict and the JSON lines.
fn look(request: InspectRequest) -> (Verdict, Vec<Value>) {
    on_core(move || async move {
        let mut out = Vec::new();
        let verdict = inspect(&request, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        (verdict, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    })
}

/// Runs the binary: exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gyre")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn shard_name(shard: u32) -> String {
    format!("orders/{}", ShardIndex::new(shard))
}

fn names(finding: &Value) -> BTreeSet<String> {
    let shards = finding["shards"].as_array().unwrap();
    shards.iter().map(|shard| shard.as_str().unwrap().to_owned()).collect()
}

fn flip(path: &Path, position: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], position).unwrap();
    file.sync_data().unwrap();
}

/// A frame with records, where it lies and whose they are.
#[derive(Clone, Debug)]
struct Frame {
    file: PathBuf,
    segment: u64,
    position: u64,
    number: u64,
    content_bytes: u64,
    is_sealed: bool,
    shards: BTreeSet<String>,
}

/// Every frame with records of a whole folder, as inspections of it tell.
fn frames(folder: &Path) -> Vec<Frame> {
    let mut shards: BTreeMap<(u64, u64), BTreeSet<String>> = BTreeMap::new();
    let (_, lines) = look(InspectRequest { frames: true, ..request(folder) });
    let segments: BTreeMap<u64, &Value> =
        of_kind(&lines, "segment").iter().map(|line| (number(&line["first"]), *line)).collect();
    let starts: BTreeSet<(u64, u64)> = of_kind(&lines, "frame")
        .iter()
        .map(|line| (number(&line["segment"]), number(&line["position"])))
        .collect();
    for shard in 0..SHARDS {
        let shard = shard_name(shard);
        let (_, parts) = look(InspectRequest { shard: Some(shard.clone()), ..request(folder) });
        for part in of_kind(&parts, "part") {
            let at = (number(&part["segment"]), number(&part["position"]));
            let frame = starts.range(..at).next_back().unwrap();
            shards.entry(*frame).or_default().insert(shard.clone());
        }
    }
    let records = of_kind(&lines, "frame").into_iter().filter(|line| number(&line["records"]) > 0);
    records
        .map(|line| {
            let (segment, position) = (number(&line["segment"]), number(&line["position"]));
            let (log, file) = (number(&line["log"]), number(&segments[&segment]["file"]));
            let directory = number(&line["directory_entries"]) * 24;
            Frame {
                file: folder.join(format!("segments/{log:03}-{file:08}.seg")),
                segment,
                position,
                number: number(&line["number"]),
                content_bytes: 128 + directory + number(&line["payload_bytes"]),
                is_sealed: segments[&segment]["stage"] == "sealed",
                shards: shards[&(segment, position)].clone(),
            }
        })
        .collect()
}

/// The records of each shard as a reader sees them, or `None` where the engine refuses.
async fn read_all(client: &Client) -> BTreeMap<String, Option<u64>> {
    let name = StreamName::new("orders").unwrap();
    let stream = client.describe_stream(&name).await.unwrap().stream;
    let mut found = BTreeMap::new();
    for shard in 0..SHARDS {
        found.insert(shard_name(shard), read_shard(client, &stream, shard).await);
    }
    found
}

async fn read_shard(client: &Client, stream: &Stream, shard: u32) -> Option<u64> {
    let kind = IteratorType::TrimHorizon;
    let mut iterator = client.shard_iterator(stream, ShardIndex::new(shard), kind).await.ok()?;
    // Which records must come, in order.
    let batches = (0..BATCHES).filter(|batch| shards_of(*batch).contains(&shard));
    let mut expected = batches.flat_map(|batch| {
        let first = u64::from(shards_of(batch)[0] != shard);
        (first..RECORDS_PER_BATCH).step_by(2).map(move |number| (batch, number))
    });
    let mut count = 0;
    loop {
        let result = client.get_records(&iterator, Some(1_000)).await.ok()?;
        for record in result.records() {
            let (batch, number) = expected.next().expect("nothing that was never put");
            let text = format!("batch {batch} record {number}.");
            assert!(record.data.starts_with(text.as_bytes()), "{text}");
            count += 1;
        }
        if result.chunks.is_empty() {
            return Some(count);
        }
        iterator = result.next;
    }
}

fn whole_shards() -> BTreeMap<String, Option<u64>> {
    let mut counts = vec![0; SHARDS as usize];
    for batch in 0..BATCHES {
        for shard in shards_of(batch) {
            counts[shard as usize] += RECORDS_PER_BATCH / 2;
        }
    }
    (0..).zip(counts).map(|(shard, count)| (shard_name(shard), Some(count))).collect()
}

/// Opens the engine on a copy and reads everything.
fn serve(folder: &Path, logs: u16) -> BTreeMap<String, Option<u64>> {
    let engine = start(&copy(folder), logs).unwrap();
    let client = engine.client();
    let found = on_core(move || async move { read_all(&client).await });
    engine.shutdown().unwrap();
    found
}

/// Names, lengths, times and contents of everything in a folder.
fn fingerprint(folder: &Path) -> Vec<(PathBuf, u64, u64)> {
    let mut files = Vec::new();
    for inner in ["", "segments"] {
        let directory = folder.join(inner);
        files.push((directory.clone(), 0, modified_ns(&directory)));
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let bytes = path.metadata().unwrap().len();
            files.push((path.clone(), bytes, modified_ns(&path)));
        }
    }
    files.sort();
    files
}

fn modified_ns(path: &Path) -> u64 {
    let modified = path.metadata().unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

#[test]
fn a_whole_folder_is_well_and_is_left_as_it_was() {
    let folder = make("whole", 2);
    let before = fingerprint(&folder);
    let (verdict, lines) = look(request(&folder));
    assert_eq!((verdict, of_kind(&lines, "finding").len()), (Verdict::Well, 0));
    let sealed = of_kind(&lines, "segment").into_iter().filter(|line| line["stage"] == "sealed");
    assert!(sealed.count() >= 2, "both logs have a sealed segment");
    assert_eq!(of_kind(&lines, "stream")[0]["name"], "orders");
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["verdict"], number(&last["records"])),
        (&Value::from("well"), BATCHES * RECORDS_PER_BATCH)
    );
    let data = folder.to_str().unwrap();
    let (code, text, _) = run(&["inspect", data, "--frames"]);
    assert_eq!(code, 0, "{text}");
    for word in ["2 logs", "stream orders", "sealed;", "ready;", "frame 0 at 0", "well:"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let (code, text, _) = run(&["inspect", data, "--log", "1", "--segment", "1", "--json"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.matches("\"kind\":\"segment\"").count(), 1);
    assert_eq!(fingerprint(&folder), before, "an inspection changes nothing");
}

#[test]
fn a_folder_in_use_is_read_and_said_to_be_in_use() {
    let folder = make("in-use", 1);
    let engine = start(&folder, 1).unwrap();
    // What the engine is sealing at this moment may be taken for damage: it comes to rest.
    let looks = std::iter::repeat_with(|| run(&["inspect", folder.to_str().unwrap()]));
    let (_, text, _) = looks.take(50).find(|(code, ..)| *code == 0).expect("it is well");
    assert!(text.contains("in use by another process"), "{text}");
    engine.shutdown().unwrap();
}

#[test]
fn what_cannot_be_looked_at_ends_with_its_own_code() {
    let folder = make("codes", 1);
    let data = folder.to_str().unwrap();
    let check = |arguments: &[&str], code: i32, word: &str| {
        let (found, _, text) = run(arguments);
        assert_eq!(found, code, "{text}");
        assert!(text.contains(word), "{word} is not in {text}");
    };
    check(&["inspect"], 2, "DIR");
    check(&["inspect", data, "--colour"], 2, "--colour");
    check(&["inspect", data, "--log", "7"], 2, "there is no log 7");
    check(&["inspect", data, "--shard", "orders"], 2, "no shard orders");
    check(&["inspect", env!("CARGO_MANIFEST_DIR")], 6, "no file `identity`");
    let missing = folder.join("missing");
    check(&["inspect", missing.to_str().unwrap()], 6, "identity");
    let (code, text, _) = run(&["inspect", "--help"]);
    assert_eq!(code, 0);
    assert!(text.contains("Examples:"));
}

/// Flips a byte of a frame, and gives the one finding about it, with how the engine serves it.
fn damage(folder: &Path, frame: &Frame, at: u64) -> (Value, BTreeMap<String, Option<u64>>) {
    flip(&frame.file, frame.position + at);
    let (verdict, lines) = look(request(folder));
    let (code, text, _) = run(&["inspect", folder.to_str().unwrap()]);
    let served = serve(folder, 1);
    flip(&frame.file, frame.position + at);
    assert_eq!((verdict, code), (Verdict::Damaged, 4), "{text}");
    let findings = of_kind(&lines, "finding");
    let [finding] = findings[..] else { panic!("{findings:?}") };
    assert_eq!(number(&finding["segment"]), frame.segment);
    assert_eq!(number(&finding["position"]), frame.position, "{finding}");
    assert_eq!(finding["frames"], Value::from(vec![frame.number, frame.number + 1]));
    assert_eq!(finding["consequence"], "refused");
    for shard in names(finding) {
        assert!(text.contains(&shard), "{shard} is not in {text}");
    }
    assert!(text.contains(&format!("segment {}, position", frame.segment)), "{text}");
    (finding.clone(), served)
}

#[test]
fn a_flipped_byte_in_a_frame_is_named_with_its_shards_and_the_rest_is_served() {
    let folder = make("frames", 1);
    let frames = frames(&folder);
    let sealed: Vec<_> = frames.iter().filter(|frame| frame.is_sealed).collect();
    let chosen = [sealed[0], sealed[sealed.len() / 2], &frames[frames.len() - 1]];
    assert_eq!(chosen.map(|frame| frame.is_sealed), [true, true, false]);
    for frame in chosen {
        assert_eq!(frame.shards.len(), 2, "{frame:?}");
        // The last byte of the payload belongs to the last part of the directory.
        let (finding, served) = damage(&folder, frame, frame.content_bytes - 1);
        assert_eq!(
            (&finding["wrong"], &finding["known_by"]),
            (&Value::from("frame_payload"), &Value::from("directory"))
        );
        assert_eq!(names(&finding), frame.shards);
        check_served(&served, &frame.shards, frame.is_sealed);
        for (shard, count) in &served {
            let is_damaged = frame.shards.contains(shard);
            assert!(is_damaged || *count == whole_shards()[shard]);
        }
        assert!(frame.shards.iter().any(|shard| served[shard].is_none()), "somebody lost a byte");

        let (finding, served) = damage(&folder, frame, 40);
        assert_eq!(finding["wrong"], "frame_header");
        let concerned = names(&finding);
        if frame.is_sealed {
            assert_eq!(concerned, frame.shards, "the table says it exactly");
        } else {
            let all: BTreeSet<_> = (0..SHARDS).map(shard_name).collect();
            assert_eq!(concerned, all, "nothing behind it clears anybody");
        }
        check_served(&served, &concerned, frame.is_sealed);
    }
    let (verdict, _) = look(request(&folder));
    assert_eq!(verdict, Verdict::Well, "every byte was flipped back");
}

/// Who is not concerned is served in full. Who is, is refused; in a sealed segment only as far as
/// its own bytes do not have their checksum: the engine reads parts there, not frames.
fn check_served(
    served: &BTreeMap<String, Option<u64>>,
    concerned: &BTreeSet<String>,
    is_sealed: bool,
) {
    for (shard, whole) in whole_shards() {
        match concerned.contains(&shard) {
            true if is_sealed => assert!(served[&shard].is_none() || served[&shard] == whole),
            true => assert_eq!(served[&shard], None, "{shard} is refused"),
            false => assert_eq!(served[&shard], whole, "{shard} is served"),
        }
    }
}

#[test]
fn a_header_in_the_middle_of_the_unsealed_tail_clears_those_that_go_on() {
    let folder = make("tail", 1);
    let frames = frames(&folder);
    // Every shard appears in the frames behind it.
    let frame = &frames[frames.len() - 12];
    assert!(!frame.is_sealed);
    let (finding, served) = damage(&folder, frame, 40);
    assert_eq!(
        (names(&finding), &finding["known_by"]),
        (frame.shards.clone(), &Value::from("gaps"))
    );
    check_served(&served, &frame.shards, false);
}

#[test]
fn a_damaged_table_is_named_and_no_record_is_lost() {
    let folder = make("table", 1);
    let (_, lines) = look(request(&folder));
    let sealed = of_kind(&lines, "segment");
    let sealed = sealed.into_iter().find(|line| line["stage"] == "sealed").unwrap().clone();
    let path = folder.join(format!("segments/000-{:08}.seg", number(&sealed["file"])));
    let bytes = number(&sealed["bytes"]);
    let rows = number(&sealed["table"]["rows_position"]);
    let postings = number(&sealed["table"]["postings"]);
    assert!(postings > 0, "parts of this size have postings");
    let footer = bytes - BLOCK_BYTES as u64;
    let sparse = footer - BLOCK_BYTES as u64;
    let places = [
        (rows, "table_blocks"),
        (rows + BLOCK_BYTES as u64, "table_blocks"),
        (sparse, "table_blocks"),
        (footer, "table_footer"),
    ];
    for (block, wrong) in places {
        flip(&path, block + 20);
        let (verdict, lines) = look(request(&folder));
        let (code, text, _) = run(&["inspect", folder.to_str().unwrap()]);
        let served = serve(&folder, 1);
        flip(&path, block + 20);
        assert_eq!((verdict, code), (Verdict::Damaged, 4), "{text}");
        let findings = of_kind(&lines, "finding");
        let [finding] = findings[..] else { panic!("{findings:?}") };
        assert_eq!(
            (&finding["wrong"], &finding["consequence"]),
            (&Value::from(wrong), &Value::from("rebuilt"))
        );
        assert_eq!(finding["segment"], sealed["first"]);
        assert_eq!(number(&finding["position"]), block, "{finding}");
        assert!(!names(finding).is_empty(), "{finding}");
        assert!(text.contains("the engine builds the table anew"), "{text}");
        assert_eq!(served, whole_shards());
    }
}

/// A frame of the current file of the catalog that holds entries of log 0 and nothing else, with a
/// frame behind it.
fn entry_of_log_0(folder: &Path) -> (PathBuf, u64) {
    let (_, lines) = look(request(folder));
    let path = folder.join(of_kind(&lines, "catalog")[0]["file"].as_str().unwrap());
    let bytes = fs::read(&path).unwrap();
    let mut position = 0;
    let mut found = None;
    while let Ok(checked) = frame::decode(&bytes[position..]) {
        let header = checked.header;
        let mut keys = frame::directory(&bytes[position..], &header).map(|(entry, _)| entry.key.0);
        if found.is_none() && keys.next() == Some(0) && keys.next().is_none() {
            found = Some(position as u64);
        }
        position += header.frame_bytes();
    }
    assert!(found.is_some_and(|found| found > 0), "log 0 has a commit of its own");
    (path, found.unwrap())
}

#[test]
fn a_damaged_entry_of_the_manifest_refuses_its_log_and_only_that() {
    let folder = make("manifest", 2);
    let (path, position) = entry_of_log_0(&folder);
    flip(&path, position + HEADER_BYTES as u64 + 24 + 4);
    let (verdict, lines) = look(request(&folder));
    let findings = of_kind(&lines, "finding");
    let [finding] = findings[..] else { panic!("{findings:?}") };
    assert_eq!((verdict, &finding["wrong"]), (Verdict::Damaged, &Value::from("catalog_entries")));
    assert_eq!((number(&finding["log"]), number(&finding["position"])), (0, position));
    let (code, text, _) = run(&["inspect", folder.to_str().unwrap()]);
    assert_eq!(code, 4);
    assert!(text.contains("every shard of log 0"), "{text}");
    let served = serve(&folder, 2);
    for (shard, whole) in whole_shards() {
        // Neighbours lie in different logs, and one log has the even shards.
        let in_log_0 = served[&shard].is_none();
        let is_even = shard.ends_with(['0', '2', '4', '6', '8']);
        assert!(in_log_0 == is_even, "{shard}: {served:?}");
        assert!(in_log_0 || served[&shard] == whole);
    }
    // The engine has written a new snapshot since, perhaps: the loss is still known.
    let (verdict, lines) = look(request(&damaged_copy_of(&folder)));
    assert_eq!(verdict, Verdict::Damaged);
    assert_eq!(number(&of_kind(&lines, "finding")[0]["log"]), 0);
}

#[test]
fn a_catalog_whose_entries_cannot_be_told_refuses_everything() {
    let folder = make("catalog", 2);
    let (path, position) = entry_of_log_0(&folder);
    flip(&path, position + 40);
    let (verdict, lines) = look(request(&folder));
    let findings = of_kind(&lines, "finding");
    let [finding] = findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding["wrong"], "catalog_unreadable");
    assert_eq!((verdict, &finding["concerned"]), (Verdict::Damaged, &Value::from("folder")));
    assert_eq!(number(&finding["position"]), position);
    let (code, text, _) = run(&["inspect", folder.to_str().unwrap()]);
    assert_eq!(code, 4);
    assert!(text.contains("every shard of the folder"), "{text}");
    let refused = start(&copy(&folder), 2).err().expect("nothing can be served").to_string();
    assert!(refused.contains("No log of this folder can be served"), "{refused}");
}
