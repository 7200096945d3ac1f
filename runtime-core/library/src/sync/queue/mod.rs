//! Queues between tasks, fair in both directions.

mod apart;
mod errors;
mod grants;
mod items;
mod job;
mod ordered;
mod store;
mod waiting;

pub use errors::{TryGetError, TryPutError};
pub use job::Job;
pub use ordered::{LifoQueue, OrderedQueue, PriorityQueue, Queue};
pub use store::{Fifo, Lifo, Smallest, Store};
pub use waiting::{Get, Join, Put};
