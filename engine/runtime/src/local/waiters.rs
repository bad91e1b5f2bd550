//! Wakers in the order of their arrival. A waiter is known by a ticket, so it can renew its waker
//! and leave early; the list is never longer than the number of futures that wait.

use std::collections::VecDeque;
use std::task::Waker;

/// The place of one waiter. Tickets rise and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Sorted by ticket.
    entries: VecDeque<(Ticket, Waker)>,
    issued: u64,
}

impl Waiters {
    /// Joins at the end, or renews the waker of a waiter that still stands in the list.
    pub(crate) fn register(&mut self, ticket: &mut Option<Ticket>, waker: &Waker) {
        if let Some(ticket) = *ticket
            && let Some(place) = self.place(ticket)
        {
            self.entries[place].1.clone_from(waker);
            return;
        }
        let new = Ticket(self.issued);
        self.issued += 1;
        self.entries.push_back((new, waker.clone()));
        *ticket = Some(new);
    }

    /// Leaves. False where the waiter had been taken out, that is woken, before.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> bool {
        match self.place(ticket) {
            Some(place) => self.entries.remove(place).is_some(),
            None => false,
        }
    }

    /// Takes out the waiter that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        self.entries.pop_front().map(|(_, waker)| waker)
    }

    /// Takes out the waiter that has waited longest if it came before `end`.
    pub(crate) fn pop_before(&mut self, end: Ticket) -> Option<Waker> {
        if self.entries.front()?.0 >= end {
            return None;
        }
        self.pop()
    }

    /// The ticket that the next waiter will get.
    pub(crate) fn end(&self) -> Ticket {
        Ticket(self.issued)
    }

    /// The waiter that has waited longest; it stays in the list.
    pub(crate) fn first(&self) -> Option<(Ticket, &Waker)> {
        self.entries.front().map(|(ticket, waker)| (*ticket, waker))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.entries.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_leave_in_order_or_early() {
        let waker = Waker::noop();
        let mut waiters = Waiters::default();
        let mut tickets = [None; 3];
        for ticket in &mut tickets {
            waiters.register(ticket, waker);
        }
        waiters.register(&mut tickets[0], waker);
        assert_eq!(waiters.count(), 3);
        let [first, second, third] = tickets.map(|ticket| ticket.expect("registered"));
        assert!(first < second && second < third);
        assert!(waiters.remove(second));
        assert!(!waiters.remove(second));
        assert_eq!(waiters.first().map(|(ticket, _)| ticket), Some(first));
        assert!(waiters.pop_before(first).is_none());
        assert!(waiters.pop_before(third).is_some());
        assert!(waiters.pop_before(waiters.end()).is_some());
        assert!(waiters.is_empty());
    }
}
