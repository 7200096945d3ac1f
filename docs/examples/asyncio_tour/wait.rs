//! The forms of `wait`: it returns which tasks have ended and which have not, and cancels nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use runtime_core::combine::{Waited, wait};
use runtime_core::sleep;

/// Anything that can be awaited. It works the same for task handles.
type Job = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

// ANCHOR: program
/// The second fails, after the first has succeeded, and before the third does.
fn three_jobs() -> [Job; 3] {
    let job = |ms, outcome: fn() -> io::Result<()>| -> Job {
        Box::pin(async move {
            sleep(Duration::from_millis(ms)).await;
            outcome()
        })
    };
    let fail = || Err(io::Error::other("a failure"));
    [job(20, || Ok(())), job(220, fail), job(420, || Ok(()))]
}

pub async fn run() -> io::Result<()> {
    say(
        "FIRST_COMPLETED",
        wait(three_jobs()).first_completed().await,
    );
    say("FIRST_EXCEPTION", wait(three_jobs()).first_error().await);
    say("ALL_COMPLETED", wait(three_jobs()).await);
    let limit = Duration::from_millis(120);
    say("with a time-out", wait(three_jobs()).timeout(limit).await);
    Ok(())
}

fn say(what: &str, waited: Waited<Job>) {
    println!("{what}");
    for (index, outcome) in waited.done {
        match outcome {
            Ok(()) => println!("  job {index} is done"),
            Err(error) => println!("  job {index} is done: {error}"),
        }
    }
    for (index, _job) in waited.pending {
        println!("  job {index} is pending"); // and can be awaited again
    }
}
// ANCHOR_END: program
