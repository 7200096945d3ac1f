//! Simulated time together with sockets, which belong to the real world.

use super::*;

/// 9: no time limit is reached while two tasks exchange data over sockets. These are Unix sockets: data that is
/// written to one is in the other at once, whereas over TCP the kernel may take some time, even on the same machine.
pub fn c09_time_stands_still_beside_a_socket_that_is_ready<S: ClockSubject>() {
    const ROUNDS: u32 = 300;
    run::<S, _>(|rt| async move {
        let start = now();
        let (mut stream, mut far) = UnixStream::pair().expect("two sockets");
        let server = rt.spawn(async move {
            let mut bytes = [0; 4];
            for _ in 0..ROUNDS {
                let read = timeout(MS, far.read_exact(&mut bytes)).await;
                read.expect("in time").expect("a request");
                far.write_all(&bytes).await.expect("an answer");
            }
        });
        for round in 0..ROUNDS {
            stream
                .write_all(&round.to_le_bytes())
                .await
                .expect("a request");
            let mut bytes = [0; 4];
            let read = timeout(MS, stream.read_exact(&mut bytes)).await;
            read.expect("in time").expect("an answer");
            assert_eq!(u32::from_le_bytes(bytes), round);
        }
        server.await.expect("the server");
        assert_eq!(now(), start);
    });
}

/// 9: the same holds if so many sockets are ready that the kernel does not report all at once.
pub fn c09_time_stands_still_beside_many_sockets_that_are_ready<S: ClockSubject>() {
    run::<S, _>(|rt| async move {
        let start = now();
        // All of them are writable, but nobody waits for that.
        let pairs = (0..100).map(|_| UnixStream::pair().expect("two sockets"));
        let pairs: Vec<_> = pairs.collect();
        let (mut near, mut far) = UnixStream::pair().expect("two sockets");
        let reader = rt.spawn(async move {
            let mut byte = [0];
            let read = timeout(MS, far.read_exact(&mut byte)).await;
            read.expect("in time").expect("a byte");
        });
        // The reader waits by now, except under 1:1.
        rt.yield_now().await;
        near.write_all(&[1]).await.expect("it is written");
        reader.await.expect("the reader");
        assert_eq!(now(), start);
        drop(pairs);
    });
}

/// 9: a time limit on a socket that never becomes ready is reached.
pub fn c09_a_limit_over_an_idle_socket_is_reached<S: ClockSubject>() {
    run::<S, _>(|rt| async move {
        let start = now();
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = rt.bind(address).await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let (near, far) = futures_lite::future::zip(rt.connect(address), listener.accept()).await;
        let (mut near, far) = (near.expect("a connection"), far.expect("a connection"));
        assert_eq!(now(), start);
        assert!(timeout(HOUR, near.read(&mut [0])).await.is_err());
        assert_is_now(start + HOUR);
        assert!(timeout(HOUR, listener.accept()).await.is_err());
        drop(far);
        assert_eq!(
            timeout(HOUR, near.read(&mut [0]))
                .await
                .expect("its end")
                .ok(),
            Some(0)
        );
    });
}
