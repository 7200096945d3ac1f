//! An item that reports by itself that it is done.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::ordered::{OrderedQueue, too_many_done};
use super::store::Store;
use runtime_kernel::{context, park};

/// Items as jobs.
impl<S: Store> OrderedQueue<S> {
    /// [`get`](OrderedQueue::get) for an item that counts as done when the [`Job`] is dropped.
    ///
    /// Cancel safe, like `get`.
    pub async fn get_job(&self) -> Option<Job<'_, S>> {
        self.get().await.map(|item| Job::new(self, item))
    }

    /// [`get_job`](OrderedQueue::get_job) for a thread that runs no tasks: blocks it.
    ///
    /// # Panics
    /// Inside a task.
    pub fn blocking_get_job(&self) -> Option<Job<'_, S>> {
        context::assert_may_block("Queue::blocking_get_job", "use `get_job().await` instead");
        park::block_on_current_thread(self.get_job())
    }
}

/// An item of a queue that counts as [done](OrderedQueue::task_done) when this is dropped, even by a panic. You can
/// neither forget to call `task_done` nor call it too often.
#[must_use = "dropped at once, the item counts as done at once"]
pub struct Job<'a, S: Store> {
    // The item is dropped before it counts as done.
    item: S::Item,
    done: Done<'a, S>,
}

struct Done<'a, S: Store>(&'a OrderedQueue<S>);

impl<S: Store> Drop for Done<'_, S> {
    fn drop(&mut self) {
        // A surplus `task_done` was counted for this one: report that, but not with a panic during a panic.
        if !self.0.finish_one() && !std::thread::panicking() {
            too_many_done();
        }
    }
}

impl<'a, S: Store> Job<'a, S> {
    pub(super) fn new(queue: &'a OrderedQueue<S>, item: S::Item) -> Self {
        Self {
            item,
            done: Done(queue),
        }
    }

    /// Returns the item, which now counts as done.
    pub fn finish(self) -> S::Item {
        let Self { item, done } = self;
        drop(done);
        item
    }
}

impl<S: Store> Deref for Job<'_, S> {
    type Target = S::Item;

    fn deref(&self) -> &S::Item {
        &self.item
    }
}

impl<S: Store> DerefMut for Job<'_, S> {
    fn deref_mut(&mut self) -> &mut S::Item {
        &mut self.item
    }
}

impl<S: Store> fmt::Debug for Job<'_, S>
where
    S::Item: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Job").field(&self.item).finish()
    }
}
