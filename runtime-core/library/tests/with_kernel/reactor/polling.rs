//! The reactor as its scheduler sees it.

use super::*;

#[test]
fn events_beyond_one_polls_capacity_are_reported_by_the_next() {
    for (name, executor) in executors() {
        let Waits::Reactor(reactor) = &executor.waits else {
            continue;
        };
        let sockets = 3 * Reactor::EVENTS + 1;
        let pairs: Vec<_> = (0..sockets)
            .map(|_| registered_pair(&executor.driver()))
            .collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut is_readable = |(_, registration): &(UnixStream, Registration)| {
            registration.poll_ready(&mut cx, Direction::Read).is_ready()
        };
        // Requests, for a backend that needs them.
        assert_eq!(pairs.iter().filter(|it| is_readable(it)).count(), 0);
        // When sockets are registered, they are also reported as writable, and not all of them at once either.
        while reactor.poll(Some(Duration::ZERO)).unwrap().sockets > 0 {}
        for (ours, _) in &pairs {
            (&*ours).write_all(&[1]).unwrap();
        }
        let mut reported = 0;
        while reported < sockets {
            let more = reactor.poll(None).unwrap();
            let is_last = reported + more.sockets == sockets;
            let expected = if is_last { 1 } else { Reactor::EVENTS };
            assert_eq!((more.sockets, more.is_full), (expected, !is_last), "{name}");
            reported += more.sockets;
        }
        assert_eq!(pairs.iter().filter(|it| is_readable(it)).count(), sockets);
    }
}

#[test]
fn a_notify_breaks_a_poll_and_many_cost_one() {
    for (_, executor) in executors() {
        let Waits::Reactor(reactor) = executor.waits else {
            continue;
        };
        for _ in 0..100 {
            // Before the poll.
            for _ in 0..10 {
                reactor.notify();
            }
            assert_eq!(reactor.poll(None).unwrap(), Polled::default());
            // Used up: this poll waits for its full time.
            let start = Instant::now();
            let polled = reactor.poll(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(polled, Polled::default());
            assert!(start.elapsed() >= Duration::from_millis(1));
            // During or before it; the thread decides.
            let other = reactor.clone();
            let thread = std::thread::spawn(move || other.notify());
            reactor.poll(None).unwrap();
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_shut_down_reactor_fails_its_sockets() {
    for (_, executor) in executors() {
        let Waits::Reactor(reactor) = &executor.waits else {
            continue;
        };
        let (_ours, registration) = registered_pair(&executor.driver());
        let result = executor.run(async {
            let mut read = pin!(registration.io(Direction::Read, read_one));
            assert!(future::poll_once(read.as_mut()).await.is_none());
            reactor.shut_down();
            read.await
        });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Other);
        assert!(
            TcpListener::bind_on(executor.driver(), localhost(), BindOptions::default()).is_err()
        );
    }
}

#[test]
fn has_sources_follows_the_sockets() {
    for kind in ReactorKind::ALL {
        let reactor = Reactor::new(*kind).unwrap();
        let driver = IoDriver::Reactor(reactor.clone());
        assert!(!reactor.has_sources());
        let pairs: Vec<_> = (0..200).map(|_| registered_pair(&driver)).collect();
        assert!(reactor.has_sources());
        drop(pairs);
        assert!(!reactor.has_sources());
    }
}
