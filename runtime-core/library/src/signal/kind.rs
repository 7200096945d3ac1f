//! Kinds of signals.

use std::fmt;

use signal_hook::consts;

/// A kind of signal, by its number.
///
/// ```
/// use runtime_core::signal::SignalKind;
///
/// assert_eq!(SignalKind::TERMINATE.to_string(), "SIGTERM");
/// assert_eq!(SignalKind::from_raw(SignalKind::HANGUP.as_raw()), SignalKind::HANGUP);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// `SIGINT`: Ctrl-C.
    pub const INTERRUPT: Self = Self(consts::SIGINT);
    /// `SIGTERM`: the request to exit.
    pub const TERMINATE: Self = Self(consts::SIGTERM);
    /// `SIGHUP`: the terminal is gone; for daemons: read the configuration again.
    pub const HANGUP: Self = Self(consts::SIGHUP);
    /// `SIGQUIT`: Ctrl-\.
    pub const QUIT: Self = Self(consts::SIGQUIT);
    /// `SIGUSR1`: for the program's own use.
    pub const USER1: Self = Self(consts::SIGUSR1);
    /// `SIGUSR2`: for the program's own use.
    pub const USER2: Self = Self(consts::SIGUSR2);
    /// `SIGALRM`: a timer of `alarm` or `setitimer`.
    pub const ALARM: Self = Self(consts::SIGALRM);
    /// `SIGCHLD`: a child process has ended or stopped.
    pub const CHILD: Self = Self(consts::SIGCHLD);
    /// `SIGWINCH`: the terminal's size has changed.
    pub const WINDOW_CHANGE: Self = Self(consts::SIGWINCH);
    /// `SIGCONT`: the process was stopped and continues.
    pub const CONTINUE: Self = Self(consts::SIGCONT);
    /// `SIGKILL`: kills the process; you can send it but not receive it.
    pub const KILL: Self = Self(consts::SIGKILL);

    /// The kind with that number, whatever it means on this system.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// Whether a program may listen to it. It may not for `SIGKILL` and `SIGSTOP`, which can't be caught, nor for
    /// signals with which the processor reports an error, because returning from their handlers would repeat it.
    pub fn can_be_received(self) -> bool {
        !consts::FORBIDDEN.contains(&self.0)
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_hook::low_level::signal_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalKind({self})")
    }
}
