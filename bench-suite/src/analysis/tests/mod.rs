//! Traces with known figures: written by hand, or recorded by a scheduler of a few lines.

mod divergence;
mod predict;
mod programs;
mod recording;
mod span;
mod time;
