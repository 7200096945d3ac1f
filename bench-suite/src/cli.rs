//! The command line: what can be asked for, with examples, and wrong usage answered in one line.

mod analysis;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::CommandError;
use crate::merge::Difference;

pub use analysis::{DivergeArgs, PsArgs, RecordingArgs, SpanArgs};

mod under_load;

pub use under_load::{AdviseArgs, CapacityArgs, LatencyArgs, LoadedArms};

/// Measures, shows and explains what concurrency runtimes cost.
#[derive(Debug, Parser)]
#[command(
    name = "lab",
    version,
    after_help = "\
Examples:
  lab                                   compare the default matrix, in under 2 minutes
  lab list                              what can be measured
  lab compare echo --runtime mn,tokio-mt
  lab serve http --runtime n1 --addr 127.0.0.1:8080
  lab report lab-out/results.json --out lab-out
  lab diff before/results.json after/results.json
  lab prove --quick                     how often this lab errs

Without a command, `lab` is `lab compare`."
)]
pub struct Cli {
    /// What to do; `compare` on the default matrix if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show workloads, runtimes, policies, metrics and parameters.
    List(ListArgs),
    /// Measure runtimes against each other; print tables and verdicts, write results and a report.
    Compare(Box<CompareArgs>),
    /// Latency in the open loop, at shares of what the slowest arm carries, and curves up to saturation.
    Latency(LatencyArgs),
    /// The highest rate of each arm that keeps a target of p99 latency, by sequential search.
    Capacity(CapacityArgs),
    /// Which model to take for a service, from a measurement of its mix of waiting, computing and blocking.
    Advise(AdviseArgs),
    /// Measure one runtime with every combination of policies, knobs and workers; print a matrix.
    Sweep(SweepArgs),
    /// Show the peers of other languages: there or not, in which version, and how to get them.
    Peers(PeersArgs),
    /// Run a real server under one runtime, for any client.
    Serve(ServeArgs),
    /// Put load on a server.
    Load(LoadArgs),
    /// Start, misuse and end runtimes for a while, and check that nothing leaks.
    Soak(SoakArgs),
    /// Run known troubles of runtimes under each runtime; print who survives what.
    Zoo(ZooArgs),
    /// Make the report again from stored results, or the page of timelines from a stored trace.
    Report(ReportArgs),
    /// Show a comparison in the browser while it is measured.
    Ui(UiArgs),
    /// Compare two stored results from their raw rounds; code 1 on a regression.
    Diff(DiffArgs),
    /// Join stored results, such as the shards of an array, and compare again from their rounds.
    Merge(MergeArgs),
    /// Measure the memory that a waiting task keeps: user, stacks, kernel, page tables.
    Memory(MemoryArgs),
    /// Measure what more workers bring: speed-up, efficiency, and the universal scalability law.
    Scale(ScaleArgs),
    /// Measure how often the lab itself errs and what it finds; write the certificate.
    Prove(ProveArgs),
    /// Record what the schedulers do in one workload, for a timeline.
    Trace(TraceArgs),
    /// Show a program's work, span and critical path, and where the time went.
    Span(SpanArgs),
    /// Name the first decision in which two runs of one program differ, and what it led to.
    Diverge(DivergeArgs),
    /// Show the live tasks of a `lab serve`: what each waits for, and who holds what.
    Ps(PsArgs),
    /// The measured process: reads one request from standard input, answers on standard output.
    #[command(hide = true)]
    Child,
    /// The process of one cell of the zoo.
    #[command(hide = true)]
    ZooCell(ZooCellArgs),
}

/// `lab list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lab list
  lab list --json | jq '.workloads[].name'")]
