//! Each row at a tiny size with the real engine: it comes to its end, its object has what is needed
//! to believe it, its exit code is that of its gates, and nothing is left behind. Whether a gate holds
//! does not matter here: the machine may be busy, and so small a log says little.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Rows share CPUs and disk: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Small segments and so little memory that most of a small log is not in it.
const SMALL: [&str; 4] = ["--segment", "16MiB", "--memory", "160MiB"];

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rows-{name}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

fn command(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rows"));
    command.args(arguments).args(SMALL).arg("--data").arg(data);
    command
}

fn output(arguments: &[&str], data: &Path) -> Output {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let output = command(arguments, data).output().unwrap();
    drop(turn);
    output
}

/// Runs a row; its object is sound, and says `ok` as the exit code does.
fn check(name: &str, arguments: &[&str]) -> Value {
    let data = folder(name);
    let output = output(&[arguments, &["--json"]].concat(), &data);
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let expected = if report["ok"].as_bool().unwrap() { 0 } else { 3 };
    assert_eq!(output.status.code(), Some(expected), "{said}");
    assert!(!data.exists(), "the data folder goes with the row");
    for field in ["git", "durability", "data_fs", "device", "binary_sha256"] {
        assert!(report["subject"][field].is_string(), "{field} of {report}");
    }
    assert!(report["subject"]["hw"]["cpu"]["model"].is_string());
    assert!(report["subject"]["os"]["kernel"].is_string());
    assert!(report["parameters"].is_object());
    let figures = report["figures"].as_array().unwrap();
    let holds = figures.iter().all(|figure| figure["ok"] != false);
    assert_eq!(report["ok"], holds);
    assert!(figures.iter().any(|figure| figure["gate"].is_object()));
    report
}

/// The value of a figure.
fn value(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == name);
    let figure = figure.unwrap_or_else(|| panic!("no figure {name}"));
    figure["value"].as_f64().unwrap_or_else(|| panic!("{name} was not measured"))
}

#[test]
fn cold_read_of_many_shards() {
    let report = check("cold", &["cold-read", "--gib", "0.12", "--shards", "200"]);
    assert_eq!(value(&report, "records read, of those put"), 1.0);
    assert!(value(&report, "moved by the engine, of the log") > 0.5, "some of it was read");
    assert!(report["samples"]["moved_for_one_shard"]["engine"].is_object());
}

#[test]
fn cold_read_of_one_shard() {
    let report = check("cold-one", &["cold-read", "--gib", "0.05", "--shards", "1"]);
    assert_eq!(value(&report, "records read, of those put"), 1.0);
    assert!(value(&report, "read from the disk, of keys and data") > 0.5);
    assert!(value(&report, "cold reading") > 0.0);
    assert!(report["samples"]["probes"]["before"].is_object());
}

#[test]
fn retention_by_expiry_and_by_deletion() {
    let size = ["--gib", "0.1", "--shards", "4", "--watch", "1s"];
    let expiry = check("expiry", &[&["retention", "--retention", "1s"], &size[..]].concat());
    let deletion = check("deletion", &[&["retention", "--delete"], &size[..]].concat());
    for report in [expiry, deletion] {
        assert_eq!(value(&report, "kept records read back"), 1.0);
        assert!(report["samples"]["disk"].as_array().unwrap().len() > 1);
    }
}

#[test]
fn start_after_a_kill() {
    let report = check("start", &["start", "--gib", "0.1", "--shards", "64"]);
    let rounds = report["samples"]["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    for round in rounds {
        assert!(round["first_put_s"].as_f64().unwrap() >= round["first_get_s"].as_f64().unwrap());
        assert_eq!(round["shards"], 64);
    }
}

#[test]
fn memory_with_followers_that_stand_still() {
    let report = check("memory", &["memory", "--gib", "0.1", "--shards", "200", "--stalled", "8"]);
    assert_eq!(value(&report, "records that stalled followers got, of those put"), 1.0);
    let highest = value(&report, "highest resident memory");
    assert!(highest >= value(&report, "highest by the last put"));
    assert!(
        value(&report, "highest by the last put") > value(&report, "resident before the engine")
    );
    assert!(report["samples"]["under_load"]["read"]["records"].as_u64().unwrap() > 0);
}

#[test]
fn cpu_of_a_record() {
    let load = ["--rate", "20k", "--duration", "1s", "--pairs", "1"];
    let report = check("cpu", &[&["cpu", "--shards", "64"], &load[..]].concat());
    assert!(value(&report, "a record's CPU, 64 shards, median") > 0.0);
    assert!(value(&report, "many over one, median") > 0.0);
    assert_eq!(report["samples"]["pairs"].as_array().unwrap().len(), 1);
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let data = folder("interrupted");
    let arguments = ["retention", "--retention", "1h", "--gib", "0.02"];
    let mut row = command(&arguments, &data).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(row.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("waiting until the disk is free")));
    assert!(data.exists());
    kill_process(Pid::from_child(&row), Signal::INT).unwrap();
    assert_eq!(row.wait().unwrap().code(), Some(130));
    assert!(!data.exists());
    drop(turn);
}

#[test]
fn what_cannot_be_done_is_refused_in_a_sentence() {
    let refused = |arguments: &[&str], data: &Path, code, sentence: &str| {
        let output = output(arguments, data);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(sentence), "{said}");
        assert!(output.stdout.is_empty());
    };
    let data = folder("refused");
    refused(&["start", "--gib", "99999"], &data, 6, "this needs");
    refused(&["cold-read", "--gib", "none"], &data, 2, "not a number of GiB");
    refused(&["cold-reading"], &data, 2, "cold-read");
    assert!(!data.exists());
    std::fs::create_dir_all(data.join("theirs")).unwrap();
    refused(&["retention", "--gib", "0.02"], &data, 2, "is not empty");
    assert!(data.join("theirs").exists());
    std::fs::remove_dir_all(data).unwrap();
}
