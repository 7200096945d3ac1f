//! Queues and channels that a task can wait for.

use std::sync::Arc;

use super::scenes::{Scene, poll_once, scene};
use crate::hostile::Touch;
use runtime_library::sync::{Fifo, OrderedQueue, Store, channel};

fn touch_queue<S: Store<Item = u8> + Send + 'static>(queue: &Arc<OrderedQueue<S>>) -> Touch {
    let queue = Arc::clone(queue);
    Arc::new(move || {
        queue.len();
        queue.is_closed();
        // If this takes an item, it puts it back, because the item is meant for another task.
        if let Ok(item) = queue.try_get() {
            _ = queue.try_put(item);
        }
        if let Some(Some(item)) = poll_once(queue.get()) {
            _ = queue.try_put(item);
        }
        poll_once(queue.join());
    })
}

pub(super) fn get<S: Store<Item = u8> + Send + 'static>(waiters: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<S>::unbounded());
    let (waits, touch) = (Arc::clone(&queue), touch_queue(&queue));
    let mut got = scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { _ = queue.get().await })
        },
        move || (0..waiters).for_each(|_| queue.try_put(7).expect("open")),
        || {},
    );
    got.touch = touch;
    got
}

pub(super) fn put<S: Store<Item = u8> + Send + 'static>(waiters: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<S>::new(waiters));
    (0..waiters).for_each(|_| queue.try_put(7).expect("there is room"));
    let (waits, touched) = (Arc::clone(&queue), Arc::clone(&queue));
    scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { queue.put(8).await.expect("open") })
        },
        move || (0..waiters).for_each(|_| _ = queue.try_get().expect("it is full")),
        move || {
            touched.len();
            touched.is_full();
            poll_once(touched.join());
        },
    )
}

pub(super) fn closed_queue(_: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<Fifo<u8>>::unbounded());
    let (waits, touch) = (Arc::clone(&queue), touch_queue(&queue));
    let mut closed = scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { assert_eq!(queue.get().await, None) })
        },
        move || queue.close(),
        || {},
    );
    closed.touch = touch;
    closed
}

pub(super) fn join(_: usize) -> Scene {
    let queue = Arc::new(OrderedQueue::<Fifo<u8>>::unbounded());
    queue.try_put(7).expect("open");
    let (waits, touched) = (Arc::clone(&queue), Arc::clone(&queue));
    scene(
        move || {
            let queue = Arc::clone(&waits);
            Box::pin(async move { queue.join().await })
        },
        move || {
            queue.try_get().expect("it was put");
            queue.task_done();
        },
        move || {
            touched.len();
            poll_once(touched.join());
        },
    )
}

pub(super) fn received(waiters: usize) -> Scene {
    let (sender, receiver) = channel::<u8>(waiters);
    let receiver = Arc::new(receiver);
    let (waits, touched) = (Arc::clone(&receiver), receiver);
    scene(
        move || {
            let receiver = Arc::clone(&waits);
            Box::pin(async move { _ = receiver.recv().await })
        },
        move || (0..waiters).for_each(|_| sender.try_send(7).expect("there is room")),
        move || {
            touched.len();
            // This gets nothing, because those that already wait need every item.
            if touched.is_empty() {
                poll_once(touched.recv());
            }
        },
    )
}
