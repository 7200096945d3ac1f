//! Executors under a scheduler: each case is a root task for a fresh runtime that enters the ambient context.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::AmbientSubject;
use super::blocking_entry::assert_explains;
use super::outcome::Outcome;
use runtime_kernel::blocking::{
    Executor, run_in_executor, set_default_executor, set_default_executor_of,
};
use runtime_kernel::park::block_on_current_thread;
use runtime_kernel::task::JoinError;
use runtime_kernel::{Native, spawn, spawn_blocking, yield_now};
use runtime_library::Runtime as _;
use runtime_library::combine::wait_for;

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Waits until other threads have made the condition true.
async fn eventually(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Jobs run on the executor's threads, up to its limit, and the rest wait; a panic goes to its handle.
pub async fn executors_are_bounded_and_queue() {
    let executor = Executor::new("bounded", 2);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs: Vec<_> = (0..100)
        .map(|number| {
            let (running, most) = (running.clone(), most.clone());
            run_in_executor(&executor, move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                assert!(number != 50, "on purpose");
                thread_name()
            })
        })
        .collect();
    for (number, job) in jobs.into_iter().enumerate() {
        match job.await {
            Ok(name) => assert!(name.starts_with("bounded-"), "{name}"),
            Err(error) => {
                assert_eq!(number, 50);
                assert_eq!(error.panic_message(), Some("on purpose"));
            }
        }
    }
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert_eq!(executor.name(), "bounded");
}

/// A saturated executor holds up neither the tasks nor the runtime's own pool; a queued job can be aborted.
pub async fn a_full_executor_holds_nobody_up() {
    let executor = Executor::new("full", 1);
    let (release, held) = mpsc::channel::<()>();
    let running = executor.spawn(move || held.recv());
    let waiting = executor.spawn(|| "its turn came");
    let given_up = executor.spawn(|| unreachable!("it was aborted in the queue"));
    assert_eq!(spawn(async { 1 }).await.expect("a task"), 1);
    assert_eq!(spawn_blocking(|| 2).await.expect("the runtime's pool"), 2);
    eventually(|| executor.queued() == 2).await;
    given_up.abort();
    assert!(!waiting.is_finished());
    release.send(()).expect("the job waits");
    running.await.expect("a job").expect("released");
    assert_eq!(waiting.await.expect("a job"), "its turn came");
    let error = given_up.await.expect_err("aborted");
    assert!(error.is_cancelled());
}

/// Knows whether it was dropped.
struct Captured(Arc<AtomicUsize>);

impl Drop for Captured {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A job that is aborted while it waits ends at once, although no thread of its executor gets to it.
pub async fn an_aborted_job_leaves_the_queue_of_a_stuck_executor() {
    let executor = Executor::new("stuck", 1);
    let (release, held) = mpsc::channel::<()>();
    let running = executor.spawn(move || held.recv());
    let dropped = Arc::new(AtomicUsize::new(0));
    let queue = || {
        let captured = Captured(dropped.clone());
        executor.spawn(move || drop(captured))
    };
    eventually(|| executor.queued() == 0).await;
    let late = wait_for(queue(), Duration::from_millis(20)).await;
    assert!(late.is_err(), "nobody ran it");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    // From the front, the middle and the end; the others keep their order.
    let jobs: Vec<_> = (0..1000).map(|_| queue()).collect();
    let kept: Vec<_> = (0..2)
        .map(|number| executor.spawn(move || number))
        .collect();
    let last = queue();
    last.abort();
    for job in jobs.into_iter().rev() {
        job.abort();
        assert!(job.await.expect_err("aborted").is_cancelled());
    }
    assert!(last.await.expect_err("aborted").is_cancelled());
    assert_eq!(dropped.load(Ordering::SeqCst), 1002);
    assert_eq!(executor.queued(), 2);
    // A destructor of what it captured may use the executor, and may panic.
    let own = executor.clone();
    let uses = Uses(Some(Box::new(move || drop(own.spawn(|| ())))));
    executor.spawn(move || drop(uses)).abort();
    let panics = Uses(Some(Box::new(|| panic!("on purpose"))));
    let panics = executor.spawn(move || drop(panics));
    panics.abort();
    let error = panics.await.expect_err("its destructor panicked");
    assert_eq!(error.panic_message(), Some("on purpose"));
    release.send(()).expect("the job waits");
    running.await.expect("a job").expect("released");
    for (number, job) in kept.into_iter().enumerate() {
        assert_eq!(job.await.expect("a job"), number);
    }
}

/// Calls something when it is dropped.
struct Uses(Option<Box<dyn FnOnce() + Send>>);

impl Drop for Uses {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// A job sees the runtime that sent it, even on a thread that served another runtime before.
pub async fn jobs_find_the_runtime_that_sent_them() {
    let executor = Executor::new("another", 1);
    // Sent from outside any runtime: it finds none.
    let outside = {
        let executor = executor.clone();
        thread::spawn(move || {
            executor.spawn(|| runtime_kernel::context::try_with(|_| ()).is_none())
        })
    };
    let alone = outside.join().expect("a thread").await.expect("a job");
    assert!(alone);
    let task = executor
        .spawn(|| spawn(async { "from a job" }))
        .await
        .expect("a job");
    assert_eq!(task.await.expect("its task"), "from a job");
}

/// The default executor runs what the runtime would run on its own pool, and can be replaced several times.
pub async fn the_default_executor_can_be_replaced() {
    let before = spawn_blocking(thread_name).await.expect("a job");
    let (release, held) = mpsc::channel::<()>();
    set_default_executor(Executor::new("first", 1));
    let first = spawn_blocking(move || {
        // Still queued, behind one job, when the default is replaced once more.
        held.recv().expect("released");
    });
    let queued = spawn_blocking(thread_name);
    set_default_executor(Executor::new("second", 1));
    let second = spawn_blocking(|| (thread_name(), spawn(async { 7 })));
    let (name, task) = second.await.expect("a job");
    assert_eq!(task.await.expect("its task"), 7);
    assert!(name.starts_with("second-"), "{name}, before it {before}");
    release.send(()).expect("the job waits");
    first.await.expect("a job");
    let name = queued.await.expect("a job");
    assert!(name.starts_with("first-"), "{name}");
}

/// If no executor is named, a job goes to the present default; its panic stays in its handle there, too.
pub async fn jobs_without_an_executor_go_to_the_default() {
    let own = run_in_executor(None, thread_name).await.expect("a job");
    assert_eq!(run_in_executor(None, || 3).await.expect("a job"), 3);
    set_default_executor(Executor::new("stands-in", 1));
    let name = run_in_executor(None, thread_name).await.expect("a job");
    assert!(name.starts_with("stands-in-"), "{name}, before it {own}");
    let panics = run_in_executor(None, || -> u8 { panic!("on purpose") });
    let error = panics.await.expect_err("it panics");
    assert_eq!(error.panic_message(), Some("on purpose"));
    // The only thread lives on, and the waiting jobs run in order.
    let jobs: Vec<_> = (0..50)
        .map(|number| run_in_executor(None, move || (number, thread_name())))
        .collect();
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.await.expect("a job"), (number, "stands-in-0".into()));
    }
}

