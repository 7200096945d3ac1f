//! The one list of all cases, from which the tests and the table are generated.

#[cfg(not(test))]
use super::Subject;

/// Generates the conformance tests of a scheduler in the calling crate, one `#[test]` per case, in a module
/// `conformance`.
///
/// `conformance!(Mine)` is the contract, for any [`Subject`](crate::Subject). Groups of further cases follow
/// the type: `ambient` for an [`AmbientSubject`](crate::AmbientSubject), `forever` for a
/// [`ForeverSubject`](crate::ForeverSubject), `simulated` for a
/// [`ClockSubject`](crate::ClockSubject), and `send_owner` for a subject that is `Send`:
/// `conformance!(Mine, ambient, forever, simulated, send_owner)`. The cases are compiled once for all schedulers,
/// except those of a task's life and of `send_owner`: see [`erased`](crate::erased). For several subjects in a file,
/// put each into its own module.
#[macro_export]
macro_rules! conformance {
    ($subject:ty $(, $group:ident)* $(,)?) => {
        mod conformance {
            #[allow(unused_imports)]
            use super::*;
            $crate::__conformance_cases!(contract, __conformance_tests, contract $subject);
            $($crate::__conformance_cases!($group, __conformance_tests, $group $subject);)*

            mod typed {
                #[allow(unused_imports)]
                use super::*;
                $crate::__conformance_cases!(typed, __conformance_tests, typed $subject);
            }
        }
    };
}

