//! Benchmarks of the engine's parts, one question a file.
