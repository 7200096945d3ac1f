//! A fork-join scope and its jobs. A job is one allocation, which is also its place in a scheduler's queue.
//!
//! A deque of closures holds one word per closure, but a boxed closure takes two: its address, and how to call it. A
//! scheduler would therefore have to put each job into a second box. To avoid this, a job reserves some room before
//! its closure. The scheduler notes there how to call the closure and for which scope, and queues the address of that
//! room.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Spawns the jobs of a [`ForkJoin::scope`](crate::ForkJoin::scope).
pub trait Scope<'env> {
    /// Runs `job` at some point before the scope ends. Programs call [`spawn`](#method.spawn), which boxes a closure.
    fn spawn_job(&self, job: ScopeJob<'env>);
}

impl<'env> dyn Scope<'env> + '_ {
    /// Runs `job` at some point before the scope ends. The job gets the scope, and may spawn further jobs in it.
    ///
    /// ```
    /// use runtime_core::{ForkJoin, Sequential};
    ///
    /// let mut parts = [1, 2, 3];
    /// Sequential.scope(|scope| {
    ///     for part in &mut parts {
    ///         scope.spawn(move |_| *part *= 10);
    ///     }
    /// });
    /// assert_eq!(parts, [10, 20, 30]);
    /// ```
    pub fn spawn(&self, job: impl FnOnce(&dyn Scope<'env>) + Send + 'env) {
        self.spawn_job(ScopeJob::new(job));
    }
}

/// A job of a [`ForkJoin::scope`](crate::ForkJoin::scope): a closure in a box, with room for a scheduler's notes.
pub struct ScopeJob<'env>(Box<dyn Job<'env> + Send + 'env>);

/// Words for [`QueuedJob`]: the scheduler's notes, and the two of the box.
const ROOM_WORDS: usize = 4;

/// Written only while the job is queued.
type Room = UnsafeCell<MaybeUninit<[*const (); ROOM_WORDS]>>;

struct Boxed<F> {
    room: Room,
    function: F,
}

// SAFETY: only `QueuedJob::take` reads the room, and its caller is responsible for the contents.
unsafe impl<F: Send> Send for Boxed<F> {}

trait Job<'env> {
    fn run(self: Box<Self>, scope: &dyn Scope<'env>);

    fn room(&self) -> &Room;
}

impl<'env, F: FnOnce(&dyn Scope<'env>)> Job<'env> for Boxed<F> {
    fn run(self: Box<Self>, scope: &dyn Scope<'env>) {
        // The box is freed before the call: a chain of jobs holds one at a time.
        let unboxed = |boxed: Box<Self>| boxed.function;
        unboxed(self)(scope);
    }

    fn room(&self) -> &Room {
        &self.room
    }
}

impl<'env> ScopeJob<'env> {
    /// Boxes a closure. The only allocation of a job.
    pub fn new(function: impl FnOnce(&dyn Scope<'env>) + Send + 'env) -> Self {
        Self(Box::new(Boxed {
            room: UnsafeCell::new(MaybeUninit::uninit()),
            function,
        }))
    }

    /// Calls the closure, which may spawn further jobs into `scope`.
    pub fn run(self, scope: &dyn Scope<'env>) {
        self.0.run(scope);
    }
}

impl fmt::Debug for ScopeJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeJob").finish_non_exhaustive()
    }
}

/// A job in a queue, with a scheduler's `notes` about it. It lies in the job's own allocation, and its address is the
/// job's one word.
#[repr(C)]
#[derive(Debug)]
pub struct QueuedJob<'env, N> {
    /// First, so that a pointer to this is also a pointer to the notes.
    notes: N,
    job: NonNull<dyn Job<'env> + Send + 'env>,
}

impl<'env, N: Copy> QueuedJob<'env, N> {
    const FITS: () = assert!(
        size_of::<Self>() <= size_of::<Room>() && align_of::<Self>() <= align_of::<Room>(),
        "the notes of a queued job are two words at most"
    );

