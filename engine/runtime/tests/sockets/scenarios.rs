//! What is expected of sockets under every driver, as futures that assert it.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use runtime::clock;
use runtime::local::Notify;
use runtime::socket::{
    self, ListenOptions, Listener, Sharing, SocketErrorKind, SocketOperation, Stream,
};
use runtime::task::{self, Task};

/// Any free port.
pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn listen() -> Listener {
    let options = ListenOptions { backlog: 1024, sharing: Sharing::Alone };
    socket::listen(loopback(), options).unwrap()
}

/// Both ends of a new connection: who connected first, who accepted second.
pub(crate) async fn pair() -> (Stream, Stream) {
    let mut listener = listen();
    let address = listener.local_address();
    let near = task::spawn(async move { socket::connect(address).await.unwrap() });
    let far = listener.accept().await.unwrap();
    let near = near.await;
    assert_eq!(near.peer_address(), address);
    (near, far)
}

/// All that comes before the end.
pub(crate) async fn recv_to_end(stream: &Stream, piece: usize) -> Vec<u8> {
    let mut piece = vec![0; piece];
    let mut all = Vec::new();
    loop {
        match stream.recv(&mut piece).await.unwrap() {
            0 => return all,
            bytes => all.extend_from_slice(&piece[..bytes]),
        }
    }
}

async fn recv_exact(stream: &Stream, bytes: usize) -> Vec<u8> {
    let mut all = vec![0; bytes];
    let mut done = 0;
    while done < bytes {
        let more = stream.recv(&mut all[done..]).await.unwrap();
        assert!(more > 0, "the end came after {done} bytes of {bytes}");
        done += more;
    }
    all
}

/// Bytes that differ from place to place and from one `salt` to another.
pub(crate) fn pattern(bytes: usize, salt: usize) -> Vec<u8> {
    (0..bytes).map(|place| ((place + salt) % 251) as u8).collect()
}

/// Echoes on as many connections at once, each three messages one after the other.
pub(crate) async fn echo(connections: usize) {
    let before = socket::stream_count();
    let mut listener = listen();
    let address = listener.local_address();
    let clients: Vec<Task<()>> = (0..connections)
        .map(|number| {
            task::spawn(async move {
                let stream = socket::connect(address).await.unwrap();
                for message in 0..3 {
                    let sent = pattern(1 + (number * 97 + message * 1013) % 3000, number);
                    stream.send_all(&sent).await.unwrap();
                    assert_eq!(recv_exact(&stream, sent.len()).await, sent);
                }
                stream.shutdown_send().unwrap();
                assert_eq!(stream.recv(&mut [0; 1]).await.unwrap(), 0);
            })
        })
        .collect();
    let mut served = Vec::new();
    for _ in 0..connections {
        let stream = listener.accept().await.unwrap();
        served.push(task::spawn(async move {
            let mut buffer = [0; 700];
            loop {
                match stream.recv(&mut buffer).await.unwrap() {
                    0 => return,
                    bytes => stream.send_all(&buffer[..bytes]).await.unwrap(),
                }
            }
        }));
    }
    for done in clients.into_iter().chain(served) {
        done.await;
    }
    assert_eq!(socket::stream_count(), before);
}

/// A sender fills all that lies between before the receiver takes anything.
pub(crate) async fn a_slow_reader_gets_everything(bytes: usize) {
    let (near, far) = pair().await;
    let is_full = Rc::new(Notify::new());
    let full = Rc::clone(&is_full);
    let sender = task::spawn(async move {
        let all = pattern(bytes, 5);
        let mut sent = 0;
        let mut calls = 0;
        while sent < bytes {
            sent += poll_fn(|context| {
                let polled = near.poll_send(context, &all[sent..]);
                if polled.is_pending() {
                    full.notify_all();
                }
                polled
            })
            .await
            .unwrap();
            calls += 1;
        }
        calls
    });
    is_full.notified().await;
    assert_eq!(recv_to_end(&far, 10_000).await, pattern(bytes, 5));
    assert!(sender.await > 1, "the sender was never in the reader's way");
}

