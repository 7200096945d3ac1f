//! The hierarchical timing wheel: where timers are, and which are due.
//!
//! Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987). A heap was rejected: it costs twice the CPU at
//! a million timers, and cancelling from its middle needs an index in every node that each sift has to maintain.
//!
//! A slot is an array of pointers to its nodes. A list through the nodes was rejected: with many timers every node is
//! a cache miss, and the misses of a list come one after the other, because only a node tells where the next one is.
//! An array tells it in advance.
//!
//! The wheel has neither a clock nor a lock: [`TimerShard`](super::TimerShard) has both.
#![allow(unsafe_code)]

use std::array;
use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use super::prefetch::prefetch;
use crate::saved_waker::{PollWaker, SavedWaker};
use crate::wake_batch::WakeBatch;

/// A tick is `1 << TICK_SHIFT` nanoseconds.
pub(super) const TICK_SHIFT: u32 = 18;
/// Bits of the tick that one level distinguishes.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_MASK: u64 = SLOTS as u64 - 1;
/// 8 levels of 6 bits hold the 46 bits that 64-bit nanoseconds leave for the tick.
const LEVELS: usize = 8;
/// If a slot has more nodes, [`Wheel::earliest`] settles for the slot's start.
const MAX_EXACT: usize = 16;
/// How many nodes ahead to prefetch: a cache miss takes as long as the work for some ten nodes.
const PREFETCH_DISTANCE: usize = 12;
/// A slot's gaps are closed when there are more than three times as many as timers, and more than this.
const MIN_GAPS: usize = if cfg!(test) { 2 } else { 32 };
/// An empty slot's array is kept up to this capacity.
const MAX_IDLE_CAPACITY: usize = 64;

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

/// The time at which a tick starts. Saturates after the last one that nanoseconds can express, which is as good as
/// never.
fn tick_start(tick: u64) -> u64 {
    tick.saturating_mul(1 << TICK_SHIFT)
}

/// One timer, inside a pinned [`Sleep`](super::Sleep).
#[derive(Debug)]
pub(super) struct Node {
    /// `IDLE`, `LINKED` or `FIRED`. Leaves `LINKED` only under the lock of the wheel that the node is in.
    state: AtomicU8,
    /// Fixed while the node is `LINKED`.
    deadline_ns: u64,
    // While the node is `LINKED`: only under that lock. Otherwise: only by the `Sleep`.
    waker: UnsafeCell<Option<SavedWaker>>,
    place: UnsafeCell<SlotAddress>,
    index: UnsafeCell<u32>,
    _pinned: PhantomPinned,
}

/// A slot of a level. With an index, it is the place of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SlotAddress {
    level: u8,
    slot: u8,
}

impl Node {
    pub(super) const fn new(deadline_ns: u64) -> Self {
        Self {
            state: AtomicU8::new(IDLE),
            deadline_ns,
            waker: UnsafeCell::new(None),
            place: UnsafeCell::new(SlotAddress { level: 0, slot: 0 }),
            index: UnsafeCell::new(0),
            _pinned: PhantomPinned,
        }
    }

    /// The state. Acquire: pairs with the Release stores below, so that a thread which sees that the node has left its
    /// wheel may reuse or free it.
    pub(super) fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    /// When the timer is due.
    pub(super) fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    /// Records that the deadline had passed before the node was inserted.
    pub(super) fn mark_elapsed(&mut self) {
        debug_assert_ne!(*self.state.get_mut(), LINKED);
        *self.state.get_mut() = FIRED;
    }

    /// Prepares a node that is in no wheel for another deadline.
    pub(super) fn rearm(&mut self, deadline_ns: u64) {
        debug_assert_ne!(*self.state.get_mut(), LINKED);
        *self.state.get_mut() = IDLE;
        self.deadline_ns = deadline_ns;
    }
}

/// Timers by their tick. Call all methods under one lock.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The current tick: all timers that were due before it have fired, except for those in `draining`.
    current: u64,
    /// The number of timers in the wheel.
    len: usize,
    /// The slot that `current` has entered and that is not yet empty, and the index from which to continue.
    draining: Option<(SlotAddress, usize)>,
    /// One bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    /// A level is created when it is first used, because most threads of 1:1 use one or two.
    levels: [Option<Box<[Slot; SLOTS]>>; LEVELS],
}

/// The timers of one slot in order of insertion, with nulls in the gaps. The last entry is never null.
#[derive(Debug, Default)]
struct Slot {
    nodes: Vec<*const Node>,
    /// The number of entries that are not null.
    len: usize,
}

