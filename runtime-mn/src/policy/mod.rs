#![doc = include_str!("../../policy/src/README.md")]

pub(crate) mod view;

pub use runtime_policy::*;
