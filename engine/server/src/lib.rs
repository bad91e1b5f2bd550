//! The Kinesis-compatible stream engine, as a process and as a library.
