//! The one event table of all schedulers.

use crate::task::TaskId;

/// What happened. The numbers are those of `lab.trace/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// `task` was spawned by the task `a`.
    Spawn = 0,
    /// `task` was put into a queue. `a`: the thread that owns the queue, absent for the injector. `b`: a [`Queue`].
    Queued = 1,
    /// A poll of `task` begins.
    PollBegin = 2,
    /// The poll of `task` ends. `a`: 0 pending, 1 ready, 2 yielded, 3 panicked, 4 cancelled.
    PollEnd = 3,
    /// `task` was woken by the task `a`. `b`: a [`Cause`].
    Wake = 4,
    /// The thread stole `b` tasks from the thread `a`.
    Steal = 5,
    /// The thread goes to sleep. `a`: 0 futex or condition variable, 1 in the poller.
    Park = 6,
    /// The thread is awake again, woken by the thread `a` if known.
    Unpark = 7,
    /// The worker starts to search for work.
    Search = 8,
    /// The poller was asked, and returned `a` events.
    IoPoll = 9,
    /// A timer fired, for `task` if it is known.
    TimerFired = 10,
    /// Blocking code begins. `task` if it runs in a task's place; `a`: the job's number.
    BlockingBegin = 11,
    /// Blocking code ends; like [`BlockingBegin`](Kind::BlockingBegin).
    BlockingEnd = 12,
    /// The monitor gave the work of the thread `a` to the thread `b`.
    HandOff = 13,
    /// `task` begins to wait for the lock `a`. `b`: a [`Primitive`].
    LockWait = 14,
    /// `task` got the lock; like [`LockWait`](Kind::LockWait).
    LockGot = 15,
    /// `task` released the lock; like [`LockWait`](Kind::LockWait).
    LockRelease = 16,
    /// The task `a` aborted `task`.
    Abort = 17,
    /// `task` has ended. `a`: 0 with a value, 1 with a panic, 2 cancelled.
    TaskEnd = 18,
    /// The kernel switched the thread. `a`: 0 it took the CPU away, 1 it gave it back. Or it took the CPU away `b`
    /// times in the poll of `task` that ends next: 2 in favour of others, 3 because the thread waited.
    OsSwitch = 19,
    /// `task` uses the outcome of the task `a`, for which it did not have to wait, so there is no wake.
    Joined = 20,
}

impl Kind {
    /// Every kind, by number.
    pub const ALL: [Self; 21] = [
        Self::Spawn,
        Self::Queued,
        Self::PollBegin,
        Self::PollEnd,
        Self::Wake,
        Self::Steal,
        Self::Park,
        Self::Unpark,
        Self::Search,
        Self::IoPoll,
        Self::TimerFired,
        Self::BlockingBegin,
        Self::BlockingEnd,
        Self::HandOff,
        Self::LockWait,
        Self::LockGot,
        Self::LockRelease,
        Self::Abort,
        Self::TaskEnd,
        Self::OsSwitch,
        Self::Joined,
    ];

    /// The kind with that number.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Where a task was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Queue {
    /// The LIFO slot: its task runs next.
    Slot = 0,
    /// The LIFO queue: its newest task is first.
    Lifo = 1,
    /// The FIFO queue: its oldest task is first.
    Fifo = 2,
    /// The injector, which belongs to no worker.
    Injector = 3,
    /// A worker's inbox: tasks that others have sent to it.
    Inbox = 4,
}

impl Queue {
    /// The queue with that number.
    pub(super) fn of(number: u8) -> Option<Self> {
        let all = [
            Self::Slot,
            Self::Lifo,
            Self::Fifo,
            Self::Injector,
            Self::Inbox,
        ];
        all.get(usize::from(number)).copied()
    }
}

/// What woke a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// Another task, or the task itself.
    Task = 0,
    /// A timer.
    Timer = 1,
    /// A socket.
    Socket = 2,
    /// A thread that runs no task.
    OtherThread = 3,
    /// A job in the blocking pool.
    BlockingJob = 4,
    /// An abort.
    Abort = 5,
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Primitive {
    /// A mutex.
    Mutex = 0,
    /// A semaphore.
    Semaphore = 1,
    /// An event.
    Event = 2,
    /// A queue or channel.
    Queue = 3,
    /// A condition.
    Condition = 4,
    /// Anything else.
    Other = 5,
}

