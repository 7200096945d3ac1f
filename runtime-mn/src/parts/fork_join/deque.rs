//! The deque of forked closures: whoever steals pays for the order between owner and thieves.
//!
//! Chase and Lev's deque. Its owner takes a closure back at each join, and would pass a full fence each time. Thieves
//! come seldom. So the owner's fence is *light*, an order to the compiler, and a thief's is *heavy*: `membarrier(2)`,
//! which makes every thread of the process pass a fence. See the module's README for the protocol.
//!
//! It holds addresses, one word each. A thief may read a word while the owner writes it anew: words are atomics, and
//! the thief's compare-and-swap tells that it has read in vain.
//!
//! Buffers that were outgrown are kept until the deque is dropped, as a thief may be reading one. Each is half as large
//! as the next, so that all of them together are smaller than the last.
//!
//! Sources: Chase and Lev, "Dynamic Circular Work-Stealing Deque"; Lê, Pop, Cohen and Zappa Nardelli, "Correct and
//! Efficient Work-Stealing for Weak Memory Models".
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;

use runtime_core::primitives::atomic::{
    AtomicIsize, AtomicPtr,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use runtime_core::primitives::{Arc, Mutex};

use super::fence;

/// Places of the first buffer.
const FIRST: usize = if cfg!(lab_loom) { 2 } else { 64 };

/// A closure stands at its number, modulo the length, which is a power of two.
struct Buffer {
    places: Box<[AtomicPtr<()>]>,
}

impl Buffer {
    /// One to be freed by `Shared`.
    fn new(length: usize) -> *mut Self {
        let places = (0..length).map(|_| AtomicPtr::new(ptr::null_mut()));
        Box::into_raw(Box::new(Self {
            places: places.collect(),
        }))
    }

    #[inline]
    fn place(&self, number: isize) -> &AtomicPtr<()> {
        &self.places[number as usize & (self.places.len() - 1)]
    }

    /// How many places there are, as numbers count.
    fn length(&self) -> isize {
        self.places.len() as isize
    }
}

struct Shared {
    /// The number of the oldest closure. Only grows; changed by whoever takes that one.
    top: AtomicIsize,
    /// The number of the next one to be pushed. Changed by the owner.
    bottom: AtomicIsize,
    /// The one in use. Changed by the owner.
    buffer: AtomicPtr<Buffer>,
    /// All that have been in use.
    buffers: Mutex<Vec<*mut Buffer>>,
}

// SAFETY: the addresses are those of buffers, which may be shared, and are freed with it.
unsafe impl Send for Shared {}
// SAFETY: as above; the list is under its lock.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        for buffer in self.buffers.lock().drain(..) {
            // SAFETY: each is in the list once, and nobody has a reference to the deque any more.
            drop(unsafe { Box::from_raw(buffer) });
        }
    }
}

/// The owner's side: takes what was pushed last.
pub(crate) struct Owner {
    shared: Arc<Shared>,
    /// `top` was at least that when it was looked at last, so there is room for numbers below this.
    room_until: Cell<isize>,
    /// The buffer in use: its first place, and its length less one.
    places: Cell<*const AtomicPtr<()>>,
    mask: Cell<usize>,
}

// SAFETY: the places are those of a buffer in the list, which is alive as long as `shared` is.
unsafe impl Send for Owner {}

/// The others' side: takes what was pushed first.
#[derive(Clone)]
pub(crate) struct Thief {
    shared: Arc<Shared>,
}

/// What came of an attempt to steal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stolen {
    Closure(*mut ()),
    Nothing,
    /// Somebody was faster: there may be more.
    Retry,
}

impl Owner {
    pub(crate) fn new() -> Self {
        fence::prepare();
        let buffer = Buffer::new(FIRST);
        let owner = Self {
            shared: Arc::new(Shared {
                top: AtomicIsize::new(0),
                bottom: AtomicIsize::new(0),
                buffer: AtomicPtr::new(buffer),
                buffers: Mutex::new(vec![buffer]),
            }),
            room_until: Cell::new(0),
            places: Cell::new(ptr::null()),
            mask: Cell::new(0),
        };
        // SAFETY: alive: it is in the list.
        owner.uses(unsafe { &*buffer }, 0);
        owner
    }

    fn uses(&self, buffer: &Buffer, top: isize) {
        self.places.set(buffer.places.as_ptr());
        self.mask.set(buffer.places.len() - 1);
        self.room_until.set(top + buffer.length());
    }

    #[inline]
    fn place(&self, number: isize) -> &AtomicPtr<()> {
        // SAFETY: below the length, in a buffer that is in the list until the deque is dropped.
        unsafe { &*self.places.get().add(number as usize & self.mask.get()) }
    }

