//! How the epoll reactor waits: with nanosecond precision, on every kernel.
//!
//! `epoll_pwait2` does that in one system call. Kernels before 5.11 lack it, some sandboxes forbid it, and plain
//! `epoll_wait` counts in milliseconds. There `ppoll`, which every kernel has, first waits for the epoll instance
//! itself.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use rustix::event::epoll::{self, Event};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::timespec::timespec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Pwait2,
    Ppoll,
}

const _: () = assert!(size_of::<Event>() == size_of::<libc::epoll_event>());

impl Wait {
    /// The best wait that the kernel allows.
    pub(super) fn probe(epoll: BorrowedFd<'_>) -> Self {
        let at_once = timespec(Duration::ZERO);
        // With no room for events, a kernel that knows the call reports `EINVAL`.
        match pwait2(epoll, &mut [], &at_once) {
            Err(Errno::INVAL) | Ok(_) => Self::Pwait2,
            Err(_) => Self::Ppoll,
        }
    }

    /// Waits for events, at most for `timeout` (`None`: for ever). Returns the events.
    pub(super) fn wait<'buffer>(
        self,
        epoll: BorrowedFd<'_>,
        buffer: &'buffer mut [MaybeUninit<Event>],
        timeout: Option<Duration>,
    ) -> Result<&'buffer mut [Event], Errno> {
        if let Some(timeout) = timeout
            && !timeout.is_zero()
        {
            let timeout = timespec(timeout);
            match self {
                Self::Pwait2 => {
                    let count = pwait2(epoll, buffer, &timeout)?;
                    // SAFETY: the kernel has written `count` events.
                    return Ok(unsafe { buffer[..count].assume_init_mut() });
                }
                Self::Ppoll => {
                    let mut instance = [PollFd::from_borrowed_fd(epoll, PollFlags::IN)];
                    rustix::event::poll(&mut instance, Some(&timeout))?;
                }
            }
        }
        // It either returns at once or waits for ever: milliseconds can express both.
        let timeout = if timeout.is_none() {
            None
        } else {
            Some(timespec(Duration::ZERO))
        };
        let (events, _) = epoll::wait(epoll.as_fd(), buffer, timeout.as_ref())?;
        Ok(events)
    }
}

fn pwait2(
    epoll: BorrowedFd<'_>,
    buffer: &mut [MaybeUninit<Event>],
    timeout: &Timespec,
) -> Result<usize, Errno> {
    // SAFETY: the kernel writes no more events than there is room for, reads the time, and gets no signal mask.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            buffer.as_mut_ptr(),
            libc::c_int::try_from(buffer.len()).unwrap_or(libc::c_int::MAX),
            ptr::from_ref(timeout),
            ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    usize::try_from(returned).map_err(|_| {
        let error = std::io::Error::last_os_error();
        Errno::from_io_error(&error).expect("the system's own error has a number")
    })
}
