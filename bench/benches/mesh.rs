//! Question: what does a message from core to core cost?
//!
//! `same_thread`: one message in and out of the queue, nobody asleep. `round_trip`: a message to
//! another core, which sleeps, and its answer: two wake-ups. Measured against: crossbeam's bounded
//! channel, between plain threads in `round_trip`, since its blocking `recv` would stop a core.

#![forbid(unsafe_code)]

use criterion::Criterion;
use runtime::cores::{self, CoreConfig};
use runtime::{clock, mesh};
use std::hint::black_box;
use std::time::Duration;

const CAPACITY: usize = 256;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    same_thread(&mut criterion);
    round_trip(&mut criterion);
    criterion.final_summary();
}

fn same_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh/same_thread");
    let (sender, mut receiver) = mesh::channel(CAPACITY);
    group.bench_function("mesh", |bencher| {
        bencher.iter(|| {
            sender.try_send(black_box(7_u64)).expect("it is empty");
            receiver.try_recv()
        });
    });
    let (sender, receiver) = crossbeam::channel::bounded(CAPACITY);
    group.bench_function("crossbeam_channel", |bencher| {
        bencher.iter(|| {
            sender.try_send(black_box(7_u64)).expect("it is empty");
            receiver.try_recv().ok()
        });
    });
    group.finish();
}

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh/round_trip");
    group.bench_function("mesh", |bencher| bencher.iter_custom(between_cores));
    group.bench_function("crossbeam_channel", |bencher| bencher.iter_custom(between_threads));
    group.finish();
}

fn config(name: &str, ordinal: usize) -> CoreConfig {
    let cpus = cores::online_cpus();
    CoreConfig {
        name: name.to_owned(),
        cpu: cpus.get(ordinal % cpus.len()).copied(),
        io_memory_bytes: 64 << 10,
    }
}

fn between_cores(count: u64) -> Duration {
    let (there, mut arriving) = mesh::channel(CAPACITY);
    let (back, mut answers) = mesh::channel(CAPACITY);
    let echo = cores::start(config("echo", 1), move || async move {
        while let Some(message) = arriving.recv().await {
            back.send(message).await.expect("the caller waits for it");
        }
    });
    let caller = cores::start(config("caller", 0), move || async move {
        let started = clock::now();
        for message in 0..count {
            there.send(message).await.expect("the echo runs");
            assert_eq!(answers.recv().await, Some(message));
        }
        clock::now() - started
    });
    let took = caller.expect("a core needs io_uring").join();
    echo.expect("a core needs io_uring").join();
    took
}

fn between_threads(count: u64) -> Duration {
    let (there, arriving) = crossbeam::channel::bounded(CAPACITY);
    let (back, answers) = crossbeam::channel::bounded(CAPACITY);
    let cpus = cores::online_cpus();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            cores::pin_current_thread(cpus[1 % cpus.len()]).expect("an online CPU");
            for message in arriving {
                back.send(message).expect("the caller waits for it");
            }
        });
        let caller = scope.spawn(move || {
            cores::pin_current_thread(cores::online_cpus()[0]).expect("an online CPU");
            let started = clock::now();
            for message in 0..count {
                there.send(message).expect("the echo runs");
                assert_eq!(answers.recv(), Ok(message));
            }
            clock::now() - started
        });
        caller.join().expect("the caller does not panic")
    })
}
