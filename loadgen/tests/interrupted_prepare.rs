//! Ctrl-C while segments are made ready: the run ends at once, with a sentence. A process is
//! interrupted once and for all, so this is a file of its own.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use loadgen::amount::{Bytes, Span};
use loadgen::exit_code::ExitCode;
use loadgen::run::{RunOptions, run};
use loadgen::scenario::{LimitsSetting, Scenario};
use runtime::clock;

#[test]
fn making_segments_ready_ends_at_once() {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loadgen-interrupted-prepare");
    if data.exists() {
        std::fs::remove_dir_all(&data).unwrap();
    }
    let mut scenario = Scenario::run_default();
    scenario.stream.shards = 16;
    scenario.target.memory = Bytes(512 << 20);
    // As many segments as a quarter of the disk takes: it is not over before the signal.
    scenario.stream.limits = LimitsSetting::Off;
    scenario.run.measure = Span(Duration::from_secs(600));
    // The shell waits for the moment, says when it is, and presses Ctrl-C.
    let (own, pressed) = (std::process::id(), data.with_extension("pressed"));
    let script = format!(
        "until [ $(du -sk {data} 2>/dev/null | cut -f1) -gt 100000 ]; do sleep 0.02; done; date +%s%3N > {pressed}; kill -INT {own}",
        data = data.display(),
        pressed = pressed.display(),
    );
    let mut shell = Command::new("timeout").args(["60", "sh", "-c", &script]).spawn().unwrap();
    let options = RunOptions { data: Some(data.clone()), ..RunOptions::default() };
    let failure = run(&scenario, &options).unwrap_err();
    let ended_ms = clock::wall_ms();
    assert!(shell.wait().unwrap().success());
    assert_eq!(failure.code, ExitCode::Interrupted);
    assert_eq!(failure.sentence, "interrupted while segments were made ready");
    let pressed_ms: u64 = std::fs::read_to_string(&pressed).unwrap().trim().parse().unwrap();
    let took = Duration::from_millis(ended_ms.saturating_sub(pressed_ms));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!data.exists(), "the data folder goes with the run");
}
