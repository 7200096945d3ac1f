//! Spans that follow a formula, under any schedule.

use super::programs::{self, Order, Program, pieces};
use super::recording::Recording;
use crate::analysis::contention::Contention;
use crate::analysis::critical_path::{by_site, critical_path};
use crate::analysis::dag::{Cause, Dag, EdgeKind};
use crate::analysis::predict::speed_up;
use crate::analysis::span::{Burden, Span, span_in_task_ends};
use crate::analysis::time_split::TimeSplit;
use crate::trace::Kind;

const SCHEDULES: [(usize, Order); 8] = [
    (1, Order::Newest),
    (1, Order::Oldest),
    (2, Order::Newest),
    (2, Order::Oldest),
    (3, Order::Random(1)),
    (3, Order::Random(2)),
    (8, Order::Newest),
    (64, Order::Oldest),
];

/// Asserts that the formula gives the program's work and span under every schedule.
fn assert_span(program: &Program, span_ns: u64) {
    for (workers, order) in SCHEDULES {
        let run = programs::run(program, workers, order, 70, true);
        let dag = Dag::of(&run);
        let span = Span::of(&dag);
        let schedule = format!("{workers} workers, {order:?}");
        assert_eq!(span.work_ns, program.work_ns(), "{schedule}");
        assert_eq!(span.span_ns, span_ns, "{schedule}");
        assert!(span.burdened_span_ns >= span.span_ns, "{schedule}");
        let path = critical_path(&dag);
        let on_path: u64 = path.iter().map(|step| step.work_ns + step.latency_ns).sum();
        assert_eq!(on_path, span_ns, "{schedule}");
        let shares: u64 = by_site(&dag, &run, &path).iter().map(|it| it.ns).sum();
        assert_eq!(shares, span_ns, "{schedule}");
    }
}

#[test]
fn the_span_of_fib_is_its_depth() {
    for n in [1, 2, 7, 12] {
        assert_span(&Program::fib(n, 1000), n * 1000);
    }
}

#[test]
fn the_span_of_skynet_is_a_spawn_of_all_children_for_each_level() {
    for levels in [1, 2, 3] {
        let expected = u64::from(levels) * (10 * 300 + 1000) + 1000;
        assert_span(&Program::skynet(levels, 300, 1000), expected);
    }
}

#[test]
fn the_span_of_nqueens_is_that_of_its_last_piece() {
    for queens in [6, 8] {
        let ends = pieces(queens)
            .into_iter()
            .zip(1..)
            .map(|(ns, nth)| nth * 500 + ns);
        let spawns = 500 * pieces(queens).len() as u64;
        let expected = ends.max().unwrap().max(spawns);
        assert_span(&Program::nqueens(queens, 500), expected);
    }
}

#[test]
fn in_begins_and_ends_of_tasks_the_span_is_the_shape_of_the_program() {
    for (workers, order) in SCHEDULES {
        let of = |program: &Program| {
            span_in_task_ends(&Dag::of(&programs::run(program, workers, order, 70, true)))
        };
        assert_eq!(of(&Program::fib(12, 1000)), 24);
        assert_eq!(of(&Program::skynet(3, 300, 1000)), 8);
        assert_eq!(of(&Program::nqueens(8, 500)), 4);
    }
}

#[test]
fn without_events_of_joins_they_are_inferred() {
    let program = Program::skynet(2, 300, 1000);
    for (workers, order) in SCHEDULES {
        let run = programs::run(&program, workers, order, 70, false);
        let dag = Dag::of(&run);
        let joins = run.events.kind.contains(&(Kind::Joined as u8));
        assert!(!joins && dag.joins_are_inferred);
        assert_eq!(Span::of(&dag).span_ns, 2 * (10 * 300 + 1000) + 1000);
        assert_eq!(span_in_task_ends(&dag), 6);
    }
}

/// 20 programs, from a pure chain to very wide ones.
fn twenty_programs() -> Vec<Program> {
    let fibs = (7..15).map(|n| Program::fib(n, 1000));
    let small_steps = (10..14).map(|n| Program::fib(n, 100));
    let trees = (1..4).flat_map(|levels| [30, 300].map(|ns| Program::skynet(levels, ns, 1000)));
    let boards = [7, 8].map(|queens| Program::nqueens(queens, 500));
    fibs.chain(small_steps).chain(trees).chain(boards).collect()
}

#[test]
fn the_speed_up_is_predicted_from_a_run_on_one_worker() {
    let switch_ns = 70;
    let programs = twenty_programs();
    assert_eq!(programs.len(), 20);
    for (number, program) in programs.iter().enumerate() {
        let run = |workers| programs::run(program, workers, Order::Newest, switch_ns, true);
        let alone = run(1);
        let dag = Dag::of(&alone);
        let burden = Burden::of(&dag);
        assert_eq!(burden.same_thread_ns, switch_ns);
        for workers in [1, 2, 4] {
            let measured = alone.wall_ns as f64 / run(workers).wall_ns as f64;
            let predicted = speed_up(&dag, burden, workers, Contention::NONE);
            let ratio = predicted / measured;
            assert!(
                (0.9..1.1).contains(&ratio),
                "program {number}, {workers} workers: {predicted} and {measured}"
            );
        }
    }
}

