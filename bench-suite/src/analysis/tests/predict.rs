//! How long small programs take on several workers, calculated by hand.

use super::recording::Recording;
use crate::analysis::contention::Contention;
use crate::analysis::dag::Dag;
use crate::analysis::hand_over::HandOver;
use crate::analysis::predict::{Costs, replay};
use crate::analysis::span::Burden;
use crate::analysis::span_command::keep_faster;
use crate::trace::{Kind, Run};

const FREE: Burden = Burden {
    same_thread_ns: 0,
    other_thread_ns: 0,
    sleeping_thread_ns: 0,
};

fn sleepers_need(sleeping_thread_ns: u64) -> Burden {
    Burden {
        sleeping_thread_ns,
        ..FREE
    }
}

/// Tasks that all exist from the start, each with its work.
fn side_by_side(work_ns: &[u64]) -> Dag {
    let mut recording = Recording::new("mn", 1);
    let mut now = 0;
    for &work in work_ns {
        let task = recording.task("t", None);
        recording.poll(0, task, [now, now + work], 1);
        now += work;
    }
    Dag::of(&recording.finish(now))
}

/// A task that computes for `work_ns` and meanwhile spawns children, each at its time and with its own work.
fn parent(work_ns: u64, children: &[[u64; 2]]) -> Dag {
    let mut recording = Recording::new("mn", 1);
    let root = recording.task("root", None);
    recording.begin(0, 0, root);
    let spawned: Vec<_> = children
        .iter()
        .map(|&[at, work]| {
            let child = recording.task("child", Some(root));
            recording.spawn(at, 0, child);
            (child, work)
        })
        .collect();
    recording.end(work_ns, 0, root, 1);
    let mut now = work_ns;
    for (child, work) in spawned {
        recording.poll(0, child, [now, now + work], 1);
        now += work;
    }
    Dag::of(&recording.finish(now))
}

#[test]
fn a_task_that_wakes_a_sleeper_goes_to_the_first_free_worker() {
    let dag = parent(100, &[[50, 100]]);
    // The parent's worker finishes long before the other worker is awake, and the result does not wait for that.
    assert_eq!(
        replay(&dag, sleepers_need(10_000), 2, Contention::NONE),
        200
    );
    // The other worker is awake at 90.
    assert_eq!(replay(&dag, sleepers_need(40), 2, Contention::NONE), 190);
}

#[test]
fn a_worker_that_has_had_no_work_yet_sleeps() {
    let dag = parent(1000, &[[50, 2000]]);
    let wakes_first = replay(&dag, sleepers_need(500), 2, Contention::NONE);
    assert_eq!(wakes_first, 50 + 500 + 2000);
}

#[test]
fn as_many_sleepers_are_woken_as_tasks_are_due() {
    let dag = parent(2000, &[[50, 100], [155, 5000]]);
    // One worker is awake at 150 and busy until 250. If a third worker had been woken at 50 too, it would be there at
    // 155.
    assert_eq!(
        replay(&dag, sleepers_need(100), 3, Contention::NONE),
        250 + 5000
    );
}

#[test]
fn workers_that_compute_at_once_hold_each_other_up() {
    let machine = Contention {
        cores: 2,
        of_all_cores: 1.5,
    };
    let dag = side_by_side(&[1000, 1000]);
    assert_eq!(replay(&dag, FREE, 1, machine), 2000);
    assert_eq!(replay(&dag, FREE, 2, machine), 1500);
    assert_eq!(replay(&dag, FREE, 2, Contention::NONE), 1000);
}

#[test]
fn workers_delay_each_other_only_while_they_compute_at_once() {
    let machine = Contention {
        cores: 2,
        of_all_cores: 1.5,
    };
    let dag = side_by_side(&[3000, 1000]);
    assert_eq!(replay(&dag, FREE, 2, machine), 1500 + 2000);
}

#[test]
fn spawns_of_a_slow_worker_are_late() {
    let machine = Contention {
        cores: 2,
        of_all_cores: 2.0,
    };
    // The first child and the first half of the parent take 2000. Then the second child begins.
    let dag = parent(2000, &[[0, 1000], [1000, 1000]]);
    assert_eq!(replay(&dag, FREE, 2, machine), 4000);
    let dag = parent(2000, &[[0, 1000], [1500, 500]]);
    assert_eq!(replay(&dag, FREE, 2, machine), 2000 + 500 + 1000);
}

