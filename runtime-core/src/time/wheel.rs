//! The hierarchical timing wheel: where timers stand, and which are due.
//!
//! Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987). A heap was rejected: it costs twice the CPU at a million
//! timers, and cancelling from its middle needs an index in every node that each sift has to maintain.
//!
//! The wheel keeps intrusive nodes and knows neither clock nor lock: [`TimerShard`](super::TimerShard) has both.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

/// A tick is `1 << TICK_SHIFT` nanoseconds.
pub(super) const TICK_SHIFT: u32 = 18;
/// Bits of the tick that one level distinguishes.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_MASK: u64 = SLOTS as u64 - 1;
/// 8 levels of 6 bits hold the 46 bits that 64-bit nanoseconds leave for the tick.
const LEVELS: usize = 8;
/// Nodes of a crowded slot that [`Wheel::earliest`] looks at before it settles for the slot's start.
const EXACT_UP_TO: usize = 16;

/// In no wheel.
pub(super) const IDLE: u8 = 0;
/// In a wheel.
pub(super) const LINKED: u8 = 1;
/// Taken out because it was due.
pub(super) const FIRED: u8 = 2;

/// The first tick at which a timer with this deadline is due.
fn due_tick(deadline_ns: u64) -> u64 {
    deadline_ns.div_ceil(1 << TICK_SHIFT)
}

/// The time at which a tick starts. The one after the last that nanoseconds can express is as good as never.
fn tick_start(tick: u64) -> u64 {
    tick.saturating_mul(1 << TICK_SHIFT)
}

/// One timer, inside of a pinned [`Sleep`](super::Sleep).
#[derive(Debug)]
pub(super) struct Node {
    /// `IDLE`, `LINKED` or `FIRED`. Leaves `LINKED` only under the lock of the wheel that the node is in.
    state: AtomicU8,
    /// Fixed while the node is `LINKED`.
    deadline_ns: u64,
    /// While the node is `LINKED`: only under that lock. Else: only by the `Sleep`.
    linked: UnsafeCell<Linked>,
    _pinned: PhantomPinned,
}

#[derive(Debug)]
struct Linked {
    /// Neighbours in the slot's circle.
    next: *const Node,
    prev: *const Node,
    waker: Option<Waker>,
    level: u8,
    slot: u8,
}

impl Node {
    pub(super) const fn new(deadline_ns: u64) -> Self {
        Self {
            state: AtomicU8::new(IDLE),
            deadline_ns,
            linked: UnsafeCell::new(Linked {
                next: ptr::null(),
                prev: ptr::null(),
                waker: None,
                level: 0,
                slot: 0,
            }),
            _pinned: PhantomPinned,
        }
    }

    /// The state. Acquire: pairs with the Release stores below, so that who sees that the node has left its wheel may reuse
    /// or free it.
    pub(super) fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    /// When the timer is due.
    pub(super) fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    /// Notes that the deadline had passed before the node was ever inserted.
    pub(super) fn mark_elapsed(&mut self) {
        debug_assert_ne!(*self.state.get_mut(), LINKED);
        *self.state.get_mut() = FIRED;
    }

    /// Makes a node that is in no wheel fit for another deadline.
    pub(super) fn rearm(&mut self, deadline_ns: u64) {
        debug_assert_ne!(*self.state.get_mut(), LINKED);
        *self.state.get_mut() = IDLE;
        self.deadline_ns = deadline_ns;
    }
}

/// Timers by their tick. All methods are to be called under one lock.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The current tick: all timers due before it have fired, up to those in `draining`.
    current: u64,
    /// Timers in the wheel.
    len: usize,
    /// The slot that `current` has entered and that is not yet empty.
    draining: Option<(usize, usize)>,
    /// One bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    /// The first node of each slot; a level is made when it is first used, as most threads of 1:1 use one or two.
    levels: [Option<Box<[*const Node; SLOTS]>>; LEVELS],
}

// SAFETY: the nodes that the pointers lead to are `Sync` in effect: what is in them is touched under the wheel's lock only, and
// wakers are `Send`.
unsafe impl Send for Wheel {}

/// What [`Wheel::pop_due`] found.
#[derive(Debug)]
pub(super) enum Popped {
    /// A timer was due; it is `FIRED` now, and this is what it wakes.
    Due(Waker),
    /// A timer was moved to a lower level.
    Moved,
    /// Nothing is due.
    Nothing,
}

