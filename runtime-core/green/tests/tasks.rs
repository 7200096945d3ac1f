//! The behaviour of green tasks under each of the three schedulers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use runtime_core::green::{self, WaitExt, wait};
use runtime_core::park::block_on_current_thread;
use runtime_core::sync::{Event, channel};
use runtime_core::task_local::TaskLocal;
use runtime_core::{JoinError, Native, sleep, yield_now};

mod each;
use each::each;

#[test]
fn a_green_task_returns_what_its_function_returns() {
    each(|runtime| {
        let task = green::spawn_on(&runtime, || {
            let mut sum = 0;
            for number in 0..10 {
                wait(yield_now());
                sum += wait(async move { number });
            }
            sum
        });
        assert_eq!(wait(task).unwrap(), 45);
    });
}

#[test]
fn a_green_task_may_wait_for_any_future() {
    each(|runtime| {
        let (sender, receiver) = channel(1);
        let producer = green::spawn_on(&runtime, move || {
            for number in 0..100_u32 {
                sender.send(number).wait().unwrap();
            }
        });
        let mut seen = Vec::new();
        while let Some(number) = receiver.recv().wait() {
            seen.push(number);
        }
        producer.wait().unwrap();
        assert!(seen.into_iter().eq(0..100));
        green::sleep(Duration::from_millis(1));
        assert!(green::timeout(Duration::from_millis(1), std::future::pending::<()>()).is_err());
        // A stackless task waits for a green one, and vice versa.
        let inner = runtime.clone();
        let stackless = Native::spawn(&runtime, async move {
            sleep(Duration::from_millis(1)).await;
            green::spawn_on(&inner, || 7).await.unwrap()
        });
        assert_eq!(wait(stackless).unwrap(), 7);
    });
}

/// Counts when it is dropped.
struct Gone(Arc<AtomicUsize>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn an_abort_unwinds_the_stack() {
    each(|runtime| {
        let gone = Arc::new(AtomicUsize::new(0));
        let begun = Arc::new(Event::new());
        let task = green::spawn_on(&runtime, {
            let (gone, begun) = (Gone(Arc::clone(&gone)), Arc::clone(&begun));
            move || {
                let _outer = &gone;
                let _inner = Gone(Arc::clone(&gone.0));
                begun.set();
                wait(async {
                    let _future = Gone(Arc::clone(&gone.0));
                    std::future::pending::<()>().await;
                });
            }
        });
        wait(begun.wait());
        assert_eq!(gone.load(SeqCst), 0);
        task.abort();
        assert!(matches!(wait(task), Err(JoinError::Cancelled)));
        assert_eq!(gone.load(SeqCst), 3);
    });
}

#[test]
fn an_abort_before_the_first_poll_drops_the_function() {
    each(|runtime| {
        let gone = Arc::new(AtomicUsize::new(0));
        let captured = Gone(Arc::clone(&gone));
        let task = green::spawn_on(&runtime, move || {
            let _captured = captured;
            wait(std::future::pending::<()>());
        });
        task.abort();
        assert!(matches!(wait(task), Err(JoinError::Cancelled)));
        assert_eq!(gone.load(SeqCst), 1);
    });
}

#[test]
fn a_panic_stays_in_its_task() {
    each(|runtime| {
        for waits in [false, true] {
            let task = green::spawn_on(&runtime, move || {
                if waits {
                    green::yield_now();
                }
                std::panic::resume_unwind(Box::new("as planned"));
            });
            let error = wait(task).unwrap_err();
            assert_eq!(error.panic_message(), Some("as planned"));
        }
        // The panic of the awaited future can be caught at the wait.
        let task = green::spawn_on(&runtime, || {
            let caught = std::panic::catch_unwind(|| {
                wait(async {
                    yield_now().await;
                    std::panic::resume_unwind(Box::new("in the future"));
                })
            });
            green::yield_now();
            *caught.unwrap_err().downcast::<&str>().unwrap()
        });
        assert_eq!(wait(task).unwrap(), "in the future");
    });
}

/// Catching the panic that unwinds an aborted stack does not bring the task back.
#[test]
fn an_abort_that_is_caught_is_raised_again() {
    each(|runtime| {
        let begun = Arc::new(Event::new());
        let task = green::spawn_on(&runtime, {
            let begun = Arc::clone(&begun);
            move || {
                for _ in 0..3 {
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        begun.set();
                        wait(std::future::pending::<()>());
                    }));
                }
                7
            }
        });
        wait(begun.wait());
        task.abort();
        assert!(matches!(wait(task), Err(JoinError::Cancelled)));
    });
}