pub struct ListArgs {
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// `lab peers`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lab peers                              what is there, in which version, and how to get the rest
  lab peers --check                      builds and runs each workload of each of them once, small
  lab peers --check go asyncio
  LAB_PEERS=my-peers lab peers           with the manifests in a folder of yours")]
pub struct PeersArgs {
    /// Which ones [default: all].
    #[arg(value_name = "PEER")]
    pub peers: Vec<String>,
    /// Build them, run each of their workloads once at a small size, and check the answers.
    #[arg(long)]
    pub check: bool,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// `lab compare`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "\
Examples:
  lab compare                                       the default matrix, under 2 minutes
  lab compare --quick                               at most 30 s, intervals only
  lab compare echo http --runtime n1,mn,tokio-mt
  lab compare fib-spawn --size 24 --rounds 20       so many processes, whatever they say
  lab compare echo --param connections=1,64,1000    one comparison for each value
  lab compare spawn --runtime mn --workers 1 --seed 7
  lab compare pingpong --runtime mn,tokio-mt --policy go-like,no-steal
  lab compare echo --runtime mn --knob lifo-slot=on,off
  lab compare --baseline tokio-mt
  lab compare echo --runtime mn --binary before=/tmp/lab-before --margin 1
  lab compare spawn --runtime mn --without wake-throttling
  lab compare --shard 2/4 --json shard-2.json       the second quarter of the workloads; see lab merge
  lab compare echo --count-syscalls --markdown README-table.md

The baseline is the best of n1, mn and threads where several of them are measured, else tokio-mt if it is,
else the first one. One arm is measured twice in each round, and what the two differ by is the noise floor.
Policies and knobs are compared with each other, too: with the default policy, or the first one named, and the
first value of each knob. With --binary each arm is compared with its like of the first other build.

A verdict is better, worse, no difference beyond the margin, or not enough data. After 12 rounds what is
decided stops, and the time goes to the rest; looks are counted in, so that at most one family of comparisons
in twenty has a false difference in it.
Ctrl-C ends it with the results so far, and code 130.")]
pub struct CompareArgs {
    /// Which workloads; `lab list` shows them. Without any, the default matrix.
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// Which runtimes, the first or tokio-mt being the baseline.
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Worker threads where there are several [default: the cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// The parameter named `size` of every chosen workload that has one.
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// A parameter's value, or several: each combination is measured.
    #[arg(long = "param", value_name = "KEY=V1,V2")]
    pub params: Vec<String>,
    /// Scheduling policies, each of them an arm of its own for the runtimes that have policies.
    #[arg(long = "policy", value_name = "A,B", value_delimiter = ',')]
    pub policies: Vec<String>,
    /// A decision of the policy and its values, each of them an arm of its own for the runtimes that have it.
    #[arg(long = "knob", value_name = "NAME=V1,V2")]
    pub knobs: Vec<String>,
    /// Parts of the scheduler to leave out, in an arm beside the whole one; once more for another arm.
    #[arg(long, value_name = "PART,PART")]
    pub without: Vec<String>,
    /// What the others are compared with: a runtime, or a build named by --binary [default: the best of the models].
    #[arg(long, value_name = "NAME")]
    pub baseline: Option<String>,
    /// Another build of this program, with the same arms, measured in turn with those of this one.
    #[arg(long = "binary", value_name = "NAME=PATH")]
    pub binaries: Vec<String>,
    /// A difference below this percentage is none [default: 2; 5 for the default matrix].
    #[arg(long, value_name = "PERCENT")]
    pub margin: Option<f64>,
    /// Processes for each runtime and workload, no more and no less. Lifts the limit on the whole time.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// At most 30 s in all; intervals only, no verdicts.
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// More and longer rounds, without a limit on the whole time.
    #[arg(long)]
    pub full: bool,
    /// Seed of the order and of all random input [default: a new one, printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Write the results here as well; `-` is standard output, and nothing else is printed there then.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the comparisons here, a row each; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// The results in other formats.
    #[command(flatten)]
    pub formats: FormatArgs,
    /// Measure every Nth workload and setting, from the Ith on. `auto` and `auto/N` read I from a Slurm array, a
    /// Kubernetes indexed job or GNU parallel.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Count system calls and wake-ups, in a process of its own for each arm.
    #[arg(long)]
    pub count_syscalls: bool,
    /// Count instructions likewise: by the processor's counters, else by callgrind for arms with one thread.
    #[arg(long)]
    pub count_instructions: bool,
    /// Where results.json and report.html go; what is there is kept, under earlier/ [default: lab-out].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Say nothing while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

/// The results for other programs.
#[derive(Clone, Debug, Default, Args)]
pub struct FormatArgs {
    /// Write a table for a README here; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the medians and ratios here, as OpenMetrics.
    #[arg(long, value_name = "FILE")]
    pub openmetrics: Option<PathBuf>,
    /// Write the medians here, in the Bencher Metric Format.
    #[arg(long, value_name = "FILE")]
    pub bencher: Option<PathBuf>,
    /// Add a row to this CSV, which Apache Otava reads.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Write the runs here, a row for each measured process.
    #[arg(long, value_name = "FILE")]
    pub runs_csv: Option<PathBuf>,
}

/// `lab sweep`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab sweep --policy go-like,tokio-like,no-steal
  lab sweep --knob steal=half,one --knob lifo-slot=on,off --workload pingpong,spawn-batch
  lab sweep --workers 1,2,4,8 --workload fib-spawn --size 22
  lab sweep --policy go-like,random-steal --workers 2,4 --rounds 12 --json sweep.json
  lab sweep --ablate spawn-batch echo --rounds 8

With --ablate the rows are the scheduler's parts: all, none, each left out, each alone. Every combination is measured, as `lab compare` does it: in processes of their own, interleaved, in an
order drawn from the printed seed. The first combination is the baseline of the ratios.")]
pub struct SweepArgs {
    /// Which workloads [default: echo, spawn-batch, yield, pingpong].
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// What each part of a scheduler is worth: all parts, none, each one left out, each one alone.
    #[arg(long)]
    pub ablate: bool,
    /// A decision of the policy, and the values to give it; `lab list` shows them.
    #[arg(long = "knob", value_name = "NAME=V1,V2")]
    pub knobs: Vec<String>,
    /// Scheduling policies.
    #[arg(long = "policy", value_name = "A,B", value_delimiter = ',')]
    pub policies: Vec<String>,
    /// Numbers of worker threads [default: the cores].
    #[arg(long, value_name = "N1,N2", value_delimiter = ',')]
    pub workers: Vec<usize>,
    /// Which workloads, the same in another form.
    #[arg(long = "workload", value_name = "W1,W2", value_delimiter = ',')]
    pub more_workloads: Vec<String>,
    /// Which runtimes [default: mn].
    #[arg(long = "runtime", value_name = "R", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// The parameter named `size` of every chosen workload that has one.
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// A parameter's value, or several: a matrix for each combination.
    #[arg(long = "param", value_name = "KEY=V1,V2")]
    pub params: Vec<String>,
    /// Processes for each combination and workload [default: 5].
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Two short rounds: to see that it runs.
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
  lab serve echo --runtime threads --addr 127.0.0.1:0    port 0 takes a free one
  lab serve echo --runtime mn --addr 127.0.0.1:7000 --hogs 4
  lab serve echo --runtime mn --green --addr 127.0.0.1:7000    code that looks blocking, a stack for each task
  lab serve http --runtime mn --addr 127.0.0.1:8080 --metrics 127.0.0.1:9100
  lab serve echo --runtime mn --addr 127.0.0.1:7000 --tasks 127.0.0.1:7001    for `lab ps`
  lab serve http --runtime mn --addr 127.0.0.1:8080 --flight flights    kill -USR1 writes a trace there

Prints `listening HOST:PORT` when ready, then `metrics HOST:PORT` and `tasks HOST:PORT` if asked for: there,
`GET /metrics` gives the runtime's counters for Prometheus, and `lab ps` shows the live tasks, even while every worker
is stuck. SIGINT, SIGTERM and SIGHUP end it, with code 0.")]
pub struct ServeArgs {
    /// What to serve.
    #[arg(value_enum)]
    pub protocol: Protocol,
    /// Under which runtime.
    #[arg(long, value_name = "R")]
    pub runtime: String,
    /// With green tasks: the same as `--runtime R-green`.
    #[arg(long)]
    pub green: bool,
    /// Where to listen; port 0 takes a free port.
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: String,
    /// Worker threads where there are several [default: the cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Tasks beside the server that each compute 100 ms, sleep 10 ms, and again.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub hogs: usize,
    /// Record always, and write what happened last into this folder: on SIGUSR1, on a task's panic, and after a poll
    /// of more than --flight-poll.
    #[arg(long, value_name = "DIR")]
    pub flight: Option<PathBuf>,
    /// How long a poll may take before --flight writes; `100ms` works too.
    #[arg(long, value_name = "S", default_value = "100ms", value_parser = parse_duration, requires = "flight")]
    pub flight_poll: Duration,
    /// Where to tell `lab ps` of the live tasks; port 0 takes a free port. What they wait for is then noted.
    #[arg(long, value_name = "HOST:PORT")]
    pub tasks: Option<String>,
    /// Where to answer Prometheus; port 0 takes a free port.
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics: Option<String>,
    /// The scheduling policy, where there is a choice.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// A decision of the policy; `lab list` shows them.
    #[arg(long = "knob", value_name = "NAME=VALUE")]
    pub knobs: Vec<String>,
    /// Parts of the scheduler to leave out; `lab list` shows them.
    #[arg(long, value_name = "PART,PART", value_delimiter = ',')]
    pub without: Vec<String>,
}

/// `lab load`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab load echo --addr 127.0.0.1:7000 --closed --connections 64
  lab load http --addr 127.0.0.1:8080 --rate 5000 --duration 10
  lab load echo --addr 127.0.0.1:7000 --bytes 1024 --json load.json

With --rate, latency counts from the intended start of each request (open loop);
with --closed, a connection's next request starts when its last one has ended. Ctrl-C ends it with a report
of what was seen until then, and code 130.")]
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
    /// The next request when the last has ended; so too without --rate.
    #[arg(long)]
    pub closed: bool,
    /// Connections held open.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connections: usize,
    /// Bytes of one message.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub bytes: usize,
    /// How long, in seconds; `500ms` and `10s` work too.
    #[arg(long, value_name = "S", default_value = "5", value_parser = parse_duration)]
    pub duration: Duration,
    /// Write what was measured here, as JSON; `-` is standard output, and nothing else is printed there then.
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

The time is shared out evenly among the runtimes. Exit code 1 says what was left or wrong; with the
same --seed the same things are tried, if not in the same interleaving.")]
pub struct SoakArgs {
    /// How long in all, in seconds; `500ms`, `10s` and `5m` work too.
    #[arg(long, value_name = "S", value_parser = parse_duration)]
    pub duration: Duration,
    /// Which runtimes [default: all of this project's].
    #[arg(long = "runtime", value_name = "R", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Worker threads where there are several [default: 1 to 4, another number at each restart].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Seed of what is done in which order [default: a new one, printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// The scheduling policy, where there is a choice.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// A decision of the policy; `lab list` shows them.
    #[arg(long = "knob", value_name = "NAME=VALUE")]
    pub knobs: Vec<String>,
    /// Parts of the scheduler to leave out; `lab list` shows them.
    #[arg(long, value_name = "PART,PART", value_delimiter = ',')]
    pub without: Vec<String>,
}

/// `lab zoo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab zoo                                   every pathology under every runtime that is there
  lab zoo --runtime n1,mn,threads --quick   ours, small
  lab zoo --only endless-poll,lifo-chain --runtime mn,tokio-mt,go
  lab zoo --json zoo.json --markdown zoo.md
  lab zoo --runtime mn --without monitor    what the part is there for
  lab zoo --versions                        when documented faults came and went, by released version

A pathology is a small program with a bound; each cell is a process of its own. `ok` keeps the bound, `FAILS` does
not, `-` can't run. With --expect the code is 1 if one that is to survive does not.")]
pub struct ZooArgs {
    /// Which runtimes [default: all, those of other languages included].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Which pathologies [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Small sizes.
    #[arg(long)]
    pub quick: bool,
    /// Worker threads where there are several.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// The scheduling policy, where there is a choice.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// A decision of the policy; `lab list` shows them.
    #[arg(long = "knob", value_name = "NAME=VALUE")]
    pub knobs: Vec<String>,
    /// Parts of the scheduler to leave out; `lab list` shows them.
    #[arg(long, value_name = "PART,PART", value_delimiter = ',')]
    pub without: Vec<String>,
    /// What must survive: all under RUNTIME, or one pathology.
    #[arg(long, value_name = "RUNTIME[:NAME]", value_delimiter = ',')]
    pub expect: Vec<String>,
    /// Run released versions of tokio, futures, Go and Node, built at the first need, on the faults that they had.
    #[arg(long, conflicts_with_all = ["quick", "expect"])]
    pub versions: bool,
    /// Write the table here, as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the table here, as Markdown; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Say nothing while it runs.
    #[arg(long)]
    pub no_progress: bool,
}

/// `lab zoo-cell`.
#[derive(Clone, Debug, Args)]
pub struct ZooCellArgs {
    /// The pathology.
    pub pathology: String,
    /// The runtime.
    pub runtime: String,
    /// How much of it.
    pub size: u64,
    /// Worker threads where there are several.
    pub workers: usize,
    /// The scheduling policy.
    #[arg(long)]
    pub policy: Option<String>,
    /// Decisions of the policy.
    #[arg(long = "knob")]
    pub knobs: Vec<String>,
    /// Parts to leave out.
    #[arg(long)]
    pub without: Vec<String>,
}

/// `lab diff`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab diff before/results.json after/results.json
  lab diff old.json new.json --margin 5

Each arm that both have is compared in its workload's own metric, by an exact rank-sum test; each workload is one
family. Code 1 if an arm is worse by more than the margin can explain, 2 if the files can't be read or compared.
What drifted between the two sessions is in the difference: `lab compare --binary` measures both builds in one.")]
pub struct DiffArgs {
    /// What was measured before.
    #[arg(value_name = "OLD.json")]
    pub old: PathBuf,
    /// What was measured now.
    #[arg(value_name = "NEW.json")]
    pub new: PathBuf,
    /// A difference below this percentage is none.
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0)]
    pub margin: f64,
}

/// `lab merge`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab merge shard-*.json --json whole.json
  lab merge here.json there.json --unlike machines,kernels --json both.json --markdown table.md

Comparisons are computed again from all rounds. Results that differ in machine, kernel, governor, allocator or
versions are refused, unless --unlike names that kind; then a note in the results says so.")]
pub struct MergeArgs {
    /// Results that `lab compare` wrote.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Where the joined results go; `-` is standard output, and nothing else is printed there then.
    #[arg(long, value_name = "FILE")]
    pub json: PathBuf,
    /// Kinds of differences that don't matter here.
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',')]
    pub unlike: Vec<Difference>,
    /// The results in other formats.
    #[command(flatten)]
    pub formats: FormatArgs,
}

/// `lab memory`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab memory                                     the three models and every peer that is there
  lab memory --runtime n1,mn,threads --state idle,timer
  lab memory --runtime go --tasks 10000,20000,40000 --json memory.json

Each figure is the slope over the number of tasks, so that what a runtime keeps by itself is not in it. The kernel's
part is exact where this process may make a control group of its own; else it is that of the whole machine.")]
pub struct MemoryArgs {
    /// Which runtimes [default: n1, mn, threads, and all peers that are there].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// What the tasks do [default: all].
    #[arg(
        long = "state",
        value_name = "STATE",
        value_delimiter = ',',
        value_enum
    )]
    pub states: Vec<crate::memory::TaskState>,
    /// How many tasks, two numbers or more [default: 1000,2000,4000 with threads or sockets, else
    /// 10000,20000,40000].
    #[arg(long, value_name = "N1,N2", value_delimiter = ',')]
    pub tasks: Vec<u64>,
    /// Processes for each number.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rounds: u32,
    /// Write the figures here; `-` is standard output, and nothing else is printed there then.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the table here, as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Say nothing while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

