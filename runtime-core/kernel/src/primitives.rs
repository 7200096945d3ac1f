//! One facade over the atomics, cells, locks, thread-locals, threads and clock that the protocols use: `std` in a
//! build, `loom` under `--cfg lab_loom`, `shuttle` under `--cfg lab_shuttle`.
//!
//! The cfgs are our own because `--cfg loom` itself changes tokio and concurrent-queue among the dependencies.
//!
//! Under both, all threads of a test are coroutines on one system thread. Thread-local data must therefore be a
//! thread-local of this facade, and a lock that is held across one of its operations must be a lock of this facade:
//! any other lock would stop all threads.
#![allow(missing_docs, unused_imports)]

#[cfg(lab_loom)]
mod condvar_of_loom;
#[cfg(all(lab_shuttle, not(lab_loom)))]
mod condvar_of_shuttle;
#[cfg(any(lab_loom, lab_shuttle))]
mod locks;
#[cfg(all(lab_shuttle, not(lab_loom)))]
pub mod mock_clock;
pub mod real_locks;
#[cfg(all(lab_shuttle, not(lab_loom)))]
mod switching;
#[cfg(any(lab_loom, lab_shuttle))]
mod thread_locals;

#[cfg(not(any(lab_loom, lab_shuttle)))]
mod imp {
    pub use super::real_locks::{Condvar, Mutex, MutexGuard};
    pub use std::hint::spin_loop;
    pub use std::sync::Arc;
    pub use std::sync::atomic;
    pub use std::thread;
    pub use std::thread_local;

    /// The system's clock. Code that compares instants calls this, so that a model's time can replace it.
    #[inline(always)]
    pub fn now() -> std::time::Instant {
        std::time::Instant::now()
    }

    /// `std::cell::UnsafeCell` behind loom's closure-based interface, so that loom can watch each access.
    #[derive(Debug)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }
        /// Only read through the pointer, and only while `f` runs.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }
        /// Nobody else may use the pointer while `f` runs.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }
}

#[cfg(lab_loom)]
mod imp {
    pub use super::condvar_of_loom::Condvar;
    pub use super::locks::{Mutex, MutexGuard};
    pub use super::thread_locals::LocalKey;
    pub use crate::__model_thread_local as thread_local;
    pub use loom::cell::UnsafeCell;
    pub use loom::hint::spin_loop;
    pub use loom::sync::Arc;
    pub use loom::sync::atomic;
    pub use loom::thread;

    pub fn now() -> std::time::Instant {
        std::time::Instant::now()
    }
}

#[cfg(all(lab_shuttle, not(lab_loom)))]
mod imp {
    pub use super::condvar_of_shuttle::Condvar;
    pub use super::locks::{Mutex, MutexGuard};
    pub use super::mock_clock::now;
    pub use super::switching::{atomic, scheduling_point};
    pub use super::thread_locals::LocalKey;
    pub use crate::__model_thread_local as thread_local;
    pub use shuttle::hint::spin_loop;
    pub use shuttle::sync::Arc;
    pub use shuttle::thread;

    /// loom's closure-based interface over the standard cell.
    #[derive(Debug)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);
    impl<T> UnsafeCell<T> {
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }
}

pub use imp::*;
