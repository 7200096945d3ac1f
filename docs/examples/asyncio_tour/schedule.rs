//! Jobs that run repeatedly, as in a framework for scheduled jobs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::calls::every;
use runtime_core::sleep;
use runtime_core::sync::{Mutex, Queue};

// ANCHOR: program
const PERIOD: Duration = Duration::from_millis(20);

struct Jobs {
    /// The names of the jobs that have run.
    done: Queue<&'static str>,
    archive: Mutex<()>,
}

impl Jobs {
    async fn heartbeat(self: Arc<Self>) {
        let _ = self.done.put("heartbeat").await;
    }

    /// Takes longer than its period.
    async fn backup(self: Arc<Self>) {
        let outcome = match self.archive.try_lock() {
            None => "two backups at once",
            Some(_archive) => {
                sleep(2 * PERIOD).await;
                "backup"
            }
        };
        let _ = self.done.put(outcome).await;
    }
}

pub async fn run() -> io::Result<()> {
    let jobs = Arc::new(Jobs {
        done: Queue::unbounded(),
        archive: Mutex::new(()),
    });
    let (one, other) = (jobs.clone(), jobs.clone());
    let schedules = [
        // Each run has a small random delay, so that many programs with this schedule do not all begin at once.
        every(PERIOD)
            .jitter(PERIOD / 4)
            .spawn(move || one.clone().heartbeat()),
        // A run that is due while the previous one is in progress is skipped.
        every(PERIOD).spawn(move || other.clone().backup()),
    ];
    let (mut heartbeats, mut backups) = (0, 0);
    while heartbeats < 3 || backups < 3 {
        match jobs.done.get().await {
            Some("heartbeat") => heartbeats += 1,
            Some("backup") => backups += 1,
            other => return Err(io::Error::other(other.unwrap_or("closed"))),
        }
    }
    for schedule in schedules {
        schedule.abort(); // by itself it never ends
    }
    println!("a heartbeat, again and again");
    println!("a backup, again and again, never two at once");
    Ok(())
}
// ANCHOR_END: program
