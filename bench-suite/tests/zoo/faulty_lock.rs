//! The lock of the faulty runtime: ours, unless the environment names a pathology about locks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bench_suite::registry::RuntimeLock;
use runtime_core::sync::Mutex;
use runtime_core::yield_now;

use crate::faulty::has;

/// How often the lock refuses a waiter and immediately wakes it again.
const REFUSALS: usize = 30;

type Held<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

struct FaultyLock(Mutex<()>);

pub(crate) fn make() -> Arc<dyn RuntimeLock> {
    Arc::new(FaultyLock(Mutex::new(())))
}

impl RuntimeLock for FaultyLock {
    fn with<'a>(&'a self, held: Held<'a>) -> Held<'a> {
        Box::pin(async move {
            if has("futures-unordered") {
                for _ in 0..REFUSALS {
                    yield_now().await;
                }
            }
            let guard = self.0.lock().await;
            held.await;
            drop(guard);
            if has("mutex-convoy") {
                // As if the lock were handed to a sleeping thread, and this one waited for its turn.
                thread::sleep(Duration::from_nanos(1));
            }
        })
    }
}
