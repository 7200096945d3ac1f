//! The suite on schedulers that are broken in one way each: a test that cannot fail proves nothing.
//!
//! [`Broken`] is the reference scheduler with one flaw between it and its user. Every case named here passes without
//! the flaw and fails with it.

mod reference;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use runtime_core::net::{TcpListener, TcpStream};
use runtime_core::sync;
use runtime_core::testing::{self, Subject};
use runtime_core::time::Elapsed;
use runtime_core::{
    Capabilities, ChannelReceiver, JoinError, JoinHandle, Metrics, Runtime, TaskHandle, budget,
};

use reference::{Handle, Reference};

/// The flaw.
type Flaw = u8;
const NONE: Flaw = 0;
const LOSES_WAKES_WHILE_RUNNING: Flaw = 1;
const LOSES_WAKES_FROM_OTHER_THREADS: Flaw = 2;
const FORGETS_TASKS_AT_SHUTDOWN: Flaw = 3;
const DROPS_FUTURES_WHERE_IT_IS_ABORTED: Flaw = 4;
const LEAKS_FUTURES: Flaw = 5;
const CANCELS_WITH_THE_HANDLE: Flaw = 6;
const ABORT_BEATS_THE_VALUE: Flaw = 7;
const SWALLOWS_PANICS: Flaw = 8;
const DOES_NOT_YIELD: Flaw = 9;
const POLLS_WHILE_IT_IS_WOKEN: Flaw = 10;
const HAS_NO_BUDGET: Flaw = 11;
const SLEEPS_TOO_SHORT: Flaw = 12;
const LOOKS_AT_THE_DEADLINE_FIRST: Flaw = 13;
const BLOCKS_INSIDE_TASKS: Flaw = 14;
const HANDLES_OWN_THE_RUNTIME: Flaw = 15;
const NAMES_NO_LEFT_TASK: Flaw = 16;
const TAKES_ITEMS_TOO_EARLY: Flaw = 17;
const ABORTS_NOTHING: Flaw = 18;
const POLLS_FOR_EVERY_WAKE: Flaw = 19;

/// The owner.
struct Broken<const FLAW: Flaw>(Arc<Reference<2>>);

/// The handle. It owns the runtime only under `HANDLES_OWN_THE_RUNTIME`.
#[derive(Clone)]
struct BrokenHandle<const FLAW: Flaw> {
    inner: Handle,
    _owner: Option<Arc<Reference<2>>>,
}

impl<const FLAW: Flaw> Subject for Broken<FLAW> {
    type Runtime = BrokenHandle<FLAW>;

    // Cases that hang need not hang for long.
    const PATIENCE: Duration = Duration::from_secs(if FLAW == NONE { 60 } else { 3 });

    fn start() -> Self {
        Self(Arc::new(Reference::start()))
    }
    fn handle(&self) -> Self::Runtime {
        BrokenHandle {
            inner: self.0.handle(),
            _owner: (FLAW == HANDLES_OWN_THE_RUNTIME).then(|| Arc::clone(&self.0)),
        }
    }
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.run(root)
    }
    fn block_on<F>(runtime: &Self::Runtime, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if FLAW == BLOCKS_INSIDE_TASKS {
            return futures_lite::future::block_on(runtime.inner.spawn(future)).expect("the root");
        }
        Reference::<2>::block_on(&runtime.inner, future)
    }
    fn shutdown(self, timeout: Duration) -> Vec<String> {
        match Arc::into_inner(self.0) {
            Some(owner) if FLAW == FORGETS_TASKS_AT_SHUTDOWN => std::mem::forget(owner),
            Some(owner) => {
                let names = owner.shutdown(timeout);
                if FLAW != NAMES_NO_LEFT_TASK {
                    return names;
                }
            }
            None => {}
        }
        Vec::new()
    }
}

