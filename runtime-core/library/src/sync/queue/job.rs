//! An item that says itself when it is done with.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::OrderedQueue;
use super::store::Store;

/// An item of a queue that counts as [done](OrderedQueue::task_done) when this is dropped, a panic included: with it
/// the calls can be neither too many nor forgotten.
#[must_use = "dropped at once, the item counts as done at once"]
pub struct Job<'a, S: Store> {
    // The item is dropped before it counts as done.
    item: S::Item,
    done: Done<'a, S>,
}

struct Done<'a, S: Store>(&'a OrderedQueue<S>);

impl<S: Store> Drop for Done<'_, S> {
    fn drop(&mut self) {
        // A surplus `task_done` took this one's place: that is to be told, but not by a panic within a panic.
        if !self.0.finish_one() && !std::thread::panicking() {
            super::too_many_done();
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

    /// The item, which counts as done now.
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
