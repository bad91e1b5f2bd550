//! The kernel's door: cores, files, sockets, buffers, messages and clocks, over io_uring or a
//! simulation.
//!
//! The only crate that names io-uring, reads a clock or rolls a die. Everything above is ordinary
//! `async fn` without type parameters for a driver, and runs unchanged under both: a thread-local
//! says which one the current core has (`driver`), and every door asks it.
//!
//! ```text
//!   clock random task local mesh buffer file socket the doors, used by everything above
//!        │                │
//!     kernel             sim                        one io_uring a core | one seed
//!   cores signal environment host                   threads, checks and readings of the machine
//! ```
//!
//! What must never happen here: a byte that nobody wrote reaches a disk; an operation loses its
//! buffer before the kernel is done with it; a run under the simulation depends on anything but
//! its seed.

pub mod buffer;
pub mod clock;
pub mod cores;
mod driver;
pub mod environment;
pub mod file;
mod kernel;
pub mod local;
pub mod mesh;
pub mod prefetch;
pub mod random;
pub mod signal;
pub mod sim;
pub mod socket;
pub mod task;
