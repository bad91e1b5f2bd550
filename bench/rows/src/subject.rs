//! What was measured, and on what: everything needed to believe a figure.

use gyre::embed::{Durability, EngineConfig, FlushMethod, Limits, StartReport};
use loadgen::environment::hardware::{Hardware, fingerprint};
use loadgen::environment::system::System;
use loadgen::report::provenance::{Provenance, UNKNOWN, checkout_above, utc};
use runtime::clock;
use serde::Serialize;
use std::path::Path;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Subject {
    /// When the report was written, UTC.
    pub at: String,
    /// The checkout's commit.
    pub git: String,
    /// SHA-256 of this binary, which holds the engine.
    pub binary_sha256: String,
    /// What an acknowledgement means.
    pub durability: &'static str,
    /// How writes are made durable.
    pub flush: &'static str,
    /// Rates per shard.
    pub limits: &'static str,
    /// Cores of the engine.
    pub cores: usize,
    /// Logs of the folder.
    pub logs: u16,
    /// Bytes of a segment file.
    pub segment_bytes: u64,
    /// The bound on memory, bytes.
    pub memory_bytes: usize,
    /// The file system below the data.
    pub data_fs: String,
    /// The device below the data.
    pub device: String,
    /// How it does its I/O.
    pub driver: &'static str,
    /// The machine, CPU and disk.
    pub hw: Hardware,
    /// The kernel and what it does.
    pub os: System,
}

impl Subject {
    /// An engine as it was started, on this machine. `data` is there.
    pub(crate) fn new(config: &EngineConfig, start: &StartReport, data: &Path) -> Subject {
        let here = std::env::current_dir().ok(); // Without one there is no checkout to tell.
        let Provenance { git, binary_sha256 } =
            Provenance::find(here.as_deref().and_then(checkout_above).as_deref());
        let directory = start.directory.as_ref();
        Subject {
            at: utc(clock::wall_ms()),
            git,
            binary_sha256,
            durability: match config.durability {
                Durability::Durable => "durable",
                Durability::Written => "written",
            },
            flush: match (config.durability, config.flush) {
                (Durability::Written, _) => "none",
                (Durability::Durable, FlushMethod::Fdatasync) => "fdatasync",
                (Durability::Durable, FlushMethod::Dsync) => "O_DSYNC",
            },
            limits: match config.limits {
                Limits::Off => "off",
                Limits::Aws | Limits::Buckets(_) => "aws",
            },
            cores: start.cores,
            logs: start.identity.logs,
            segment_bytes: start.identity.segment_bytes,
            memory_bytes: config.memory_bytes,
            data_fs: directory.map_or(UNKNOWN, |found| &found.file_system).to_owned(),
            device: directory.map_or(UNKNOWN, |found| &found.device).to_owned(),
            driver: match directory {
                Some(found) if found.direct => "io_uring, direct I/O",
                Some(_) => "io_uring, buffered I/O",
                None => UNKNOWN,
            },
            hw: fingerprint(data),
            os: System::read(),
        }
    }
}
