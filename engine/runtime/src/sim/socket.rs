//! Connections of the simulation: two ends, and what is on its way between them.
//!
//! ```text
//!   poll_send ──> travelling (segments, each with its time) ──> arrived (bytes) ──> poll_recv
//!                 └──────────────── the window bounds both together ─┘
//! ```
//!
//! What a call takes is a random part of what it could, so that boundaries between calls mean
//! nothing; each segment has a latency, and none overtakes another. A close behaves as Linux's does:
//! the peer sees the end, or a reset where bytes were left unread or come later. A reset is told
//! once; from then on the connection is at its end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::executor::{self, arrive_at, has_stopped, note, with_network};
use super::faults::{Fault, nanoseconds};
use super::network::{Offer, Waiting};
use super::random::Generator;
use crate::socket::{ListenOptions, Sharing, SocketErrorKind};

/// Bytes that one direction holds at least and at most.
const WINDOW_BYTES_MIN: u64 = 1 << 10;
const WINDOW_BYTES_MAX: u64 = 256 << 10;

/// A peer that gets no answer asks again after so long,
const RETRY: Duration = Duration::from_secs(1);
/// and so many times.
const RETRIES_MAX: u32 = 6;

/// A listener as the network knows it.
pub(super) struct Port {
    pub(super) address: SocketAddr,
    pub(super) sharing: Sharing,
    /// Connections that may wait.
    pub(super) backlog: usize,
    pub(super) waiting: RefCell<Waiting>,
    pub(super) acceptor: Cell<Option<Waker>>,
}

impl Port {
    pub(super) fn new(address: SocketAddr, backlog: usize, sharing: Sharing) -> Self {
        let (waiting, acceptor) = (RefCell::default(), Cell::default());
        Self { address, sharing, backlog, waiting, acceptor }
    }
}

pub(crate) struct SimListener(Rc<Port>);

