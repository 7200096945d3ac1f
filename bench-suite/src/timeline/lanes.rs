//! A small still picture of a run: a lane per thread, cut into columns of equal time. It is for pages without scripts,
//! and for print.

use std::collections::HashMap;

use crate::trace::{Kind, Run, ThreadKind};

/// The number of columns, however wide the picture is.
pub(crate) const COLUMNS: usize = 600;

/// What a thread does, in drawing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Activity {
    /// It polls a task.
    Running,
    /// It looks for work.
    Searching,
    /// It is awake between polls.
    Scheduling,
    /// It sleeps.
    Asleep,
}

impl Activity {
    pub(crate) const ALL: [Self; 4] = [
        Self::Running,
        Self::Searching,
        Self::Scheduling,
        Self::Asleep,
    ];
}

/// One thread's lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Spans of columns in which it did mostly one thing, each with its first column and its length.
    pub(crate) spans: Vec<(Activity, usize, usize)>,
    /// The total time in which it ran tasks.
    pub(crate) running_ns: u64,
}

/// The lanes of the threads that run tasks, up to `until_ns`: workers in order, then tasks' own threads by running
/// time, if they did anything.
pub(crate) fn lanes(run: &Run, until_ns: u64) -> Vec<Lane> {
    let mut pictures: HashMap<u32, Picture> = HashMap::new();
    for thread in &run.threads {
        let doing = match thread.kind {
            ThreadKind::Worker => Some(Activity::Asleep),
            ThreadKind::Task => None,
            _ => continue,
        };
        pictures.insert(thread.id, Picture::new(doing, until_ns));
    }
    for event in run.events.iter() {
        let Some(picture) = pictures.get_mut(&event.thread) else {
            continue;
        };
        match event.kind {
            Kind::Park => picture.change(event.t_ns, Some(Activity::Asleep)),
            Kind::Search => picture.change(event.t_ns, Some(Activity::Searching)),
            Kind::PollBegin => {
                picture.polls += 1;
                picture.change(event.t_ns, Some(Activity::Running));
            }
            Kind::PollEnd => {
                picture.polls = picture.polls.saturating_sub(1);
                if picture.polls == 0 {
                    picture.change(event.t_ns, Some(Activity::Scheduling));
                }
            }
            // A poll can sleep in blocking code.
            Kind::Unpark if picture.polls > 0 => {
                picture.change(event.t_ns, Some(Activity::Running))
            }
            Kind::Unpark => picture.change(event.t_ns, Some(Activity::Scheduling)),
            Kind::TaskEnd if picture.is_own => picture.ends_at = Some(event.t_ns),
            _ => {}
        }
    }
    let mut lanes: Vec<(bool, Lane)> = Vec::new();
    for thread in &run.threads {
        if let Some(picture) = pictures.remove(&thread.id) {
            let is_worker = thread.kind == ThreadKind::Worker;
            let lane = picture.lane(&thread.name, run.wall_ns);
            if is_worker || !lane.spans.is_empty() {
                lanes.push((is_worker, lane));
            }
        }
    }
    lanes.sort_by(|(is_worker, one), (_, other)| match is_worker {
        // Their names end with numbers.
        true => (one.name.len(), &one.name).cmp(&(other.name.len(), &other.name)),
        false => other.running_ns.cmp(&one.running_ns),
    });
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

/// The nanoseconds of each activity, per column.
struct Picture {
    columns: Vec<[u64; Activity::ALL.len()]>,
    until_ns: u64,
    since: u64,
    /// `None` while the thread does not exist.
    doing: Option<Activity>,
    is_own: bool,
    /// The number of open polls; polls can nest.
    polls: u32,
    ends_at: Option<u64>,
    running_ns: u64,
}

impl Picture {
    fn new(doing: Option<Activity>, until_ns: u64) -> Self {
        Self {
            columns: vec![[0; Activity::ALL.len()]; COLUMNS],
            until_ns: until_ns.max(1),
            since: 0,
            doing,
            is_own: doing.is_none(),
            polls: 0,
            ends_at: None,
            running_ns: 0,
        }
    }

    fn change(&mut self, now: u64, next: Option<Activity>) {
        if let Some(doing) = self.doing {
            self.add(doing, self.since, now.min(self.until_ns));
        }
        (self.doing, self.since) = (next, now);
    }

    fn add(&mut self, doing: Activity, from: u64, to: u64) {
        let to = to.max(from);
        if doing == Activity::Running {
            self.running_ns += to - from;
        }
        let border =
            |column: usize| (self.until_ns as u128 * column as u128 / COLUMNS as u128) as u64;
        let first = (from as u128 * COLUMNS as u128 / self.until_ns as u128) as usize;
        for column in first..COLUMNS {
            let (begin, end) = (border(column).max(from), border(column + 1).min(to));
            self.columns[column][doing as usize] += end.saturating_sub(begin);
            if border(column + 1) >= to {
                break;
            }
        }
    }

    fn lane(mut self, name: &str, wall_ns: u64) -> Lane {
        let end = self.ends_at.unwrap_or(wall_ns);
        self.change(end, None);
        let mut spans: Vec<(Activity, usize, usize)> = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            let most = Activity::ALL
                .into_iter()
                .max_by_key(|doing| column[*doing as usize]);
            let Some(doing) = most.filter(|doing| column[*doing as usize] > 0) else {
                continue;
            };
            match spans.last_mut() {
                Some((last, from, length)) if *last == doing && *from + *length == at => {
                    *length += 1
                }
                _ => spans.push((doing, at, 1)),
            }
        }
        Lane {
            name: name.to_owned(),
            spans,
            running_ns: self.running_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Event, Thread};

    fn run(kind: ThreadKind, events: &[(u64, Kind)]) -> Run {
        let mut run = Run {
            wall_ns: 600,
            threads: vec![Thread {
                id: 0,
                name: "one".to_owned(),
                kind,
            }],
            ..Run::default()
        };
        for &(t_ns, kind) in events {
            run.events.push(Event {
                t_ns,
                thread: 0,
                kind,
                task: 0,
                a: -1,
                b: -1,
            });
        }
        run
    }

    #[test]
    fn a_worker_sleeps_until_its_first_event_and_goes_on_as_it_was() {
        let events = [
            (100, Kind::Unpark),
            (200, Kind::PollBegin),
            (300, Kind::PollEnd),
            (400, Kind::Search),
            (500, Kind::Park),
        ];
        let lanes = lanes(&run(ThreadKind::Worker, &events), 600);
        assert_eq!(
            lanes[0].spans,
            [
                (Activity::Asleep, 0, 100),
                (Activity::Scheduling, 100, 100),
                (Activity::Running, 200, 100),
                (Activity::Scheduling, 300, 100),
                (Activity::Searching, 400, 100),
                (Activity::Asleep, 500, 100),
            ]
        );
        assert_eq!(lanes[0].running_ns, 100);
    }

    #[test]
    fn a_tasks_own_thread_is_there_from_its_first_event_to_its_tasks_end() {
        let events = [
            (100, Kind::PollBegin),
            (200, Kind::PollEnd),
            (300, Kind::TaskEnd),
        ];
        let lanes = lanes(&run(ThreadKind::Task, &events), 600);
        assert_eq!(
            lanes[0].spans,
            [
                (Activity::Running, 100, 100),
                (Activity::Scheduling, 200, 100)
            ]
        );
        assert!(super::lanes(&run(ThreadKind::Task, &[]), 600).is_empty());
    }

    #[test]
    fn events_after_the_end_of_the_picture_are_not_in_it() {
        let events = [(100, Kind::PollBegin), (500, Kind::PollEnd)];
        for until in [1, 7, 300] {
            let lanes = lanes(&run(ThreadKind::Worker, &events), until);
            let last = lanes[0].spans.last().unwrap();
            assert_eq!(last.1 + last.2, COLUMNS, "{until}");
        }
    }
}
