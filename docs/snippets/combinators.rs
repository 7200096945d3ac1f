//! Waiting for many tasks, and tasks that belong together.

use std::time::Duration;

use runtime_core::calls::call_later;
use runtime_core::cancellation::CancellationToken;
use runtime_core::combine::{as_completed, gather, wait, wait_for};
use runtime_core::sync::oneshot;
use runtime_core::task_local::{TaskLocal, inherit};
use runtime_core::task_scope::{ScopeError, scope};
use runtime_core::time::sleep;
use runtime_core::{JoinError, spawn};

/// All of them, in order.
pub async fn all() -> Result<u64, JoinError> {
    // ANCHOR: gather
    let squares = (1..=10).map(|number: u64| spawn(async move { number * number }));
    let squares = gather(squares).await?;
    // ANCHOR_END: gather
    Ok(squares.iter().sum())
}

/// Each as soon as it is available.
pub async fn first_come() -> Vec<u64> {
    let mut order = Vec::new();
    // ANCHOR: as_completed
    let costs = [30, 10, 20];
    let mut fetched = as_completed(costs.map(|cost| {
        spawn(async move {
            sleep(Duration::from_millis(cost)).await;
            cost
        })
    }));
    while let Some((_, Ok(cost))) = fetched.next().await {
        order.push(cost);
    }
    // ANCHOR_END: as_completed
    order
}

/// The first one; the others are aborted.
pub async fn race() -> (usize, usize) {
    // ANCHOR: wait
    let tasks = [2, 3_600_000].map(|ms| spawn(sleep(Duration::from_millis(ms))));
    let waited = wait(tasks).first_completed().await;
    for (_, task) in &waited.pending {
        task.abort(); // `wait` cancels nothing
    }
    // ANCHOR_END: wait
    (waited.done.len(), waited.pending.len())
}

/// One task, with a time limit.
pub async fn limited() -> bool {
    // ANCHOR: wait_for
    let task = spawn(std::future::pending::<()>());
    let outcome = wait_for(task, Duration::from_millis(5)).await;
    // ANCHOR_END: wait_for
    outcome.is_err()
}

/// Tasks that belong together.
pub async fn together(numbers: &'static str) -> Result<u32, ScopeError<std::num::ParseIntError>> {
    // ANCHOR: scope
    scope(|children| async move {
        let parsed: Vec<_> = numbers
            .split(' ')
            .map(|number| children.spawn(async move { number.parse::<u32>() }))
            .collect();
        Ok(gather(parsed).await.map_or(0, |all| all.iter().sum()))
    })
    .await
    // ANCHOR_END: scope
}

/// A clean-up that awaits.
pub async fn ends_cleanly() -> bool {
    let work = std::future::pending::<()>();
    // ANCHOR: token
    let token = CancellationToken::new();
    let task = spawn({
        let token = token.child_token();
        async move {
            let finished = token.run_until_cancelled(work).await;
            sleep(Duration::from_millis(1)).await; // saying goodbye takes a while
            finished.is_none()
        }
    });
    token.cancel();
    // ANCHOR_END: token
    task.await.unwrap_or(false)
}

// ANCHOR: task_local
static REQUEST: TaskLocal<u32> = TaskLocal::new("REQUEST");

/// What a child knows about its parent's request.
pub async fn handle_request() -> Option<u32> {
    let child = inherit(async { REQUEST.try_with(|number| *number) });
    REQUEST.try_with(|_| ())?;
    spawn(child).await.ok().flatten()
}

/// A request with a number.
pub async fn serve() -> Option<u32> {
    REQUEST.scope(7, handle_request()).await
}
// ANCHOR_END: task_local

/// A call that is made, and one that is not.
pub async fn later() -> u32 {
    let (sender, receiver) = oneshot::channel();
    // ANCHOR: calls
    let too_late = call_later(Duration::from_secs(3600), || unreachable!());
    call_later(Duration::from_millis(2), move || {
        too_late.cancel();
        sender.send(2).expect("somebody waits");
    });
    // ANCHOR_END: calls
    receiver.await.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::under_all_three;

    #[test]
    fn the_programs_of_the_page_do_what_it_says() {
        under_all_three!(|_rt| {
            assert_eq!(super::all().await.unwrap(), 385);
            assert_eq!(super::first_come().await.len(), 3);
            assert_eq!(super::race().await, (1, 1));
            assert!(super::limited().await);
            assert_eq!(super::together("1 2 3").await.unwrap(), 6);
            let error = super::together("1 two 3").await.unwrap_err();
            assert!(error.first().failed().is_some());
            assert!(super::ends_cleanly().await);
            assert_eq!(super::serve().await, Some(7));
            assert_eq!(super::later().await, 2);
        });
    }
}
