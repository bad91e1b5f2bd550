//! A short run of every target, and that a target can fail.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use fuzz::{TARGETS, Target, play};

#[test]
fn every_promise_holds_for_a_while() {
    for target in &TARGETS {
        let played = play(target, 0..20_000);
        assert!(played.is_ok(), "{}: {played:?}", target.name);
    }
}

#[test]
fn a_broken_promise_is_found_and_named() {
    fn feed(input: &[u8]) {
        assert!(!input.contains(&b'}'), "no closing brackets");
    }
    let target = Target { name: "planted", feed, seeds: || vec![b"{".to_vec()] };
    let failure = play(&target, 0..10_000).unwrap_err();
    assert!(failure.input.contains(&b'}'));
    // The round alone gives the same input again.
    let again = play(&target, failure.round..failure.round + 1).unwrap_err();
    assert_eq!(again.input, failure.input);
}