/// Shutting an executor down cancels queued jobs and names running ones. 5: it does not wait inside a task.
pub async fn shutting_an_executor_down() {
    let executor = Executor::new("ending", 1);
    let (started, has_started) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let running = executor.spawn(move || {
        started.send(()).expect("the case waits");
        held.recv()
    });
    let waiting = executor.spawn(|| ());
    let ends = executor.clone();
    // Not on a task's thread: it blocks.
    let names = spawn_blocking(move || {
        has_started.recv().expect("the job starts");
        ends.shutdown(Duration::ZERO)
    });
    assert_eq!(names.await.expect("a job").len(), 1);
    assert_eq!(executor.shutdown(Duration::ZERO).len(), 1);
    let wait = AssertUnwindSafe(|| executor.shutdown(Duration::from_millis(1)));
    let refused = Outcome::panicked(&*catch_unwind(wait).expect_err("it would block"));
    assert_explains(&refused);
    assert!(waiting.await.expect_err("cancelled").is_cancelled());
    let late = executor.spawn(|| ()).await;
    assert!(matches!(late, Err(JoinError::Cancelled)));
    release.send(()).expect("the job waits");
    running.await.expect("it runs on").expect("released");
}

/// The executor that a runtime is built with is its default until another one replaces it, and ends with the runtime.
/// For a scheduler's own tests, because only its builder can make such a subject.
pub fn the_builders_executor_is_the_default_and_ends_with_the_runtime<S>(
    start: impl FnOnce(Executor) -> S,
) where
    S: AmbientSubject<Runtime: Native>,
{
    let executor = Executor::new("given", 1);
    let subject = start(executor.clone());
    let (free, named) = subject.run(async {
        let file = runtime_library::fs::read("Cargo.toml").await;
        assert!(file.is_ok_and(|bytes| !bytes.is_empty()));
        let free = spawn_blocking(thread_name).await.expect("it runs");
        let named = run_in_executor(None, thread_name).await;
        (free, named.expect("it runs"))
    });
    assert_eq!((&*free, &*named), ("given-0", "given-0"));
    let runtime = subject.handle();
    set_default_executor_of(&runtime, Executor::new("later", 1));
    let later = S::block_on(&runtime, runtime.spawn_blocking(thread_name));
    assert_eq!(later.expect("it runs"), "later-0");
    assert!(subject.shutdown(S::PATIENCE).is_empty());
    let late = block_on_current_thread(executor.spawn(|| ()));
    assert!(matches!(late, Err(JoinError::Cancelled)));
}
