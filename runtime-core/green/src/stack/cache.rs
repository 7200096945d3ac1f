//! A few free stacks for each thread. The newest is used first, because its pages are in the processor's cache.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::slab::Class;

/// The most stacks that a thread keeps.
const MAX_CACHED: usize = 64;
/// How many stacks move to or from the pool at a time.
const BATCH: usize = MAX_CACHED / 2;

/// Free stacks of one class, which is that of the last request.
struct Cache {
    class: Cell<Option<Class>>,
    tops: RefCell<Vec<usize>>,
}

/// Free stacks in the caches of all threads.
static CACHED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CACHE: Cache = const {
        Cache {
            class: Cell::new(None),
            tops: RefCell::new(Vec::new()),
        }
    };
}

impl Cache {
    fn change_class(&self, class: Class) {
        if self.class.get() != Some(class) {
            self.empty();
            self.class.set(Some(class));
        }
    }

    fn empty(&self) {
        if let Some(class) = self.class.take() {
            let mut tops = self.tops.borrow_mut();
            CACHED.fetch_sub(tops.len(), Relaxed);
            class.give_back(tops.drain(..));
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.empty();
    }
}

/// How many stacks the caches hold.
pub(super) fn cached() -> usize {
    CACHED.load(Relaxed)
}

/// The top of a free stack.
pub(super) fn take(class: Class) -> io::Result<usize> {
    let cached = CACHE.try_with(|cache| {
        cache.change_class(class);
        let mut tops = cache.tops.borrow_mut();
        if tops.is_empty() {
            class.take(&mut tops, BATCH)?;
            CACHED.fetch_add(tops.len(), Relaxed);
        }
        CACHED.fetch_sub(1, Relaxed);
        Ok(tops.pop().expect("one at least"))
    });
    cached.unwrap_or_else(|_| {
        // The thread's thread-locals are gone.
        let mut tops = Vec::new();
        class.take(&mut tops, 1)?;
        Ok(tops.pop().expect("one at least"))
    })
}

/// Takes back a stack that is no longer used.
pub(super) fn give_back(class: Class, top: usize) {
    let cached = CACHE.try_with(|cache| {
        cache.change_class(class);
        let mut tops = cache.tops.borrow_mut();
        if tops.len() == MAX_CACHED {
            CACHED.fetch_sub(BATCH, Relaxed);
            class.give_back(tops.drain(..BATCH));
        }
        CACHED.fetch_add(1, Relaxed);
        tops.push(top);
    });
    if cached.is_err() {
        class.give_back(std::iter::once(top));
    }
}
