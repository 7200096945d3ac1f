#![doc = include_str!("README.md")]
// In a build without parts, some items of the seam have no user.
#![cfg_attr(
    not(feature = "default"),
    allow(dead_code, unused_imports, unreachable_pub)
)]

mod assemble;
mod binding;
mod build;
mod builder;
mod counting;
mod current;
mod deque;
mod ending;
mod handle;
mod handle_refs;
mod knobs;
mod launch;
mod life;
pub mod parts;
pub mod policy;
mod prepaid;
mod random;
mod runtime;
pub mod scheduler;
mod seam;
mod slot;
mod topology;
mod turn;
mod waking;

#[cfg(all(test, any(lab_loom, not(lab_shuttle))))]
mod loom_tests;
#[cfg(all(test, lab_shuttle))]
mod shuttle_tests;

pub use builder::Builder;
pub use handle::Handle;
pub use launch::{Mn, MnWith};
pub use parts::*;
pub use runtime::Runtime;
pub use runtime_core::{consume_budget, unconstrained};
