//! Traces: what the schedulers did, event by event. `lab trace` records them; a file holds them in the form
//! `lab.trace/1`; Perfetto and the Firefox Profiler get forms of their own.

pub(crate) mod command;
pub(crate) mod files;
pub mod firefox;
pub mod format;
pub mod perfetto;
pub mod record;
mod slices;

pub use command::run;
pub use format::{Event, Events, Kind, Run, SCHEMA, Task, Thread, ThreadKind, Trace};
