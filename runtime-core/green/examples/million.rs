//! A million green tasks, all suspended at the same time: `million [n1|mn] [TASKS]`. It prints what they cost.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use runtime_core::green;
use runtime_core::sync::Semaphore;
use runtime_core::{JoinError, Native};

fn number_after(file: &str, prefix: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(prefix));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    number
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

/// Anonymous memory, page tables (in bytes), and mappings.
fn usage() -> [u64; 3] {
    [
        number_after("/proc/self/smaps_rollup", "Anonymous:") * 1024,
        number_after("/proc/self/status", "VmPTE:") * 1024,
        fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count() as u64),
    ]
}

async fn measure<R: Native>(runtime: R, tasks: u64) {
    let begun = Arc::new(Semaphore::new(0));
    let mut handles = Vec::with_capacity(tasks as usize);
    handles.resize_with(handles.capacity(), || None);
    let (before, start) = (usage(), Instant::now());
    for handle in &mut handles {
        let begun = Arc::clone(&begun);
        *handle = Some(green::spawn_on(&runtime, move || {
            begun.add_permits(1);
            drop(begun);
            green::wait(std::future::pending::<()>());
        }));
    }
    for _ in 0..tasks {
        begun.acquire().await.expect("it is open").forget();
    }
    let (after, took) = (usage(), start.elapsed());
    let each = |index: usize| (after[index] - before[index]) as f64 / tasks as f64;
    println!(
        "{tasks} green tasks suspended under {} after {took:?}",
        R::NAME
    );
    println!(
        "  {:.1} bytes each, and {:.1} of page tables",
        each(0),
        each(1)
    );
    println!("  {} mappings in the process", after[2]);
    println!("  {:?}", green::stack_stats());
    let start = Instant::now();
    for handle in handles.iter().flatten() {
        handle.abort();
    }
    for handle in handles.into_iter().flatten() {
        assert!(matches!(handle.await, Err(JoinError::Cancelled)));
    }
    println!(
        "  unwound after {:?}: {:?}",
        start.elapsed(),
        green::stack_stats()
    );
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "n1".to_owned());
    let tasks = arguments.next().and_then(|tasks| tasks.parse().ok());
    let tasks = tasks.unwrap_or(1_000_000);
    if model == "mn" {
        let runtime = runtime_mn::Runtime::new()?;
        let handle = runtime.handle().clone();
        runtime.block_on(measure(handle, tasks));
    } else {
        let event_loop = runtime_n1::Loop::new()?;
        let handle = event_loop.handle().clone();
        event_loop.block_on(measure(handle, tasks));
    }
    Ok(())
}
