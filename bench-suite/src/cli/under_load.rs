//! The commands that ask what a server does under load: `lab latency`, `lab capacity`, `lab advise`.

use std::path::PathBuf;

use clap::Args;

use super::CompareArgs;

/// Servers under load, and who runs them.
#[derive(Clone, Debug, Default, Args)]
pub struct LoadedArms {
    /// Which workloads, of those with a rate: echo, http, mixed, service [default: echo].
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// Which runtimes [default: n1, mn, threads, tokio-mt].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Worker threads where there are several [default: the cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// A parameter's value, or several: each combination is measured.
    #[arg(long = "param", value_name = "KEY=V1,V2")]
    pub params: Vec<String>,
    /// Scheduling policies, each of them an arm of its own for the runtimes that have policies.
    #[arg(long = "policy", value_name = "A,B", value_delimiter = ',')]
    pub policies: Vec<String>,
    /// A decision of the policy and its values, each of them an arm of its own for the runtimes that have it.
    #[arg(long = "knob", value_name = "NAME=V1,V2")]
    pub knobs: Vec<String>,
    /// What the others are compared with [default: the best of the models].
    #[arg(long, value_name = "NAME")]
    pub baseline: Option<String>,
    /// A few short processes: to see that it runs.
    #[arg(long)]
    pub quick: bool,
    /// Seed of the order and of all random input [default: a new one, printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Write the results here as well; `-` is standard output, and nothing else is printed there then.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where results.json and report.html go; what is there is kept, under earlier/ [default: lab-out].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Say nothing while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

impl From<&LoadedArms> for CompareArgs {
    fn from(arms: &LoadedArms) -> Self {
        Self {
            workloads: arms.workloads.clone(),
            runtimes: arms.runtimes.clone(),
            workers: arms.workers,
            params: arms.params.clone(),
            policies: arms.policies.clone(),
            knobs: arms.knobs.clone(),
            baseline: arms.baseline.clone(),
            quick: arms.quick,
            seed: arms.seed,
            json: arms.json.clone(),
            out: arms.out.clone(),
            no_progress: arms.no_progress,
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

Latency counts from the intended start of each request (open loop), at 30, 60 and 90% of what the slowest arm
answers in the closed loop. The closed loop stands beside it, and is marked where it hides waiting. Each arm's curve
goes on to the first rate that it does not carry. About 2 minutes for each workload.")]
pub struct LatencyArgs {
    /// Who is put under load.
    #[command(flatten)]
    pub arms: LoadedArms,
    /// Processes at each rate, no more and no less. Lifts the limit on the whole time.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
}

/// `lab capacity`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab capacity                                 echo: the highest rate at p99 <= 5 ms, of each arm
  lab capacity http --p99-ms 2 --runtime n1,mn,tokio-mt,go
  lab capacity echo --repeats 10               ten whole searches: how far they are apart

A probe is a process under load in the open loop; the search asks where the answer is least certain, until 95%
of what it knows lie within 4% to either side. A target that is missed while the client itself is late does
not count. About 20 s for each arm.")]
pub struct CapacityArgs {
    /// Who is put under load.
    #[command(flatten)]
    pub arms: LoadedArms,
    /// The target: 99 in 100 requests are answered within so many milliseconds of their intended start.
    #[arg(long, value_name = "X", default_value_t = 5.0)]
    pub p99_ms: f64,
    /// Whole searches of each arm.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub repeats: u32,
}

/// `lab advise`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "\
Examples:
  lab advise                                             asks, on a terminal
  lab advise --connections 1000 --cpu-us 20 --p99-ms 5
  lab advise --cpu-us 200 --blocking 5% --block-us 2000 --p99-ms 20

The mix is measured as the workload `service` under n1, mn and threads: first the highest rate that each carries
within the target, then latency, CPU time and memory at a rate that all carry. About a minute and a half.")]
pub struct AdviseArgs {
    /// Connections at once [default: 64].
    #[arg(long, value_name = "N")]
    pub connections: Option<u64>,
    /// CPU time of a request, in microseconds [default: 50].
    #[arg(long, value_name = "N")]
    pub cpu_us: Option<u64>,
    /// For how long a request waits for others, in microseconds [default: 500].
    #[arg(long, value_name = "N")]
    pub wait_us: Option<u64>,
    /// Share of the requests that call something that blocks, such as 0.05 or 5% [default: 0].
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub blocking: Option<String>,
    /// For how long such a call blocks, in microseconds [default: 1000].
    #[arg(long, value_name = "N")]
    pub block_us: Option<u64>,
    /// The target: 99 in 100 requests are answered within so many milliseconds [default: 10].
    #[arg(long, value_name = "X")]
    pub p99_ms: Option<f64>,
    /// Worker threads of M:N [default: the cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Fewer and shorter processes: to see that it runs.
    #[arg(long)]
    pub quick: bool,
    /// Seed of the order and of all random input [default: a new one, printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Write the results here as well; `-` is standard output, and nothing else is printed there then.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where results.json and report.html go; what is there is kept, under earlier/ [default: lab-out].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Say nothing while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

impl AdviseArgs {
    /// Whether nothing is said about the mix.
    pub(crate) fn says_nothing(&self) -> bool {
        let numbers = [self.connections, self.cpu_us, self.wait_us, self.block_us];
        numbers.iter().all(Option::is_none) && self.blocking.is_none() && self.p99_ms.is_none()
    }
}
