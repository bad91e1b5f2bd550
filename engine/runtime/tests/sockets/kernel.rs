//! The scenarios over the kernel's loopback, and cores that end with sockets open.

use std::sync::mpsc;

use super::scenarios::{self, listen, loopback, pair, recv_to_end};
use runtime::cores::{self, CoreConfig};
use runtime::mesh;
use runtime::socket::{self, ListenOptions, Sharing};
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
fn echoes_come_back_on_one_connection_and_on_a_thousand() {
    on_a_core(|| scenarios::echo(1));
    on_a_core(|| scenarios::echo(64));
    on_a_core(|| scenarios::echo(1000));
}

#[test]
fn a_slow_reader_gets_all_of_8_mib() {
    on_a_core(|| scenarios::a_slow_reader_gets_everything(8 << 20));
}

#[test]
fn slices_arrive_in_order() {
    on_a_core(scenarios::slices_arrive_in_order);
}

#[test]
fn half_closed_connections_go_on() {
    on_a_core(scenarios::half_closed_connections_go_on);
}

#[test]
fn resets_are_told_once() {
    on_a_core(scenarios::resets_are_told_once);
}

#[test]
fn a_closed_peer_is_noticed() {
    on_a_core(scenarios::a_closed_peer_is_noticed);
}

#[test]
fn dropped_futures_lose_nothing() {
    on_a_core(scenarios::dropped_futures_lose_nothing);
}

#[test]
fn two_tasks_share_a_stream() {
    on_a_core(scenarios::two_tasks_share_a_stream);
}

#[test]
fn many_wait_to_be_accepted() {
    on_a_core(|| scenarios::many_wait_to_be_accepted(1000));
}

#[test]
fn refusals_have_names() {
    on_a_core(scenarios::refusals_have_names);
}

#[test]
fn who_never_waits_gives_way() {
    on_a_core(scenarios::who_never_waits_gives_way);
}

#[test]
fn six_is_as_good_as_four() {
    on_a_core(|| async {
        let options = ListenOptions { backlog: 8, sharing: Sharing::Alone };
        let mut listener = socket::listen("[::1]:0".parse().unwrap(), options).unwrap();
        let near = socket::connect(listener.local_address()).await.unwrap();
        near.send_all(b"six").await.unwrap();
        drop(near);
        let far = listener.accept().await.unwrap();
        assert!(far.peer_address().is_ipv6());
        assert_eq!(recv_to_end(&far, 2).await, b"six");
    });
}

/// Each core has a listener of its own on one port, and the kernel spreads the connections.
#[test]
fn two_cores_listen_on_one_port() {
    const CONNECTIONS: usize = 200;

    let options = ListenOptions { backlog: 1024, sharing: Sharing::PerCore };
    let (bound, address) = mpsc::channel();
    let mut address_of_first = None;
    let mut servers = Vec::new();
    let mut stops = Vec::new();
    for number in 0..2u8 {
        let (stop, mut stopped) = mesh::channel::<()>(1);
        let bound = bound.clone();
        let main = move || async move {
            let at = address_of_first.unwrap_or_else(loopback);
            let mut listener = socket::listen(at, options).unwrap();
            bound.send(listener.local_address()).unwrap();
            drop(task::spawn(async move {
                loop {
                    let stream = listener.accept().await.unwrap();
                    drop(task::spawn(async move { stream.send_all(&[number]).await.unwrap() }));
                }
            }));
            stopped.recv().await
        };
        servers.push(cores::start(config(&format!("server{number}")), main).unwrap());
        stops.push(stop);
        address_of_first = Some(address.recv().unwrap());
    }
    let address = address_of_first.unwrap();
    let served = on_a_core(move || async move {
        let mut served = [0; 2];
        for _ in 0..CONNECTIONS {
            let stream = socket::connect(address).await.unwrap();
            let answer = recv_to_end(&stream, 8).await;
            served[usize::from(answer[0])] += 1;
        }
        served
    });
    assert_eq!(served[0] + served[1], CONNECTIONS);
    assert!(served[0] > 0 && served[1] > 0, "{served:?}");
    drop(stops);
    for server in servers {
        assert_eq!(server.join(), None);
    }
}

/// A wait that nothing ends must not keep its core, whoever holds the socket by then.
#[test]
fn a_core_ends_with_sockets_that_wait() {
    let (kept, listener) = on_a_core(|| async {
        let (near, far) = pair().await;
        let mut idle = listen();
        drop(task::spawn(async move {
            let accepted = idle.accept().await;
            panic!("nobody connects: {accepted:?}");
        }));
        let waiting = std::rc::Rc::new(near);
        let kept = std::rc::Rc::clone(&waiting);
        drop(task::spawn(async move {
            let received = waiting.recv(&mut [0; 8]).await;
            panic!("nobody sends: {received:?}");
        }));
        for _ in 0..10 {
            task::yield_now().await;
        }
        // An operation of a file's kind, so that the waits are in the kernel's hands by now.
        task::blocking(|| ()).await;
        ((kept, far), listen())
    });
    // They outlive their core, and another core can go on with them.
    let received = on_a_core(move || async move {
        let (near, far) = kept;
        far.send_all(b"still there").await.unwrap();
        drop(far);
        let near = std::rc::Rc::try_unwrap(near).unwrap();
        recv_to_end(&near, 100).await
    });
    assert_eq!(received, b"still there");
    drop(listener);
}
