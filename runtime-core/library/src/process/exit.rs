//! Waiting for a process's end.

use std::io;
use std::process::{Child, ExitStatus};

use crate::signal::{SignalKind, SignalStream};
use runtime_kernel::context::IoDriver;
use runtime_kernel::reactor::{Direction, Registration};

/// How we learn that a certain child may have ended.
pub(super) enum Exit {
    /// A descriptor that then becomes readable.
    Descriptor(Registration),
    /// A signal whenever any child ends.
    Signals(SignalStream),
}

impl Exit {
    /// For the child `id`, which was not waited for yet.
    pub(super) fn of(id: u32, driver: &IoDriver) -> io::Result<Self> {
        match descriptor(id, driver) {
            Ok(registration) => Ok(Self::Descriptor(registration)),
            // If descriptors are exhausted, the other way would fail too.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            Err(_) => Self::by_signals(driver),
        }
    }

    pub(super) fn by_signals(driver: &IoDriver) -> io::Result<Self> {
        Ok(Self::Signals(SignalStream::new(SignalKind::CHILD, driver)?))
    }

    /// Awaits the end of the child for which this was created. Cancel safe.
    pub(super) async fn wait(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        match self {
            Self::Descriptor(registration) => {
                let ask = |_: std::os::fd::BorrowedFd<'_>| {
                    child.try_wait()?.ok_or(io::ErrorKind::WouldBlock.into())
                };
                registration.io(Direction::Read, ask).await
            }
            Self::Signals(signals) => loop {
                // Checked after the stream was created, or after a signal: a child that ends later sends another
                // signal.
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
                if signals.recv().await.is_none() {
                    return Err(io::Error::other("the runtime has shut down"));
                }
            },
        }
    }
}

/// The child's `pidfd`, registered; [`Unsupported`](io::ErrorKind::Unsupported) where it is not available.
#[cfg(target_os = "linux")]
fn descriptor(id: u32, driver: &IoDriver) -> io::Result<Registration> {
    use runtime_kernel::reactor::Initially;
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::Unsupported)?;
    let fd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        // A kernel before Linux 5.3, or forbidden by a sandbox.
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL) => {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Err(error) => return Err(error.into()),
    };
    Registration::new(fd, driver, Initially::Waiting)
}

#[cfg(not(target_os = "linux"))]
fn descriptor(_: u32, _: &IoDriver) -> io::Result<Registration> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;
    use runtime_kernel::park::block_on_current_thread as block_on;
    use std::process::Command;

    #[test]
    fn waiting_by_signals_misses_no_exit() {
        let driver = IoDriver::OwnThread;
        for round in 0..50 {
            let script = if round % 2 == 0 {
                "exit 7"
            } else {
                "sleep 0.01; exit 7"
            };
            let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
            let mut exit = Exit::by_signals(&driver).unwrap();
            let status = block_on(exit.wait(&mut child)).unwrap();
            assert_eq!(status.code(), Some(7));
        }
    }
}
