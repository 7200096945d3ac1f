//! The suite over one runtime type that represents all, so that its cases are compiled once instead of once per
//! scheduler.
//!
//! A case is generic over its [`Subject`](crate::Subject). Compiling the suite takes a minute of compiler time per
//! scheduler. The generated tests therefore run the cases for [`AnySubject`], which forwards every call to the
//! scheduler under test through `dyn`. The calling thread knows which one that is: [`maker`] gets it from the test.
//!
//! **What this leaves out.** The scheduler is called as usual, but every spawned future is boxed, and so is its
//! output: all tasks have the same size. The group `typed` of [`conformance!`](crate::conformance) covers the life of
//! a task whose future and output are in its own block; it is compiled for each scheduler. So is `send_owner`,
//! because an owner that is not `Send` is erased in the same way as one that is.
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

/// A group of cases, each compiled once. Not in the unit tests of this crate: they need none of the cases, and would
/// compile all of them a second time.
macro_rules! group {
    ($(#[$attribute:meta])* $group:ident, $bound:ident) => {
        $(#[$attribute])*
        #[doc(hidden)]
        #[cfg(not(test))]
        pub mod $group {
            /// Runs one of this group's cases for `S`, within its time limit.
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
