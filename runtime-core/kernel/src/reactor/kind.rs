//! The backend of a reactor.

use std::fmt;
use std::str::FromStr;

/// The backend that asks the kernel for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReactorKind {
    /// Our own use of Linux's epoll: one system call per poll.
    Epoll,
    /// The `polling` crate, which has a backend for every Unix.
    Polling,
}

impl ReactorKind {
    /// All kinds that this platform has, the default first.
    pub const ALL: &[Self] = if cfg!(target_os = "linux") {
        &[Self::Epoll, Self::Polling]
    } else {
        &[Self::Polling]
    };
}

impl Default for ReactorKind {
    /// `Epoll` on Linux, `Polling` elsewhere.
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl fmt::Display for ReactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Epoll => "epoll",
            Self::Polling => "polling",
        })
    }
}

/// The text does not name a [`ReactorKind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownReactorKind(String);

impl fmt::Display for UnknownReactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no reactor is called `{}`: use `epoll` or `polling`",
            self.0
        )
    }
}

impl std::error::Error for UnknownReactorKind {}

impl FromStr for ReactorKind {
    type Err = UnknownReactorKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "epoll" => Ok(Self::Epoll),
            "polling" => Ok(Self::Polling),
            _ => Err(UnknownReactorKind(text.to_owned())),
        }
    }
}
