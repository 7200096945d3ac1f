//! The registry under test: workloads that behave, and workloads that crash, hang, lie, print and refuse.

use std::path::Path;
use std::process::Command;

use bench_suite::measure::Latency;
use bench_suite::registry::{Group, Mode, Parameter, RuntimeInfo, Workload};
use bench_suite::workloads::{Program, under};
use bench_suite::{Entry, Failure, Meter, Params, Registry};
use runtime_core::Runtime;
use rustix::process::Signal;

use crate::chooser::Chooser;
use crate::leaky;
use crate::loaded::{LOADED, serves};

const SIZE: Parameter = Parameter {
    name: "size",
    about: "numbers to add up",
    default: 20_000,
    min: 1,
    max: 1_000_000,
};

const fn workload(name: &'static str) -> Workload {
    Workload {
        name,
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "adds numbers up",
        op: "one addition",
        parameters: const { &[SIZE] },
        metric: "wall_ns_per_op",
    }
}

pub(crate) fn registry() -> Registry {
    let runtime = |name| RuntimeInfo::new(name, "a test's");
    let entry = |workload, runtime, run| Entry {
        workload,
        runtime,
        run,
    };
    Registry {
        workloads: ["sum", "faulty", "prints"]
            .map(workload)
            .into_iter()
            .chain([LOADED])
            .collect(),
        runtimes: [
            "plain", "double", "crashes", "dies", "hangs", "lies", "missing",
        ]
        .map(runtime)
        .into_iter()
        .chain([Chooser::INFO])
        .chain(leaky::RUNTIMES)
        .collect(),
        entries: vec![
            entry("sum", "plain", |params, meter| sum(params, meter, 1)),
            entry("sum", "chooser", under::<Chooser, Sum>),
            entry("sum", "double", |params, meter| sum(params, meter, 2)),
            entry("faulty", "plain", |params, meter| sum(params, meter, 1)),
            entry("faulty", "crashes", |_, _| {
                panic!("on purpose\nwith a second line")
            }),
            entry("faulty", "dies", |_, _| {
                let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
                Ok(())
            }),
            entry("faulty", "hangs", |_, _| hang()),
            entry("faulty", "lies", |_, meter| {
                meter.repeat(0, |_| {
                    Err(Failure::WrongAnswer("sum 41, expected 42".into()))
                })
            }),
            entry("faulty", "missing", |_, _| {
                Err(Failure::NotInstalled(
                    "its toolchain; apt install missing".into(),
                ))
            }),
            entry("loaded", "plain", |params, meter| {
                serves(params, meter, 2000)
            }),
            entry("loaded", "double", |params, meter| {
                serves(params, meter, 1000)
            }),
            entry("loaded", "crashes", |_, _| panic!("on purpose")),
            entry("prints", "plain", |params, meter| {
                println!("{{\"type\":\"failure\"}}");
                sum(params, meter, 1)
            }),
        ],
    }
}

pub(crate) fn sum(params: &Params, meter: &mut Meter, times: u64) -> Result<(), Failure> {
    let size = params.value("size");
    meter.repeat(params.budget_ns.min(3_000_000), |_| {
        for _ in 0..times {
            let sum: u64 = (1..=size).map(std::hint::black_box).sum();
            if sum != size * (size + 1) / 2 {
                return Err(Failure::WrongAnswer(format!("sum {sum}")));
            }
        }
        Ok(size)
    })
}

/// Hangs, together with a process in its group, and prints their ids.
fn hang() -> Result<(), Failure> {
    let grandchild = Command::new("sleep")
        .arg("1000")
        .spawn()
        .map_err(|error| Failure::Crashed(error.to_string()))?;
    if let Some(path) = std::env::var_os("LAB_TEST_PIDS") {
        let text = format!("{} {}", std::process::id(), grandchild.id());
        bench_suite::results::write_whole(Path::new(&path), text.as_bytes())
            .map_err(|error| Failure::Crashed(error.to_string()))?;
    }
    loop {
        std::thread::park();
    }
}

/// `sum` as a task. One policy of the chooser multiplies the work by four.
struct Sum;

impl Program for Sum {
    const INFO: Workload = workload("sum");

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        rt.yield_now().await;
        let thorough = params.policy.as_deref() == Some("thorough");
        // The effect of sharing: without it, the work is done eight times.
        let alone = params.without.contains("sharing");
        // Figures for the matrix: of a scheduler that steals, and of requests.
        meter.extra.insert("steals_done", 3.0);
        meter.extra.insert("unparks", 2.0);
        let mut latencies = Latency::histogram();
        latencies.saturating_record(if alone { 8000 } else { 1000 });
        meter.record_latency(&latencies);
        let times = if thorough { 4 } else { 1 } * if alone { 8 } else { 1 };
        sum(params, meter, times)
    }
}
