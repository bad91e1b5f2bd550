//! What went wrong with which connection, in a form to act on and in a sentence to print.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketOperation {
    /// Opening a port; the address is the one to listen on.
    Listen,
    /// Accepting a connection; the address is the listener's.
    Accept,
    /// Connecting; from here on the address is the peer's.
    Connect,
    /// Receiving.
    Receive,
    /// Sending.
    Send,
    /// Telling the peer that nothing more will be sent.
    ShutdownSend,
}

impl SocketOperation {
    /// The verb, as in "cannot `verb` ADDRESS".
    const fn verb(self) -> &'static str {
        match self {
            Self::Listen => "listen on",
            Self::Accept => "accept a connection on",
            Self::Connect => "connect to",
            Self::Receive => "receive from",
            Self::Send => "send to",
            Self::ShutdownSend => "end the sending to",
        }
    }
}

/// How it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketErrorKind {
    /// The peer, or something between, has reset the connection. What was sent may not have arrived.
    ConnectionReset,
    /// The connection is gone or its sending side was ended: nothing more can be sent.
    BrokenPipe,
    /// Nobody listens there.
    ConnectionRefused,
    /// The peer did not answer in the kernel's time.
    TimedOut,
    /// There is no way to the peer.
    Unreachable,
    /// Another socket listens there.
    AddressInUse,
    /// No such address on this machine, or no port left for another connection.
    AddressNotAvailable,
    /// The process may not.
    PermissionDenied,
    /// The process or the machine has no file descriptor left.
    NoDescriptor,
    /// The kernel has no memory for it.
    NoMemory,
    /// The system's error number (errno(3)).
    Errno(i32),
}

impl SocketErrorKind {
    /// The kind that stands for an error number.
    pub const fn of_errno(errno: i32) -> Self {
        match errno {
            libc::ECONNRESET | libc::ECONNABORTED => Self::ConnectionReset,
            libc::EPIPE | libc::ENOTCONN => Self::BrokenPipe,
            libc::ECONNREFUSED => Self::ConnectionRefused,
            libc::ETIMEDOUT => Self::TimedOut,
            libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN => {
                Self::Unreachable
            }
            libc::EADDRINUSE => Self::AddressInUse,
            libc::EADDRNOTAVAIL => Self::AddressNotAvailable,
            libc::EACCES | libc::EPERM => Self::PermissionDenied,
            libc::EMFILE | libc::ENFILE => Self::NoDescriptor,
            libc::ENOMEM | libc::ENOBUFS => Self::NoMemory,
            errno => Self::Errno(errno),
        }
    }

    /// The standard library's kind, for libraries that act on it.
    pub fn io_kind(self) -> io::ErrorKind {
        match self {
            Self::ConnectionReset => io::ErrorKind::ConnectionReset,
            Self::BrokenPipe => io::ErrorKind::BrokenPipe,
            Self::ConnectionRefused => io::ErrorKind::ConnectionRefused,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Unreachable => io::ErrorKind::HostUnreachable,
            Self::AddressInUse => io::ErrorKind::AddrInUse,
            Self::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
            Self::PermissionDenied => io::ErrorKind::PermissionDenied,
            Self::NoMemory => io::ErrorKind::OutOfMemory,
            Self::NoDescriptor => io::ErrorKind::Other,
            Self::Errno(errno) => io::Error::from_raw_os_error(errno).kind(),
        }
    }

    /// Whether it is the machine that lacks something: what is wanted may succeed a little later.
    pub const fn is_exhaustion(self) -> bool {
        matches!(self, Self::NoDescriptor | Self::NoMemory)
    }
}

/// A failed operation on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketError {
    /// What was being done.
    pub operation: SocketOperation,
    /// On which address, or with whom.
    pub address: SocketAddr,
    /// How it failed.
    pub kind: SocketErrorKind,
}

impl fmt::Display for SocketError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot {} {}: ", self.operation.verb(), self.address)?;
        formatter.write_str(match self.kind {
            SocketErrorKind::ConnectionReset => "the connection was reset",
            SocketErrorKind::BrokenPipe => "the connection is closed",
            SocketErrorKind::ConnectionRefused => "nobody listens there",
            SocketErrorKind::TimedOut => "no answer",
            SocketErrorKind::Unreachable => "there is no way to it",
            SocketErrorKind::AddressInUse => {
                "another process listens there; stop that one or choose another port"
            }
            SocketErrorKind::AddressNotAvailable => {
                "this machine has no such address, or no port left for another connection"
            }
            SocketErrorKind::PermissionDenied => {
                "not permitted; ports below 1024 want root or CAP_NET_BIND_SERVICE"
            }
            SocketErrorKind::NoDescriptor => {
                "no file descriptor is left; close some connections or raise the limit (ulimit -n)"
            }
            SocketErrorKind::NoMemory => "the kernel has no memory for it",
            SocketErrorKind::Errno(errno) => {
                return write!(formatter, "{}", io::Error::from_raw_os_error(errno));
            }
        })
    }
}

impl std::error::Error for SocketError {}

impl From<SocketError> for io::Error {
    fn from(error: SocketError) -> Self {
        Self::new(error.kind.io_kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: SocketOperation, errno: i32, expected: &str, io_kind: io::ErrorKind) {
        let address = "127.0.0.1:80".parse().expect("an address");
        let error = SocketError { operation, address, kind: SocketErrorKind::of_errno(errno) };
        assert_eq!(error.to_string(), expected);
        let error = io::Error::from(error);
        assert_eq!((error.kind(), error.to_string().as_str()), (io_kind, expected));
    }

    #[test]
    fn sentences_name_the_address_and_what_to_do() {
        check(
            SocketOperation::Listen,
            libc::EADDRINUSE,
            "cannot listen on 127.0.0.1:80: another process listens there; stop that one or choose \
             another port",
            io::ErrorKind::AddrInUse,
        );
        check(
            SocketOperation::Listen,
            libc::EACCES,
            "cannot listen on 127.0.0.1:80: not permitted; ports below 1024 want root or \
             CAP_NET_BIND_SERVICE",
            io::ErrorKind::PermissionDenied,
        );
        check(
            SocketOperation::Accept,
            libc::EMFILE,
            "cannot accept a connection on 127.0.0.1:80: no file descriptor is left; close some \
             connections or raise the limit (ulimit -n)",
            io::ErrorKind::Other,
        );
        check(
            SocketOperation::Connect,
            libc::EADDRNOTAVAIL,
            "cannot connect to 127.0.0.1:80: this machine has no such address, or no port left for \
             another connection",
            io::ErrorKind::AddrNotAvailable,
        );
        check(
            SocketOperation::Receive,
            libc::ECONNRESET,
            "cannot receive from 127.0.0.1:80: the connection was reset",
            io::ErrorKind::ConnectionReset,
        );
        check(
            SocketOperation::Send,
            libc::EPIPE,
            "cannot send to 127.0.0.1:80: the connection is closed",
            io::ErrorKind::BrokenPipe,
        );
        check(
            SocketOperation::Send,
            libc::EINVAL,
            "cannot send to 127.0.0.1:80: Invalid argument (os error 22)",
            io::ErrorKind::InvalidInput,
        );
    }
}
