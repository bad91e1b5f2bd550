//! TCP sockets of the kernel's driver: ordinary system calls that never block, and the ring to wait
//! for the moment when they succeed.
//!
//! ```text
//!   recv, send, accept   tried at once; EAGAIN: POLL_ADD in the ring, and again when it completes
//!   a part was done      the rest would wait: the ring is asked without another attempt
//! ```
//!
//! A request costs a call to receive and one to send. Handing both to the ring instead would save
//! these two entries into the kernel, but it owns the buffers meanwhile: each byte is copied once
//! more, and each silent connection keeps a buffer.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags,
    SocketType, sockopt,
};

use super::readiness::{Event, Readiness};
use crate::socket::{ListenOptions, Sharing, SocketErrorKind};

/// The most slices that one call takes (UIO_MAXIOV).
const SLICES_MAX: usize = 1024;

pub(crate) struct KernelListener {
    descriptor: Rc<OwnedFd>,
    address: SocketAddr,
    connections: Readiness,
}

impl KernelListener {
    pub(crate) fn listen(
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<Self, SocketErrorKind> {
        let descriptor = open(address)?;
        // Connections of an earlier process that still fade away do not hold the port.
        sockopt::set_socket_reuseaddr(&descriptor, true).map_err(kind)?;
        match options.sharing {
            Sharing::Alone => {}
            Sharing::PerCore => sockopt::set_socket_reuseport(&descriptor, true).map_err(kind)?,
        }
        net::bind(&descriptor, &address).map_err(kind)?;
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        net::listen(&descriptor, backlog).map_err(kind)?;
        let bound = net::getsockname(&descriptor).map_err(kind)?;
        let address = SocketAddr::try_from(bound).map_err(kind)?;
        let descriptor = Rc::new(descriptor);
        let connections = Readiness::new(&descriptor, Event::Readable);
        // An attempt without a connection could fail for want of a descriptor.
        connections.clear();
        Ok(Self { descriptor, address, connections })
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn poll_accept(
        &self,
        context: &Context<'_>,
    ) -> Poll<Result<(KernelStream, SocketAddr), SocketErrorKind>> {
        loop {
            ready!(self.connections.poll(context)).map_err(SocketErrorKind::of_errno)?;
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match net::acceptfrom_with(&self.descriptor, flags) {
                Ok((descriptor, address)) => {
                    let address = address.expect("a TCP peer has an address");
                    let address = SocketAddr::try_from(address).map_err(kind)?;
                    return Poll::Ready(Ok((KernelStream::new(descriptor), address)));
                }
                Err(Errno::AGAIN) => self.connections.clear(),
                Err(errno) if is_of_the_connection(errno) => {}
                Err(errno) => {
                    self.connections.clear();
                    return Poll::Ready(Err(kind(errno)));
                }
            }
        }
    }
}

/// Whether accept(2) tells of a connection that is gone, or passes on what befell it; the next one
/// is not concerned.
fn is_of_the_connection(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::OPNOTSUPP
            | Errno::PERM
    )
}

pub(crate) struct KernelStream {
    descriptor: Rc<OwnedFd>,
    arrivals: Readiness,
    room: Readiness,
}

impl KernelStream {
    fn new(descriptor: OwnedFd) -> Self {
        let descriptor = Rc::new(descriptor);
        let arrivals = Readiness::new(&descriptor, Event::Readable);
        let room = Readiness::new(&descriptor, Event::Writable);
        Self { descriptor, arrivals, room }
    }

    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, SocketErrorKind> {
        let stream = Self::new(open(address)?);
        match net::connect(&stream.descriptor, &address) {
            Ok(()) => return Ok(stream),
            // Disturbed, it goes on by itself.
            Err(Errno::INPROGRESS | Errno::INTR) => stream.room.clear(),
            Err(errno) => return Err(kind(errno)),
        }
        let connected = std::future::poll_fn(|context| stream.room.poll(context)).await;
        connected.map_err(SocketErrorKind::of_errno)?;
        sockopt::socket_error(&stream.descriptor).map_err(kind)?.map_err(kind)?;
        Ok(stream)
    }

    pub(crate) fn poll_recv(
        &self,
        context: &Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<usize, SocketErrorKind>> {
        let wanted = into.len();
        poll_attempts(&self.arrivals, context, wanted, || {
            net::recv(&self.descriptor, &mut *into, RecvFlags::empty()).map(|(_, bytes)| bytes)
        })
    }

    pub(crate) fn poll_send(
        &self,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, SocketErrorKind>> {
        poll_attempts(&self.room, context, bytes.len(), || {
            net::send(&self.descriptor, bytes, SendFlags::NOSIGNAL)
        })
    }

    pub(crate) fn poll_send_vectored(
        &self,
        context: &Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, SocketErrorKind>> {
        let slices = &slices[..slices.len().min(SLICES_MAX)];
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        poll_attempts(&self.room, context, bytes, || {
            let mut control = SendAncillaryBuffer::default();
            net::sendmsg(&self.descriptor, slices, &mut control, SendFlags::NOSIGNAL)
        })
    }

    pub(crate) fn shutdown_send(&self) -> Result<(), SocketErrorKind> {
        match net::shutdown(&self.descriptor, Shutdown::Write) {
            Err(Errno::NOTCONN) => Ok(()),
            done => done.map_err(kind),
        }
    }

    /// The close to come, at the drop, resets the connection.
    pub(crate) fn abort(&self) {
        // It fails for no socket; the close would then be an ordinary one.
        sockopt::set_socket_linger(&self.descriptor, Some(Duration::ZERO)).ok();
    }
}

/// Tries until something has been done or nothing more can be.
fn poll_attempts(
    readiness: &Readiness,
    context: &Context<'_>,
    wanted: usize,
    mut attempt: impl FnMut() -> Result<usize, Errno>,
) -> Poll<Result<usize, SocketErrorKind>> {
    loop {
        ready!(readiness.poll(context)).map_err(SocketErrorKind::of_errno)?;
        match attempt() {
            Ok(bytes) => {
                assert!(bytes <= wanted);
                if 0 < bytes && bytes < wanted {
                    readiness.clear();
                }
                return Poll::Ready(Ok(bytes));
            }
            Err(Errno::AGAIN) => readiness.clear(),
            Err(Errno::INTR) => {}
            Err(errno) => return Poll::Ready(Err(kind(errno))),
        }
    }
}

/// A socket that never blocks and holds nothing back: what is sent are whole requests and answers,
/// so waiting for more of them to fill a segment only makes them late. What is accepted has that
/// from its listener.
fn open(address: SocketAddr) -> Result<OwnedFd, SocketErrorKind> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let descriptor = net::socket_with(family, SocketType::STREAM, flags, None).map_err(kind)?;
    sockopt::set_tcp_nodelay(&descriptor, true).map_err(kind)?;
    Ok(descriptor)
}

fn kind(errno: Errno) -> SocketErrorKind {
    SocketErrorKind::of_errno(errno.raw_os_error())
}
