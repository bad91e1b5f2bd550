//! TCP: listeners and streams that belong to one core.
//!
//! Nothing here holds bytes: they go between the caller's memory and the kernel within a call, and a
//! call that would have to wait moves none. So a future can be dropped at any time, a timeout can be
//! put around each (`clock::timeout_at`), and a silent connection costs a descriptor and no buffer.
//! The queues are the kernel's: its socket buffers, and the listener's backlog.
//!
//! ```text
//!   poll_recv, poll_send, ..     for libraries with traits of their own (an HTTP or TLS stack)
//!   recv, send_all, ..           the same as futures
//! ```
//!
//! A call gives way where its task's turn is over: a peer that sends without a pause does not keep
//! the core from its timers, completions and other connections.

mod error;

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::driver::{self, Driver};
use crate::kernel::socket::{KernelListener, KernelStream};
use crate::sim::socket::{self as sim, SimListener, SimStream};
use crate::task;
pub use error::{SocketError, SocketErrorKind, SocketOperation};

/// After a connection could not be accepted for want of a descriptor or of memory, the next attempt
/// is made so much later.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Who may listen on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One listener.
    Alone,
    /// Any number of this user's that all say so, one for each core; the kernel gives each
    /// connection to one of them, by a hash of its addresses (SO_REUSEPORT). Another process may be
    /// among them without a sign of it: look with [`check_free`] first.
    PerCore,
}

/// How to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may wait to be accepted; what comes beyond them is not answered, and its
    /// peer tries again after a second. Bounded by the kernel (net.core.somaxconn).
    pub backlog: u32,
    /// Who else may listen on the address.
    pub sharing: Sharing,
}

thread_local! {
    static STREAMS: Cell<usize> = const { Cell::new(0) };
}

/// Streams that are open on this core: each has a descriptor.
pub fn stream_count() -> usize {
    STREAMS.get()
}

/// An open port.
pub struct Listener {
    inner: ListenerInner,
    /// The want that it ran into may be over by then.
    rests_until: Option<Instant>,
}

enum ListenerInner {
    Kernel(KernelListener),
    Sim(SimListener),
}

/// Opens a port on this core; port 0 is any that is free.
///
/// # Errors
/// `AddressInUse`, `AddressNotAvailable`, `PermissionDenied`, `NoDescriptor`, or the system's reason.
///
/// # Panics
/// On a thread that is not a core, as everything here.
pub fn listen(address: SocketAddr, options: ListenOptions) -> Result<Listener, SocketError> {
    let inner = match driver::current() {
        Driver::Kernel => KernelListener::listen(address, options).map(ListenerInner::Kernel),
        Driver::Sim => SimListener::listen(address, options).map(ListenerInner::Sim),
        Driver::Outside => driver::not_a_core(),
    };
    let failed = |kind| SocketError { operation: SocketOperation::Listen, address, kind };
    Ok(Listener { inner: inner.map_err(failed)?, rests_until: None })
}

/// Whether an address could be listened on by a listener alone: nobody else is there.
///
/// # Errors
/// As [`listen`].
pub fn check_free(address: SocketAddr) -> Result<(), SocketError> {
    listen(address, ListenOptions { backlog: 1, sharing: Sharing::Alone }).map(drop)
}

impl Listener {
    /// The address with its port.
    pub fn local_address(&self) -> SocketAddr {
        match &self.inner {
            ListenerInner::Kernel(listener) => listener.local_address(),
            ListenerInner::Sim(listener) => listener.local_address(),
        }
    }

    /// Waits for the next connection. Dropping the future loses none. Connections that end before
    /// they are accepted are passed over.
    ///
    /// # Errors
    /// With `NoDescriptor` or `NoMemory` (`is_exhaustion`) the connection still waits, and the next
    /// call rests for 50 ms before it tries again: who only says so and goes on accepting keeps the
    /// core free to close others. Any other error comes from the listener itself.
    pub async fn accept(&mut self) -> Result<Stream, SocketError> {
        if let Some(until) = self.rests_until {
            clock::sleep_until(until).await;
            self.rests_until = None;
        }
        let accepted = poll_fn(|context| {
            ready!(poll_turn(context));
            match &self.inner {
                ListenerInner::Kernel(listener) => listener
                    .poll_accept(context)
                    .map_ok(|(stream, address)| Stream::new(StreamInner::Kernel(stream), address)),
                ListenerInner::Sim(listener) => listener
                    .poll_accept(context)
                    .map_ok(|(stream, address)| Stream::new(StreamInner::Sim(stream), address)),
            }
        });
        let kind = match accepted.await {
            Ok(stream) => return Ok(stream),
            Err(kind) => kind,
        };
        if kind.is_exhaustion() {
            self.rests_until = Some(clock::now() + ACCEPT_REST);
        }
        let address = self.local_address();
        Err(SocketError { operation: SocketOperation::Accept, address, kind })
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Listener")
            .field("local_address", &self.local_address())
            .finish_non_exhaustive()
    }
}

