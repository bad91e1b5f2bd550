//! A file system that forgets at a power cut what was not flushed.
//!
//! It is mounted with FUSE over a backing folder. Everything works through it: direct and buffered
//! I/O (both reach us unbuffered), `O_DSYNC`, fallocate, rename, flock. A flush of a file covers
//! its bytes and length, a flush of a directory the names in it, and nothing else covers anything.
//! `Mount::cut` is the power cut: from then on every call fails until `Mount::revive`, and what
//! was not flushed is kept, dropped or torn by a seed.
//!
//! It must never lose anything that a flush has covered, and it must never keep the unflushed
//! reliably: both are tested in `tests/forgetful.rs`.

mod attributes;
mod content;
mod disk;
mod fate;
mod mount;
mod names;

pub use disk::DiskCounts;
pub use fate::{CutCounts, SECTOR_BYTES};
pub use mount::Mount;
