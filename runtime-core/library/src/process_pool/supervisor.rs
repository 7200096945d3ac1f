//! The thread that owns a pool's processes: it takes orders, and keeps each place occupied.

use std::rc::Rc;
use std::sync::Arc;

use super::calls::Pool;
use super::functions::spawn_local;
use super::inbox::{Inbox, Order};
use super::worker;

/// Supervises until it is told to end. No process is left then.
pub(super) async fn supervise(inbox: Arc<Inbox>, calls_per_process: usize) {
    let processes = inbox.ids.lock().len();
    let pool = Pool::new(Arc::clone(&inbox), processes, calls_per_process);
    let workers: Vec<_> = (0..processes)
        .map(|place| spawn_local(worker::occupy(Rc::clone(&pool), place)))
        .collect();
    while let Some(order) = inbox.orders.get().await {
        match order {
            Order::Run(request) => pool.enqueue(request),
            Order::Cancel(id) => pool.cancel(id),
            Order::Finish => pool.finish(),
            Order::End => break,
        }
        pool.place_calls();
    }
    pool.ending.close();
    for worker in workers {
        // A panic in a worker is this module's own; the other workers must still end their processes.
        let _ = worker.await;
    }
}
