//! Prometheus' text format, 0.0.4: the counters of the runtime and of the process.
//!
//! Counters end in `_total`, times are in seconds, and the lines of a family are contiguous, after its `HELP` and
//! `TYPE`. A figure that a scheduler does not count has no line; this does not mean 0. Figures that are counted per
//! worker have one line per worker, and the reader sums them.

use std::fmt::{self, Write as _};
use std::fs;

use runtime_core::metrics::{DurationHistogram, WorkerMetrics};
use runtime_core::{LaunchConfig, Metrics};

use crate::usage;

/// The value of the header `Content-Type`.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole page. Without `metrics`, there is no scheduler or it has not started yet.
pub(super) fn page(metrics: Option<&Metrics>, config: &LaunchConfig) -> String {
    let mut page = Page(String::new());
    if let Some(metrics) = metrics {
        choices(&mut page, config);
        of_runtime(&mut page, metrics);
        of_workers(&mut page, metrics);
        histogram(
            &mut page,
            "lab_poll_seconds",
            "How long polls of tasks took.",
            metrics.poll_time.as_ref(),
        );
        histogram(
            &mut page,
            "lab_schedule_latency_seconds",
            "How long tasks that were due waited for their poll, sampled.",
            metrics.schedule_latency.as_ref(),
        );
    }
    of_process(&mut page);
    page.0
}

/// The chosen policy, knobs and left-out parts, as labels of a constant.
fn choices(page: &mut Page, config: &LaunchConfig) {
    let mut labels: Vec<(String, String)> = Vec::new();
    labels.extend(
        config
            .policy
            .clone()
            .map(|policy| ("policy".to_owned(), policy)),
    );
    for (name, value) in &config.knobs {
        // Labels can't contain hyphens.
        labels.push((format!("knob_{}", name.replace('-', "_")), value.clone()));
    }
    if !config.without.is_empty() {
        let parts: Vec<&str> = config.without.iter().map(String::as_str).collect();
        labels.push(("without".to_owned(), parts.join(",")));
    }
    let labels: Vec<(&str, &str)> = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    page.family(
        "lab_runtime_info",
        Kind::Gauge,
        "Always 1; the labels are the requested scheduler settings.",
    );
    page.sample("lab_runtime_info", &labels, 1.0);
}

fn of_runtime(page: &mut Page, metrics: &Metrics) {
    if let Some(time) = metrics.stuck_time {
        page.family(
            "lab_stuck_seconds_total",
            Kind::Counter,
            "Total duration of polls that were caught lasting too long and have ended.",
        );
        page.sample("lab_stuck_seconds_total", &[], time.as_secs_f64());
    }
    let mut one = |name: &str, kind: Kind, help: &str, value: Option<u64>| {
        if let Some(value) = value {
            page.family(name, kind, help);
            page.sample(name, &[], value as f64);
        }
    };
    one(
        "lab_stuck_polls_total",
        Kind::Counter,
        "Polls that were caught lasting too long.",
        metrics.stuck_polls,
    );
    one(
        "lab_live_tasks",
        Kind::Gauge,
        "Tasks that have been spawned and have not ended.",
        metrics.live_tasks,
    );
    one(
        "lab_blocking_threads",
        Kind::Gauge,
        "Threads of the blocking pool, busy or idle.",
        metrics.blocking_threads,
    );
    one(
        "lab_injected_depth",
        Kind::Gauge,
        "Tasks in a queue that belongs to no worker.",
        metrics.injected_depth,
    );
    one(
        "lab_hand_offs_total",
        Kind::Counter,
        "Times that a replacement worker took over from one that was stuck in a poll.",
        metrics.hand_offs,
    );
}

/// A family that each worker counts, or that some schedulers count only in total.
struct Counted {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    of_worker: fn(&WorkerMetrics) -> f64,
    of_all: fn(&Metrics) -> Option<u64>,
}

