//! The one allocation of a task, and what can be done to it through its erased header.
#![allow(unsafe_code)]

mod current;
mod joining;
mod references;

use std::alloc::Layout;
use std::any::Any;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use super::registry;
use super::scheduler::SchedulerRef;
use super::state::{
    ABORTED, AfterPoll, COMPLETE, JOIN_INTEREST, JOIN_WAKER, RUNNING, SCHEDULED, State, Woke,
};
use super::waker::{self, JoinWaker};
use super::{JoinError, Task, TaskId};
use crate::budget;
use crate::contain::discard;
use crate::context::Depth;
use crate::primitives::UnsafeCell;
use crate::task_list::{LiveTask, TaskState};
use crate::trace::{self, Cause, Fact, Outcome as PollOutcome, Table};

use current::{CURRENT, Current};
pub(super) use current::{current, is_own_waker, serve, yield_current};
pub(super) use joining::{drop_join, park_join, poll_join};
use references::free;
pub(super) use references::{Reference, release, release_last, retain};

/// What is the same for every task. It lies at the start of its [`Cell`]. A million tasks are a normal number, so it
/// has three words.
#[repr(C)]
pub(super) struct Header {
    /// Also says whose task it is. The block has a reference on that scheduler, which goes back with it.
    pub(super) state: State,
    vtable: &'static VTable,
    /// Who may touch it is decided by `JOIN_WAKER`; see the README.
    join_waker: UnsafeCell<JoinWaker>,
}

impl Header {
    /// The task's scheduler.
    pub(super) fn scheduler(&self) -> &SchedulerRef {
        // SAFETY: the block has a reference on it as long as it is there.
        unsafe { registry::scheduler(self.state.scheduler()) }
    }
}

/// What differs from one future type to the next.
pub(super) struct VTable {
    /// Polls once. The caller has made the state RUNNING.
    poll: unsafe fn(NonNull<Header>) -> Polled,
    /// Drops the future and stores the error. The caller has made the state RUNNING.
    cancel: unsafe fn(NonNull<Header>, JoinError),
    /// Moves the output to `*mut Outcome<T>`. The task is complete and the output the caller's.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output. The task is complete and the output the caller's.
    drop_output: unsafe fn(NonNull<Header>),
    /// Gives the block back to the scheduler with this number, which is its own. Nobody else refers to it. Returns
    /// the task that awaited it, with the reference that the block held.
    deallocate: unsafe fn(NonNull<Header>, u32) -> Option<NonNull<Header>>,
    label: unsafe fn(NonNull<Header>) -> Label,
    /// The future's type.
    type_name: fn() -> &'static str,
    /// Where the tag is, in bytes from the header. 0: the task has none.
    tag_at: usize,
}

enum Polled {
    Pending,
    /// The output is stored.
    Ready,
    /// As `Ready`: it is the panic.
    Panicked,
}

#[repr(C)]
struct Cell<F: Future, N: Name> {
    header: Header,
    name: N,
    stage: UnsafeCell<Stage<F>>,
}

/// The future until the task ends, then its outcome. Which one it is follows from the state.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Outcome<F::Output>>,
}

/// What a task ends with, as its cell keeps it.
type Outcome<T> = Result<T, Failure>;

/// A [`JoinError`] in one word, so that the room for it does not make small tasks larger. `None`: cancelled.
struct Failure(Option<Box<JoinError>>);

impl Failure {
    #[cold]
    fn panicked(payload: Box<dyn Any + Send>) -> Self {
        JoinError::Panicked(payload.into()).into()
    }

    fn is_panic(&self) -> bool {
        self.0.as_ref().is_some_and(|error| error.is_panic())
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self(match error {
            JoinError::Cancelled => None,
            other => Some(Box::new(other)),
        })
    }
}

impl From<Failure> for JoinError {
    fn from(failure: Failure) -> Self {
        failure.0.map_or(Self::Cancelled, |error| *error)
    }
}

/// What a task is called, and where it was spawned if that is known.
pub(super) struct Label {
    name: *const str,
    spawned_at: Option<&'static Location<'static>>,
}

/// What a task was given beside its future. Most tasks get nothing, which takes no room: their name is their future's
/// type, and their tag is 0.
pub(super) trait Name: Send + Sync + 'static {
    /// It is a [`Tagged`].
    const IS_TAG: bool = false;

    fn get(&self) -> Option<&Named>;
}