/// What the adapter of a task and its handle share.
struct Shared<F> {
    future: Mutex<Option<Pin<Box<F>>>>,
    aborted: AtomicBool,
    /// Under `POLLS_FOR_EVERY_WAKE`: the remaining polls, one for each wake.
    owed: AtomicUsize,
}

impl<F> Shared<F> {
    fn lock(&self) -> MutexGuard<'_, Option<Pin<Box<F>>>> {
        self.future.lock().expect("nothing panics under it")
    }

    /// The future, which is polled or dropped outside the lock.
    fn take(&self) -> Option<Pin<Box<F>>> {
        self.lock().take()
    }
}

/// A task's future, treated as `FLAW` says.
struct Adapter<F: Future, const FLAW: Flaw>(Arc<Shared<F>>);

impl<F: Future, const FLAW: Flaw> Future for Adapter<F, FLAW> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out, so that an abort during the poll finds the lock free.
        let Some(mut future) = self.0.take() else {
            return Poll::Pending;
        };
        let filter = Arc::new(Filter {
            task: cx.waker().clone(),
            polling: AtomicBool::new(true),
            wakes: AtomicUsize::new(0),
            thread: thread::current().id(),
            flaw: FLAW,
        });
        let waker = Waker::from(Arc::clone(&filter));
        let mut polled = catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        while FLAW == POLLS_WHILE_IT_IS_WOKEN
            && filter.wakes.swap(0, Ordering::SeqCst) > 0
            && matches!(polled, Ok(Poll::Pending))
        {
            polled = Ok(future.as_mut().poll(&mut Context::from_waker(&waker)));
        }
        filter.polling.store(false, Ordering::SeqCst);
        let aborted = self.0.aborted.load(Ordering::SeqCst);
        // Put back, even if it has ended: it is dropped with the adapter.
        *self.0.lock() = Some(future);
        match polled {
            Ok(Poll::Ready(_)) if FLAW == ABORT_BEATS_THE_VALUE && aborted => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(output),
            Ok(Poll::Pending) => {
                if FLAW == POLLS_FOR_EVERY_WAKE {
                    let owed = self
                        .0
                        .owed
                        .fetch_add(filter.wakes.load(Ordering::SeqCst), Ordering::SeqCst);
                    if owed + filter.wakes.load(Ordering::SeqCst) > 0 {
                        self.0.owed.fetch_sub(1, Ordering::SeqCst);
                        cx.waker().wake_by_ref();
                    }
                }
                Poll::Pending
            }
            Err(_) if FLAW == SWALLOWS_PANICS => Poll::Pending,
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }
}

impl<F: Future, const FLAW: Flaw> Drop for Adapter<F, FLAW> {
    fn drop(&mut self) {
        // Outside the lock, and here, because the handle shares it.
        let future = self.0.take();
        if FLAW == LEAKS_FUTURES {
            std::mem::forget(future);
        }
    }
}

/// A waker that filters out some wakes.
struct Filter {
    task: Waker,
    polling: AtomicBool,
    wakes: AtomicUsize,
    thread: ThreadId,
    flaw: Flaw,
}

impl Wake for Filter {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        let lost = match self.flaw {
            LOSES_WAKES_WHILE_RUNNING => self.polling.load(Ordering::SeqCst),
            LOSES_WAKES_FROM_OTHER_THREADS => self.thread != thread::current().id(),
            POLLS_WHILE_IT_IS_WOKEN => self.polling.load(Ordering::SeqCst),
            _ => false,
        };
        if !lost {
            self.task.wake_by_ref();
        }
    }
}

/// The join handle.
struct Joined<T: Send + 'static, const FLAW: Flaw> {
    inner: JoinHandle<T>,
    /// Takes the future out and drops it.
    abort: Box<dyn Fn() + Send + Sync>,
}

impl<T: Send + 'static, const FLAW: Flaw> Future for Joined<T, FLAW> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl<T: Send + 'static, const FLAW: Flaw> TaskHandle<T> for Joined<T, FLAW> {
    fn abort(&self) {
        if FLAW == ABORTS_NOTHING {
            return;
        }
        (self.abort)();
        self.inner.abort();
    }
    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}

