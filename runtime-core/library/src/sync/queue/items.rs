//! The state of a queue, under its lock.

use std::mem;

use super::errors::{TryGetError, TryPutError};
use super::grants::Grants;
use super::store::Store;
use crate::sync::wait_queue::{Locked, Resource, Serving, WaiterList};
use runtime_kernel::contain::contain;

/// The lane of those that wait for an item.
pub(super) const GET: usize = 0;
/// The lane of those that wait for room.
pub(super) const PUT: usize = 1;
/// The lane of those that wait until all items are done.
pub(super) const JOIN: usize = 2;

/// A waiter that is granted something does not run at once. What it was granted stays in the queue under a
/// reservation. So nobody takes it meanwhile, and nothing has to be moved back if the waiter is dropped.
///
/// Nothing here runs user code: items are moved, but neither compared nor dropped.
#[derive(Debug)]
pub(super) struct Items<S> {
    store: S,
    /// The number of items, including those outside the lock.
    len: usize,
    capacity: usize,
    /// The getters that were granted an item and have not taken it. At most as many as there are items, unless the
    /// items were drained.
    granted: Grants,
    /// Places that are reserved for putters; together with the items at most `capacity`.
    promised_places: usize,
    /// Items that are not done: those in the queue and those that were taken and not yet reported as done.
    unfinished: usize,
    /// Each waiter in `JOIN` has a ticket; those with lower tickets are released.
    joined_below: usize,
    next_ticket: usize,
    closed: bool,
}

impl<S: Store> Items<S> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            store: S::default(),
            len: 0,
            capacity,
            granted: Grants::new(),
            promised_places: 0,
            unfinished: 0,
            joined_below: 0,
            next_ticket: 0,
            closed: false,
        }
    }

    /// Items that are not reserved. 0 also if there are fewer than reservations, because the queue was drained.
    #[inline]
    fn free_items(&self) -> usize {
        self.len.saturating_sub(self.granted.len())
    }

    #[inline]
    pub(super) fn has_free_item(&self) -> bool {
        self.free_items() > 0
    }

    /// Places that are not reserved.
    #[inline]
    fn free_places(&self) -> usize {
        // 0 also if there are more items than places: a comparison that panics leaves its item in, even if its place
        // was taken meanwhile.
        let taken = self.len.saturating_add(self.promised_places);
        self.capacity.saturating_sub(taken)
    }

    #[inline]
    pub(super) fn has_free_place(&self) -> bool {
        self.free_places() > 0
    }

    #[inline]
    fn push(&mut self, value: S::Item) {
        self.store.push(value);
        self.len += 1;
        self.unfinished += 1;
    }

    pub(super) fn store(&mut self) -> &mut S {
        &mut self.store
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Takes all items out, including those in `apart` if it could be entered. Nobody will get them, so they count as
    /// done.
    pub(super) fn drain(&mut self, apart: Option<&mut S>) -> Drained<S> {
        // In the middle of a comparison, the items apart stay, and can still be got.
        let count = if apart.is_some() {
            self.len
        } else {
            self.store.len()
        };
        self.len -= count;
        self.finish(count);
        let mut drained = apart.map(mem::take).unwrap_or_default();
        if S::APART {
            self.store.move_to(&mut drained);
        } else {
            drained = mem::take(&mut self.store);
        }
        Drained(drained)
    }

    /// A putter that has a reserved place puts its value.
    #[inline]
    pub(super) fn put_promised(&mut self, value: S::Item) -> Result<(), TryPutError<S::Item>> {
        self.promised_places -= 1;
        if self.closed {
            return Err(TryPutError::Closed(value));
        }
        self.push(value);
        Ok(())
    }

    /// Claims an item for the getter with this ticket. Returns how many items come out before it: those of getters
    /// that were granted one earlier and have not taken it. There is no item if the queue was drained meanwhile.
    #[inline]
    pub(super) fn claim_granted(&mut self, ticket: usize) -> Result<usize, TryGetError> {
        let behind = self.granted.withdraw(ticket);
        if behind >= self.len {
            return Err(TryGetError::Closed);
        }
        self.len -= 1;
        Ok(behind)
    }

    /// Like [`claim_granted`](Items::claim_granted), for a caller that does not wait.
    #[inline]
    pub(super) fn claim_free(&mut self, others_wait: bool) -> Result<usize, TryGetError> {
        if !others_wait && self.has_free_item() {
            self.len -= 1;
            Ok(self.granted.len())
        } else if self.closed && self.len == 0 {
            Err(TryGetError::Closed)
        } else {
            Err(TryGetError::Empty)
        }
    }

    /// The claimed item has stayed in the queue.
    pub(super) fn give_up_claim(&mut self) {
        self.len += 1;
    }

    /// True if all items that were put are done.
    pub(super) fn is_finished(&self) -> bool {
        self.unfinished == 0
    }

    /// True if an item that was taken is not done.
    pub(super) fn has_taken(&self) -> bool {
        self.unfinished > self.len
    }

    /// `count` more items are done.
    pub(super) fn finish(&mut self, count: usize) {
        // Fewer if `task_done` was called for an item that a comparison was about to take but did not.
        self.unfinished = self.unfinished.saturating_sub(count);
        if self.unfinished == 0 {
            self.joined_below = self.next_ticket;
        }
    }

    /// A ticket for a waiter that enters `JOIN`.
    pub(super) fn ticket(&mut self) -> usize {
        self.next_ticket += 1;
        self.next_ticket - 1
    }
}

