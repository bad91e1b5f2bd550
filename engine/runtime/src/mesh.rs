//! Messages from core to core: a bounded queue with many senders and one receiver, and a reply.
//!
//! ```text
//!   sender ── push ──> ArrayQueue (lock-free, bounded) ──> receiver
//!      └── only when the receiver sleeps: take its waker (one lock), wake it
//! ```
//!
//! When full, `try_send` refuses and `send` waits for its turn. Nothing spins: a side that cannot
//! go on leaves a waker. A message that was sent can still go unread when the receiver leaves; it
//! is dropped then, and a reply that it carried resolves with `Closed`.
//!
//! Both ends work on any core of any driver, also both on one. A task that is woken from a foreign
//! thread is left at its core's doorbell (`kernel::doorbell`).

mod channel;
mod reply;

pub use channel::{Closed, Receiver, Sender, TrySendError, channel};
pub use reply::{Reply, ReplySender, reply};
