//! The Kinesis-compatible stream engine, as a library and as the process `gyre`. See
//! ARCHITECTURE.md.
//!
//! Cores own logs, logs own shards; who wants something of a shard sends its core a message. It
//! must never lock anything that another core uses, and never answer before storage has.
//!
//! | module | what |
//! | --- | --- |
//! | [`embed`] | what other crates may name |
//! | [`cli`], [`inspect`] | the process: what is typed; a data folder looked through, offline |
//! | `engine`, `bring_up` | threads; the steps of a start |
//! | `core`, `owner`, `shard` | one core: its queues, its state, its shards |
//! | `client` | the handle for requests |
//! | `put`, `get`, `follow` | the three ways of records, each with both of its sides |
//! | `registry`, `stored`, `stream` | the streams: who knows them, how they are stored, their handle |
//! | `placement` | which log a shard lives in, which core opens a log |
//! | `memory`, `queues` | the bounds, all arithmetic in one place |
#![forbid(unsafe_code)]

pub mod cli;
pub mod embed;
pub mod inspect;

mod bring_up;
mod client;
mod command;
mod config;
mod core;
mod engine;
mod error;
mod follow;
mod get;
mod identity;
mod memory;
mod owner;
mod placement;
mod put;
mod queues;
mod race;
mod registry;
mod report;
mod shard;
mod stats;
mod stored;
mod stream;
