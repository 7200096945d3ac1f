//! `n1xP`: a loop on each of P threads.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use runtime_core::LaunchConfig;
use runtime_core::park::block_on_current_thread;
use runtime_n1::{Handle, Loop};

use super::{Loops, Share, Split};
use crate::vocabulary::{Failure, Params};
use crate::workloads::lost;

/// Loops on threads of this process.
pub struct ThreadLoops {
    threads: Vec<LoopThread>,
}

struct LoopThread {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl LoopThread {
    fn start(config: &LaunchConfig, number: usize) -> std::io::Result<Self> {
        let (started, has_started) = mpsc::channel();
        let reactor = config.reactor;
        let thread = thread::Builder::new().name(format!("loop-{number}"));
        let thread = thread.spawn(move || match Loop::builder().reactor(reactor).build() {
            Ok(event_loop) => {
                // Sending can't fail, because the starter waits for it.
                let _ = started.send(Ok(event_loop.handle().clone()));
                event_loop.run_forever();
            }
            Err(error) => drop(started.send(Err(error))),
        })?;
        let handle = has_started.recv().map_err(std::io::Error::other)??;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }
}

impl Drop for LoopThread {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Loops for ThreadLoops {
    fn start(config: &LaunchConfig) -> Result<Self, Failure> {
        let threads = (0..config.workers.max(1)).map(|number| LoopThread::start(config, number));
        Ok(Self {
            threads: threads
                .collect::<Result<_, _>>()
                .map_err(|error| Failure::Refused(format!("the loops did not start: {error}")))?,
        })
    }

    fn count(&self) -> usize {
        self.threads.len()
    }

    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }

    fn each<S: Split>(&self, params: &Params, plan: &S::Plan) -> Result<Vec<S::Part>, Failure> {
        let count = self.count();
        let parts: Vec<_> = self
            .threads
            .iter()
            .enumerate()
            .map(|(index, LoopThread { handle, .. })| {
                let share = Share {
                    index,
                    count,
                    params: params.clone(),
                };
                handle.spawn(S::part(handle.clone(), share, plan.clone()))
            })
            .collect();
        parts
            .into_iter()
            .map(|part| block_on_current_thread(part).map_err(lost)?)
            .collect()
    }
}
