//! Executors, child processes and signals.

use std::io;
use std::time::Duration;

use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt as _, AsyncWriteExt as _};
use runtime_core::JoinError;
use runtime_core::blocking::{Executor, run_in_executor};
use runtime_core::process::{Command, ExitStatus, Stdio};
use runtime_core::signal::{SignalKind, signal};

/// At most two at a time, whatever else the runtime has to do.
pub async fn two_at_a_time() -> Result<u64, JoinError> {
    // ANCHOR: executor
    let database = Executor::new("database", 2);
    let queries: Vec<_> = (0..10_u64)
        .map(|id| run_in_executor(&database, move || id * id))
        .collect();
    let mut sum = 0;
    for query in queries {
        sum += query.await?;
    }
    // ANCHOR_END: executor
    Ok(sum)
}

/// Talks to a process line by line.
pub async fn converse() -> io::Result<String> {
    // ANCHOR: converse
    let mut child = Command::new("tr")
        .args(["a-z", "A-Z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().expect("it was piped");
    let mut output = BufReader::new(child.stdout.take().expect("it was piped"));
    input.write_all(b"loud and clear\n").await?;
    drop(input); // the end of its input
    let mut line = String::new();
    output.read_line(&mut line).await?;
    assert!(child.wait().await?.success());
    // ANCHOR_END: converse
    Ok(line)
}

/// Ends a process that takes too long.
pub async fn give_up() -> io::Result<ExitStatus> {
    // ANCHOR: give_up
    let mut child = Command::new("sleep").arg("1000").spawn()?;
    let waited = runtime_core::timeout(Duration::from_millis(10), child.wait()).await;
    let status = match waited {
        Ok(status) => status?,
        Err(_elapsed) => child.kill().await?,
    };
    // ANCHOR_END: give_up
    Ok(status)
}

/// Reloads until a signal asks it to end.
pub async fn reload_until_terminated() -> io::Result<u32> {
    // ANCHOR: signals
    let mut reload = signal(SignalKind::HANGUP)?;
    let mut terminate = signal(SignalKind::TERMINATE)?;
    let mut reloaded = 0;
    loop {
        let again =
            futures_lite::future::or(async { terminate.recv().await.map(|()| false) }, async {
                reload.recv().await.map(|()| true)
            });
        match again.await {
            Some(true) => reloaded += 1, // read the configuration again
            Some(false) | None => break,
        }
    }
    // ANCHOR_END: signals
    Ok(reloaded)
}

#[cfg(test)]
mod tests {
    use crate::under_all_three;
    use runtime_core::process::Command;

    #[test]
    fn an_executor_returns_what_its_jobs_return() {
        under_all_three!(|_rt| assert_eq!(super::two_at_a_time().await.expect("jobs"), 285));
    }

    #[test]
    fn a_process_answers_through_its_pipes() {
        under_all_three!(|_rt| {
            assert_eq!(super::converse().await.expect("tr"), "LOUD AND CLEAR\n");
        });
    }

    #[test]
    fn a_process_that_takes_too_long_is_killed() {
        under_all_three!(|_rt| assert!(!super::give_up().await.expect("sleep").success()));
    }

    #[test]
    fn a_program_reloads_until_it_is_told_to_end() {
        under_all_three!(|_rt| {
            let pid = std::process::id().to_string();
            // Turn off the default action before a signal is sent.
            let _early = super::signal(super::SignalKind::TERMINATE).expect("listen");
            let told = runtime_core::spawn(super::reload_until_terminated());
            while !told.is_finished() {
                let mut kill = Command::new("kill");
                let sent = kill.args(["-TERM", &pid]).status().await;
                assert!(sent.expect("kill").success());
            }
            assert_eq!(told.await.expect("a task").expect("signals"), 0);
        });
    }
}
