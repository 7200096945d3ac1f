//! How long small programs take on several workers, calculated by hand.

use super::recording::Recording;
use crate::analysis::contention::Contention;
use crate::analysis::dag::Dag;
use crate::analysis::predict::replay;
use crate::analysis::span::Burden;
use crate::analysis::span_command::keep_faster;
use crate::trace::Run;

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
