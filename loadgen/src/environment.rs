//! The machine as the judge sees it: what it is, what it can do, whether it is calm, and what a run
//! took from it.
//!
//! | to see | read |
//! | --- | --- |
//! | `hw`, `os` of run.json | [`hardware`], [`system`] |
//! | `probes` | [`probes`] |
//! | `preflight`, `affinity` | [`preflight`], [`affinity`] |
//! | `resources` | [`resources`], [`meters`] |
//! | `roofline` | [`roofline`] |
//!
//! The types have run.json's names (HARNESS.md). What cannot be read is `None` and has its reason
//! beside it ([`reasons`]); it is never a zero and never counts as passed.

pub mod affinity;
pub mod disk;
pub mod hardware;
pub mod meters;
pub mod preflight;
pub mod probes;
pub mod reasons;
pub mod resources;
pub mod roofline;
pub mod system;