/// Passes the cases of a group to another macro: the subject in braces, then the cases by module.
#[macro_export]
#[doc(hidden)]
macro_rules! __conformance_cases {
    (contract, $consumer:ident, $($subject:tt)*) => {
        $crate::$consumer! {
            { $($subject)* }
            lifecycle {
                c01_a_task_that_returns
                c02_a_task_aborted_at_once
                c02_a_task_aborted_while_parked
                c02_a_task_aborted_in_a_poll_that_waits
                c02_a_task_aborted_in_its_last_poll_yields_its_value
                c02_aborting_a_finished_task_changes_nothing
                c03_a_task_that_panics
                c03_a_task_aborted_in_the_poll_that_panics
            }
            attributes {
                c01_a_task_with_attributes_lives_like_any_other
            }
            waiting {
                c01_an_abort_from_outside_drops_no_future_there
                c01_deep_chains_of_awaits_end
                c01_is_finished_tells
                c01_wide_trees_of_tasks_end
                c02_detached_from_outside
                c02_dropping_a_handle_detaches
                c02_tasks_abort_one_another
                c11_a_failure_leaves_the_others_running
                c11_a_timeout_over_a_handle_cancels_nothing
            }
            shutdown {
                c04_a_task_that_always_has_work_is_dropped
                c04_a_thread_that_awaits_a_task_is_woken
                c04_destructors_that_spawn_are_harmless
                c04_destructors_that_wake_are_harmless
                c04_dropping_the_owner_drops_tasks_just_spawned
                c04_dropping_the_owner_drops_waiting_tasks
                c04_handles_do_not_keep_the_runtime_alive
                c04_outputs_nobody_took_are_dropped
                c04_shutdown_drops_tasks_just_spawned
                c04_shutdown_drops_waiting_tasks
                c04_sleeping_tasks_are_dropped
                c04_spawning_after_shutdown_reports_cancelled
                c04_spawning_while_the_runtime_ends_is_harmless
            }
            shutdown_waits {
                c04_dropping_the_owner_leaves_blocking_jobs
                c04_shutdown_names_a_blocking_job_still_running
                c04_shutdown_names_a_task_still_polling
                c04_shutdown_waits_for_a_blocking_job
                c04_the_end_waits_for_polls
            }
            blocking_entry {
                c05_a_blocking_jobs_captures_are_dropped_first
                c05_block_on_hands_a_panic_on
                c05_block_on_inside_a_task_panics
                c05_block_on_of_another_runtime_inside_a_task_panics
                c05_block_on_works_from_many_threads
                c05_block_on_works_in_a_blocking_job
                c05_blocking_jobs_detach_and_outlive_an_abort
                c05_blocking_jobs_from_a_foreign_thread
                c05_blocking_jobs_hold_no_task_up
                c05_blocking_jobs_return_and_panic
                c05_blocking_jobs_run_side_by_side
                c05_run_hands_a_panic_on
                c05_run_works_again_and_again
                c05_thousands_of_blocking_jobs
            }
            wakers {
                c06_a_foreign_thread_awaits_a_task
                c06_a_foreign_thread_wakes_a_task
                c06_a_foreign_wake_during_the_poll_polls_again
                c06_a_handle_wakes_who_polled_it_last
                c06_a_wake_during_the_poll_polls_again
                c06_an_old_waker_still_wakes
                c06_the_last_waker_dropped_elsewhere_drops_no_future
                c06_two_runtimes_wake_each_other
                c06_wakers_outlive_everything
                c06_wakes_during_a_poll_coalesce
                c06_wakes_of_a_parked_task_coalesce
            }
            channel {
                c01_channels_drop_what_is_in_them
                c04_channels_survive_their_runtime
                c07_a_dropped_recv_loses_no_item
                c07_a_dropped_send_passes_its_room_on
                c07_an_aborted_receiver_loses_no_item
                c08_channel_ends_with_its_senders
                c08_channel_gives_values_back
                c08_channel_is_bounded
                c08_channel_keeps_the_order
                c08_channel_merges_many_senders
            }
            cancel_waiters {
                c07_a_dropped_acquire_passes_its_permit_on
                c07_a_dropped_get_leaves_its_item
                c07_a_dropped_put_leaves_its_room
                c07_a_dropped_wait_passes_its_notification_on
                c07_aborted_waiters_lose_no_permit
                c07_promises_are_kept_or_broken
                c07_queues_lose_nothing_between_many_tasks
                c08_a_newcomer_does_not_overtake
                c08_a_notification_is_for_those_who_wait
                c08_tasks_are_served_in_turn
            }
            sync_locks {
                c07_a_barrier_does_not_count_who_left
                c07_a_dropped_condition_wait_passes_its_notification_on
                c07_a_dropped_lock_hands_it_on
                c07_notifications_reach_as_many_as_were_notified
                c08_a_condition_waits_until_its_predicate_is_true
                c08_all_who_are_notified_go_on_in_turn
                c08_an_event_set_and_cleared_releases_who_waited
                c08_locks_are_handed_over_in_turn_at_random
                c08_barriers_keep_tasks_in_step
                c08_the_condition_example_comes_in_order
            }
            sync_queues {
                c07_closing_a_queue_loses_nothing_that_is_in_it
                c07_draining_a_queue_sends_all_away
                c07_joining_a_queue_waits_for_all_that_was_put
                c08_queues_of_other_orders_keep_them
            }
            sync_turns {
                c08_a_lock_that_all_want_changes_hands
                c08_a_queue_that_all_want_loses_no_item
                c08_permits_that_all_want_are_never_more
                c08_those_in_line_keep_their_order_beside_newcomers
                c08_whoever_waits_has_a_turn_beside_one_who_keeps_coming
            }
            sync_programs {
                c07_random_programs_over_a_barrier
                c07_random_programs_over_a_condition
                c07_random_programs_over_a_mutex
                c07_random_programs_over_a_queue
                c07_random_programs_over_queues_of_other_orders
                c07_random_programs_over_a_semaphore
                c07_random_programs_over_an_event
            }
            user_values {
                c08_items_go_to_their_getters_in_turn
                c13_a_clone_may_ask_its_promise
                c13_comparisons_are_made_outside_of_locks
                c13_items_are_dropped_outside_of_locks
                c13_values_nobody_took_are_dropped_outside_of_locks
            }
            timers {
                c09_a_dropped_sleep_wakes_nobody
                c09_a_ready_result_beats_a_due_deadline
                c09_a_ready_result_beats_a_due_deadline_without_budget
                c09_a_shorter_timer_from_outside_is_in_time
                c09_a_sleep_made_outside_works_within
                c09_a_sleep_wakes_who_polled_it_last
                c09_a_timeout_reports_that_it_is_over
                c09_an_aborted_sleeper_ends_at_once
                c09_huge_deadlines_neither_overflow_nor_wake
                c09_many_sleeping_tasks
                c09_sleeps_are_never_early
                c09_ten_thousand_sleeps_at_once
                c09_timers_fire_under_load
                c09_zero_and_past_deadlines_do_not_wait
            }
            fairness {
                c10_a_busy_future_starves_no_sibling
                c10_another_executor_inside_a_task_comes_to_its_end
                c10_a_long_poll_strands_nobody
                c10_chains_of_spawns_starve_nobody
                c10_computing_tasks_are_preempted
                c10_a_multiplying_set_starves_nobody
                c10_loops_over_due_timers_starve_nobody
                c10_loops_over_ready_channels_starve_nobody
                c10_pairs_that_wake_each_other_starve_nobody
                c10_ready_leaf_operations_return_from_their_poll
                c10_self_waking_tasks_starve_nobody
                c10_spawn_and_await_loops_starve_nobody
                c10_yield_loops_starve_nobody
                c10_yielding_lets_others_run
            }
            apart {
                c12_a_child_does_not_see_what_is_set_around_its_parents_poll
                c12_a_limit_over_a_handle_ends_while_the_child_computes
                c12_a_lock_held_around_the_poll_of_a_handle_is_free_for_the_child
                c12_a_poll_of_a_handle_returns_while_the_child_computes
                c12_an_owned_future_is_polled_within_its_owner
                c12_no_call_runs_another_task_inside_of_the_caller
            }
            join_wakers {
                c13_a_handles_waker_that_panics_harms_nobody
            }
            shared_out {
                c15_a_socket_is_served_beside_a_poll
                c15_a_spawned_task_runs_beside_its_parents_poll
                c15_a_timer_fires_beside_a_poll
                c15_a_woken_task_runs_beside_its_wakers_poll
                c15_tasks_spawned_together_run_at_once
                c15_tasks_whose_sockets_are_ready_together_run_at_once
                c15_tasks_whose_timers_fire_together_run_at_once
                c15_tasks_woken_together_run_beside_their_wakers_poll
            }
            stress {
                storm_into_a_shutdown
                storm_of_channels
                storm_of_tasks
            }
        }
    };
    (ambient, $consumer:ident, $($subject:tt)*) => {
        $crate::$consumer! {
            { $($subject)* }
            ambient {
                a_runtime_works_while_its_thread_ends
                guards_may_be_dropped_in_any_order
                a_panic_leaves_an_entered_runtime
                a_panic_leaves_the_context
                abort_handles_abort
                abort_handles_outlive_the_runtime
                an_entered_thread_may_block
                c05_a_task_that_has_entered_a_runtime_may_not_block
                entering_nests
                free_functions_outside_a_runtime_name_the_fix
                free_functions_work_inside_tasks
                spawning_freely_in_a_destructor_is_harmless
                task_ids_are_unique
            }
            blocking_forms {
                c05_blocking_forms_inside_a_task_panic
                c05_blocking_forms_work_elsewhere
            }
            combine_calls {
                c02_a_cancelled_call_is_not_made
                c09_a_schedule_repeats_without_overlap
                c09_calls_are_never_early
                calls_are_made_soon
                task_locals_are_inherited_on_request
                task_locals_follow_their_task
            }
            combine_gather {
                c11_a_dropped_gather_aborts_its_tasks
                c11_a_hundred_thousand_futures_complete
                c11_a_shielded_task_goes_on
                c11_as_completed_follows_the_order_of_the_ends
                c11_gather_yields_the_values_in_order
                c11_gathered_outcomes_have_the_errors_among_them
                c11_limits_beyond_the_clock_are_none
                c11_the_first_error_of_a_gather_leaves_the_siblings_running
                c11_wait_cancels_nothing
                c11_wait_for_aborts_and_awaits_the_end
                c11_waiting_for_many_is_linear
            }
            combine_handles {
                a_token_leaves_time_for_a_clean_up_that_awaits
                c01_a_callback_gets_the_outcome
                c01_a_shared_handle_is_awaited_by_many
                c01_a_task_that_awaits_itself_panics
                c03_a_callback_that_panics_is_contained
                c04_a_shutdown_calls_callbacks
                c05_result_inside_a_task_panics
                c05_result_waits_for_a_limited_time
                the_current_task_has_a_name
            }
            combine_scope {
                c11_a_child_that_awaits_itself_panics
                c11_a_dropped_scope_cancels_its_children
                c11_a_panic_of_a_scopes_body_waits_for_the_children
                c11_a_scope_collects_all_errors
                c11_no_child_outlives_its_scope
                c11_spawning_into_a_scope_that_aborts_is_safe
                c11_the_first_failure_of_a_scope_cancels_the_rest
                c13_a_name_that_panics_is_no_child
                c13_destructors_that_panic_hold_nothing_up
            }
            entered {
                a_guard_that_a_destructor_forgets_ends_with_it
                a_guard_that_a_foreign_waker_forgets_ends_with_it
            }
            outlives {
                c05_a_job_is_in_its_runtime_after_the_task_that_sent_it
                c09_a_sleep_in_another_runtimes_task_outlasts_the_runtime
                c09_a_sleep_on_an_entered_thread_outlasts_the_runtime
            }
            ready {
                c10_ready_files_and_processes_let_others_run
                c10_ready_operations_on_tasks_let_others_run
                c10_ready_primitives_let_others_run
                c10_ready_sockets_let_others_run
            }
            surface {
                a_broken_barrier_sends_tasks_away
                a_handle_tells_how_its_task_ended
                promises_reach_all_who_await_them
                queues_tell_what_is_in_them
                semaphores_refuse_what_cannot_be
                tasks_that_live_are_counted
            }
            user_wakers {
                c13_a_waker_that_cannot_be_cloned_leaves_nothing_behind
                c13_a_wakers_panic_keeps_nobody_from_being_woken
                c13_wakers_may_use_what_they_wait_for
            }
        }
    };
    (typed, $consumer:ident, $($subject:tt)*) => {
        $crate::$consumer! {
            { $($subject)* }
            lifecycle {
                c01_a_task_that_returns
                c02_a_task_aborted_at_once
                c02_a_task_aborted_while_parked
                c02_a_task_aborted_in_a_poll_that_waits
                c02_a_task_aborted_in_its_last_poll_yields_its_value
                c02_aborting_a_finished_task_changes_nothing
                c03_a_task_that_panics
                c03_a_task_aborted_in_the_poll_that_panics
            }
        }
    };
    (forever, $consumer:ident, $($subject:tt)*) => {
        $crate::$consumer! {
            { $($subject)* }
            forever {
                c05_a_call_from_another_thread_wakes_an_idle_run
                c05_a_stop_before_a_run_ends_that_run_alone
                c05_a_stop_before_a_run_leaves_it_a_round
                c05_a_stop_by_a_task_ends_the_run
                c05_a_stop_from_another_thread_ends_the_run
                c05_calls_of_a_run_forever_are_made
                c05_tasks_go_on_in_the_next_run
            }
        }
    };
    (simulated, $consumer:ident, $($subject:tt)*) => {
        $crate::$consumer! {
            { $($subject)* }
            simulated_time {
                c04_a_shutdown_lets_no_time_pass
                c09_calls_are_made_in_the_order_of_their_times
                c09_time_stands_still_beside_a_blocking_job
                c09_time_stands_still_beside_a_job_of_an_executor
                c09_time_stands_still_beside_a_socket_that_is_ready
                c09_time_stands_still_beside_many_sockets_that_are_ready
                c09_time_stands_still_while_a_task_works
                c09_time_stands_still_while_a_thread_holds_it
                c09_a_day_of_ticks_passes_at_once
                c09_a_sleep_on_a_non_worker_thread_passes_at_once
                c09_a_limit_over_an_idle_socket_is_reached
                c09_a_long_job_begins_at_multiples_of_its_period
                c09_a_thousand_sleeps_end_in_the_order_of_their_deadlines
                c09_an_hour_passes_at_once
                c09_no_sleep_is_overslept
            }
        }
    };
    (send_owner, $consumer:ident, $($subject:tt)*) => {
        $crate::$consumer! {
            { $($subject)* }
            owner {
                c04_a_task_that_ends_its_runtime_may_return
                c04_shutdown_called_inside_its_own_task
                c04_the_owner_dropped_in_a_blocking_job
                c04_the_owner_dropped_in_a_destructor
                c04_the_owner_dropped_in_a_job_that_a_poll_waits_for
                c04_the_owner_dropped_in_another_runtimes_task
                c04_the_owner_dropped_inside_its_own_task
                c04_the_owner_moves_between_threads
                c05_run_inside_its_own_task_panics
            }
        }
    };
}