/// Slices go out in their order, empty ones among them.
pub(crate) async fn slices_arrive_in_order() {
    let (near, far) = pair().await;
    let receiver = task::spawn(async move { recv_to_end(&far, 999).await });
    let parts: Vec<Vec<u8>> = (0..1500).map(|part| pattern(part % 40, part)).collect();
    let whole = parts.concat();
    let mut sent = 0;
    while sent < whole.len() {
        let mut skipped = sent;
        let rest: Vec<IoSlice<'_>> = parts
            .iter()
            .map(|part| {
                let skip = skipped.min(part.len());
                skipped -= skip;
                IoSlice::new(&part[skip..])
            })
            .collect();
        sent += poll_fn(|context| near.poll_send_vectored(context, &rest)).await.unwrap();
    }
    let none = [IoSlice::new(&[]), IoSlice::new(&[])];
    assert_eq!(poll_fn(|context| near.poll_send_vectored(context, &none)).await, Ok(0));
    assert_eq!(poll_fn(|context| near.poll_send(context, &[])).await, Ok(0));
    drop(near);
    assert_eq!(receiver.await, whole);
}

/// One side has ended its sending and still receives.
pub(crate) async fn half_closed_connections_go_on() {
    let (near, far) = pair().await;
    near.send_all(b"question").await.unwrap();
    near.shutdown_send().unwrap();
    let error = near.send_all(b"more").await.unwrap_err();
    assert_eq!((error.operation, error.kind), (SocketOperation::Send, SocketErrorKind::BrokenPipe));
    assert_eq!(recv_to_end(&far, 3).await, b"question");
    // The end stays.
    assert_eq!(far.recv(&mut [0; 8]).await, Ok(0));
    far.send_all(b"answer").await.unwrap();
    drop(far);
    assert_eq!(recv_to_end(&near, 100).await, b"answer");
}

async fn expect_reset(stream: &Stream) {
    let error = stream.recv(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind, SocketErrorKind::ConnectionReset);
    assert_eq!(error.operation, SocketOperation::Receive);
    assert_eq!(error.address, stream.peer_address());
    let error = stream.send_all(b"late").await.unwrap_err();
    assert_eq!(error.kind, SocketErrorKind::BrokenPipe);
    assert_eq!(stream.recv(&mut [0; 8]).await, Ok(0), "it is told once");
    assert_eq!(stream.shutdown_send(), Ok(()), "there is nothing to end");
}

/// Who aborts, and who closes with bytes unread, resets.
pub(crate) async fn resets_are_told_once() {
    let (near, far) = pair().await;
    far.abort();
    expect_reset(&near).await;

    let (near, far) = pair().await;
    near.send_all(b"never read").await.unwrap();
    assert_eq!(far.recv(&mut [0; 1]).await, Ok(1));
    // All of them have arrived by then: the kernel's loopback is done within the call that sends.
    clock::sleep(Duration::from_millis(1)).await;
    drop(far);
    expect_reset(&near).await;

    // A task that waits to receive hears of it.
    let (near, far) = pair().await;
    let waiting = task::spawn(async move { expect_reset(&near).await });
    task::yield_now().await;
    far.abort();
    waiting.await;
}

/// Sending into a connection that the peer has closed ends in an error, not in silence.
pub(crate) async fn a_closed_peer_is_noticed() {
    let (near, far) = pair().await;
    drop(far);
    let error = loop {
        match near.send_all(&[7; 1000]).await {
            Ok(()) => clock::sleep(Duration::from_millis(1)).await,
            Err(error) => break error,
        }
    };
    let kinds = [SocketErrorKind::ConnectionReset, SocketErrorKind::BrokenPipe];
    assert!(kinds.contains(&error.kind), "{error}");
}

/// Futures that are dropped while they wait lose neither bytes nor connections.
pub(crate) async fn dropped_futures_lose_nothing() {
    let soon = || clock::now() + Duration::from_millis(2);
    let mut listener = listen();
    let address = listener.local_address();
    assert!(clock::timeout_at(soon(), listener.accept()).await.is_none());
    let near = task::spawn(async move { socket::connect(address).await.unwrap() });
    let far = listener.accept().await.unwrap();
    let near = near.await;
    let mut buffer = vec![0; 100];
    assert!(clock::timeout_at(soon(), far.recv(&mut buffer)).await.is_none());
    // Whoever wrote into it now would write into freed memory.
    drop(buffer);
    near.send_all(b"later").await.unwrap();
    assert_eq!(recv_exact(&far, 5).await, b"later");
    assert!(clock::timeout_at(soon(), far.recv(&mut [0; 4])).await.is_none());
    // Closed with a wait under way.
    drop(far);
    assert_eq!(near.recv(&mut [0; 4]).await, Ok(0));
}

