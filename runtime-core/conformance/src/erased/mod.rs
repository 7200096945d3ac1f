//! The suite over one runtime type that stands for all: so its cases are compiled once, and not once for each scheduler.
//!
//! A case is generic over its [`Subject`](crate::Subject). Compiled for each scheduler, the suite costs a minute of
//! compiler time each time. So the generated tests run the cases for [`AnySubject`], which forwards every call to the
//! scheduler under test by `dyn`. Which one that is, the calling thread knows: [`maker`] has it from the test.
//!
//! **What this leaves out.** The scheduler is called as always, but every future that a case spawns is boxed, and so
//! is its output: all tasks have the same size. The life of a task whose future and output stand in its own block is
//! the group `typed` of [`conformance!`](crate::conformance), which is compiled for each scheduler. So is `send_owner`,
//! as an owner that may not be sent is erased in the same way as one that may.
//!
//! | file | what it erases |
//! |---|---|
//! | [`maker`] | how the scheduler is started, and which of its abilities a group needs |
//! | `owner`, `subject` | its owner |
//! | `runtime` | its handle |
//! | `task` | its tasks' handles, futures and outputs |
//! | `channel`, `sockets` | what the handle makes |

mod abilities;
mod boxed;
mod channel;
pub mod maker;
mod owner;
mod runtime;
mod sockets;
mod subject;
mod task;

pub use runtime::AnyRuntime;
pub use subject::AnySubject;

/// A group of cases, each compiled once. The unit tests of this crate need none of them, and would compile all of them
/// a second time.
macro_rules! group {
    ($(#[$attribute:meta])* $group:ident, $bound:ident) => {
        $(#[$attribute])*
        #[doc(hidden)]
        #[cfg(not(test))]
        pub mod $group {
            /// Runs one of this group's cases for `S`, bounded by its patience.
            pub fn run<S: crate::$bound>(name: &str, case: fn()) {
                crate::watchdog::run(name, S::PATIENCE, move || super::maker::$group::<S>().run(case));
            }

            crate::__conformance_cases!($group, __conformance_once, $group);
        }
    };
}

group!(contract, Subject);
group!(ambient, AmbientSubject);
group!(forever, ForeverSubject);
group!(simulated, ClockSubject);

/// The cases as functions without a parameter.
#[macro_export]
#[doc(hidden)]
macro_rules! __conformance_once {
    ({ $group:ident } $($module:ident { $($case:ident)* })*) => {$(
        pub mod $module {
            $(
                pub fn $case() {
                    $crate::$module::$case::<$crate::erased::AnySubject>();
                }
            )*
        }
    )*};
}