impl Primitive {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mutex => "mutex",
            Self::Semaphore => "semaphore",
            Self::Event => "event",
            Self::Queue => "queue",
            Self::Condition => "condition",
            Self::Other => "primitive",
        }
    }
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The task waits.
    Pending = 0,
    /// The task has its value.
    Ready = 1,
    /// The task asked to be queued behind the others.
    Yielded = 2,
    /// The task panicked.
    Panicked = 3,
    /// The task was cancelled.
    Cancelled = 4,
}

impl Outcome {
    /// The outcome with that number.
    pub(super) fn of(number: u8) -> Option<Self> {
        let all = [
            Self::Pending,
            Self::Ready,
            Self::Yielded,
            Self::Panicked,
            Self::Cancelled,
        ];
        all.get(usize::from(number)).copied()
    }
}

/// A worker of some runtime, for use by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WorkerId(pub(super) u64);

impl WorkerId {
    /// The thread that records the event, or no worker.
    pub const NONE: Self = Self(0);

    /// The worker `index` of the runtime with that [number](super::next_runtime).
    pub fn new(runtime: u32, index: usize) -> Self {
        let index = index.min(0xFFFE) as u64 + 1;
        Self(u64::from(runtime) << 16 | index)
    }
}

/// The address of a task cell's table. Only a cell may create one, because decoding a record reads memory there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(usize);

/// Tables are identified by their distance from here.
static TABLES: u8 = 0;

impl Table {
    /// The task has no table.
    pub(super) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn address(self) -> usize {
        self.0
    }

    /// The distance, which is never 0. 0: too far away for 32 bits, as in a library that was loaded later.
    #[inline(always)]
    pub(super) fn offset(self) -> i32 {
        if self == Self::NONE {
            return 0;
        }
        let offset = self.0.wrapping_sub((&raw const TABLES).addr()) as isize;
        i32::try_from(offset).unwrap_or(0)
    }

    pub(super) fn at_offset(offset: i32) -> Option<Self> {
        let address = (&raw const TABLES)
            .addr()
            .wrapping_add_signed(offset as isize);
        (offset != 0).then_some(Self(address))
    }
}

/// What a scheduler reports to the recorder.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    /// The task was put into that queue. Names the queue's owner, if that is not the calling thread.
    Queued(TaskId, Queue, WorkerId),
    /// The thread stole this many tasks from that worker.
    Stole(WorkerId, usize),
    /// The thread goes to sleep; true if in the poller.
    Parks(bool),
    /// The thread is awake again.
    Unparked,
    /// The thread wakes that worker.
    Unparks(WorkerId),
    /// From now on the thread is that worker.
    ThreadIs(WorkerId),
    /// The worker searches.
    Searches,
    /// The poller returned this many events.
    IoPolled(usize),
    /// The work of the first worker was given to the second.
    HandedOff(WorkerId, WorkerId),
    /// A blocking function begins. The task, if it runs in a task's place, and the job's number.
    BlockingBegins(Option<TaskId>, u64),
    /// The blocking function ends.
    BlockingEnds(Option<TaskId>, u64),
    /// A poll begins. The cell's table has the type of the task's future.
    PollBegins(TaskId, Table),
    /// The poll ends.
    PollEnds(TaskId, Outcome),
    /// The task ended outside a poll, cancelled.
    Ended(TaskId),
    /// The task was spawned by the other one, with the name of that number.
    Spawned(TaskId, Option<TaskId>, u16),
    /// The task was spawned before the recording, with the name of that number.
    Named(TaskId, u16),
    /// In the task's poll the kernel took the thread off the CPU so often; true if the thread waited.
    Switched(TaskId, bool, u64),
    /// A wake.
    Woke(TaskId, Option<TaskId>, Cause),
    /// An abort.
    Aborted(TaskId, Option<TaskId>),
    /// The calling task uses the outcome of that task, for which it did not have to wait.
    Joined(TaskId),
    /// A task waits for the primitive at that address.
    LockWaits(Primitive, usize),
    /// A task got the primitive.
    LockGot(Primitive, usize),
    /// A task released the primitive.
    LockReleased(Primitive, usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_numbers_of_the_format() {
        for (number, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, number);
        }
        assert_eq!(Kind::of(21), None);
    }

    #[test]
    fn a_table_that_is_too_far_away_has_no_offset() {
        let far = Table::at((&raw const TABLES).addr().wrapping_add(1 << 40));
        assert_eq!(Table::at_offset(far.offset()), None);
        assert_ne!(WorkerId::new(1, 0), WorkerId::new(0, 1));
    }
}
