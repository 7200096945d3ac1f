//! What other threads can find out about waiting threads: whether they sleep, and whether a descriptor is about to
//! wake them.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::io::Errno;

use super::super::timespec::timespec;
use super::{Awaited, ThreadUnparker};

impl ThreadUnparker {
    /// Whether the owner sleeps, or is about to, and nobody has woken it. You can call it from any thread.
    pub fn is_asleep(&self) -> bool {
        self.shared.state.is_asleep()
    }

    /// Whether a descriptor is ready that one of the owners of `unparkers` awaits. It makes one system call for all of
    /// them, or none if they await no descriptor. It records nothing and wakes nobody: a sleeping owner is about to
    /// notice by itself.
    pub fn any_is_ready<'a>(unparkers: impl Iterator<Item = &'a Self>) -> bool {
        let mut sources = Vec::new();
        for unparker in unparkers {
            sources.extend(unparker.shared.interests.lock().iter().map(Awaited::of));
        }
        let mut fds: Vec<_> = sources
            .iter()
            .map(|awaited| PollFd::from_borrowed_fd(awaited.source.as_fd(), awaited.flags))
            .collect();
        if fds.is_empty() {
            return false;
        }
        let at_once = timespec(Duration::ZERO);
        loop {
            match rustix::event::poll(&mut fds, Some(&at_once)) {
                Ok(ready) => return ready > 0,
                Err(Errno::INTR) => {}
                // Out of kernel memory, or more descriptors than the limit: unknown, so leave it to the owners.
                Err(_) => return true,
            }
        }
    }
}
