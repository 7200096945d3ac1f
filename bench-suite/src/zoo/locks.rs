//! The lock of each runtime, behind one type: tokio's for tokio, async-lock's for smol, the lock that another crate
//! registers with its runtime, and ours for all others.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future behind `dyn`.
type Held<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The lock of a runtime that another crate registers, for the pathologies of `lab zoo` that are about locks:
/// [`RuntimeInfo::locked_by`](crate::registry::RuntimeInfo::locked_by).
pub trait RuntimeLock: Send + Sync {
    /// Waits for the lock, runs `held` to its end, and releases the lock.
    fn with<'a>(&'a self, held: Held<'a>) -> Held<'a>;
}

/// Creates a lock of a runtime.
pub type MakeLock = fn() -> Arc<dyn RuntimeLock>;

/// A fair lock without content. Clones share it.
#[derive(Clone)]
pub(crate) enum Lock {
    Ours(Arc<runtime_core::sync::Mutex<()>>),
    Tokio(Arc<tokio::sync::Mutex<()>>),
    Smol(Arc<async_lock::Mutex<()>>),
    Registered(Arc<dyn RuntimeLock>),
}

impl Lock {
    /// The lock that users of `runtime` use: the registered one, if there is one.
    pub(crate) fn of(runtime: &str, registered: Option<MakeLock>) -> Self {
        if let Some(make) = registered {
            return Self::Registered(make());
        }
        match runtime {
            "tokio-mt" | "tokio-ct" => Self::Tokio(Arc::default()),
            "smol" => Self::Smol(Arc::default()),
            _ => Self::Ours(Arc::new(runtime_core::sync::Mutex::new(()))),
        }
    }

    /// Waits for the lock, runs `held` to its end, and releases the lock.
    pub(crate) async fn with<T: Send>(&self, held: impl Future<Output = T> + Send) -> T {
        match self {
            Self::Ours(lock) => {
                let _guard = lock.lock().await;
                held.await
            }
            Self::Tokio(lock) => {
                let _guard = lock.lock().await;
                held.await
            }
            Self::Smol(lock) => {
                let _guard = lock.lock().await;
                held.await
            }
            Self::Registered(lock) => {
                let mut result = None;
                let held = async { result = Some(held.await) };
                lock.with(Box::pin(held)).await;
                result.expect("the lock runs what it is given to its end")
            }
        }
    }
}
