#![doc = include_str!("README.md")]

mod acting;
mod blocking;
mod causes;
mod clock;
mod decode;
pub mod flight;
pub mod follow;
mod hooks;
mod names;
mod os_switches;
mod recorded;
mod recorder;
mod ring;
mod ring_writer;
mod slots;
mod switch;
mod table;
mod unfold;
mod words;

pub use blocking::blocking;
pub use causes::{Causing, caused_by};
pub use hooks::{RoleGuard, next_runtime, note, thread_is};
pub use recorded::{Event, Recorded, Task, Thread, ThreadKind, Waited};
pub use recorder::{Recorder, Session, dump};
pub use ring::Keep;
pub use switch::is_on;
pub use table::{Cause, Fact, Kind, Outcome, Primitive, Queue, WorkerId};

pub(crate) use acting::{acting, acting_task};
pub(crate) use causes::cause_here;
pub(crate) use hooks::{note_right_after, note_spawned, poll_begins, poll_ends};
pub(crate) use names::Name;
pub(crate) use switch::{is_on_here, is_watched, set_watched};
pub(crate) use table::Table;
