//! Listeners and streams: every scenario over the loopback of the kernel and, by seeds, over the
//! simulated network; then what only one of the two can show.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

mod sockets {
    pub(crate) mod kernel;
    pub(crate) mod scenarios;
    pub(crate) mod simulation;
}
