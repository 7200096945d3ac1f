//! Tasks, combinators, timers, scopes and tokens.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::operation::{Loops, Operation, ROUNDS, operation};
use runtime_kernel::promise::Promise;
use runtime_kernel::task::{JoinHandle, consume_budget};
use runtime_kernel::time::{interval, sleep, sleep_until, timeout, timeout_at};
use runtime_kernel::{TaskHandle, spawn, spawn_blocking, yield_now};
use runtime_library::Runtime;
use runtime_library::calls::call_soon;
use runtime_library::cancellation::CancellationToken;
use runtime_library::combine::{as_completed, gather, join_all, shield, try_join_all, wait};
use runtime_library::task_local::{TaskLocal, inherit};
use runtime_library::task_scope::scope;

static NUMBER: TaskLocal<usize> = TaskLocal::new("NUMBER");

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// Awaits handles of tasks that have ended.
async fn await_ended<R, H: TaskHandle<T>, T>(loops: Loops<R>, handles: Vec<H>) {
    until(|| handles.iter().all(H::is_finished)).await;
    for (_, handle) in loops.rounds().zip(handles) {
        assert!(handle.await.is_ok());
    }
}

pub(super) fn operations<R: Runtime>() -> Vec<Operation<R>> {
    let mut all = vec![
        operation(
            "tasks that have ended",
            &["task/join.rs: Future for JoinHandle"],
            |loops: Loops<R>| await_ended(loops, (0..ROUNDS).map(|_| spawn(async {})).collect()),
        ),
        operation("blocking jobs that have ended", &[], |loops: Loops<R>| {
            await_ended(loops, (0..ROUNDS).map(|_| spawn_blocking(|| ())).collect())
        }),
        operation(
            "calls that were made",
            &["calls/handle.rs: Future for CallHandle"],
            |loops: Loops<R>| async move {
                let calls: Vec<_> = (0..ROUNDS).map(|_| call_soon(|| ())).collect();
                until(|| calls.iter().all(|call| call.is_finished())).await;
                for (_, call) in loops.rounds().zip(calls) {
                    call.await.expect("it was made");
                }
            },
        ),
        operation(
            "a promise that was kept",
            &["promise.rs: Future for Promised"],
            |loops: Loops<R>| async move {
                let promise = Promise::new();
                let promised = promise.future();
                promise.set_result(7);
                for _ in loops.rounds() {
                    assert_eq!(promised.clone().await, Ok(7));
                }
            },
        ),
        operation(
            "the budget",
            &[
                "budget/mod.rs: consume_budget",
                "budget/mod.rs: poll_consume",
            ],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    consume_budget().await;
                }
            },
        ),
        operation(
            "values of a task",
            &["task_local.rs: Future for Scoped"],
            |loops: Loops<R>| async move {
                for round in loops.rounds() {
                    NUMBER.scope(round, async {}).await;
                }
                for _ in loops.rounds() {
                    inherit(async {}).await;
                }
            },
        ),
        operation(
            "a scope without children",
            &["task_scope/future.rs: Future for RunScope"],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    let ended = scope(|_| async { Ok::<_, ()>(1) }).await;
                    assert!(ended.is_ok());
                }
            },
        ),
        operation(
            "values of a scope's children",
            &["task_scope/handle.rs: Future for ScopedHandle"],
            |loops: Loops<R>| async move {
                let ended = scope(|children| async move {
                    let handles: Vec<_> = (0..ROUNDS)
                        .map(|_| children.spawn(async { Ok::<_, ()>(()) }))
                        .collect();
                    await_ended(loops, handles).await;
                    Ok(())
                });
                assert!(ended.await.is_ok());
            },
        ),
    ];
    all.extend(cancelling());
    all.extend(combining());
    all.extend(timing());
    all
}

fn cancelling<R: Runtime>() -> Vec<Operation<R>> {
    vec![operation(
        "a token that was cancelled",
        &[
            "cancellation/token.rs: Future for Cancelled",
            "cancellation/token.rs: cancelled_owned",
            "cancellation/token.rs: run_until_cancelled",
        ],
        |loops: Loops<R>| async move {
            let token = CancellationToken::new();
            for _ in loops.rounds() {
                assert_eq!(token.run_until_cancelled(async { 1 }).await, Some(1));
            }
            token.cancel();
            for _ in loops.rounds() {
                token.cancelled().await;
            }
            for _ in loops.rounds() {
                token.cancelled_owned().await;
            }
            for _ in loops.rounds() {
                assert_eq!(token.run_until_cancelled(pending::<()>()).await, None);
            }
        },
    )]
}

