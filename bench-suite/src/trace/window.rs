//! The first or the last part of a run, small enough to fit into a report with other runs.

use std::collections::HashSet;

use super::format::{Event, Events, Kind, Run, ThreadKind};

impl Run {
    /// The run up to its first `events` events and up to `until_ns`, whichever comes first. Keeps the threads and tasks
    /// of these events, and all workers. A run that is shorter than both limits is unchanged.
    #[must_use]
    pub fn first(&self, events: usize, until_ns: u64) -> Self {
        let in_time = self.events.t_ns.partition_point(|&t_ns| t_ns <= until_ns);
        let count = events.min(in_time);
        if count == self.events.len() && self.wall_ns <= until_ns {
            return self.clone();
        }
        let end = match self.events.t_ns.get(count) {
            // The time of the next event. Nothing happens before it, so nothing is lost.
            Some(&next) => next.min(until_ns),
            None => self.wall_ns.min(until_ns),
        };
        let mut kept = Self {
            wall_ns: end,
            events: self.events.first(count),
            ..self.clone()
        };
        kept.keep_referenced_events();
        kept
    }

    /// The last `count` events, with times from the first of them on. The others count as dropped. Keeps the threads
    /// and tasks of these events, and all workers.
    #[must_use]
    pub fn last(&self, count: usize) -> Self {
        let left_out = self.events.len().saturating_sub(count);
        if left_out == 0 {
            return self.clone();
        }
        let begin = self.events.t_ns[left_out];
        let mut kept = Self {
            wall_ns: self.wall_ns.saturating_sub(begin),
            dropped: self.dropped + left_out as u64,
            events: Events::default(),
            ..self.clone()
        };
        for index in left_out..self.events.len() {
            let event = self.events.get(index);
            kept.events.push(Event {
                t_ns: event.t_ns - begin,
                ..event
            });
        }
        kept.keep_referenced_events();
        kept
    }

    fn keep_referenced_events(&mut self) {
        let mut tasks: HashSet<i64> = HashSet::new();
        let mut threads: HashSet<u32> = HashSet::new();
        for event in self.events.iter() {
            tasks.insert(event.task);
            threads.insert(event.thread);
            if matches!(
                event.kind,
                Kind::Spawn | Kind::Wake | Kind::Abort | Kind::Joined
            ) {
                tasks.insert(event.a);
            }
        }
        self.tasks
            .retain(|task| tasks.contains(&i64::from(task.id)));
        self.threads
            .retain(|thread| thread.kind == ThreadKind::Worker || threads.contains(&thread.id));
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{Task, Thread};
    use super::*;

    fn run() -> Run {
        let mut events = Events::default();
        for at in 0..10_u32 {
            events.push(Event {
                t_ns: u64::from(at) * 100,
                thread: at % 3,
                kind: Kind::PollBegin,
                task: i64::from(at),
                a: -1,
                b: -1,
            });
        }
        let kind = |id| {
            if id == 2 {
                ThreadKind::Worker
            } else {
                ThreadKind::Task
            }
        };
        Run {
            wall_ns: 1000,
            threads: (0..4)
                .map(|id| Thread {
                    id,
                    name: String::new(),
                    kind: kind(id),
                })
                .collect(),
            tasks: (0..10)
                .map(|id| Task {
                    id,
                    ..Task::default()
                })
                .collect(),
            events,
            ..Run::default()
        }
    }

    #[test]
    fn the_first_events_keep_the_events_they_refer_to() {
        let first = run().first(2, u64::MAX);
        assert_eq!((first.events.len(), first.wall_ns), (2, 200));
        assert_eq!(
            first.tasks.iter().map(|task| task.id).collect::<Vec<_>>(),
            [0, 1]
        );
        // The worker is kept, although it has done nothing yet.
        assert_eq!(
            first
                .threads
                .iter()
                .map(|thread| thread.id)
                .collect::<Vec<_>>(),
            [0, 1, 2]
        );
    }

    #[test]
    fn the_last_events_begin_at_0_and_the_others_count_as_dropped() {
        let last = run().last(2);
        assert_eq!(last.events.t_ns, [0, 100]);
        assert_eq!((last.wall_ns, last.dropped), (200, 8));
        let tasks: Vec<u32> = last.tasks.iter().map(|task| task.id).collect();
        assert_eq!(tasks, [8, 9]);
        assert!(last.check().is_ok());
        assert_eq!(run().last(10), run());
    }

    #[test]
    fn time_ends_it_too_and_a_short_run_stays_whole() {
        let first = run().first(100, 450);
        assert_eq!((first.events.len(), first.wall_ns), (5, 450));
        assert_eq!(run().first(100, 5000), run());
        assert_eq!(run().first(100, 950).wall_ns, 950);
    }
}
