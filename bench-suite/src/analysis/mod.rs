//! What a trace means: work, span and critical path, where the time went, and the first decision in which two runs
//! of one program differ.
//!
//! Each module is pure: a [`Run`](crate::trace::Run) goes in, figures come out, and nothing is started or measured.
//! - [`dag`] makes strands of the events, and edges between them: who had to come before whom.
//! - [`span`] gives work, span, parallelism and the burden of scheduling; [`predict`] gives a speed-up.
//! - [`critical_path`] lists what the span is made of, by the place that spawned it.
//! - [`time_split`] says what each worker did all the time.
//! - [`divergence`] compares two runs and names the cause of the first difference, by [`cause`].

pub mod cause;
pub mod critical_path;
pub mod dag;
pub(crate) mod diverge_command;
pub mod divergence;
pub mod predict;
mod recording;
pub mod span;
pub(crate) mod span_command;
pub mod time_split;
pub mod waits;

#[cfg(test)]
mod tests;
