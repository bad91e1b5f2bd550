//! Cores, tasks, time and messages on the kernel's driver, with real threads.
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use runtime::clock::{self, Instant};
use runtime::cores::{self, CoreConfig, StartError};
use runtime::file::{self, Access};
use runtime::local::{Notify, Semaphore};
use runtime::mesh::{self, ReplySender};
use runtime::task;

fn config(name: &str) -> CoreConfig {
    CoreConfig { name: name.to_owned(), cpu: None, io_memory_bytes: 64 << 10 }
}

fn on_a_core<T: 'static, Fut: Future<Output = T> + 'static>(
    main: impl FnOnce() -> Fut + 'static,
) -> T {
    cores::block_on(config("test"), main).expect("the tests need io_uring")
}

#[test]
fn a_core_is_pinned_and_the_calling_thread_gets_its_cpus_back() {
    let cpus = cores::online_cpus();
    let pinned = cpus[cpus.len() - 1];
    let running = || procfs::process::Process::myself().unwrap().task_main_thread().is_ok();
    assert!(running());
    let config = CoreConfig { cpu: Some(pinned), ..config("pinned") };
    let seen = cores::block_on(config.clone(), || async { affinity() }).unwrap();
    assert_eq!(seen, [pinned]);
    assert_eq!(affinity(), cpus);
    let away = cores::block_on(config.clone(), || task::blocking(affinity)).unwrap();
    assert_eq!(away, cpus, "blocking work keeps off the core's CPU");
    let seen = cores::start(config, || async { affinity() }).unwrap().join();
    assert_eq!(seen, [pinned]);
}

fn affinity() -> Vec<usize> {
    let cpus = rustix::thread::sched_getaffinity(None).expect("a thread has an affinity");
    (0..1024).filter(|cpu| cpus.is_set(*cpu)).collect()
}

#[test]
fn a_cpu_that_is_not_there_is_refused_with_those_that_are() {
    for cpu in [1023, 1 << 40] {
        let config = CoreConfig { cpu: Some(cpu), ..config("nowhere") };
        let error = cores::start(config.clone(), || async {}).unwrap_err();
        assert_eq!(error, StartError::Cpu { cpu, allowed: cores::online_cpus() });
        assert_eq!(cores::block_on(config, || async {}).unwrap_err(), error);
    }
}

#[test]
fn tasks_start_later_and_detached_ones_go_on() {
    on_a_core(|| async {
        let done = Rc::new(Cell::new(0));
        let notify = Rc::new(Notify::new());
        let count = |by: u32| {
            let (done, notify) = (Rc::clone(&done), Rc::clone(&notify));
            async move {
                done.set(done.get() + by);
                notify.notify_all();
                done.get()
            }
        };
        let first = task::spawn(count(1));
        drop(task::spawn(count(2)));
        drop(task::spawn_background(count(4)));
        assert_eq!(done.get(), 0, "nothing runs within `spawn`");
        assert_eq!(first.await, 1);
        while done.get() != 7 {
            notify.notified().await;
        }
    });
}

#[test]
fn timers_fire_in_order_and_not_early() {
    on_a_core(|| async {
        let start = clock::now();
        let fast = task::spawn(async move {
            clock::sleep(Duration::from_millis(5)).await;
            clock::now()
        });
        let slow = task::spawn(async move {
            clock::sleep_until(start + Duration::from_millis(10)).await;
            clock::now()
        });
        let (slow, fast) = (slow.await, fast.await);
        assert!(fast - start >= Duration::from_millis(5));
        assert!(slow - start >= Duration::from_millis(10));
        clock::sleep_until(Instant::from_nanos(0)).await;
        let soon = clock::now() + Duration::from_millis(1);
        let never = std::future::pending::<()>();
        assert_eq!(clock::timeout_at(soon, never).await, None);
        assert!(clock::now() >= soon);
        assert_eq!(clock::timeout_at(soon, async { 7 }).await, Some(7), "ready beats late");
    });
}

