#![doc = include_str!("README.md")]

mod asleep;
mod source;
mod state;

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::Errno;

use crate::park::AdaptiveSpin;
use crate::trace::{self, Fact};
pub(super) use source::ThreadSource;
use source::{Interest, report};
use state::{FUTEX, POLL, ParkState};

/// How long a poll lasts at most if there was no descriptor left for the eventfd: a wake is then seen this late.
const WITHOUT_EVENTFD: Duration = Duration::from_millis(10);

/// Every so many parks that a token ends at once look at the descriptors all the same.
const SKIPS: u32 = 16;

/// Descriptors polled without an allocation.
const INLINE: usize = 8;

/// What the calling thread waits with. It stays on its thread, so that no other parks there; what others have of it is
/// a [`ThreadUnparker`].
///
/// ```
/// use runtime_core::reactor::own_thread::ThreadParker;
///
/// let parker = ThreadParker::current_or_install();
/// let unparker = parker.unparker();
/// let thread = std::thread::spawn(move || unparker.unpark());
/// parker.park(None); // returns after the unpark, even if that came first
/// thread.join().unwrap();
/// ```
///
/// ```compile_fail
/// let parker = runtime_core::reactor::own_thread::ThreadParker::current_or_install();
/// std::thread::spawn(move || parker.park(None)); // on another thread than its own
/// ```
///
/// ```compile_fail
/// let parker = runtime_core::reactor::own_thread::ThreadParker::current_or_install();
/// std::thread::scope(|scope| {
///     scope.spawn(|| parker.park(None)); // shared with another thread
/// });
/// ```
pub struct ThreadParker {
    shared: Arc<Shared>,
    spin: AdaptiveSpin,
    /// A token is for one thread, and the sockets polled on a thread are waited for there.
    _not_send: PhantomData<*const ()>,
}

/// Wakes a thread that waits by a [`ThreadParker`], or keeps it from sleeping once. For any thread.
#[derive(Clone)]
pub struct ThreadUnparker {
    shared: Arc<Shared>,
}

/// What the owner, those who wake it and the sockets that it awaits share.
struct Shared {
    state: ParkState,
    /// Made by the first park that polls.
    eventfd: OnceLock<OwnedFd>,
    interests: Mutex<Vec<Interest>>,
    /// Parks that looked at no descriptor, because there was a token, since the last one that did so all the same.
    /// Written by the owner only.
    skipped: AtomicU32,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

impl ThreadParker {
    /// The calling thread's parker; made at the first call.
    ///
    /// Sockets polled on this thread by a task ([`Role::Worker`](crate::context::Role::Worker)) are from then on
    /// waited for by its [`park`](ThreadParker::park).
    pub fn current_or_install() -> Self {
        let shared = CURRENT
            .try_with(|current| Arc::clone(current.borrow_mut().get_or_insert_with(Shared::new)))
            // The thread's locals are destroyed: sockets don't know this one, and the helper thread waits for them.
            .unwrap_or_else(|_| Shared::new());
        Self::of_this_thread(shared)
    }

    /// The calling thread is the only one that parks there.
    fn of_this_thread(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            spin: AdaptiveSpin::new(),
            _not_send: PhantomData,
        }
    }