impl Wheel {
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            current: now_ns >> TICK_SHIFT,
            len: 0,
            draining: None,
            occupied: [0; LEVELS],
            levels: [const { None }; LEVELS],
        }
    }

    /// Adds a timer and returns the time at which it will fire: its deadline, rounded up to a tick.
    ///
    /// # Safety
    /// `node` is `IDLE`, pinned, and is not freed or moved before it leaves `LINKED` again.
    pub(super) unsafe fn insert(&mut self, node: NonNull<Node>, now_ns: u64, waker: Waker) -> u64 {
        if self.len == 0 {
            // Nothing to fire on the way: the wheel catches up with the clock for nothing.
            self.current = self.current.max(now_ns >> TICK_SHIFT);
            self.draining = None;
        }
        self.len += 1;
        // SAFETY: the caller keeps the node alive; `IDLE`, it is the caller's alone.
        let node = unsafe { node.as_ref() };
        // SAFETY: as above.
        unsafe { (*node.linked.get()).waker = Some(waker) };
        node.state.store(LINKED, Ordering::Relaxed);
        self.link(node);
        tick_start(due_tick(node.deadline_ns))
    }

    /// Puts a node where its deadline belongs, seen from the current tick.
    fn link(&mut self, node: &Node) {
        // SAFETY: called under the lock with a node of this wheel, which only the lock's holder touches.
        let linked = unsafe { &mut *node.linked.get() };
        // What is overdue stands in the current tick's own slot.
        let tick = due_tick(node.deadline_ns).max(self.current);
        let differing = (tick ^ self.current) | SLOT_MASK;
        let level = ((u64::BITS - 1 - differing.leading_zeros()) / SLOT_BITS) as usize;
        let slot = ((tick >> (level as u32 * SLOT_BITS)) & SLOT_MASK) as usize;
        linked.level = level as u8;
        linked.slot = slot as u8;
        let first =
            &mut self.levels[level].get_or_insert_with(|| Box::new([ptr::null(); SLOTS]))[slot];
        if first.is_null() {
            linked.next = node;
            linked.prev = node;
            *first = node;
            self.occupied[level] |= 1 << slot;
        } else {
            let last = {
                // SAFETY: nodes in the wheel are alive, and touched under the lock only; `node` is not among them.
                let first = unsafe { &mut *(**first).linked.get() };
                std::mem::replace(&mut first.prev, node)
            };
            linked.next = *first;
            linked.prev = last;
            // SAFETY: as above. `last` may be the first node itself: its borrow has ended.
            unsafe { (*(*last).linked.get()).next = node };
        }
    }

    /// Takes a node out of its slot's circle.
    fn unlink(&mut self, node: &Node) {
        let (level, slot, next, prev) = {
            // SAFETY: called under the lock with a node of this wheel.
            let linked = unsafe { &mut *node.linked.get() };
            let place = (
                linked.level as usize,
                linked.slot as usize,
                linked.next,
                linked.prev,
            );
            linked.next = ptr::null();
            linked.prev = ptr::null();
            place
        };
        let Some(firsts) = &mut self.levels[level] else {
            unreachable!("a node's level exists")
        };
        if ptr::eq(next, node) {
            firsts[slot] = ptr::null();
            self.occupied[level] &= !(1 << slot);
            return;
        }
        if ptr::eq(firsts[slot], node) {
            firsts[slot] = next;
        }
        // SAFETY: the neighbours are in the wheel, hence alive; each is touched on its own, as they may be the same node.
        unsafe { (*(*next).linked.get()).prev = prev };
        // SAFETY: as above.
        unsafe { (*(*prev).linked.get()).next = next };
    }

    /// Takes a timer out and returns its waker, to be dropped outside of the lock; `None` if it is not `LINKED` any more.
    ///
    /// # Safety
    /// `node` is alive, and if it is `LINKED`, it is in this wheel.
    pub(super) unsafe fn remove(&mut self, node: NonNull<Node>) -> Option<Waker> {
        // SAFETY: the caller's promise.
        let node = unsafe { node.as_ref() };
        // Relaxed: all who change it while it is LINKED hold the lock that the caller holds.
        if node.state.load(Ordering::Relaxed) != LINKED {
            return None;
        }
        self.unlink(node);
        self.len -= 1;
        // SAFETY: under the lock; not reachable through the wheel any more.
        let waker = unsafe { (*node.linked.get()).waker.take() };
        // Release: pairs with the Acquire in `Node::state`. The last touch.
        node.state.store(IDLE, Ordering::Release);
        waker
    }

    /// Makes a linked timer wake `waker` and returns the one that it replaces, to be dropped outside of the lock.
    ///
    /// # Safety
    /// As for [`remove`](Wheel::remove).
    pub(super) unsafe fn replace_waker(
        &mut self,
        node: NonNull<Node>,
        waker: &Waker,
    ) -> Option<Waker> {
        // SAFETY: the caller's promise.
        let node = unsafe { node.as_ref() };
        if node.state.load(Ordering::Relaxed) != LINKED {
            return None;
        }
        // SAFETY: under the lock.
        let own = unsafe { &mut (*node.linked.get()).waker };
        own.replace(waker.clone())
    }

    /// Whether a linked timer wakes the same task as `waker`.
    ///
    /// # Safety
    /// As for [`remove`](Wheel::remove).
    pub(super) unsafe fn will_wake(&self, node: NonNull<Node>, waker: &Waker) -> bool {
        // SAFETY: the caller's promise; under the lock.
        let own = unsafe { &(*node.as_ref().linked.get()).waker };
        own.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Takes one step towards `now_ns`.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Popped {
        let now = now_ns >> TICK_SHIFT;
        let first = loop {
            if let Some((level, slot)) = self.draining {
                let first = self.first(level, slot);
                if !first.is_null() {
                    break first;
                }
                self.draining = None;
            }
            match self.next_slot() {
                Some((level, slot, start)) if start <= now => {
                    self.current = start;
                    self.draining = Some((level, slot));
                }
                _ => {
                    self.current = self.current.max(now);
                    return Popped::Nothing;
                }
            }
        };
        // SAFETY: nodes in the wheel are alive.
        let node = unsafe { &*first };
        self.unlink(node);
        if due_tick(node.deadline_ns) > self.current {
            self.link(node);
            return Popped::Moved;
        }
        self.len -= 1;
        // SAFETY: under the lock.
        let waker = unsafe { (*node.linked.get()).waker.take() };
        // Release: pairs with the Acquire in `Node::state`. The last touch: the node may be freed from here on.
        node.state.store(FIRED, Ordering::Release);
        match waker {
            Some(waker) => Popped::Due(waker),
            None => unreachable!("a linked timer has a waker"),
        }
    }

    /// Takes one timer out whatever its deadline, back to `IDLE`.
    pub(super) fn pop_any(&mut self) -> Option<Waker> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let node = NonNull::new(self.first(level, slot).cast_mut())?;
        // SAFETY: nodes in the wheel are alive, and this one is in this wheel.
        unsafe { self.remove(node) }
    }

    /// A lower bound of the deadlines in the wheel, in nanoseconds; `u64::MAX` when it is empty. It is exact up to the tick
    /// unless the next slot is crowded, and [`pop_due`](Wheel::pop_due) at that time always gets further.
    pub(super) fn earliest(&self) -> u64 {
        let tick = match self.draining {
            Some((level, slot)) if !self.first(level, slot).is_null() => self.current,
            _ => match self.next_slot() {
                None => return u64::MAX,
                Some((0, _, start)) => start,
                Some((level, slot, start)) => self.earliest_in(level, slot).unwrap_or(start),
            },
        };
        tick_start(tick)
    }

    /// The first tick at which a timer of this slot is due; `None` if there are too many to look at.
    fn earliest_in(&self, level: usize, slot: usize) -> Option<u64> {
        let first = self.first(level, slot);
        let mut node = first;
        let mut earliest = u64::MAX;
        for _ in 0..EXACT_UP_TO {
            // SAFETY: nodes in the wheel are alive.
            let this = unsafe { &*node };
            earliest = earliest.min(due_tick(this.deadline_ns));
            // SAFETY: touched under the lock only.
            node = unsafe { (*this.linked.get()).next };
            if ptr::eq(node, first) {
                return Some(earliest);
            }
        }
        None
    }

    /// The next slot with timers in it and the tick at which it starts.
    ///
    /// All timers of a level share the current tick's bits above that level and none stands before the current slot. So the
    /// lowest occupied bit is the level's next slot, and all of a level is due before anything above it.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let shift = level as u32 * SLOT_BITS;
        let above = self.current >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        Some((level, slot, above | (slot as u64) << shift))
    }

    fn first(&self, level: usize, slot: usize) -> *const Node {
        self.levels[level]
            .as_ref()
            .map_or(ptr::null(), |firsts| firsts[slot])
    }
}
