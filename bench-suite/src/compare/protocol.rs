//! The lines that parent and child exchange; the module's README has the whole protocol.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::costs::Counted;
use crate::measure::Meter;
use crate::registry::{Failure, Params};
use crate::results::{LateNs, LatencyNs, Sample, Status};
use crate::trace::Excerpt;

/// The value of [`Request::protocol`].
pub const PROTOCOL: &str = "lab.child/1";

/// The parent's request, in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL`].
    pub protocol: String,
    /// The workload's name.
    pub workload: String,
    /// The runtime's name.
    pub runtime: String,
    /// Worker threads, for runtimes with several.
    pub workers: usize,
    /// Scheduling policy; null is the runtime's default.
    pub policy: Option<String>,
    /// Values of single knobs, by name.
    #[serde(default)]
    pub knobs: BTreeMap<String, String>,
    /// Parts of the runtime to leave out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<String>,
    /// Readiness backend; null is the runtime's default.
    pub reactor: Option<String>,
    /// The length of the measured part.
    pub budget_ns: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// The workload's parameters, including defaults.
    pub params: BTreeMap<String, u64>,
    /// The CPU time to add to each timed part, as a fraction of what the part used. It gives `lab prove` a known
    /// difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowdown: Option<f64>,
    /// The purpose of this run, if it is not for its times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Aside>,
}

/// Extra work that a process can do, which costs time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aside {
    /// System calls, wake-ups and instructions.
    Count,
    /// The same, counted by a tracer of the process. The process marks the ends of its timed part.
    Traced,
    /// What the memory of waiting tasks is used for.
    Memory,
    /// The start of its timeline, and where its time went.
    Timeline,
}

impl From<&Request> for Params {
    fn from(request: &Request) -> Self {
        Self {
            workload: request.workload.clone(),
            runtime: request.runtime.clone(),
            workers: request.workers,
            policy: request.policy.clone(),
            knobs: request.knobs.clone(),
            without: request.without.clone(),
            reactor: request.reactor.clone(),
            budget_ns: request.budget_ns,
            seed: request.seed,
            values: request.params.clone(),
        }
    }
}

/// The child's messages, one line each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// It is alive.
    Progress {
        /// What it is doing, such as `measuring`.
        phase: String,
    },
    /// It measured, and its result was correct.
    Result(Box<Measured>),
    /// It has no result.
    Failure {
        /// The kind of failure.
        status: Status,
        /// The reason, in one line.
        error: String,
    },
}

/// The figures of one process. All but `samples` are optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The timed repetitions.
    pub samples: Vec<Sample>,
    /// Context switches in the timed repetitions because a thread waited.
    #[serde(default)]
    pub voluntary_switches: Option<u64>,
    /// Context switches in them because a time slice ended.
    #[serde(default)]
    pub involuntary_switches: Option<u64>,
    /// Page faults in them.
    #[serde(default)]
    pub page_faults: Option<u64>,
    /// The CPU time in them outside the kernel.
    #[serde(default)]
    pub cpu_user_ns: Option<u64>,
    /// The CPU time in them inside the kernel.
    #[serde(default)]
    pub cpu_system_ns: Option<u64>,
    /// What was counted in them, on request.
    #[serde(default)]
    pub counted: Option<Counted>,
    /// What was recorded, on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
    /// Peak resident memory of the process.
    #[serde(default)]
    pub peak_rss_bytes: Option<u64>,
    /// CPU time of the load generator.
    #[serde(default)]
    pub client_cpu_ns: Option<u64>,
    /// Lateness of the load generator.
    #[serde(default)]
    pub client_late_ns: Option<LateNs>,
    /// Latencies.
    #[serde(default)]
    pub latency_ns: Option<LatencyNs>,
    /// Their histogram.
    #[serde(default)]
    pub histogram_hdr_base64: Option<String>,
    /// Flags such as `shares_cores`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Workload-specific figures.
    #[serde(default)]
    pub extra: BTreeMap<String, f64>,
    /// The actual number of worker threads.
    #[serde(default)]
    pub workers: Option<u64>,
    /// Readiness backend in use.
    #[serde(default)]
    pub reactor: Option<String>,
    /// Memory allocator in use.
    #[serde(default)]
    pub allocator: Option<String>,
}

impl From<Meter> for Measured {
    fn from(meter: Meter) -> Self {
        // A peer that measures itself reports only time.
        let known = !meter.flags.contains(&"measured_by_peer");
        let sum = |count: fn(&crate::measure::Sample) -> u64| {
            known.then(|| meter.samples.iter().map(count).sum())
        };
        Self {
            cpu_user_ns: sum(|sample| sample.cpu_user_ns),
            cpu_system_ns: sum(|sample| sample.cpu_system_ns),
            counted: counted(&meter),
            excerpt: None,
            voluntary_switches: sum(|sample| sample.voluntary_switches),
            involuntary_switches: sum(|sample| sample.involuntary_switches),
            page_faults: sum(|sample| sample.page_faults),
            samples: meter
                .samples
                .iter()
                .map(|sample| Sample {
                    ops: sample.ops,
                    wall_ns: sample.wall_ns,
                    cpu_ns: sample.cpu_ns,
                })
                .collect(),
            peak_rss_bytes: meter.peak_rss_bytes,
            client_cpu_ns: meter.client_cpu_ns,
            client_late_ns: meter.client_late_ns.map(|(p50, p99)| LateNs { p50, p99 }),
            latency_ns: meter.latency.as_ref().map(LatencyNs::from),
            histogram_hdr_base64: meter
                .latency
                .and_then(|latency| latency.histogram_hdr_base64),
            flags: meter.flags.iter().map(|&flag| flag.to_owned()).collect(),
            extra: meter
                .extra
                .iter()
                .filter(|(_, value)| value.is_finite())
                .map(|(&name, &value)| (name.to_owned(), value))
                .collect(),
            workers: meter.workers,
            reactor: meter.reactor,
            allocator: Some("system".to_owned()),
        }
    }
}

fn counted(meter: &Meter) -> Option<Counted> {
    let events = meter.events.as_ref()?;
    if meter.processes.is_empty() {
        return Some(events.counted());
    }
    Some(Counted {
        error: Some("what the runtime's own processes do is not counted".to_owned()),
        ..Counted::default()
    })
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        let (status, error) = match failure {
            Failure::WrongAnswer(why) => (Status::WrongAnswer, why),
            Failure::Refused(why) => (Status::Refused, why),
            Failure::NotInstalled(why) => (Status::NotInstalled, why),
            Failure::Crashed(why) => (Status::Crashed, why),
        };
        Self::Failure { status, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_answer_with_samples_alone() {
        let line = r#"{"type":"result","samples":[{"ops":1,"wall_ns":2,"cpu_ns":3}],"later":{}}"#;
        let Answer::Result(measured) = serde_json::from_str(line).unwrap() else {
            panic!("a result");
        };
        assert_eq!(measured.samples[0].wall_ns, 2);
        assert_eq!(measured.page_faults, None);
    }

    #[test]
    fn failures_keep_their_kind() {
        let answer = Answer::from(Failure::NotInstalled("install go".into()));
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(
            line,
            r#"{"type":"failure","status":"not_installed","error":"install go"}"#
        );
    }
}
