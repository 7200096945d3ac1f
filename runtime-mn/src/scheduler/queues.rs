//! The queues: each worker's LIFO slot, LIFO queue and FIFO queue, and the injector, which belongs to nobody.

use std::cell::Cell;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use runtime_core::primitives::atomic::{AtomicUsize, Ordering::Relaxed};
use runtime_core::primitives::spin_loop;
use runtime_core::task::Task;

use crate::deque::{Injector, Steal, Stealer, Worker as Deque};
use crate::slot::Slot;

/// The most tasks that are taken from a queue at once.
pub(crate) const BATCH_LIMIT: usize = 32;

/// All queues, as every thread may use them.
pub(crate) struct SharedQueues {
    pub(crate) injector: CachePadded<Injector<Task>>,
    workers: Box<[Arc<WorkerQueues>]>,
    /// How many workers exist or ever did: the first so many.
    active: AtomicUsize,
}

/// One worker's queues, as thieves and observers see them.
pub(crate) struct WorkerQueues {
    pub(crate) slot: CachePadded<Slot>,
    pub(crate) lifo: Stealer<Task>,
    pub(crate) fifo: Stealer<Task>,
}

/// One worker's own ends. Only its thread touches them.
pub(crate) struct OwnQueues {
    pub(crate) all: Arc<SharedQueues>,
    pub(crate) index: usize,
    /// The same queues, as the others see them.
    pub(crate) shared: Arc<WorkerQueues>,
    /// The newest first; thieves take the oldest.
    pub(crate) lifo: Deque<Task>,
    /// The oldest first, for everybody.
    pub(crate) fifo: Deque<Task>,
    /// How many times the worker has looked for its next task.
    pub(crate) tick: Cell<u32>,
    random: Cell<u64>,
}

impl SharedQueues {
    /// The queues of `slots` workers, of which the first `active` exist.
    pub(crate) fn new(slots: usize, active: usize) -> (Arc<Self>, Vec<OwnQueues>) {
        let ends: Vec<_> = (0..slots)
            .map(|_| (Deque::new_lifo(), Deque::new_fifo()))
            .collect();
        let workers = ends.iter().map(|(lifo, fifo)| {
            Arc::new(WorkerQueues {
                slot: CachePadded::default(),
                lifo: lifo.stealer(),
                fifo: fifo.stealer(),
            })
        });
        let all = Arc::new(Self {
            injector: CachePadded::default(),
            workers: workers.collect(),
            active: AtomicUsize::new(active),
        });
        let own = ends
            .into_iter()
            .enumerate()
            .map(|(index, (lifo, fifo))| OwnQueues {
                all: Arc::clone(&all),
                index,
                shared: Arc::clone(&all.workers[index]),
                lifo,
                fifo,
                tick: Cell::new(0),
                random: Cell::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index as u64 + 1)),
            });
        let own = own.collect();
        (all, own)
    }

    #[inline]
    pub(crate) fn active(&self) -> &[Arc<WorkerQueues>] {
        &self.workers[..self.active.load(Relaxed)]
    }

    /// The worker begins to exist.
    pub(crate) fn activate(&self, index: usize) {
        self.active.fetch_max(index + 1, Relaxed);
    }

    /// Takes every queued task out.
    pub(crate) fn drain(&self, mut take: impl FnMut(Task)) {
        while let Some(task) = retry(|| self.injector.steal()) {
            take(task);
        }
        for queues in &self.workers {
            while let Some(task) = retry(|| queues.lifo.steal().or_else(|| queues.fifo.steal())) {
                take(task);
            }
            if let Some(task) = queues.slot.take() {
                take(task);
            }
        }
    }
}

impl WorkerQueues {
    /// Whether a thief finds something. The slot does not count: it wakes nobody, and keeps nobody awake. Nor does the
    /// FIFO queue while it is not shared.
    pub(crate) fn has_work(&self, shares_fifo: bool) -> bool {
        !self.lifo.is_empty() || shares_fifo && !self.fifo.is_empty()
    }

    /// Whether any task waits for this worker.
    pub(crate) fn has_waiting(&self) -> bool {
        self.has_work(true) || self.slot.is_filled()
    }

    pub(crate) fn len(&self) -> usize {
        self.lifo.len() + self.fifo.len() + usize::from(self.slot.is_filled())
    }
}

impl OwnQueues {
    #[inline]
    pub(crate) fn slot(&self) -> &Slot {
        &self.shared.slot
    }

    /// Whatever there is, in no order.
    pub(crate) fn pop_any(&self) -> Option<Task> {
        let slot = self.slot().take();
        slot.or_else(|| self.lifo.pop()).or_else(|| self.fifo.pop())
    }

    /// The other workers, beginning at a random one.
    pub(crate) fn victims(&self) -> impl Iterator<Item = usize> + use<> {
        let (own, workers) = (self.index, self.all.active().len());
        let start = self.random() % workers;
        let all = (0..workers).map(move |offset| (start + offset) % workers);
        all.filter(move |victim| *victim != own)
    }

    /// xorshift64
    fn random(&self) -> usize {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        (random >> 32) as usize
    }
}

/// Steals until it is known whether there was something.
pub(crate) fn retry<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => spin_loop(),
        }
    }
}
