//! The life of a single task on one thread; under loom, every interleaving of two.
#![allow(unsafe_code)]

#[cfg(lab_loom)]
mod loom_tests;
#[cfg(not(lab_loom))]
mod panicking;
#[cfg(not(lab_loom))]
mod single;
#[cfg(not(lab_loom))]
mod soundness;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::primitives::Mutex;

/// A scheduler that only queues.
pub(in crate::task) struct Queue(Mutex<VecDeque<Task>>);

// SAFETY: memory is from the default methods.
unsafe impl Schedule for Queue {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.0.lock().push_back(task);
    }
}

pub(in crate::task) fn queue() -> SchedulerArc<Queue> {
    SchedulerArc::new(Queue(Mutex::new(VecDeque::new())))
}

impl Queue {
    pub(in crate::task) fn pop(&self) -> Option<Task> {
        self.0.lock().pop_front()
    }
    fn run_all(&self) {
        while let Some(task) = self.pop() {
            if let Ran::Woken(task) | Ran::Yielded(task) = task.run() {
                self.0.lock().push_back(task);
            }
        }
    }
}

/// Counts how often it was dropped.
struct Probe(StdArc<AtomicUsize>);
impl Drop for Probe {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<T>(handle: &mut JoinHandle<T>) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()))
}
