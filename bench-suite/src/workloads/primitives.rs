//! The synchronisation primitives of each runtime, behind one trait. This is the counterpart of [`Runtime`] for
//! workloads that measure locks and queues.
//!
//! All of them work under any executor. They are paired as users pair them: ours with our runtimes, tokio's with tokio,
//! async-lock and async-channel with smol.

use std::future::Future;
use std::marker::PhantomData;
use std::ops::DerefMut;
use std::sync::Arc;

use runtime_core::Runtime;
use runtime_core::sync;

use super::Program;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Params, Workload};

/// A lock, a semaphore and a bounded multi-producer, multi-consumer queue, all of numbers.
pub trait Primitives: Send + 'static {
    /// A lock around a number.
    type Mutex: Send + Sync + 'static;
    /// A guard that holds it.
    type Guard<'a>: DerefMut<Target = u64> + Send;
    /// A counting semaphore.
    type Semaphore: Send + Sync + 'static;
    /// One of its permits.
    type Permit<'a>: Send;
    /// A bounded queue. Clones share it.
    type Queue: Clone + Send + Sync + 'static;

    /// An unlocked lock around 0.
    fn mutex() -> Self::Mutex;

    /// Waits for the lock.
    fn lock(mutex: &Self::Mutex) -> impl Future<Output = Self::Guard<'_>> + Send;

    /// A semaphore with that many permits.
    fn semaphore(permits: usize) -> Self::Semaphore;

    /// Waits for a permit.
    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = Self::Permit<'_>> + Send;

    /// An empty queue for that many numbers.
    fn queue(capacity: usize) -> Self::Queue;

    /// Waits for room; false if the queue is closed.
    fn put(queue: &Self::Queue, number: u64) -> impl Future<Output = bool> + Send;

    /// Waits for a number; `None` if the queue is closed and empty.
    fn get(queue: &Self::Queue) -> impl Future<Output = Option<u64>> + Send;

    /// Closes the queue.
    fn close(queue: &Self::Queue);
}

/// The primitives of `runtime_core::sync`.
#[derive(Debug)]
pub struct Ours;

impl Primitives for Ours {
    type Mutex = sync::Mutex<u64>;
    type Guard<'a> = sync::MutexGuard<'a, u64>;
    type Semaphore = sync::Semaphore;
    type Permit<'a> = sync::Permit<'a>;
    type Queue = Arc<sync::Queue<u64>>;

    fn mutex() -> Self::Mutex {
        sync::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = Self::Guard<'_>> + Send {
        mutex.lock()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        sync::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect("never closed")
    }

    fn queue(capacity: usize) -> Self::Queue {
        Arc::new(sync::Queue::new(capacity))
    }

    async fn put(queue: &Self::Queue, number: u64) -> bool {
        queue.put(number).await.is_ok()
    }

    fn get(queue: &Self::Queue) -> impl Future<Output = Option<u64>> + Send {
        queue.get()
    }

    fn close(queue: &Self::Queue) {
        queue.close();
    }
}

/// The primitives of `tokio::sync`, which has no queue for several consumers. Its users take async-channel for that.
#[derive(Debug)]
pub struct Tokios;

impl Primitives for Tokios {
    type Mutex = tokio::sync::Mutex<u64>;
    type Guard<'a> = tokio::sync::MutexGuard<'a, u64>;
    type Semaphore = tokio::sync::Semaphore;
    type Permit<'a> = tokio::sync::SemaphorePermit<'a>;
    type Queue = AsyncChannel;

    fn mutex() -> Self::Mutex {
        tokio::sync::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = Self::Guard<'_>> + Send {
        mutex.lock()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        tokio::sync::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect("never closed")
    }

    fn queue(capacity: usize) -> Self::Queue {
        AsyncChannel::new(capacity)
    }

    fn put(queue: &Self::Queue, number: u64) -> impl Future<Output = bool> + Send {
        queue.put(number)
    }

    fn get(queue: &Self::Queue) -> impl Future<Output = Option<u64>> + Send {
        queue.get()
    }

    fn close(queue: &Self::Queue) {
        queue.sender.close();
    }
}

/// The primitives of async-lock and async-channel.
#[derive(Debug)]
pub struct Smols;

impl Primitives for Smols {
    type Mutex = async_lock::Mutex<u64>;
    type Guard<'a> = async_lock::MutexGuard<'a, u64>;
    type Semaphore = async_lock::Semaphore;
    type Permit<'a> = async_lock::SemaphoreGuard<'a>;
    type Queue = AsyncChannel;

    fn mutex() -> Self::Mutex {
        async_lock::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = Self::Guard<'_>> + Send {
        mutex.lock()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        async_lock::Semaphore::new(permits)
    }

    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = Self::Permit<'_>> + Send {
        semaphore.acquire()
    }

    fn queue(capacity: usize) -> Self::Queue {
        AsyncChannel::new(capacity)
    }

    fn put(queue: &Self::Queue, number: u64) -> impl Future<Output = bool> + Send {
        queue.put(number)
    }

    fn get(queue: &Self::Queue) -> impl Future<Output = Option<u64>> + Send {
        queue.get()
    }

    fn close(queue: &Self::Queue) {
        queue.sender.close();
    }
}

/// Both ends of an async-channel.
#[derive(Clone, Debug)]
pub struct AsyncChannel {
    sender: async_channel::Sender<u64>,
    receiver: async_channel::Receiver<u64>,
}

impl AsyncChannel {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = async_channel::bounded(capacity);
        Self { sender, receiver }
    }

    async fn put(&self, number: u64) -> bool {
        self.sender.send(number).await.is_ok()
    }

    async fn get(&self) -> Option<u64> {
        self.receiver.recv().await.ok()
    }
}

/// A program over `Runtime` and [`Primitives`].
pub trait Synchronised: Send + 'static {
    /// Its entry in `lab list`.
    const INFO: Workload;

    /// Like [`Program::run`], with the primitives `K`.
    ///
    /// # Errors
    /// Like [`Program::run`].
    fn run<K: Primitives, R: Runtime>(
        rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The program `W` with the primitives `K`.
pub struct With<W, K>(PhantomData<fn() -> (W, K)>);

impl<W: Synchronised, K: Primitives> Program for With<W, K> {
    const INFO: Workload = W::INFO;

    fn run<R: Runtime>(
        rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        W::run::<K, R>(rt, params, meter)
    }
}
