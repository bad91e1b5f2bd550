//! The rows, one a file.

pub(crate) mod cold_read;
pub(crate) mod cpu;
pub(crate) mod memory;
pub(crate) mod retention;
pub(crate) mod start;

/// Bytes of so many GiB.
fn of_gib(gib: f64) -> u64 {
    // What the command line lets through is far below 2^53.
    (gib * (1u64 << 30) as f64) as u64
}

/// One thing over another; nothing where there is nothing to divide by.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
