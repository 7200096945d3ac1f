//! `n1xProc`: one loop in each of P processes of the process pool.

use std::sync::atomic::{AtomicBool, Ordering};

use runtime_core::LaunchConfig;
use runtime_core::park::block_on_current_thread;
use runtime_core::reactor::ReactorKind;
use runtime_n1::Handle;
use runtime_n1::process_pool::{self, CallError, ProcessPool};

use super::{Loops, Share, Split, parts, servers};
use crate::vocabulary::{Failure, Params};

/// Set by [`serve_if_asked`] if this executable can run as a process of the pool.
static AVAILABLE: AtomicBool = AtomicBool::new(false);

/// In a process that was started for a loop, runs the loop and never returns. Otherwise makes [`ProcessLoops`]
/// available.
///
/// Call it once, at the very start of `main`.
pub fn serve_if_asked() {
    process_pool::init(|functions| {
        functions
            .add_async(part::<parts::Hash>)
            .add_async(part::<parts::MatMul>)
            .add_async(part::<parts::NQueens>)
            .add_async(part::<parts::Spawn>)
            .add_async(part::<parts::SpawnBatch>)
            .add_async(part::<parts::Yield>)
            .add_async(part::<parts::FibSpawn>)
            .add_async(part::<parts::SkynetSpawn>)
            .add_async(part::<parts::Timers>)
            .add_async(part::<parts::Ready>)
            .add_async(part::<servers::ListenEcho>)
            .add_async(part::<servers::ListenHttp>)
            .add_async(part::<servers::CpuBoundTasks>)
            .add_async(part::<servers::ComputedNs>);
    });
    // Relaxed is enough, because it is set before any reader starts.
    AVAILABLE.store(true, Ordering::Relaxed);
}

/// A part, as a process of the pool runs it.
async fn part<S: Split>((share, plan): (Share, S::Plan)) -> Result<S::Part, Failure> {
    S::part(Handle::current(), share, plan).await
}

/// Loops in separate processes.
pub struct ProcessLoops {
    pool: ProcessPool,
    ids: Vec<u32>,
}

impl Loops for ProcessLoops {
    fn start(config: &LaunchConfig) -> Result<Self, Failure> {
        if !AVAILABLE.load(Ordering::Relaxed) {
            return Err(Failure::Refused(
                "this program can't be started as its own child: its `main` must call `bench_suite::main` or \
                 `bench_suite::serve_if_asked`"
                    .to_owned(),
            ));
        }
        if config.reactor != ReactorKind::default() {
            return Err(Failure::Refused(format!(
                "the processes use the default reactor and not `{}`: leave it out",
                config.reactor
            )));
        }
        let refused = |error: &dyn std::fmt::Display| {
            Failure::Refused(format!("the processes did not start: {error}"))
        };
        let pool = ProcessPool::builder()
            .processes(config.workers.max(1))
            .build()
            .map_err(|error| refused(&error))?;
        let mut loops = Self {
            pool,
            ids: Vec::new(),
        };
        // Its answers show that all loops are ready.
        loops.each::<parts::Ready>(&Params::default(), &())?;
        loops.ids = loops.pool.ids();
        Ok(loops)
    }

    fn count(&self) -> usize {
        self.pool.processes()
    }

    fn processes(&self) -> Vec<u32> {
        self.ids.clone()
    }

    fn each<S: Split>(&self, params: &Params, plan: &S::Plan) -> Result<Vec<S::Part>, Failure> {
        let count = self.count();
        let calls = self.pool.call_on_each(part::<S>, |index| {
            let share = Share {
                index,
                count,
                params: params.clone(),
            };
            (share, plan.clone())
        });
        calls
            .into_iter()
            .map(|call| match block_on_current_thread(call) {
                Ok(outcome) => outcome,
                Err(CallError::StartFailed(why)) => Err(Failure::Refused(format!(
                    "the processes did not start: {why}"
                ))),
                Err(error) => Err(Failure::Crashed(error.to_string())),
            })
            .collect()
    }
}
