//! One facade over the atomics, cells, locks, thread-locals and threads that the protocols are written with: `std` in
//! a build, `loom` under `--cfg lab_loom`, `shuttle` under `--cfg lab_shuttle`.
//!
//! The cfgs are our own because `--cfg loom` itself changes tokio and concurrent-queue among the dependencies.
//!
//! Under both, all threads of a test are coroutines on one thread of the system. So whatever is a thread's own has to
//! be a thread-local of this facade, and whatever is held across one of its operations a lock of this facade: any
//! other lock would stop them all.
#![allow(missing_docs, unused_imports)]

#[cfg(any(lab_loom, lab_shuttle))]
mod locks;
#[cfg(all(lab_shuttle, not(lab_loom)))]
mod switching;
#[cfg(any(lab_loom, lab_shuttle))]
mod thread_locals;

#[cfg(not(any(lab_loom, lab_shuttle)))]
mod imp {
    pub use parking_lot::{Condvar, Mutex, MutexGuard};
    pub use std::hint::spin_loop;
    pub use std::sync::Arc;
    pub use std::sync::atomic;
    pub use std::thread;
    pub use std::thread_local;

    /// `std::cell::UnsafeCell` behind loom's closure-based interface, so that loom can watch each access.
    #[derive(Debug)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }
        /// The pointer is to be read only, and for no longer than `f` runs.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }
        /// The pointer is to be used by no one else while `f` runs.
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
    pub use super::locks::{Condvar, Mutex, MutexGuard};
    pub use super::thread_locals::LocalKey;
    pub use crate::__model_thread_local as thread_local;
    pub use loom::cell::UnsafeCell;
    pub use loom::hint::spin_loop;
    pub use loom::sync::Arc;
    pub use loom::sync::atomic;
    pub use loom::thread;
}

#[cfg(all(lab_shuttle, not(lab_loom)))]
mod imp {
    pub use super::locks::{Condvar, Mutex, MutexGuard};
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
