//! The queues: each worker's LIFO slot, LIFO queue, FIFO queue, ranked queue and inbox, and the injector, which belongs
//! to nobody.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use runtime_core::primitives::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use runtime_core::primitives::spin_loop;
use runtime_core::task::Task;
use runtime_core::time::Clock;

use crate::deque::{Injector, Steal, Stealer, Worker as Deque};
use crate::policy::{STATE_SLOTS, Topology};
use crate::ranked::RankedQueue;
use crate::slot::Slot;
use crate::topology;

/// The most tasks that are taken from a queue at once.
pub(crate) const BATCH_LIMIT: usize = 32;

/// All queues, as every thread may use them.
pub(crate) struct SharedQueues {
    pub(crate) injector: CachePadded<Injector<Task>>,
    workers: Box<[Arc<WorkerQueues>]>,
    /// How many workers exist or ever did: the first so many.
    active: AtomicUsize,
    /// How many of them the builder was told to start. Policies number those.
    pub(crate) regular: usize,
    topology: Option<Topology>,
    clock: Clock,
    /// The zero of what policies are told about time.
    epoch: Instant,
}

/// One worker's queues, as thieves and observers see them.
pub(crate) struct WorkerQueues {
    pub(crate) slot: CachePadded<Slot>,
    pub(crate) lifo: Stealer<Task>,
    pub(crate) fifo: Stealer<Task>,
    /// The lowest rank first, for everybody.
    pub(crate) ranked: CachePadded<RankedQueue>,
    /// What other workers have sent to this one. The oldest first, for everybody.
    pub(crate) inbox: CachePadded<Injector<Task>>,
    /// Tasks that are pinned to this worker, from other threads. Only the worker takes from it.
    pub(crate) pinned: CachePadded<Injector<Task>>,
    /// The worker sleeps, or is about to: a hint for policies.
    pub(crate) asleep: AtomicBool,
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
    /// The policy's own.
    pub(crate) state: [Cell<u64>; STATE_SLOTS],
}

impl SharedQueues {
    /// The queues of `slots` workers, of which the first `regular` exist.
    pub(crate) fn new(
        slots: usize,
        regular: usize,
        topology: Option<Topology>,
        clock: Clock,
    ) -> (Arc<Self>, Vec<OwnQueues>) {
        let ends: Vec<_> = (0..slots)
            .map(|_| (Deque::new_lifo(), Deque::new_fifo()))
            .collect();
        let workers = ends.iter().map(|(lifo, fifo)| {
            Arc::new(WorkerQueues {
                slot: CachePadded::default(),
                lifo: lifo.stealer(),
                fifo: fifo.stealer(),
                ranked: CachePadded::default(),
                inbox: CachePadded::default(),
                pinned: CachePadded::default(),
                asleep: AtomicBool::new(false),
            })
        });
        let all = Arc::new(Self {
            injector: CachePadded::default(),
            workers: workers.collect(),
            active: AtomicUsize::new(regular),
            regular,
            topology,
            epoch: clock.now(),
            clock,
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
                state: Default::default(),
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

    /// Where the workers run: as the builder was told, else as the machine says. Only some policies ask.
    pub(crate) fn topology(&self) -> &Topology {
        let chosen = self.topology.as_ref();
        chosen.unwrap_or_else(|| topology::machine())
    }

    /// Nanoseconds since these queues were made, by the runtime's clock.
    pub(crate) fn now_ns(&self) -> u64 {
        let passed = self.clock.now().saturating_duration_since(self.epoch);
        u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes every queued task out.
    pub(crate) fn drain(&self, mut take: impl FnMut(Task)) {
        while let Some(task) = retry(|| self.injector.steal()) {
            take(task);
        }
        for queues in &self.workers {
            let shared = || queues.lifo.steal().or_else(|| queues.fifo.steal());
            while let Some(task) = retry(shared).or_else(|| queues.take_sorted()) {
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
        !self.lifo.is_empty() || shares_fifo && !self.fifo.is_empty() || self.has_sorted()
    }

    /// Whether there are tasks that the policy has sorted: by rank, or to this worker.
    #[inline]
    pub(crate) fn has_sorted(&self) -> bool {
        !self.ranked.is_empty() || !self.inbox.is_empty()
    }

    /// One of those: the first one by rank, or the oldest of the inbox.
    pub(crate) fn take_sorted(&self) -> Option<Task> {
        let ranked = self.ranked.pop_first();
        ranked.or_else(|| retry(|| self.inbox.steal()))
    }

    /// Whether any task waits for this worker.
    pub(crate) fn has_waiting(&self) -> bool {
        self.has_work(true) || self.slot.is_filled()
    }

    pub(crate) fn len(&self) -> usize {
        let sorted = self.ranked.len() + self.inbox.len();
        self.lifo.len() + self.fifo.len() + sorted + usize::from(self.slot.is_filled())
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
        let own = slot.or_else(|| self.lifo.pop()).or_else(|| self.fifo.pop());
        own.or_else(|| self.shared.take_sorted())
    }

    /// The other workers, beginning at a random one.
    pub(crate) fn victims(&self) -> impl Iterator<Item = usize> + use<> {
        let (own, workers) = (self.index, self.all.active().len());
        let start = self.random() % workers;
        let all = (0..workers).map(move |offset| (start + offset) % workers);
        all.filter(move |victim| *victim != own)
    }

    /// xorshift64
    pub(crate) fn random(&self) -> usize {
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
