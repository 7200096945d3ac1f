//! Values that belong to a task and follow it from thread to thread: asyncio's `contextvars`.
//!
//! A [`TaskLocal`] is a key. [`scope`](TaskLocal::scope) binds a value to it for a future. Whenever that future is
//! polled, the binding is pushed onto a stack of the polling thread; it is popped when the poll returns or panics, or
//! the future is dropped. So the task finds it on whichever worker it runs, inner scopes hide outer ones, and
//! destructors find what their future found.
//!
//! If a task's future is *dropped* inside another task's poll (a spawn after shutdown does that), it must not find
//! that task's values. Otherwise what it finds would depend on where it ends. Each entry of the stack therefore has
//! its task, and a look-up stops at the first entry of another task.
//!
//! **Children.** A spawned task starts without values. To copy them, as asyncio always does, spawn
//! [`inherit`]`(future)`, or keep a [`TaskLocals::capture`] for later. Copying in every spawn was rejected: it would
//! cost each of a million tasks a word and a branch per poll, and hardly any task has values. The tasks of a
//! [scope](crate::task_scope) and the calls of [`calls`](crate::calls) do inherit.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use runtime_kernel::budget;
use runtime_kernel::primitives::thread_local;
use runtime_kernel::task::TaskId;
use runtime_kernel::thread_stack::in_the_middle;

/// A key under which a task can have a value; put it into a `static`.
///
/// ```
/// use runtime_core::{park::block_on_current_thread, task_local::TaskLocal};
///
/// static REQUEST: TaskLocal<u64> = TaskLocal::new("REQUEST");
///
/// async fn handle() -> String {
///     format!("handling {}", REQUEST.get())
/// }
///
/// let text = block_on_current_thread(REQUEST.scope(7, handle()));
/// assert_eq!(text, "handling 7");
/// ```
pub struct TaskLocal<T: 'static> {
    name: &'static str,
    /// Its address is the key. It is an atomic, so that no two statics share an address and a `const` cannot be used
    /// by mistake: a value with interior mutability is not promoted to `'static`.
    place: AtomicU8,
    _value: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> TaskLocal<T> {
    /// A key; `name` is for messages.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            place: AtomicU8::new(0),
            _value: PhantomData,
        }
    }

    /// Runs `future` with `value` bound to this key. You may nest scopes of the same key: the inner one counts.
    ///
    /// Cost: one allocation, and a push and a pop for each poll. As cancel safe as `future`.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> Scoped<F> {
        Scoped::new(Entry::One(self.bind(value)), future)
    }

    /// Calls `function` with `value` bound to this key.
    pub fn sync_scope<R>(&'static self, value: T, function: impl FnOnce() -> R) -> R {
        let mut entry = Some(Entry::One(self.bind(value)));
        let _on = OnStack::put(&mut entry);
        function()
    }

    /// Calls `read` with the task's value, or returns `None` if it has none.
    pub fn try_with<R>(&'static self, read: impl FnOnce(&T) -> R) -> Option<R> {
        let value = look_up(self.key())?;
        // Outside the stack's borrow: `read` may open a scope.
        value.downcast_ref().map(read)
    }

    /// Calls `read` with the task's value.
    ///
    /// # Panics
    /// If the task has none.
    #[track_caller]
    pub fn with<R>(&'static self, read: impl FnOnce(&T) -> R) -> R {
        self.try_with(read).unwrap_or_else(|| {
            panic!(
                "the task-local `{0}` has no value here: run the future inside of `{0}.scope(value, ..)`, and spawn \
                 `inherit(future)` to hand it on to a child task",
                self.name
            )
        })
    }

    /// A copy of the task's value.
    ///
    /// # Panics
    /// If the task has none.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    fn bind(&'static self, value: T) -> Binding {
        Binding {
            key: self.key(),
            value: Arc::new(value),
        }
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(&self.place).addr()
    }
}

impl<T> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskLocal").field(&self.name).finish()
    }
}

type Value = Arc<dyn Any + Send + Sync>;

#[derive(Clone)]
struct Binding {
    key: usize,
    value: Value,
}

/// What a future pushes onto the stack for its polls.
enum Entry {
    One(Binding),
    /// All values that the future may find: entries below it don't count.
    Whole(Vec<Binding>),
}

struct Frame {
    /// The task whose poll pushed it.
    task: Option<TaskId>,
    entry: Entry,
}

