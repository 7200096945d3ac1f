//! How callers reach the supervisor.

use std::sync::Arc;

use parking_lot::Mutex;

use super::error::Answer;
use crate::sync::{Queue, oneshot};

/// A queue's capacity where nothing may be refused: memory grows with what is in it.
pub(super) const UNBOUNDED: usize = usize::MAX >> 3;

/// How others reach the supervisor.
pub(super) struct Inbox {
    pub(super) orders: Queue<Order>,
    /// The numbers of the processes that are ready, by place.
    pub(super) ids: Mutex<Vec<Option<u32>>>,
}

/// What it is asked to do.
pub(super) enum Order {
    Run(Request),
    Cancel(u64),
    /// To end when every call that was made before has been answered.
    Finish,
    /// To end now.
    End,
}

/// A call to be made.
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) function: u32,
    pub(super) blocking: bool,
    /// The process that it is for, by place, if it is not for any.
    pub(super) place: Option<usize>,
    pub(super) argument: Vec<u8>,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Inbox {
    pub(super) fn new(processes: usize) -> Arc<Self> {
        Arc::new(Self {
            orders: Queue::new(UNBOUNDED),
            ids: Mutex::new(vec![None; processes]),
        })
    }

    /// Never waits. After the supervisor's end, orders are dropped, and promises broken by that.
    pub(super) fn send(&self, order: Order) {
        drop(self.orders.try_put(order));
    }

    pub(super) fn close(&self) {
        self.orders.close();
        // What came between the last order that was read and this.
        while let Ok(order) = self.orders.try_get() {
            drop(order);
        }
    }
}
