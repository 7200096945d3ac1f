//! A signal as a stream.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use rustix::net::{RecvFlags, recv};
use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};

use super::kind::SignalKind;
use super::stack::use_signal_stack;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context::{self, IoDriver};
use runtime_kernel::reactor::{Direction, Initially, Registration};

/// Listens to signals of `kind`, from now on. Any number of streams may listen to one kind, and each gets all
/// signals. asyncio's `loop.add_signal_handler`.
///
/// This disables the signal's default action, which stays disabled when the stream is dropped.
///
/// Cost: two descriptors and a registration; for each signal, the handler writes a byte to each stream of its kind.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a kind that [can't be received](SignalKind::can_be_received) or
/// does not exist; otherwise when descriptors are exhausted.
///
/// # Panics
/// Outside a runtime.
///
/// ```no_run
/// use runtime_core::signal::{SignalKind, signal};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut reload = signal(SignalKind::HANGUP)?;
/// while reload.recv().await.is_some() {
///     println!("reading the configuration again");
/// }
/// # Ok(())
/// # }
/// ```
pub fn signal(kind: SignalKind) -> io::Result<SignalStream> {
    let driver = context::with("signal", |ambient| ambient.io_driver());
    SignalStream::new(kind, &driver)
}

/// Completes at the next `SIGINT`, which Ctrl-C sends. From the first poll on, the signal no longer ends the program.
///
/// Cancel safe, but a signal between two calls is lost: if that matters, create one stream with [`signal`].
///
/// # Errors
/// The same as those of [`signal`], and when the runtime has shut down.
///
/// # Panics
/// Outside a runtime.
///
/// ```no_run
/// use runtime_core::signal::ctrl_c;
///
/// # async fn example() -> std::io::Result<()> {
/// let working = runtime_core::spawn(async { /* serve */ });
/// ctrl_c().await?;
/// working.abort();
/// # Ok(())
/// # }
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    let mut signals = match signal(SignalKind::INTERRUPT) {
        Ok(signals) => signals,
        Err(error) => {
            consume_budget().await;
            return Err(error);
        }
    };
    match signals.recv().await {
        Some(()) => Ok(()),
        None => Err(io::Error::other("the runtime has shut down")),
    }
}

/// Signals of one kind, created by [`signal`]. It ends only with its runtime.
#[must_use = "a dropped stream hears nothing"]
pub struct SignalStream {
    kind: SignalKind,
    registered: SigId,
    /// Our end of the pair; the handler writes to the other one.
    bytes: Registration,
}

impl SignalStream {
    pub(crate) fn new(kind: SignalKind, driver: &IoDriver) -> io::Result<Self> {
        if !kind.can_be_received() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{kind} can't be received by a program"),
            ));
        }
        let (handlers, ours) = UnixStream::pair()?;
        handlers.set_nonblocking(true)?;
        ours.set_nonblocking(true)?;
        let bytes = Registration::new(ours.into(), driver, Initially::Waiting)?;
        let stream = Self {
            kind,
            registered: pipe::register(kind.as_raw(), handlers)?,
            bytes,
        };
        use_signal_stack(kind)?;
        Ok(stream)
    }

    /// The kind of signals that it receives.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    /// Waits for the next signal; all signals since the last time count as one. `None` when the runtime has shut
    /// down.
    ///
    /// Cancel safe: a dropped `recv` loses no signal.
    pub async fn recv(&mut self) -> Option<()> {
        self.bytes.io(Direction::Read, take_all).await.ok()
    }
}

impl Stream for SignalStream {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let taken = self.bytes.poll_io(cx, Direction::Read, take_all);
        taken.map(Result::ok)
    }
}

/// Empties the pair; "would block" if it is already empty.
fn take_all(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut bytes = [0; 64];
    let (mut taken, _) = recv(fd, &mut bytes, RecvFlags::DONTWAIT)?;
    while taken == bytes.len() {
        taken = recv(fd, &mut bytes, RecvFlags::DONTWAIT).map_or(0, |(more, _)| more);
    }
    Ok(())
}

impl Drop for SignalStream {
    fn drop(&mut self) {
        // This also closes the handler's end.
        unregister(self.registered);
    }
}

impl fmt::Debug for SignalStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalStream")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