    /// Turns a job into a word. Unless [`take`](Self::take) gets it back, the job leaks, with all that its closure
    /// owns.
    pub fn new(job: ScopeJob<'env>, notes: N) -> NonNull<Self> {
        const { Self::FITS };
        let job = Box::into_raw(job.0);
        // SAFETY: not null, because it was a box.
        let job = unsafe { NonNull::new_unchecked(job) };
        // SAFETY: the box is alive, and nobody else has a pointer to it.
        let room = unsafe { job.as_ref() }.room().get().cast::<Self>();
        // SAFETY: the room is large enough and aligned, and may be written through a shared reference.
        unsafe { room.write(Self { notes, job }) };
        // SAFETY: a field's address is not null.
        unsafe { NonNull::new_unchecked(room) }
    }

    /// Returns the job and its notes.
    ///
    /// # Safety
    /// - `queued` is from [`new`](Self::new), with the same types, and this is called once with it.
    /// - If this is called on another thread than `new`, it happens after `new`, and the notes may be sent there.
    /// - `'env` has not ended.
    pub unsafe fn take(queued: NonNull<Self>) -> (ScopeJob<'env>, N) {
        // SAFETY: `new` has written it, and it stays until the box is taken, which happens below.
        let Self { notes, job } = unsafe { queued.read() };
        // SAFETY: `new` made it from a box, and it is taken once.
        let job = unsafe { Box::from_raw(job.as_ptr()) };
        (ScopeJob(job), notes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    struct NoScope;

    impl<'env> Scope<'env> for NoScope {
        fn spawn_job(&self, _: ScopeJob<'env>) {
            unreachable!("the jobs of these tests spawn none");
        }
    }

    /// Sends the job's address, as a deque does.
    struct Word(NonNull<QueuedJob<'static, (usize, usize)>>);

    // SAFETY: jobs are Send, and so are numbers.
    unsafe impl Send for Word {}

    #[test]
    fn a_queued_job_runs_on_another_thread_and_frees_what_it_owns() {
        let owned = Arc::new(());
        let seen = Arc::clone(&owned);
        let job = ScopeJob::new(move |_| assert_eq!(Arc::strong_count(&seen), 2));
        let word = Word(QueuedJob::new(job, (1, 2)));
        let other = thread::spawn(move || {
            let word = word;
            // SAFETY: from `new`, once.
            let (job, notes) = unsafe { QueuedJob::take(word.0) };
            assert_eq!(notes, (1, 2));
            job.run(&NoScope);
        });
        other.join().expect("the job runs");
        assert_eq!(Arc::strong_count(&owned), 1);
    }

    #[test]
    fn a_job_that_never_runs_is_dropped_queued_before_or_not() {
        let owned = Arc::new(());
        for queues in [false, true] {
            let captured = Arc::clone(&owned);
            let mut job = ScopeJob::new(move |_| drop(captured));
            if queues {
                // SAFETY: from `new`, once.
                job = unsafe { QueuedJob::take(QueuedJob::new(job, ())) }.0;
            }
            assert_eq!(Arc::strong_count(&owned), 2);
            drop(job);
            assert_eq!(Arc::strong_count(&owned), 1);
        }
    }

    #[test]
    fn notes_and_closures_of_any_alignment_have_their_place() {
        #[repr(align(64))]
        struct Wide(u8);
        let wide = Wide(7);
        let job = ScopeJob::new(move |_| {
            let wide = wide;
            assert_eq!(wide.0, 7);
            assert_eq!((&raw const wide).addr() % 64, 0);
        });
        let queued = QueuedJob::new(job, 9_u64);
        // The notes come first.
        // SAFETY: `new` has written them.
        assert_eq!(unsafe { queued.cast::<u64>().read() }, 9);
        // SAFETY: from `new`, once.
        let (job, notes) = unsafe { QueuedJob::take(queued) };
        assert_eq!(notes, 9);
        job.run(&NoScope);
    }
}
