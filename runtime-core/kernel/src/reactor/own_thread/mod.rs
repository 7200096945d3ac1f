#![doc = include_str!("README.md")]

mod asleep;
mod interests;
mod source;
mod state;
mod watchers;
mod watching;

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::primitives::real_locks::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::Errno;

use crate::park::AdaptiveSpin;
use crate::trace::{self, Fact};
pub(super) use interests::ThreadSource;
use interests::{Awaited, Shared, report};
use state::{ASKED, FUTEX, POLL, ParkState};
use watching::{TURNS, Watching};

/// The maximum duration of a poll if there was no descriptor left for the eventfd: a wake-up is seen that late.
const POLL_LIMIT_WITHOUT_EVENTFD: Duration = Duration::from_millis(10);

/// One in this many parks that find a token checks the descriptors anyway.
const SKIPS: u32 = 16;

/// The number of descriptors (including the eventfd) that are polled without an allocation.
const INLINE: usize = 8;

/// What the calling thread waits with. It stays on its thread, so that no other thread parks on it; other threads have
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
    /// A token is for one thread, and sockets that are polled on a thread are awaited there.
    _not_send: PhantomData<*const ()>,
}

/// Wakes a thread that waits in a [`ThreadParker`], or keeps it from sleeping once. You can use it from any thread.
#[derive(Clone)]
pub struct ThreadUnparker {
    shared: Arc<Shared>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

impl ThreadParker {
    /// The calling thread's parker, created at the first call.
    ///
    /// From then on its [`park`](ThreadParker::park) waits for the sockets that tasks
    /// ([`Role::Worker`](crate::context::Role::Worker)) poll on this thread.
    pub fn current_or_install() -> Self {
        let shared = CURRENT
            .try_with(|current| Arc::clone(current.borrow_mut().get_or_insert_with(Shared::new)))
            // The thread-locals are destroyed: sockets can't find this parker, and the helper thread waits for them.
            .unwrap_or_else(|_| Shared::new());
        Self::of_this_thread(shared)
    }

    /// The caller must ensure that only the calling thread parks here.
    fn of_this_thread(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            spin: AdaptiveSpin::new(),
            _not_send: PhantomData,
        }
    }

    /// A handle that wakes this thread.
    pub fn unparker(&self) -> ThreadUnparker {
        ThreadUnparker {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Call this when the thread does not park any more. All that wait for a descriptor here are woken, so that they
    /// wait wherever they are polled next. An interest that stayed would keep its task alive, and with it this parker.
    pub fn leave(&self) {
        let _ = CURRENT.try_with(|current| {
            let mut current = current.borrow_mut();
            // What the thread's last destructors wait for, the helper thread waits for.
            current.take_if(|it| Arc::ptr_eq(it, &self.shared))
        });
        self.shared.leave();
    }

    /// Sleeps until [`unpark`](ThreadUnparker::unpark), until `deadline`, or until a descriptor is ready that was
    /// awaited on this thread. In the last case this calls the waiters' wakers before it returns. May return
    /// spuriously.
    pub fn park(&self, deadline: Option<Instant>) {
        self.park_then(deadline, || {});
    }

    /// Like [`park`](ThreadParker::park), but calls `asleep` as soon as [`is_asleep`](ThreadUnparker::is_asleep)
    /// returns true, just before the thread sleeps. What `asleep` does then is not missed, even if it unparks this
    /// very thread. It is not called if the thread need not sleep, and is called again each time that the thread was
    /// up briefly and sleeps on.
    pub fn park_then(&self, deadline: Option<Instant>, asleep: impl FnMut()) {
        let sources: Vec<_> = self
            .shared
            .interests
            .lock()
            .iter()
            .map(Awaited::of)
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
    /// Wakes the owner; if it does not sleep, its next park returns at once. You can call it from any thread. It costs
    /// a system call only if the owner sleeps.
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

    /// The parker that waits for a socket that was polled on the calling thread: its own, or the helper thread's. True
    /// if it is its own.
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

    /// The parker of the helper thread, which waits on behalf of threads that don't park here themselves.
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
                // It calls wakers of tasks of any runtime.
                let _serves = crate::blocking::RunsFor::every_runtime();
                loop {
                    parks.park(None);
                }
            })?;
        *helper = Some(Arc::clone(&parker));
        Ok(parker)
    }