    pub(crate) fn thief(&self) -> Thief {
        Thief {
            shared: Arc::clone(&self.shared),
        }
    }

    #[inline]
    pub(crate) fn push(&self, closure: *mut ()) {
        let shared = &*self.shared;
        // Relaxed: the owner's own.
        let bottom = shared.bottom.load(Relaxed);
        if bottom >= self.room_until.get() {
            self.make_room(bottom);
        }
        self.place(bottom).store(closure, Relaxed);
        // Release: pairs with the Acquire of `bottom` in `steal`, which then sees the closure.
        shared.bottom.store(bottom + 1, Release);
    }

    #[cold]
    fn make_room(&self, bottom: isize) {
        let shared = &*self.shared;
        // SAFETY: in the list until the deque is dropped.
        let full = unsafe { &*shared.buffer.load(Relaxed) };
        // Acquire: pairs with the compare-and-swap in `steal`. That thief has read its place, which may be written.
        let top = shared.top.load(Acquire);
        if bottom - top < full.length() {
            self.room_until.set(top + full.length());
            return;
        }
        let larger = Buffer::new(full.places.len() * 2);
        shared.buffers.lock().push(larger);
        // SAFETY: in the list until the deque is dropped.
        let buffer = unsafe { &*larger };
        for number in top..bottom {
            let closure = full.place(number).load(Relaxed);
            buffer.place(number).store(closure, Relaxed);
        }
        // Release: pairs with the Acquire in `steal`, which then sees what was copied.
        shared.buffer.store(larger, Release);
        self.uses(buffer, top);
    }

    /// Takes the newest closure.
    #[inline]
    pub(crate) fn pop(&self) -> Option<*mut ()> {
        let shared = &*self.shared;
        let newest = shared.bottom.load(Relaxed) - 1;
        // Says that it takes that one, and then looks whether a thief may be about to.
        // Release: a thief that sees this number has to see what was pushed below it, as after `push`.
        shared.bottom.store(newest, Release);
        // Pairs with the heavy fence in `steal`.
        fence::light();
        let top = shared.top.load(Relaxed);
        if top < newest {
            // Thieves that come to it see that it is taken.
            return Some(self.at(newest));
        }
        // The last one: owner and thief take it by the same word.
        let taken = top == newest
            && shared
                .top
                .compare_exchange(top, top + 1, SeqCst, Relaxed)
                .is_ok();
        let closure = taken.then(|| self.at(newest));
        // Release: as above.
        shared.bottom.store(newest + 1, Release);
        closure
    }

    #[inline]
    fn at(&self, number: isize) -> *mut () {
        self.place(number).load(Relaxed)
    }
}

