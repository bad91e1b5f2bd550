//! The simulated network: which ports are open, and who waits at them.
//!
//! It lives and dies with its run, for a connection does not survive its process. The machine has
//! the loopback addresses and no other.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::task::Waker;

use super::disk::State;
use super::faults::Fault;
use super::random::{Generator, Stream};
use super::socket::{Port, SimStream};
use crate::socket::{Sharing, SocketErrorKind};

/// Ports that are handed out where none is asked for (Linux's range).
const FIRST_FREE_PORT: u16 = 32_768;
const FREE_PORTS: u16 = 28_232;

/// What becomes of an attempt to connect.
pub(super) enum Offer {
    /// It waits to be accepted; the waker is the accepting task's.
    Taken(SimStream, Option<Waker>),
    /// Too many wait: no answer.
    Dropped,
    /// Nobody listens.
    Refused,
}

pub(super) struct Network {
    pub(super) random: Generator,
    /// Listeners by address. Those of one address share it.
    ports: BTreeMap<SocketAddr, Vec<Weak<Port>>>,
    /// Ports handed out so far.
    handed_out: u16,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        let random = Generator::new(seed, Stream::Network);
        Self { random, ports: BTreeMap::new(), handed_out: 0 }
    }

    /// Enters a listener, and returns it with its address.
    pub(super) fn open(
        &mut self,
        address: SocketAddr,
        backlog: usize,
        sharing: Sharing,
    ) -> Result<Rc<Port>, SocketErrorKind> {
        if !is_own(address.ip()) {
            return Err(SocketErrorKind::AddressNotAvailable);
        }
        let address = if address.port() == 0 { self.free_address(address.ip()) } else { address };
        let excludes = |port: &Rc<Port>| [port.sharing, sharing].contains(&Sharing::Alone);
        if self.listeners(address).iter().any(excludes) {
            return Err(SocketErrorKind::AddressInUse);
        }
        let port = Rc::new(Port::new(address, backlog, sharing));
        let listeners = self.ports.entry(address).or_default();
        listeners.retain(|port| port.strong_count() > 0);
        listeners.push(Rc::downgrade(&port));
        Ok(port)
    }

    fn listeners(&self, address: SocketAddr) -> Vec<Rc<Port>> {
        self.ports.get(&address).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// An address that nobody listens on.
    fn free_address(&mut self, ip: IpAddr) -> SocketAddr {
        loop {
            let address = SocketAddr::new(ip, FIRST_FREE_PORT + self.handed_out);
            self.handed_out = (self.handed_out + 1) % FREE_PORTS;
            if self.listeners(address).is_empty() {
                return address;
            }
        }
    }

    /// Somebody connects.
    pub(super) fn offer(&mut self, to: SocketAddr, state: &mut State) -> Offer {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut listeners = self.listeners(to);
        if listeners.is_empty() {
            listeners = self.listeners(SocketAddr::new(any, to.port()));
        }
        if listeners.is_empty() || !is_own(to.ip()) {
            return Offer::Refused;
        }
        let port = &listeners[self.random.index(listeners.len())];
        let mut waiting = port.waiting.borrow_mut();
        if waiting.len() >= port.backlog {
            return Offer::Dropped;
        }
        let from = self.free_address(to.ip());
        state.counts.connections += 1;
        let (near, far) = SimStream::pair(&mut self.random);
        waiting.push_back((far, from));
        Offer::Taken(near, port.acceptor.take())
    }

    /// Time until what is sent now arrives.
    pub(super) fn latency_ns(&mut self, state: &mut State) -> u64 {
        let latency = state.faults.network_latency;
        latency.draw_ns(&mut self.random, &mut state.counts)
    }

    pub(super) fn strikes(&mut self, fault: Fault, state: &mut State) -> bool {
        state.strikes_network(fault, &mut self.random)
    }
}

fn is_own(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

/// Connections in the order of their arrival.
pub(super) type Waiting = VecDeque<(SimStream, SocketAddr)>;
