//! The scenarios over the simulated network, by seeds, and faults that the kernel does not show on
//! demand.

use std::collections::BTreeSet;
use std::time::Duration;

use super::scenarios::{self, listen, loopback, pair, pattern};
use runtime::clock;
use runtime::sim::{Disk, Fault, Faults, Options, run};
use runtime::socket::{self, ListenOptions, Sharing, SocketErrorKind};
use runtime::task;

fn simulate<T: 'static>(seed: u64, main: impl Future<Output = T> + 'static) -> T {
    on_disk(seed, &Disk::new(seed), main)
}

fn on_disk<T: 'static>(seed: u64, disk: &Disk, main: impl Future<Output = T> + 'static) -> T {
    let outcome = run(seed, disk, &Options::default(), main);
    outcome.done().unwrap_or_else(|| panic!("seed {seed} does not come to its end"))
}

#[test]
fn every_scenario_holds_for_every_seed() {
    for seed in 0..60 {
        simulate(seed, scenarios::half_closed_connections_go_on());
        simulate(seed, scenarios::resets_are_told_once());
        simulate(seed, scenarios::a_closed_peer_is_noticed());
        simulate(seed, scenarios::dropped_futures_lose_nothing());
        simulate(seed, scenarios::refusals_have_names());
        simulate(seed, scenarios::many_wait_to_be_accepted(40));
        simulate(seed, scenarios::echo(16));
        simulate(seed, scenarios::who_never_waits_gives_way());
    }
    for seed in 0..10 {
        simulate(seed, scenarios::two_tasks_share_a_stream());
        simulate(seed, scenarios::slices_arrive_in_order());
        simulate(seed, scenarios::a_slow_reader_gets_everything(1 << 20));
    }
    simulate(1, scenarios::a_slow_reader_gets_everything(8 << 20));
    simulate(1, scenarios::echo(1000));
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let trace = |seed| {
        let disk = Disk::new(seed);
        let faults = Faults { connection_reset_chance: 0.01, ..Faults::default() };
        disk.set_faults(faults);
        let talk = on_disk(seed, &disk, talk());
        (disk.trace_hash(), talk.bytes)
    };
    let traces: BTreeSet<(u64, usize)> = (0..50)
        .map(|seed| {
            assert_eq!(trace(seed), trace(seed), "seed {seed}");
            trace(seed)
        })
        .collect();
    assert_eq!(traces.len(), 50);
}

/// How a talk ended for the one who sent and for the one who received, and how much came.
struct Talk {
    sending: Result<(), SocketErrorKind>,
    receiving: Result<(), SocketErrorKind>,
    bytes: usize,
}

/// Sends 200 KB one way; what comes is the first part of it, whatever happens.
async fn talk() -> Talk {
    let (near, far) = pair().await;
    let sent = pattern(200_000, 3);
    let expected = sent.clone();
    let sender = task::spawn(async move { near.send_all(&sent).await });
    let mut received = Vec::new();
    let mut piece = [0; 5000];
    let receiving = loop {
        match far.recv(&mut piece).await {
            Ok(0) => break Ok(()),
            Ok(bytes) => received.extend_from_slice(&piece[..bytes]),
            Err(error) => break Err(error.kind),
        }
    };
    assert!(expected.starts_with(&received));
    drop(far);
    let sending = sender.await.map_err(|error| error.kind);
    Talk { sending, receiving, bytes: received.len() }
}

#[test]
fn a_reset_strikes_either_end_and_is_never_an_end_of_the_bytes() {
    let mut sender_heard = 0;
    let mut receiver_heard = 0;
    let mut whole = 0;
    for seed in 0..200 {
        let disk = Disk::new(seed);
        disk.plan_fault(Fault::ConnectionReset, seed % 100);
        let Talk { sending, receiving, bytes } = on_disk(seed, &disk, talk());
        sender_heard += u32::from(sending.is_err());
        receiver_heard += u32::from(receiving.is_err());
        if receiving.is_ok() {
            assert_eq!((sending, bytes), (Ok(()), 200_000), "seed {seed}: bytes were lost quietly");
            whole += 1;
        }
        assert!(disk.counts().connection_resets <= 1);
    }
    assert!(sender_heard > 20 && receiver_heard > 20 && whole > 20);
    assert!(sender_heard < receiver_heard, "the last bytes are sent before they arrive");
}

