//! Storage under the seeded simulation: clients, faults, crashes, an oracle, coverage, planted bugs.
//!
//! A seed is a folder with its whole history: its options, clients, faults, deaths and openings are
//! a function of the seed, so a violation is repeated by its number alone.
//!
//! ```text
//!   plan -> life: open, judge what was recovered, clients work under faults -> death -> life .. -> last life
//!                           oracle: what users were told        autopsy: what the death left
//! ```
#![forbid(unsafe_code)]

pub mod autopsy;
pub mod check;
pub mod client;
pub mod content;
pub mod coverage;
pub mod life;
pub mod nemesis;
pub mod opening;
pub mod oracle;
pub mod plan;
pub mod reading;
pub mod rot;
pub mod run;
pub mod session;
pub mod world;

pub mod seed;
pub mod worker;
