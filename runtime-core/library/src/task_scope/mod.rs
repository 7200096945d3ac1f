#![doc = include_str!("README.md")]

mod error;
mod future;
mod handle;
mod state;

#[cfg(all(test, lab_loom))]
mod loom_tests;

pub use error::ScopeError;
pub use future::{RunScope, scope, scope_on};
pub use handle::{ScopedHandle, TaskScope};
