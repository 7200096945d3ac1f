//! What a trace means: work, span and critical path, where the time went, and the first decision in which two runs of
//! one program differ.
//!
//! Most modules are pure: they turn a [`Run`](crate::trace::Run) into figures. They start nothing and measure nothing.
//! - [`dag`] turns the events into strands, and their dependencies into edges.
//! - [`span`] gives work, span, parallelism and the burden of scheduling; [`predict`] gives a speed-up, with what
//!   [`contention`], [`side_by_side`] and [`hand_over`] measure on the machine.
//! - [`critical_path`] lists the strands of the span, by the place that spawned their task.
//! - [`time_split`] says how each worker spent its time.
//! - [`divergence`] compares two runs and names the cause of the first difference, by [`cause`].

pub mod cause;
pub mod contention;
pub mod critical_path;
pub mod dag;
pub(crate) mod diverge_command;
pub mod divergence;
pub mod hand_over;
pub mod predict;
mod recording;
pub mod side_by_side;
pub mod span;
pub(crate) mod span_command;
pub mod time_split;
pub mod waits;

#[cfg(test)]
mod tests;
