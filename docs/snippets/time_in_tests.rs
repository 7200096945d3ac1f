//! Time in tests: half an hour takes a millisecond.

use std::future::Future;
use std::time::Duration;

use runtime_core::sleep;

// ANCHOR: code
/// Tries repeatedly, with pauses that start at a minute and double; gives up after the fifth pause.
pub async fn with_retries<F, R, T, E>(mut attempt: F) -> Result<T, E>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, E>>,
{
    for pause in [1, 2, 4, 8, 16] {
        if let Ok(done) = attempt().await {
            return Ok(done);
        }
        sleep(Duration::from_secs(60 * pause)).await;
    }
    attempt().await
}
// ANCHOR_END: code

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_core::time::{now, timeout};

    // ANCHOR: test
    use runtime_core::time::Clock;
    use runtime_n1::Loop;

    #[test]
    fn it_gives_up_after_half_an_hour() {
        let event_loop = Loop::builder().clock(Clock::simulated()).build().unwrap();
        event_loop.block_on(async {
            let before = now();
            let outcome = with_retries(|| async { Err::<(), _>("nobody is there") }).await;
            assert_eq!(outcome, Err("nobody is there"));
            assert_eq!((now() - before).as_secs(), 31 * 60);
        });
    }
    // ANCHOR_END: test

    #[test]
    fn it_does_so_under_the_other_models() {
        let half_an_hour = async || {
            let before = now();
            let outcome = with_retries(|| async { Err::<(), _>(()) }).await;
            assert_eq!(outcome, Err(()));
            assert_eq!((now() - before).as_secs(), 31 * 60);
        };
        let mn = runtime_mn::Runtime::builder().clock(Clock::simulated());
        mn.build()
            .unwrap()
            .block_on(async move { half_an_hour().await });
        let threads = runtime_threads::Runtime::builder().clock(Clock::simulated());
        threads
            .build()
            .unwrap()
            .block_on(async move { half_an_hour().await });
    }

    #[test]
    fn a_thread_that_holds_the_clock_is_waited_for() {
        let clock = Clock::simulated();
        let builder = runtime_mn::Runtime::builder().clock(clock.clone());
        let outcome = builder.build().unwrap().block_on(async move {
            // ANCHOR: hold
            let (sender, receiver) = runtime_core::sync::oneshot::channel();
            let hold = clock.hold();
            std::thread::spawn(move || {
                // ... asks a device, which takes as long as it takes ...
                let _ = sender.send("an answer");
                drop(hold);
            });
            let answer = timeout(Duration::from_secs(1), receiver).await;
            // ANCHOR_END: hold
            answer
        });
        assert_eq!(outcome.unwrap().unwrap(), "an answer");
    }
}
