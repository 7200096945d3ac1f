//! The order in which the items of a queue come out.
//!
//! Methods that are called under the queue's lock only move items. Taking the smallest item compares items, which is
//! user code. The items of a [`Smallest`] are therefore ordered in a separate store, outside the queue's lock; see
//! `apart.rs`.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::mem;

/// Where a queue keeps its items. It decides which one comes out next. It is [`Fifo`], [`Lifo`] or [`Smallest`].
#[allow(clippy::len_without_is_empty)]
pub trait Store: Default + sealed::Sealed {
    /// The type of the items.
    type Item;

    /// Whether taking an item runs user code. It is then done outside the queue's lock, on a separate store.
    #[doc(hidden)]
    const APART: bool;

    /// Puts `item` in. Called under the lock.
    #[doc(hidden)]
    fn push(&mut self, item: Self::Item);

    /// The number of items. Called under the lock.
    #[doc(hidden)]
    fn len(&self) -> usize;

    /// Takes the item that comes out after `behind` others. Called under the lock, except for a separate store: there
    /// it runs user code, and if that panics, all items are still in.
    #[doc(hidden)]
    fn take(&mut self, behind: usize) -> Option<Self::Item>;

    /// Moves all items to the separate store. Called under the lock.
    #[doc(hidden)]
    fn move_to(&mut self, _apart: &mut Self) {}

    /// Puts new items in order. For a separate store: it runs user code; if that panics, all items are still in.
    #[doc(hidden)]
    fn order(&mut self) {}

    /// Takes any item, and runs no user code.
    #[doc(hidden)]
    fn take_any(&mut self) -> Option<Self::Item>;
}

mod sealed {
    pub trait Sealed {}
}

/// First in, first out.
#[derive(Debug)]
pub struct Fifo<T>(VecDeque<T>);

impl<T> sealed::Sealed for Fifo<T> {}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Fifo<T> {
    /// Out of line: nearly always the first item is taken.
    #[cold]
    fn take_behind(&mut self, behind: usize) -> Option<T> {
        self.0.remove(behind)
    }
}

impl<T> Store for Fifo<T> {
    type Item = T;
    const APART: bool = false;

    #[inline]
    fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    #[inline]
    fn take(&mut self, behind: usize) -> Option<T> {
        match behind {
            0 => self.0.pop_front(),
            _ => self.take_behind(behind),
        }
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn take_any(&mut self) -> Option<T> {
        self.0.pop_front()
    }
}

/// Last in, first out.
#[derive(Debug)]
pub struct Lifo<T>(Vec<T>);

impl<T> sealed::Sealed for Lifo<T> {}

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Store for Lifo<T> {
    type Item = T;
    const APART: bool = false;

    fn push(&mut self, item: T) {
        self.0.push(item);
    }

    fn take(&mut self, behind: usize) -> Option<T> {
        let last = self.0.len().checked_sub(1)?;
        let index = last.checked_sub(behind)?;
        Some(self.0.remove(index))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn take_any(&mut self) -> Option<T> {
        self.0.pop()
    }
}

/// Yields the smallest item first; of equal ones, the first that was put.
///
/// The thread that puts or takes an item compares, outside the queue's lock. A comparison may use the queue; see
/// [`PriorityQueue`](super::PriorityQueue).
///
/// This is a binary heap with the smallest item on top. It is not the standard library's, which loses the item that it
/// takes if a comparison panics then. Here items only swap places and never leave the vector: after a panic all are
/// in, in no particular order, and the next call orders them again.
pub struct Smallest<T> {
    items: Vec<Numbered<T>>,
    /// This many items at the front are a heap; the others are new, or a comparison has panicked.
    ordered: usize,
    /// Numbers the items in the order in which they were put.
    next: u64,
}

impl<T> fmt::Debug for Smallest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smallest").finish_non_exhaustive()
    }
}

impl<T> sealed::Sealed for Smallest<T> {}

impl<T: Ord> Default for Smallest<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            ordered: 0,
            next: 0,
        }
    }
}

impl<T: Ord> Store for Smallest<T> {
    type Item = T;
    const APART: bool = true;

