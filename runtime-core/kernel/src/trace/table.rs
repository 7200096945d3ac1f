//! The one event table of all schedulers, and how an event becomes a record.

use crate::task::TaskId;

/// What happened. The numbers are those of `lab.trace/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// `task` was spawned by the task `a`.
    Spawn = 0,
    /// `task` was put into a queue. `a`: the queue's thread, absent for the injector. `b`: a [`Queue`].
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
    /// The poller was asked, and gave `a` events.
    IoPoll = 9,
    /// A timer fired, for `task` if it is known.
    TimerFired = 10,
    /// Blocking code begins. `task` if it runs in a task's place, `a`: the job's number.
    BlockingBegin = 11,
    /// Blocking code ends; as [`BlockingBegin`](Kind::BlockingBegin).
    BlockingEnd = 12,
    /// The monitor gave the work of the thread `a` to the thread `b`.
    HandOff = 13,
    /// `task` begins to wait for the lock `a`. `b`: a [`Primitive`].
    LockWait = 14,
    /// `task` got the lock; as [`LockWait`](Kind::LockWait).
    LockGot = 15,
    /// `task` released the lock; as [`LockWait`](Kind::LockWait).
    LockRelease = 16,
    /// The task `a` asked for the end of `task`.
    Abort = 17,
    /// `task` has ended. `a`: 0 with a value, 1 with a panic, 2 cancelled.
    TaskEnd = 18,
    /// What the kernel did to the thread. `a`: 0 it took the CPU away, 1 it gave it back.
    OsSwitch = 19,
    /// `task` uses the outcome of the task `a`, for which it did not have to wait: no wake tells of that.
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
    /// The slot of the task that runs next.
    Slot = 0,
    /// The queue whose newest task is first.
    Lifo = 1,
    /// The queue whose oldest task is first.
    Fifo = 2,
    /// The queue that belongs to no worker.
    Injector = 3,
    /// What others put into one worker's queue.
    Inbox = 4,
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

/// What is waited for.
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
    /// What it is called.
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
    /// The task asked to be put behind the others.
    Yielded = 2,
    /// The task panicked.
    Panicked = 3,
    /// The task was cancelled.
    Cancelled = 4,
}

/// A worker of some runtime, as others name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WorkerId(pub(super) u64);

impl WorkerId {
    /// The thread that records the event, or none.
    pub const NONE: Self = Self(0);

    /// The worker `index` of the runtime with that [number](super::next_runtime).
    pub fn new(runtime: u32, index: usize) -> Self {
        let index = index.min(0xFFFE) as u64 + 1;
        Self(u64::from(runtime) << 16 | index)
    }
}

/// Where a task cell's table is. Only a cell says so, as whoever decodes the record looks there.
#[derive(Clone, Copy, Debug)]
pub struct Table(u64);

impl Table {
    pub(crate) fn at(address: usize) -> Self {
        Self(address as u64)
    }

    pub(crate) fn address(self) -> usize {
        self.0 as usize
    }
}

/// What a scheduler tells the recorder.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    /// The task was put there. The owner of the queue, if it is not the calling thread.
    Queued(TaskId, Queue, WorkerId),
    /// The thread took so many tasks from that worker.
    Stole(WorkerId, usize),
    /// The thread goes to sleep; whether in the poller.
    Parks(bool),
    /// It is awake again.
    Unparked,
    /// The thread wakes that worker.
    Unparks(WorkerId),
    /// The thread is that worker from now on.
    ThreadIs(WorkerId),
    /// The worker searches.
    Searches,
    /// The poller gave so many events.
    IoPolled(usize),
    /// The work of the first was given to the second.
    HandedOff(WorkerId, WorkerId),
    /// A blocking function begins. The task, if it runs in its place.
    BlockingBegins(Option<TaskId>, u64),
    /// It ends.
    BlockingEnds(Option<TaskId>, u64),
    /// A poll begins. The cell's table says what the task's type is.
    PollBegins(TaskId, Table),
    /// The poll ends.
    PollEnds(TaskId, Outcome),
    /// The task ended outside of a poll, cancelled.
    Ended(TaskId),
    /// The task was made by the other one, with the name of that number.
    Spawned(TaskId, Option<TaskId>, u16),
    /// A wake.
    Woke(TaskId, Option<TaskId>, Cause),
    /// An abort.
    Aborted(TaskId, Option<TaskId>),
    /// The calling task uses the outcome of that one, for which it did not have to wait.
    Joined(TaskId),
    /// A task waits for the primitive at that address.
    LockWaits(Primitive, usize),
    /// It got it.
    LockGot(Primitive, usize),
    /// It gave it back.
    LockReleased(Primitive, usize),
}

/// Kinds of records that become no event of their own.
pub(super) const UNPARKS: u8 = 32;
pub(super) const THREAD_IS: u8 = 33;

/// The bits of an address in a record.
pub(super) const PAYLOAD: u64 = (1 << 48) - 1;
const KIND_SHIFT: u32 = 48;
const SMALL_SHIFT: u32 = 56;