    /// Whether `self` is the calling thread's own.
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
        self: &Arc<Self>,
        sources: &[Awaited],
        deadline: Option<Instant>,
        mut asleep: impl FnMut(),
    ) {
        let mut watching = Some(Watching::new(self, sources));
        // A thread that was asked to watch sleeps on, and polls what it now watches.
        while let Some(again) = watching {
            watching = self.poll_once(again, deadline, &mut asleep);
        }
    }

    /// Sleeps once. Returns `watching` if nobody has woken the owner, nothing is ready, and the owner was asked to
    /// poll again.
    fn poll_once<'a>(
        &self,
        watching: Watching<'a>,
        deadline: Option<Instant>,
        asleep: &mut dyn FnMut(),
    ) -> Option<Watching<'a>> {
        let sources = watching.sources;
        let eventfd = self.eventfd();
        let mut timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if eventfd.is_none() {
            timeout = Some(timeout.map_or(POLL_LIMIT_WITHOUT_EVENTFD, |timeout| {
                timeout.min(POLL_LIMIT_WITHOUT_EVENTFD)
            }));
        }
        let begun = self.state.begin(POLL);
        if begun {
            asleep();
            // What this called may have parked here itself, and then nobody writes to the eventfd any more.
            if !self.state.is(POLL) {
                timeout = Some(Duration::ZERO);
            }
        } else {
            // Woken in the meantime. Usually the next park finds what is ready, but a task that wakes itself each time
            // would never get there.
            let skipped = self.skipped.load(Ordering::Relaxed) + 1;
            self.skipped.store(skipped % SKIPS, Ordering::Relaxed);
            if skipped < SKIPS {
                return None;
            }
            timeout = Some(Duration::ZERO);
        }
        // The eventfd comes last. Without one, a dummy entry takes its place.
        let (own_fd, own_flags) = match eventfd {
            Some(eventfd) => (eventfd.as_fd(), PollFlags::IN),
            None => (sources[0].source.as_fd(), PollFlags::empty()),
        };
        let own = PollFd::from_borrowed_fd(own_fd, own_flags);
        let in_turn = if begun && eventfd.is_some() {
            TURNS
        } else {
            // A thread that does not sleep, or can't be asked, polls everything.
            0
        };
        let mut unwatched = 0_u64;
        let entries = sources.iter().enumerate().map(|(index, awaited)| {
            if index < in_turn && !watching.watches(awaited) {
                unwatched |= 1 << index;
                return PollFd::from_borrowed_fd(own_fd, PollFlags::empty());
            }
            PollFd::from_borrowed_fd(awaited.source.as_fd(), awaited.flags)
        });
        let mut inline;
        let mut allocated;
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
        // Before any waker is called: a waker of this very thread's task then need not write the eventfd.
        let was_asked = self.state.end() == ASKED;
        let (own, fds) = fds.split_last().expect("the eventfd's entry is there");
        let is_watched = |index: usize| index >= TURNS || unwatched & (1 << index) == 0;
        let ready = |(index, fd): &(usize, &PollFd<'_>)| {
            reported.is_ok() && is_watched(*index) && !fd.revents().is_empty()
        };
        let sleeps_on = was_asked && !fds.iter().enumerate().any(|entry| ready(&entry));
        // Otherwise dropping it hands the socket on here, before any waker is called: what this thread does next may
        // take long.
        let watching = sleeps_on.then_some(watching);
        match reported {
            Ok(0) | Err(Errno::INTR) => return watching,
            Ok(_) => {}
            // Out of kernel memory, so sleeping is not possible now. The task tries again.
            Err(_) => {
                std::thread::yield_now();
                return watching;
            }
        }
        if let Some(eventfd) = eventfd
            && own.revents().contains(PollFlags::IN)
        {
            let _ = rustix::io::read(eventfd, &mut [0; 8]);
        }
        for (index, fd) in fds.iter().enumerate().filter(ready) {
            report(&self.interests, &sources[index].source, fd.revents());
        }
        watching
    }

    /// Asks the owner to watch. False if it does not sleep.
    fn ask_to_watch(&self) -> bool {
        let is_asked = self.state.ask();
        if is_asked && let Some(eventfd) = self.eventfd.get() {
            // Fails only when the counter is full, and then it is readable anyway.
            let _ = rustix::io::write(eventfd, &1_u64.to_ne_bytes());
        }
        is_asked
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
        // It returns early when the word changed, at a signal, and at the time-out: the caller checks again.
        let _ = wait(self.state.word(), Flags::PRIVATE, FUTEX, timeout.as_ref());
    }

    fn wake_futex(&self) {
        use rustix::thread::futex::{Flags, wake};
        let _ = wake(self.state.word(), Flags::PRIVATE, 1);
    }
}

/// Under a model checker there is no kernel to sleep in. `state.rs` has models of the protocol, next to its steps.
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
