//! `mutex-contended` as green tasks.

use std::marker::PhantomData;
use std::sync::Arc;

use runtime_core::green::sync::Mutex;
use runtime_core::{Runtime, green};

use super::style::Style;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::mutex_contended::MutexContended;
use crate::workloads::primitives::Synchronised;
use crate::workloads::{Program, check, lost};

pub(super) struct MutexTwin<S>(PhantomData<S>);

impl<S: Style> Program for MutexTwin<S> {
    const INFO: Workload = MutexContended::INFO;

    async fn run<R: Runtime>(_: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let (each, tasks) = (params.value("size"), params.value("tasks"));
        let held = params.value("held");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let mutex = Arc::new(Mutex::new(0_u64));
            let running: Vec<_> = (0..tasks)
                .map(|_| {
                    let mutex = Arc::clone(&mutex);
                    S::spawn(move || {
                        for _ in 0..each {
                            let mut guard = mutex.wait_lock();
                            for _ in 0..held {
                                green::yield_now();
                            }
                            *guard += 1;
                        }
                    })
                })
                .collect();
            for task in running {
                task.await.map_err(lost)?;
            }
            repetitions.done(meter, each * tasks);
            let locks = *mutex.lock().await;
            check("the number of locks", locks, each * tasks)?;
        }
        Ok(())
    }
}
