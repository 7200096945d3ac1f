//! The built-in policies, over views that consist of numbers only.

extern crate std;

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::fake::{FakeRemote, FakeWorker};
use crate::*;

fn rank(place: Place) -> u64 {
    match place {
        Place::Ranked(rank) => rank,
        other => panic!("{other:?} has no rank"),
    }
}

/// The order in which a ranked queue returns tasks with these tags, if one task arrives every `every_ns`.
fn order(policy: &impl Policy, tags: &[u32], every_ns: u64) -> Vec<u32> {
    let mut queue: Vec<_> = (0_u64..)
        .zip(tags)
        .map(|(number, &tag)| {
            let worker = FakeWorker {
                tag,
                now_ns: number * every_ns,
                ..FakeWorker::default()
            };
            (rank(policy.place_spawned(&worker.view())), number, tag)
        })
        .collect();
    queue.sort_unstable();
    queue.into_iter().map(|(_, _, tag)| tag).collect()
}

const MS: u64 = 1_000_000;

#[test]
fn priority_runs_higher_levels_first_and_equals_in_order() {
    assert_eq!(
        order(&Priority::default(), &[0, 3, 7, 3, 1], 1),
        [7, 3, 3, 1, 0]
    );
}

#[test]
fn priority_counts_a_task_that_waits_as_higher() {
    // Two levels are 20 ms: a task that arrives later than that after a task of level 1 is behind it.
    let policy = Priority::default();
    assert_eq!(order(&policy, &[1, 3], 20 * MS - 1), [3, 1]);
    assert_eq!(order(&policy, &[1, 3], 20 * MS), [1, 3]);
}

#[test]
fn priority_without_ageing_is_strict() {
    let policy = Priority {
        ageing: Duration::MAX,
        ..Priority::default()
    };
    let year_ns = 365 * 86_400_000 * MS;
    assert_eq!(order(&policy, &[0, 1, 7, 0, 3], year_ns), [7, 3, 1, 0, 0]);
}

#[test]
fn priority_takes_a_tag_that_is_out_of_range_for_the_highest_level() {
    let policy = Priority::default();
    assert_eq!(order(&policy, &[u32::MAX, 7, 8], 0), [u32::MAX, 7, 8]);
    for policy in [
        Priority {
            levels: 0,
            ageing: Duration::MAX,
        },
        Priority {
            levels: u32::MAX,
            ageing: Duration::MAX,
        },
    ] {
        // No overflow; with a single level, first come, first served.
        assert_eq!(order(&policy, &[0, 0], 1), [0, 0]);
    }
}

#[test]
fn deadline_runs_the_task_with_the_least_time_left_first() {
    // The third one comes 2 ms later, and still has less time left than the first.
    let policy = Deadline::default();
    assert_eq!(
        order(&policy, &[5_000, 9_000, 2_000], MS),
        [2_000, 5_000, 9_000]
    );
    // Tasks without a deadline have 100 ms.
    assert_eq!(
        order(&policy, &[0, 99_000, 101_000], 0),
        [99_000, 0, 101_000]
    );
}

/// Two nodes of two cores with one cache each; each core has two hardware threads.
fn two_nodes() -> FakeWorker {
    let cpu = |number| Cpu {
        number,
        core: number / 2,
        cache: number / 4,
        node: number / 4,
    };
    FakeWorker {
        worker: 1,
        workers: vec![FakeRemote::default(); 8],
        topology: Topology::new((0..8).map(cpu)),
        ..FakeWorker::default()
    }
}

#[test]
fn locality_tries_the_nearest_victim_first_and_each_victim_once() {
    let worker = two_nodes();
    let mut starts = Vec::new();
    for _ in 0..50 {
        let victims: Vec<_> = Locality
            .search(&worker.search_view())
            .filter_map(|attempt| match attempt {
                Attempt::Steal(victim) => Some(victim),
                _ => None,
            })
            .collect();
        assert_eq!(victims[0], 0, "its own core");
        let (mut near, mut far) = (victims[1..3].to_vec(), victims[3..].to_vec());
        near.sort_unstable();
        far.sort_unstable();
        assert_eq!((near, far), (vec![2, 3], vec![4, 5, 6, 7]));
        starts.push(victims[3]);
    }
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() > 1, "among equals it begins at a random one");
}

#[test]
fn locality_wakes_the_sleeper_nearest_to_the_waking_worker() {
    let mut worker = two_nodes();
    for sleeper in [7, 4, 3] {
        worker.workers[sleeper].sleeps = true;
    }
    assert_eq!(Locality.wake(&worker.sleeper_view()), Some(3));
    worker.workers[3].sleeps = false;
    assert_eq!(Locality.wake(&worker.sleeper_view()), Some(4));
}

