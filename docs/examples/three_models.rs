//! One program, run under the three models: `cargo run -p docs --example three_models`.
// ANCHOR: program
use std::time::Duration;

use runtime_core::{ChannelReceiver, ChannelSender, Launch, LaunchConfig, Runtime};

/// Ten tasks wait for 50 ms at the same time, and each sends a number.
async fn sum_of_ten<R: Runtime>(rt: R) -> (&'static str, u64, Duration) {
    let begun = rt.now();
    let (sender, mut receiver) = rt.channel(4);
    for number in 1..=10_u64 {
        let (sender, clock) = (sender.clone(), rt.clone());
        drop(rt.spawn(async move {
            clock.sleep(Duration::from_millis(50)).await;
            sender.send(number).await
        }));
    }
    drop(sender); // the channel closes when the last task has sent its number
    let mut sum = 0;
    while let Some(number) = receiver.recv().await {
        sum += number;
    }
    (rt.name(), sum, begun.elapsed())
}

fn main() -> std::io::Result<()> {
    let config = LaunchConfig::default();
    println!("{:?}", runtime_n1::N1::run(&config, sum_of_ten)?);
    println!("{:?}", runtime_mn::Mn::run(&config, sum_of_ten)?);
    println!("{:?}", runtime_threads::Threads::run(&config, sum_of_ten)?);
    Ok(())
}
// ANCHOR_END: program
