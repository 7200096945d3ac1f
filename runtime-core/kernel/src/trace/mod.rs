#![doc = include_str!("README.md")]

mod blocking;
mod causes;
mod clock;
mod decode;
pub mod flight;
mod names;
mod recorded;
mod recorder;
mod ring;
mod table;

pub use blocking::blocking;
pub use causes::{Causing, caused_by};
pub use recorded::{Event, Recorded, Task, Thread, ThreadKind, Waited};
pub use recorder::{Recorder, RoleGuard, Session, dump, is_on, next_runtime, note, thread_is};
pub use ring::Keep;
pub use table::{Cause, Fact, Kind, Outcome, Primitive, Queue, WorkerId};

pub(crate) use causes::{cause_here, waking, waking_task};
pub(crate) use names::Name;
pub(crate) use recorder::{is_watched, note_spawned, poll_begins, poll_ends, set_watched};
pub(crate) use table::Table;