#[test]
fn workers_beyond_the_cores_wait_for_a_turn() {
    let machine = Contention {
        cores: 1,
        of_all_cores: 1.0,
    };
    let dag = side_by_side(&[1000, 1000]);
    assert_eq!(replay(&dag, FREE, 2, machine), 2000);
}

#[test]
fn a_measured_machine_has_its_cores_and_no_speed_up() {
    let machine = Contention::measured();
    assert_eq!(machine.cores, crate::environment::cores());
    assert!(machine.of_all_cores >= 1.0 && machine.of_all_cores.is_finite());
    assert_eq!(machine.slow_down(1), 1.0);
    assert!(machine.slow_down(2 * machine.cores) >= 2.0);
}

#[test]
fn the_fastest_run_counts() {
    let mut best = None;
    for wall_ns in [30, 10, 20] {
        let run = Run {
            wall_ns,
            ..Run::default()
        };
        keep_faster(&mut best, run);
    }
    assert_eq!(best.unwrap().wall_ns, 10);
}

/// Only that costs something.
fn costs(change: impl FnOnce(&mut Costs)) -> Costs {
    let mut costs = Costs::from(FREE);
    change(&mut costs);
    costs
}

#[test]
fn a_thief_takes_half_of_a_queue_and_pays_once() {
    // Ten children of 100 each, all spawned at the start of the parent, which computes for 400.
    let dag = parent(400, &[[0, 100]; 10]);
    let steals = |steal_limit| {
        let costs = costs(|it| {
            it.burden.other_thread_ns = 50;
            it.steal_limit = steal_limit;
        });
        replay(&dag, costs, 2, Contention::NONE)
    };
    // The thief is awake at once and takes 5 children for nothing, until 500. The parent's worker begins with its 5 at
    // 400. Of the 4 that are left at 500, the thief takes 2 for 50.
    assert_eq!(steals(32), 500 + 50 + 200);
    // One by one, the thief ends its children at 100, 250, 400, 550, 700 and 850, and the other worker has 4 of them.
    assert_eq!(steals(1), 850);
}

#[test]
fn who_wakes_a_sleeper_is_delayed_by_it() {
    let dag = parent(1000, &[[500, 1000]]);
    let costs = costs(|it| it.waking_ns = 200);
    // The sleeper is awake at once and computes from 500 to 1500. The parent takes until 1200.
    assert_eq!(replay(&dag, costs, 2, Contention::NONE), 1500);
    assert_eq!(replay(&dag, costs, 1, Contention::NONE), 2000);
    let dag = parent(1000, &[[500, 100]]);
    assert_eq!(replay(&dag, costs, 2, Contention::NONE), 1200);
}

#[test]
fn what_another_worker_wrote_arrives_later() {
    let dag = parent(1000, &[[500, 1000]]);
    let costs = costs(|it| it.transfer_ns = 30);
    assert_eq!(replay(&dag, costs, 2, Contention::NONE), 500 + 30 + 1000);
    assert_eq!(replay(&dag, costs, 1, Contention::NONE), 2000);
}

#[test]
fn what_was_written_before_a_worker_looks_arrives_in_a_row() {
    let costs = costs(|it| (it.transfer_ns, it.stream_ns) = (30, 5));
    let ends_at = |children: &[[u64; 2]]| {
        let dag = parent(2000, children);
        replay(&dag, costs, 2, Contention::NONE)
    };
    // The second child is there when the first one ends.
    let in_a_row = [[500, 1000], [550, 1000]];
    assert_eq!(ends_at(&in_a_row), 500 + 30 + 1000 + 5 + 1000);
    // The other worker waits for the second child.
    assert_eq!(ends_at(&[[500, 100], [800, 2000]]), 800 + 30 + 2000);
}

/// Tasks that take a mutex for 100 out of each 300, so many times.
fn lockers(tasks: u32, times: u64) -> Dag {
    let mut recording = Recording::new("mn", 1);
    let mut now = 0;
    for _ in 0..tasks {
        let task = recording.task("locker", None);
        recording.begin(now, 0, task);
        for _ in 0..times {
            recording.event(now + 100, 0, Kind::LockGot, Some(task), [7, 0]);
            recording.event(now + 200, 0, Kind::LockRelease, Some(task), [7, 0]);
            now += 300;
        }
        recording.end(now, 0, task, 1);
    }
    Dag::of(&recording.finish(now))
}

