//! 1:1: one OS thread per task.
