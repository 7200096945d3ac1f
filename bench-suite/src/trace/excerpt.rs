//! The start of a traced run, small enough for a results file: where the time went, and the first events.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use runtime_core::trace::{Recorded, Recorder};
use serde::{Deserialize, Serialize};

use super::format::Run;
use super::record;
use crate::analysis::dag::Dag;
use crate::analysis::time_split::TimeSplit;
use crate::analysis::waits::Waits;

/// The most events that the figures cover.
const MAX_EVENTS: usize = 1 << 15;
/// The same if a ring overflowed. A ring holds four times as many records, so all threads together recorded at least
/// this many events before the first loss. The figures for these are complete.
const EVENTS_BEFORE_ANY_LOSS: usize = 1 << 12;
const RECORDS_PER_THREAD: usize = 1 << 16;
/// A ring's pages take memory only once they are written, so a large limit costs nothing.
const RECORDS_IN_ALL: usize = 1 << 30;
/// The length of the timeline: what a report has room for, per arm.
const SHOWN_EVENTS: usize = 1000;
const SHOWN_NS: u64 = 20_000_000;
/// This project writes no longer timelines. A longer one means a damaged or malicious file.
const MAX_BYTES: u64 = 1 << 22;

/// The recorded start of a run, and its figures. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Excerpt {
    /// How long the recorded repetition took.
    pub wall_ns: u64,
    /// The part of it, from its start, that the figures cover.
    pub window_ns: u64,
    /// The number of events in that part.
    pub events: u64,
    /// Where the threads' time went.
    pub time: TimeSplit,
    /// The total time for which tasks were queued while some worker slept.
    pub queued_while_a_worker_slept_ns: u64,
    /// The longest such time of one task.
    pub longest_queued_while_a_worker_slept_ns: u64,
    /// The first events, a run of `lab.trace/1` as JSON: deflated, in base64.
    pub timeline_deflate_base64: String,
}

impl Excerpt {
    /// The recorder for an excerpt.
    pub(crate) fn recorder() -> Recorder {
        Recorder::new()
            .records_per_thread(RECORDS_PER_THREAD)
            .records_in_all(RECORDS_IN_ALL)
    }

    /// The excerpt of a recording by [`recorder`](Excerpt::recorder).
    pub(crate) fn of(runtime: &str, recorded: &Recorded) -> Self {
        let whole = record::run(runtime, BTreeMap::new(), recorded);
        let most = match whole.dropped {
            0 => MAX_EVENTS,
            _ => EVENTS_BEFORE_ANY_LOSS,
        };
        let mut run = whole.first(most, whole.wall_ns);
        // Nothing was dropped within the part that is left.
        run.dropped = 0;
        let waits = Waits::of(&Dag::of(&run), &run);
        Self {
            wall_ns: whole.wall_ns,
            window_ns: run.wall_ns,
            events: run.events.len() as u64,
            time: TimeSplit::of(&run),
            queued_while_a_worker_slept_ns: waits.while_a_worker_slept_ns,
            longest_queued_while_a_worker_slept_ns: waits.longest_while_a_worker_slept_ns,
            timeline_deflate_base64: packed(&run.first(SHOWN_EVENTS, SHOWN_NS)),
        }
    }

    /// The first events; `None` if they can't be read.
    ///
    /// ```
    /// use bench_suite::trace::Excerpt;
    ///
    /// let damaged = Excerpt {
    ///     timeline_deflate_base64: "AAAA".to_owned(),
    ///     ..Excerpt::default()
    /// };
    /// assert_eq!(damaged.timeline(), None);
    /// ```
    pub fn timeline(&self) -> Option<Run> {
        unpacked(&self.timeline_deflate_base64)
    }
}

/// The run that [`packed`] encoded; `None` if it is damaged.
pub(crate) fn unpacked(text: &str) -> Option<Run> {
    let bytes = STANDARD.decode(text).ok()?;
    let mut text = Vec::new();
    let mut read = DeflateDecoder::new(bytes.as_slice()).take(MAX_BYTES);
    read.read_to_end(&mut text).ok()?;
    let run: Run = serde_json::from_slice(&text).ok()?;
    run.check().ok().map(|()| run)
}

/// A run as JSON, deflated, in base64.
pub(crate) fn packed(run: &Run) -> String {
    let text = serde_json::to_vec(run).expect("a run is JSON");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(&text).and_then(|()| encoder.finish());
    STANDARD.encode(packed.expect("writing into memory does not fail"))
}

#[cfg(test)]
mod tests {
    use super::super::format::{Event, Kind, Task, Thread, ThreadKind};
    use super::*;

    fn run() -> Run {
        let mut run = Run {
            runtime: "mn".to_owned(),
            wall_ns: 5000,
            threads: vec![Thread {
                id: 0,
                name: "<b>".to_owned(),
                kind: ThreadKind::Worker,
            }],
            tasks: vec![Task::default()],
            ..Run::default()
        };
        for t_ns in 0..2000 {
            run.events.push(Event {
                t_ns,
                thread: 0,
                kind: Kind::PollBegin,
                task: 0,
                a: -1,
                b: -1,
            });
        }
        run
    }

    #[test]
    fn a_timeline_survives_the_round_trip() {
        let excerpt = Excerpt {
            timeline_deflate_base64: packed(&run()),
            ..Excerpt::default()
        };
        assert_eq!(excerpt.timeline(), Some(run()));
        assert!(excerpt.timeline_deflate_base64.len() < 8000);
    }

    #[test]
    fn a_damaged_timeline_is_refused() {
        let mut contradicts = run();
        contradicts.events.thread[7] = 9;
        let whole = packed(&run());
        for text in [
            packed(&contradicts),
            whole[..whole.len() / 2].to_owned(),
            "?".to_owned(),
        ] {
            let excerpt = Excerpt {
                timeline_deflate_base64: text,
                ..Excerpt::default()
            };
            assert_eq!(excerpt.timeline(), None);
        }
    }

    #[test]
    fn the_figures_of_a_real_recording_add_up() {
        let session = Excerpt::recorder().start_in_turn();
        let excerpt = Excerpt::of("mn", &session.stop());
        let parts: u64 = excerpt.time.parts().iter().map(|(_, ns)| ns).sum();
        assert_eq!(parts, excerpt.time.total_ns);
        assert!(excerpt.window_ns <= excerpt.wall_ns);
        assert!(excerpt.timeline().is_some());
    }
}
