//! The harness end to end with the toy log: nothing is found where nothing is wrong, and a bug is
//! found, named and kept.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]

use crash::child::Subject;
use crash::rounds::{Crash, Plan, run};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn crash(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crash")).args(arguments).output().unwrap()
}

/// Exit code and last line of some rounds with the toy.
fn check(arguments: &[&str], code: i32, last: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let output = crash(&[arguments, &["--engine", "toy", "--directory", directory]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().last(), Some(last), "{text}");
    text
}

#[test]
fn a_right_log_survives_kills_and_power_cuts() {
    let last = "test result: ok. 6 passed; 0 failed";
    check(&["kill", "--rounds", "6", "--seed", "7"], 0, last);
    check(&["power", "--rounds", "6", "--seed", "7"], 0, last);
}

#[test]
fn rounds_that_prove_nothing_have_not_passed() {
    let last = "test result: FAILED. 0 passed; 1 failed";
    for crash in ["kill", "power"] {
        let text = check(&[crash, "--rounds", "1", "--bug", "ack-nothing"], 4, last);
        assert!(text.contains("no record was acknowledged in"), "{text}");
    }
}

#[test]
fn a_bug_is_found_named_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let json = folder.path().join("rounds.jsonl");
    let arguments = ["power", "--rounds", "8", "--engine", "toy", "--bug", "skip-flush"];
    let places = ["--directory", directory, "--json", json.to_str().unwrap()];
    let output = crash(&[&arguments[..], &places].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("lost: record"), "{text}");

    let lines = fs::read_to_string(json).unwrap();
    assert_eq!(lines.lines().count(), 8);
    let rounds: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed = rounds.iter().find(|round| round["passed"] == false).unwrap();
    assert!(failed["violation_count"].as_u64().unwrap() > 0);
    assert_eq!(failed["crash"], "power");

    let kept: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let witness = kept.iter().find(|path| path.is_dir()).unwrap();
    assert!(witness.join("data").join("shard-0").exists());
    assert_eq!(kept.len(), 2, "one witness and the JSON lines: {kept:?}");
}

#[test]
fn a_life_that_ends_by_itself_has_not_passed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        crash: Crash::Kill,
        subject: Subject::Toy(None),
        rounds: 2,
        seed: 1,
        directory: folder.path().to_owned(),
        program: PathBuf::from("/bin/false"),
    };
    let mut failures = Vec::new();
    run(&plan, &mut |round| {
        failures.extend(round.failure.clone());
        assert!(!round.passed());
        true
    })
    .unwrap();
    assert_eq!(failures.len(), 2);
    assert!(failures[0].starts_with("ended by itself with exit status: 1"), "{failures:?}");
}

#[test]
fn what_cannot_run_is_told_from_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, b"not a folder").unwrap();
    let output = crash(&["kill", "--rounds", "1", "--directory", in_the_way.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(6));
    let output = crash(&["kill", "--rounds", "many"]);
    assert_eq!(output.status.code(), Some(2));
}