const COUNTED: [Counted; 10] = [
    Counted {
        name: "lab_polls_total",
        kind: Kind::Counter,
        help: "Times that a task was polled.",
        of_worker: |worker| worker.polls as f64,
        of_all: |metrics| metrics.polls,
    },
    Counted {
        name: "lab_steals_tried_total",
        kind: Kind::Counter,
        help: "Times that a worker tried to steal from another one's queue.",
        of_worker: |worker| worker.steals_tried as f64,
        of_all: |_| None,
    },
    Counted {
        name: "lab_steals_done_total",
        kind: Kind::Counter,
        help: "Times that a worker found something in another one's queue.",
        of_worker: |worker| worker.steals_done as f64,
        of_all: |_| None,
    },
    Counted {
        name: "lab_tasks_stolen_total",
        kind: Kind::Counter,
        help: "Tasks taken from another worker's queue.",
        of_worker: |worker| worker.tasks_stolen as f64,
        of_all: |metrics| metrics.tasks_stolen,
    },
    Counted {
        name: "lab_lifo_hits_total",
        kind: Kind::Counter,
        help: "Tasks run out of a LIFO slot.",
        of_worker: |worker| worker.lifo_hits as f64,
        of_all: |_| None,
    },
    Counted {
        name: "lab_parks_total",
        kind: Kind::Counter,
        help: "Times that a worker went to sleep.",
        of_worker: |worker| worker.parks as f64,
        of_all: |metrics| metrics.parks,
    },
    Counted {
        name: "lab_unparks_total",
        kind: Kind::Counter,
        help: "Times that a sleeping worker was woken by another thread.",
        of_worker: |worker| worker.unparks as f64,
        of_all: |metrics| metrics.unparks,
    },
    Counted {
        name: "lab_io_polls_total",
        kind: Kind::Counter,
        help: "Times that the reactor was polled.",
        of_worker: |worker| worker.io_polls as f64,
        of_all: |metrics| metrics.io_polls,
    },
    Counted {
        name: "lab_queue_depth",
        kind: Kind::Gauge,
        help: "Tasks in a worker's queues.",
        of_worker: |worker| worker.queue_depth as f64,
        of_all: |_| None,
    },
    Counted {
        name: "lab_busy_seconds_total",
        kind: Kind::Counter,
        help: "Time that a worker was not asleep.",
        of_worker: |worker| worker.busy.as_secs_f64(),
        of_all: |_| None,
    },
];

fn of_workers(page: &mut Page, metrics: &Metrics) {
    for counted in &COUNTED {
        if !metrics.workers.is_empty() {
            page.family(counted.name, counted.kind, counted.help);
            for (index, worker) in metrics.workers.iter().enumerate() {
                let labels = [("worker", index.to_string())];
                let labels = labels
                    .each_ref()
                    .map(|(name, value)| (*name, value.as_str()));
                page.sample(counted.name, &labels, (counted.of_worker)(worker));
            }
        } else if let Some(all) = (counted.of_all)(metrics) {
            page.family(counted.name, counted.kind, counted.help);
            page.sample(counted.name, &[], all as f64);
        }
    }
}

fn histogram(page: &mut Page, name: &str, help: &str, histogram: Option<&DurationHistogram>) {
    const NANOSECOND: f64 = 1e-9;
    let Some(histogram) = histogram else { return };
    page.family(name, Kind::Histogram, help);
    let bucket = format!("{name}_bucket");
    let mut below = 0;
    for (index, count) in histogram.counts.iter().enumerate() {
        below += count;
        let upper = DurationHistogram::upper_ns(index) as f64 * NANOSECOND;
        page.sample(&bucket, &[("le", &Number(upper).to_string())], below as f64);
    }
    page.sample(&bucket, &[("le", "+Inf")], below as f64);
    page.sample(&format!("{name}_sum"), &[], histogram.sum.as_secs_f64());
    // From the same reading as the buckets, because the two must agree.
    page.sample(&format!("{name}_count"), &[], below as f64);
}

/// The process's figures, with the names that Prometheus' own client libraries use.
fn of_process(page: &mut Page) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))
        .and_then(|threads| threads.trim().parse::<u64>().ok());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let counters = usage::counters();
    let mut one = |name: &str, kind: Kind, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            page.family(name, kind, help);
            page.sample(name, &[], value);
        }
    };
    one(
        "process_cpu_seconds_total",
        Kind::Counter,
        "CPU time of the process, user and system, in seconds.",
        Some(usage::process_cpu_time().as_secs_f64()),
    );
    one(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory in bytes.",
        usage::kibibytes(&status, "VmRSS:").map(|bytes| bytes as f64),
    );
    one(
        "process_open_fds",
        Kind::Gauge,
        "Open file descriptors.",
        // Reading the folder opens a descriptor.
        fs::read_dir("/proc/self/fd")
            .ok()
            .map(|entries| entries.count().saturating_sub(1) as f64),
    );
    one(
        "process_max_fds",
        Kind::Gauge,
        "The most file descriptors that the process may open.",
        limit.map(|limit| limit as f64),
    );
    one(
        "process_threads",
        Kind::Gauge,
        "Threads of the process.",
        threads.map(|threads| threads as f64),
    );
    one(
        "process_voluntary_context_switches_total",
        Kind::Counter,
        "Context switches because a thread waited.",
        Some(counters.voluntary_switches as f64),
    );
    one(
        "process_involuntary_context_switches_total",
        Kind::Counter,
        "Context switches because a thread's time was up.",
        Some(counters.involuntary_switches as f64),
    );
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The lines so far.
struct Page(String);

