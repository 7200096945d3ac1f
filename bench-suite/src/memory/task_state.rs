//! The states of the tasks whose memory is measured.

use clap::ValueEnum;
use serde::Serialize;

/// The state of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// They wait for something that never happens.
    Idle,
    /// They sleep.
    Timer,
    /// They wait for a connection's first byte.
    Socket,
    /// They have used a kilobyte of stack, and then wait.
    Stack,
}

impl TaskState {
    pub(super) const ALL: [Self; 4] = [Self::Idle, Self::Timer, Self::Socket, Self::Stack];

    pub(super) fn workload(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Timer => "idle-timer",
            Self::Socket => "idle-socket",
            Self::Stack => "idle-stack",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Timer => "with a timer",
            Self::Socket => "with a socket (the kernel's part is of both ends)",
            Self::Stack => "after 1 KB of stack was used",
        }
    }
}
