//! Workloads that a peer runs on the lab's orders. The lab reads its resource usage between two orders, while it waits.

use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::answers::{self, Kind};
use super::conversation::{Conversation, Done, Order, OwnSample, Word};
use super::fetching::Site;
use super::manifest::Peer;
use super::own_figures::keep;
use super::tree::{self, Usage};
use crate::costs::events::Events;
use crate::measure::{Latency, Meter, Sample};
use crate::vocabulary::{Failure, Params};
use crate::workloads::scratch;

/// A budget is cut into at most this many samples, as for the runtimes in this process.
const SAMPLES: u32 = 50;

/// The most repetitions per order.
const MAX_REPETITIONS: u64 = 1_000_000;

/// Gives orders until the budget is used up.
pub(super) fn measure(
    peer: &Peer,
    talk: &mut Conversation,
    params: &Params,
    site: Option<&Site>,
    meter: &mut Meter,
) -> Result<(), Failure> {
    match talk.hear()? {
        Word::Ready { workers } => meter.workers = workers,
        Word::Result { samples, extra } => return own_figures(samples, extra, meter),
        other => return Err(out_of_turn(&other)),
    }
    // Count the peer's threads, not those of this process.
    let counts = meter.events.take().is_some();
    let mut orders = Orders {
        peer,
        talk,
        params,
        site,
        meter,
        kind: answers::kind(&params.workload),
        counts,
    };
    let mut repetitions = 1;
    if orders.kind.warms_up {
        repetitions = orders.warm_up()?;
    }
    let budget = Duration::from_nanos(params.budget_ns);
    let begun = Instant::now();
    let mut samples = 0_u32;
    loop {
        let exchange = orders.exchange(repetitions)?;
        orders.record(exchange)?;
        samples += 1;
        // Another sample as long as the mean so far must fit. A workload that can't be repeated runs once.
        let used = begun.elapsed();
        let once = answers::is_idle(&params.workload) || params.workload == "timers";
        if once || used + used / samples > budget {
            return Ok(());
        }
    }
}

struct Orders<'a> {
    peer: &'a Peer,
    talk: &'a mut Conversation,
    params: &'a Params,
    site: Option<&'a Site>,
    meter: &'a mut Meter,
    kind: Kind,
    counts: bool,
}

/// One completed order.
struct Exchange {
    sample: Sample,
    /// The lateness of each sleep.
    late_ns: Vec<i64>,
    /// The growth of the peer's memory.
    grown_bytes: Option<u64>,
    events: Option<Events>,
}