/// `lab scale`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab scale                                      mn and tokio-mt, from 1 worker to twice the cores
  lab scale fib-spawn hash --runtime mn,pool
  lab scale spawn-batch --runtime mn --workers 1,2,4,8 --rounds 20 --json scale.json

Speed-up is the ratio of rates in the same round, to one worker; efficiency is speed-up for each core that is used.
More workers than cores are oversubscribed, and marked. The universal scalability law gives contention (sigma) and
coherence (kappa), with the intervals of a bootstrap over rounds; it takes four numbers of workers or more.")]
pub struct ScaleArgs {
    /// Which workloads [default: fib-spawn, spawn-batch, hash].
    #[arg(value_name = "WORKLOAD")]
    pub workloads: Vec<String>,
    /// Which runtimes [default: mn, tokio-mt].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Numbers of workers; 1 is always among them [default: 1 to the cores, and beyond to twice as many].
    #[arg(long, value_name = "N1,N2", value_delimiter = ',')]
    pub workers: Vec<usize>,
    /// Processes for each number.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub rounds: u32,
    /// The parameter named `size` of every chosen workload that has one.
    #[arg(long, value_name = "N")]
    pub size: Option<u64>,
    /// Seed of the order and of all random input [default: a new one, printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Write the figures here; `-` is standard output, and nothing else is printed there then.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Say nothing while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

/// `lab prove`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab prove --quick                      under a minute: fewer tables, fewer processes
  lab prove                              2,000 tables and 200 blocks of processes: about an hour
  lab prove --blocks 50 --out lab-out    reports written to lab-out show this certificate

First synthetic tables whose truth is known, with bursts, drift and two modes: how often an interval holds the
truth, and how often a verdict is wrong. Then real processes: a program against itself, and against itself slowed
by a known 1, 3 and 10%. Code 1 if an error rate or the power misses its goal.")]
pub struct ProveArgs {
    /// The short form.
    #[arg(long)]
    pub quick: bool,
    /// Synthetic tables [default: 2000; 120 with --quick].
    #[arg(long, value_name = "N")]
    pub tables: Option<u32>,
    /// Blocks of real processes, each a program against itself and slowed; 0 leaves them out [default: 200; 3 with
    /// --quick].
    #[arg(long, value_name = "N")]
    pub blocks: Option<u32>,
    /// Seed of everything [default: a new one, printed].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Where certificate.json goes.
    #[arg(long, value_name = "DIR", default_value = "lab-out")]
    pub out: PathBuf,
    /// Say nothing while measuring.
    #[arg(long)]
    pub no_progress: bool,
}

/// `lab report`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab report lab-out/results.json --out lab-out
  lab report lab-out/trace.json --out lab-out      the page of timelines of a trace")]
pub struct ReportArgs {
    /// Results that `lab compare` wrote, or a trace that `lab trace` wrote.
    #[arg(value_name = "RESULTS.json")]
    pub results: PathBuf,
    /// Where report.html goes; timeline.html of a trace.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `lab trace`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab trace pingpong --size 1000 --out lab-trace
  lab trace mixed --runtime n1,mn,threads --out lab-trace
  lab trace echo --runtime mn --policy tokio-like --param connections=8 --out lab-trace

The first timed repetition is recorded, after the warm-up; all runs begin at 0. In the folder are then:
  trace.json             every event (lab.trace/1)
  trace.html             the page of timelines; it needs no network
  trace.perfetto-trace   for https://ui.perfetto.dev
  trace.firefox.json     for https://profiler.firefox.com
A thread that does more than --records hold drops the rest, and the files say how many events that were.")]
pub struct TraceArgs {
    /// Which workload; `lab list` shows them.
    #[arg(value_name = "WORKLOAD")]
    pub workload: String,
    /// Which runtimes [default: n1, mn and threads].
    #[arg(long = "runtime", value_name = "A,B", value_delimiter = ',')]
    pub runtimes: Vec<String>,
    /// Where the files go.
    #[arg(long, value_name = "DIR", default_value = "lab-trace")]
    pub out: PathBuf,
    /// The workload's parameter named `size`.
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// The value of a parameter.
    #[arg(long = "param", value_name = "KEY=V")]
    pub params: Vec<String>,
    /// Worker threads where there are several [default: the cores].
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// The scheduling policy, for the runtimes that have a choice.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// A decision of the policy, for the runtimes that have it.
    #[arg(long = "knob", value_name = "NAME=VALUE")]
    pub knobs: Vec<String>,
    /// Records of 24 bytes that are kept of each thread [default: 1048576].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    pub records: Option<u32>,
    /// Seed of all random input [default: 1].
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

/// `lab ui`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  lab ui                                 on a free port of this machine; prints the address to open
  lab ui --addr 127.0.0.1:8080 --out lab-out
  lab ui --addr 0.0.0.0:8080             also for other machines: whoever has the address can use it

The address holds a secret. The folder is that of `lab compare`: the page shows what either has measured.")]
pub struct UiArgs {
    /// Where it listens.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub addr: String,
    /// Where results are, and where new ones go.
    #[arg(long, value_name = "DIR", default_value = "lab-out")]
    pub out: PathBuf,
}

/// Seconds as a number, or with one of the units `ms`, `s` and `m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, scale) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60.0)
    } else {
        (text.strip_suffix('s').unwrap_or(text), 1.0)
    };
    let seconds: f64 = number
        .trim()
        .parse()
        .map_err(|_| "expected seconds, such as 5 or 500ms".to_owned())?;
    // A day: more is a slip of the keyboard, and would overflow somewhere below.
    if !(seconds * scale > 0.0 && seconds * scale <= 86_400.0) {
        return Err("expected more than 0 s and at most a day".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds * scale))
}

/// What the command line came to.
#[derive(Debug)]
pub enum Parsed {
    /// A command to run.
    Run(Box<Cli>),
    /// Text that was asked for, such as help: print it and end well.
    Print(String),
}

/// Reads the command line.
///
/// # Errors
/// [`CommandError::Usage`], in one line.
pub fn parse<I>(arguments: I) -> Result<Parsed, CommandError>
where
    I: IntoIterator<Item = OsString>,
{
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Ok(Parsed::Print(error.render().to_string()))
            }
            _ => Err(CommandError::Usage(one_line(&error))),
        },
    }
}

