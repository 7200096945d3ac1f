//! The correct answer of each workload. The lab checks it independently, so a peer that only claims to have done the
//! work gets no figure.

use crate::vocabulary::{Failure, Params};
use crate::workloads::fib::{fib, forks};
use crate::workloads::skynet::{CHILDREN, nodes};
use crate::workloads::spawn::sum_below;

use super::conversation::Done;

/// How the lab measures a workload under a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Whether a first repetition is made that does not count.
    pub(super) warms_up: bool,
    /// Whether one order can cover several repetitions.
    pub(super) repeats: bool,
}

/// Whether the workload measures the memory of waiting tasks.
pub(super) fn is_idle(workload: &str) -> bool {
    workload == "idle" || workload.starts_with("idle-")
}

/// How to measure `workload`.
pub(super) fn kind(workload: &str) -> Kind {
    Kind {
        // A repeated run would reuse memory.
        warms_up: !is_idle(workload),
        // For these two the lab must look at the results between repetitions, or they take long by themselves.
        repeats: !is_idle(workload) && !matches!(workload, "timers" | "download"),
    }
}

/// Ops and answer of one repetition; `None` for a workload that peers don't have.
pub(super) fn expected(params: &Params) -> Option<(u64, u64)> {
    let value = |name| params.value(name);
    Some(match params.workload.as_str() {
        "spawn" | "spawn-batch" => (value("size"), sum_below(value("size"))),
        "yield" => {
            let yields = value("size") * value("yields");
            (yields, yields)
        }
        // The sum of all answers to 0, 1, ...
        "pingpong" => (value("size"), sum_below(value("size") + 1)),
        "skynet-spawn" => {
            let levels = value("size") as u32;
            (nodes(levels), sum_below(CHILDREN.pow(levels)))
        }
        "fib-spawn" => (forks(value("size")), fib(value("size"))),
        // The sum of the items' numbers.
        "mpmc" if value("alone") == 1 => (value("size"), sum_below(value("size"))),
        "mpmc" => {
            let (each, producers) = (value("size"), value("producers"));
            (each * producers, sum_below(each) * producers)
        }
        "mutex-contended" => {
            let locks = value("size") * value("tasks");
            (locks, locks)
        }
        "timers" | "idle" | "idle-timer" | "idle-socket" | "idle-stack" => {
            (value("size"), value("size"))
        }
        _ => return None,
    })
}

/// Checks ops and answer.
pub(super) fn check(
    done: &Done,
    (ops, answer): (u64, u64),
    repetitions: u64,
) -> Result<(), Failure> {
    let wrong = |what, said, right| {
        let why = format!("{what} is {said} but should be {right}");
        Err(Failure::WrongAnswer(why))
    };
    let (ops, answer) = (
        u128::from(ops) * u128::from(repetitions),
        u128::from(answer) * u128::from(repetitions),
    );
    if u128::from(done.answer) != answer {
        return wrong("the answer", u128::from(done.answer), answer);
    }
    if u128::from(done.ops) != ops {
        return wrong("the number of operations", u128::from(done.ops), ops);
    }
    Ok(())
}
