//! Traces whose figures are known: written by hand, or by a scheduler of a few lines.

mod divergence;
mod programs;
mod recording;
mod span;
mod time;