/// A name of its own, and the call that gave it.
pub(super) struct Named {
    pub(super) name: Box<str>,
    pub(super) spawned_at: &'static Location<'static>,
}

/// A tag: a number for the scheduler's policy. It takes 8 bytes, as what follows has the alignment of a pointer.
#[repr(transparent)]
pub(super) struct Tagged(pub(super) u32);

impl Name for Tagged {
    const IS_TAG: bool = true;

    fn get(&self) -> Option<&Named> {
        None
    }
}
impl Name for () {
    fn get(&self) -> Option<&Named> {
        None
    }
}
impl Name for Named {
    fn get(&self) -> Option<&Named> {
        Some(self)
    }
}

/// What came of running a task once.
pub(super) enum Ran {
    Finished,
    Parked,
    Woken,
    Yielded,
}

/// Allocates a task for a scheduler. It is marked as scheduled: the caller must queue it.
pub(super) fn allocate<F: Future, N: Name>(
    scheduler: &SchedulerRef,
    name: N,
    future: F,
) -> NonNull<Header> {
    let (block, reference) = scheduler.allocate(Layout::new::<Cell<F, N>>());
    let cell = block.cast::<Cell<F, N>>();
    // The state comes last and by an atomic store: a walker over the arena may be looking at it.
    // SAFETY: the block is fresh memory of this layout, and nobody else writes to it. The fields are written one by
    // one through raw pointers, so that no reference to an uninitialised one arises.
    unsafe {
        let header = &raw mut (*cell.as_ptr()).header;
        (&raw mut (*header).vtable).write(VTable::of::<F, N>());
        (&raw mut (*header).join_waker).write(UnsafeCell::new(JoinWaker::NONE));
        (&raw mut (*cell.as_ptr()).name).write(name);
        (&raw mut (*cell.as_ptr()).stage).write(UnsafeCell::new(Stage {
            future: ManuallyDrop::new(future),
        }));
        State::revive(&raw mut (*header).state, reference.number());
    }
    // It is the block's now.
    mem::forget(reference);
    cell.cast()
}

impl VTable {
    const fn of<F: Future, N: Name>() -> &'static Self {
        const {
            &Self {
                poll: poll::<F, N>,
                cancel: cancel::<F, N>,
                take_output: take_output::<F, N>,
                drop_output: drop_output::<F, N>,
                deallocate: deallocate::<F, N>,
                label: label::<F, N>,
                type_name: std::any::type_name::<F>,
                tag_at: if N::IS_TAG {
                    mem::offset_of!(Cell<F, N>, name)
                } else {
                    0
                },
            }
        }
    }
}

// The six functions below get a pointer to the header of a live `Cell<F, N>` (only `allocate` pairs a header with
// this table), from a caller who owns the stage in the way that the table's documentation says.

unsafe fn poll<F: Future, N: Name>(header: NonNull<Header>) -> Polled {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    // SAFETY: the runtime's reference outlives the poll.
    let waker = unsafe { waker::borrowed(header) };
    let polled = cell.stage.with_mut(|stage| {
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the state is RUNNING by us, so the stage is ours and holds the future, which never moves.
            let future = unsafe { Pin::new_unchecked(&mut *(*stage).future) };
            future.poll(&mut Context::from_waker(&waker))
        }))
    });
    let output = match polled {
        Ok(Poll::Pending) => return Polled::Pending,
        Ok(Poll::Ready(value)) => Ok(value),
        Err(payload) => Err(Failure::panicked(payload)),
    };
    let polled = match &output {
        Ok(_) => Polled::Ready,
        Err(_) => Polled::Panicked,
    };
    // SAFETY: as above; the future has ended.
    unsafe { settle::<F, N>(header, output) };
    polled
}

unsafe fn cancel<F: Future, N: Name>(header: NonNull<Header>, error: JoinError) {
    // SAFETY: by the contract of the table.
    unsafe { settle::<F, N>(header, Err(error.into())) };
}

/// Drops the future and puts the outcome in its place.
unsafe fn settle<F: Future, N: Name>(header: NonNull<Header>, outcome: Result<F::Output, Failure>) {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    // A destructor is no poll that could be repeated on a full budget.
    let _lifted = budget::lift();
    cell.stage.with_mut(|stage| {
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the state is RUNNING by us and the future is still there; it is not used again.
            unsafe { ManuallyDrop::drop(&mut (*stage).future) };
        }));
        let outcome = match dropped {
            Ok(()) => outcome,
            // The first panic of a task is the one that is reported.
            Err(payload) => match outcome {
                Err(first) if first.is_panic() => {
                    discard(payload);
                    Err(first)
                }
                other => {
                    discard(other);
                    Err(Failure::panicked(payload))
                }
            },
        };
        // SAFETY: the stage is ours and holds nothing now.
        unsafe { (*stage).output = ManuallyDrop::new(outcome) };
    });
}

