//! The waker of whatever awaits a task, in one word.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::cell::{self, Header};
use super::waker::{is_of, task_of};
use crate::contain::discard;
use crate::saved_waker::SavedWaker;

/// The waker of whatever awaits a task, or none. Nearly always that is another task, whose header alone identifies its
/// waker; any other waker is boxed.
#[repr(transparent)]
pub(super) struct JoinWaker(*const ());

/// Marks a pointer to a box. The lowest bit of a header's address is 0.
const BOXED: usize = 1;

impl JoinWaker {
    pub(super) const NONE: Self = Self(ptr::null());

    #[inline]
    pub(super) fn of(waker: &Waker) -> Self {
        match task_of(waker) {
            Some(header) => {
                // SAFETY: the waker has a reference.
                unsafe { cell::retain(header) };
                Self(header.as_ptr().cast())
            }
            None => Self::boxed(waker),
        }
    }

    /// The waker as a word for the task's header, which lies below this module and does not know its contents.
    #[inline]
    pub(super) fn into_word(self) -> *const () {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `word` is from [`into_word`](JoinWaker::into_word), and is made a waker again only once.
    #[inline]
    pub(super) unsafe fn from_word(word: *const ()) -> Self {
        Self(word)
    }

    /// The waker that `word` stands for.
    ///
    /// # Safety
    /// `word` is from [`into_word`](JoinWaker::into_word), and is not made a waker again meanwhile.
    #[inline]
    pub(super) unsafe fn of_word(word: &*const ()) -> &Self {
        // SAFETY: it is a waker's word, and of the same layout.
        unsafe { &*ptr::from_ref(word).cast::<Self>() }
    }

    #[cold]
    fn boxed(waker: &Waker) -> Self {
        let boxed = Box::into_raw(Box::new(SavedWaker::of(waker)));
        Self(
            boxed
                .map_addr(|address| address | BOXED)
                .cast_const()
                .cast(),
        )
    }

    /// The boxed waker, if there is one.
    #[inline]
    fn in_box(&self) -> Option<NonNull<SavedWaker>> {
        let is_boxed = self.0.addr() & BOXED != 0;
        // SAFETY: a pointer to a box, which is not null.
        is_boxed.then(|| unsafe {
            NonNull::new_unchecked(self.0.cast::<SavedWaker>().byte_sub(BOXED).cast_mut())
        })
    }

    /// Wakes whatever awaits the task, which has ended.
    #[inline]
    pub(super) fn wake_at_end(&self) {
        if let Some(waker) = self.in_box() {
            // SAFETY: the box is ours.
            unsafe { waker.as_ref() }.wake_by_ref();
        } else if !self.0.is_null() {
            // SAFETY: a header, alive by our reference.
            unsafe { cell::wake_to_run(header(self.0)) };
        }
    }

    /// Out of line: most tasks are never awaited before they end.
    ///
    /// SAFETY: it is not `NONE`, and not used again.
    #[inline(never)]
    unsafe fn release(&mut self) {
        match self.in_box() {
            // SAFETY: the box is ours. Its destructor is user code, and the caller is in the middle of something.
            Some(waker) => discard(unsafe { Box::from_raw(waker.as_ptr()) }),
            // SAFETY: a header, and our reference.
            None => unsafe { cell::release(header(self.0)) },
        }
    }

    /// The task, if it is one, and the reference to it.
    #[inline]
    pub(super) fn into_task(self) -> Option<NonNull<Header>> {
        if self.0.is_null() || self.in_box().is_some() {
            return None;
        }
        let this = ManuallyDrop::new(self);
        NonNull::new(this.0.cast::<Header>().cast_mut())
    }

    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        match self.in_box() {
            // SAFETY: the box is ours.
            Some(own) => unsafe { own.as_ref() }.will_wake(waker),
            None => is_of(waker, self.0.cast()),
        }
    }
}

impl Drop for JoinWaker {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it is not used again.
            unsafe { self.release() };
        }
    }
}

/// SAFETY: `word` is that of a header.
unsafe fn header(word: *const ()) -> NonNull<Header> {
    // SAFETY: a header's word is not null.
    unsafe { NonNull::new_unchecked(word.cast::<Header>().cast_mut()) }
}
