//! A process that runs out of file descriptors. Alone in its process: the limit is all threads'.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::time::Duration;

use runtime::clock;
use runtime::cores::{self, CoreConfig};
use runtime::socket::{self, ListenOptions, Sharing, SocketErrorKind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn who_accepts_without_descriptors_hears_it_rests_and_goes_on() {
    let config = CoreConfig { name: "test".to_owned(), cpu: None, io_memory_bytes: 4096 };
    cores::block_on(config, || async {
        let options = ListenOptions { backlog: 8, sharing: Sharing::Alone };
        let mut listener = socket::listen("127.0.0.1:0".parse().unwrap(), options).unwrap();
        let address = listener.local_address();
        let first = socket::connect(address).await.unwrap();
        let second = socket::connect(address).await.unwrap();
        let far = listener.accept().await.unwrap();

        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..before }).unwrap();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.kind, SocketErrorKind::NoDescriptor);
        let refused_at = clock::now();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.kind, SocketErrorKind::NoDescriptor);
        assert!(clock::now() - refused_at >= Duration::from_millis(50));
        let error = socket::connect(address).await.unwrap_err();
        assert_eq!(error.kind, SocketErrorKind::NoDescriptor);

        setrlimit(Resource::Nofile, before).unwrap();
        let other = listener.accept().await.unwrap();
        for (near, far) in [(first, far), (second, other)] {
            near.send_all(b"x").await.unwrap();
            assert_eq!(far.recv(&mut [0; 4]).await, Ok(1));
        }
    })
    .expect("the tests need io_uring");
}
