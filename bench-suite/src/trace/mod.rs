//! Traces: what the schedulers did, event by event.

pub mod format;

pub use format::{Event, Events, Kind, Run, SCHEMA, Task, Thread, ThreadKind, Trace};
