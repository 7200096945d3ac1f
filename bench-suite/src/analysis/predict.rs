//! Predicts how long a program takes on a number of workers, by replaying its graph on a model of M:N's workers.
//!
//! The strands keep their measured work. What comes on top of it depends on where and when they run, and each term of
//! the model is one mechanism:
//!
//! | mechanism | in the replay | unit |
//! |---|---|---|
//! | a poll | its start costs `Burden::same_thread_ns` | ns per poll |
//! | a steal | takes half of a queue; the first task costs `Burden::other_thread_ns` | ns per steal |
//! | sleep | a worker sleeps after [`Costs::awake_ns`] without work | ns |
//! | a wake-up | the sleeper runs after `Burden::sleeping_thread_ns` | ns per wake-up |
//! | throttling | a worker whose work ran out within [`Costs::wake_delay_ns`] of a wake-up wakes nobody | ns |
//! | waking | the thread that wakes a sleeper computes [`Costs::waking_ns`] later | ns per wake-up |
//! | the monitor | wakes a sleeper for work that has waited for [`Costs::guard_ns`] behind a poll | ns |
//! | data on the move | what another worker wrote last arrives after [`Costs::transfer_ns`] | ns per hand-over |
//! | data in a row | the next such data, if written in the meantime, takes [`Costs::stream_ns`] | ns per hand-over |
//! | a mutex | one holder; the release hands it to the first waiter, whose poll has ended | a poll per hand-over |
//! | shared units | while several workers compute, each one is slower by a [contention](super::contention) | factor |
//!
//! There are two clocks. Strands advance by the clock of work, which runs slower than time while several workers
//! compute. Waits, wake-ups and the costs of a poll take the time that they took in the trace.
//!
//! A wait whose event has already happened does not end the poll: the task goes on at once.

mod costs;
mod queues;
mod replay;
mod throttle;

use super::contention::Contention;
use super::dag::Dag;
pub use costs::Costs;
use replay::Replay;

/// The speed-up of `workers` workers over one, on a machine with this contention.
pub fn speed_up(dag: &Dag, costs: impl Into<Costs>, workers: usize, contention: Contention) -> f64 {
    let costs = costs.into();
    let one = replay(dag, costs, 1, contention);
    let many = replay(dag, costs, workers.max(1), contention);
    if many == 0 {
        1.0
    } else {
        one as f64 / many as f64
    }
}

/// The time that the program takes on `workers` workers, in nanoseconds.
pub fn replay(dag: &Dag, costs: impl Into<Costs>, workers: usize, contention: Contention) -> u64 {
    Replay::new(dag, costs.into(), workers, contention).run()
}
