//! What must hold when the engine dies: kills at any moment, and power cuts on a file system that
//! forgets what was not flushed.

#![forbid(unsafe_code)]

pub mod forgetful;