#[test]
fn a_mutex_has_one_holder_at_a_time() {
    let dag = lockers(2, 1);
    assert_eq!(replay(&dag, FREE, 1, Contention::NONE), 600);
    // At 200 the first task hands it to the second one, which is then in the slot of the same worker: from 300 on.
    assert_eq!(replay(&dag, FREE, 2, Contention::NONE), 500);
}

#[test]
fn a_task_that_meets_a_held_mutex_ends_its_poll_and_makes_room_for_others() {
    let dag = lockers(4, 1);
    // By 300 the second worker has begun the three others, and all of them wait. The first worker then runs each of
    // them for 200.
    assert_eq!(replay(&dag, FREE, 2, Contention::NONE), 300 + 3 * 200);
}

#[test]
fn each_mutex_that_is_handed_over_costs_a_poll() {
    let polls_cost = |same_thread_ns| Burden {
        same_thread_ns,
        ..FREE
    };
    let dag = lockers(2, 10);
    let free = replay(&dag, FREE, 2, Contention::NONE);
    let alone = replay(&dag, polls_cost(1000), 1, Contention::NONE);
    let costly = replay(&dag, polls_cost(1000), 2, Contention::NONE);
    assert_eq!(alone, 2 * (1000 + 10 * 300));
    assert!(costly > alone && costly > free + 5 * 1000, "{costly}");
}

#[test]
fn a_wait_for_a_mutex_in_the_trace_is_none_if_it_is_free_in_the_replay() {
    let mut recording = Recording::new("mn", 1);
    let [holder, waiter] = ["holder", "waiter"].map(|name| recording.task(name, None));
    recording.begin(0, 0, holder);
    recording.event(0, 0, Kind::LockGot, Some(holder), [7, 0]);
    // It yields while it holds the mutex.
    recording.end(100, 0, holder, 2);
    recording.begin(100, 0, waiter);
    recording.event(700, 0, Kind::LockWait, Some(waiter), [7, 0]);
    recording.end(700, 0, waiter, 0);
    recording.begin(700, 0, holder);
    recording.event(800, 0, Kind::LockRelease, Some(holder), [7, 0]);
    recording.wake(800, 0, waiter, holder.into(), 0);
    recording.end(1000, 0, holder, 1);
    recording.begin(1000, 0, waiter);
    recording.event(1000, 0, Kind::LockGot, Some(waiter), [7, 0]);
    recording.event(1100, 0, Kind::LockRelease, Some(waiter), [7, 0]);
    recording.end(1100, 0, waiter, 1);
    let dag = Dag::of(&recording.finish(1100));
    assert!(dag.strands[3].is_given_lock);
    assert_eq!(replay(&dag, FREE, 1, Contention::NONE), 1100);
    // On two workers the holder is done at 400, and has released the mutex at 200. The waiter looks at 600.
    assert_eq!(replay(&dag, FREE, 2, Contention::NONE), 700);
}

#[test]
fn a_wait_that_is_over_before_it_begins_does_not_end_the_poll() {
    let mut recording = Recording::new("mn", 1);
    let root = recording.task("root", None);
    let child = recording.task("child", Some(root));
    recording.begin(0, 0, root);
    recording.spawn(0, 0, child);
    recording.end(500, 0, root, 0);
    recording.poll(0, child, [600, 700], 1);
    recording.wake(700, 0, root, child.into(), 0);
    recording.poll(0, root, [800, 900], 1);
    let dag = Dag::of(&recording.finish(900));
    let polls_cost = Burden {
        same_thread_ns: 100,
        ..FREE
    };
    assert_eq!(replay(&dag, polls_cost, 1, Contention::NONE), 1000);
    // The child has ended when the root has computed for 500.
    assert_eq!(
        replay(&dag, polls_cost, 2, Contention::NONE),
        100 + 500 + 100
    );
}

#[test]
fn a_task_that_was_woken_stays_with_the_worker_that_woke_it() {
    let mut recording = Recording::new("mn", 1);
    let [waker, woken] = ["waker", "woken"].map(|name| recording.task(name, None));
    recording.poll(0, woken, [0, 100], 0);
    recording.begin(100, 0, waker);
    recording.wake(200, 0, woken, waker.into(), 0);
    recording.end(600, 0, waker, 1);
    recording.poll(0, woken, [600, 700], 1);
    let dag = Dag::of(&recording.finish(700));
    // The first polls run side by side. The waker ends at 500, and the woken task comes after it.
    assert_eq!(replay(&dag, FREE, 2, Contention::NONE), 600);
}

