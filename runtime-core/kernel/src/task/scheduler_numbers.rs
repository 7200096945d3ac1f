//! The numbers of schedulers: a task stores one in 22 bits of its state word, instead of a pointer to its scheduler.
//!
//! Rejected: to store the scheduler in the header of an aligned page of tasks. It works only for tasks from an arena,
//! not for large ones, nor for those of schedulers that take memory from the global allocator.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::primitives::real_locks::Mutex;

/// Bits of a number. Under 1:1 each task's thread is a scheduler; Linux has at most this many threads.
pub(super) const NUMBER_BITS: u32 = 22;

/// Numbers per segment. The first segment always exists; another one is created when its first number is needed. Fewer
/// under Miri, where creating schedulers takes long.
const SEGMENT: usize = 1 << if cfg!(miri) { 8 } else { 12 };
const SEGMENTS: usize = (1 << NUMBER_BITS) / SEGMENT;

/// The address of a scheduler of any type.
type Slot = AtomicPtr<()>;

/// The addresses of the first schedulers. For nearly every program, a lookup is one load. Each wake and each end of a
/// task goes through here.
static FIRST: [Slot; SEGMENT] = [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENT];

/// The segments after the first. They are never freed.
static OTHERS: [AtomicPtr<[Slot; SEGMENT]>; SEGMENTS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS];

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers {
    free: Vec::new(),
    next: 0,
});

struct Numbers {
    /// Numbers that were given back.
    free: Vec<u32>,
    /// The first number that was never used.
    next: u32,
}

impl Numbers {
    /// Takes a number that nobody has. `None`: all are in use.
    fn take(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let number = self.next;
            if number == 1 << NUMBER_BITS {
                return None;
            }
            if number > 0 && (number as usize).is_multiple_of(SEGMENT) {
                // Not an array on its way to the heap: the caller's stack may be small.
                let segment: Box<[Slot]> = (0..SEGMENT).map(|_| Slot::default()).collect();
                let segment: Box<[Slot; SEGMENT]> = segment.try_into().expect("it is as long");
                // Release: pairs with the acquire in `other_slot`.
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

/// Registers the address of the scheduler that has this number, which is from [`reserve`].
pub(super) fn register(number: u32, scheduler: NonNull<()>) {
    // Relaxed: a thread that gets one of this scheduler's tasks also sees this.
    slot(number).store(scheduler.as_ptr(), Relaxed);
}

/// Gives a scheduler's number back.
pub(super) fn unregister(number: u32) {
    slot(number).store(ptr::null_mut(), Relaxed);
    NUMBERS.lock().free.push(number);
}

/// The address of the scheduler with that number, in its slot.
///
/// # Safety
/// It is registered, and stays so for `'a`.
#[inline]
pub(super) unsafe fn address<'a>(number: u32) -> &'a NonNull<()> {
    // SAFETY: a registered scheduler's slot holds its address, which is not null and does not change.
    unsafe { &*slot(number).as_ptr().cast::<NonNull<()>>() }
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
    // Acquire: pairs with the release in `take`.
    let segment = OTHERS[number / SEGMENT].load(Acquire);
    debug_assert!(!segment.is_null());
    // SAFETY: callers only pass numbers that were taken, whose segment existed before; it is never freed.
    unsafe { &(*segment)[number % SEGMENT] }
}
