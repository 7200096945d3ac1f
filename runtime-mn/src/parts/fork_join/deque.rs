//! The deque of forked closures: thieves pay for the ordering between owner and thieves.
//!
//! This is Chase and Lev's deque. Its owner takes a closure back at each join, and would need a full fence each time.
//! Thieves are rare. The owner's fence is therefore light and a thief's heavy (`asymmetric_fence`), and a thief asks
//! the owner for a closure before it pays. See the module's README for the protocol.
//!
//! It holds addresses, one word each. A thief may read a word while the owner writes it again: words are atomics, and
//! the thief's compare-and-swap fails if it has read the wrong value.
//!
//! Outgrown buffers are kept until the deque is dropped, because a thief may be reading one. Each is half as large as
//! the next, so all of them together are smaller than the last.
//!
//! Sources: Chase and Lev, "Dynamic Circular Work-Stealing Deque"; Lê, Pop, Cohen and Zappa Nardelli, "Correct and
//! Efficient Work-Stealing for Weak Memory Models"; Acar, Charguéraud and Rainey, "Scheduling Parallel Programs by
//! Work Stealing with Private Deques".
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::asymmetric_fence;
use runtime_core::primitives::atomic::{
    AtomicIsize, AtomicPtr,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use runtime_core::primitives::{Arc, Mutex, spin_loop};

/// The number of places in the first buffer.
const INITIAL_CAPACITY: usize = if cfg!(lab_loom) { 2 } else { 64 };

/// A closure is in the place of its number, modulo the length, which is a power of two.
struct Buffer {
    places: Box<[AtomicPtr<()>]>,
}

impl Buffer {
    /// `Shared` must free it.
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

    /// The number of places, in the type of closures' numbers.
    fn length(&self) -> isize {
        self.places.len() as isize
    }
}

struct Shared {
    old_end: CachePadded<OldEnd>,
    new_end: CachePadded<NewEnd>,
    /// The one in use. Only the owner changes it.
    buffer: AtomicPtr<Buffer>,
    /// All that have ever been in use.
    buffers: Mutex<Vec<*mut Buffer>>,
}

/// The end that thieves take from.
struct OldEnd {
    /// The number of the oldest closure. It only grows; the thread that takes that closure changes it.
    top: AtomicIsize,
    /// A closure that the owner has handed over, or null. The owner fills it, and the thread that takes the closure
    /// empties it.
    handed: AtomicPtr<()>,
}

/// The end where the owner pushes and takes. Waiting thieves do not read it, because the owner writes it all the time.
struct NewEnd {
    /// The number of the next closure. Only the owner changes it.
    bottom: AtomicIsize,
    /// There is room for numbers below this. Or [`WANTED`], from a thief.
    room_until: AtomicIsize,
}

/// A thief asks for a closure. No number is below this value, so the owner sees the request at its next push.
const WANTED: isize = isize::MIN;

/// How long a thief waits for an answer before it executes the heavy fence, which costs as much.
const ANSWER_TIMEOUT: Duration = Duration::from_micros(5);

// SAFETY: the addresses are those of buffers, which may be shared and are freed with it.
unsafe impl Send for Shared {}
// SAFETY: as above; the list is under its lock.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        for buffer in self.buffers.lock().drain(..) {
            // SAFETY: each buffer is in the list once, and there is no reference to the deque any more.
            drop(unsafe { Box::from_raw(buffer) });
        }
    }
}

/// The owner's end: it takes the newest closure.
pub(crate) struct Owner {
    shared: Arc<Shared>,
    /// The buffer in use: its first place, and its length less one.
    places: Cell<*const AtomicPtr<()>>,
    mask: Cell<usize>,
}

// SAFETY: the places are those of a buffer in the list, which is alive as long as `shared` is.
unsafe impl Send for Owner {}

/// A thief's end: it takes the oldest closure.
#[derive(Clone)]
pub(crate) struct Thief {
    shared: Arc<Shared>,
}