/// The timers of two cores that run on one thread after another may have the same key.
#[test]
fn a_timer_that_outlives_its_core_takes_none_from_the_next() {
    let deadline = clock::now() + Duration::from_millis(50);
    let abandoned = on_a_core(move || async move {
        let mut sleep = Box::pin(clock::sleep_until(deadline));
        let early = clock::timeout_at(clock::now(), &mut sleep).await;
        assert_eq!(early, None);
        Some(sleep)
    });
    on_a_core(move || async move {
        let mut sleep = Box::pin(clock::sleep_until(deadline));
        let early = clock::timeout_at(clock::now(), &mut sleep).await;
        assert_eq!(early, None);
        drop(abandoned);
        let patience = clock::now() + Duration::from_secs(20);
        assert_eq!(clock::timeout_at(patience, sleep).await, Some(()));
        assert!(clock::now() < patience, "its timer was gone");
    });
}

#[test]
fn a_turn_ends_so_that_completions_are_seen() {
    on_a_core(|| async {
        let fired = Rc::new(Cell::new(false));
        let flag = Rc::clone(&fired);
        drop(task::spawn(async move {
            clock::sleep(Duration::from_millis(2)).await;
            flag.set(true);
        }));
        // A loop that does nothing but yield when it should: without a short turn the timer would
        // never fire.
        let start = clock::now();
        while !fired.get() {
            if task::should_yield() {
                task::yield_now().await;
            }
        }
        assert!(clock::now() - start < Duration::from_millis(60));
    });
}

/// Given way to at its first look, the background would get a hundredth instead of its part in 21.
#[test]
fn a_background_task_runs_for_a_while_although_others_are_ready() {
    on_a_core(|| async {
        let yielded_at = Rc::new(Cell::new(clock::now()));
        let seen = Rc::clone(&yielded_at);
        let mut background = task::spawn_background(async move {
            for _ in 0..10 {
                while !task::should_yield() {}
                assert!(clock::now() - seen.get() >= Duration::from_micros(50));
                task::yield_now().await;
            }
        });
        let busy = async {
            loop {
                yielded_at.set(clock::now());
                task::yield_now().await;
            }
        };
        let patience = Duration::from_secs(20);
        let either = race(&mut background, busy);
        assert_eq!(clock::timeout_at(clock::now() + patience, either).await, Some(()));
    });
}

/// Ends when the first one does.
async fn race(first: &mut task::Task<()>, second: impl Future<Output = ()>) {
    let mut second = std::pin::pin!(second);
    std::future::poll_fn(|context| {
        let first = std::pin::Pin::new(&mut *first).poll(context);
        if first.is_ready() { first } else { second.as_mut().poll(context) }
    })
    .await;
}

#[test]
fn a_background_task_gives_way_to_a_timer() {
    on_a_core(|| async {
        let mut soonest = Duration::MAX;
        for _ in 0..20 {
            let start = clock::now();
            let background = task::spawn_background(async move {
                while !task::should_yield() {}
                clock::now() - start
            });
            clock::sleep(Duration::from_micros(100)).await;
            soonest = soonest.min(background.await);
        }
        assert!(soonest < Duration::from_micros(450), "each ran to the end of its turn");
    });
}

#[test]
fn blocking_work_answers_and_leaves_the_core_free() {
    on_a_core(|| async {
        let (sender, receiver) = std::sync::mpsc::channel::<u32>();
        // Would never end if it held up the core.
        let waiting = task::spawn(task::blocking(move || receiver.recv().unwrap()));
        task::yield_now().await;
        sender.send(7).unwrap();
        assert_eq!(waiting.await, 7);
        drop(task::blocking(|| ()));
    });
}

#[derive(Debug)]
struct Request {
    number: u64,
    answer: ReplySender<u64>,
}

