//! The executor: chance, time, ends of runs.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use super::{PAGE, disk_with_file, file, finish, letters, open, outcomes, pages};
use crate::sim::executor::{now, spawn, spawn_background, timer, wall_ms, yield_now};
use crate::sim::{CrashPoint, Disk, Faults, Options, Outcome, crash_at, executor, run};

/// Timers, tasks and a file, all at once.
fn workload(seed: u64) -> (u64, String) {
    let disk = disk_with_file(seed, 8);
    disk.set_faults(Faults { write_error_chance: 0.2, ..Faults::default() });
    finish(seed, &disk, async {
        for task in 0..8u64 {
            spawn(Box::pin(async move {
                let log = open().await;
                for turn in 0..5 {
                    let written = log.write(task * PAGE as u64, letters("x")).await;
                    timer(now() + executor::seed() % 1000 + turn).await;
                    if written.is_ok() {
                        log.flush().await.unwrap();
                    }
                }
            }));
        }
        timer(now() + 10_000_000).await;
    });
    disk.crash();
    (disk.trace_hash(), pages(&disk.read_raw(file())))
}

#[test]
fn the_same_seed_runs_the_same_and_another_seed_differently() {
    let traces = outcomes(|seed| {
        let first = workload(seed);
        assert_eq!(first, workload(seed), "seed {seed}");
        first.0
    });
    assert_eq!(traces.len(), usize::try_from(super::SEEDS).unwrap());
}

#[test]
fn every_order_of_ready_tasks_occurs() {
    let orders = outcomes(|seed| {
        finish(seed, &Disk::new(0), async {
            let order = Rc::new(RefCell::new(Vec::new()));
            for task in 0..3 {
                let order = Rc::clone(&order);
                spawn(Box::pin(async move { order.borrow_mut().push(task) }));
            }
            timer(now() + 1_000_000).await;
            order.take()
        })
    });
    assert_eq!(orders.len(), 6);
}

#[test]
fn time_is_virtual_and_timers_fire_in_order() {
    let fired = finish(1, &Disk::new(1), async {
        let start = now();
        let fired = Rc::new(RefCell::new(Vec::new()));
        for hours in [3u64, 1, 2] {
            let fired = Rc::clone(&fired);
            spawn(Box::pin(async move {
                let at = start + hours * 3_600_000_000_000;
                timer(at).await;
                assert!((at..at + 1_000_000).contains(&now()));
                fired.borrow_mut().push(hours);
            }));
        }
        timer(start + 4 * 3_600_000_000_000).await;
        fired.take()
    });
    assert_eq!(fired, [1, 2, 3]);
}

#[test]
fn waiting_for_nothing_is_a_deadlock() {
    let outcome = run(1, &Disk::new(1), &Options::default(), async {
        spawn(Box::pin(pending()));
        spawn(Box::pin(async {}));
        pending::<()>().await;
    });
    assert_eq!(outcome, Outcome::Deadlock { tasks: 2 });
}

#[test]
fn spinning_for_ever_is_a_livelock() {
    let options = Options { steps_max: 1000, ..Options::default() };
    let outcome = run(1, &Disk::new(1), &options, async {
        loop {
            yield_now().await;
        }
    });
    assert_eq!(outcome, Outcome::<()>::Livelock { steps: 1000 });
}

#[test]
fn completions_arrive_while_tasks_are_ready() {
    let disk = disk_with_file(1, 1);
    finish(1, &disk, async {
        let done = Rc::new(Cell::new(false));
        let told = Rc::clone(&done);
        spawn(Box::pin(async move {
            open().await.write(0, letters("x")).await.unwrap();
            told.set(true);
        }));
        while !done.get() {
            yield_now().await;
        }
    });
}

#[test]
fn a_background_task_gets_few_turns_but_some() {
    let (front, back) = finish(1, &Disk::new(1), async {
        let turns = [Rc::new(Cell::new(0u32)), Rc::new(Cell::new(0u32))];
        let spin = |turns: &Rc<Cell<u32>>| {
            let turns = Rc::clone(turns);
            Box::pin(async move {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now().await;
                }
            })
        };
        spawn(spin(&turns[0]));
        spawn_background(spin(&turns[1]));
        timer(now() + 10_000_000).await;
        (turns[0].get(), turns[1].get())
    });
    assert!(back > 0);
    assert!(front > back * 4, "{front} {back}");
}