#[test]
fn shed_pushes_new_tasks_of_a_busy_worker_to_an_idle_one() {
    let mut worker = FakeWorker::default();
    let place = |worker: &FakeWorker| Shed::default().place_spawned(&worker.view());
    worker.workers[0].queued = 1;
    assert_eq!(place(&worker), Place::Newest, "it is not busy");
    worker.workers[0].queued = 2;
    for busy in [1, 3] {
        worker.workers[busy].queued = 2;
    }
    assert_eq!(place(&worker), Place::Worker(2));
    worker.workers[2].queued = 9;
    assert_eq!(place(&worker), Place::Newest, "all are busy");
}

#[test]
fn shed_keeps_woken_tasks_on_their_worker() {
    let mut worker = FakeWorker::default();
    worker.workers[0].queued = 100;
    let place = |by| Shed::default().place_woken(&worker.view(), by);
    assert_eq!(place(WokenBy::Task), Place::Slot);
    assert_eq!(place(WokenBy::Itself), Place::Back);
    assert!(matches!(place(WokenBy::Driver), Place::Worker(1..=3)));
}

#[test]
fn a_thief_under_priority_steals_from_the_worker_with_the_most_urgent_task() {
    let mut worker = FakeWorker::default();
    worker.workers[1].ranks = vec![30, 20];
    worker.workers[3].ranks = vec![90, 10];
    let view = worker.search_view();
    let ranked = Priority::default().search(&view).nth(1);
    assert_eq!(ranked, Some(Attempt::StealRanked(3)));
    let ranked = Deadline::default().search(&view).nth(1);
    assert_eq!(ranked, Some(Attempt::StealRanked(3)));
}

/// For any view, a policy answers and names only workers that exist. Its search ends, and covers all other workers if
/// workers steal.
fn check(policy: impl Policy) -> &'static str {
    let (name, knobs) = (policy.name(), policy.knobs());
    assert!(knobs.injector_tick > 0 && knobs.poll_tick > 0, "{name}");
    for bits in 0..1_u32 << 10 {
        let bit = |number: u32| bits >> number & 1 == 1;
        let len = |number| if bit(number) { 300 } else { 0 };
        let mut worker = FakeWorker {
            tick: bits,
            slot: bit(0),
            spawned: len(1),
            woken: len(2),
            inbox: len(3),
            injected: len(4),
            tag: if bit(5) { u32::MAX } else { 0 },
            now_ns: if bit(6) { u64::MAX } else { 0 },
            ..FakeWorker::default()
        };
        worker.workers[0].queued = len(7);
        worker.workers[1].sleeps = bit(8);
        worker.workers[2].ranks = vec![u64::MAX; len(9)];
        let view = worker.view();
        let woken = [WokenBy::Task, WokenBy::Driver, WokenBy::Itself];
        let places = woken.map(|by| policy.place_woken(&view, by)).into_iter();
        for place in places.chain([policy.place_spawned(&view), policy.place_injected(&view)]) {
            assert!(!matches!(place, Place::Worker(4..)), "{name}: {place:?}");
        }
        if bits == 0 {
            assert!(matches!(
                policy.next(&view),
                None | Some(Source::Injected | Source::Ranked)
            ));
        }
        let view = worker.search_view();
        let attempts: Vec<_> = policy.search(&view).take(100).collect();
        assert!(attempts.len() < 30, "{name}: {attempts:?}");
        let looks_at = |attempt| attempts.contains(&attempt);
        assert!(looks_at(Attempt::Injected), "{name}");
        assert!(
            !policy.steals() || (1..4).all(|it| looks_at(Attempt::Steal(it))),
            "{name}"
        );
        let woken = policy.wake(&worker.sleeper_view());
        assert!(woken.is_none_or(|it| it == 1 && bit(8)), "{name}");
    }
    name
}

#[test]
fn every_policy_answers_in_every_state() {
    let names = [
        check(GoLike),
        check(TokioLike),
        check(GlobalQueue),
        check(NoSteal),
        check(RandomSteal),
        check(Priority::default()),
        check(Deadline::default()),
        check(Locality),
        check(Shed::default()),
    ];
    let unique: std::collections::HashSet<_> = names.into_iter().collect();
    assert_eq!(unique.len(), names.len());
}

/// Policies that implement `tells` or use `teller`, the former names, behave as before.
#[test]
fn former_names_of_methods_still_work() {
    struct Quiet;
    impl Policy for Quiet {
        fn name(&self) -> &'static str {
            "quiet"
        }
        fn tells(&self, _: Place) -> bool {
            false
        }
    }
    assert!(Place::KINDS.iter().all(|place| !Quiet.wakes_for(*place)));
    assert!(GoLike.wakes_for(Place::Back) && !GoLike.wakes_for(Place::Slot));
    let worker = FakeWorker::default();
    let view = worker.sleeper_view();
    #[allow(deprecated)]
    let former = view.teller();
    assert_eq!((former, view.waking_worker()), (Some(0), Some(0)));
}