unsafe fn take_output<F: Future, N: Name>(header: NonNull<Header>, into: *mut ()) {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    cell.stage.with(|stage| {
        // As a whole, and taken apart by the caller: a value that is written in parts and read as a whole stalls the
        // processor.
        // SAFETY: complete, and the output is the caller's, who takes it once; `into` is of this type.
        unsafe {
            ptr::copy_nonoverlapping(
                (&raw const (*stage).output).cast(),
                into.cast::<Outcome<F::Output>>(),
                1,
            )
        };
    });
}

unsafe fn drop_output<F: Future, N: Name>(header: NonNull<Header>) {
    // SAFETY: a live cell of this type, as said above.
    let cell = unsafe { header.cast::<Cell<F, N>>().as_ref() };
    let output = cell
        .stage
        // SAFETY: complete, and the output is the caller's, who takes it once.
        .with_mut(|stage| unsafe { ManuallyDrop::take(&mut (*stage).output) });
    // The one who drops a handle, perhaps in the poll of another task, stays in the runtime that it is in.
    let depth = Depth::now();
    discard(output);
    depth.restore();
}

unsafe fn deallocate<F: Future, N: Name>(
    header: NonNull<Header>,
    scheduler: u32,
) -> Option<NonNull<Header>> {
    let cell = header.cast::<Cell<F, N>>();
    // SAFETY: nobody else refers to the block; the stage holds nothing any more. What is dropped is not used again.
    unsafe {
        let awaiter = (*cell.as_ptr())
            .header
            .join_waker
            .with_mut(|slot| ptr::read(slot).into_task());
        ptr::drop_in_place(&raw mut (*cell.as_ptr()).name);
        let reference = SchedulerRef::of_task(scheduler);
        State::kill(&raw mut (*cell.as_ptr()).header.state);
        reference.deallocate(cell.cast(), Layout::new::<Cell<F, N>>());
        awaiter
    }
}

unsafe fn label<F: Future, N: Name>(header: NonNull<Header>) -> Label {
    let cell = header.cast::<Cell<F, N>>().as_ptr();
    // SAFETY: the name is written before the header is handed out and never changes.
    let name = unsafe { &(*cell).name };
    match name.get() {
        Some(named) => Label {
            name: &raw const *named.name,
            spawned_at: Some(named.spawned_at),
        },
        None => Label {
            name: std::any::type_name::<F>(),
            spawned_at: None,
        },
    }
}

/// Polls a task, whose entry the caller took out of a queue, once.
///
/// # Safety
/// The header is alive, SCHEDULED, and its one entry is the caller's.
pub(super) unsafe fn run(header: NonNull<Header>) -> Ran {
    // SAFETY: alive, as the task is not complete.
    let head = unsafe { header.as_ref() };
    let depth = Depth::now();
    if head.state.start_running().has(ABORTED) {
        // SAFETY: the state is RUNNING by us.
        unsafe { end(header, JoinError::Cancelled, depth) };
        return Ran::Finished;
    }
    if trace::is_on() {
        let table = Table::at(ptr::from_ref(head.vtable).expose_provenance());
        trace::poll_begins(TaskId::of(header), table);
    }
    let outer = CURRENT.replace(Current::of(header.as_ptr()));
    let budget = budget::arm();
    // SAFETY: the state is RUNNING by us.
    let polled = unsafe { (head.vtable.poll)(header) };
    depth.restore();
    drop(budget);
    let Current { yielded, taken, .. } = CURRENT.replace(outer);
    if trace::is_on() {
        let outcome = match polled {
            Polled::Ready => PollOutcome::Ready,
            Polled::Panicked => PollOutcome::Panicked,
            Polled::Pending if yielded => PollOutcome::Yielded,
            Polled::Pending => PollOutcome::Pending,
        };
        trace::poll_ends(TaskId::of(header), outcome);
    }
    match polled {
        Polled::Ready | Polled::Panicked => {
            // SAFETY: the state is RUNNING by us, and the output is stored.
            unsafe { complete(header, taken, depth) };
            return Ran::Finished;
        }
        Polled::Pending if yielded => {
            head.state.stay_running(taken);
            return Ran::Yielded;
        }
        Polled::Pending => {}
    }
    match head.state.stop_running(taken) {
        AfterPoll::Idle => Ran::Parked,
        AfterPoll::Scheduled => Ran::Woken,
        AfterPoll::Aborted => {
            // It is SCHEDULED, and its entry is ours: at the suspension point that the abort waited for.
            head.state.start_running();
            // SAFETY: the state is RUNNING by us.
            unsafe { end(header, JoinError::Cancelled, depth) };
            Ran::Finished
        }
    }
}

