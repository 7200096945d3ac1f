//! Clause 15 where nothing else helps: no poll ever counts as stuck, so no queue is handed off. Tasks that wait behind
//! a poll must be found sooner than that.

use std::future::Future;
use std::time::Duration;

use runtime_core::testing::{self, Subject, fairness, shared_out};
use runtime_mn::policy::{GoLike, Policy, Priority, RandomSteal};
use runtime_mn::{Handle, Runtime};

const NEVER: Duration = Duration::from_secs(24 * 3600);

struct WithoutHandOff<const WORKERS: usize, P>(Runtime, std::marker::PhantomData<P>);

impl<const WORKERS: usize, P: Policy + Default> Subject for WithoutHandOff<WORKERS, P> {
    type Runtime = Handle;

    fn start() -> Self {
        let builder = Runtime::builder().workers(WORKERS).stuck_after(NEVER);
        let runtime = builder.build_with(P::default()).expect("a runtime");
        Self(runtime, std::marker::PhantomData)
    }
    fn handle(&self) -> Handle {
        self.0.handle().clone()
    }
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.block_on(root)
    }
    fn block_on<F>(runtime: &Handle, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        runtime.block_on(future)
    }
    fn shutdown(self, timeout: Duration) -> Vec<String> {
        self.0.shutdown(timeout)
    }
}

macro_rules! without_hand_off {
    ($($case:ident)*) => {$(
        #[test]
        fn $case() {
            let case = stringify!($case);
            testing::run::<WithoutHandOff<2, GoLike>>(case, shared_out::$case::<WithoutHandOff<2, GoLike>>);
            testing::run::<WithoutHandOff<4, GoLike>>(case, shared_out::$case::<WithoutHandOff<4, GoLike>>);
        }
    )*};
}

without_hand_off! {
    c15_a_socket_is_served_beside_a_poll
    c15_a_spawned_task_runs_beside_its_parents_poll
    c15_a_timer_fires_beside_a_poll
    c15_a_woken_task_runs_beside_its_wakers_poll
    c15_tasks_spawned_together_run_at_once
    c15_tasks_whose_sockets_are_ready_together_run_at_once
    c15_tasks_whose_timers_fire_together_run_at_once
    c15_tasks_woken_together_run_beside_their_wakers_poll
}

#[test]
fn a_policy_without_a_lifo_slot_shares_out_as_well() {
    type Cilk = WithoutHandOff<2, RandomSteal>;
    testing::run::<Cilk>(
        "woken",
        shared_out::c15_a_woken_task_runs_beside_its_wakers_poll::<Cilk>,
    );
    testing::run::<Cilk>(
        "timers",
        shared_out::c15_tasks_whose_timers_fire_together_run_at_once::<Cilk>,
    );
}

#[test]
fn tasks_in_a_ranked_queue_are_shared_out_as_well() {
    type Ranked = WithoutHandOff<2, Priority>;
    testing::run::<Ranked>(
        "spawned",
        shared_out::c15_a_spawned_task_runs_beside_its_parents_poll::<Ranked>,
    );
    testing::run::<Ranked>(
        "woken",
        shared_out::c15_a_woken_task_runs_beside_its_wakers_poll::<Ranked>,
    );
    testing::run::<Ranked>(
        "timers",
        shared_out::c15_tasks_whose_timers_fire_together_run_at_once::<Ranked>,
    );
}

/// Woken tasks alternate with spawned ones. If they ran only every eighth time, the set would have some 8^8 tasks.
#[test]
fn a_task_that_yields_keeps_up_with_a_set_that_multiplies() {
    const MAX_TASKS: usize = 300_000;
    for _ in 0..10 {
        let with_one =
            fairness::tasks_of_a_multiplying_set::<WithoutHandOff<1, GoLike>>(8, MAX_TASKS);
        assert!(with_one < Some(1_000), "{with_one:?}");
        // The kernel may stop one worker and let the other continue.
        let with_two =
            fairness::tasks_of_a_multiplying_set::<WithoutHandOff<2, GoLike>>(8, MAX_TASKS);
        assert!(with_two < Some(MAX_TASKS), "{with_two:?}");
    }
}