#[test]
fn each_kind_of_crash_point_stops_the_run_where_it_says() {
    let steps = |point| {
        let taken = Rc::new(Cell::new(0));
        let counted = Rc::clone(&taken);
        let disk = disk_with_file(1, 1);
        let start = disk.now_ns();
        let options = Options { crash: Some(point), ..Options::default() };
        let outcome = run(1, &disk, &options, async move {
            let log = open().await;
            loop {
                counted.set(counted.get() + 1);
                log.write(0, letters("x")).await.unwrap();
            }
        });
        assert_eq!(outcome, Outcome::<()>::Crashed);
        (taken.get(), disk.now_ns() - start, disk.counts().operations)
    };
    assert_eq!(steps(CrashPoint::Steps(0)).0, 0);
    assert!((4..=5).contains(&steps(CrashPoint::Steps(6)).0));
    assert_eq!(steps(CrashPoint::Elapsed(Duration::from_millis(5))).1, 5_000_000);
    assert_eq!(steps(CrashPoint::Operations(7)).2, 7);
    let idle = CrashPoint::Elapsed(Duration::from_secs(3600));
    let options = Options { crash: Some(idle), ..Options::default() };
    assert_eq!(run(1, &Disk::new(1), &options, pending::<()>()), Outcome::Crashed);
}

/// Does whatever it can when it is dropped.
struct LastWords(super::SimFile, Rc<Cell<bool>>);

impl Drop for LastWords {
    fn drop(&mut self) {
        let ran = Rc::clone(&self.1);
        spawn(Box::pin(async move { ran.set(true) }));
        drop(self.0.write(0, letters("!")));
        drop(self.0.flush());
        crash_at(CrashPoint::Steps(1));
        assert!(now() > 0);
        assert!(wall_ms() > 0);
    }
}

#[test]
fn tasks_that_are_dropped_can_do_nothing_any_more() {
    for (seed, point) in [(1, None), (2, Some(CrashPoint::Operations(2)))] {
        let disk = disk_with_file(seed, 1);
        let ran = Rc::new(Cell::new(false));
        let words = Rc::clone(&ran);
        let options = Options { crash: point, ..Options::default() };
        let outcome = run(seed, &disk, &options, async move {
            let words = LastWords(open().await, words);
            spawn(Box::pin(async move {
                let _kept = words;
                pending::<()>().await;
            }));
            open().await;
            timer(now() + 1000).await;
        });
        assert_eq!(outcome == Outcome::Crashed, point.is_some());
        let operations = disk.counts().operations;
        assert_eq!(operations, 2);
        disk.kill();
        assert_eq!(pages(&disk.read_raw(file())), ".");
        finish(seed, &disk, async {});
        assert!(!ran.get());
    }
}

#[test]
fn nothing_that_the_step_of_the_crash_submits_after_it_happens() {
    for seed in 0..50 {
        let disk = disk_with_file(seed, 2);
        let options = Options { crash: Some(CrashPoint::Operations(2)), ..Options::default() };
        let outcome = run(seed, &disk, &options, async {
            let log = open().await;
            let first = log.write(0, letters("a"));
            let second = log.write(PAGE as u64, letters("b"));
            first.await.unwrap();
            second.await.unwrap();
        });
        assert_eq!(outcome, Outcome::Crashed);
        disk.kill();
        assert!(pages(&disk.read_raw(file())).ends_with('.'));
    }
}

#[test]
fn a_panic_leaves_the_thread_fit_for_another_run() {
    let disk = disk_with_file(1, 1);
    let victim = disk.clone();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(1, &victim, &Options::default(), async {
            let _log = open().await;
            panic!("planted");
        })
    }));
    assert!(caught.is_err());
    finish(2, &disk, async { drop(open().await) });
}

#[test]
#[should_panic(expected = "one core at a time")]
fn a_run_within_a_run_is_refused() {
    finish(1, &Disk::new(1), async { finish(1, &Disk::new(1), async {}) });
}

#[test]
fn the_wall_clock_jumps_both_ways_and_survives_a_power_cut() {
    let disk = Disk::new(3);
    disk.set_faults(Faults { wall_jump_chance: 0.1, ..Faults::default() });
    let (back, forward) = finish(3, &disk, async {
        let readings: Vec<u64> = (0..1000).map(|_| wall_ms()).collect();
        let pairs = || readings.windows(2).map(|pair| (pair[0], pair[1]));
        (pairs().any(|(a, b)| b + 1000 < a), pairs().any(|(a, b)| b > a + 1000))
    });
    assert!(back);
    assert!(forward);
    assert!(disk.counts().wall_jumps > 50);
    disk.set_faults(Faults::default());
    let before = finish(4, &disk, async { wall_ms() });
    disk.crash();
    let after = finish(5, &disk, async { wall_ms() });
    assert!((before..before + 61_000).contains(&after), "{before} {after}");
    disk.jump_wall_clock(-5_000_000);
    assert!(finish(6, &disk, async { wall_ms() }) < before);
}
