//! The tasks that serve an open log: flushing, preparing segments, marking, sealing.
//!
//! Each ends when the log is shut down or has failed.

use std::rc::Rc;
use std::time::Duration;

use runtime::clock;
use runtime::task;

use crate::catalog::CatalogError;
use crate::committer;
use crate::open::spawn;
use crate::pool::{Pace, Step};
use crate::retention;
use crate::sealer;
use crate::state::LogInner;

/// A log that is idle for so long gets a mark behind its last acknowledged frame.
const MARK_AFTER: Duration = Duration::from_millis(5);
/// How often a full disk is asked for space when nothing was freed by the log itself.
const FULL_DISK_RETRY: Duration = Duration::from_millis(250);

/// Starts all tasks of `log`.
pub(crate) fn start(log: &Rc<LogInner>) {
    spawn(committer::flush_forever(log.clone()));
    spawn(mark_forever(log.clone()));
    drop(task::spawn_background(prepare_forever(log.clone())));
    drop(task::spawn_background(sealer::seal_forever(log.clone())));
    drop(task::spawn_background(retention::keep_forever(log.clone())));
}

/// Keeps as many segments ready as the pool wants, and a reserve where there is something to
/// rewrite.
async fn prepare_forever(log: Rc<LogInner>) {
    loop {
        let wanted = log.pool.wanted.notified();
        if log.is_finished() {
            return;
        }
        let done = match log.pool.next_step(log.segments.count() > 0) {
            Step::Prepare => log.pool.prepare(log.options.segment_bytes).await,
            Step::MakeReserve => log.pool.make_reserve(Pace::Appends).await,
            Step::GiveUp => {
                let done = log.pool.give_up_ready().await;
                // The keeper removes what is free and not needed.
                log.retention.wake();
                done
            }
            Step::Wait(until) => {
                match until {
                    Some(idle_at) => drop(clock::timeout_at(idle_at, wanted).await),
                    None => wanted.await,
                }
                continue;
            }
        };
        match done {
            Ok(()) => {}
            Err(CatalogError::Io(error)) => return committer::fail(&log, error),
            // The folder is being shut down; nothing more is prepared.
            Err(CatalogError::Closed) => return,
            Err(error) => unreachable!("a small commit, and what is for space is handled: {error}"),
        }
        if log.pool.is_out_of_space() {
            // Openers wait for space or for the knowledge that there is none.
            log.durable.notify_all();
            let retry = clock::now() + FULL_DISK_RETRY;
            clock::timeout_at(retry, log.pool.wanted.notified()).await;
        }
        log.room.notify_all();
        committer::pump(&log);
    }
}

/// Gives the last acknowledged frame a witness whenever the log falls idle.
async fn mark_forever(log: Rc<LogInner>) {
    loop {
        let durable = log.durable.notified();
        if log.is_finished() {
            return;
        }
        let frame = log.state.borrow().next_frame;
        if log.state.borrow().marked {
            durable.await;
            continue;
        }
        clock::sleep(MARK_AFTER).await;
        if log.state.borrow().next_frame == frame {
            committer::mark(&log);
            // Whether it could be written now or not, the next commit comes back here.
            let durable = log.durable.notified();
            if !log.state.borrow().marked && !log.is_finished() {
                durable.await;
            }
        }
    }
}
