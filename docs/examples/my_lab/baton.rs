//! Your own workload: tasks in a ring pass on a number.

// ANCHOR: workload
use bench_suite::registry::{Group, Mode, Parameter, Workload};
use bench_suite::repetitions::Repetitions;
use bench_suite::workloads::Program;
use bench_suite::{Failure, Meter, Params};
use runtime_core::{ChannelReceiver, ChannelSender, Runtime};

/// Tasks in a ring pass on a number, and each adds one. Exactly one task has something to do at any time.
pub(crate) struct Baton;

impl Program for Baton {
    const INFO: Workload = Workload {
        name: "baton",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "tasks in a ring pass a number on: wake-ups, with nothing to do in parallel",
        op: "one hop from a task to the next",
        parameters: &[Parameter {
            name: "size",
            about: "tasks in the ring",
            default: 1000,
            min: 1,
            max: 1_000_000,
        }],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let arrived = once_round(&rt, tasks).await;
            if arrived != Some(tasks) {
                let what = format!("the number arrived as {arrived:?} but should be {tasks}");
                return Err(Failure::WrongAnswer(what));
            }
            repetitions.done(meter, tasks);
        }
        Ok(())
    }
}

/// Sends 0 into a chain of `tasks` tasks, and returns the number from its end.
async fn once_round<R: Runtime>(rt: &R, tasks: u64) -> Option<u64> {
    let (first, mut last) = rt.channel(1);
    for _ in 0..tasks {
        let (sender, next) = rt.channel(1);
        let mut receiver = std::mem::replace(&mut last, next);
        drop(rt.spawn(async move {
            if let Some(number) = receiver.recv().await {
                // An error means that nothing waits for it any more.
                let _ = sender.send(number + 1_u64).await;
            }
        }));
    }
    first.send(0).await.ok()?;
    last.recv().await
}
// ANCHOR_END: workload

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bench_suite::workloads::under;
    use bench_suite::{Meter, Params};

    use super::Baton;

    #[test]
    fn the_workload_checks_and_measures_itself_under_all_three() {
        let params = Params {
            workers: 2,
            budget_ns: 1_000_000,
            values: BTreeMap::from([("size".to_owned(), 20)]),
            ..Params::default()
        };
        for run in [
            under::<runtime_n1::N1, Baton>,
            under::<runtime_mn::Mn, Baton>,
            under::<runtime_threads::Threads, Baton>,
        ] {
            let mut meter = Meter::default();
            assert_eq!(run(&params, &mut meter), Ok(()));
            assert!(meter.samples.iter().all(|sample| sample.ops >= 20));
            assert!(!meter.samples.is_empty());
        }
    }
}
