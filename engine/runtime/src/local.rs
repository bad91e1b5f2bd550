//! Waiting within one core: none of these types can leave its thread, so none of them locks.
//!
//! They know only `std::task::Waker`, hence run under every driver. Waiters are served in the
//! order of their arrival, so a run stays a function of its seed.

mod notify;
mod oneshot;
mod queue;
mod semaphore;
pub(crate) mod waiters;

pub use notify::{Notified, Notify};
pub use oneshot::{Closed, Oneshot, OneshotSender, oneshot};
pub use queue::Queue;
pub use semaphore::{Permit, Semaphore};
