//! The one list of the cases about sockets and files, and what runs them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use runtime_kernel::reactor::ReactorKind;
use runtime_library::runtime::{Launch, LaunchConfig};

/// How long a case may take before it counts as hung.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Generates the tests of sockets and files for a scheduler in the calling crate, one `#[test]` per case, in a module
/// `io_conformance`. You name the scheduler by its [`Launch`]; it must be the ambient runtime of its tasks.
#[macro_export]
macro_rules! io_conformance {
    ($launch:ty) => {
        mod io_conformance {
            #[allow(unused_imports)]
            use super::*;
            $crate::__io_cases!(__io_tests, $launch);
        }
    };
}

/// One `#[test]` for each case.
#[macro_export]
#[doc(hidden)]
macro_rules! __io_tests {
    ({ $launch:ty } $($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::io_cases::check_boxed::<$launch>(
                        stringify!($case),
                        $crate::io_cases::boxed::$module::$case,
                    );
                }
            )*
        }
    )*};
}

/// Runs a case as the root task of a fresh runtime, once with each reactor, within a time limit.
///
/// # Panics
/// With the case's panic, or with the case's name if it hangs.
pub fn check<L, C, F>(name: &str, case: impl Fn() -> C)
where
    L: Launch,
    C: FnOnce(L::Runtime) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    for kind in ReactorKind::ALL {
        let mut config = LaunchConfig::default();
        config.workers = 2;
        config.reactor = *kind;
        let root = case();
        super::watchdog::run(&format!("{name} ({kind})"), TIME_LIMIT, move || {
            L::run(&config, root).expect("a runtime");
        });
    }
}

/// [`check`] for a case with an erased type, so that it is compiled once for all schedulers.
///
/// # Panics
/// Like [`check`].
pub fn check_boxed<L: Launch>(name: &str, case: fn() -> BoxedCase) {
    check::<L, _, _>(name, || move |_| case());
}

/// A case about sockets or files.
pub type BoxedCase = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The cases, boxed.
#[doc(hidden)]
pub mod boxed {
    crate::__io_cases!(__io_boxed, ());
}

/// One function for each case.
#[macro_export]
#[doc(hidden)]
macro_rules! __io_boxed {
    ({ $argument:ty } $($module:ident { $($case:ident)* })*) => {$(
        pub mod $module {
            $(
                pub fn $case() -> $crate::io_cases::BoxedCase {
                    Box::pin($crate::$module::$case())
                }
            )*
        }
    )*};
}

/// Generates one `#[test]` per case, by module, which passes the case to the calling module's `run`.
#[macro_export]
#[doc(hidden)]
macro_rules! __one_loop_tests {
    ({ $subject:ty } $($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            $(
                #[test]
                fn $case() {
                    super::run($crate::io_cases::boxed::$module::$case);
                }
            )*
        }
    )*};
}

/// Passes the names of the cases, by module, to another macro.
#[macro_export]
#[doc(hidden)]
macro_rules! __io_cases {
    ($consumer:ident, $argument:ty) => {
        $crate::$consumer! {
            { $argument }
            net {
                a_cancelled_read_loses_nothing
                a_dropped_socket_with_a_pending_read
                a_socket_that_is_always_ready_lets_others_run
                an_aborted_reader_closes_its_socket
                descriptor_reuse
                end_of_stream
                half_close
                halves_reunite
                large_write_with_back_pressure
                one_socket_read_and_written_by_two_tasks
                peek_and_vectored
                more_buffers_than_one_call_takes
                reset
                several_readers_of_one_stream
                shutdown_of_each_direction
            }
            processes {
                conversations_through_pipes
                dropped_children
                ends_are_reported
                killing_and_giving_up
                many_processes_at_once
                output_larger_than_the_pipes
            }
            servers {
                a_dropped_server_ends_its_connections
                a_server_of_lines
                connections_beyond_the_limit_wait
                dropping_servers_while_connections_come
                handlers_that_panic_harm_nobody_else
                servers_on_unix_sockets
                shutdown_aborts_when_the_grace_is_over
                shutdown_lets_connections_finish
            }
            signals {
                ctrl_c_hears_interrupts
                every_stream_hears_every_signal
                signals_coalesce_and_none_is_lost
                signals_that_no_program_hears
            }
            readiness {
                a_future_that_tasks_share_outlives_the_task_that_polled_it
                bytes_that_come_between_two_polls
                children_that_end_between_two_polls
                connections_that_come_between_two_polls
                datagrams_that_come_between_two_polls
                readiness_outlives_the_task_that_gave_up
                room_that_comes_between_two_polls
                signals_that_come_between_two_polls
            }
            sockets {
                a_cancelled_accept_loses_no_connection
                a_full_unix_listener_is_waited_for
                a_task_that_always_has_work_hears_its_socket
                abandoned_unix_connects_leave_nothing
                datagrams
                many_connections_on_one_edge
                names
                one_datagram_socket_shared_by_tasks
                options_and_addresses
                refused_connect
                unix_sockets
            }
            turns {
                a_connection_wakes_few_of_many
                a_datagram_wakes_few_of_many
                a_waiter_that_was_woken_and_is_dropped_loses_no_connection
                a_waiter_that_was_woken_and_is_kept_keeps_no_connection
                aborted_tasks_lose_no_connection
                who_accepts_is_served_in_turn
            }
            executors {
                an_aborted_job_leaves_the_queue_of_a_stuck_executor
                a_full_executor_holds_nobody_up
                executors_are_bounded_and_queue
                jobs_find_the_runtime_that_sent_them
                jobs_without_an_executor_go_to_the_default
                shutting_an_executor_down
                the_default_executor_can_be_replaced
            }
            files {
                a_cancelled_read_loses_nothing
                a_failed_write_is_reported
                conversations_through_a_fifo
                directories
                fifos_that_nobody_opens_hold_nobody_up
                flushed_writes_are_there
                reads_writes_and_seeks
                whole_files
            }
        }
    };
}
