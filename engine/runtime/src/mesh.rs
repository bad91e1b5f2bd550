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
//! Both ends work on any core of any driver, also both on one. A waker of glommio's may be woken
//! from a foreign thread: `RawTask::do_wake` (glommio 0.9, task/raw.rs) sees that the thread is not
//! the task's own and hands the waker to the owner's channel, with a write to its eventfd where
//! that core sleeps (sys/mod.rs, `SleepNotifier::queue_waker`). See `kernel::spawn` for the one
//! thing that this asks of us.

mod channel;
mod reply;

pub use channel::{Closed, Receiver, Sender, TrySendError, channel};
pub use reply::{Reply, ReplySender, reply};