fn combining<R: Runtime>() -> Vec<Operation<R>> {
    vec![
        operation(
            "nothing, gathered",
            &["combine/gather.rs: Future for Gather"],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    let none = gather(Vec::<JoinHandle<()>>::new()).await;
                    assert!(none.is_ok_and(|values| values.is_empty()));
                }
                for _ in loops.rounds() {
                    join_all([async {}]).await;
                }
                for _ in loops.rounds() {
                    let failed = try_join_all([async { Err::<(), _>(1) }]).await;
                    assert_eq!(failed, Err(1));
                }
            },
        ),
        operation(
            "nothing, waited for",
            &["combine/wait.rs: Future for Wait"],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    let none = wait(Vec::<JoinHandle<()>>::new()).await;
                    assert!(none.done.is_empty());
                }
                let mut never = pin!(pending::<()>());
                for _ in loops.rounds() {
                    let waited = wait([never.as_mut()]).timeout(Duration::ZERO).await;
                    assert_eq!(waited.pending.len(), 1);
                }
                for _ in loops.rounds() {
                    let waited = wait([std::future::ready(1)]).first_completed().await;
                    assert_eq!(waited.done, [(0, 1)]);
                }
            },
        ),
        operation(
            "nothing, as completed",
            &[
                "combine/as_completed.rs: next",
                "combine/as_completed.rs: Stream for AsCompleted",
            ],
            |loops: Loops<R>| async move {
                let mut none = as_completed(Vec::<JoinHandle<()>>::new());
                for _ in loops.rounds() {
                    assert!(none.next().await.is_none());
                }
                for _ in loops.rounds() {
                    assert!(
                        poll_fn(|cx| Pin::new(&mut none).poll_next(cx))
                            .await
                            .is_none()
                    );
                }
                let mut ready = as_completed((0..ROUNDS).map(std::future::ready));
                for round in loops.rounds() {
                    assert_eq!(ready.next().await, Some((round, round)));
                }
            },
        ),
        operation(
            "a shield that was aborted",
            &["combine/shield.rs: Future for Shield"],
            |loops: Loops<R>| async move {
                let task = spawn(pending::<()>());
                let abort = task.abort_handle();
                let mut shielded = shield(task);
                TaskHandle::<()>::abort(&shielded);
                for _ in loops.rounds() {
                    assert!((&mut shielded).await.is_err());
                }
                abort.abort();
            },
        ),
    ]
}

fn timing<R: Runtime>() -> Vec<Operation<R>> {
    vec![
        operation(
            "a limit that is over",
            &["time/timeout.rs: Future for Timeout"],
            |loops: Loops<R>| async move {
                let mut task = spawn(pending::<()>());
                for _ in loops.rounds() {
                    assert!(timeout(Duration::ZERO, &mut task).await.is_err());
                }
                let past = Instant::now();
                for _ in loops.rounds() {
                    assert!(timeout_at(past, &mut task).await.is_err());
                }
                task.abort();
                for _ in loops.rounds() {
                    assert_eq!(timeout(Duration::MAX, async { 1 }).await, Ok(1));
                }
                let runtime = &loops.runtime;
                for _ in loops.rounds() {
                    let never = pending::<()>();
                    assert!(runtime.timeout(Duration::ZERO, never).await.is_err());
                }
            },
        ),
        operation(
            "a time that is past",
            &["time/sleep.rs: Future for Sleep"],
            |loops: Loops<R>| async move {
                for _ in loops.rounds() {
                    sleep(Duration::ZERO).await;
                }
                let past = Instant::now();
                for _ in loops.rounds() {
                    sleep_until(past).await;
                }
                for _ in loops.rounds() {
                    loops.runtime.sleep(Duration::ZERO).await;
                }
            },
        ),
        operation(
            "ticks that are due",
            &["time/interval.rs: tick", "time/interval.rs: poll_tick"],
            |loops: Loops<R>| async move {
                let mut ticks = interval(Duration::from_nanos(1));
                for _ in loops.rounds() {
                    ticks.tick().await;
                }
                for _ in loops.rounds() {
                    poll_fn(|cx| ticks.poll_tick(cx)).await;
                }
            },
        ),
    ]
}