/// The outcome of an attempt to steal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stolen {
    Closure(*mut ()),
    Nothing,
    /// Another thread was faster: there may be more.
    Retry,
}

impl Owner {
    pub(crate) fn new() -> Self {
        asymmetric_fence::prepare();
        let buffer = Buffer::new(INITIAL_CAPACITY);
        let owner = Self {
            shared: Arc::new(Shared {
                old_end: CachePadded::new(OldEnd {
                    top: AtomicIsize::new(0),
                    handed: AtomicPtr::new(ptr::null_mut()),
                }),
                new_end: CachePadded::new(NewEnd {
                    bottom: AtomicIsize::new(0),
                    room_until: AtomicIsize::new(0),
                }),
                buffer: AtomicPtr::new(buffer),
                buffers: Mutex::new(vec![buffer]),
            }),
            places: Cell::new(ptr::null()),
            mask: Cell::new(0),
        };
        // SAFETY: it is in the list, and so alive.
        owner.uses(unsafe { &*buffer }, 0);
        owner
    }

    fn uses(&self, buffer: &Buffer, top: isize) {
        self.places.set(buffer.places.as_ptr());
        self.mask.set(buffer.places.len() - 1);
        self.shared
            .new_end
            .room_until
            .store(top + buffer.length(), Relaxed);
    }

    #[inline]
    fn place(&self, number: isize) -> &AtomicPtr<()> {
        // SAFETY: the index is below the length, and the buffer is in the list until the deque is dropped.
        unsafe { &*self.places.get().add(number as usize & self.mask.get()) }
    }

