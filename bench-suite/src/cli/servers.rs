//! Servers, the load on them, and soaks.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::duration::parse_duration;
use super::groups::SchedulerArgs;

/// What `lab serve` and `lab load` speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Sends back every byte.
    Echo,
    /// HTTP/1.1, keep-alive.
    Http,
}

/// `lab serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab serve http --runtime mn --addr 127.0.0.1:8080
  lab serve echo --runtime threads --addr 127.0.0.1:0    port 0 picks a free port
  lab serve echo --runtime mn --addr 127.0.0.1:7000 --hogs 4
  lab serve echo --runtime mn --green --addr 127.0.0.1:7000    tasks with their own stacks
  lab serve http --runtime mn --addr 127.0.0.1:8080 --metrics 127.0.0.1:9100
  lab serve echo --runtime mn --addr 127.0.0.1:7000 --tasks 127.0.0.1:7001    for `lab ps`
  lab serve http --runtime mn --addr 127.0.0.1:8080 --flight flights    a flight recorder

Prints `listening HOST:PORT` when ready, then `metrics HOST:PORT` and `tasks HOST:PORT` if
requested. `GET /metrics` returns the runtime's counters for Prometheus, and `lab ps` shows the
live tasks, even while every worker is stuck. SIGINT, SIGTERM and SIGHUP end it with code 0.")]
pub struct ServeArgs {
    /// What to serve.
    #[arg(value_enum)]
    pub protocol: Protocol,
    /// The runtime that runs the server.
    #[arg(long, value_name = "R")]
    pub runtime: String,
    /// Use green tasks: the same as `--runtime R-green`.
    #[arg(long)]
    pub green: bool,
    /// The address to listen on; port 0 picks a free port.
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: String,
    /// Number of worker threads, for runtimes with several [default: the number of cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// CPU-bound tasks beside the server. Each repeatedly computes for 100 ms and sleeps for 10 ms.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub hogs: usize,
    /// Record all the time, and write the latest events into this folder: on SIGUSR1, when a task panics, and after a
    /// poll of more than --flight-poll.
    #[arg(long, value_name = "DIR")]
    pub flight: Option<PathBuf>,
    /// How long a poll may take before --flight writes; `100ms` works too.
    #[arg(long, value_name = "S", default_value = "100ms", value_parser = parse_duration, requires = "flight")]
    pub flight_poll: Duration,
    /// The address at which `lab ps` gets the live tasks; port 0 picks a free port. The server then records what they
    /// wait for.
    #[arg(long, value_name = "HOST:PORT")]
    pub tasks: Option<String>,
    /// The address that serves metrics for Prometheus; port 0 picks a free port.
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics: Option<String>,
    /// Settings of the scheduler.
    #[command(flatten)]
    pub scheduler: SchedulerArgs,
}

/// `lab load`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab load echo --addr 127.0.0.1:7000 --closed --connections 64
  lab load http --addr 127.0.0.1:8080 --rate 5000 --duration 10
  lab load echo --addr 127.0.0.1:7000 --bytes 1024 --json load.json

With --rate, latency is measured from the intended start of each request (open loop). With
--closed, a connection's next request starts when its last one has ended. Ctrl-C ends the run with
a report of the measurements so far, and code 130.")]
pub struct LoadArgs {
    /// What the server speaks.
    #[arg(value_enum)]
    pub protocol: Protocol,
    /// The server.
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: String,
    /// Requests per second over all connections, at intended times.
    #[arg(long, value_name = "R", conflicts_with = "closed")]
    pub rate: Option<f64>,
    /// Send the next request when the last one has ended. This is the default without --rate.
    #[arg(long)]
    pub closed: bool,
    /// Number of connections.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connections: usize,
    /// Size of a message in bytes.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub bytes: usize,
    /// Duration, in seconds; `500ms` and `10s` work too.
    #[arg(long, value_name = "S", default_value = "5", value_parser = parse_duration)]
    pub duration: Duration,
    /// Write the measurements here, as JSON; `-` is standard output, and nothing else is printed there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `lab soak`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab soak --duration 30
  lab soak --duration 10m --runtime mn --workers 4
  lab soak --duration 60 --runtime mn --policy no-steal --seed 7

The runtimes share the time evenly. If something was left over or wrong, the message says what,
and the exit code is 1. The same --seed tries the same steps, but not in the same interleaving.")]
pub struct SoakArgs {
    /// Total duration, in seconds; `500ms`, `10s` and `5m` work too.
    #[arg(long, value_name = "S", value_parser = parse_duration)]
    pub duration: Duration,
    /// Runtimes [default: all of this project's].
    #[arg(long = "runtime", value_name = "R", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Number of worker threads, for runtimes with several [default: 1 to 4, another number at each restart].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Seed of the random order of steps [default: a new one, which is printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Settings of the scheduler.
    #[command(flatten)]
    pub scheduler: SchedulerArgs,
}
