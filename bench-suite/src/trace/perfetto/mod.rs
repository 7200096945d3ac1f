//! A trace for Perfetto (<https://ui.perfetto.dev>): a process per run, a track of slices per thread, and an arrow from
//! each wake and spawn to the poll that it led to.

mod messages;

use std::collections::{HashMap, HashSet};

use prost::Message as _;

use super::format::{ABSENT, Event, Kind, Run, Thread, Trace};
use super::slices::{self, Activity, Slice};
use messages::{
    DebugAnnotation, EventName, EventType, INCREMENTAL_STATE_CLEARED, InternedData,
    NEEDS_INCREMENTAL_STATE, ProcessDescriptor, ThreadDescriptor, TracePacket, TrackDescriptor,
    TrackEvent,
};

/// All packets come from one writer.
const SEQUENCE: u32 = 1;

/// The trace as the bytes of a `.perfetto-trace` file.
pub fn bytes(trace: &Trace) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.packet(TracePacket {
        sequence_flags: Some(INCREMENTAL_STATE_CLEARED),
        ..TracePacket::default()
    });
    for (index, run) in trace.runs.iter().enumerate() {
        writer.run(index, run, &trace.workload);
    }
    messages::Trace {
        packet: writer.packets,
    }
    .encode_to_vec()
}

#[derive(Default)]
struct Writer {
    packets: Vec<TracePacket>,
    names: HashMap<String, u64>,
    /// The number of the last arrow.
    flows: u64,
}

/// The track of a thread, or of the process without a thread.
fn track(run: usize, thread: Option<u32>) -> u64 {
    (run as u64 + 1) << 32 | thread.map_or(0, |thread| u64::from(thread) + 1)
}

fn pid(run: usize) -> i32 {
    i32::try_from(run + 1).unwrap_or(i32::MAX)
}

/// A thread's number must be unique among all processes.
fn tid(run: usize, thread: u32) -> i32 {
    let tid = (run as u64 + 1) * 1_000_000 + u64::from(thread);
    i32::try_from(tid).unwrap_or(i32::MAX)
}

