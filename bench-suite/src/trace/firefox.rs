//! A trace for the Firefox Profiler (<https://profiler.firefox.com>): a process per run, a row of markers per thread.

use std::io;
use std::time::SystemTime;

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, MarkerFieldFlags, MarkerFieldFormat, MarkerLocations,
    MarkerTiming, ProcessHandle, Profile, SamplingInterval, StaticSchemaMarker,
    StaticSchemaMarkerField, StringHandle, ThreadHandle, Timestamp,
};

use super::format::{ABSENT, Kind, Run, ThreadKind, Trace};
use super::slices::{self, Activity};

/// The trace as a profile in JSON.
///
/// # Errors
/// Those of the serialiser; none are expected.
pub fn bytes(trace: &Trace) -> io::Result<Vec<u8>> {
    // A trace contains no date, and the same trace must give the same profile.
    let start = SystemTime::UNIX_EPOCH.into();
    let interval = SamplingInterval::from_millis(1);
    let mut profile = Profile::new(&trace.workload, start, interval);
    let categories = Categories {
        poll: profile.add_category("poll", CategoryColor::Blue),
        sleep: profile.add_category("sleep", CategoryColor::Gray),
        blocking: profile.add_category("blocking", CategoryColor::Orange),
        scheduler: profile.add_category("scheduler", CategoryColor::Green),
    };
    for (index, run) in trace.runs.iter().enumerate() {
        add_run(&mut profile, &categories, index, run);
    }
    serde_json::to_vec(&profile).map_err(io::Error::other)
}

struct Categories {
    poll: CategoryHandle,
    sleep: CategoryHandle,
    blocking: CategoryHandle,
    scheduler: CategoryHandle,
}

fn at(t_ns: u64) -> Timestamp {
    Timestamp::from_nanos_since_reference(t_ns)
}

fn add_run(profile: &mut Profile, categories: &Categories, index: usize, run: &Run) {
    let number = index as u32 + 1;
    let mut name = run.runtime.clone();
    if run.dropped > 0 {
        name = format!("{name} (incomplete: {} events dropped)", run.dropped);
    }
    if !run.missing.is_empty() {
        name = format!("{name} (not recorded: {})", run.missing.join(", "));
    }
    let process = profile.add_process(&name, number, at(0));
    profile.set_process_end_time(process, at(run.wall_ns));
    let threads: Vec<(u32, ThreadHandle)> = run
        .threads
        .iter()
        .map(|thread| (thread.id, add_thread(profile, process, number, thread)))
        .collect();
    let handle = |id: u32| {
        let known = threads.iter().find(|(known, _)| *known == id);
        known.map(|(_, handle)| *handle)
    };
    for slice in slices::slices(run) {
        let Some(thread) = handle(slice.thread) else {
            continue;
        };
        let marker = Marker {
            name: profile.intern_string(&slices::name(run, slice.doing)),
            detail: profile.intern_string(&detail(run, slice.doing)),
            category: match slice.doing {
                Activity::Polling(_) => categories.poll,
                Activity::Sleeping => categories.sleep,
                Activity::Blocking(_) => categories.blocking,
            },
        };
        let timing = MarkerTiming::Interval(at(slice.from_ns), at(slice.to_ns));
        profile.add_marker(thread, timing, marker);
    }
    for event in run.events.iter() {
        let (Some(what), Some(thread)) = (point(event.kind), handle(event.thread)) else {
            continue;
        };
        let task = match event.task {
            ABSENT => String::new(),
            id => slices::task_name(run, id),
        };
        let marker = Marker {
            name: profile.intern_string(what),
            detail: profile.intern_string(&task),
            category: categories.scheduler,
        };
        profile.add_marker(thread, MarkerTiming::Instant(at(event.t_ns)), marker);
    }
}

fn add_thread(
    profile: &mut Profile,
    process: ProcessHandle,
    number: u32,
    thread: &super::format::Thread,
) -> ThreadHandle {
    let tid = number.saturating_mul(1_000_000).saturating_add(thread.id);
    let is_main = thread.kind == ThreadKind::Other;
    let handle = profile.add_thread(process, tid, at(0), is_main);
    profile.set_thread_name(handle, &thread.name);
    profile.set_thread_show_markers_in_timeline(handle, true);
    handle
}

fn detail(run: &Run, doing: Activity) -> String {
    let (Activity::Polling(id) | Activity::Blocking(id)) = doing else {
        return String::new();
    };
    let task = usize::try_from(id).ok().and_then(|at| run.tasks.get(at));
    match task.and_then(|task| task.site.as_ref()) {
        Some(site) => format!("task {id}, spawned at {site}"),
        None => format!("task {id}"),
    }
}

/// The name of an event that is a point in time. Other events end intervals, or are too frequent to show.
fn point(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Spawn => "spawn",
        Kind::Wake => "wake",
        Kind::Steal => "steal",
        Kind::TimerFired => "timer fired",
        Kind::HandOff => "hand-off",
        Kind::LockWait => "lock waited for",
        Kind::LockGot => "lock got",
        Kind::Abort => "abort",
        Kind::TaskEnd => "task end",
        _ => return None,
    })
}

struct Marker {
    name: StringHandle,
    detail: StringHandle,
    category: CategoryHandle,
}

impl StaticSchemaMarker for Marker {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "lab";
    const LOCATIONS: MarkerLocations = MarkerLocations::MARKER_CHART
        .union(MarkerLocations::MARKER_TABLE)
        .union(MarkerLocations::TIMELINE_OVERVIEW);
    const CHART_LABEL: Option<&'static str> = Some("{marker.name}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.name} {marker.data.detail}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[StaticSchemaMarkerField {
        key: "detail",
        label: "Task",
        format: MarkerFieldFormat::String,
        flags: MarkerFieldFlags::SEARCHABLE,
    }];

    fn name(&self, _: &mut Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _: &mut Profile) -> CategoryHandle {
        self.category
    }

    fn string_field_value(&self, _: u32) -> StringHandle {
        self.detail
    }

    fn number_field_value(&self, _: u32) -> f64 {
        unreachable!("the schema has no field that is a number")
    }
}

#[cfg(test)]
mod tests {
    use super::super::slices::tests::small;
    use super::*;

    #[test]
    fn a_profile_has_a_thread_and_its_markers() {
        let trace = Trace {
            workload: "spawn".to_owned(),
            runs: vec![small(&[
                (1, Kind::PollBegin, 0),
                (5, Kind::PollEnd, 0),
                (6, Kind::Wake, 1),
            ])],
            ..Trace::default()
        };
        let profile: serde_json::Value = serde_json::from_slice(&bytes(&trace).unwrap()).unwrap();
        let thread = &profile["threads"][0];
        assert_eq!(thread["name"], "mn-worker-0");
        assert_eq!(thread["markers"]["length"], 2);
        assert_eq!(thread["markers"]["startTime"][0], 0.000001);
    }
}