    fn push(&mut self, item: T) {
        let number = self.next;
        self.next += 1;
        self.items.push(Numbered { item, number });
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn take(&mut self, behind: usize) -> Option<T> {
        if behind >= self.items.len() {
            return None;
        }
        self.order();
        // Zero while items are compared, and it stays so if a comparison panics.
        let mut end = mem::take(&mut self.ordered);
        for _ in 0..=behind {
            // The smallest one goes behind the heap, where the heap's last item was.
            end -= 1;
            self.items.swap(0, end);
            self.sift_down(end);
        }
        self.ordered = end;
        // The smaller ones stay behind it, and return to the heap with the next call.
        Some(self.items.swap_remove(end).item)
    }

    fn move_to(&mut self, apart: &mut Self) {
        apart.items.append(&mut self.items);
    }

    fn order(&mut self) {
        // Zero while items are compared, as in `take`.
        let mut ordered = mem::take(&mut self.ordered);
        while ordered < self.items.len() {
            self.sift_up(ordered);
            ordered += 1;
        }
        self.ordered = ordered;
    }

    fn take_any(&mut self) -> Option<T> {
        self.ordered = 0;
        Some(self.items.pop()?.item)
    }
}

/// An item, with its number.
struct Numbered<T> {
    item: T,
    number: u64,
}

impl<T: Ord> Numbered<T> {
    fn is_before(&self, other: &Self) -> bool {
        let order = self.item.cmp(&other.item);
        order.then(self.number.cmp(&other.number)) == Ordering::Less
    }
}

impl<T: Ord> Smallest<T> {
    fn sift_up(&mut self, mut child: usize) {
        while child > 0 {
            let parent = (child - 1) / 2;
            if !self.items[child].is_before(&self.items[parent]) {
                return;
            }
            self.items.swap(child, parent);
            child = parent;
        }
    }

    /// Moves the topmost of the first `end` items to its place among them.
    fn sift_down(&mut self, end: usize) {
        let mut parent = 0;
        loop {
            let mut child = 2 * parent + 1;
            if child >= end {
                return;
            }
            let other = child + 1;
            if other < end && self.items[other].is_before(&self.items[child]) {
                child = other;
            }
            if !self.items[child].is_before(&self.items[parent]) {
                return;
            }
            self.items.swap(child, parent);
            parent = child;
        }
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use runtime_kernel::contain::contain;

    proptest! {
        #[test]
        fn items_are_taken_from_any_place_in_the_order(
            numbers in proptest::collection::vec(any::<u8>(), 0..40),
            places in proptest::collection::vec(0usize..6, 60),
        ) {
            let (mut store, mut apart) = (Smallest::default(), Smallest::default());
            numbers.iter().for_each(|number| store.push(*number));
            let mut model = numbers;
            model.sort_unstable();
            for place in places {
                store.move_to(&mut apart);
                let expected = (place < model.len()).then(|| model.remove(place));
                prop_assert_eq!(apart.take(place), expected);
                if place == 5 {
                    store.push(place as u8);
                    let at = model.partition_point(|item| *item <= 5);
                    model.insert(at, 5);
                }
            }
        }
    }

    #[test]
    fn a_comparison_that_panics_loses_no_item() {
        use std::cell::Cell;
        thread_local!(static UNTIL: Cell<usize> = const { Cell::new(usize::MAX) });
        #[derive(PartialEq, Eq)]
        struct Item(usize);
        impl PartialOrd for Item {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for Item {
            fn cmp(&self, other: &Self) -> Ordering {
                let left = UNTIL.get();
                assert!(left > 0, "this comparison panics, as planned");
                UNTIL.set(left - 1);
                self.0.cmp(&other.0)
            }
        }
        for comparisons in 0..60 {
            let (mut store, mut apart) = (Smallest::default(), Smallest::default());
            (0..12).for_each(|number| store.push(Item(number * 7 % 12)));
            store.move_to(&mut apart);
            UNTIL.set(comparisons);
            let mut taken = Vec::new();
            while let Some(item) = contain(|| apart.take(1)).flatten() {
                taken.push(item.0);
            }
            UNTIL.set(usize::MAX);
            let rest: Vec<_> = std::iter::from_fn(|| apart.take(0).map(|item| item.0)).collect();
            assert!(rest.is_sorted(), "{comparisons}: {rest:?}");
            taken.extend(rest);
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..12), "{comparisons}");
        }
    }
}
