//! Time-outs, and functions that block.

use std::time::Duration;

use runtime_core::{ChannelReceiver as _, ChannelSender as _, JoinError, Runtime};

/// When a time-out expires, it drops its future.
pub async fn give_up<R: Runtime>(rt: R) -> bool {
    // ANCHOR: timeout
    let never = std::future::pending::<()>();
    let outcome = rt.timeout(Duration::from_millis(10), never).await;
    // ANCHOR_END: timeout
    outcome.is_err()
}

/// A function that blocks belongs on its own thread.
pub async fn block<R: Runtime>(rt: R) -> Result<usize, JoinError> {
    // ANCHOR: blocking
    let lines = rt
        .spawn_blocking(|| {
            std::fs::read_to_string("Cargo.toml").map_or(0, |text| text.lines().count())
        })
        .await?;
    // ANCHOR_END: blocking
    Ok(lines)
}

/// The sender waits when the channel is full, so it never gets further ahead than the capacity.
pub async fn bounded<R: Runtime>(rt: R) -> u64 {
    // ANCHOR: channel
    let (sender, mut receiver) = rt.channel(10);
    let producer = rt.spawn(async move {
        for number in 0..1000_u64 {
            if sender.send(number).await.is_err() {
                break; // nobody is left to receive
            }
        }
    });
    let mut sum = 0;
    while let Some(number) = receiver.recv().await {
        sum += number;
    }
    drop(producer);
    // ANCHOR_END: channel
    sum
}

#[cfg(test)]
mod tests {
    use crate::under_all_three;

    #[test]
    fn a_time_out_ends_a_wait_that_never_would() {
        under_all_three!(|rt| assert!(super::give_up(rt).await));
    }

    #[test]
    fn a_blocking_function_returns_its_value() {
        under_all_three!(|rt| assert!(super::block(rt).await.unwrap() > 0));
    }

    #[test]
    fn a_bounded_channel_hands_over_everything() {
        under_all_three!(|rt| assert_eq!(super::bounded(rt).await, 499_500));
    }
}
