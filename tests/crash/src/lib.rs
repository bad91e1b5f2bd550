//! What must hold when the engine dies: kills at any moment, and power cuts on a file system that
//! forgets what was not flushed.
//!
//! The parent plans rounds ([`rounds`]), starts a child on an engine ([`child`]), ends it at a
//! drawn moment, and asks the [`oracle`] whether what the next child lists agrees with what the
//! dead one was told. The parent never opens the engine itself, and the child judges nothing.

#![forbid(unsafe_code)]

pub mod bugs;
pub mod child;
pub mod forgetful;
pub mod journal;
pub mod listing;
pub mod oracle;
pub mod process;
pub mod record;
pub mod report;
pub mod rounds;
pub mod workload;