impl Thief {
    /// True if there seems to be nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let top = self.shared.top.load(Acquire);
        self.shared.bottom.load(Acquire) <= top
    }

    /// Takes the oldest closure.
    pub(crate) fn steal(&self) -> Stolen {
        // Nothing to be had costs no heavy fence.
        if self.is_empty() {
            return Stolen::Nothing;
        }
        let shared = &*self.shared;
        // Acquire: pairs with the compare-and-swap of whoever took the one before.
        let top = shared.top.load(Acquire);
        // Pairs with the light fence in `pop`: either the owner sees that `top` is this, or we see that it has taken
        // the one below `bottom`.
        fence::heavy();
        // Acquire: pairs with the Release in `push` and `pop`.
        if top >= shared.bottom.load(Acquire) {
            return Stolen::Nothing;
        }
        // Acquire: pairs with the Release in `make_room`.
        // SAFETY: in the list until the deque is dropped.
        let buffer = unsafe { &*shared.buffer.load(Acquire) };
        let closure = buffer.place(top).load(Relaxed);
        // SeqCst: with the owner's for the last one. It also releases: the place was read before.
        match shared.top.compare_exchange(top, top + 1, SeqCst, Relaxed) {
            Ok(_) => Stolen::Closure(closure),
            Err(_) => Stolen::Retry,
        }
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    fn address(number: usize) -> *mut () {
        ptr::without_provenance_mut(number)
    }

    #[test]
    fn the_owner_takes_the_newest_and_a_thief_the_oldest() {
        let owner = Owner::new();
        let thief = owner.thief();
        (1..=3).for_each(|number| owner.push(address(number)));
        assert_eq!(thief.steal(), Stolen::Closure(address(1)));
        assert_eq!(owner.pop(), Some(address(3)));
        assert_eq!(owner.pop(), Some(address(2)));
        assert_eq!(owner.pop(), None);
        assert_eq!(thief.steal(), Stolen::Nothing);
        assert!(thief.is_empty());
    }

    #[test]
    fn it_grows_and_keeps_all_in_order() {
        let owner = Owner::new();
        let thief = owner.thief();
        let count = 3 * FIRST;
        // Numbers that do not begin at the first place.
        (1..=FIRST / 2).for_each(|number| {
            owner.push(address(number));
            assert_eq!(thief.steal(), Stolen::Closure(address(number)));
        });
        (1..=count).for_each(|number| owner.push(address(number)));
        (1..=FIRST).for_each(|number| assert_eq!(thief.steal(), Stolen::Closure(address(number))));
        (FIRST + 1..=count)
            .rev()
            .for_each(|number| assert_eq!(owner.pop(), Some(address(number))));
        assert_eq!(owner.pop(), None);
    }

    /// The owner pushes and pops near the last one, where thieves are its rivals.
    #[test]
    fn each_is_taken_once_by_owner_or_thieves() {
        let count = if cfg!(miri) { 200 } else { 20_000 };
        let taken: Vec<AtomicUsize> = (0..=count).map(|_| AtomicUsize::new(0)).collect();
        let take = |closure: *mut ()| _ = taken[closure.addr()].fetch_add(1, Relaxed);
        let left = AtomicUsize::new(count);
        let owner = Owner::new();
        thread::scope(|scope| {
            for _ in 0..2 {
                let thief = owner.thief();
                let (take, left) = (&take, &left);
                scope.spawn(move || {
                    while left.load(Relaxed) > 0 {
                        if let Stolen::Closure(closure) = thief.steal() {
                            take(closure);
                            left.fetch_sub(1, Relaxed);
                        }
                        thread::yield_now();
                    }
                });
            }
            for number in 1..=count {
                owner.push(address(number));
                if number % 3 != 0 {
                    while let Some(closure) = owner.pop() {
                        take(closure);
                        left.fetch_sub(1, Relaxed);
                        if number % 2 == 0 {
                            break;
                        }
                    }
                }
            }
            while let Some(closure) = owner.pop() {
                take(closure);
                left.fetch_sub(1, Relaxed);
            }
        });
        assert!(taken[1..].iter().all(|times| times.load(Relaxed) == 1));
    }
}

#[cfg(all(test, lab_loom))]
mod loom_tests {
    use loom::cell::UnsafeCell;
    use loom::thread;

    use super::*;

    fn address(number: usize) -> *mut () {
        ptr::without_provenance_mut(number)
    }

    /// What the closures are made of: written before they are pushed, read by whoever takes them.
    struct Contents([UnsafeCell<usize>; 4]);

    // SAFETY: that is what the model checks.
    unsafe impl Sync for Contents {}

    impl Contents {
        fn write(&self, number: usize) -> *mut () {
            // SAFETY: loom watches.
            self.0[number].with_mut(|content| unsafe { *content = number });
            address(number)
        }

        fn read(&self, closure: *mut ()) -> usize {
            // SAFETY: loom watches.
            self.0[closure.addr()].with(|content| unsafe { *content })
        }
    }

    /// The owner pushes `count` and pops all that are left; each thief tries so many times.
    fn check(count: usize, thieves: &'static [usize]) {
        check_within(3, count, thieves);
    }

    /// The same, with at most so many preemptions: three threads with more would take minutes.
    fn check_within(preemptions: usize, count: usize, thieves: &'static [usize]) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(move || {
            let contents = Arc::new(Contents([0; 4].map(UnsafeCell::new)));
            let owner = Owner::new();
            let others: Vec<_> = thieves
                .iter()
                .map(|attempts| {
                    let thief = owner.thief();
                    let contents = contents.clone();
                    thread::spawn(move || {
                        let stolen = (0..*attempts).filter_map(|_| match thief.steal() {
                            Stolen::Closure(closure) => Some(contents.read(closure)),
                            Stolen::Nothing | Stolen::Retry => None,
                        });
                        stolen.collect::<Vec<_>>()
                    })
                })
                .collect();
            (1..=count).for_each(|number| owner.push(contents.write(number)));
            let mut taken = Vec::new();
            while let Some(closure) = owner.pop() {
                taken.push(contents.read(closure));
            }
            for other in others {
                taken.extend(other.join().unwrap());
            }
            taken.sort_unstable();
            assert!(taken.into_iter().eq(1..=count), "each once");
        });
    }

    #[test]
    fn loom_owner_and_thief_take_each_once() {
        check(2, &[2]);
    }

    #[test]
    fn loom_two_thieves_at_the_last_one() {
        check(1, &[1, 1]);
    }

    #[test]
    fn loom_two_thieves_and_two_closures() {
        check_within(2, 2, &[1, 1]);
    }

    #[test]
    fn loom_a_thief_meets_a_growing_buffer() {
        check(3, &[2]);
    }
}