    pub(crate) fn thief(&self) -> Thief {
        Thief {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Pushes a closure. If that hands over an older one, returns how many closures are newer than that one.
    #[inline]
    pub(crate) fn push(&self, closure: *mut ()) -> Option<usize> {
        let NewEnd { bottom, room_until } = &*self.shared.new_end;
        // Relaxed: only the owner writes it.
        let number = bottom.load(Relaxed);
        // Relaxed: seeing a thief's request later does no harm.
        if number >= room_until.load(Relaxed) {
            return self.push_slowly(number, closure);
        }
        self.place(number).store(closure, Relaxed);
        // Release: pairs with the Acquire of `bottom` in `steal`, which then sees the closure.
        bottom.store(number + 1, Release);
        None
    }

    #[cold]
    fn push_slowly(&self, number: isize, closure: *mut ()) -> Option<usize> {
        let NewEnd { bottom, room_until } = &*self.shared.new_end;
        let is_wanted = room_until.load(Relaxed) == WANTED;
        self.make_room(number);
        self.place(number).store(closure, Relaxed);
        // Release: as in `push`.
        bottom.store(number + 1, Release);
        is_wanted.then(|| self.hand_over(number)).flatten()
    }

    /// Puts the oldest closure where a thief takes it without a fence, unless the last one is still there. The newest
    /// one has the number `newest`.
    fn hand_over(&self, newest: isize) -> Option<usize> {
        let OldEnd { top, handed } = &*self.shared.old_end;
        // Relaxed: only the owner fills it.
        let has_room = handed.load(Relaxed).is_null();
        // Acquire: as in `make_room`.
        let oldest = top.load(Acquire);
        let closure = (has_room && oldest <= newest).then(|| self.at(oldest))?;
        // SeqCst: against thieves, as in `steal`. The owner itself is here, so it does not compete.
        top.compare_exchange(oldest, oldest + 1, SeqCst, Relaxed)
            .ok()?;
        // Release: pairs with `take_handed`, which sees the closure.
        handed.store(closure, Release);
        Some((newest - oldest) as usize)
    }

    /// Takes back the closure that was handed over, if no thief has taken it.
    pub(crate) fn take_back(&self) -> Option<*mut ()> {
        self.shared.take_handed()
    }

    #[cold]
    fn make_room(&self, bottom: isize) {
        let shared = &*self.shared;
        // SAFETY: it is in the list until the deque is dropped.
        let full = unsafe { &*shared.buffer.load(Relaxed) };
        // Acquire: pairs with the compare-and-swap in `steal`. That thief has read its place, which may now be
        // written.
        let top = shared.old_end.top.load(Acquire);
        if bottom - top < full.length() {
            let room_until = &shared.new_end.room_until;
            room_until.store(top + full.length(), Relaxed);
            return;
        }
        let larger = Buffer::new(full.places.len() * 2);
        shared.buffers.lock().push(larger);
        // SAFETY: it is in the list until the deque is dropped.
        let buffer = unsafe { &*larger };
        for number in top..bottom {
            let closure = full.place(number).load(Relaxed);
            buffer.place(number).store(closure, Relaxed);
        }
        // Release: pairs with the Acquire in `steal`, which then sees the copied closures.
        shared.buffer.store(larger, Release);
        self.uses(buffer, top);
    }

    /// Takes the newest closure.
    #[inline]
    pub(crate) fn pop(&self) -> Option<*mut ()> {
        let Shared {
            old_end, new_end, ..
        } = &*self.shared;
        let (top, bottom) = (&old_end.top, &new_end.bottom);
        let newest = bottom.load(Relaxed) - 1;
        // Announces that it takes that one, and then checks whether a thief may be taking it. Release: a thief that
        // sees this number has to see the closures that were pushed below it, as after `push`.
        bottom.store(newest, Release);
        // Pairs with the heavy fence in `steal`.
        asymmetric_fence::light();
        let oldest = top.load(Relaxed);
        if oldest < newest {
            // A thief that reaches it sees that it is taken.
            return Some(self.at(newest));
        }
        // The last one: owner and thief both take it through `top`.
        let taken = oldest == newest
            && top
                .compare_exchange(oldest, oldest + 1, SeqCst, Relaxed)
                .is_ok();
        let closure = taken.then(|| self.at(newest));
        // Release: as above.
        bottom.store(newest + 1, Release);
        closure
    }

    #[inline]
    fn at(&self, number: isize) -> *mut () {
        self.place(number).load(Relaxed)
    }
}

impl Shared {
    /// Takes the closure that the owner has handed over.
    fn take_handed(&self) -> Option<*mut ()> {
        let handed = &self.old_end.handed;
        if handed.load(Relaxed).is_null() {
            return None;
        }
        // Acquire: sees the closure. Release: pairs with the owner, which fills the place again when it sees it empty.
        let closure = handed.swap(ptr::null_mut(), AcqRel);
        (!closure.is_null()).then_some(closure)
    }
}

impl Thief {
    /// Returns true if there seems to be nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Shared {
            old_end, new_end, ..
        } = &*self.shared;
        let top = old_end.top.load(Acquire);
        new_end.bottom.load(Acquire) <= top && old_end.handed.load(Relaxed).is_null()
    }

    /// Takes the oldest closure.
    pub(crate) fn steal(&self, gives_up: &impl Fn() -> bool) -> Stolen {
        let shared = &*self.shared;
        if let Some(closure) = shared.take_handed() {
            return Stolen::Closure(closure);
        }
        // Acquire: pairs with the compare-and-swap that took the closure before this one.
        let top = shared.old_end.top.load(Acquire);
        // If there is nothing, no heavy fence is needed. Ask for the next closure all the same.
        if shared.new_end.bottom.load(Acquire) <= top {
            if asymmetric_fence::heavy_is_expensive() {
                self.ask();
            }
            return Stolen::Nothing;
        }
        if asymmetric_fence::heavy_is_expensive() {
            self.ask();
            if let Some(closure) = self.answer(gives_up) {
                return Stolen::Closure(closure);
            }
            // The closures here are short: the owner forks often enough to answer the next request.
            if gives_up() || shared.old_end.top.load(Acquire) != top {
                return Stolen::Nothing;
            }
        }
        // Pairs with the light fence in `pop`: either the owner sees that `top` is this, or we see that it has taken
        // the one below `bottom`.
        asymmetric_fence::heavy();
        // Acquire: pairs with the Release in `push` and `pop`.
        if top >= shared.new_end.bottom.load(Acquire) {
            return Stolen::Nothing;
        }
        // Acquire: pairs with the Release in `make_room`.
        // SAFETY: it is in the list until the deque is dropped.
        let buffer = unsafe { &*shared.buffer.load(Acquire) };
        let closure = buffer.place(top).load(Relaxed);
        // SeqCst: with the owner's for the last one. It also releases, because the place was read before.
        let taken = &shared.old_end.top;
        match taken.compare_exchange(top, top + 1, SeqCst, Relaxed) {
            Ok(_) => Stolen::Closure(closure),
            Err(_) => Stolen::Retry,
        }
    }

