//! A future that waits for a socket may be polled on one thread and then on another. It waits on one of them at a time,
//! so that leaving costs the same however many threads wait for that socket.

use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;

use futures_lite::future::poll_once;
use runtime_core::net::UdpSocket;
use runtime_core::reactor::own_thread::ThreadParker;
use runtime_core::spawn;
use runtime_core::sync::oneshot;
use runtime_threads::Runtime;

/// Whether the calling thread waits for so many sockets.
fn waits_for(sockets: usize) -> bool {
    let parker = format!("{:?}", ThreadParker::current_or_install());
    parker.contains(&format!("interests: {sockets}, .."))
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

#[test]
fn a_future_that_another_thread_polls_waits_only_there() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async move {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut waits: Wait = Box::pin(async move { _ = socket.recv_from(&mut [0]).await });
        assert!(waits_for(0));
        assert!(poll_once(&mut waits).await.is_none());
        assert!(waits_for(1));
        let (leave, left) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let other = spawn(async move {
            assert!(poll_once(&mut waits).await.is_none());
            assert!(waits_for(1));
            tell.send(()).unwrap();
            left.await.unwrap();
            drop(waits);
            assert!(waits_for(0));
        });
        told.await.unwrap();
        assert!(waits_for(0), "it still waits here");
        leave.send(()).unwrap();
        other.await.unwrap();
    });
}
