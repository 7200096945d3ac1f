//! Code of others that the runtime calls on a green task's stack while something of its own is half done: a wait there
//! is an error, and nothing stays half done.

use std::cmp::Ordering;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Poll, Wake, Waker};

use runtime_core::green::{self, wait};
use runtime_core::promise::Promise;
use runtime_core::sync::{Event, PriorityQueue};
use runtime_core::task::{Ran, SafeSchedule, SchedulerArc, Task, bind};

mod each;
use each::each;

/// Whether a wait is refused here. If not, it suspends the task.
fn is_refused() -> bool {
    catch_unwind(green::yield_now).is_err()
}

/// An item whose comparisons wait, or pass on the panic of the wait.
struct Waits {
    number: usize,
    waits: Arc<AtomicBool>,
    passes_on: bool,
    refused: Arc<AtomicUsize>,
}

impl PartialEq for Waits {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Waits {}
impl PartialOrd for Waits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waits {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.waits.load(SeqCst) {
            if self.passes_on {
                green::yield_now();
            }
            self.refused.fetch_add(usize::from(is_refused()), SeqCst);
        }
        self.number.cmp(&other.number)
    }
}

#[test]
fn a_comparison_that_waits_is_refused_and_no_item_is_lost() {
    const ITEMS: usize = 9;
    each(|_| {
        for passes_on in [false, true] {
            let (waits, refused) = (Arc::new(AtomicBool::new(true)), Arc::default());
            let queue = PriorityQueue::unbounded();
            let mut panics = 0;
            let mut attempt = |call: &mut dyn FnMut()| {
                panics += usize::from(catch_unwind(AssertUnwindSafe(call)).is_err());
            };
            for number in 0..ITEMS {
                let item = Waits {
                    number: number * 4 % ITEMS,
                    waits: Arc::clone(&waits),
                    passes_on,
                    refused: Arc::clone(&refused),
                };
                let mut item = Some(item);
                attempt(&mut || assert!(queue.try_put(item.take().unwrap()).is_ok()));
            }
            let mut taken = Vec::new();
            attempt(&mut || taken.extend(queue.try_get().map(|item| item.number)));
            attempt(&mut || taken.extend(wait(queue.get()).map(|item| item.number)));
            attempt(&mut || {
                let mut get = Box::pin(queue.get());
                let polled = get.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(item) = polled {
                    taken.extend(item.map(|item| item.number));
                }
            });
            if passes_on {
                assert!(panics > 3, "only {panics} calls have panicked");
            } else {
                assert!(refused.load(SeqCst) > 3, "comparisons were suspended");
                assert_eq!(panics, 0);
            }
            waits.store(false, SeqCst);
            taken.extend(std::iter::from_fn(|| queue.try_get().ok()).map(|item| item.number));
            assert!(taken.into_iter().eq(0..ITEMS));
        }
    });
}

/// A waker that waits, and passes on the panic.
struct WaitsInWake(Arc<AtomicUsize>);

impl Wake for WaitsInWake {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(usize::from(is_refused()), SeqCst);
        green::yield_now();
        unreachable!("it was refused");
    }
}

/// A waker that counts its wakes.
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_waker_that_waits_is_refused_and_the_rest_of_its_batch_is_woken() {
    each(|_| {
        let (refused, counts) = (Arc::default(), Arc::new(Counts(AtomicUsize::new(0))));
        let waits = Waker::from(Arc::new(WaitsInWake(Arc::clone(&refused))));
        let woken = Waker::from(Arc::clone(&counts));
        let polls = |future: &mut (dyn Future<Output = ()> + Unpin), waker: &Waker| {
            let polled = std::pin::Pin::new(future).poll(&mut Context::from_waker(waker));
            assert!(polled.is_pending());
        };
        // A batch.
        let event = Event::new();
        let mut waiting: Vec<_> = (0..6).map(|_| Box::pin(event.wait())).collect();
        for (index, future) in waiting.iter_mut().enumerate() {
            polls(future, [&waits, &woken][index % 2]);
        }
        event.set();
        assert_eq!((refused.load(SeqCst), counts.0.load(SeqCst)), (3, 3));
        // One after the other.
        let promise = Promise::new();
        let futures: Vec<_> = (0..6)
            .map(|index| {
                let future = promise.future();
                let mut waits_for = Box::pin(async { _ = future.await });
                polls(&mut waits_for, [&waits, &woken][index % 2]);
                waits_for
            })
            .collect();
        promise.set_result(());
        assert_eq!((refused.load(SeqCst), counts.0.load(SeqCst)), (6, 6));
        drop(futures);
    });
}

/// Keeps the last task that was woken, and waits, first.
#[derive(Default)]
struct WaitsInSchedule {
    refused: AtomicUsize,
    woken: StdMutex<Option<Task>>,
}

impl SafeSchedule for WaitsInSchedule {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.refused.fetch_add(usize::from(is_refused()), SeqCst);
        *this.woken.lock().unwrap() = Some(task);
    }
}

#[test]
fn a_scheduler_that_waits_while_a_task_of_it_is_woken_is_refused() {
    each(|_| {
        let scheduler = SchedulerArc::new(WaitsInSchedule::default());
        let (task, handle) = bind(scheduler.erased(), pending::<()>());
        assert!(matches!(task.run(), Ran::Parked));
        handle.abort();
        assert_eq!(scheduler.refused.load(SeqCst), 1, "it was suspended");
        let task = scheduler.woken.lock().unwrap().take();
        assert!(matches!(task.expect("due").run(), Ran::Finished));
        assert!(wait(handle).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_callback_that_waits_is_refused() {
    each(|_| {
        let refused = Arc::new(AtomicUsize::new(0));
        let calls_back = |handle: runtime_core::JoinHandle<()>| {
            let refused = Arc::clone(&refused);
            handle.on_complete(move |_| {
                refused.fetch_add(usize::from(is_refused()), SeqCst);
            });
        };
        let scheduler = SchedulerArc::new(WaitsInSchedule::default());
        // At once.
        let (task, handle) = bind(scheduler.erased(), async {});
        assert!(matches!(task.run(), Ran::Finished));
        calls_back(handle);
        // At the end of a task that is run here.
        let (task, handle) = bind(scheduler.erased(), async {});
        calls_back(handle);
        assert!(matches!(task.run(), Ran::Finished));
        assert_eq!(refused.load(SeqCst), 2);
    });
}

/// Waits when it is dropped.
struct WaitsInDrop(Arc<Event>);

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        wait(self.0.wait());
    }
}

/// An output that a handle drops may wait. Afterwards the thread leaves what the destructor has entered, but not the
/// context of the loop, which has entered it anew meanwhile.
#[test]
fn a_task_that_waits_in_an_outputs_destructor_stays_in_its_runtime() {
    let event_loop = runtime_n1::Loop::new().unwrap();
    let event = Arc::new(Event::new());
    let waits = WaitsInDrop(Arc::clone(&event));
    let (tell, told) = std::sync::mpsc::channel();
    event_loop.block_on(async move {
        let child = runtime_core::spawn(async move { waits });
        let task = green::spawn(move || {
            while !child.is_finished() {
                green::yield_now();
            }
            drop(child);
            wait(runtime_core::spawn(async { 7 }))
        });
        tell.send(task).unwrap();
        for _ in 0..10 {
            runtime_core::yield_now().await;
        }
    });
    let output = event_loop.block_on(async move {
        event.set();
        told.recv().unwrap().await
    });
    assert_eq!(output.unwrap().unwrap(), 7);
}