/// One task receives while another sends, over one stream.
pub(crate) async fn two_tasks_share_a_stream() {
    let (near, far) = pair().await;
    let (near, far) = (Rc::new(near), Rc::new(far));
    let sent = pattern(300_000, 1);
    let mut tasks = Vec::new();
    for end in [near, far] {
        let (receiving, expected) = (Rc::clone(&end), sent.clone());
        tasks.push(task::spawn(async move {
            assert_eq!(recv_exact(&receiving, expected.len()).await, expected);
        }));
        let sent = sent.clone();
        tasks.push(task::spawn(async move { end.send_all(&sent).await.unwrap() }));
    }
    for task in tasks {
        task.await;
    }
}

/// All that fit into the backlog wait until they are accepted.
pub(crate) async fn many_wait_to_be_accepted(count: usize) {
    let mut listener = listen();
    let address = listener.local_address();
    let mut near = Vec::new();
    for _ in 0..count {
        near.push(socket::connect(address).await.unwrap());
    }
    let mut peers = Vec::new();
    let mut far = Vec::new();
    for _ in 0..count {
        let stream = listener.accept().await.unwrap();
        peers.push(stream.peer_address());
        far.push(stream);
    }
    peers.sort_unstable();
    peers.dedup();
    assert_eq!(peers.len(), count);
    assert_eq!(socket::stream_count(), 2 * count);
    drop(near);
    for stream in far {
        assert_eq!(stream.recv(&mut [0; 1]).await, Ok(0));
    }
}

/// Ports that are taken, addresses that are not ours, and nobody there.
pub(crate) async fn refusals_have_names() {
    let kind = |result: Result<Listener, socket::SocketError>| {
        let error = result.err().unwrap();
        assert_eq!(error.operation, SocketOperation::Listen);
        error.kind
    };
    let alone = ListenOptions { backlog: 8, sharing: Sharing::Alone };
    let shared = ListenOptions { backlog: 8, sharing: Sharing::PerCore };
    let listener = listen();
    let address = listener.local_address();
    assert_eq!(kind(socket::listen(address, alone)), SocketErrorKind::AddressInUse);
    assert_eq!(kind(socket::listen(address, shared)), SocketErrorKind::AddressInUse);
    assert_eq!(socket::check_free(address).unwrap_err().kind, SocketErrorKind::AddressInUse);
    drop(listener);
    // As soon as the kernel has ended the wait that was under way.
    while socket::check_free(address).is_err() {
        clock::sleep(Duration::from_millis(1)).await;
    }
    let first = socket::listen(address, shared).unwrap();
    let second = socket::listen(address, shared).unwrap();
    assert_eq!(first.local_address(), second.local_address());
    assert_eq!(kind(socket::listen(address, alone)), SocketErrorKind::AddressInUse);
    drop((first, second));
    // TEST-NET-1: no machine has it.
    let elsewhere = "192.0.2.1:80".parse().unwrap();
    assert_eq!(kind(socket::listen(elsewhere, alone)), SocketErrorKind::AddressNotAvailable);
    let error = socket::connect(address).await.unwrap_err();
    assert_eq!(error.kind, SocketErrorKind::ConnectionRefused);
    assert_eq!((error.operation, error.address), (SocketOperation::Connect, address));
}

/// A task that is always served gives way to the others: the end of a stream never waits.
pub(crate) async fn who_never_waits_gives_way() {
    let (near, far) = pair().await;
    drop(far);
    let fired = Rc::new(Cell::new(false));
    let flag = Rc::clone(&fired);
    drop(task::spawn(async move {
        clock::sleep(Duration::from_millis(2)).await;
        flag.set(true);
    }));
    let mut buffer = [0; 16];
    while !fired.get() {
        assert_eq!(near.recv(&mut buffer).await, Ok(0));
    }
    assert_eq!(poll_fn(|context| near.poll_recv(context, &mut [])).await, Ok(0));
}