/// Ends a task, whose entry the caller took out of a queue (or has not put into one), without polling it.
///
/// # Safety
/// The header is alive, SCHEDULED, and its one entry is the caller's.
pub(super) unsafe fn cancel_entry(header: NonNull<Header>, error: JoinError) {
    // SAFETY: alive, as the task is not complete.
    unsafe { header.as_ref() }.state.start_running();
    // SAFETY: the state is RUNNING by us.
    unsafe { end(header, error, Depth::now()) };
}

/// The thread is back at `depth` when the destructors have run: they may have entered a runtime for good.
///
/// SAFETY: the state is RUNNING by the caller, and the future is there.
unsafe fn end(header: NonNull<Header>, error: JoinError, depth: Depth) {
    let outer = CURRENT.replace(Current::of(header.as_ptr()));
    // SAFETY: by this function's contract; alive, as the task is not complete.
    unsafe { (header.as_ref().vtable.cancel)(header, error) };
    depth.restore();
    trace::note(Fact::Ended(TaskId::of(header)));
    let Current { taken, .. } = CURRENT.replace(outer);
    // SAFETY: the output is stored.
    unsafe { complete(header, taken, depth) };
}

/// The thread is back at `depth` at the end, whatever the destructor of an output has entered.
///
/// SAFETY: the state is RUNNING by the caller, and the output is stored.
#[inline]
unsafe fn complete(header: NonNull<Header>, taken: i32, depth: Depth) {
    // SAFETY: alive: the runtime's reference is not given up yet.
    if !unsafe { header.as_ref() }.state.complete_and_release(taken) {
        // SAFETY: by this function's contract.
        unsafe { complete_in_steps(header, taken) };
        depth.restore();
    }
}

/// SAFETY: as `complete`.
#[inline]
unsafe fn complete_in_steps(header: NonNull<Header>, taken: i32) {
    // SAFETY: alive: the runtime's reference is given up below.
    let head = unsafe { header.as_ref() };
    let before = head.state.complete(taken);
    if !before.has(JOIN_INTEREST) {
        // SAFETY: complete, and there is no handle: the output is ours.
        unsafe { (head.vtable.drop_output)(header) };
    }
    if before.has(JOIN_WAKER) {
        head.join_waker.with(|slot| {
            // SAFETY: the bit was set at completion: nobody writes to the slot any more. The waker stays in it until
            // the block goes, as the handle may be comparing it with another.
            let waker = unsafe { &*slot };
            let _waking = trace::waking(TaskId::of(header));
            // A foreign executor's waker may panic; that is not the task's doing, nor this worker's end.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake_at_end())) {
                discard(payload);
            }
        });
    }
    // SAFETY: this is the runtime's reference.
    unsafe { release(header) };
}

/// Before the task can run elsewhere. A wake that finds it due already, or complete, is none.
#[inline(always)]
fn note_wake(head: &Header) {
    if trace::is_on() && !head.state.load().has(SCHEDULED | COMPLETE) {
        let task = TaskId::of(NonNull::from(head));
        trace::note(Fact::Woke(task, trace::waking_task(), trace::cause_here()));
    }
}

/// Asks for a poll.
///
/// # Safety
/// The caller has a reference.
pub(super) unsafe fn wake(header: NonNull<Header>) {
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    note_wake(head);
    if let Some(scheduler) = head.state.wake() {
        // SAFETY: the block's own, alive by the caller's reference on the block.
        unsafe { registry::scheduler(scheduler) }.schedule(Task(header));
    }
}

/// Asks for a poll of a task that has waited for just this.
///
/// # Safety
/// The caller has a reference.
pub(super) unsafe fn wake_to_run(header: NonNull<Header>) {
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    note_wake(head);
    if let Some(scheduler) = head.state.wake_to_run() {
        // SAFETY: the block's own, alive by the caller's reference on the block.
        unsafe { registry::scheduler(scheduler) }.schedule(Task(header));
    }
}

