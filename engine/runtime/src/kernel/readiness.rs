//! Whether a socket can go on without waiting, asked of the ring (POLL_ADD).
//!
//! The kernel is never told of memory: who finds that it would have to wait says so, and is woken
//! when another attempt is worth its system call. So nothing has to outlive a future that is
//! dropped, and a silent connection holds no buffer. At most one wait is in flight for each
//! direction of a socket, whoever waits for it.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use io_uring::{opcode, types};

use super::{WaitKey, cancel_wait, start_wait};

/// What a direction of a socket waits for. Errors and a peer that hangs up end both waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Bytes, the end of them, or a connection to accept.
    Readable,
    /// Room for bytes, or the end of a `connect`.
    Writable,
}

/// One direction of a socket. Dropping it cancels its wait; the socket is closed when the wait has
/// completed, for then the last share of the descriptor goes.
pub(super) struct Readiness(Rc<State>);

struct State {
    descriptor: Rc<OwnedFd>,
    event: Event,
    /// An attempt may succeed. False after one that did not, until the kernel says that it would.
    is_ready: Cell<bool>,
    wait: Cell<Option<WaitKey>>,
    waker: RefCell<Option<Waker>>,
    /// Why the kernel did not wait.
    errno: Cell<Option<i32>>,
}

impl Readiness {
    /// Ready from the start: the first attempt will show.
    pub(super) fn new(descriptor: &Rc<OwnedFd>, event: Event) -> Self {
        Self(Rc::new(State {
            descriptor: Rc::clone(descriptor),
            event,
            is_ready: Cell::new(true),
            wait: Cell::new(None),
            waker: RefCell::default(),
            errno: Cell::new(None),
        }))
    }

    /// Ready when an attempt is worth it. The last task to ask is woken.
    ///
    /// # Errors
    /// The error number with which the kernel refused to wait.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<(), i32>> {
        let state = &self.0;
        if let Some(errno) = state.errno.take() {
            return Poll::Ready(Err(errno));
        }
        if state.is_ready.get() {
            return Poll::Ready(Ok(()));
        }
        match &mut *state.waker.borrow_mut() {
            Some(waker) => waker.clone_from(context.waker()),
            waker => *waker = Some(context.waker().clone()),
        }
        if state.wait.get().is_none() {
            state.wait.set(start(state));
        }
        Poll::Pending
    }

    /// The attempt would have had to wait, or has taken all that there was. Nothing is missed: the
    /// kernel looks at the socket as it is when the wait begins.
    pub(super) fn clear(&self) {
        self.0.is_ready.set(false);
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        if let Some(wait) = self.0.wait.get() {
            cancel_wait(wait);
        }
    }
}

/// `None` where the core is ending.
fn start(state: &Rc<State>) -> Option<WaitKey> {
    let events = match state.event {
        Event::Readable => libc::POLLIN,
        Event::Writable => libc::POLLOUT,
    };
    let events = u32::try_from(events).expect("a bit of a positive number");
    let entry = opcode::PollAdd::new(types::Fd(state.descriptor.as_raw_fd()), events).build();
    let state = Rc::clone(state);
    let done = move |result: i32| {
        state.wait.set(None);
        match result.wrapping_neg() {
            libc::ECANCELED => {}
            ..=0 => state.is_ready.set(true),
            errno => state.errno.set(Some(errno)),
        }
        let waker = state.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    // SAFETY: the entry names only a descriptor, and `done` owns a share of it.
    unsafe { start_wait(entry, done) }
}