/// clap explains itself in paragraphs; a script's log wants one line: what, and what to do.
fn one_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let paragraph = rendered.split("\n\n").next().unwrap_or_default();
    let what = paragraph
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let suggestion = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ]
    .into_iter()
    .find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        Some(ContextValue::Strings(names)) => names.first().cloned(),
        _ => None,
    });
    match suggestion {
        Some(name) => format!("{what}; did you mean `{name}`? `--help` shows examples"),
        None => format!("{what}; `--help` shows examples"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> impl Iterator<Item = OsString> + '_ {
        line.split_whitespace().map(OsString::from)
    }

    fn usage(line: &str) -> String {
        match parse(arguments(line)) {
            Err(CommandError::Usage(message)) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definitions_are_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_one_line_with_a_suggestion() {
        for line in [
            "lab comapre",
            "lab compare --rouns 3",
            "lab serve htp --runtime mn --addr x:1",
        ] {
            let message = usage(line);
            assert!(!message.contains('\n'), "{message}");
            assert!(message.contains("did you mean"), "{message}");
        }
    }

    #[test]
    fn quick_and_full_exclude_each_other() {
        assert!(usage("lab compare --quick --full").contains("cannot be used with"));
    }

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "nan", "inf", "1e300", "five"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn help_is_not_an_error_and_shows_examples() {
        for command in [
            "", "list", "peers", "compare", "latency", "capacity", "advise", "sweep", "serve",
            "load", "soak", "report", "diff", "prove", "merge", "memory", "scale", "zoo", "span",
            "diverge", "ps", "trace", "ui",
        ] {
            let line = format!("lab {command} --help");
            match parse(arguments(&line)) {
                Ok(Parsed::Print(text)) => assert!(text.contains("Examples:"), "{text}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
