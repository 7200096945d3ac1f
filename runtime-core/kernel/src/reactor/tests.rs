//! What only the reactor itself can observe. The library's socket tests cover how sockets wait with each driver.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, Waker};

use super::readiness::ready;
use super::*;
use crate::context::IoDriver;

#[test]
fn readiness_cleared_late_does_not_erase_a_newer_event() {
    let mut reactors = vec![Reactor::polling_once_per_request().unwrap()];
    reactors.extend(
        ReactorKind::ALL
            .iter()
            .map(|kind| Reactor::new(*kind).unwrap()),
    );
    for reactor in reactors {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let driver = IoDriver::Reactor(reactor.clone());
        let registration = Registration::new(theirs.into(), &driver, Initially::Waiting).unwrap();
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        // A request, for a backend that needs one.
        let _ = registration.poll_ready(&mut cx, Direction::Read);
        ours.write_all(&[1]).unwrap();
        while registration
            .poll_ready(&mut cx, Direction::Read)
            .is_pending()
        {
            reactor.poll(None).unwrap();
        }
        let Poll::Ready(Ok(seen)) = registration.poll_ready(&mut cx, Direction::Read) else {
            panic!("it is ready");
        };
        let token = registration.token().expect("it is with a reactor");
        assert!(reactor.sources.dispatch(token, ready::READABLE));
        registration.clear_ready(seen);
        assert!(registration.poll_ready(&mut cx, Direction::Read).is_ready());
    }
}