impl<T: Send + 'static, const FLAW: Flaw> Drop for Joined<T, FLAW> {
    fn drop(&mut self) {
        if FLAW == CANCELS_WITH_THE_HANDLE {
            self.inner.abort();
        }
    }
}

/// The receiver.
struct Receives<T, const FLAW: Flaw>(sync::Receiver<T>);

impl<T: Send + 'static, const FLAW: Flaw> ChannelReceiver<T> for Receives<T, FLAW> {
    async fn recv(&mut self) -> Option<T> {
        let item = self.0.recv().await;
        if FLAW == TAKES_ITEMS_TOO_EARLY {
            // Dropped here, it takes the item with it.
            runtime_core::yield_now().await;
        }
        item
    }
}

impl<const FLAW: Flaw> Runtime for BrokenHandle<FLAW> {
    type JoinHandle<T: Send + 'static> = Joined<T, FLAW>;
    type TcpListener = TcpListener;
    type TcpStream = TcpStream;
    type Sender<T: Send + 'static> = sync::Sender<T>;
    type Receiver<T: Send + 'static> = Receives<T, FLAW>;

    fn name(&self) -> &'static str {
        "broken"
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn metrics(&self) -> Metrics {
        self.inner.metrics()
    }

    fn spawn<F>(&self, future: F) -> Joined<F::Output, FLAW>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shared = Arc::new(Shared {
            future: Mutex::new(Some(Box::pin(future))),
            aborted: AtomicBool::new(false),
            owed: AtomicUsize::new(0),
        });
        let adapter = Adapter::<F, FLAW>(Arc::clone(&shared));
        let inner = if FLAW == HAS_NO_BUDGET {
            self.inner.spawn(budget::unconstrained(adapter))
        } else {
            self.inner.spawn(adapter)
        };
        let shared: Weak<Shared<F>> = Arc::downgrade(&shared);
        let abort = move || {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            shared.aborted.store(true, Ordering::SeqCst);
            if FLAW == DROPS_FUTURES_WHERE_IT_IS_ABORTED {
                drop(shared.take());
            }
        };
        Joined {
            inner,
            abort: Box::new(abort),
        }
    }

    fn spawn_blocking<F, T>(&self, function: F) -> Joined<T, FLAW>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Joined {
            inner: self.inner.spawn_blocking(function),
            abort: Box::new(|| ()),
        }
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        let short = FLAW == SLEEPS_TOO_SHORT;
        self.inner
            .sleep(if short { duration / 2 } else { duration })
    }
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        self.inner.sleep_until(deadline)
    }
    fn timeout<F>(
        &self,
        duration: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send,
    {
        let limit = self.sleep(duration);
        async move {
            if FLAW != LOOKS_AT_THE_DEADLINE_FIRST {
                return self.inner.timeout(duration, future).await;
            }
            let over = async {
                limit.await;
                Err(Elapsed)
            };
            let done = async { Ok(future.await) };
            futures_lite::future::or(over, done).await
        }
    }
    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        let yielding = (FLAW != DOES_NOT_YIELD).then(runtime_core::yield_now);
        async move {
            if let Some(yielding) = yielding {
                yielding.await;
            }
        }
    }
    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<TcpListener>> + Send {
        self.inner.bind(address)
    }
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send {
        self.inner.connect(address)
    }
    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        let (sender, receiver) = self.inner.channel(capacity);
        (sender, Receives(receiver))
    }
}

/// One test for each flaw: the case passes without it, and fails with it.
macro_rules! caught {
    ($($test:ident: $flaw:ident by $module:ident::$case:ident, saying $text:literal;)*) => {$(
        #[test]
        fn $test() {
            let case = testing::erased::contract::$module::$case;
            testing::erased::contract::run::<Broken<NONE>>(stringify!($case), case);

            let failure = catch_unwind(|| {
                testing::erased::contract::run::<Broken<$flaw>>(stringify!($case), case);
            });
            let payload = failure.expect_err("the case does not notice the flaw");
            let text = testing::probe::text_of(&*payload);
            assert!(text.contains($text), "it fails for another reason: {text}");
        }
    )*};
}

