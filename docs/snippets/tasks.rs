//! Spawning, awaiting, aborting; panics.

use runtime_core::{JoinError, Runtime, TaskHandle as _};

/// A task's handle yields its output.
pub async fn spawn_and_await<R: Runtime>(rt: R) -> Result<u64, JoinError> {
    // ANCHOR: spawn
    let handle = rt.spawn(async { 6 * 7 });
    // The task runs whether or not its handle is awaited.
    let answer = handle.await?;
    // ANCHOR_END: spawn
    Ok(answer)
}

/// A panic stays in its task.
pub async fn a_panic_stays_in_its_task<R: Runtime>(rt: R) -> String {
    // ANCHOR: panic
    let handle = rt.spawn(async { panic!("out of cheese") });
    let message = match handle.await {
        Ok(()) => "no panic".to_owned(),
        // The payload is what `panic!` was given.
        Err(error) if error.is_panic() => match error.into_panic().downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "a payload of another type".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    // ANCHOR_END: panic
    message
}

/// An abort takes effect where the task waits.
pub async fn abort<R: Runtime>(rt: R) -> bool {
    // ANCHOR: abort
    let handle = rt.spawn(std::future::pending::<()>());
    handle.abort();
    // The handle reports only after the future has been dropped.
    let cancelled = matches!(handle.await, Err(JoinError::Cancelled));
    // ANCHOR_END: abort
    cancelled
}

#[cfg(test)]
mod tests {
    use crate::under_all_three;

    #[test]
    fn a_handle_yields_the_output() {
        under_all_three!(|rt| assert_eq!(super::spawn_and_await(rt).await.unwrap(), 42));
    }

    #[test]
    fn a_panic_is_an_error_of_the_handle() {
        under_all_three!(|rt| {
            assert_eq!(super::a_panic_stays_in_its_task(rt).await, "out of cheese");
        });
    }

    #[test]
    fn an_aborted_task_is_cancelled() {
        under_all_three!(|rt| assert!(super::abort(rt).await));
    }
}