/// Requests from two cores to a third, through a channel that is mostly full.
#[test]
fn cores_exchange_messages_under_pressure() {
    const REQUESTS: u64 = 20_000;
    const SENDERS: u64 = 2;

    let (sender, mut receiver) = mesh::channel::<Request>(8);
    let server = cores::start(config("server"), move || async move {
        let mut served = 0;
        while let Some(request) = receiver.recv().await {
            request.answer.send(request.number * 2);
            served += 1;
        }
        served
    })
    .unwrap();
    let clients: Vec<_> = (0..SENDERS)
        .map(|client| {
            let sender = sender.clone();
            cores::start(config("client"), move || async move {
                let window = Semaphore::new(64);
                for number in 0..REQUESTS {
                    let number = client * REQUESTS + number;
                    let permit = window.acquire(1).await;
                    let (answer, reply) = mesh::reply();
                    sender.send(Request { number, answer }).await.unwrap();
                    drop(task::spawn(async move {
                        assert_eq!(reply.await, Ok(number * 2));
                        drop(permit);
                    }));
                }
                drop(window.acquire(64).await);
            })
            .unwrap()
        })
        .collect();
    drop(sender);
    for client in clients {
        client.join();
    }
    assert_eq!(server.join(), REQUESTS * SENDERS);
}

/// One message at a time, each side asleep in its ring when the other sends.
#[test]
fn a_sleeping_core_is_woken_by_each_message() {
    const ROUNDS: u64 = 2_000;

    let (to_server, mut requests) = mesh::channel::<u64>(1);
    let (to_client, mut answers) = mesh::channel::<u64>(1);
    let server = cores::start(config("server"), move || async move {
        while let Some(number) = requests.recv().await {
            to_client.send(number + 1).await.unwrap();
        }
    })
    .unwrap();
    let client = cores::start(config("client"), move || async move {
        for number in 0..ROUNDS {
            to_server.send(number).await.unwrap();
            assert_eq!(answers.recv().await, Some(number + 1));
        }
    })
    .unwrap();
    client.join();
    server.join();
}

/// Three busy threads on few CPUs: a core is taken off its CPU, and woken by two others, at any
/// point of its loop. Who sleeps over one message waits for ever, as does who has sent it.
#[test]
fn no_message_is_slept_through() {
    const ROUNDS: u64 = 100_000;
    const PATIENCE: Duration = Duration::from_secs(20);

    let (sender, mut receiver) = mesh::channel::<Request>(8);
    let server = cores::start(config("server"), move || async move {
        while let Some(request) = receiver.recv().await {
            request.answer.send(request.number);
        }
    })
    .unwrap();
    let client = || {
        let sender = sender.clone();
        cores::start(config("client"), move || async move {
            for number in 0..ROUNDS {
                let (answer, reply) = mesh::reply();
                sender.send(Request { number, answer }).await.unwrap();
                // The timer of the deadline would end a sleep as well, but not in time.
                let reply = clock::timeout_at(clock::now() + PATIENCE, reply).await;
                assert_eq!(reply, Some(Ok(number)), "a message was slept through");
            }
        })
        .unwrap()
    };
    let clients = [client(), client()];
    drop(sender);
    clients.into_iter().for_each(cores::Core::join);
    server.join();
}

#[test]
fn a_core_that_ends_closes_its_ends() {
    let (sender, receiver) = mesh::channel::<u32>(1);
    let core = cores::start(config("short"), move || async move { drop(receiver) }).unwrap();
    core.join();
    on_a_core(move || async move { assert_eq!(sender.send(1).await, Err(mesh::Closed(1))) });
}

/// Asks for the core when it goes, as the end of a task may.
struct AsksAtItsEnd;

impl Drop for AsksAtItsEnd {
    fn drop(&mut self) {
        drop(task::spawn(async {}));
        drop(task::spawn_background(async {}));
    }
}

/// Tasks that are ready when their core ends stand in the same turn of a queue as the main task.
#[test]
fn tasks_that_are_ready_at_the_end_are_left_quietly() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("ready-at-the-end");
    std::fs::write(&path, [1; 4096]).unwrap();
    for round in 0..20 {
        let path = path.clone();
        on_a_core(move || async move {
            let file = file::open(&path, Access::Read).await.unwrap();
            let busy = |file: file::File| async move {
                let _asks = AsksAtItsEnd;
                loop {
                    drop(file.read(0, 4096));
                    drop(task::spawn(async {}));
                    drop(task::spawn_background(task::blocking(|| ())));
                    task::yield_now().await;
                }
            };
            for _ in 0..4 {
                drop(task::spawn(busy(file.clone())));
                drop(task::spawn_background(busy(file.clone())));
            }
            for _ in 0..round {
                task::yield_now().await;
            }
        });
    }
    std::fs::remove_file(&path).unwrap();
}
