//! What the threads, handles and tasks of a runtime share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::time::{Clock, TimerShard};
use runtime_library::sync::Semaphore;

use crate::builder::Builder;
use crate::thread_list::ThreadList;

/// The scheduler's name in tables and messages.
pub(crate) const NAME: &str = "threads";

pub(crate) struct Shared {
    pub(crate) thread_list: ThreadList,
    pub(crate) blocking: Arc<BlockingPool>,
    pub(crate) clock: Clock,
    /// The timers of non-worker threads, if they use simulated time.
    pub(crate) simulated_non_workers: OnceLock<Arc<TimerShard>>,
    pub(crate) stack_bytes: usize,
    thread_name: String,
    threads_named: AtomicU64,
    /// A permit for each `stop` that has not yet ended a `run_forever`.
    pub(crate) stops: Semaphore,
    pub(crate) me: Weak<Self>,
}

impl Shared {
    pub(crate) fn new(builder: Builder) -> Arc<Self> {
        let blocking = BlockingPool::new(builder.blocking);
        if let Some(executor) = builder.default_executor {
            blocking.set_default(executor);
        }
        Arc::new_cyclic(|me: &Weak<Self>| {
            blocking.set_ambient(me.clone());
            Self {
                thread_list: ThreadList::new(builder.max_threads),
                blocking,
                clock: builder.clock,
                simulated_non_workers: OnceLock::new(),
                stack_bytes: builder.stack_bytes,
                thread_name: builder.thread_name,
                threads_named: AtomicU64::new(0),
                stops: Semaphore::new(0),
                me: me.clone(),
            }
        })
    }

    /// A name for the next thread.
    pub(crate) fn name_thread(&self) -> String {
        let number = self.threads_named.fetch_add(1, Relaxed);
        format!("{}-{number}", self.thread_name)
    }
}
