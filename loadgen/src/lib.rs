//! The load generator and judge of Kinesis endpoints: what it sends, what it measures, and what it
//! dares to say about it. METHOD.md beside this crate is its specification in prose.
//!
//! | to see | read |
//! | --- | --- |
//! | what a user types | [`cli`], [`scenario`], [`amount`], [`exit_code`] |
//! | what is sent, and when | [`schedule`], [`keys`], [`sizes`], [`payload`], [`batch`] |
//! | the machine below it all | [`environment`] |
//! | how it is sent, followed, read back and judged | [`run`], [`worker`], [`consumer`], [`verify`] |
//! | what is left of a run | [`outcome`], [`stats`], [`report`] |
//!
//! The judge knows nothing of the log's insides: it goes through public doors only. Everything here
//! is a function of its inputs and of the seed; no module but the drivers touches a clock or a file.

#![forbid(unsafe_code)]

pub mod amount;
pub mod batch;
pub mod cli;
pub mod consumer;
pub mod dry_run;
pub mod environment;
pub mod exit_code;
pub mod keys;
pub mod limit_checker;
pub mod outcome;
pub mod payload;
pub mod plan;
pub mod random;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod sizes;
pub mod stats;
pub mod verify;
pub mod worker;
