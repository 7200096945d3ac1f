//! The zoo under may. The arguments are the pathology, its size and the workers; the output is lines of JSON.
//! src/zoo/pathologies describes the programs, and src/zoo/client.rs describes the server's answers.
//!
//! This is blocking code in coroutines, with `may::sync` and `may::net` instead of the standard library's. Pure
//! blocking calls are the standard library's on purpose.

mod programs;
mod server;

use std::io::Write;
use std::time::{Duration, Instant};

use may::go;

/// A coroutine takes two of Linux's default limit of 65,530 mappings: its stack and the guard page.
const MAX_COROUTINES: usize = 32_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize| arguments[index].parse::<usize>().expect("a number");
    let (size, workers) = (number(2), number(3));
    may::config().set_workers(workers);
    // Don't print ten thousand panics.
    std::panic::set_hook(Box::new(|_| {}));
    let program: fn(usize, usize) -> f64 = match arguments[1].as_str() {
        "idle-wakeups" => programs::idle_wakeups,
        "lifo-chain" => programs::lifo_chain,
        "lifo-hostage" => programs::lifo_hostage,
        "priority-inversion" => programs::priority_inversion,
        "mutex-convoy" => programs::mutex_convoy,
        "outside-spawns" => programs::outside_spawns,
        "panic-storm" => programs::panic_storm,
        "await-chain" => {
            if size > MAX_COROUTINES {
                let why = format!("{size} coroutines are twice as many mappings, and a system has room for 65530");
                return say(&format!("{{\"failed\": \"{why}\"}}"));
            }
            programs::await_chain
        }
        "queue-bound" => programs::queue_bound,
        _ => return server::serve(),
    };
    match go!(move || program(size, workers)).join() {
        Ok(value) => say(&format!("{{\"value\": {value}}}")),
        Err(_) => say("{\"failed\": \"the program panicked\"}"),
    }
    // Coroutines that wait forever don't keep the process alive, but dropping what they hold may.
    std::process::exit(0);
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // If the lab is gone, this process is about to be killed too.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Occupies the thread for this time.
fn compute(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn sum_of(path: &str, name: &str, field: usize) -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let of_a_task = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join(path)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(field)?.parse::<f64>().ok()
    };
    tasks.flatten().filter_map(of_a_task).sum()
}

/// Voluntary context switches of the existing threads.
fn switches() -> f64 {
    sum_of("status", "voluntary_ctxt_switches:", 0)
}

/// CPU time of the existing threads, in nanoseconds.
fn cpu() -> f64 {
    sum_of("schedstat", "", 0)
}
