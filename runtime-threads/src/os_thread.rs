//! A thread that has left but was not joined yet.
//!
//! When a task has ended, its thread runs the destructors of its thread-locals. They are user code, and may take a
//! lock that the joining thread holds. `JoinHandle::join` waits for them, and `JoinHandle::is_finished` ignores them.
//! So a thread that has other work joins by [`try_join`](OsThread::try_join), which never waits.
#![cfg_attr(target_os = "linux", allow(unsafe_code))]

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::thread_budget::Permit;

/// The longest pause between two checks of [`OsThread::join_until`].
const MAX_PAUSE: Duration = Duration::from_millis(1);

pub(crate) struct OsThread {
    handle: JoinHandle<()>,
    /// Returned once the thread is joined, because its mappings exist until then.
    permit: Permit,
}

impl OsThread {
    pub(crate) fn new(handle: JoinHandle<()>, permit: Permit) -> Self {
        Self { handle, permit }
    }

    /// Joins the thread if it has exited, after its last destructor. Otherwise returns it.
    #[cfg(target_os = "linux")]
    pub(crate) fn try_join(self) -> Result<(), Self> {
        use std::os::unix::thread::JoinHandleExt;

        // SAFETY: the handle has neither joined nor detached its thread. The thread's result is not requested.
        let result =
            unsafe { libc::pthread_tryjoin_np(self.handle.as_pthread_t(), std::ptr::null_mut()) };
        if result != 0 {
            return Err(self);
        }
        // The thread is joined: the handle must not detach it any more.
        let _joined = self.handle.into_pthread_t();
        self.permit.end();
        Ok(())
    }

    /// Detaches the thread if it has finished its task: here there is no way to know when it has exited.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn try_join(self) -> Result<(), Self> {
        if self.handle.is_finished() {
            self.permit.end();
            Ok(())
        } else {
            Err(self)
        }
    }

    /// Waits until the thread has exited.
    pub(crate) fn join(self) {
        // A task's panic is in its outcome; the thread's own result adds nothing.
        let _ = self.handle.join();
        self.permit.end();
    }

    /// Like [`join`](OsThread::join), but only until `deadline`: then the thread is detached.
    pub(crate) fn join_until(self, deadline: Instant) {
        let mut this = self;
        let mut pause = Duration::ZERO;
        while let Err(running) = this.try_join() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return running.permit.forget();
            }
            // Nearly all threads have exited within some microseconds.
            thread::sleep(pause.min(left));
            pause = (pause * 2 + Duration::from_micros(10)).min(MAX_PAUSE);
            this = running;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;
    use crate::thread_budget;

    /// The budget is that of the process, so these tests take turns.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that it is being dropped, and waits until it may continue.
    struct Waits(Sender<()>, Receiver<()>);

    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            self.1.recv().unwrap();
        }
    }

    std::thread_local! {
        static WAITS: RefCell<Option<Waits>> = const { RefCell::new(None) };
    }

    fn permit() -> Permit {
        Permit::take().expect("room for a thread").0
    }

    /// A thread in the destructor of its thread-local, and the sender that lets it continue.
    fn in_destructor() -> (OsThread, Sender<()>) {
        let ((sender, receiver), (release, released)) = (mpsc::channel(), mpsc::channel());
        let thread = thread::spawn(move || WAITS.set(Some(Waits(sender, released))));
        receiver.recv().unwrap();
        (OsThread::new(thread, permit()), release)
    }

    #[test]
    fn a_thread_counts_against_the_budget_until_it_is_joined() {
        let _alone = alone();
        let before = thread_budget::live();
        let (mut thread, release) = in_destructor();
        assert_eq!(thread_budget::live(), before + 1);
        release.send(()).unwrap();
        while let Err(running) = thread.try_join() {
            assert_eq!(thread_budget::live(), before + 1);
            thread::yield_now();
            thread = running;
        }
        assert_eq!(thread_budget::live(), before);
    }

    #[test]
    fn a_thread_is_joined_after_its_last_destructor_and_not_before() {
        let _alone = alone();
        let (mut thread, release) = in_destructor();
        for _ in 0..100 {
            thread = thread.try_join().expect_err("it has not exited");
        }
        release.send(()).unwrap();
        while let Err(running) = thread.try_join() {
            thread::yield_now();
            thread = running;
        }
    }

    #[test]
    fn a_thread_that_does_not_exit_is_waited_for_until_the_deadline() {
        let _alone = alone();
        let (thread, release) = in_destructor();
        let deadline = Instant::now() + Duration::from_millis(5);
        thread.join_until(deadline);
        assert!(Instant::now() >= deadline);
        // It was not joined, and continues.
        release.send(()).unwrap();
        let (thread, release) = in_destructor();
        release.send(()).unwrap();
        thread.join_until(Instant::now() + Duration::from_secs(60));
    }
}
