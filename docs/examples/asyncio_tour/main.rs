//! The examples of an introduction to asyncio, each run unchanged by a loop, by work-stealing workers, and by a thread
//! per task: `cargo run -p docs --example asyncio_tour -- as-completed --runtime mn`.
//!
//! Each file is one example, and begins at `run`. The examples fetch from their own [`site`], with a small HTTP
//! [`client`], so they need no network. Built for testing, this program is its own test: see `checks.rs`.

// `pub` items of a file are for the neighbouring files. A program has no outside users.
#![allow(unreachable_pub)]

mod as_completed;
mod call_later;
#[cfg(test)]
mod checks;
mod client;
mod condition;
mod download;
mod executor;
mod five_urls;
mod load;
mod queue;
mod schedule;
mod semaphore;
mod site;
mod wait;

use std::io;
use std::process::ExitCode;

use runtime_core::{Launch, LaunchConfig, Runtime};

/// Name, arguments, and what the example shows.
const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "callbacks",
        "",
        "five URLs with callbacks and deferreds, as in Twisted",
    ),
    (
        "state-machine",
        "",
        "five URLs with state machines, as in Tornado",
    ),
    (
        "async-await",
        "",
        "five URLs with async functions, as in asyncio",
    ),
    (
        "as-completed",
        "",
        "four URLs, each handled when it is there",
    ),
    (
        "wait",
        "",
        "waiting for the first, for the first failure, for all, or not for long",
    ),
    (
        "call-later",
        "",
        "functions that are called soon, later, at a time",
    ),
    ("semaphore", "", "200 pages, at most 50 at once"),
    (
        "queue",
        "",
        "a huge file, read no further ahead than the workers can bear",
    ),
    ("condition", "", "five workers, notified a few at a time"),
    ("executor", "", "blocking functions on threads of their own"),
    ("schedule", "", "jobs that are done again and again"),
    (
        "load",
        "[URL [REQUESTS]]",
        "a small load test of a web server",
    ),
    (
        "download",
        "[LIST FOLDER]",
        "a file of addresses, downloaded by ten workers",
    ),
];

const RUNTIMES: [&str; 3] = ["n1", "mn", "threads"];

fn main() -> ExitCode {
    #[cfg(test)]
    if !checks::is_under_test() {
        return checks::main();
    }
    let words = std::env::args().skip(1);
    if words.len() == 0 {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = Command::parse(words) else {
        eprint!("{}", usage());
        return ExitCode::from(2);
    };
    for runtime in &command.runtimes {
        if command.runtimes.len() > 1 {
            println!("--- {runtime}");
        }
        if let Err(error) = launch(runtime, command.clone()) {
            eprintln!("asyncio_tour: {} under {runtime}: {error}", command.example);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

// ANCHOR: launch
/// The same program under any of the three: only the line that starts it differs.
fn launch(runtime: &str, command: Command) -> io::Result<()> {
    let config = LaunchConfig::default();
    match runtime {
        "n1" => runtime_n1::N1::run(&config, |rt| run(rt, command))?,
        "mn" => runtime_mn::Mn::run(&config, |rt| run(rt, command))?,
        _ => runtime_threads::Threads::run(&config, |rt| run(rt, command))?,
    }
}
// ANCHOR_END: launch

async fn run<R: Runtime>(rt: R, command: Command) -> io::Result<()> {
    match command.example {
        "callbacks" => five_urls::callbacks::run().await,
        "state-machine" => five_urls::state_machine::run().await,
        "async-await" => five_urls::async_await::run().await,
        "as-completed" => as_completed::run().await,
        "wait" => wait::run().await,
        "call-later" => call_later::run(rt).await,
        "semaphore" => semaphore::run().await,
        "queue" => queue::run().await,
        "condition" => condition::run().await,
        "executor" => executor::run().await,
        "schedule" => schedule::run().await,
        "load" => load::run(command.arguments).await,
        "download" => download::run(command.arguments).await,
        other => unreachable!("{other} is in the list of examples and starts none"),
    }
}

#[derive(Clone)]
struct Command {
    example: &'static str,
    runtimes: Vec<&'static str>,
    /// The arguments after the name.
    arguments: Vec<String>,
}

impl Command {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let name = words.next()?;
        let (example, takes, _) = EXAMPLES.iter().find(|(example, ..)| *example == name)?;
        let mut command = Self {
            example,
            runtimes: RUNTIMES.to_vec(),
            arguments: Vec::new(),
        };
        while let Some(word) = words.next() {
            if word == "--runtime" {
                let name = words.next()?;
                command.runtimes = vec![RUNTIMES.iter().find(|runtime| **runtime == name)?];
            } else if takes.is_empty() {
                return None;
            } else {
                command.arguments.push(word);
            }
        }
        Some(command)
    }
}

fn usage() -> String {
    let mut usage =
        "usage: asyncio_tour EXAMPLE [--runtime n1|mn|threads]   (without: under all three)\n"
            .to_owned();
    for (name, takes, about) in EXAMPLES {
        usage += &format!("  {:<28}{about}\n", format!("{name} {takes}"));
    }
    usage
}