/// The second word and the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words(pub(super) u64, pub(super) u64);

impl Words {
    pub(super) fn task(self) -> u64 {
        self.0 & PAYLOAD
    }
    pub(super) fn kind(self) -> u8 {
        (self.0 >> KIND_SHIFT) as u8
    }
    pub(super) fn small(self) -> u8 {
        (self.0 >> SMALL_SHIFT) as u8
    }
    /// Of the begin of a poll.
    pub(super) fn table(self) -> Table {
        debug_assert_eq!(self.kind(), Kind::PollBegin as u8);
        Table(self.1)
    }
    /// The lower part of the third word: an address or a worker.
    pub(super) fn payload(self) -> u64 {
        self.1 & PAYLOAD
    }
    /// The upper part of the third word.
    pub(super) fn upper(self) -> u16 {
        (self.1 >> KIND_SHIFT) as u16
    }
}

fn address(task: Option<TaskId>) -> u64 {
    task.map_or(0, |task| task.get() as u64 & PAYLOAD)
}

fn saturated(count: usize) -> u64 {
    count.min(usize::from(u16::MAX)) as u64
}

impl Fact {
    // Always: at each call it is known which one it is, and the rest folds away.
    #[inline(always)]
    pub(super) fn words(self) -> Words {
        let words = |kind: u8, small: u8, task: Option<TaskId>, word: u64| {
            let head = address(task) | u64::from(kind) << KIND_SHIFT;
            Words(head | u64::from(small) << SMALL_SHIFT, word)
        };
        let event = |kind: Kind, small, task, word| words(kind as u8, small, task, word);
        match self {
            Self::Queued(task, queue, owner) => {
                event(Kind::Queued, queue as u8, Some(task), owner.0)
            }
            Self::Stole(victim, count) => event(
                Kind::Steal,
                0,
                None,
                victim.0 | saturated(count) << KIND_SHIFT,
            ),
            Self::Parks(in_poller) => event(Kind::Park, in_poller.into(), None, 0),
            Self::Unparked => event(Kind::Unpark, 0, None, 0),
            Self::Unparks(worker) => words(UNPARKS, 0, None, worker.0),
            Self::ThreadIs(worker) => words(THREAD_IS, 0, None, worker.0),
            Self::Searches => event(Kind::Search, 0, None, 0),
            Self::IoPolled(events) => event(Kind::IoPoll, 0, None, events as u64),
            // The first worker's index is enough beside the whole of the second: both are of one runtime.
            Self::HandedOff(stuck, replacement) => {
                let index = stuck.0 & u64::from(u16::MAX);
                event(Kind::HandOff, 0, None, replacement.0 | index << KIND_SHIFT)
            }
            Self::BlockingBegins(task, job) => event(Kind::BlockingBegin, 0, task, job),
            Self::BlockingEnds(task, job) => event(Kind::BlockingEnd, 0, task, job),
            Self::PollBegins(task, table) => event(Kind::PollBegin, 0, Some(task), table.0),
            Self::PollEnds(task, outcome) => event(Kind::PollEnd, outcome as u8, Some(task), 0),
            Self::Ended(task) => event(Kind::TaskEnd, 2, Some(task), 0),
            Self::Spawned(task, parent, name) => {
                let word = address(parent) | u64::from(name) << KIND_SHIFT;
                event(Kind::Spawn, 0, Some(task), word)
            }
            Self::Woke(task, waker, cause) => {
                event(Kind::Wake, cause as u8, Some(task), address(waker))
            }
            Self::Joined(task) => event(Kind::Joined, 0, TaskId::current(), address(Some(task))),
            Self::Aborted(task, by) => event(Kind::Abort, 0, Some(task), address(by)),
            Self::LockWaits(primitive, at) => event(
                Kind::LockWait,
                primitive as u8,
                TaskId::current(),
                at as u64,
            ),
            Self::LockGot(primitive, at) => {
                event(Kind::LockGot, primitive as u8, TaskId::current(), at as u64)
            }
            Self::LockReleased(primitive, at) => event(
                Kind::LockRelease,
                primitive as u8,
                TaskId::current(),
                at as u64,
            ),
        }
    }
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
    fn a_record_gives_back_what_was_put_in() {
        let worker = WorkerId::new(7, 3);
        let stole = Fact::Stole(worker, 70_000).words();
        assert_eq!(stole.kind(), Kind::Steal as u8);
        assert_eq!(WorkerId(stole.payload()), worker);
        assert_eq!(stole.upper(), u16::MAX);
        let handed = Fact::HandedOff(WorkerId::new(7, 2), worker).words();
        assert_eq!(WorkerId(handed.payload()), worker);
        assert_eq!(u64::from(handed.upper()), WorkerId::new(7, 2).0 & 0xFFFF);
        assert_ne!(WorkerId::new(0, 0), WorkerId::NONE);
        assert_ne!(WorkerId::new(1, 0), WorkerId::new(0, 1));
    }
}