    /// What wakes this thread.
    pub fn unparker(&self) -> ThreadUnparker {
        ThreadUnparker {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Call it when the thread parks no more. Whoever waits for a descriptor here is woken, so that it waits where it
    /// is polled next. An interest that stayed would keep its task alive, and with it this very parker.
    pub fn leave(&self) {
        self.shared.leave();
    }

    /// Sleeps until [`unpark`](ThreadUnparker::unpark), until `deadline`, or until a descriptor that was awaited on
    /// this thread is ready; in the last case its waiters' wakers are called before this returns. May return
    /// spuriously.
    pub fn park(&self, deadline: Option<Instant>) {
        self.park_then(deadline, || {});
    }

    /// As [`park`](ThreadParker::park); `asleep` is called as soon as [`is_asleep`](ThreadUnparker::is_asleep) says
    /// so, just before the thread sleeps. What it does then is not missed, if it unparks this very thread too. It is
    /// not called if the thread need not sleep.
    pub fn park_then(&self, deadline: Option<Instant>, asleep: impl FnOnce()) {
        let sources: Vec<_> = self
            .shared
            .interests
            .lock()
            .iter()
            .map(Interest::to_poll)
            .collect();
        if !sources.is_empty() {
            return self.shared.park_in_poll(&sources, deadline, asleep);
        }
        let woken = || self.shared.state.take_token();
        let sleep = || self.shared.park_on_futex(deadline, asleep);
        self.spin.wait(deadline, woken, sleep);
    }
}

impl ThreadUnparker {
    /// Wakes the owner; if it does not sleep, its next park returns at once. From any thread, costs a system call only
    /// if the owner sleeps.
    pub fn unpark(&self) {
        self.shared.unpark();
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: ParkState::new(),
            eventfd: OnceLock::new(),
            interests: Mutex::new(Vec::new()),
            skipped: AtomicU32::new(0),
        })
    }

    /// The parker that is to wait for a socket polled on the calling thread: its own, or the helper thread's.
    /// True if it is its own.
    fn for_current_thread() -> io::Result<(Arc<Self>, bool)> {
        let own = if crate::context::in_task() {
            CURRENT
                .try_with(|current| current.borrow().clone())
                .ok()
                .flatten()
        } else {
            None
        };
        match own {
            Some(own) => Ok((own, true)),
            None => Ok((Self::helper()?, false)),
        }
    }

    /// The parker of the thread that waits for threads which don't park here themselves.
    fn helper() -> io::Result<Arc<Self>> {
        static HELPER: Mutex<Option<Arc<Shared>>> = Mutex::new(None);
        let mut helper = HELPER.lock();
        if let Some(parker) = &*helper {
            return Ok(Arc::clone(parker));
        }
        let parker = Self::new();
        let parks = Arc::clone(&parker);
        std::thread::Builder::new()
            .name("socket-wait".to_owned())
            .spawn(move || {
                let parks = ThreadParker::of_this_thread(parks);
                // It calls wakers, for whoever's tasks.
                let _serves = crate::blocking::RunsFor::everybody();
                loop {
                    parks.park(None);
                }
            })?;
        *helper = Some(Arc::clone(&parker));
        Ok(parker)
    }

    /// True if `self` is the calling thread's own.
    fn is_current(self: &Arc<Self>) -> bool {
        CURRENT.try_with(|current| {
            current
                .borrow()
                .as_ref()
                .is_some_and(|own| Arc::ptr_eq(own, self))
        }) == Ok(true)
    }

    fn unpark(&self) {
        match self.state.unpark() {
            FUTEX => self.wake_futex(),
            POLL => {
                if let Some(eventfd) = self.eventfd.get() {
                    // Fails only when the counter is full, and then it is readable anyway.
                    let _ = rustix::io::write(eventfd, &1_u64.to_ne_bytes());
                }
            }
            _ => {}
        }
    }

    fn park_on_futex(&self, deadline: Option<Instant>, asleep: impl FnOnce()) {
        if !self.state.begin(FUTEX) {
            return;
        }
        asleep();
        let mut slept = false;
        while self.state.is(FUTEX) {
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if timeout == Some(Duration::ZERO) {
                break;
            }
            if !slept {
                trace::note(Fact::Parks(false));
                slept = true;
            }
            self.wait_futex(timeout);
        }
        self.state.end();
        if slept {
            trace::note(Fact::Unparked);
        }
    }

