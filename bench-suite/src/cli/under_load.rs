//! The commands that ask what a server does under load: `lab latency`, `lab capacity`, `lab advise`.

use clap::Args;

use super::CompareArgs;
use super::groups::{ArmArgs, KeepArgs};

/// Servers under load, and who runs them.
#[derive(Clone, Debug, Default, Args)]
pub struct LoadedArgs {
    /// Workloads, of those with a rate: echo, http, mixed, service [default: echo].
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// The runtimes and settings to measure.
    #[command(flatten)]
    pub arms: ArmArgs,
    /// A few short processes, to check that it runs.
    #[arg(long)]
    pub quick: bool,
    /// The seed, and where the results go.
    #[command(flatten)]
    pub keep: KeepArgs,
}

impl From<&LoadedArgs> for CompareArgs {
    fn from(loaded: &LoadedArgs) -> Self {
        Self {
            workloads: loaded.workloads.clone(),
            arms: loaded.arms.clone(),
            quick: loaded.quick,
            keep: loaded.keep.clone(),
            ..Self::default()
        }
    }
}

/// `lab latency`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab latency                                  echo under n1, mn, threads and tokio-mt
  lab latency http mixed --runtime n1,mn
  lab latency echo --param connections=1000 --runtime mn,tokio-mt,go
  lab latency echo --quick

Latency is measured from the intended start of each request (open loop), at 30, 60 and 90% of the
slowest arm's closed-loop rate. The table also shows the closed loop, and marks it where it hides
waiting. Each arm's curve continues to the first rate that the arm can't sustain. Takes about 2
minutes for each workload.")]
pub struct LatencyArgs {
    /// The servers to put under load.
    #[command(flatten)]
    pub loaded: LoadedArgs,
    /// Exact number of processes at each rate. Removes the limit on the total time.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
}

/// `lab capacity`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab capacity                                 echo: the highest rate at p99 <= 5 ms, of each arm
  lab capacity http --p99-ms 2 --runtime n1,mn,tokio-mt,go
  lab capacity echo --repeats 10               ten whole searches, to see how far apart they are

A probe is a process under load in the open loop. The search probes where the answer is least
certain, until 95% of the posterior lies within 4% on either side. A probe that misses the target
while the client itself is late does not count. Takes about 20 s for each arm.")]
pub struct CapacityArgs {
    /// The servers to put under load.
    #[command(flatten)]
    pub loaded: LoadedArgs,
    /// The target: 99 in 100 requests are answered within this many milliseconds of their intended start.
    #[arg(
        long,
        value_name = "X",
        default_value_t = 5.0,
        allow_negative_numbers = true
    )]
    pub p99_ms: f64,
    /// Number of complete searches for each arm.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub repeats: u32,
}

/// `lab advise`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "\
Examples:
  lab advise                                             asks you, on a terminal
  lab advise --connections 1000 --cpu-us 20 --p99-ms 5
  lab advise --cpu-us 200 --blocking 5% --block-us 2000 --p99-ms 20

Measures the mix as the workload `service` under n1, mn and threads: first the highest rate that
each sustains within the target, then latency, CPU time and memory at a rate that all sustain.
Takes about a minute and a half.")]
pub struct AdviseArgs {
    /// Number of connections that are open at once [default: 64].
    #[arg(long, value_name = "N")]
    pub connections: Option<u64>,
    /// CPU time of a request, in microseconds [default: 50].
    #[arg(long, value_name = "N")]
    pub cpu_us: Option<u64>,
    /// How long a request waits without holding anything up, in microseconds [default: 500].
    #[arg(long, value_name = "N")]
    pub wait_us: Option<u64>,
    /// Share of the requests that call a blocking function, such as 0.05 or 5% [default: 0].
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub blocking: Option<String>,
    /// How long such a call blocks, in microseconds [default: 1000].
    #[arg(long, value_name = "N")]
    pub block_us: Option<u64>,
    /// The target: 99 in 100 requests are answered within this many milliseconds [default: 10].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub p99_ms: Option<f64>,
    /// Number of worker threads of M:N [default: the number of cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Fewer and shorter processes, to check that it runs.
    #[arg(long)]
    pub quick: bool,
    /// The seed, and where the results go.
    #[command(flatten)]
    pub keep: KeepArgs,
}

impl AdviseArgs {
    /// Whether no flag describes the mix.
    pub(crate) fn says_nothing(&self) -> bool {
        let numbers = [self.connections, self.cpu_us, self.wait_us, self.block_us];
        numbers.iter().all(Option::is_none) && self.blocking.is_none() && self.p99_ms.is_none()
    }
}