impl Writer {
    fn packet(&mut self, packet: TracePacket) {
        self.packets.push(TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            ..packet
        });
    }

    fn describe(&mut self, descriptor: TrackDescriptor) {
        self.packet(TracePacket {
            track_descriptor: Some(descriptor),
            ..TracePacket::default()
        });
    }

    fn event(&mut self, t_ns: u64, name: Option<&str>, event: TrackEvent) {
        let name_iid = name.map(|name| self.intern(name));
        self.packet(TracePacket {
            timestamp: Some(t_ns),
            sequence_flags: Some(NEEDS_INCREMENTAL_STATE),
            track_event: Some(TrackEvent { name_iid, ..event }),
            ..TracePacket::default()
        });
    }

    fn intern(&mut self, name: &str) -> u64 {
        if let Some(iid) = self.names.get(name) {
            return *iid;
        }
        let iid = self.names.len() as u64 + 1;
        self.names.insert(name.to_owned(), iid);
        self.packet(TracePacket {
            sequence_flags: Some(NEEDS_INCREMENTAL_STATE),
            interned_data: Some(InternedData {
                event_names: vec![EventName {
                    iid: Some(iid),
                    name: Some(name.to_owned()),
                }],
            }),
            ..TracePacket::default()
        });
        iid
    }

    fn run(&mut self, index: usize, run: &Run, workload: &str) {
        let mut name = format!("{} {workload}", run.runtime);
        if run.dropped > 0 {
            name = format!("{name} (incomplete: {} events dropped)", run.dropped);
        }
        if !run.missing.is_empty() {
            name = format!("{name} (not recorded: {})", run.missing.join(", "));
        }
        self.describe(TrackDescriptor {
            uuid: Some(track(index, None)),
            process: Some(ProcessDescriptor {
                pid: Some(pid(index)),
                process_name: Some(name),
            }),
            ..TrackDescriptor::default()
        });
        for thread in &run.threads {
            self.thread(index, thread);
        }
        let slices = slices::slices(run);
        // An arrow starts only at events that led to a recorded poll.
        let led: HashSet<usize> = slices.iter().flat_map(|it| it.causes.clone()).collect();
        let mut flows: HashMap<usize, u64> = HashMap::new();
        for cause in led {
            self.flows += 1;
            flows.insert(cause, self.flows);
        }
        self.timeline(index, run, &slices, &flows);
    }

    fn thread(&mut self, run: usize, thread: &Thread) {
        self.describe(TrackDescriptor {
            uuid: Some(track(run, Some(thread.id))),
            parent_uuid: Some(track(run, None)),
            thread: Some(ThreadDescriptor {
                pid: Some(pid(run)),
                tid: Some(tid(run, thread.id)),
                thread_name: Some(thread.name.clone()),
            }),
            ..TrackDescriptor::default()
        });
    }

    /// Slices and instants, in an order in which they nest.
    fn timeline(&mut self, index: usize, run: &Run, slices: &[Slice], flows: &HashMap<usize, u64>) {
        // Sort by time. Events at the same time: first ends, from the innermost on; then begins, from the outermost on;
        // then instants.
        let mut steps = Vec::with_capacity(2 * slices.len() + run.events.len());
        for (number, slice) in slices.iter().enumerate() {
            let empty = slice.from_ns == slice.to_ns;
            steps.push((slice.from_ns, 1, number as i64, Step::Begin(number)));
            let (rank, order) = if empty {
                (1, number as i64)
            } else {
                (0, -(number as i64))
            };
            steps.push((slice.to_ns, rank, order, Step::End(number)));
        }
        for (number, event) in run.events.iter().enumerate() {
            if instant(&event).is_some() {
                steps.push((event.t_ns, 2, number as i64, Step::Instant(number)));
            }
        }
        steps.sort_by_key(|&(t_ns, rank, order, _)| (t_ns, rank, order));
        for (t_ns, _, _, step) in steps {
            match step {
                Step::Begin(number) => {
                    let slice = &slices[number];
                    let name = slices::name(run, slice.doing);
                    let arrows = slice.causes.iter().filter_map(|cause| flows.get(cause));
                    let event = TrackEvent {
                        r#type: Some(EventType::SliceBegin.into()),
                        track_uuid: Some(track(index, Some(slice.thread))),
                        categories: vec![category(slice.doing).to_owned()],
                        terminating_flow_ids: arrows.copied().collect(),
                        debug_annotations: notes_of_task(run, slice.doing),
                        ..TrackEvent::default()
                    };
                    self.event(t_ns, Some(&name), event);
                }
                Step::End(number) => {
                    let event = TrackEvent {
                        r#type: Some(EventType::SliceEnd.into()),
                        track_uuid: Some(track(index, Some(slices[number].thread))),
                        ..TrackEvent::default()
                    };
                    self.event(t_ns, None, event);
                }
                Step::Instant(number) => {
                    let event = run.events.get(number);
                    let arrow = flows.get(&number).copied();
                    self.instant(index, run, &event, arrow);
                }
            }
        }
    }

    fn instant(&mut self, index: usize, run: &Run, event: &Event, arrow: Option<u64>) {
        let Some(what) = instant(event) else { return };
        let mut notes = Vec::new();
        if event.task != ABSENT {
            notes.push(text("task", slices::task_name(run, event.task)));
        }
        for (name, value) in [("a", event.a), ("b", event.b)] {
            if value != ABSENT {
                notes.push(number(name, value));
            }
        }
        let made = TrackEvent {
            r#type: Some(EventType::Instant.into()),
            track_uuid: Some(track(index, Some(event.thread))),
            categories: vec!["scheduler".to_owned()],
            flow_ids: arrow.into_iter().collect(),
            debug_annotations: notes,
            ..TrackEvent::default()
        };
        self.event(event.t_ns, Some(what), made);
    }
}

