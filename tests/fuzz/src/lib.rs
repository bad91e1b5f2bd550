//! Bytes that nobody would send, to everything that reads bytes from outside.
//!
//! A target takes any bytes and panics where a promise does not hold: what is read is read the same
//! way twice, two paths agree, nothing panics. A round takes a seed, damages it in a few places and
//! hands it over. Rounds are a function of their number, so that one that failed can be played
//! again. There is no guidance by coverage: the targets are plain functions, and whoever has a
//! fuzzer that guides can call them.

#![forbid(unsafe_code)]

mod damage;
mod targets;

use std::panic;

pub use targets::TARGETS;

/// What is fed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Takes any bytes.
    pub feed: fn(&[u8]),
    /// Inputs that go deep.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// A round whose promise did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which round.
    pub round: u64,
    /// What was fed.
    pub input: Vec<u8>,
}

/// Plays these rounds; stops at the first that fails, whose panic is on standard error.
///
/// # Errors
/// With that round.
pub fn play(target: &Target, rounds: std::ops::Range<u64>) -> Result<(), Failure> {
    let seeds = (target.seeds)();
    for seed in &seeds {
        (target.feed)(seed);
    }
    for round in rounds {
        let input = damage::damaged(&seeds, round);
        if panic::catch_unwind(|| (target.feed)(&input)).is_err() {
            return Err(Failure { round, input });
        }
    }
    Ok(())
}