#[test]
fn waits_for_other_things_than_tasks_are_in_the_span_and_named() {
    let mut recording = Recording::new("n1", 1);
    let task = recording.task("ticker", None);
    recording.spawn(0, 0, task);
    recording.poll(0, task, [10, 30], 0);
    recording.wake(530, 0, task, -1, 1);
    recording.poll(0, task, [600, 640], 0);
    recording.wake(700, 0, task, -1, 2);
    recording.poll(0, task, [710, 720], 1);
    let run = recording.finish(800);
    let dag = Dag::of(&run);
    let span = Span::of(&dag);
    assert_eq!(span.work_ns, 20 + 40 + 10);
    // The time from the wake-up to the poll belongs to the scheduler.
    assert_eq!(span.span_ns, 20 + 500 + 40 + 60 + 10);
    let path = critical_path(&dag);
    let shares = by_site(&dag, &run, &path);
    let places: Vec<_> = shares.iter().map(|it| (it.place.as_str(), it.ns)).collect();
    assert_eq!(
        places,
        [
            ("(waiting for a timer)", 500),
            ("ticker", 70),
            ("(waiting for a socket)", 60),
        ]
    );
}

#[test]
fn time_off_the_cpu_does_not_count_as_work() {
    let mut recording = Recording::new("threads", 1);
    let task = recording.task("t", None);
    recording.poll(0, task, [0, 100], 1);
    recording.event(20, 0, Kind::OsSwitch, None, [0, -1]);
    recording.event(90, 0, Kind::OsSwitch, None, [1, -1]);
    let span = Span::of(&Dag::of(&recording.finish(100)));
    assert_eq!((span.work_ns, span.span_ns), (30, 30));
}

#[test]
fn a_wake_up_during_a_poll_is_seen_by_the_next_one() {
    let mut recording = Recording::new("mn", 2);
    let waiter = recording.task("waiter", None);
    let waker = recording.task("waker", None);
    recording.spawn(0, 0, waiter);
    recording.spawn(0, 0, waker);
    recording.begin(10, 0, waiter);
    recording.begin(10, 1, waker);
    recording.wake(50, 1, waiter, i64::from(waker), 0);
    recording.end(60, 0, waiter, 0);
    recording.poll(0, waiter, [61, 71], 1);
    recording.end(80, 1, waker, 1);
    let dag = Dag::of(&recording.finish(100));
    let strands: Vec<_> = dag.strands.iter().map(|it| it.task as u32).collect();
    assert_eq!(strands, [waiter, waker, waiter]);
    let kinds: Vec<_> = dag.edges_into(2).iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [EdgeKind::Wake, EdgeKind::Continue]);
    assert_eq!(dag.edges_into(2)[0].offset_ns, 40);
    assert_eq!(dag.strands[2].queued_ns, Some(60));
}

#[test]
fn a_poll_without_begin_and_end_spans_the_recording() {
    let mut recording = Recording::new("mn", 2);
    let root = recording.task("root", None);
    let child = recording.task("child", Some(root));
    recording.spawn(10, 0, child);
    recording.poll(1, child, [15, 25], 1);
    recording.event(40, 0, Kind::Joined, Some(root), [i64::from(child), -1]);
    let run = recording.finish(60);
    let dag = Dag::of(&run);
    let span = Span::of(&dag);
    assert_eq!((span.work_ns, span.span_ns), (60 + 10, 60));
    assert_eq!(span_in_task_ends(&dag), 3);
    let split = TimeSplit::of(&run);
    assert_eq!(split.running_ns, 60 + 10);
    assert_eq!(split.total_ns, 2 * 60);
}

#[test]
fn an_empty_trace_has_no_span() {
    let run = Recording::new("mn", 2).finish(5);
    let dag = Dag::of(&run);
    let span = Span::of(&dag);
    assert_eq!((span.work_ns, span.span_ns, span.tasks), (0, 0, 0));
    assert!(critical_path(&dag).is_empty());
    assert_eq!(speed_up(&dag, span.burden, 4, Contention::NONE), 1.0);
}

#[test]
fn a_job_that_is_waited_for_is_a_wait() {
    let mut recording = Recording::new("mn", 1);
    let task = recording.task("t", None);
    recording.poll(0, task, [0, 10], 0);
    recording.wake(110, 0, task, -1, 4);
    recording.poll(0, task, [120, 130], 1);
    let dag = Dag::of(&recording.finish(130));
    let kinds: Vec<_> = dag.edges_into(1).iter().map(|it| it.kind).collect();
    assert!(kinds.contains(&EdgeKind::Latency(Cause::Job)), "{kinds:?}");
    assert_eq!(Span::of(&dag).span_ns, 120);
}
