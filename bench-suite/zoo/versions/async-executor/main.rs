//! A fault that async-executor had, for the time machine. The arguments are the fault, its size and the workers; the
//! output is a line of JSON.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_executor::Executor;
use futures_lite::{future, FutureExt};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(arguments[0], "panic-storm");
    let number = |place: usize| arguments[place].parse::<usize>().unwrap();
    let (size, workers) = (number(1), number(2));
    std::panic::set_hook(Box::new(|_| {}));
    let executor = Arc::new(Executor::new());
    for _ in 0..workers {
        let executor = executor.clone();
        std::thread::spawn(move || future::block_on(executor.run(future::pending::<()>())));
    }
    // Once the last worker is gone, no task ends any more.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(5));
        println!("{{\"failed\": \"no worker is left: nothing runs any more\"}}");
        std::process::exit(0);
    });
    let mut reported = 0;
    for _ in 0..size {
        let task = executor.spawn(async { panic!("on purpose") });
        let outcome: Result<(), _> = future::block_on(AssertUnwindSafe(task).catch_unwind());
        let payload = outcome.err();
        let text = payload.as_ref().and_then(|payload| payload.downcast_ref::<&str>());
        reported += u64::from(text == Some(&"on purpose"));
    }
    future::block_on(executor.spawn(async {}));
    println!("{{\"value\": {}}}", reported);
    std::process::exit(0);
}