thread_local! {
    static STACK: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    /// The number of frames on the stack. It has no destructor, so reading it costs one instruction.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Calls `visit` with the current task's bindings, the innermost first, until it returns something.
fn search<R>(mut visit: impl FnMut(&Binding) -> Option<R>) -> Option<R> {
    let task = TaskId::current();
    let found = STACK.try_with(|stack| {
        let _middle = in_the_middle();
        let stack = stack.borrow();
        for frame in stack.iter().rev().take_while(|frame| frame.task == task) {
            match &frame.entry {
                Entry::One(binding) => {
                    if let Some(found) = visit(binding) {
                        return Some(found);
                    }
                }
                Entry::Whole(bindings) => return bindings.iter().find_map(visit),
            }
        }
        None
    });
    // A thread that has destroyed its thread-locals polls nothing any more.
    found.ok().flatten()
}

fn look_up(key: usize) -> Option<Value> {
    search(|binding| (binding.key == key).then(|| Arc::clone(&binding.value)))
}

/// Keeps an entry on the thread's stack; when dropped, puts it back where it was taken from.
struct OnStack<'a> {
    home: &'a mut Option<Entry>,
}

impl<'a> OnStack<'a> {
    fn put(home: &'a mut Option<Entry>) -> Self {
        let task = TaskId::current();
        let _middle = in_the_middle();
        let _ = STACK.try_with(|stack| {
            if let Some(entry) = home.take() {
                stack.borrow_mut().push(Frame { task, entry });
                DEPTH.set(DEPTH.get() + 1);
            }
        });
        Self { home }
    }
}

impl Drop for OnStack<'_> {
    fn drop(&mut self) {
        if self.home.is_none() {
            let _middle = in_the_middle();
            // Polls are nested, so the last frame is ours.
            let last = STACK.try_with(|stack| stack.borrow_mut().pop());
            let last = last.ok().flatten();
            if last.is_some() {
                DEPTH.set(DEPTH.get() - 1);
            }
            *self.home = last.map(|frame| frame.entry);
        }
    }
}

/// The values that a task with its own stack has bound with `sync_scope` and not unbound yet, while it is suspended:
/// the thread's other tasks must not find them, and their bindings come and go meanwhile.
///
/// For the authors of such tasks: create one per task. Call [`resume`](Suspended::resume) before each poll, and
/// [`suspend`](Suspended::suspend) after each poll that leaves the task suspended.
#[derive(Default)]
pub struct Suspended {
    frames: Vec<Frame>,
    below: usize,
}

impl Suspended {
    /// No bindings.
    pub const fn new() -> Self {
        Self {
            frames: Vec::new(),
            below: 0,
        }
    }

    /// Pushes the task's bindings onto the thread's stack.
    #[inline]
    pub fn resume(&mut self) {
        self.below = DEPTH.get();
        if !self.frames.is_empty() {
            self.put_on();
        }
    }

    #[cold]
    fn put_on(&mut self) {
        let _ = STACK.try_with(|stack| {
            let mut stack = stack.borrow_mut();
            stack.append(&mut self.frames);
            DEPTH.set(stack.len());
        });
    }

    /// Pops what the task has bound.
    #[inline]
    pub fn suspend(&mut self) {
        if DEPTH.get() > self.below {
            self.take_off();
        }
    }

    #[cold]
    fn take_off(&mut self) {
        let _ = STACK.try_with(|stack| {
            let mut stack = stack.borrow_mut();
            self.frames = stack.split_off(self.below);
            DEPTH.set(stack.len());
        });
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspended").finish_non_exhaustive()
    }
}

pin_project! {
    /// A future with its own values: see [`TaskLocal::scope`], [`TaskLocals::scope`] and [`inherit`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<F> {
        // `None` once it has ended: its destructor also runs in the scope.
        #[pin]
        future: Option<F>,
        // `None` while it is on the stack.
        entry: Option<Entry>,
    }

    impl<F> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _on = OnStack::put(this.entry);
                this.future.set(None);
            }
        }
    }
}

impl<F> Scoped<F> {
    fn new(entry: Entry, future: F) -> Self {
        Self {
            future: Some(future),
            entry: Some(entry),
        }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let begun = ready!(budget::poll_begin(cx));
        let mut this = self.project();
        let _on = OnStack::put(this.entry);
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a scope of task-locals was polled after it had completed")
        };
        let polled = future.poll(cx);
        if polled.is_ready() {
            begun.completed();
            this.future.set(None);
        }
        polled
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}

/// All values of a task at one moment, to pass them to another. asyncio's `copy_context()`.
///
/// The values themselves are shared, not copied.
#[derive(Clone, Default)]
pub struct TaskLocals {
    bindings: Vec<Binding>,
}

impl TaskLocals {
    /// The values of the calling task. Costs almost nothing if there are none.
    pub fn capture() -> Self {
        let mut bindings: Vec<Binding> = Vec::new();
        let _ = search(|binding| {
            // The innermost binding of a key comes first.
            if bindings.iter().all(|known| known.key != binding.key) {
                bindings.push(binding.clone());
            }
            None::<()>
        });
        Self { bindings }
    }

