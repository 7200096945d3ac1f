#![doc = include_str!("README.md")]

mod arena;
mod attributes;
mod bind;
mod cell;
mod current;
mod ends_with;
mod entry;
mod error;
mod handle;
pub mod home;
mod id;
mod join;
mod join_waker;
pub mod left_over;
mod on_complete;
mod pages;
mod payload;
mod pinned;
mod safe_schedule;
mod scheduler;
mod scheduler_numbers;
mod scheduler_ref;
mod stack_overflow;
mod state;
mod waker;
mod yield_now;

#[cfg(test)]
mod tests;

pub use crate::budget::{consume_budget, unconstrained};
pub use arena::{Arena, BlockCache};
pub use attributes::Attributes;
pub use bind::{bind, bind_at, bind_local, bind_named, bind_pinnable, bind_with};
pub use ends_with::end_current_with;
pub use entry::{Ran, Task, current_name};
pub use error::JoinError;
pub use handle::TaskHandle;
pub use id::TaskId;
pub use join::{AbortHandle, JoinHandle};
pub use payload::PanicPayload;
pub use safe_schedule::SafeSchedule;
pub use scheduler::{Schedule, SchedulerArc};
pub use scheduler_ref::SchedulerRef;
pub use stack_overflow::StackOverflow;
pub use waker::{is_a_tasks, is_own_waker};
pub use yield_now::{YieldNow, yield_now};

pub(crate) use cell::type_name_of_table;