/// One end of a connection; nothing that is sent waits to be sent together with more (TCP_NODELAY).
///
/// Two tasks can share it (`Rc`), one that receives and one that sends: for each direction the task
/// that has polled last is woken. Dropping it closes it: what was sent still arrives, then the peer
/// sees the end, or a reset if it had sent what was not received.
pub struct Stream {
    inner: StreamInner,
    peer_address: SocketAddr,
}

enum StreamInner {
    Kernel(KernelStream),
    Sim(SimStream),
}

/// Connects. The kernel gives up after about two minutes: put a timeout around it.
///
/// # Errors
/// `ConnectionRefused`, `TimedOut`, `Unreachable`, `AddressNotAvailable`, `NoDescriptor`, or the
/// system's reason.
pub async fn connect(address: SocketAddr) -> Result<Stream, SocketError> {
    let inner = match driver::current() {
        Driver::Kernel => KernelStream::connect(address).await.map(StreamInner::Kernel),
        Driver::Sim => sim::connect(address).await.map(StreamInner::Sim),
        Driver::Outside => driver::not_a_core(),
    };
    let failed = |kind| SocketError { operation: SocketOperation::Connect, address, kind };
    inner.map(|inner| Stream::new(inner, address)).map_err(failed)
}

impl Stream {
    fn new(inner: StreamInner, peer_address: SocketAddr) -> Self {
        STREAMS.set(STREAMS.get() + 1);
        Self { inner, peer_address }
    }

    /// The other end's address.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// Receives what is there, at most as much as fits; 0 when the peer has ended its sending, and
    /// where `into` is empty.
    ///
    /// # Errors
    /// `ConnectionReset`, `TimedOut`, or the system's reason. The stream is of no more use then.
    pub fn poll_recv(
        &self,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<usize, SocketError>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(poll_turn(context));
        let received = match &self.inner {
            StreamInner::Kernel(stream) => stream.poll_recv(context, into),
            StreamInner::Sim(stream) => stream.poll_recv(context, into),
        };
        received.map_err(|kind| self.failed(SocketOperation::Receive, kind))
    }

    /// Sends the first bytes, as many as the kernel takes: at least one, none only of none.
    ///
    /// # Errors
    /// `ConnectionReset`, `BrokenPipe`, `TimedOut`, or the system's reason.
    pub fn poll_send(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, SocketError>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(poll_turn(context));
        let sent = match &self.inner {
            StreamInner::Kernel(stream) => stream.poll_send(context, bytes),
            StreamInner::Sim(stream) => stream.poll_send(context, bytes),
        };
        sent.map_err(|kind| self.failed(SocketOperation::Send, kind))
    }

    /// As `poll_send`, of several pieces one after the other, in one call.
    ///
    /// # Errors
    /// As `poll_send`.
    pub fn poll_send_vectored(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, SocketError>> {
        // The kernel takes only so many, and they must not all be empty.
        let Some(first) = slices.iter().position(|slice| !slice.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        ready!(poll_turn(context));
        let sent = match &self.inner {
            StreamInner::Kernel(stream) => stream.poll_send_vectored(context, &slices[first..]),
            StreamInner::Sim(stream) => stream.poll_send(context, &slices[first]),
        };
        sent.map_err(|kind| self.failed(SocketOperation::Send, kind))
    }

    /// As `poll_recv`. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As `poll_recv`.
    pub async fn recv(&self, into: &mut [u8]) -> Result<usize, SocketError> {
        poll_fn(|context| self.poll_recv(context, into)).await
    }

    /// Sends all bytes. They have not arrived yet when it returns. Where the future is dropped any
    /// part of them may have been sent.
    ///
    /// # Errors
    /// As `poll_send`.
    pub async fn send_all(&self, mut bytes: &[u8]) -> Result<(), SocketError> {
        while !bytes.is_empty() {
            let sent = poll_fn(|context| self.poll_send(context, bytes)).await?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Ends the sending: after what was sent the peer receives 0. Receiving goes on. Nothing where
    /// the connection is gone: then there is nothing to end.
    ///
    /// # Errors
    /// The system's reason.
    pub fn shutdown_send(&self) -> Result<(), SocketError> {
        let done = match &self.inner {
            StreamInner::Kernel(stream) => stream.shutdown_send(),
            StreamInner::Sim(stream) => {
                stream.shutdown_send();
                Ok(())
            }
        };
        done.map_err(|kind| self.failed(SocketOperation::ShutdownSend, kind))
    }

    /// Closes it, and has the peer see a reset instead of an end; what was sent may not arrive.
    pub fn abort(self) {
        match &self.inner {
            StreamInner::Kernel(stream) => stream.abort(),
            StreamInner::Sim(stream) => stream.abort(),
        }
    }

    fn failed(&self, operation: SocketOperation, kind: SocketErrorKind) -> SocketError {
        SocketError { operation, address: self.peer_address, kind }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        STREAMS.set(STREAMS.get() - 1);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("peer_address", &self.peer_address)
            .finish_non_exhaustive()
    }
}

/// Ready while the turn of the task is not over.
fn poll_turn(context: &Context<'_>) -> Poll<()> {
    if task::should_yield() {
        context.waker().wake_by_ref();
        return Poll::Pending;
    }
    Poll::Ready(())
}