    /// Asks the owner for a closure.
    fn ask(&self) {
        let room_until = &self.shared.new_end.room_until;
        // Relaxed: the owner needs to see nothing but this.
        if room_until.load(Relaxed) != WANTED {
            room_until.store(WANTED, Relaxed);
        }
    }

    /// Waits for the answer.
    fn answer(&self, gives_up: &impl Fn() -> bool) -> Option<*mut ()> {
        // A model has no time: it checks once.
        let asked_at = (!cfg!(any(lab_loom, lab_shuttle))).then(Instant::now);
        loop {
            if let Some(closure) = self.shared.take_handed() {
                return Some(closure);
            }
            if gives_up() || asked_at.is_none_or(|at| at.elapsed() >= ANSWER_TIMEOUT) {
                return None;
            }
            spin_loop();
        }
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    fn never() -> bool {
        false
    }

    fn address(number: usize) -> *mut () {
        ptr::without_provenance_mut(number)
    }

    #[test]
    fn the_owner_takes_the_newest_and_a_thief_the_oldest() {
        let owner = Owner::new();
        let thief = owner.thief();
        (1..=3).for_each(|number| _ = owner.push(address(number)));
        assert_eq!(thief.steal(&never), Stolen::Closure(address(1)));
        assert_eq!(owner.pop(), Some(address(3)));
        assert_eq!(owner.pop(), Some(address(2)));
        assert_eq!(owner.pop(), None);
        assert_eq!(thief.steal(&never), Stolen::Nothing);
        assert!(thief.is_empty());
    }

    #[test]
    fn it_grows_and_keeps_all_in_order() {
        let owner = Owner::new();
        let thief = owner.thief();
        let count = 3 * INITIAL_CAPACITY;
        // So that the numbers do not begin at the first place.
        (1..=INITIAL_CAPACITY / 2).for_each(|number| {
            owner.push(address(number));
            assert_eq!(thief.steal(&never), Stolen::Closure(address(number)));
        });
        (1..=count).for_each(|number| _ = owner.push(address(number)));
        (1..=INITIAL_CAPACITY)
            .for_each(|number| assert_eq!(thief.steal(&never), Stolen::Closure(address(number))));
        (INITIAL_CAPACITY + 1..=count)
            .rev()
            .for_each(|number| assert_eq!(owner.pop(), Some(address(number))));
        assert_eq!(owner.pop(), None);
    }

    /// The thief does not wait for the answer.
    #[test]
    fn a_request_is_answered_by_the_next_push() {
        let owner = Owner::new();
        let thief = owner.thief();
        let ask = || {
            let stolen = thief.steal(&|| true);
            assert!(!asymmetric_fence::heavy_is_expensive() || stolen == Stolen::Nothing);
        };
        assert_eq!(owner.push(address(1)), None);
        if !asymmetric_fence::heavy_is_expensive() {
            return;
        }
        ask();
        assert_eq!(owner.push(address(2)), Some(1));
        assert_eq!(owner.push(address(3)), None, "asked once");
        // It is taken although the thief does not wait.
        assert_eq!(thief.steal(&|| true), Stolen::Closure(address(1)));
        ask();
        assert_eq!(owner.push(address(4)), Some(2));
        owner.shared.new_end.room_until.store(WANTED, Relaxed);
        assert_eq!(owner.push(address(5)), None, "one lies there still");
        assert!(!thief.is_empty());
        assert_eq!(owner.pop(), Some(address(5)));
        assert_eq!(owner.pop(), Some(address(4)));
        assert_eq!(owner.pop(), Some(address(3)));
        assert_eq!(owner.pop(), None);
        assert!(!thief.is_empty(), "the one that was handed over");
        assert_eq!(owner.take_back(), Some(address(2)));
        assert_eq!(owner.take_back(), None);
        assert!(thief.is_empty());
        // A thief that finds nothing has also asked.
        assert_eq!(thief.steal(&never), Stolen::Nothing);
        assert_eq!(owner.push(address(6)), Some(0));
        assert_eq!(owner.pop(), None);
        assert_eq!(thief.steal(&never), Stolen::Closure(address(6)));
    }

    /// The owner pushes and pops near the last closure, where it competes with thieves.
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
                        if let Stolen::Closure(closure) = thief.steal(&never) {
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
            while let Some(closure) = owner.pop().or_else(|| owner.take_back()) {
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

    fn never() -> bool {
        false
    }

    fn address(number: usize) -> *mut () {
        ptr::without_provenance_mut(number)
    }

    /// The contents of the closures: written before they are pushed, and read by the thread that takes them.
    struct Contents([UnsafeCell<usize>; 4]);

    // SAFETY: the model checks this.
    unsafe impl Sync for Contents {}

    impl Contents {
        fn write(&self, number: usize) -> *mut () {
            // SAFETY: loom checks each access.
            self.0[number].with_mut(|content| unsafe { *content = number });
            address(number)
        }

        fn read(&self, closure: *mut ()) -> usize {
            // SAFETY: loom checks each access.
            self.0[closure.addr()].with(|content| unsafe { *content })
        }
    }

    /// The owner pushes `count` closures and pops all that are left; `thieves` says how often each thief tries.
    fn check(count: usize, thieves: &'static [usize]) {
        check_within(3, count, thieves);
    }

    /// The same, with at most this many preemptions: with more, three threads would take minutes.
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
                        let stolen = (0..*attempts).filter_map(|_| match thief.steal(&never) {
                            Stolen::Closure(closure) => Some(contents.read(closure)),
                            Stolen::Nothing | Stolen::Retry => None,
                        });
                        stolen.collect::<Vec<_>>()
                    })
                })
                .collect();
            let mut taken = Vec::new();
            for number in 1..=count {
                owner.push(contents.write(number));
            }
            while let Some(closure) = owner.pop().or_else(|| owner.take_back()) {
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
        check_within(2, 1, &[1, 1]);
    }

    #[test]
    fn loom_two_thieves_and_two_closures() {
        check_within(2, 2, &[1, 1]);
    }

    #[test]
    fn loom_a_thief_meets_a_growing_buffer() {
        check(3, &[2]);
    }

    /// Each closure that is handed over is taken by a thief or taken back.
    #[test]
    fn loom_a_handed_over_closure_is_taken_once() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let contents = Arc::new(Contents([0; 4].map(UnsafeCell::new)));
            let owner = Owner::new();
            let thief = owner.thief();
            let other = {
                let contents = contents.clone();
                thread::spawn(move || match thief.steal(&never) {
                    Stolen::Closure(closure) => Some(contents.read(closure)),
                    Stolen::Nothing | Stolen::Retry => None,
                })
            };
            owner.push(contents.write(1));
            // Another thief has asked.
            owner.shared.new_end.room_until.store(WANTED, Relaxed);
            owner.push(contents.write(2));
            let mut taken = Vec::new();
            while let Some(closure) = owner.pop().or_else(|| owner.take_back()) {
                taken.push(contents.read(closure));
            }
            taken.extend(other.join().unwrap());
            taken.sort_unstable();
            assert_eq!(taken, [1, 2], "each once");
        });
    }
}
