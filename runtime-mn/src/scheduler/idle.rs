//! Which workers sleep, which ones search, and which one must be woken. The protocol is in the README.

use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::Ordering::{Relaxed, SeqCst};
use runtime_core::primitives::atomic::{AtomicUsize, fence};

/// One searching worker; their count is in the lower bits.
const SEARCHING: usize = 1;
/// One sleeping worker; their count is in the upper bits.
const SLEEPING: usize = 1 << (usize::BITS / 2);

fn searching(state: usize) -> usize {
    state % SLEEPING
}

fn sleeping(state: usize) -> usize {
    state / SLEEPING
}

fn position(sleepers: &[usize], worker: Option<usize>) -> Option<usize> {
    sleepers.iter().position(|it| Some(*it) == worker)
}

/// The set of idle workers.
pub(crate) struct Idle {
    state: AtomicUsize,
    sleepers: Mutex<Vec<usize>>,
    most_searching: usize,
}

impl Idle {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            state: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::with_capacity(workers)),
            most_searching: workers.div_ceil(2),
        }
    }

    /// Call this when a running worker has no tasks left and wants to search the others' queues. Returns false if
    /// enough workers already search.
    pub(crate) fn start_searching(&self) -> bool {
        // Relaxed: a wrong guess costs a search, or delays one until the last check before the next sleep.
        if searching(self.state.load(Relaxed)) >= self.most_searching {
            return false;
        }
        // SeqCst: with the fences of `notify_one` and `sleep`.
        self.state.fetch_add(SEARCHING, SeqCst);
        true
    }

    /// Call this when a searcher has found something. If it returns true, it was the last one, and must call
    /// [`notify_one`](Idle::notify_one).
    pub(crate) fn stop_searching(&self) -> bool {
        searching(self.state.fetch_sub(SEARCHING, SeqCst)) == 1
    }

    /// Call this when a worker goes to sleep. If it returns true, no worker searches now: then the caller must check
    /// all queues once more before it parks.
    pub(crate) fn sleep(&self, worker: usize, was_searching: bool) -> bool {
        let mut sleepers = self.sleepers.lock();
        sleepers.push(worker);
        let change = SLEEPING - SEARCHING * usize::from(was_searching);
        let state = self.state.fetch_add(change, SeqCst) + change;
        drop(sleepers);
        // Pairs with the fence in `notify_one`.
        fence(SeqCst);
        searching(state) == 0
    }

    /// Call this when a sleeper woke by itself. If it returns true, it has taken itself off the stack, and runs. If it
    /// returns false, a waker has taken it off, and it searches; there is a token for it, or will be at once.
    pub(crate) fn cancel_sleep(&self, worker: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(at) = position(&sleepers, Some(worker)) else {
            return false;
        };
        sleepers.swap_remove(at);
        self.state.fetch_sub(SLEEPING, SeqCst);
        true
    }

    /// Call this when something was queued that another worker could take. Returns the worker to unpark, if there is
    /// one; that one counts as searching. It is the worker that `choose` names if that worker sleeps, or else the one
    /// that went to sleep last. `choose` is called outside the lock.
    #[inline]
    pub(crate) fn notify_one(&self, choose: impl FnOnce() -> Option<usize>) -> Option<usize> {
        // Pairs with the fence in `sleep`: the queue was written before, the counts are read after.
        fence(SeqCst);
        self.notify_helper(choose)
    }

    /// Like [`notify_one`](Idle::notify_one), for a task in the calling worker's own queue. It has no fence, because
    /// that worker takes the task itself if a sleeper was missed. See the README.
    #[inline(always)]
    pub(crate) fn notify_helper(&self, choose: impl FnOnce() -> Option<usize>) -> Option<usize> {
        let should_notify = || {
            let state = self.state.load(Relaxed);
            searching(state) == 0 && sleeping(state) > 0
        };
        if !should_notify() {
            return None;
        }
        let chosen = choose();
        self.take_sleeper(|sleepers| {
            let last = should_notify().then(|| sleepers.len().checked_sub(1))?;
            position(sleepers, chosen).or(last)
        })
    }

    /// Call this when something was queued for that worker. If it returns true, the worker must be unparked, and
    /// counts as searching. If it returns false, the worker does not sleep: it then sees the task before it sleeps.
    pub(crate) fn notify_worker(&self, worker: usize) -> bool {
        let pick = |sleepers: &[usize]| position(sleepers, Some(worker));
        self.has_sleepers() && self.take_sleeper(pick).is_some()
    }

    /// Takes a sleeper off the stack. `pick` returns its position.
    #[cold]
    fn take_sleeper(&self, pick: impl FnOnce(&[usize]) -> Option<usize>) -> Option<usize> {
        let mut sleepers = self.sleepers.lock();
        let at = pick(&sleepers)?;
        // Added and subtracted in one step: no thread may see the worker in neither count.
        self.state.fetch_sub(SLEEPING - SEARCHING, SeqCst);
        Some(sleepers.remove(at))
    }

    /// Whether all of `workers` sleep at the same moment, and none searches.
    pub(crate) fn all_asleep(&self, mut workers: impl Iterator<Item = usize>) -> bool {
        let sleepers = self.sleepers.lock();
        // SeqCst, like the changes. Under the lock, the counts agree with the stack.
        searching(self.state.load(SeqCst)) == 0 && workers.all(|worker| sleepers.contains(&worker))
    }

    /// Call this when something was queued where all workers look. Returns whether there is a sleeper to wake. If not,
    /// the workers that are awake see it before they sleep.
    pub(crate) fn has_sleepers(&self) -> bool {
        // Pairs with the fence in `sleep`, as in `notify_one`.
        fence(SeqCst);
        self.sleeping() > 0
    }

    /// Approximately how many workers sleep.
    pub(crate) fn sleeping(&self) -> usize {
        sleeping(self.state.load(Relaxed))
    }
}