/// Asks for a poll, and gives up a reference.
///
/// # Safety
/// The reference is the caller's.
pub(super) unsafe fn wake_and_release(header: NonNull<Header>) {
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    if !current::keeps(head.state.scheduler()) {
        // Once it is queued, the task may run, end, and take its scheduler with it, which has still to tell a worker:
        // only our reference keeps it until then.
        // SAFETY: the reference is the caller's.
        let reference = unsafe { Reference::assume(header) };
        // SAFETY: alive by that reference, which goes last, also if a scheduler panics.
        unsafe { wake(reference.0) };
        return;
    }
    note_wake(head);
    match head.state.wake_and_release() {
        Woke::Nothing => {}
        // SAFETY: the block's own, which lives on through this call, as was just seen.
        Woke::Queue(scheduler) => unsafe { registry::scheduler(scheduler) }.schedule(Task(header)),
        // SAFETY: it was the last one.
        Woke::LastGone(scheduler) => unsafe { free(header, scheduler) },
    }
}

/// Asks for the end.
///
/// # Safety
/// The caller has a reference.
pub(super) unsafe fn abort(header: NonNull<Header>) {
    // SAFETY: alive by the caller's reference.
    let head = unsafe { header.as_ref() };
    trace::note(Fact::Aborted(TaskId::of(header), TaskId::current()));
    let _cause = trace::caused_by(Cause::Abort);
    note_wake(head);
    if let Some(scheduler) = head.state.abort() {
        // SAFETY: the block's own, alive by the caller's reference on the block.
        unsafe { registry::scheduler(scheduler) }.schedule(Task(header));
        return;
    }
    let state = head.state.load();
    if state.has(SCHEDULED) && !state.has(RUNNING) && !state.has(COMPLETE) {
        head.scheduler().abort_queued(TaskId::of(header));
    }
}

/// The future's type in the table at that address.
///
/// # Safety
/// A cell has exposed the address as that of its table.
pub(super) unsafe fn type_name_of_table(address: usize) -> &'static str {
    // SAFETY: by this function's contract; tables are static.
    let table = unsafe { &*ptr::with_exposed_provenance::<VTable>(address) };
    (table.type_name)()
}

/// # Safety
/// The caller has a reference or the entry.
pub(super) unsafe fn name_of<'a>(header: NonNull<Header>) -> &'a str {
    // SAFETY: by the contract of this function; the name lives as long as the block.
    unsafe { &*(header.as_ref().vtable.label)(header).name }
}

/// What a list of tasks says of it; none once it has ended.
///
/// # Safety
/// The caller has a reference or the entry.
pub(super) unsafe fn live_task(header: NonNull<Header>) -> Option<LiveTask> {
    // SAFETY: alive by the contract of this function.
    let state = unsafe { header.as_ref() }.state.load();
    let doing = if state.has(COMPLETE) {
        return None;
    } else if state.has(RUNNING) {
        TaskState::Running
    } else if state.has(SCHEDULED) {
        TaskState::Due
    } else {
        TaskState::Waiting
    };
    Some(LiveTask {
        id: TaskId::of(header),
        // SAFETY: as above.
        name: unsafe { name_of(header) }.to_owned(),
        // SAFETY: as above.
        spawned_at: unsafe { spawned_at(header) },
        parent: None,
        state: doing,
        waits: Vec::new(),
        holds: Vec::new(),
    })
}

/// The tag that the task was spawned with; 0 if there is none.
///
/// # Safety
/// The caller has a reference or the entry.
#[inline]
pub(super) unsafe fn tag_of(header: NonNull<Header>) -> u32 {
    // SAFETY: alive by the contract of this function. What is at that place in a cell with this table is a `Tagged`,
    // which was written before the header was handed out and never changes.
    unsafe {
        match header.as_ref().vtable.tag_at {
            0 => 0,
            at => header.byte_add(at).cast::<Tagged>().as_ref().0,
        }
    }
}

/// # Safety
/// The caller has a reference or the entry.
pub(super) unsafe fn spawned_at(header: NonNull<Header>) -> Option<&'static Location<'static>> {
    // SAFETY: by the contract of this function.
    unsafe { (header.as_ref().vtable.label)(header).spawned_at }
}