enum Step {
    Begin(usize),
    End(usize),
    Instant(usize),
}

/// The name of an event that neither begins nor ends a slice.
fn instant(event: &Event) -> Option<&'static str> {
    Some(match event.kind {
        Kind::Spawn => "spawn",
        Kind::Queued => "queued",
        Kind::Wake => "wake",
        Kind::Steal => "steal",
        Kind::Search => "search",
        Kind::IoPoll => "I/O poll",
        Kind::TimerFired => "timer fired",
        Kind::HandOff => "hand-off",
        Kind::LockWait => "lock waited for",
        Kind::LockGot => "lock got",
        Kind::LockRelease => "lock released",
        Kind::Abort => "abort",
        Kind::TaskEnd => "task end",
        Kind::OsSwitch => "switch",
        Kind::Joined => "joined",
        Kind::PollBegin | Kind::PollEnd | Kind::Park | Kind::Unpark => return None,
        Kind::BlockingBegin | Kind::BlockingEnd => return None,
    })
}

fn category(doing: Activity) -> &'static str {
    match doing {
        Activity::Polling(_) => "poll",
        Activity::Sleeping => "sleep",
        Activity::Blocking(_) => "blocking",
    }
}

fn notes_of_task(run: &Run, doing: Activity) -> Vec<DebugAnnotation> {
    let (Activity::Polling(id) | Activity::Blocking(id)) = doing else {
        return Vec::new();
    };
    if id == ABSENT {
        return Vec::new();
    }
    let mut notes = vec![number("task", id)];
    let task = usize::try_from(id).ok().and_then(|at| run.tasks.get(at));
    if let Some(site) = task.and_then(|task| task.site.clone()) {
        notes.push(text("spawned at", site));
    }
    notes
}

fn text(name: &str, value: String) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        string_value: Some(value),
        int_value: None,
    }
}

fn number(name: &str, value: i64) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        int_value: Some(value),
        string_value: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::slices::tests::small;
    use super::*;

    fn decoded(run: Run) -> Vec<TracePacket> {
        let trace = Trace {
            workload: "spawn".to_owned(),
            runs: vec![run],
            ..Trace::default()
        };
        let bytes = bytes(&trace);
        messages::Trace::decode(&*bytes).unwrap().packet
    }

    fn events(packets: &[TracePacket]) -> impl Iterator<Item = &TrackEvent> {
        packets
            .iter()
            .filter_map(|packet| packet.track_event.as_ref())
    }

    #[test]
    fn slices_close_in_order_and_arrows_end_at_polls() {
        let packets = decoded(small(&[
            (1, Kind::PollBegin, 0),
            (1, Kind::Spawn, 1),
            (2, Kind::PollEnd, 0),
            (2, Kind::PollBegin, 1),
            (2, Kind::PollEnd, 1),
            (3, Kind::Wake, 1),
        ]));
        let mut depth = 0;
        for event in events(&packets) {
            match event.r#type() {
                EventType::SliceBegin => depth += 1,
                EventType::SliceEnd => depth -= 1,
                _ => {}
            }
            assert!((0..=1).contains(&depth), "{event:?}");
        }
        assert_eq!(depth, 0);
        let begun: Vec<_> = events(&packets)
            .flat_map(|it| it.flow_ids.clone())
            .collect();
        let ended = events(&packets).flat_map(|it| it.terminating_flow_ids.clone());
        // The last wake leads to no poll, so no arrow starts there.
        assert_eq!(begun.len(), 1);
        assert_eq!(begun, ended.collect::<Vec<_>>());
    }

    #[test]
    fn dropped_events_are_in_the_name() {
        let mut run = small(&[]);
        run.dropped = 7;
        let packets = decoded(run);
        let names = packets.iter().filter_map(|packet| {
            let process = packet.track_descriptor.as_ref()?.process.as_ref()?;
            process.process_name.clone()
        });
        assert!(names.collect::<String>().contains("7 events dropped"));
    }
}
