//! Parts that are left out at run time.

use std::io;
use std::thread;

use runtime_core::time::Clock;
use runtime_core::{ForkJoin, Launch, LaunchConfig, Runtime as _, spawn, yield_now};
use runtime_mn::{Builder, Mn, Runtime, block_in_place};

/// Tasks that spawn, yield and are awaited.
async fn program() -> u64 {
    let tasks: Vec<_> = (0..200_u64)
        .map(|number| {
            spawn(async move {
                yield_now().await;
                number
            })
        })
        .collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    sum
}

fn names() -> Vec<&'static str> {
    Mn::PARTS.iter().map(|part| part.name).collect()
}

#[test]
fn a_program_runs_without_any_one_part_and_without_all() {
    for part in names() {
        let builder = Runtime::builder().workers(2).without(part).unwrap();
        assert_eq!(
            builder.build().unwrap().block_on(program()),
            19_900,
            "{part}"
        );
    }
    let plain = Builder::plain().workers(2).build().unwrap();
    assert_eq!(plain.block_on(program()), 19_900);
}

#[test]
fn an_unknown_part_is_an_error_that_names_the_parts() {
    let error = Builder::new().without("wake-throtling").unwrap_err();
    assert!(error.contains("`wake-throtling`"), "{error}");
    assert_eq!(names().len(), 11);
    for part in names() {
        assert!(error.contains(part), "{error}");
    }
    let mut config = LaunchConfig::default();
    config.without.insert("wake-throtling".into());
    let refused = Mn::run(&config, |_| async {}).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("wake-throttling"), "{refused}");
}

#[test]
fn a_launch_leaves_out_the_parts_that_its_configuration_names() {
    let counts = |without: &str| {
        let mut config = LaunchConfig::default();
        config.workers = 2;
        config.without.insert(without.into());
        let counted = Mn::run(&config, |rt| async move { rt.metrics().polls });
        counted.unwrap().is_some()
    };
    assert!(counts("histograms"));
    assert!(!counts("counters"));
}

#[test]
fn the_plain_scheduler_counts_nothing_and_hands_nothing_off() {
    let plain = Builder::plain().workers(2).build().unwrap();
    plain.block_on(program());
    let metrics = plain.handle().metrics();
    assert_eq!((metrics.polls, metrics.live_tasks), (None, None));
    assert!(metrics.workers.is_empty());
    assert!(metrics.poll_time.is_none());
    assert_eq!(metrics.hand_offs, Some(0));
}

#[test]
fn without_fork_join_closures_run_in_order_on_the_calling_thread() {
    let runtime = Runtime::builder().workers(2).without("fork-join").unwrap();
    let fork_join = runtime.build().unwrap().handle().fork_join();
    let here = || thread::current().id();
    let (one, two) = fork_join.join(here, here);
    assert_eq!((one, two), (here(), here()));
}

#[test]
fn without_simulated_time_a_simulated_clock_is_unsupported() {
    let builder = Runtime::builder().without("simulated-time").unwrap();
    let refused = builder.clock(Clock::simulated()).build().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    assert!(refused.to_string().contains("simulated-time"), "{refused}");
}

#[test]
fn without_a_monitor_a_task_may_still_block_in_place() {
    let runtime = Runtime::builder().workers(1).without("monitor").unwrap();
    let runtime = runtime.build().unwrap();
    let (sum, blocked) = runtime.block_on(async {
        let other = spawn(program());
        let blocked = block_in_place(|| 7);
        (other.await.unwrap(), blocked)
    });
    assert_eq!((sum, blocked), (19_900, 7));
    assert_eq!(runtime.handle().metrics().hand_offs, Some(0));
}

/// The names that these knobs had before there were parts.
#[test]
fn former_names_of_knobs_are_understood() {
    for (name, value) in [
        ("patience", "0"),
        ("socket-help", "never"),
        ("batch-nice", "3"),
    ] {
        assert!(Builder::new().knob(name, value).is_ok(), "{name}");
    }
    let error = Builder::new().knob("spin", "1").unwrap_err();
    assert!(error.contains("`spin`"), "{error}");
}
