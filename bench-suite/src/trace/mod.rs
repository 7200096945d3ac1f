//! Traces: what the schedulers did, event by event. `lab trace` records them. A file stores them in the format
//! `lab.trace/1`; exports exist for Perfetto and the Firefox Profiler.

pub(crate) mod command;
pub mod excerpt;
pub(crate) mod files;
pub mod firefox;
pub mod format;
pub mod perfetto;
pub mod record;
mod slices;
mod window;

pub use command::run;
pub use excerpt::Excerpt;
pub use format::{Event, Events, Kind, Run, SCHEMA, Task, Thread, ThreadKind, Trace};
