//! What others can tell of threads that wait: whether they do, and whether they are about to be woken by a descriptor.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::io::Errno;

use super::super::timespec::timespec;
use super::{Interest, ThreadUnparker};

impl ThreadUnparker {
    /// Whether the owner sleeps, or is about to, and nobody has woken it. From any thread.
    pub fn is_asleep(&self) -> bool {
        self.shared.state.is_asleep()
    }

    /// Whether some descriptor is ready that one of the owners of `unparkers` awaits. One system call for all of them,
    /// and none if they await none. Nothing is noted and nobody is woken: an owner that sleeps is about to find out by
    /// itself.
    pub fn any_is_ready<'a>(unparkers: impl Iterator<Item = &'a Self>) -> bool {
        let mut sources = Vec::new();
        for unparker in unparkers {
            sources.extend(
                unparker
                    .shared
                    .interests
                    .lock()
                    .iter()
                    .map(Interest::to_poll),
            );
        }
        let mut fds: Vec<_> = sources
            .iter()
            .map(|(source, flags)| PollFd::from_borrowed_fd(source.as_fd(), *flags))
            .collect();
        if fds.is_empty() {
            return false;
        }
        let at_once = timespec(Duration::ZERO);
        loop {
            match rustix::event::poll(&mut fds, Some(&at_once)) {
                Ok(ready) => return ready > 0,
                Err(Errno::INTR) => {}
                // Out of kernel memory, or more descriptors than the limit: it is not known, and the owners will tell.
                Err(_) => return true,
            }
        }
    }
}
