//! The lock that goes with a runtime, behind one type: ours, tokio's with tokio, async-lock's with smol.

use std::sync::Arc;

/// A fair lock around nothing. Clones share it.
#[derive(Clone)]
pub(crate) enum Lock {
    Ours(Arc<runtime_core::sync::Mutex<()>>),
    Tokio(Arc<tokio::sync::Mutex<()>>),
    Smol(Arc<async_lock::Mutex<()>>),
}

impl Lock {
    /// The one that the users of `runtime` use.
    pub(crate) fn of(runtime: &str) -> Self {
        match runtime {
            "tokio-mt" | "tokio-ct" => Self::Tokio(Arc::default()),
            "smol" => Self::Smol(Arc::default()),
            _ => Self::Ours(Arc::new(runtime_core::sync::Mutex::new(()))),
        }
    }

    /// Waits for the lock, runs `held` to its end while holding it, and lets it go.
    pub(crate) async fn with<T>(&self, held: impl Future<Output = T>) -> T {
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
        }
    }
}
