//! The state of a queue, under its lock.

use super::errors::{TryGetError, TryPutError};
use super::store::Store;
use crate::sync::wait_queue::{Line, Locked, Resource, Serving};

/// The lane of those who wait for an item.
pub(super) const GET: usize = 0;
/// The lane of those who wait for room.
pub(super) const PUT: usize = 1;
/// The lane of those who wait until all items are done with.
pub(super) const JOIN: usize = 2;

/// A waiter that is granted something does not run at once. What it was granted stays in the queue under a reservation, so that
/// nobody takes it meanwhile and nothing has to be moved back if the waiter is dropped.
#[derive(Debug)]
pub(super) struct Items<S> {
    store: S,
    capacity: usize,
    /// Items promised to getters; at most as many as there are, or they were drained.
    promised_items: usize,
    /// Places promised to putters; with the items at most `capacity`.
    promised_places: usize,
    /// Items put that nobody has said to be done with: those in the store and those that were taken from it.
    unfinished: usize,
    /// Who waits in `JOIN` has a ticket, and those below this one are released.
    joined_below: usize,
    next_ticket: usize,
    closed: bool,
}

impl<S: Store> Items<S> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            store: S::default(),
            capacity,
            promised_items: 0,
            promised_places: 0,
            unfinished: 0,
            joined_below: 0,
            next_ticket: 0,
            closed: false,
        }
    }

    #[inline]
    fn has_free_item(&self) -> bool {
        self.store.len() > self.promised_items
    }

    #[inline]
    pub(super) fn has_free_place(&self) -> bool {
        self.store.len() + self.promised_places < self.capacity
    }

    #[inline]
    fn push(&mut self, value: S::Item) {
        self.store.push(value);
        self.unfinished += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.store.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Takes out what is in it: nobody will get it, so there is nothing to be done with it.
    pub(super) fn drain(&mut self) -> S {
        let drained = std::mem::take(&mut self.store);
        self.finish(drained.len());
        drained
    }

    /// The putter that a place was promised to puts its value.
    #[inline]
    pub(super) fn put_promised(&mut self, value: S::Item) -> Result<(), TryPutError<S::Item>> {
        self.promised_places -= 1;
        if self.closed {
            return Err(TryPutError::Closed(value));
        }
        self.push(value);
        Ok(())
    }

    /// The getter that an item was promised to gets it. There is none if the queue was drained meanwhile.
    #[inline]
    pub(super) fn get_promised(&mut self) -> Result<S::Item, TryGetError> {
        self.promised_items -= 1;
        self.store.pop().ok_or(TryGetError::Closed)
    }

    /// True if all that was put is done with.
    pub(super) fn is_finished(&self) -> bool {
        self.unfinished == 0
    }

    /// True if an item that was taken out is not done with.
    pub(super) fn has_taken(&self) -> bool {
        self.unfinished > self.store.len()
    }

    /// `count` more are done with.
    pub(super) fn finish(&mut self, count: usize) {
        self.unfinished -= count;
        if self.unfinished == 0 {
            self.joined_below = self.next_ticket;
        }
    }

    /// For one who begins to wait in `JOIN`.
    pub(super) fn ticket(&mut self) -> usize {
        self.next_ticket += 1;
        self.next_ticket - 1
    }
}

impl<S: Store> Resource for Items<S> {
    type Lanes = [Line; 3];
    type Open = ();

    #[inline]
    fn serve(serving: &mut Serving<'_, Self>) {
        while serving.next_waiter(GET).is_some() {
            let items = serving.state();
            if items.has_free_item() {
                items.promised_items += 1;
                serving.grant(GET);
            } else if items.closed && items.store.is_empty() {
                serving.dismiss(GET);
            } else {
                // Also when it is closed and the last items are promised: should a getter be dropped, its item is free again.
                break;
            }
        }
        while serving.next_waiter(PUT).is_some() {
            let items = serving.state();
            if items.closed {
                serving.dismiss(PUT);
            } else if items.has_free_place() {
                items.promised_places += 1;
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

    fn give_back(&mut self, (): &(), lane: usize, _: usize) {
        match lane {
            GET => self.promised_items -= 1,
            PUT => self.promised_places -= 1,
            _ => {}
        }
    }
}

/// Puts without waiting if there is room and nobody waits for it.
#[inline]
pub(super) fn try_push<S: Store>(
    locked: &mut Locked<'_, Items<S>>,
    value: S::Item,
) -> Result<(), TryPutError<S::Item>> {
    let others_wait = locked.has_waiters(PUT);
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

/// Gets without waiting if there is an item that is not promised.
#[inline]
pub(super) fn try_pop<S: Store>(locked: &mut Locked<'_, Items<S>>) -> Result<S::Item, TryGetError> {
    let others_wait = locked.has_waiters(GET);
    let items = locked.state();
    if !others_wait && items.has_free_item() {
        items.store.pop().ok_or(TryGetError::Empty)
    } else if items.closed && items.store.is_empty() {
        Err(TryGetError::Closed)
    } else {
        Err(TryGetError::Empty)
    }
}
