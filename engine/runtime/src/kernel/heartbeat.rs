//! Bounds what glommio 0.9 loses: a core can fall asleep although one of its tasks is ready.
//!
//! Its loop looks for events, which makes tasks ready, then runs the task queues, then sleeps if
//! that "ran nothing" (executor/mod.rs, `run` and `run_task_queues`). But nothing is run either
//! where the preemption flag is up at that moment: where the thread was off its CPU for longer than
//! the preemption timer, or where another core's wake-up reached the eventfd just then. The events
//! are consumed by then, so the core sleeps until the next one, which may depend on the task that
//! was forgotten: two cores that wait for each other never wake (seen about once in 100,000
//! messages with three busy threads on two CPUs).
//!
//! So every core has a timer that ends such a sleep: soon while the core works, in growing steps
//! while it is idle. It must never keep a core awake.

use std::time::Duration;

use super::watchdog;

/// While tasks run: small beside a response that is still good, large beside the cost of a turn.
const BEAT_WORKING: Duration = Duration::from_millis(1);

/// While nothing happens: sixteen turns a second, which cost less than 0.1 % of a CPU.
const BEAT_IDLE: Duration = Duration::from_millis(64);

/// Beats for as long as the core runs.
pub(super) async fn beat() {
    let mut pause = BEAT_WORKING;
    loop {
        let before = watchdog::polls();
        glommio::timer::sleep(pause).await;
        // One poll is our own.
        let is_idle = watchdog::polls().wrapping_sub(before) <= 1;
        pause = if is_idle { (pause * 2).min(BEAT_IDLE) } else { BEAT_WORKING };
    }
}
