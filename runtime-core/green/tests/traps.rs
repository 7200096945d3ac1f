//! What a green task must not keep across a wait, and what happens if it does, as the book describes.
//!
//! Tasks on one thread share its thread-locals and its panic count, and block it in turn. Under 1:1 no two do.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{self, ThreadId};

use runtime_core::green::{self, wait};
use runtime_core::sync::Event;

mod each;
use each::{Any, each};

/// Runs `inner` in a green task while `outer` is suspended half-way in another one. Returns the output of `inner`, if
/// it has one, and whether both ran on one thread.
fn in_the_middle<T: Send + 'static>(
    runtime: &Any,
    outer: impl FnOnce(&dyn Fn()) + Send + 'static,
    inner: impl FnOnce() -> T + Send + 'static,
) -> (Result<T, runtime_core::JoinError>, bool) {
    let (middle, go_on) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let threads = Arc::new(Mutex::new(Vec::<ThreadId>::new()));
    let outer = green::Builder::new()
        .stack_bytes(256 * 1024)
        .spawn_on(runtime, {
            let (middle, go_on, threads) = (
                Arc::clone(&middle),
                Arc::clone(&go_on),
                Arc::clone(&threads),
            );
            move || {
                threads.lock().unwrap().push(thread::current().id());
                outer(&|| {
                    middle.set();
                    wait(go_on.wait());
                });
            }
        });
    wait(middle.wait());
    let inner = green::Builder::new()
        .stack_bytes(256 * 1024)
        .spawn_on(runtime, {
            let threads = Arc::clone(&threads);
            move || {
                threads.lock().unwrap().push(thread::current().id());
                inner()
            }
        });
    let result = wait(inner);
    go_on.set();
    _ = wait(outer);
    let threads = threads.lock().unwrap();
    (result, threads[0] == threads[1])
}

thread_local! {
    static BORROWED: RefCell<u32> = const { RefCell::new(0) };
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_borrow_across_a_wait_panics_in_the_threads_other_tasks() {
    each(|runtime| {
        let (other, same_thread) = in_the_middle(
            &runtime,
            |wait_here| {
                BORROWED.with(|it| {
                    let _guard = it.borrow_mut();
                    wait_here();
                });
            },
            || BORROWED.with(|it| *it.borrow()),
        );
        if same_thread {
            let error = other.unwrap_err();
            assert!(
                error.panic_message().unwrap().contains("borrowed"),
                "{error}"
            );
        } else {
            assert_eq!(other.unwrap(), 0);
        }
    });
}

#[test]
fn a_thread_local_changes_during_a_wait_in_its_with() {
    each(|runtime| {
        let seen = Arc::new(Mutex::new(None));
        let (other, same_thread) = in_the_middle(
            &runtime,
            {
                let seen = Arc::clone(&seen);
                move |wait_here| {
                    NUMBER.with(|it| {
                        it.set(1);
                        wait_here();
                        *seen.lock().unwrap() = Some(it.get());
                    });
                }
            },
            || NUMBER.set(2),
        );
        other.unwrap();
        assert_eq!(*seen.lock().unwrap(), Some(if same_thread { 2 } else { 1 }));
    });
}

/// A task that takes it by `lock` on the same thread would stop that thread, and with it the task that holds the lock.
#[test]
fn a_standard_lock_stays_locked_across_a_wait() {
    each(|runtime| {
        let lock = Arc::new(Mutex::new(()));
        let others = Arc::clone(&lock);
        let (is_locked, _) = in_the_middle(
            &runtime,
            move |wait_here| {
                let _guard = lock.lock().unwrap();
                wait_here();
            },
            move || matches!(others.try_lock(), Err(TryLockError::WouldBlock)),
        );
        assert!(is_locked.unwrap());
    });
}

/// Waits when it is dropped.
struct Waits<'a>(&'a dyn Fn());

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The task whose destructor waits gets an error; see `unwinding.rs`. This test shows what the others see.
#[test]
fn a_destructor_that_waits_lets_its_threads_other_tasks_count_as_panicking() {
    each(|runtime| {
        let lock = Arc::new(Mutex::new(()));
        let (locked, release) = (Arc::new(Event::new()), Arc::new(Event::new()));
        // It took the lock before, and releases it during the unwinding.
        let holder = green::spawn_on(&runtime, {
            let (lock, locked) = (Arc::clone(&lock), Arc::clone(&locked));
            let release = Arc::clone(&release);
            move || {
                let guard = lock.lock().unwrap();
                locked.set();
                wait(release.wait());
                let counts = thread::panicking();
                drop(guard);
                counts
            }
        });
        wait(locked.wait());
        let holder = Mutex::new(Some(holder));
        let (other, same_thread) = in_the_middle(
            &runtime,
            |wait_here| {
                let _waits = Waits(wait_here);
                resume_unwind(Box::new("as planned"));
            },
            move || {
                let counts = thread::panicking();
                release.set();
                let holder = holder.lock().unwrap().take().unwrap();
                (counts, wait(holder).unwrap())
            },
        );
        let (counts, holder_counted) = other.unwrap();
        assert_eq!(counts, same_thread);
        assert_eq!(lock.is_poisoned(), holder_counted);
        // Afterwards nobody does.
        assert!(!wait(green::spawn_on(&runtime, thread::panicking)).unwrap());
    });
}