impl<S: Store> Resource for Items<S> {
    type Lanes = [WaiterList; 3];
    type Open = ();

    #[inline]
    fn serve(serving: &mut Serving<'_, Self>) {
        while serving.next_waiter(GET).is_some() {
            let items = serving.state();
            let free = items.free_items();
            if free > 0 {
                // With more than one, nobody has to compete.
                if free == 1 && serving.call(GET) {
                    break;
                }
                let ticket = serving.state().granted.grant();
                serving.give(GET, ticket);
            } else if items.closed && items.len == 0 {
                serving.dismiss(GET);
            } else {
                // Also when the queue is closed and the last items are reserved: if a getter is dropped, its item is
                // free again.
                break;
            }
        }
        while serving.next_waiter(PUT).is_some() {
            let items = serving.state();
            let free = items.free_places();
            if items.closed {
                serving.dismiss(PUT);
            } else if free > 0 {
                if free == 1 && serving.call(PUT) {
                    break;
                }
                serving.state().promised_places += 1;
                serving.grant(PUT);
            } else {
                break;
            }
        }
        while let Some(ticket) = serving.next_waiter(JOIN)
            && ticket < serving.state().joined_below
        {
            serving.grant(JOIN);
        }
    }

    fn give_back(&mut self, (): &(), lane: usize, given: usize) {
        match lane {
            GET => _ = self.granted.withdraw(given),
            PUT => self.promised_places -= 1,
            _ => {}
        }
    }
}

/// The contents of a queue, to be dropped outside its lock. If one destructor panics, the others are not affected.
pub(super) struct Drained<S: Store>(S);

impl<S: Store> Iterator for Drained<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        self.0.take(0)
    }
}

impl<S: Store> Drop for Drained<S> {
    fn drop(&mut self) {
        while let Some(item) = self.0.take_any() {
            contain(|| drop(item));
        }
    }
}

/// True if a newcomer must queue behind others in the lane. A newcomer that `overtakes` need not, if the first of them
/// was called and was not polled yet.
#[inline]
pub(super) fn must_stand_behind<S: Store>(
    locked: &Locked<'_, Items<S>>,
    lane: usize,
    overtakes: bool,
) -> bool {
    locked.has_waiters(lane) && !(overtakes && locked.is_called(lane))
}

/// Puts without waiting if there is room, unless `others_wait` for room.
#[inline]
pub(super) fn try_push<S: Store>(
    locked: &mut Locked<'_, Items<S>>,
    value: S::Item,
    others_wait: bool,
) -> Result<(), TryPutError<S::Item>> {
    let items = locked.state();
    if items.closed {
        return Err(TryPutError::Closed(value));
    }
    if others_wait || !items.has_free_place() {
        return Err(TryPutError::Full(value));
    }
    items.push(value);
    Ok(())
}
