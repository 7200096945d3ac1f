//! The faults of the time machine: what released versions of other projects did, and what their release notes say.

use super::pathology::Bound;

/// A documented fault of a project with released versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Its folder in `zoo/versions`.
    pub(crate) family: &'static str,
    /// The measurement, in one line.
    pub(crate) measured: &'static str,
    pub(crate) bound: Bound,
    pub(crate) size: u64,
    /// The documentation of the fault.
    pub(crate) issue: &'static str,
    /// The expected result according to the documentation: each version in which the fault was fixed or came back.
    pub(crate) documented: &'static [Change],
}

/// A version in which something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) version: &'static str,
    /// True if the fault is absent from then on, false if it is present.
    pub(crate) gone: bool,
}

const fn gone(version: &'static str) -> Change {
    let gone = true;
    Change { version, gone }
}

const fn back(version: &'static str) -> Change {
    let gone = false;
    Change { version, gone }
}

pub(crate) const ALL: &[Fault] = &[
    Fault {
        name: "lifo-chain",
        family: "tokio",
        measured: "passes between two tasks that wake each other, before a neighbour has its first turn",
        bound: Bound::AtMost(100_000.0, "passes"),
        size: 1,
        issue: "https://github.com/tokio-rs/tokio/pull/5686",
        documented: &[gone("1.29.0")],
    },
    Fault {
        name: "lifo-hostage",
        family: "tokio",
        measured: "tasks that run while the task that woke them is still computing",
        bound: Bound::All("tasks"),
        size: 5,
        issue: "https://github.com/tokio-rs/tokio/pull/8100",
        documented: &[gone("1.51.0"), back("1.51.2")],
    },
    Fault {
        name: "yield-driver",
        family: "tokio",
        measured: "times that a task yields before one whose socket is ready has its turn",
        bound: Bound::AtMost(10.0, "yields"),
        size: 1,
        issue: "https://github.com/tokio-rs/tokio/pull/5223",
        documented: &[gone("1.23.0")],
    },
    Fault {
        name: "futures-unordered",
        family: "futures",
        measured: "polls of each of 10,000 futures that take one lock of tokio 1.14, in a `FuturesUnordered`",
        bound: Bound::AtMost(20.0, "polls"),
        size: 10_000,
        issue: "https://github.com/rust-lang/futures-rs/issues/2526",
        documented: &[gone("0.3.19")],
    },
    Fault {
        name: "panic-storm",
        family: "async-executor",
        measured: "panics that reach the task that awaits the panicking task",
        bound: Bound::All("panics"),
        size: 100,
        issue: "https://github.com/smol-rs/async-executor/pull/78",
        documented: &[gone("1.8.0")],
    },
    Fault {
        name: "idle-pool",
        family: "rayon",
        measured: "CPU each time that a pool of 8 threads is given nothing to do, a thousand times a second",
        bound: Bound::AtMost(200.0, "us each"),
        size: 1_000,
        issue: "https://github.com/rayon-rs/rayon/issues/642",
        documented: &[gone("1.8.0")],
    },
    Fault {
        name: "cancelled-timers",
        family: "go",
        measured: "memory that remains for each of a million `time.After` of an hour that nobody waits for any more",
        bound: Bound::AtMost(32.0, "bytes each"),
        size: 1_000_000,
        issue: "https://github.com/golang/go/issues/15698",
        documented: &[gone("1.23.1")],
    },
    Fault {
        name: "microtask-order",
        family: "node",
        measured: "timers, of 100 that are due, between the one that settles a promise and the promise's reaction",
        bound: Bound::AtMost(0.0, "timers"),
        size: 100,
        issue: "https://github.com/nodejs/node/issues/22257",
        documented: &[gone("11.0.0")],
    },
];
