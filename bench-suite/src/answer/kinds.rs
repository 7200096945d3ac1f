//! Kinds of work, in a programmer's words.

/// What limits a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sockets,
    Fetching,
    Waiting,
    SmallTasks,
    Pieces,
    Neighbours,
    Switching,
}

impl Kind {
    /// The kind that a workload is an example of.
    pub(super) fn of(workload: &str) -> Option<Self> {
        Some(match workload {
            "echo" | "http" | "service" => Self::Sockets,
            "crawl" | "download" => Self::Fetching,
            "timers" | "idle" => Self::Waiting,
            "fib-spawn" | "fib-join" | "skynet-spawn" | "skynet-join" | "spawn" | "spawn-batch" => {
                Self::SmallTasks
            }
            "matmul" | "hash" | "nqueens" => Self::Pieces,
            "mixed" => Self::Neighbours,
            "yield" | "pingpong" | "lock" | "mutex-contended" | "semaphore" | "mpmc" => {
                Self::Switching
            }
            _ => return None,
        })
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Sockets => "Many sockets, little work each",
            Self::Fetching => "Fetching over the network",
            Self::Waiting => "Many tasks that wait",
            Self::SmallTasks => "Many small tasks, forked and joined",
            Self::Pieces => "Computing, cut into pieces",
            Self::Neighbours => "Answering beside tasks that compute",
            Self::Switching => "Tasks that wait for each other",
        }
    }
}