impl Page {
    /// Begins a family. All of its samples must follow before the next family begins.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {}", Number(value));
    }
}

/// A number in the syntax of Prometheus and Go. Buckets in nanoseconds are only short with an exponent.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value == f64::INFINITY => f.write_str("+Inf"),
            value if value != 0.0 && value.abs() < 1e-3 => write!(f, "{value:e}"),
            value => write!(f, "{value}"),
        }
    }
}

#[cfg(test)]
#[path = "../../tests/prometheus/mod.rs"]
mod strict;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::strict::{Exposition, parse};
    use super::*;

    fn rendered(metrics: &Metrics) -> Exposition {
        let mut config = LaunchConfig::default();
        config.policy = Some("a \"quoted\" \\ name\n".to_owned());
        config.knobs.insert("lifo-slot".into(), "off".into());
        config.without = ["sharing", "monitor"].map(str::to_owned).into();
        let text = page(Some(metrics), &config);
        parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn each_worker_has_its_lines_and_labels_survive() {
        let mut metrics = Metrics::default();
        metrics.live_tasks = Some(7);
        metrics.hand_offs = Some(1);
        metrics.polls = Some(30);
        metrics.workers = vec![WorkerMetrics::default(); 2];
        metrics.workers[1].polls = 30;
        metrics.workers[1].busy = Duration::from_millis(1500);
        let page = rendered(&metrics);
        assert_eq!(page.value("lab_live_tasks", &[]), Some(7.0));
        assert_eq!(page.value("lab_hand_offs_total", &[]), Some(1.0));
        let polls = |worker| page.value("lab_polls_total", &[("worker", worker)]);
        assert_eq!((polls("0"), polls("1")), (Some(0.0), Some(30.0)));
        assert_eq!(
            page.value("lab_polls_total", &[]),
            None,
            "workers are summed up by whoever asks"
        );
        let busy = page.value("lab_busy_seconds_total", &[("worker", "1")]);
        assert_eq!(busy, Some(1.5));
        let info = [
            ("policy", "a \"quoted\" \\ name\n"),
            ("knob_lifo_slot", "off"),
            ("without", "monitor,sharing"),
        ];
        assert_eq!(page.value("lab_runtime_info", &info), Some(1.0));
        assert!(page.value("process_cpu_seconds_total", &[]) > Some(0.0));
    }

    #[test]
    fn uncounted_metrics_are_absent_instead_of_0() {
        let mut metrics = Metrics::default();
        metrics.polls = Some(30);
        let page = rendered(&metrics);
        assert_eq!(page.value("lab_polls_total", &[]), Some(30.0));
        for absent in [
            "lab_live_tasks",
            "lab_parks_total",
            "lab_poll_seconds_count",
        ] {
            assert_eq!(page.value(absent, &[]), None, "{absent}");
        }
    }

    #[test]
    fn histograms_are_cumulative_and_in_seconds() {
        let mut metrics = Metrics::default();
        metrics.poll_time = Some(DurationHistogram {
            counts: vec![0, 3, 0, 4],
            sum: Duration::from_nanos(30),
        });
        let page = rendered(&metrics);
        let below = |le| page.value("lab_poll_seconds_bucket", &[("le", le)]);
        assert_eq!(below("1e-9"), Some(0.0));
        assert_eq!(below("2e-9"), Some(3.0));
        assert_eq!(below("8e-9"), Some(7.0));
        assert_eq!(below("+Inf"), Some(7.0));
        assert_eq!(page.value("lab_poll_seconds_count", &[]), Some(7.0));
        assert!((page.value("lab_poll_seconds_sum", &[]).unwrap() - 30e-9).abs() < 1e-15);
    }
}