caught! {
    lost_wakes_during_polls: LOSES_WAKES_WHILE_RUNNING
        by wakers::c06_a_wake_during_the_poll_polls_again, saying "has not ended";
    lost_foreign_wakes_during_polls: LOSES_WAKES_WHILE_RUNNING
        by wakers::c06_a_foreign_wake_during_the_poll_polls_again, saying "has not ended";
    lost_foreign_wakes: LOSES_WAKES_FROM_OTHER_THREADS
        by wakers::c06_a_foreign_thread_wakes_a_task, saying "has not ended";
    tasks_forgotten_at_shutdown: FORGETS_TASKS_AT_SHUTDOWN
        by shutdown::c04_shutdown_drops_waiting_tasks, saying "dropped when the runtime has ended";
    futures_dropped_by_the_aborter: DROPS_FUTURES_WHERE_IT_IS_ABORTED
        by waiting::c01_an_abort_from_outside_drops_no_future_there, saying "on a foreign thread";
    leaked_futures: LEAKS_FUTURES
        by lifecycle::c01_a_task_that_returns, saying "reported, so it is dropped";
    leaked_futures_of_aborted_tasks: LEAKS_FUTURES
        by lifecycle::c02_a_task_aborted_while_parked, saying "reported, so it is dropped";
    handles_that_cancel: CANCELS_WITH_THE_HANDLE
        by waiting::c02_dropping_a_handle_detaches, saying "has not ended";
    values_lost_to_an_abort: ABORT_BEATS_THE_VALUE
        by lifecycle::c02_a_task_aborted_in_its_last_poll_yields_its_value, saying "Cancelled";
    swallowed_panics: SWALLOWS_PANICS
        by lifecycle::c03_a_task_that_panics, saying "has not ended";
    yields_that_do_not: DOES_NOT_YIELD
        by fairness::c10_yield_loops_starve_nobody, saying "has not ended";
    greedy_polls: POLLS_WHILE_IT_IS_WOKEN
        by fairness::c10_self_waking_tasks_starve_nobody, saying "has not ended";
    endless_polls: HAS_NO_BUDGET
        by fairness::c10_ready_leaf_operations_return_from_their_poll, saying "in a single poll";
    starving_channels: HAS_NO_BUDGET
        by fairness::c10_loops_over_ready_channels_starve_nobody, saying "has not ended";
    early_timers: SLEEPS_TOO_SHORT
        by timers::c09_sleeps_are_never_early, saying "took";
    hasty_timeouts: LOOKS_AT_THE_DEADLINE_FIRST
        by timers::c09_a_ready_result_beats_a_due_deadline, saying "";
    blocking_inside_tasks: BLOCKS_INSIDE_TASKS
        by blocking_entry::c05_block_on_inside_a_task_panics, saying "must panic";
    handles_that_own: HANDLES_OWN_THE_RUNTIME
        by shutdown::c04_handles_do_not_keep_the_runtime_alive, saying "ended with its owner";
    nameless_leftovers: NAMES_NO_LEFT_TASK
        by shutdown_waits::c04_shutdown_names_a_task_still_polling, saying "one task still polls";
    items_lost_by_receivers: TAKES_ITEMS_TOO_EARLY
        by channel::c07_a_dropped_recv_loses_no_item, saying "";
    aborts_without_effect: ABORTS_NOTHING
        by lifecycle::c02_a_task_aborted_at_once, saying "has not ended";
    a_poll_for_every_wake: POLLS_FOR_EVERY_WAKE
        by wakers::c06_wakes_during_a_poll_coalesce, saying "polls for 1000 wakes";
}
