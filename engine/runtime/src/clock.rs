//! Time: a monotonic clock in nanoseconds, Unix time in milliseconds, and timers.
//!
//! The only place that reads a clock of the system. Under the simulation both clocks are virtual.
//! Durations must never be computed from `wall_ms`: it can jump.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Add, Sub};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{self, Duration};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::driver::{self, Driver};
use crate::kernel;
use crate::sim;

/// A moment of the monotonic clock (CLOCK_MONOTONIC, the same on all threads of the machine).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment `nanoseconds` after the clock's own zero (the machine's start, or the run's).
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the clock's own zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment `duration` earlier, or the clock's zero.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(duration)))
    }

    /// The moment in the standard library's type, for libraries that take no other. Only differences
    /// to other moments from here mean something.
    pub fn to_std(self) -> time::Instant {
        let anchor = anchor();
        if self >= anchor.ours {
            anchor.std + (self - anchor.ours)
        } else {
            anchor.std - (anchor.ours - self)
        }
    }

    /// The moment that `to_std` made `moment` of, or a difference to one of those.
    pub fn from_std(moment: time::Instant) -> Self {
        let anchor = anchor();
        match moment.checked_duration_since(anchor.std) {
            Some(later) => anchor.ours + later,
            None => anchor.ours.saturating_sub(anchor.std.duration_since(moment)),
        }
    }
}

/// One moment in both types.
struct Anchor {
    std: time::Instant,
    ours: Instant,
}

/// Far from both ends of both types, under every driver.
#[allow(clippy::disallowed_methods, reason = "there is no other way to a first one of its type")]
fn anchor() -> &'static Anchor {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(|| Anchor { std: time::Instant::now(), ours: Instant(1 << 40) })
}

impl fmt::Debug for Instant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Instant({} ns)", self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// The moment `duration` later, or the clock's last (the year 2554 from a start today).
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    // A span of more than 584 years is for ever.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The moment it is. Works on any thread, also on one that is not a core.
pub fn now() -> Instant {
    match driver::current() {
        Driver::Sim => Instant(sim::executor::now()),
        Driver::Kernel | Driver::Outside => {
            Instant(nanoseconds(since_zero(clock_gettime(ClockId::Monotonic))))
        }
    }
}

/// Unix time in milliseconds. It can jump in either direction, in production as in simulation.
pub fn wall_ms() -> u64 {
    match driver::current() {
        Driver::Sim => sim::executor::wall_ms(),
        Driver::Kernel | Driver::Outside => {
            let since_epoch = since_zero(clock_gettime(ClockId::Realtime));
            u64::try_from(since_epoch.as_millis()).expect("this era's milliseconds fit in 64 bits")
        }
    }
}

fn since_zero(time: Timespec) -> Duration {
    // A wall clock set before 1970 reads as 1970.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).expect("the kernel keeps tv_nsec below 10^9");
    Duration::new(seconds, nanoseconds)
}

/// Waits for `duration`; at least until the task's next turn.
pub async fn sleep(duration: Duration) {
    sleep_until(now() + duration).await;
}

/// Waits until the clock shows `deadline` or later.
///
/// # Panics
/// Polled on a thread that is not a core.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: None }
}

/// The future of [`sleep_until`]. It is `Send` and `Sync` because libraries ask that of theirs; it
/// waits on the core that polls it first, and may only be dropped elsewhere.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    /// `None` until the first poll.
    timer: Option<Timer>,
}

#[derive(Debug)]
enum Timer {
    Kernel(kernel::Timer),
    Sim(sim::executor::Timer),
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let at_ns = self.deadline.as_nanos();
        let timer = self.timer.get_or_insert_with(|| match driver::current() {
            Driver::Sim => Timer::Sim(sim::executor::timer(at_ns)),
            Driver::Kernel => Timer::Kernel(kernel::Timer::new(at_ns)),
            Driver::Outside => driver::not_a_core(),
        });
        match timer {
            Timer::Kernel(timer) => Pin::new(timer).poll(context),
            Timer::Sim(timer) => Pin::new(timer).poll(context),
        }
    }
}

/// The output of `future`, or `None` if it is not there by `deadline`; then the future is dropped.
/// A future that is ready wins over a deadline that has passed.
pub async fn timeout_at<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timer = pin!(sleep_until(deadline));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let second = Duration::from_secs(1);
        let moment = Instant::from_nanos(5);
        assert_eq!((moment + second).as_nanos(), 1_000_000_005);
        assert_eq!(moment.saturating_sub(second), Instant::from_nanos(0));
        assert_eq!(moment - (moment + second), Duration::ZERO);
        assert_eq!((moment + second) - moment, second);
        assert_eq!((Instant::from_nanos(u64::MAX) + second).as_nanos(), u64::MAX);
        assert_eq!((moment + Duration::MAX).as_nanos(), u64::MAX);
    }

    #[test]
    fn moments_go_to_the_standard_library_and_back() {
        for at_ns in [0, 1, 1 << 40, (1 << 40) + 5, 1 << 62] {
            let moment = Instant::from_nanos(at_ns);
            assert_eq!(Instant::from_std(moment.to_std()), moment);
            let later = moment + Duration::from_millis(3);
            assert_eq!(later.to_std() - moment.to_std(), Duration::from_millis(3));
        }
    }

    #[test]
    fn a_sleep_can_be_asked_to_be_sent() {
        fn check(_: impl Send + Sync + Unpin) {}
        check(sleep_until(now()));
    }

    #[test]
    fn the_clocks_run_on_a_plain_thread() {
        let first = now();
        assert!(now() >= first);
        // 2023-11-14: before this file was written.
        assert!(wall_ms() > 1_700_000_000_000);
    }
}