#[test]
fn costs_come_from_a_run_alone_and_from_another_program() {
    let alone = parent(1000, &[[500, 100]]);
    let mut recording = Recording::new("mn", 2);
    let [root, first, second] = ["root", "first", "second"].map(|name| recording.task(name, None));
    recording.begin(0, 0, root);
    recording.spawn(100, 0, first);
    recording.spawn(110, 0, second);
    recording.park(1, [0, 140], 0);
    recording.event(150, 1, Kind::Steal, None, [0, 2]);
    recording.poll(1, first, [160, 300], 1);
    // It was stolen together with the first one, so it says nothing about the cost of a steal.
    recording.poll(1, second, [301, 310], 1);
    let third = recording.task("third", None);
    recording.spawn(320, 0, third);
    recording.event(330, 1, Kind::Steal, None, [0, 1]);
    recording.poll(1, third, [345, 400], 1);
    recording.park(1, [407, 500], 0);
    recording.end(600, 0, root, 1);
    let machine = HandOver {
        transfer_ns: 3,
        stream_ns: 2,
        waking_ns: 4,
        awake_after_ns: 5,
    };
    let found = Costs::of(&alone, &[recording.finish(600)], machine);
    assert_eq!(found.burden.sleeping_thread_ns, 5);
    assert_eq!(found.burden.other_thread_ns, 25);
    assert_eq!(found.burden.same_thread_ns, 0);
    assert_eq!(
        [
            found.awake_ns,
            found.transfer_ns,
            found.stream_ns,
            found.waking_ns
        ],
        [7, 3, 2, 4]
    );
}

#[test]
fn a_hand_over_takes_time_only_with_a_second_core() {
    let machine = HandOver::measured();
    let has_others = crate::environment::cores() > 1;
    assert_eq!(machine.transfer_ns > 0, has_others);
    assert_eq!(machine.awake_after_ns > 0, has_others);
}

#[test]
fn a_worker_whose_wake_ups_did_not_pay_wakes_nobody_for_short_work() {
    // Four times, a child of 100 that is spawned at the end of a poll, and is done long before a sleeper is awake.
    let mut recording = Recording::new("mn", 1);
    let root = recording.task("root", None);
    let mut now = 0;
    for _ in 0..4 {
        let child = recording.task("child", Some(root));
        recording.begin(now, 0, root);
        recording.spawn(now + 50, 0, child);
        recording.end(now + 50, 0, root, 0);
        recording.poll(0, child, [now + 50, now + 150], 1);
        recording.wake(now + 150, 0, root, child.into(), 0);
        now += 150;
    }
    recording.poll(0, root, [now, now], 1);
    let dag = Dag::of(&recording.finish(now));
    let each_wake_up_costs = |wake_delay_ns| {
        costs(|it| {
            it.burden.sleeping_thread_ns = 10;
            it.awake_ns = 0;
            it.waking_ns = 1000;
            it.wake_delay_ns = wake_delay_ns;
            it.guard_ns = 1_000_000;
        })
    };
    assert_eq!(
        replay(&dag, each_wake_up_costs(0), 1, Contention::NONE),
        600
    );
    assert_eq!(
        replay(&dag, each_wake_up_costs(0), 2, Contention::NONE),
        4600
    );
    // It pays for the first wake-up only: at the end of the first child it knows better.
    assert_eq!(
        replay(&dag, each_wake_up_costs(5000), 2, Contention::NONE),
        1600
    );
}

#[test]
fn the_monitor_wakes_a_sleeper_for_work_behind_a_long_poll() {
    let mut recording = Recording::new("mn", 1);
    let root = recording.task("root", None);
    let [short, long] = [(); 2].map(|()| recording.task("child", Some(root)));
    recording.begin(0, 0, root);
    recording.spawn(0, 0, short);
    recording.end(0, 0, root, 0);
    recording.poll(0, short, [0, 10], 1);
    recording.wake(10, 0, root, short.into(), 0);
    recording.begin(10, 0, root);
    recording.spawn(10, 0, long);
    recording.end(5010, 0, root, 1);
    recording.poll(0, long, [5010, 8010], 1);
    let dag = Dag::of(&recording.finish(8010));
    let costs = costs(|it| {
        it.burden.sleeping_thread_ns = 1;
        it.wake_delay_ns = 100;
        it.guard_ns = 400;
    });
    assert_eq!(replay(&dag, costs, 2, Contention::NONE), 5010);
    assert_eq!(replay(&dag, costs, 1, Contention::NONE), 8010);
}