// SAFETY: the nodes that the pointers lead to are effectively `Sync`: their contents are touched only under the
// wheel's lock, and wakers are `Send`.
unsafe impl Send for Wheel {}

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
    pub(super) unsafe fn insert(
        &mut self,
        node: NonNull<Node>,
        now_ns: u64,
        waker: SavedWaker,
    ) -> u64 {
        if self.len == 0 {
            // There is nothing to fire on the way: the wheel catches up with the clock for free.
            self.current = self.current.max(now_ns >> TICK_SHIFT);
        }
        self.len += 1;
        // SAFETY: the caller keeps the node alive. It is `IDLE`, so only the caller accesses it.
        let node = unsafe { node.as_ref() };
        // SAFETY: as above.
        unsafe { *node.waker.get() = Some(waker) };
        node.state.store(LINKED, Ordering::Relaxed);
        self.link(node);
        tick_start(due_tick(node.deadline_ns))
    }

    /// Puts a node into the slot of its deadline, as seen from the current tick.
    fn link(&mut self, node: &Node) {
        // Overdue timers go to the current tick's own slot.
        let tick = due_tick(node.deadline_ns).max(self.current);
        let differing = (tick ^ self.current) | SLOT_MASK;
        let level = (u64::BITS - 1 - differing.leading_zeros()) / SLOT_BITS;
        let place = SlotAddress {
            level: level as u8,
            slot: ((tick >> (level * SLOT_BITS)) & SLOT_MASK) as u8,
        };
        let slots = self.levels[level as usize]
            .get_or_insert_with(|| Box::new(array::from_fn(|_| Slot::default())));
        let slot = &mut slots[usize::from(place.slot)];
        let index = u32::try_from(slot.nodes.len()).expect("a slot has under four billion timers");
        slot.nodes.push(node);
        slot.len += 1;
        self.occupied[level as usize] |= 1 << place.slot;
        // SAFETY: called under the lock with a node of this wheel, which only the lock's holder touches.
        unsafe { *node.place.get() = place };
        // SAFETY: as above.
        unsafe { *node.index.get() = index };
    }

    /// Takes a node out of its slot.
    #[inline]
    fn unlink(&mut self, place: SlotAddress, index: usize) {
        let slot = slot_of(&mut self.levels, place);
        slot.nodes[index] = ptr::null();
        slot.len -= 1;
        if slot.len == 0 {
            if slot.nodes.capacity() > MAX_IDLE_CAPACITY {
                slot.nodes = Vec::new();
            }
            slot.nodes.clear();
            self.occupied[usize::from(place.level)] &= !(1 << place.slot);
            if self.draining.is_some_and(|(draining, _)| draining == place) {
                self.draining = None;
            }
        }
    }

    /// Call this after a node was removed from the middle: gaps of cancelled time-outs must not accumulate.
    fn close_gaps(&mut self, place: SlotAddress) {
        let slot = slot_of(&mut self.levels, place);
        while let Some(last) = slot.nodes.last()
            && last.is_null()
        {
            slot.nodes.pop();
        }
        if slot.nodes.len() <= MIN_GAPS + 4 * slot.len {
            return;
        }
        slot.nodes.retain(|node| !node.is_null());
        for (index, node) in (0..).zip(&slot.nodes) {
            // SAFETY: nodes in the wheel are alive, and are touched only under the lock.
            unsafe { *(**node).index.get() = index };
        }
        if let Some((draining, next)) = &mut self.draining
            && *draining == place
        {
            // The entries before it are gone.
            *next = 0;
        }
    }

    /// Removes a timer and returns its waker, which must be dropped outside the lock; `None` if it is not `LINKED` any
    /// more.
    ///
    /// # Safety
    /// `node` is alive, and if it is `LINKED`, it is in this wheel.
    pub(super) unsafe fn remove(&mut self, node: NonNull<Node>) -> Option<SavedWaker> {
        // SAFETY: the caller's promise.
        let node = unsafe { node.as_ref() };
        // Relaxed: all threads that change it while it is LINKED hold the caller's lock.
        if node.state.load(Ordering::Relaxed) != LINKED {
            return None;
        }
        // SAFETY: under the lock.
        let (place, index) = unsafe { (*node.place.get(), *node.index.get()) };
        self.unlink(place, index as usize);
        self.close_gaps(place);
        self.len -= 1;
        // SAFETY: under the lock; the wheel can't reach it any more.
        let waker = unsafe { (*node.waker.get()).take() };
        // Release: pairs with the Acquire in `Node::state`. The last access.
        node.state.store(IDLE, Ordering::Release);
        waker
    }

    /// Makes a linked timer wake the task of `own`, which must be prepared.
    ///
    /// # Safety
    /// Same as for [`remove`](Wheel::remove).
    pub(super) unsafe fn replace_waker(&mut self, node: NonNull<Node>, own: &mut PollWaker<'_>) {
        // SAFETY: the caller's promise.
        let node = unsafe { node.as_ref() };
        if node.state.load(Ordering::Relaxed) == LINKED {
            // SAFETY: under the lock.
            let _ = own.store_in(unsafe { &mut *node.waker.get() });
        }
    }

    /// Whether a linked timer wakes the same task as `waker`.
    ///
    /// # Safety
    /// Same as for [`remove`](Wheel::remove).
    pub(super) unsafe fn will_wake(&self, node: NonNull<Node>, waker: &Waker) -> bool {
        // SAFETY: the caller's promise; under the lock.
        let own = unsafe { &*node.as_ref().waker.get() };
        own.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Takes steps towards `now_ns`; each of them fires a timer or moves one to a lower level. It takes at most as
    /// many as `due`, an empty batch, has room for, and adds the wakers to it. False when nothing more is due.
    pub(super) fn take_due(&mut self, now_ns: u64, due: &mut WakeBatch) -> bool {
        let now = now_ns >> TICK_SHIFT;
        for _ in 0..WakeBatch::CAPACITY {
            let Some((node, place, index)) = self.next_towards(now) else {
                return false;
            };
            // SAFETY: nodes in the wheel are alive.
            let node = unsafe { &*node };
            self.unlink(place, index);
            if due_tick(node.deadline_ns) > self.current {
                self.link(node);
                continue;
            }
            self.len -= 1;
            // SAFETY: under the lock.
            let waker = unsafe { (*node.waker.get()).take() };
            // Release: pairs with the Acquire in `Node::state`. The last access: the node may be freed from here on.
            node.state.store(FIRED, Ordering::Release);
            let Some(waker) = waker else {
                unreachable!("a linked timer has a waker")
            };
            // The wake is about to touch the task.
            prefetch(waker.data());
            due.push(waker);
        }
        true
    }

    /// The next node, in the order of slots up to tick `now`. Moves on to its slot if the previous one is empty.
    #[inline]
    fn next_towards(&mut self, now: u64) -> Option<(*const Node, SlotAddress, usize)> {
        loop {
            if let Some((place, next)) = &mut self.draining {
                let nodes = &slot_of(&mut self.levels, *place).nodes;
                while let Some(&node) = nodes.get(*next) {
                    let index = *next;
                    *next += 1;
                    if let Some(&later) = nodes.get(index + PREFETCH_DISTANCE) {
                        ask_for(later);
                    }
                    if !node.is_null() {
                        return Some((node, *place, index));
                    }
                }
                unreachable!("a slot that is empty is not drained");
            }
            let Some((place, start)) = self.next_slot().filter(|(_, start)| *start <= now) else {
                self.current = self.current.max(now);
                return None;
            };
            self.current = start;
            self.draining = Some((place, 0));
            let nodes = &slot_of(&mut self.levels, place).nodes;
            nodes
                .iter()
                .take(PREFETCH_DISTANCE)
                .copied()
                .for_each(ask_for);
        }
    }

    /// Removes one timer, whatever its deadline. It becomes `IDLE`.
    pub(super) fn pop_any(&mut self) -> Option<SavedWaker> {
        let (place, _) = self.next_slot()?;
        let last = slot_of(&mut self.levels, place).nodes.last().copied();
        let node = NonNull::new(last?.cast_mut())?;
        // SAFETY: nodes in the wheel are alive, and this one is in this wheel.
        unsafe { self.remove(node) }
    }

    /// The number of pointers in the slots' arrays, null or not.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        let levels = self.levels.iter().flatten();
        levels
            .flat_map(|slots| slots.iter())
            .map(|slot| slot.nodes.len())
            .sum()
    }

    /// A lower bound of the deadlines in the wheel, in nanoseconds; `u64::MAX` when it is empty. It is exact up to the
    /// tick unless the next slot is crowded. A [`take_due`](Wheel::take_due) at that time always makes progress.
    pub(super) fn earliest(&self) -> u64 {
        let tick = match self.draining {
            Some(_) => self.current,
            None => match self.next_slot() {
                None => return u64::MAX,
                Some((SlotAddress { level: 0, .. }, start)) => start,
                Some((place, start)) => self.earliest_in(place).unwrap_or(start),
            },
        };
        tick_start(tick)
    }

    /// The first tick at which a timer of this slot is due; `None` if there are too many to check.
    fn earliest_in(&self, place: SlotAddress) -> Option<u64> {
        let slot = &self.levels[usize::from(place.level)].as_ref()?[usize::from(place.slot)];
        if slot.len > MAX_EXACT {
            return None;
        }
        let nodes = slot.nodes.iter().filter(|node| !node.is_null());
        // SAFETY: nodes in the wheel are alive.
        nodes
            .map(|node| due_tick(unsafe { &**node }.deadline_ns))
            .min()
    }

    /// The next slot with timers in it and the tick at which it starts.
    ///
    /// All timers of a level share the current tick's bits above that level, and none is before the current slot. So
    /// the lowest occupied bit is the level's next slot, and everything in a level is due before anything above it.
    fn next_slot(&self) -> Option<(SlotAddress, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = level as u32 * SLOT_BITS;
        let above = self.current >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        let place = SlotAddress {
            level: level as u8,
            slot: slot as u8,
        };
        Some((place, above | u64::from(slot) << shift))
    }
}

/// Prefetches a node, which may span two cache lines.
#[inline(always)]
fn ask_for(node: *const Node) {
    prefetch(node);
    prefetch(node.cast::<u8>().wrapping_add(mem::size_of::<Node>() - 1));
}

#[inline]
fn slot_of(levels: &mut [Option<Box<[Slot; SLOTS]>>; LEVELS], place: SlotAddress) -> &mut Slot {
    match &mut levels[usize::from(place.level)] {
        Some(slots) => &mut slots[usize::from(place.slot)],
        None => unreachable!("the level of a place with timers exists"),
    }
}
