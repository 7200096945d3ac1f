//! The `lab` command with your own scheduling policy:
//! `cargo run --release -p docs --example my_policy -- compare spawn --runtime mn,mine`.
// ANCHOR: lab
mod fuller_of_two;

use std::process::ExitCode;

use bench_suite::launcher::Reactor;
use bench_suite::registry::{RunFn, RuntimeInfo};
use bench_suite::workloads::fib::FibSpawn;
use bench_suite::workloads::spawn::{Spawn, SpawnBatch};
use bench_suite::workloads::under;
use bench_suite::{Entry, Registry};
use runtime_mn::MnWith;

use fuller_of_two::FullerOfTwo;

type Mine = MnWith<FullerOfTwo>;

fn main() -> ExitCode {
    let mut registry = Registry::standard();
    let info = RuntimeInfo::new(
        "mine",
        "M:N, and a thief steals from the fuller of two victims",
    );
    registry
        .runtimes
        .push(info.launched_by::<Mine>(Reactor::Chosen));
    let workloads: [(_, RunFn); 3] = [
        ("spawn", under::<Mine, Spawn>),
        ("spawn-batch", under::<Mine, SpawnBatch>),
        ("fib-spawn", under::<Mine, FibSpawn>),
    ];
    for (workload, run) in workloads {
        let runtime = "mine";
        registry.entries.push(Entry {
            workload,
            runtime,
            run,
        });
    }
    bench_suite::main(registry)
}
// ANCHOR_END: lab

// ANCHOR: conformance
#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::time::Duration;

    use runtime_core::testing::Subject;
    use runtime_mn::{Handle, Runtime};

    struct Mine(Runtime);

    impl Subject for Mine {
        type Runtime = Handle;

        fn start() -> Self {
            let builder = Runtime::builder().workers(3);
            Self(builder.build_with(super::FullerOfTwo).expect("a runtime"))
        }
        fn handle(&self) -> Handle {
            self.0.handle().clone()
        }
        fn run<F>(&self, root: F) -> F::Output
        where
            F: Future + Send + 'static,
            F::Output: Send + 'static,
        {
            self.0.block_on(root)
        }
        fn block_on<F>(runtime: &Handle, future: F) -> F::Output
        where
            F: Future + Send + 'static,
            F::Output: Send + 'static,
        {
            runtime.block_on(future)
        }
        fn shutdown(self, timeout: Duration) -> Vec<String> {
            self.0.shutdown(timeout)
        }
    }

    runtime_core::conformance!(Mine);
}
// ANCHOR_END: conformance