    fn park_in_poll(
        &self,
        sources: &[(Arc<ThreadSource>, PollFlags)],
        deadline: Option<Instant>,
        asleep: impl FnOnce(),
    ) {
        let eventfd = self.eventfd();
        let mut timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if eventfd.is_none() {
            timeout = Some(timeout.map_or(WITHOUT_EVENTFD, |timeout| timeout.min(WITHOUT_EVENTFD)));
        }
        // The eventfd comes last; without one, the last descriptor is polled for nothing.
        let own = match eventfd {
            Some(eventfd) => PollFd::new(eventfd, PollFlags::IN),
            None => PollFd::from_borrowed_fd(sources[0].0.as_fd(), PollFlags::empty()),
        };
        let mut inline;
        let mut allocated;
        let entries = sources
            .iter()
            .map(|(source, flags)| PollFd::from_borrowed_fd(source.as_fd(), *flags));
        let fds: &mut [PollFd<'_>] = if sources.len() < INLINE {
            inline = std::array::from_fn::<_, INLINE, _>(|_| own.clone());
            for (fd, entry) in inline.iter_mut().zip(entries) {
                *fd = entry;
            }
            &mut inline[..=sources.len()]
        } else {
            allocated = entries.collect::<Vec<_>>();
            allocated.push(own);
            &mut allocated
        };

        if self.state.begin(POLL) {
            asleep();
        } else {
            // Woken meanwhile. What is ready is found by the next park, as a rule; but a task that wakes itself each
            // time would never come to it.
            let skipped = self.skipped.load(Ordering::Relaxed) + 1;
            self.skipped.store(skipped % SKIPS, Ordering::Relaxed);
            if skipped < SKIPS {
                return;
            }
            timeout = Some(Duration::ZERO);
        }
        let timeout = timeout.map(super::timespec::timespec);
        let sleeps = timeout
            .as_ref()
            .is_none_or(|it| it.tv_sec != 0 || it.tv_nsec != 0);
        if sleeps {
            trace::note(Fact::Parks(true));
        }
        let reported = rustix::event::poll(fds, timeout.as_ref());
        if sleeps {
            trace::note(Fact::Unparked);
        }
        trace::note(Fact::IoPolled(reported.unwrap_or(0)));
        // Before anyone is woken: a waker of this very thread's task need not write the eventfd.
        self.state.end();
        match reported {
            Ok(0) | Err(Errno::INTR) => return,
            Ok(_) => {}
            // Out of kernel memory: sleeping is not possible now. The task asks again.
            Err(_) => return std::thread::yield_now(),
        }
        let (own, fds) = fds.split_last().expect("the eventfd's entry is there");
        if let Some(eventfd) = eventfd
            && own.revents().contains(PollFlags::IN)
        {
            let _ = rustix::io::read(eventfd, &mut [0; 8]);
        }
        for ((source, _), fd) in sources.iter().zip(fds) {
            if !fd.revents().is_empty() {
                report(&self.interests, source, fd.revents());
            }
        }
    }

    /// The eventfd; `None` if there is no descriptor left for it.
    fn eventfd(&self) -> Option<&OwnedFd> {
        if self.eventfd.get().is_none() {
            let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
            let _ = self.eventfd.set(made);
        }
        self.eventfd.get()
    }
}

/// The futex: the kernel compares and sleeps in one step.
#[cfg(not(any(lab_loom, lab_shuttle)))]
impl Shared {
    fn wait_futex(&self, timeout: Option<Duration>) {
        use rustix::thread::futex::{Flags, wait};
        let timeout = timeout.map(super::timespec::timespec);
        // It returns early when the word changed, at a signal, and at the time-out: the caller looks again.
        let _ = wait(self.state.word(), Flags::PRIVATE, FUTEX, timeout.as_ref());
    }

    fn wake_futex(&self) {
        use rustix::thread::futex::{Flags, wake};
        let _ = wake(self.state.word(), Flags::PRIVATE, 1);
    }
}

/// Under a model checker there is no kernel to sleep in; the protocol is checked beside its steps, in `state.rs`.
#[cfg(any(lab_loom, lab_shuttle))]
impl Shared {
    fn wait_futex(&self, _timeout: Option<Duration>) {
        crate::primitives::thread::yield_now();
    }

    fn wake_futex(&self) {}
}

impl std::fmt::Debug for ThreadParker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let interests = self.shared.interests.lock().len();
        f.debug_struct("ThreadParker")
            .field("interests", &interests)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ThreadUnparker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadUnparker")
            .field("asleep", &self.is_asleep())
            .finish_non_exhaustive()
    }
}
