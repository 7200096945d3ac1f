//! Linux: epoll, edge-triggered, one system call per poll.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::epoll_wait::Wait;
use super::polled::{EVENTS, Polled};
use super::readiness::ready;
use super::slab::Sources;
use super::token::Token;

/// The eventfd's token. No socket has it: see `Token::next_generation`.
const NOTIFIED: u64 = u64::MAX;

pub(super) struct Epoll {
    epoll: OwnedFd,
    eventfd: OwnedFd,
    wait: Wait,
    /// The eventfd's edge has been triggered and no poll has seen it yet: no need to trigger another.
    notified: AtomicBool,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered: each write is an edge, whatever the counter's value, so nobody has to read it.
        epoll::add(
            &epoll,
            &eventfd,
            EventData::new_u64(NOTIFIED),
            EventFlags::IN | EventFlags::ET,
        )?;
        Ok(Self {
            wait: Wait::probe(epoll.as_fd()),
            epoll,
            eventfd,
            notified: AtomicBool::new(false),
        })
    }

    pub(super) fn register(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(token.to_key() as u64),
            EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET,
        )?;
        Ok(())
    }

    pub(super) fn deregister(&self, fd: BorrowedFd<'_>) {
        // Closing also removes a descriptor, unless a duplicate lives on. An error needs no handling: the token's
        // generation filters out late events.
        let _ = epoll::delete(&self.epoll, fd);
    }

    pub(super) fn poll(&self, timeout: Option<Duration>, sources: &Sources) -> io::Result<Polled> {
        // On the stack and uninitialised: it costs nothing, and pollers share nothing.
        let mut buffer = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
        let events = match self.wait.wait(self.epoll.as_fd(), &mut buffer, timeout) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(Polled::default()),
            Err(error) => return Err(error.into()),
        };
        let is_full = events.len() == EVENTS;
        let mut sockets = 0;
        for &mut Event { flags, data } in events {
            if data.u64() == NOTIFIED {
                // Acquire pairs with the Release in `notify`: the caller, which checks its queues next, sees what was
                // queued before any `notify` that found the flag set.
                self.notified.swap(false, Ordering::AcqRel);
            } else {
                let token = Token::from_key(data.u64() as usize);
                sockets += usize::from(sources.dispatch(token, bits(flags)));
            }
        }
        Ok(Polled { sockets, is_full })
    }

    pub(super) fn notify(&self) {
        // Release pairs with the Acquire in `poll`.
        if !self.notified.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is full, and then the edge that filled it has yet to be reported.
            let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
        }
    }
}

fn bits(flags: EventFlags) -> u8 {
    let mut bits = 0;
    // An attempt in either direction collects an error. It may be transient (UDP), so it does not stick.
    if flags.intersects(EventFlags::IN | EventFlags::PRI | EventFlags::ERR) {
        bits |= ready::READABLE;
    }
    if flags.intersects(EventFlags::OUT | EventFlags::ERR) {
        bits |= ready::WRITABLE;
    }
    if flags.intersects(EventFlags::RDHUP | EventFlags::HUP) {
        bits |= ready::READ_CLOSED;
    }
    if flags.contains(EventFlags::HUP) {
        bits |= ready::WRITE_CLOSED;
    }
    bits
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_micros(300);
    /// Long enough for any machine; only a broken test waits that long.
    const TIME_LIMIT: Duration = Duration::from_secs(60);

    /// All three kinds of waits do what they should, whichever system call the kernel allows.
    fn check_waits(wait: Wait) {
        let epoll = Epoll {
            wait,
            ..Epoll::new().unwrap()
        };
        let sources = Sources::new();
        let began = Instant::now();
        assert_eq!(
            epoll.poll(Some(SHORT), &sources).unwrap(),
            Polled::default()
        );
        assert!(began.elapsed() >= SHORT);

        epoll.notify();
        assert_eq!(
            epoll.poll(Some(TIME_LIMIT), &sources).unwrap(),
            Polled::default()
        );
        epoll.notify();
        assert_eq!(epoll.poll(None, &sources).unwrap(), Polled::default());
        assert!(began.elapsed() < TIME_LIMIT, "each was ended by its notify");
        assert_eq!(
            epoll.poll(Some(Duration::ZERO), &sources).unwrap(),
            Polled::default()
        );
    }

    #[test]
    fn it_waits_to_the_nanosecond_by_epoll_pwait2() {
        check_waits(Wait::Pwait2);
    }

    #[test]
    fn it_waits_to_the_nanosecond_where_the_kernel_has_no_epoll_pwait2() {
        check_waits(Wait::Ppoll);
    }

    /// This also reads what the kernel has written.
    #[test]
    fn either_way_the_events_are_the_same() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"x").unwrap();
        for wait in [Wait::Pwait2, Wait::Ppoll] {
            let instance = epoll::create(CreateFlags::CLOEXEC).unwrap();
            epoll::add(&instance, &far, EventData::new_u64(7), EventFlags::IN).unwrap();
            let mut buffer = [const { MaybeUninit::<Event>::uninit() }; 4];
            for timeout in [None, Some(Duration::ZERO), Some(TIME_LIMIT)] {
                let events = wait.wait(instance.as_fd(), &mut buffer, timeout).unwrap();
                let [Event { flags, data }] = *events else {
                    panic!("one event: {}", events.len());
                };
                assert_eq!((flags, data.u64()), (EventFlags::IN, 7));
            }
        }
    }
}