/// As in an `async fn`, the future is not dropped during an unwinding.
#[test]
fn the_destructor_of_an_awaited_future_may_panic() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            assert!(!thread::panicking());
            std::panic::resume_unwind(Box::new("a destructor"));
        }
    }
    each(|runtime| {
        let begun = Arc::new(Event::new());
        let task = green::spawn_on(&runtime, {
            let begun = Arc::clone(&begun);
            move || {
                wait(async move {
                    let _panics = Panics;
                    begun.set();
                    std::future::pending::<()>().await;
                });
            }
        });
        wait(begun.wait());
        task.abort();
        assert_eq!(
            wait(task).unwrap_err().panic_message(),
            Some("a destructor")
        );
    });
}

#[test]
fn a_wait_elsewhere_names_the_fix() {
    let outside = std::panic::catch_unwind(|| wait(async {})).unwrap_err();
    let text = |payload: &(dyn std::any::Any + Send)| -> String {
        let text = payload.downcast_ref::<String>().cloned();
        text.or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        })
        .unwrap()
    };
    assert!(text(&*outside).contains("green::spawn"));
    each(|runtime| {
        let stackless = Native::spawn(&runtime, async { wait(async {}) });
        let error = wait(stackless).unwrap_err();
        assert!(error.panic_message().unwrap().contains("`.await`"));
        // In a future that a green task waits for.
        let nested = green::spawn_on(&runtime, || wait(async { wait(async {}) }));
        let error = wait(nested).unwrap_err();
        assert!(error.panic_message().unwrap().contains("`.await`"));
        let blocking = runtime_core::spawn_blocking(|| wait(async {}));
        let error = wait(blocking).unwrap_err();
        assert!(error.panic_message().unwrap().contains("block_on"));
    });
}

/// A blocking job spawns on the runtime that it belongs to, and blocks its own thread on the handle.
#[test]
fn a_blocking_job_starts_green_tasks() {
    each(|_| {
        let job = runtime_core::spawn_blocking(|| {
            let inner = green::spawn(|| {
                green::yield_now();
                std::thread::current().id()
            });
            (std::thread::current().id(), block_on_current_thread(inner))
        });
        let (blocking, inner) = wait(job).expect("the job returns");
        assert_ne!(
            inner.expect("the task returns"),
            blocking,
            "it runs on the runtime"
        );
    });
}

static NUMBER: TaskLocal<u32> = TaskLocal::new("NUMBER");

#[test]
fn task_locals_stay_with_their_task() {
    each(|runtime| {
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                green::spawn_on(&runtime, move || {
                    NUMBER.sync_scope(number, || {
                        for _ in 0..10 {
                            green::yield_now();
                            assert_eq!(NUMBER.get(), number);
                            assert_eq!(wait(async { NUMBER.get() }), number);
                        }
                    });
                    assert_eq!(NUMBER.try_with(|it| *it), None);
                })
            })
            .collect();
        for task in tasks {
            wait(task).unwrap();
        }
    });
}

#[test]
fn a_large_function_and_a_large_output_arrive() {
    each(|runtime| {
        let numbers = [7_u64; 1000];
        let task = green::spawn_on(&runtime, move || {
            green::yield_now();
            numbers
        });
        assert_eq!(wait(task).unwrap(), [7; 1000]);
    });
}

#[test]
fn a_size_that_no_stack_can_have_fails_the_spawn() {
    each(|runtime| {
        for bytes in [0, 1, 1 << 40] {
            let task = green::Builder::new()
                .stack_bytes(bytes)
                .spawn_on(&runtime, || 7);
            let Err(JoinError::SpawnFailed(error)) = wait(task) else {
                panic!("a stack of {bytes} bytes")
            };
            assert!(
                error.to_string().contains("green::Builder::stack_bytes"),
                "{error}"
            );
        }
    });
}

#[test]
fn a_name_is_kept() {
    each(|runtime| {
        let task = green::Builder::new()
            .name("the named one")
            .spawn_on(&runtime, runtime_core::task::current_name);
        assert_eq!(task.name(), Some("the named one"));
        assert_eq!(wait(task).unwrap().as_deref(), Some("the named one"));
    });
}

/// A loop of waits for ready futures lets other tasks run.
#[test]
fn the_budget_ends_a_poll() {
    each(|runtime| {
        let stop = Arc::new(Event::new());
        let busy = green::spawn_on(&runtime, {
            let stop = Arc::clone(&stop);
            move || {
                while !stop.is_set() {
                    wait(runtime_core::consume_budget());
                }
            }
        });
        green::spawn_on(&runtime, move || {
            green::yield_now();
            stop.set();
        })
        .wait()
        .unwrap();
        busy.wait().unwrap();
    });
}