impl Orders<'_> {
    /// Runs without counting, at least once and as long as the manifest says. Returns the number of repetitions per
    /// sample.
    fn warm_up(&mut self) -> Result<u64, Failure> {
        let warm_up = Duration::from_millis(self.peer.manifest.warm_up_ms);
        let sample = Duration::from_nanos(self.params.budget_ns) / SAMPLES;
        let begun = Instant::now();
        let (mut times, mut repetitions) = (0, 1);
        loop {
            let exchange = self.exchange(repetitions)?;
            times += repetitions;
            if self.kind.repeats {
                let one = (exchange.sample.wall_ns / repetitions).max(1);
                let wanted = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX) / one;
                repetitions = wanted.clamp(1, MAX_REPETITIONS);
            }
            if begun.elapsed() >= warm_up {
                break;
            }
        }
        if !warm_up.is_zero() {
            let extra = &mut self.meter.extra;
            extra.insert("warm_up_ms", begun.elapsed().as_secs_f64() * 1e3);
            extra.insert("warm_up_repetitions", times as f64);
        }
        Ok(repetitions)
    }

    fn exchange(&mut self, repetitions: u64) -> Result<Exchange, Failure> {
        let folder = self.site.map(Site::prepare).transpose()?.flatten();
        if let Some(folder) = &folder {
            scratch::flag(folder.path(), self.meter);
        }
        let path = folder
            .as_ref()
            .map(|folder| folder.path().to_string_lossy().into_owned());
        let id = self.talk.id();
        let idle = answers::is_idle(&self.params.workload);
        let memory = || idle.then(|| tree::anonymous_bytes(id)).flatten();
        let gone = || Failure::Crashed("ended early".to_owned());

        let split = idle && self.meter.split_memory;
        let split_before = split.then(|| tree::memory(id));
        let memory_before = memory();
        let before = Usage::of(id).ok_or_else(gone)?;
        let mut events = self.counts.then(|| Events::of_threads(&tree::threads(id)));
        let begun = Instant::now();
        if let Some(events) = &mut events {
            events.start();
        }
        self.talk.order(&Order::Run {
            repetitions,
            folder: path.as_deref(),
        });
        let word = self.talk.hear()?;
        if let Some(events) = &mut events {
            events.stop();
        }
        let elapsed = begun.elapsed();
        let Word::Done(done) = word else {
            return Err(out_of_turn(&word));
        };
        let after = Usage::of(id).ok_or_else(gone)?;
        let memory_after = memory();
        if let Some(before) = split_before {
            tree::memory(id).since(&before).record(self.meter);
        }
        // Sent in a separate line, so that formatting the line is not measured.
        let late_ns = match self.params.workload.as_str() {
            "timers" => match self.talk.hear()? {
                Word::Late { late_ns } => late_ns,
                other => return Err(out_of_turn(&other)),
            },
            _ => Vec::new(),
        };

        self.check(
            &done,
            repetitions,
            folder.as_ref().map(tempfile::TempDir::path),
        )?;
        // Use the peer's clock, which is closer to the work. The lab's clock must confirm that so much time can have
        // passed.
        let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        if done.wall_ns == 0
            || done.wall_ns > elapsed_ns.saturating_add(elapsed_ns / 100 + 1_000_000)
        {
            return Err(Failure::WrongAnswer(format!(
                "it says that its work took {} ns, and {elapsed_ns} ns passed",
                done.wall_ns
            )));
        }
        let sample = Sample::counted(
            done.ops,
            done.wall_ns,
            after.cpu_ns.saturating_sub(before.cpu_ns),
            after.counters.since(before.counters),
        );
        Ok(Exchange {
            sample,
            events,
            late_ns,
            grown_bytes: memory_before
                .zip(memory_after)
                .map(|(before, after)| after.saturating_sub(before)),
        })
    }

    fn check(&self, done: &Done, repetitions: u64, folder: Option<&Path>) -> Result<(), Failure> {
        if let Some(site) = self.site {
            return site.check(done, repetitions, folder);
        }
        let expected = answers::expected(self.params).ok_or_else(|| {
            Failure::Refused(format!(
                "the lab can't check a peer's `{}`",
                self.params.workload
            ))
        })?;
        answers::check(done, expected, repetitions)
    }

    fn record(&mut self, exchange: Exchange) -> Result<(), Failure> {
        let size = exchange.sample.ops;
        self.meter.samples.push(exchange.sample);
        match (&mut self.meter.events, exchange.events) {
            (Some(all), Some(new)) => all.absorb(&new),
            (first, new) => *first = new,
        }
        self.meter.peak_rss_bytes = tree::peak_rss_bytes(self.talk.id());
        match self.params.workload.as_str() {
            workload if answers::is_idle(workload) => {
                if let Some(bytes) = exchange.grown_bytes {
                    let each = bytes as f64 / size.max(1) as f64;
                    self.meter.extra.insert("bytes_per_task", each);
                }
            }
            "timers" => {
                let (lateness, early) =
                    lateness(&exchange.late_ns, size, self.peer.manifest.timer_grain_ns)?;
                self.meter.record_latency(&lateness);
                if early > 0 {
                    self.meter.extra.insert("early_sleeps", early as f64);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The lateness of each sleep, and the number of sleeps that were early by less than the resolution of the peer's
/// timers.
fn lateness(late_ns: &[i64], sleeps: u64, grain_ns: u64) -> Result<(Histogram<u64>, u64), Failure> {
    let reported = late_ns.len() as u64;
    if reported != sleeps {
        let why = format!("it reports the lateness of {reported} of {sleeps} sleeps");
        return Err(Failure::WrongAnswer(why));
    }
    let mut histogram = Latency::histogram();
    let mut early = 0;
    for &late in late_ns {
        match u64::try_from(late) {
            Ok(late) => histogram.saturating_record(late),
            Err(_) if late.unsigned_abs() <= grain_ns => {
                early += 1;
                histogram.saturating_record(0);
            }
            Err(_) => {
                let why = format!(
                    "a sleep ended {} ns before its deadline",
                    late.unsigned_abs()
                );
                return Err(Failure::WrongAnswer(why));
            }
        }
    }
    Ok((histogram, early))
}

/// The figures of a peer that measures itself.
fn own_figures(
    samples: Vec<OwnSample>,
    extra: std::collections::BTreeMap<String, f64>,
    meter: &mut Meter,
) -> Result<(), Failure> {
    for sample in samples {
        let Some(cpu_ns) = sample.cpu_ns else {
            let why = "a sample lacks `cpu_ns`; say `ready` to have the lab measure it";
            return Err(Failure::Crashed(why.to_owned()));
        };
        if sample.wall_ns == 0 || sample.wall_ns > 86_400_000_000_000 {
            let why = format!("a sample took {} ns", sample.wall_ns);
            return Err(Failure::WrongAnswer(why));
        }
        meter.samples.push(Sample {
            ops: sample.ops,
            wall_ns: sample.wall_ns,
            cpu_ns,
            ..Sample::default()
        });
    }
    meter.flags.push("measured_by_peer");
    keep(extra, meter);
    Ok(())
}

pub(super) fn out_of_turn(word: &Word) -> Failure {
    let name = match word {
        Word::Progress {} => "progress",
        Word::Ready { .. } => "ready",
        Word::Listening { .. } => "listening",
        Word::Done(_) => "done",
        Word::Late { .. } => "late",
        Word::Result { .. } => "result",
        Word::Failure { .. } => "failure",
    };
    Failure::Crashed(format!("said `{name}` out of turn"))
}
