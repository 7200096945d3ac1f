//! Queues that only a policy uses: each worker sees them before it sleeps.

use std::iter::{empty, once};
use std::time::Duration;

use runtime_core::sync::oneshot;

use super::*;
use crate::block_in_place;
use crate::policy::{Attempt, Place, Policy, SearchView, WokenBy, WorkerView};

/// Sends each task to the next worker, or ranks it. Workers do not steal.
struct Around {
    ranks: bool,
}

impl Policy for Around {
    fn name(&self) -> &'static str {
        "around"
    }

    fn steals(&self) -> bool {
        false
    }

    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        Place::Worker((own.worker() + 1) % own.workers())
    }

    fn place_woken(&self, own: &WorkerView<'_>, _: WokenBy) -> Place {
        if self.ranks {
            Place::Ranked(u64::from(own.tick() % 3))
        } else {
            Place::Worker((own.worker() + 1) % own.workers())
        }
    }

    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
    }
}

/// Also overlooks injected tasks: only the last check before sleep finds them.
struct Blind;

impl Policy for Blind {
    fn name(&self) -> &'static str {
        "blind"
    }

    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        Place::Ranked(u64::from(own.tick() % 3))
    }

    fn place_woken(&self, own: &WorkerView<'_>, _: WokenBy) -> Place {
        Place::Worker((own.worker() + 1) % own.workers())
    }

    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        empty()
    }
}

/// Parents and children, each of which moves from worker to worker. Time passes only if a task is overlooked.
fn goes_round(runtime: Runtime) {
    let tally = Tally::new(6);
    let parents = [0, 1, 2].map(|number| {
        let of_child = tally.clone();
        runtime.spawn(tally.task(number, async move {
            let child = runtime_core::spawn(of_child.task(3 + number, yields(1)));
            yields(1).await;
            child.await.unwrap();
        }))
    });
    for task in parents {
        runtime.block_on(task).unwrap();
    }
    assert_eq!(mock_clock::elapsed(), Duration::ZERO);
    drop(runtime);
    tally.assert_all_ran_once();
}

#[test]
fn sent_or_ranked_tasks_are_seen_before_their_worker_sleeps() {
    let turn = AtomicUsize::new(0);
    check_in_time(move || {
        let ranks = turn.fetch_add(1, Relaxed) % 2 == 0;
        goes_round(builder().build_with(Around { ranks }).unwrap());
    });
}

#[test]
fn tasks_that_the_policy_overlooks_are_found_by_the_last_look_before_sleep() {
    check_in_time(|| goes_round(builder().build_with(Blind).unwrap()));
}

/// A worker goes away into `block_in_place` while another one sends it a task. With and without the monitor's thread.
#[test]
fn tasks_sent_to_a_worker_that_leaves_are_run_elsewhere() {
    let turn = AtomicUsize::new(0);
    check(move || {
        let has_monitor = turn.fetch_add(1, Relaxed) % 2 == 0;
        let builder = builder().workers(2).max_replacement_workers(1);
        let builder = builder.monitor(has_monitor);
        let runtime = builder.build_with(Around { ranks: false }).unwrap();
        let tally = Tally::new(5);
        let (done, wait) = oneshot::channel();
        let away = runtime.spawn(tally.task(0, async move {
            assert_eq!(block_in_place(|| wait.blocking_recv()), Ok(()));
        }));
        let of_child = tally.clone();
        let sends = runtime.spawn(tally.task(1, async move {
            for number in 2..5 {
                let child = runtime_core::spawn(of_child.task(number, async {}));
                child.await.unwrap();
            }
            done.send(()).unwrap();
        }));
        for task in [away, sends] {
            runtime.block_on(task).unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}
