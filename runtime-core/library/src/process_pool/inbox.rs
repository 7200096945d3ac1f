//! How callers reach the supervisor.

use std::sync::Arc;

use runtime_kernel::primitives::real_locks::Mutex;

use super::error::Answer;
use crate::sync::{Queue, oneshot};

/// The capacity of a queue that must not refuse anything: its memory grows with its contents.
pub(super) const UNBOUNDED: usize = usize::MAX >> 3;

/// The way to reach the supervisor.
pub(super) struct Inbox {
    pub(super) orders: Queue<Order>,
    /// The process ids of the processes that are ready, by place.
    pub(super) ids: Mutex<Vec<Option<u32>>>,
}

/// A request to the supervisor.
pub(super) enum Order {
    Run(Request),
    Cancel(u64),
    /// End when all calls so far were answered.
    Finish,
    /// End now.
    End,
}

/// A call to be made.
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) function: u32,
    pub(super) blocking: bool,
    /// The place of the process that it is for; `None` means any process.
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

    /// Never waits. After the supervisor's end, orders are dropped, which breaks their promises.
    pub(super) fn send(&self, order: Order) {
        drop(self.orders.try_put(order));
    }

    pub(super) fn close(&self) {
        self.orders.close();
        // Orders that arrived after the last one that was read.
        while let Ok(order) = self.orders.try_get() {
            drop(order);
        }
    }
}
