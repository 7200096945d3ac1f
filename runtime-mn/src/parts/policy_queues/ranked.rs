//! A queue in the order of ranks: a PIFO (push in, first out). The policy gives each task its rank when it is queued.
//! The lowest rank comes first; tasks of the same rank come first in, first out.
//!
//! Tasks can also be taken by age, so that no rank starves one. Two ordered maps under one lock do that. This is not
//! the fastest structure, but it is exact, and only policies that use it pay for it. No user code runs under the
//! lock.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::{AtomicUsize, Ordering::Relaxed};
use runtime_core::task::Task;

#[derive(Default)]
pub(crate) struct RankedQueue {
    entries: Mutex<Entries>,
    /// The number of tasks. It changes under the lock, and is read without it. Relaxed: a worker that reads it before
    /// it sleeps has its own fence, and so has a waker.
    len: AtomicUsize,
    /// The lowest rank, if there are tasks.
    first: AtomicU64,
}

#[derive(Default)]
struct Entries {
    /// By rank, then by number.
    tasks: BTreeMap<(u64, u64), Task>,
    /// The rank by number, oldest first.
    ranks: BTreeMap<u64, u64>,
    /// How many tasks were ever queued, which is the number of the next one.
    pushed: u64,
}

impl RankedQueue {
    pub(crate) fn push(&self, rank: u64, task: Task) {
        let mut entries = self.entries.lock();
        let number = entries.pushed;
        entries.pushed += 1;
        entries.tasks.insert((rank, number), task);
        entries.ranks.insert(number, rank);
        self.changed(&entries);
    }

    /// Takes the oldest task of the lowest rank.
    pub(crate) fn pop_first(&self) -> Option<Task> {
        self.pop(|entries| {
            let ((_, number), task) = entries.tasks.pop_first()?;
            entries.ranks.remove(&number);
            Some(task)
        })
    }

    /// Takes the task that was queued first, whatever its rank.
    pub(crate) fn pop_oldest(&self) -> Option<Task> {
        self.pop(|entries| {
            let (number, rank) = entries.ranks.pop_first()?;
            entries.tasks.remove(&(rank, number))
        })
    }

    /// Moves all tasks to another queue, in their order.
    pub(crate) fn move_to(&self, other: &Self) {
        if self.is_empty() {
            return;
        }
        let mut entries = self.entries.lock();
        let tasks = std::mem::take(&mut entries.tasks);
        entries.ranks.clear();
        self.changed(&entries);
        drop(entries);
        for ((rank, _), task) in tasks {
            other.push(rank, task);
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// The lowest rank, a moment ago.
    pub(crate) fn first_rank(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.first.load(Relaxed))
    }

    fn pop(&self, take: impl FnOnce(&mut Entries) -> Option<Task>) -> Option<Task> {
        // Unused queues don't need the lock.
        if self.is_empty() {
            return None;
        }
        let mut entries = self.entries.lock();
        let task = take(&mut entries)?;
        self.changed(&entries);
        Some(task)
    }

    fn changed(&self, entries: &Entries) {
        if let Some(((rank, _), _)) = entries.tasks.first_key_value() {
            self.first.store(*rank, Relaxed);
        }
        self.len.store(entries.tasks.len(), Relaxed);
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex as StdMutex;

    use runtime_core::Attributes;
    use runtime_core::task::{SafeSchedule, SchedulerArc, bind_with};

    use super::*;

    #[derive(Default)]
    struct Nowhere(StdMutex<VecDeque<Task>>);

    impl SafeSchedule for Nowhere {
        fn schedule(this: &SchedulerArc<Self>, task: Task) {
            this.0.lock().unwrap().push_back(task);
        }
    }

    /// A queue of tasks whose tags are their numbers in the order of arrival.
    fn queue(ranks: &[u64]) -> RankedQueue {
        let scheduler = SchedulerArc::new(Nowhere::default());
        let queue = RankedQueue::default();
        for (number, rank) in (0..).zip(ranks) {
            let attributes = Attributes::tagged(number);
            let (task, _) = bind_with(scheduler.erased(), attributes, async {});
            queue.push(*rank, task);
        }
        queue
    }

    #[test]
    fn the_lowest_rank_comes_first_and_equal_ranks_are_fifo() {
        let queue = queue(&[5, 1, 5, 0, u64::MAX, 1]);
        assert_eq!((queue.len(), queue.first_rank()), (6, Some(0)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_first())
            .map(|task| task.tag())
            .collect();
        assert_eq!(order, [3, 1, 5, 0, 2, 4]);
        assert_eq!((queue.len(), queue.first_rank()), (0, None));
    }

    #[test]
    fn the_oldest_can_be_taken_whatever_its_rank() {
        let queue = queue(&[9, 1, 8, 0]);
        let mut order = Vec::new();
        for turn in 0..4 {
            let task = if turn % 2 == 0 {
                queue.pop_oldest()
            } else {
                queue.pop_first()
            };
            order.push(task.unwrap().tag());
        }
        assert_eq!(order, [0, 3, 1, 2]);
        assert!(queue.is_empty() && queue.pop_oldest().is_none());
    }

    #[test]
    fn concurrent_pushes_and_takes_neither_lose_nor_duplicate_tasks() {
        let queue = queue(&[]);
        let scheduler = SchedulerArc::new(Nowhere::default());
        let taken = StdMutex::new(Vec::new());
        std::thread::scope(|scope| {
            for thread in 0..3_u32 {
                let (queue, taken, scheduler) = (&queue, &taken, &scheduler);
                scope.spawn(move || {
                    for number in 0..500 {
                        let tag = thread * 500 + number;
                        let (task, _) =
                            bind_with(scheduler.erased(), Attributes::tagged(tag), async {});
                        queue.push(u64::from(tag % 7), task);
                        let task = if number % 3 == 0 {
                            queue.pop_oldest()
                        } else {
                            queue.pop_first()
                        };
                        taken.lock().unwrap().extend(task.map(|task| task.tag()));
                    }
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.extend(std::iter::from_fn(|| queue.pop_first()).map(|task| task.tag()));
        taken.sort_unstable();
        assert_eq!(taken, (0..1500).collect::<Vec<_>>());
    }
}
