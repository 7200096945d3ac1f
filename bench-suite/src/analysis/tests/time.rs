//! Where the time went, in traces whose parts are known.

use super::programs::{self, Order, Program};
use super::recording::Recording;
use crate::analysis::dag::Dag;
use crate::analysis::time_split::TimeSplit;
use crate::analysis::waits::Waits;
use crate::trace::{Kind, Run, ThreadKind};

/// Worker 0 runs A from 100 to 400 and B from 410 to 450; B is due from 150 on. Worker 1 sleeps from 0 to 300, searches
/// until 340, and sleeps in the poller until 500.
fn two_workers() -> Run {
    let mut recording = Recording::new("mn", 2);
    let (a, b) = (recording.task("a", None), recording.task("b", None));
    recording.spawn(100, 0, a);
    recording.poll(0, a, [100, 400], 1);
    recording.spawn(150, 0, b);
    recording.poll(0, b, [410, 450], 1);
    recording.park(1, [0, 300], 0);
    recording.event(300, 1, Kind::Search, None, [-1; 2]);
    recording.event(340, 1, Kind::Park, None, [1, -1]);
    recording.park(0, [460, 500], 0);
    recording.finish(500)
}

#[test]
fn each_part_has_its_definition_and_all_add_up_to_the_whole() {
    let split = TimeSplit::of(&two_workers());
    let expected = TimeSplit {
        threads: 2,
        running_ns: 300 + 40,
        scheduling_ns: 10 + 10,
        searching_ns: 40,
        // Worker 1 from 150 to 300, and from 340 to 410.
        asleep_with_work_ns: 150 + 70,
        kernel_ns: 0,
        waiting_for_io_ns: 90,
        // Worker 0 before its first event and at its end, worker 1 before B was due.
        idle_ns: 100 + 40 + 150,
        total_ns: 2 * 500,
    };
    assert_eq!(split, expected);
    let sum: u64 = split.parts().iter().map(|(_, ns)| ns).sum();
    assert_eq!(sum, split.total_ns);
}

#[test]
fn waits_while_a_worker_slept_are_counted_by_task() {
    let run = two_workers();
    let waits = Waits::of(&Dag::of(&run), &run);
    assert_eq!(waits.total_ns, 260);
    assert_eq!((waits.longest_ns, waits.longest_task), (260, Some(1)));
    assert_eq!(waits.while_a_worker_slept_ns, 150 + 70);
    assert_eq!(waits.longest_while_a_worker_slept_ns, 150 + 70);
}

#[test]
fn the_parts_of_any_run_add_up() {
    let program = Program::skynet(2, 300, 1000);
    for workers in [1, 2, 7] {
        let run = programs::run(&program, workers, Order::Oldest, 70, true);
        let split = TimeSplit::of(&run);
        let sum: u64 = split.parts().iter().map(|(_, ns)| ns).sum();
        assert_eq!(sum, split.total_ns);
        assert_eq!(split.total_ns, workers as u64 * run.wall_ns);
        assert_eq!(split.running_ns, program.work_ns());
    }
}

#[test]
fn a_tasks_own_thread_counts_while_it_exists() {
    let mut recording = Recording::new("threads", 0);
    let thread = recording.thread(ThreadKind::Task);
    let task = recording.task("t", None);
    recording.poll(thread, task, [100, 150], 0);
    recording.park(thread, [160, 200], 1);
    // The kernel takes 5 ns to run it.
    recording.wake(195, thread, task, -1, 2);
    recording.event(215, thread, Kind::OsSwitch, None, [0, -1]);
    recording.event(225, thread, Kind::OsSwitch, None, [1, -1]);
    recording.poll(thread, task, [210, 230], 1);
    let split = TimeSplit::of(&recording.finish(1000));
    let expected = TimeSplit {
        threads: 1,
        running_ns: 50 + 10,
        scheduling_ns: 10 + 10,
        kernel_ns: 5 + 10,
        waiting_for_io_ns: 35,
        total_ns: 130,
        ..TimeSplit::default()
    };
    assert_eq!(split, expected);
}
