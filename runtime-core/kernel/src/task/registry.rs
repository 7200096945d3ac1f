//! Every scheduler's number, so that a task says in 22 bits of its state word whose it is, and needs no pointer for
//! it.
//!
//! Rejected: the scheduler in the header of an aligned page of tasks. It works for tasks from an arena only, not for
//! large ones, nor for those of schedulers that take memory from the global allocator.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Relaxed, Release},
};

use parking_lot::Mutex;

use super::scheduler::{SchedulerRef, Shared};

/// Bits of a number. Under 1:1 each task's thread is a scheduler; Linux has at most this many threads.
pub(super) const NUMBER_BITS: u32 = 22;

/// Numbers of one segment. The first is always there; another is made when the first of its numbers is needed. Fewer for
/// Miri, which takes long to make schedulers.
const SEGMENT: usize = 1 << if cfg!(miri) { 8 } else { 12 };
const SEGMENTS: usize = (1 << NUMBER_BITS) / SEGMENT;

type Slot = AtomicPtr<Shared<()>>;

/// Where the scheduler with a number is: one load away, for nearly every program. Each wake and each end of a task
/// goes through here.
static FIRST: [Slot; SEGMENT] = [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENT];

/// The segments after the first. They are never freed.
static OTHERS: [AtomicPtr<[Slot; SEGMENT]>; SEGMENTS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS];

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers {
    free: Vec::new(),
    next: 0,
});

struct Numbers {
    /// Given back.
    free: Vec<u32>,
    /// The first that was never given out.
    next: u32,
}

impl Numbers {
    /// One that nobody has. `None`: all are given out.
    fn take(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let number = self.next;
            if number == 1 << NUMBER_BITS {
                return None;
            }
            if number > 0 && (number as usize).is_multiple_of(SEGMENT) {
                let segment = Box::new([const { AtomicPtr::new(ptr::null_mut()) }; SEGMENT]);
                // Release: pairs with the acquire in `slot`.
                OTHERS[number as usize / SEGMENT].store(Box::into_raw(segment), Release);
            }
            self.next += 1;
            Some(number)
        })
    }
}

/// Takes a number for a scheduler.
///
/// # Panics
/// When four million schedulers exist.
pub(super) fn reserve() -> u32 {
    let number = NUMBERS.lock().take();
    number.unwrap_or_else(|| {
        panic!(
            "there are more schedulers than the {} that tasks can name",
            1 << NUMBER_BITS
        )
    })
}

/// Says where the scheduler is that has this number, which is from [`reserve`].
pub(super) fn register(number: u32, scheduler: NonNull<Shared<()>>) {
    // Relaxed: whoever gets a task of this scheduler's gets this, too.
    slot(number).store(scheduler.as_ptr(), Relaxed);
}

/// Takes a scheduler's number back.
pub(super) fn unregister(number: u32) {
    slot(number).store(ptr::null_mut(), Relaxed);
    NUMBERS.lock().free.push(number);
}

/// The scheduler with a number.
///
/// # Safety
/// It is registered, and stays so for `'a`.
#[inline]
pub(super) unsafe fn scheduler<'a>(number: u32) -> &'a SchedulerRef {
    // SAFETY: a registered scheduler's slot holds its address and does not change, and a `SchedulerRef` is just that.
    unsafe { &*slot(number).as_ptr().cast::<SchedulerRef>() }
}

#[inline]
fn slot(number: u32) -> &'static Slot {
    match FIRST.get(number as usize) {
        Some(slot) => slot,
        None => other_slot(number as usize),
    }
}

#[cold]
fn other_slot(number: usize) -> &'static Slot {
    // Acquire: pairs with the release in `register`.
    let segment = OTHERS[number / SEGMENT].load(Acquire);
    debug_assert!(!segment.is_null());
    // SAFETY: only numbers that were given out come here, and the segment was there before; it is never freed.
    unsafe { &(*segment)[number % SEGMENT] }
}
