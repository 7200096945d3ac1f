//! What waits for a socket, and what wakes it.

use super::*;

#[test]
fn all_readers_are_woken_and_each_gets_its_byte() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let read = || registration.io(Direction::Read, read_one);
        let sum = executor.run(async {
            // All three have left their wakers before the bytes are written.
            let write = async {
                future::yield_now().await;
                ours.write_all(&[1, 2, 4]).unwrap();
            };
            let ((), ((a, b), c)) =
                future::zip(write, future::zip(future::zip(read(), read()), read())).await;
            a.unwrap() + b.unwrap() + c.unwrap()
        });
        assert_eq!(sum, 7);
    });
}

#[test]
fn a_cancelled_waiter_swallows_no_wake_up() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let waker: Waker = Arc::new(Count::default()).into();
        let mut cx = Context::from_waker(&waker);
        let mut cancelled = Box::pin(registration.ready(Direction::Read));
        assert!(cancelled.as_mut().poll(&mut cx).is_pending());
        let value = executor.run(async {
            let mut kept = pin!(registration.io(Direction::Read, read_one));
            assert!(future::poll_once(kept.as_mut()).await.is_none());
            drop(cancelled);
            ours.write_all(&[9]).unwrap();
            kept.await.unwrap()
        });
        assert_eq!(value, 9);
    });
}

#[test]
fn a_cancelled_future_takes_its_waker_back() {
    on_each(|executor| {
        let (_ours, registration) = registered_pair(&executor.driver());
        let count = Arc::new(Count::default());
        let waker: Waker = count.clone().into();
        let mut cx = Context::from_waker(&waker);
        let mut waiting = Box::pin(registration.ready(Direction::Read));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert_eq!(Arc::strong_count(&count), 3);
        drop(waiting);
        assert_eq!(Arc::strong_count(&count), 2);
    });
}

#[test]
fn closing_wakes_the_remaining_waiters() {
    on_each(|executor| {
        let (_ours, registration) = registered_pair(&executor.driver());
        let count = Arc::new(Count::default());
        let waker: Waker = count.clone().into();
        let mut cx = Context::from_waker(&waker);
        assert!(
            registration
                .poll_ready(&mut cx, Direction::Read)
                .is_pending()
        );
        drop(registration);
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn a_reused_descriptor_gets_no_event_of_its_predecessor() {
    on_each(|executor| {
        for _ in 0..50 {
            let (mut ours, old) = registered_pair(&executor.driver());
            ours.write_all(&[1]).unwrap();
            // The next socket gets its number and its slot.
            drop(old);
            let (mut ours, new) = registered_pair(&executor.driver());
            let value = executor.run(async {
                let mut read = pin!(new.io(Direction::Read, read_one));
                assert!(future::poll_once(read.as_mut()).await.is_none());
                ours.write_all(&[2]).unwrap();
                read.await.unwrap()
            });
            assert_eq!(value, 2);
        }
    });
}

#[test]
fn a_socket_that_stays_ready_costs_no_poll_of_its_own() {
    on_each(|executor| {
        executor.run(async {
            let (mut client, mut server) = connected(executor.driver()).await;
            client.write_all(&[1; 1000]).await.unwrap();
            server.readable().await.unwrap();
            let before = executor.polls.load(Ordering::Relaxed);
            // Reads that fill the buffer leave the socket ready.
            for _ in 0..10 {
                let mut buffer = [0; 100];
                server.read_exact(&mut buffer).await.unwrap();
            }
            assert_eq!(executor.polls.load(Ordering::Relaxed), before);
        });
    });
}

#[test]
fn poll_fn_readers_are_woken_by_one_edge() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        executor.run(async {
            let mut asked = false;
            poll_fn(|cx| {
                let polled = registration.poll_ready(cx, Direction::Read);
                if !std::mem::replace(&mut asked, true) {
                    assert!(polled.is_pending());
                    ours.write_all(&[1]).unwrap();
                }
                polled.map(drop)
            })
            .await;
        });
        let mut byte = [0];
        let _ = ours.set_nonblocking(true);
        assert!(ours.read(&mut byte).is_err());
    });
}