/// One `#[test]` for each case: compiled here for the groups that are about types, otherwise [once](crate::erased) for
/// all.
#[macro_export]
#[doc(hidden)]
macro_rules! __conformance_tests {
    ({ typed $subject:ty } $($cases:tt)*) => {
        $crate::__conformance_tests_of_a_type! { { $subject } $($cases)* }
    };
    ({ send_owner $subject:ty } $($cases:tt)*) => {
        $crate::__conformance_tests_of_a_type! { { $subject } $($cases)* }
    };
    ({ $group:ident $subject:ty } $($module:ident { $($case:ident)* })*) => {$($(
        #[test]
        fn $case() {
            $crate::erased::$group::run::<$subject>(
                stringify!($case),
                $crate::erased::$group::$module::$case,
            );
        }
    )*)*};
}

/// One `#[test]` for each case, generic over the subject.
#[macro_export]
#[doc(hidden)]
macro_rules! __conformance_tests_of_a_type {
    ({ $subject:ty } $($module:ident { $($case:ident)* })*) => {$($(
        #[test]
        fn $case() {
            $crate::run::<$subject>(
                stringify!($case),
                $crate::$module::$case::<$subject>,
            );
        }
    )*)*};
}

/// One row of the table for each case.
#[macro_export]
#[doc(hidden)]
macro_rules! __conformance_table {
    ({ $subject:ty } $($module:ident { $($case:ident)* })*) => {
        vec![$($(
            $crate::Case {
                module: stringify!($module),
                name: stringify!($case),
                run: || {
                    $crate::erased::maker::contract::<$subject>()
                        .run($crate::erased::contract::$module::$case);
                },
            },
        )*)*]
    };
}

/// A case of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The module that contains it.
    pub module: &'static str,
    /// Its function's name, which begins with the clause that it checks: `c04` is clause 4.
    pub name: &'static str,
    /// Runs it, without a time limit; panics if it fails. See [`run`](super::run).
    pub run: fn(),
}

/// The cases of the contract as a table, for harnesses other than `cargo test`.
#[cfg(not(test))]
pub fn cases<S: Subject>() -> Vec<Case> {
    crate::__conformance_cases!(contract, __conformance_table, S)
}