#[test]
fn who_has_no_descriptor_rests_and_loses_no_connection() {
    let disk = Disk::new(3);
    disk.plan_fault(Fault::NoDescriptor, 0);
    on_disk(3, &disk, async {
        let mut listener = listen();
        let near = socket::connect(listener.local_address()).await.unwrap();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.kind, SocketErrorKind::NoDescriptor);
        assert!(error.kind.is_exhaustion());
        let refused_at = clock::now();
        // Who gives up in between does not shorten the rest.
        let soon = refused_at + Duration::from_millis(20);
        assert!(clock::timeout_at(soon, listener.accept()).await.is_none());
        let far = listener.accept().await.unwrap();
        let rest = clock::now() - refused_at;
        assert!((50..51).contains(&rest.as_millis()), "{rest:?}");
        near.send_all(b"x").await.unwrap();
        assert_eq!(far.recv(&mut [0; 1]).await, Ok(1));
    });
    assert_eq!(disk.counts().no_descriptors, 1);
    assert_eq!(disk.counts().connections, 1);
}

#[test]
fn a_full_backlog_makes_peers_wait_and_then_give_up() {
    simulate(1, async {
        let options = ListenOptions { backlog: 2, sharing: Sharing::Alone };
        let mut listener = socket::listen(loopback(), options).unwrap();
        let address = listener.local_address();
        let first = [socket::connect(address).await, socket::connect(address).await];
        let start = clock::now();
        let error = socket::connect(address).await.unwrap_err();
        assert_eq!(error.kind, SocketErrorKind::TimedOut);
        assert!(clock::now() - start > Duration::from_secs(5));
        let third = task::spawn(async move { socket::connect(address).await });
        for stream in first {
            assert!(stream.is_ok());
            drop(listener.accept().await.unwrap());
        }
        drop(listener.accept().await.unwrap());
        assert!(third.await.is_ok());
        // What still waits when the listener goes is reset.
        let fourth = socket::connect(address).await.unwrap();
        drop(listener);
        let error = fourth.recv(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind, SocketErrorKind::ConnectionReset);
    });
}

/// Listeners that share an address each get a part.
#[test]
fn shared_ports_spread_the_connections() {
    let spread = simulate(1, async {
        let options = ListenOptions { backlog: 100, sharing: Sharing::PerCore };
        let mut first = socket::listen(loopback(), options).unwrap();
        let second = socket::listen(first.local_address(), options).unwrap();
        let mut near = Vec::new();
        for _ in 0..50 {
            near.push(socket::connect(first.local_address()).await.unwrap());
        }
        let mut count = 0;
        let patience = clock::now() + Duration::from_secs(1);
        while let Some(accepted) = clock::timeout_at(patience, first.accept()).await {
            drop(accepted.unwrap());
            count += 1;
        }
        drop(second);
        count
    });
    assert!((10..40).contains(&spread), "{spread}");
}

/// A run that ends, or whose power fails, leaves no stream counted.
#[test]
fn what_a_run_leaves_open_is_gone() {
    for seed in 0..50 {
        let disk = Disk::new(seed);
        let crash = Some(runtime::sim::CrashPoint::Steps(20 + seed * 5));
        let options = Options { crash, ..Options::default() };
        let outcome = run(seed, &disk, &options, scenarios::echo(16));
        assert!(outcome.done().is_none(), "seed {seed} was over before its crash");
        assert_eq!(socket::stream_count(), 0);
        // Another run has a network of its own.
        on_disk(seed, &disk, scenarios::echo(2));
    }
}