    /// Runs `future` with exactly these values.
    pub fn scope<F: Future>(self, future: F) -> Scoped<F> {
        Scoped::new(Entry::Whole(self.bindings), future)
    }

    /// Calls `function` with exactly these values. asyncio's `Context.run`.
    pub fn sync_scope<R>(self, function: impl FnOnce() -> R) -> R {
        let mut entry = Some(Entry::Whole(self.bindings));
        let _on = OnStack::put(&mut entry);
        function()
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// True if there are no values.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }
}

impl fmt::Debug for TaskLocals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocals")
            .field("len", &self.len())
            .finish()
    }
}

/// Gives `future` the values that the calling task has now: `spawn(inherit(future))`. asyncio does this for every
/// task.
///
/// As cancel safe as `future`. Cost: one allocation if there are values, and a push and a pop for each poll.
pub fn inherit<F: Future>(future: F) -> Scoped<F> {
    TaskLocals::capture().scope(future)
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::future::poll_fn;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::Waker;

    use super::*;
    use runtime_kernel::park::block_on_current_thread as block_on;

    static NUMBER: TaskLocal<u32> = TaskLocal::new("NUMBER");
    static TEXT: TaskLocal<&str> = TaskLocal::new("TEXT");

    fn number() -> Option<u32> {
        NUMBER.try_with(|number| *number)
    }

    async fn once_pending() {
        let mut polled = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn the_inner_scope_hides_the_outer_one_and_no_other_key() {
        block_on(NUMBER.scope(
            1,
            TEXT.scope("one", async {
                once_pending().await;
                assert_eq!((number(), TEXT.get()), (Some(1), "one"));
                NUMBER
                    .scope(2, async {
                        once_pending().await;
                        assert_eq!((number(), TEXT.get()), (Some(2), "one"));
                        assert_eq!(NUMBER.sync_scope(3, number), Some(3));
                    })
                    .await;
                assert_eq!(number(), Some(1));
            }),
        ));
        assert_eq!(number(), None);
    }

    #[test]
    fn between_polls_no_value_is_left_on_the_thread() {
        let mut scoped = pin!(NUMBER.scope(1, async {
            once_pending().await;
            number()
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(scoped.as_mut().poll(&mut cx).is_pending());
        assert_eq!(number(), None);
        // Another thread continues it.
        let other = NUMBER.sync_scope(7, || scoped.as_mut().poll(&mut cx));
        assert_eq!(other, Poll::Ready(Some(1)));
    }

    #[test]
    fn a_panic_takes_the_value_off() {
        let mut scoped = pin!(NUMBER.scope(
            1,
            poll_fn(|_| -> Poll<()> { resume_unwind(Box::new("as planned")) })
        ));
        let polled = catch_unwind(AssertUnwindSafe(|| {
            scoped
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        }));
        assert!(polled.is_err());
        assert_eq!(number(), None);
        assert!(catch_unwind(|| NUMBER.sync_scope(1, || resume_unwind(Box::new(())))).is_err());
        assert_eq!(number(), None);
    }

    #[test]
    fn destructors_find_the_value_whether_the_future_ended_or_not() {
        struct RecordsOnDrop<'a>(&'a Mutex<Vec<Option<u32>>>);
        impl Drop for RecordsOnDrop<'_> {
            fn drop(&mut self) {
                self.0.lock().unwrap().push(number());
            }
        }
        let recorded = Mutex::new(Vec::new());
        let holds = |pends: bool| {
            let records = RecordsOnDrop(&recorded);
            async move {
                if pends {
                    std::future::pending::<()>().await;
                }
                drop(records);
            }
        };
        drop(NUMBER.scope(1, holds(true)));
        {
            let mut waits = pin!(NUMBER.scope(2, holds(true)));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(waits.as_mut().poll(&mut cx).is_pending());
        }
        block_on(NUMBER.scope(3, holds(false)));
        assert_eq!(*recorded.lock().unwrap(), [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_capture_takes_all_and_replaces_all() {
        let captured = NUMBER.sync_scope(1, || {
            TEXT.sync_scope("one", || NUMBER.sync_scope(2, TaskLocals::capture))
        });
        assert_eq!(captured.len(), 2);
        NUMBER.sync_scope(9, || {
            let seen = captured.clone().sync_scope(|| (number(), TEXT.get()));
            assert_eq!(seen, (Some(2), "one"));
            assert_eq!(TaskLocals::default().sync_scope(number), None);
            assert_eq!(number(), Some(9));
        });
        let nested = block_on(captured.scope(async { inherit(async { number() }).await }));
        assert_eq!(nested, Some(2));
    }

    #[test]
    #[should_panic(expected = "the task-local `NUMBER` has no value here")]
    fn a_missing_value_panics_with_the_fix() {
        NUMBER.get();
    }
}