impl SimListener {
    pub(crate) fn listen(
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<Self, SocketErrorKind> {
        // The kernel takes none for one.
        let backlog = usize::try_from(options.backlog).unwrap_or(usize::MAX).max(1);
        with_network(|network, _| network.open(address, backlog, options.sharing)).map(Self)
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.0.address
    }

    pub(crate) fn poll_accept(
        &self,
        context: &Context<'_>,
    ) -> Poll<Result<(SimStream, SocketAddr), SocketErrorKind>> {
        if has_stopped() || self.0.waiting.borrow().is_empty() {
            self.0.acceptor.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        if with_network(|network, state| network.strikes(Fault::NoDescriptor, state)) {
            return Poll::Ready(Err(SocketErrorKind::NoDescriptor));
        }
        let accepted = self.0.waiting.borrow_mut().pop_front();
        Poll::Ready(Ok(accepted.expect("one waits")))
    }
}

impl Drop for SimListener {
    /// What waits to be accepted is reset.
    fn drop(&mut self) {
        let waiting = self.0.waiting.take();
        waiting.iter().for_each(|(stream, _)| stream.abort());
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Result<SimStream, SocketErrorKind> {
    for _ in 0..=RETRIES_MAX {
        travel().await;
        match with_network(|network, state| network.offer(address, state)) {
            Offer::Taken(stream, acceptor) => {
                if let Some(acceptor) = acceptor {
                    acceptor.wake();
                }
                travel().await;
                return Ok(stream);
            }
            Offer::Dropped => executor::timer(executor::now() + nanoseconds(RETRY)).await,
            Offer::Refused => {
                travel().await;
                return Err(SocketErrorKind::ConnectionRefused);
            }
        }
    }
    Err(SocketErrorKind::TimedOut)
}

/// The time of a segment.
async fn travel() {
    let latency_ns = with_network(|network, state| network.latency_ns(state));
    executor::timer(executor::now() + latency_ns).await;
}

/// Two ends, of which each is a stream.
pub(crate) struct Connection {
    ends: [End; 2],
}

#[derive(Default)]
struct End {
    /// What this end receives.
    incoming: RefCell<Pipe>,
    /// The program has ended this end's sending.
    is_shut: Cell<bool>,
    /// The program has closed this end.
    is_closed: Cell<bool>,
    /// When a reset arrives here.
    reset_at_ns: Cell<Option<u64>>,
    reset: Cell<Reset>,
    sender: Cell<Option<Waker>>,
    receiver: Cell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reset {
    #[default]
    No,
    /// It has arrived, and the next call tells of it.
    Arrived,
    Told,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    travelling: VecDeque<(u64, Segment)>,
    arrived: VecDeque<u8>,
    /// Nothing comes after what has arrived.
    has_ended: bool,
    /// Bytes that travel or have arrived.
    held_bytes: usize,
    window_bytes: usize,
}

enum Segment {
    Bytes(Vec<u8>),
    End,
}

pub(crate) struct SimStream {
    connection: Rc<Connection>,
    /// 0 or 1.
    number: usize,
}

impl SimStream {
    pub(super) fn pair(random: &mut Generator) -> (Self, Self) {
        let mut end = || {
            let window_bytes = random.between(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
            let window_bytes = usize::try_from(window_bytes).expect("256 KiB fit");
            End {
                incoming: RefCell::new(Pipe { window_bytes, ..Pipe::default() }),
                ..End::default()
            }
        };
        let connection = Rc::new(Connection { ends: [end(), end()] });
        (Self { connection: Rc::clone(&connection), number: 0 }, Self { connection, number: 1 })
    }

    fn near(&self) -> &End {
        &self.connection.ends[self.number]
    }

    fn far(&self) -> &End {
        &self.connection.ends[1 - self.number]
    }

    pub(crate) fn poll_recv(
        &self,
        context: &Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<usize, SocketErrorKind>> {
        let near = self.near();
        if has_stopped() {
            return Poll::Pending;
        }
        if self.is_struck() {
            return Poll::Ready(Err(SocketErrorKind::ConnectionReset));
        }
        let mut pipe = near.incoming.borrow_mut();
        if !pipe.arrived.is_empty() {
            let most = pipe.arrived.len().min(into.len());
            let bytes = with_network(|network, _| part(&mut network.random, most));
            into.iter_mut().zip(pipe.arrived.drain(..bytes)).for_each(|(to, byte)| *to = byte);
            pipe.held_bytes -= bytes;
            drop(pipe);
            note(bytes as u64);
            wake(&self.far().sender);
            return Poll::Ready(Ok(bytes));
        }
        match near.reset.get() {
            Reset::Arrived => {
                near.reset.set(Reset::Told);
                return Poll::Ready(Err(SocketErrorKind::ConnectionReset));
            }
            Reset::Told => return Poll::Ready(Ok(0)),
            Reset::No if pipe.has_ended => return Poll::Ready(Ok(0)),
            Reset::No => {}
        }
        near.receiver.set(Some(context.waker().clone()));
        Poll::Pending
    }

    pub(crate) fn poll_send(
        &self,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, SocketErrorKind>> {
        let near = self.near();
        if has_stopped() {
            return Poll::Pending;
        }
        if near.reset.get() == Reset::Arrived {
            near.reset.set(Reset::Told);
            return Poll::Ready(Err(SocketErrorKind::ConnectionReset));
        }
        if near.reset.get() == Reset::Told || near.is_shut.get() {
            return Poll::Ready(Err(SocketErrorKind::BrokenPipe));
        }
        if self.is_struck() {
            return Poll::Ready(Err(SocketErrorKind::ConnectionReset));
        }
        let room = {
            let pipe = self.far().incoming.borrow();
            pipe.window_bytes - pipe.held_bytes
        };
        if room == 0 {
            near.sender.set(Some(context.waker().clone()));
            return Poll::Pending;
        }
        let sent = with_network(|network, _| part(&mut network.random, room.min(bytes.len())));
        note(sent as u64);
        self.dispatch(Segment::Bytes(bytes[..sent].to_vec()));
        Poll::Ready(Ok(sent))
    }

    pub(crate) fn shutdown_send(&self) {
        let near = self.near();
        if !has_stopped() && near.reset.get() == Reset::No && !near.is_shut.replace(true) {
            self.dispatch(Segment::End);
        }
    }

    /// The peer sees a reset; what is still on its way there is lost.
    pub(crate) fn abort(&self) {
        if !has_stopped() {
            self.near().is_shut.set(true);
            self.near().is_closed.set(true);
            self.connection.reset(1 - self.number);
        }
    }

    /// Whether the connection is reset by a fault now. This end is the first to know.
    fn is_struck(&self) -> bool {
        let near = self.near();
        if near.reset.get() != Reset::No
            || !with_network(|network, state| network.strikes(Fault::ConnectionReset, state))
        {
            return false;
        }
        near.reset.set(Reset::Told);
        near.incoming.borrow_mut().lose_all();
        wake(&near.sender);
        wake(&near.receiver);
        self.connection.reset(1 - self.number);
        true
    }

    /// Sends a segment on its way, behind those before it.
    fn dispatch(&self, segment: Segment) {
        let latency_ns = with_network(|network, state| network.latency_ns(state));
        note(latency_ns);
        let mut pipe = self.far().incoming.borrow_mut();
        // One that is due before the one in front of it waits for that.
        let at_ns = executor::now() + latency_ns;
        if let Segment::Bytes(bytes) = &segment {
            pipe.held_bytes += bytes.len();
        }
        pipe.travelling.push_back((at_ns, segment));
        drop(pipe);
        arrive_at(at_ns, Rc::clone(&self.connection));
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let near = self.near();
        if has_stopped() || near.is_closed.replace(true) {
            return;
        }
        if near.reset.get() != Reset::No {
            return;
        }
        if near.incoming.borrow().arrived.is_empty() {
            self.shutdown_send();
        } else {
            self.connection.reset(1 - self.number);
        }
    }
}

impl Connection {
    /// A reset sets out for an end.
    fn reset(self: &Rc<Self>, number: usize) {
        let latency_ns = with_network(|network, state| network.latency_ns(state));
        note(latency_ns);
        let at_ns = executor::now() + latency_ns;
        let end = &self.ends[number];
        if end.reset_at_ns.get().is_none_or(|before_ns| before_ns > at_ns) {
            end.reset_at_ns.set(Some(at_ns));
            arrive_at(at_ns, Rc::clone(self));
        }
    }

    /// Takes what arrives by now at either end.
    pub(super) fn arrive(self: &Rc<Self>) {
        let now_ns = executor::now();
        for number in 0..2 {
            let end = &self.ends[number];
            if end.reset_at_ns.get().is_some_and(|at_ns| at_ns <= now_ns) {
                end.reset_at_ns.set(None);
                end.take_reset();
            }
            let has_met_nobody = end.take_segments(now_ns);
            if has_met_nobody {
                self.reset(1 - number);
            }
        }
    }
}

impl End {
    fn take_reset(&self) {
        if self.reset.get() != Reset::No {
            return;
        }
        self.reset.set(Reset::Arrived);
        // What has arrived can still be received.
        self.incoming.borrow_mut().lose_travelling();
        wake(&self.receiver);
        wake(&self.sender);
    }

    /// Whether bytes have come for a program that has closed this end.
    fn take_segments(&self, now_ns: u64) -> bool {
        let mut pipe = self.incoming.borrow_mut();
        let mut has_met_nobody = false;
        let mut has_arrived = false;
        while let Some((_, segment)) = pipe.travelling.pop_front_if(|(at_ns, _)| *at_ns <= now_ns) {
            match segment {
                Segment::Bytes(bytes) if self.is_closed.get() => {
                    has_met_nobody = true;
                    pipe.held_bytes -= bytes.len();
                }
                Segment::Bytes(bytes) => pipe.arrived.extend(bytes),
                Segment::End => pipe.has_ended = true,
            }
            has_arrived = true;
        }
        drop(pipe);
        if has_arrived {
            wake(&self.receiver);
        }
        has_met_nobody
    }
}

impl Pipe {
    fn lose_travelling(&mut self) {
        self.travelling.clear();
        self.held_bytes = self.arrived.len();
    }

    fn lose_all(&mut self) {
        self.arrived.clear();
        self.lose_travelling();
    }
}

/// How much of `most` bytes a call takes: mostly all, sometimes any part.
fn part(random: &mut Generator, most: usize) -> usize {
    if random.below(4) > 0 { most } else { 1 + random.index(most) }
}

fn wake(waiting: &Cell<Option<Waker>>) {
    let waker = waiting.take();
    if let Some(waker) = waker {
        waker.wake();
    }
}
