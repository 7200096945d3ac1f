//! The programs that the book shows. Each is generic over the runtime, and its test runs it under all three.
//!
//! The book includes the parts between `ANCHOR` comments, so what a reader sees is what was compiled and run.

pub mod combinators;
pub mod included;
pub mod local;
pub mod processes;
pub mod servers;
pub mod sources;
pub mod tasks;
pub mod time_in_tests;
pub mod waiting;

/// Runs an async block under N:1, M:N and 1:1, one after the other: `under_all_three!(|rt| ...)`.
#[cfg(test)]
macro_rules! under_all_three {
    (|$rt:ident| $body:expr) => {{
        use runtime_core::Launch as _;
        let mut config = runtime_core::LaunchConfig::default();
        config.workers = 2;
        runtime_n1::N1::run(&config, |$rt| async move { $body }).expect("N:1 starts");
        runtime_mn::Mn::run(&config, |$rt| async move { $body }).expect("M:N starts");
        runtime_threads::Threads::run(&config, |$rt| async move { $body }).expect("1:1 starts");
    }};
}
#[cfg(test)]
use under_all_three;
