//! Finds the moments in which the generator's own core did not run.
//!
//! A task sleeps for a quarter of a millisecond at a time. A gap of more than a millisecond between two
//! beats is a stall of ours, and all of it that the second came too late counts: the scheduler, the
//! hypervisor, or a call that held the core.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use runtime::clock::{self, Instant};
use runtime::task;

use crate::stats::recorder::Measured;

const BEAT: Duration = Duration::from_micros(250);
const GAP_MAX: Duration = Duration::from_millis(1);

/// The stalls of one generator core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalls {
    /// The longest.
    pub longest: Duration,
    /// All together.
    pub total: Duration,
    /// How long was watched.
    pub watched: Duration,
}

pub(super) struct Heartbeat {
    stalls: Rc<RefCell<Stalls>>,
    stop: Rc<Cell<bool>>,
}

/// Beats from `start` on; what lies in the measured time counts.
pub(super) fn start(start: Instant, measured: Measured) -> Heartbeat {
    let stalls = Rc::new(RefCell::new(Stalls::default()));
    let stop = Rc::new(Cell::new(false));
    drop(task::spawn(beat(start, measured, Rc::clone(&stalls), Rc::clone(&stop))));
    Heartbeat { stalls, stop }
}

async fn beat(
    start: Instant,
    measured: Measured,
    stalls: Rc<RefCell<Stalls>>,
    stop: Rc<Cell<bool>>,
) {
    let at_ns = |moment: Instant| moment.as_nanos() - start.as_nanos();
    clock::sleep_until(start).await;
    let mut last = clock::now();
    while !stop.get() {
        clock::sleep_until(last + BEAT).await;
        let now = clock::now();
        if measured.contains(at_ns(last)) {
            stalls.borrow_mut().add(now - last);
        }
        last = now;
    }
}

impl Stalls {
    fn add(&mut self, gap: Duration) {
        self.watched += gap;
        if gap > GAP_MAX {
            let late = gap.saturating_sub(BEAT);
            self.longest = self.longest.max(late);
            self.total += late;
        }
    }

    /// Time in stalls, per cent.
    #[must_use]
    pub fn share_pct(&self) -> f64 {
        if self.watched.is_zero() {
            return 0.0;
        }
        100.0 * self.total.as_secs_f64() / self.watched.as_secs_f64()
    }
}

impl Heartbeat {
    pub(super) fn stop(self) -> Stalls {
        self.stop.set(true);
        *self.stalls.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_more_than_a_millisecond_is_a_stall() {
        let us = Duration::from_micros;
        let mut stalls = Stalls::default();
        stalls.add(us(1_000));
        assert_eq!((stalls.total, stalls.longest), (Duration::ZERO, Duration::ZERO));
        stalls.add(us(1_500));
        stalls.add(us(4_250));
        assert_eq!((stalls.total, stalls.longest), (us(1_250 + 4_000), us(4_000)));
        assert_eq!(stalls.watched, us(6_750));
        assert!((stalls.share_pct() - 100.0 * 5_250.0 / 6_750.0).abs() < 1e-9);
        assert!(Stalls::default().share_pct().abs() < 1e-9);
    }
}
