//! From records to events: one order of time, tasks instead of addresses, threads instead of workers.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::clock::Scale;
use super::names::Names;
use super::recorded::{Event, Recorded, Task, Thread, ThreadKind};
use super::table::{Cause, Kind, Outcome, WorkerId};
use super::unfold::Step;
use super::words::{NAMED, THREAD_IS, UNPARKS, Words};
use crate::task::type_name_of_table;

/// What a dump has read from the rings.
pub(super) struct Raw {
    pub(super) threads: BTreeMap<u32, Entry>,
    pub(super) names: Names,
    pub(super) dropped: u64,
    /// In the order of time, for each thread.
    pub(super) steps: Vec<Step>,
}

/// A thread, as a dump names it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: ThreadKind,
    pub(super) worker: WorkerId,
}

/// The events until `end`. Threads may have recorded more while the dump read their rings.
pub(super) fn decode(mut raw: Raw, scale: &Scale, end: u64) -> Recorded {
    raw.steps.retain(|step| step.stamp <= end);
    // Stable: what one thread recorded in the same tick stays in order.
    raw.steps.sort_by_key(|step| step.stamp);
    let mut decoder = Decoder::new(&raw);
    for step in &raw.steps {
        decoder.t_ns = scale.ns(step.stamp);
        decoder.thread = decoder.number_of_thread(step.thread);
        decoder.record(step.words);
    }
    decoder.begin_with_what_was_going_on();
    let Decoder {
        tasks,
        events,
        threads,
        ..
    } = decoder;
    Recorded {
        wall_ns: scale.ns(end),
        dropped: raw.dropped,
        threads,
        tasks,
        events,
    }
}

struct Decoder<'a> {
    raw: &'a Raw,
    t_ns: u64,
    thread: u32,
    threads: Vec<Thread>,
    /// Maps threads of the recording to the numbers in the result.
    numbers: HashMap<u32, u32>,
    /// The thread of the recording that is a worker at the moment.
    workers: HashMap<u64, u32>,
    tasks: Vec<Task>,
    /// The task that is at each address at the moment.
    alive: HashMap<u64, u32>,
    locks: HashMap<u64, u64>,
    /// Which task waits for which lock.
    waiting: HashSet<(Option<u32>, u64)>,
    /// The thread that has unparked a thread which has not continued yet.
    unparked_by: HashMap<u32, u32>,
    /// The sleep that a thread is in, as the index of its event.
    asleep: HashMap<u32, usize>,
    events: Vec<Event>,
    /// Sleeps and polls that had begun before the first record: only their ends were recorded.
    begun: Vec<Event>,
    /// The threads for which the start or end of a sleep, or of a poll, was seen.
    seen: HashSet<(u32, Kind)>,
}

impl<'a> Decoder<'a> {
    fn new(raw: &'a Raw) -> Self {
        // Records repeat this at the right time. These entries are for workers whose own record was overwritten.
        let workers = raw
            .threads
            .iter()
            .map(|(number, entry)| (entry.worker.0, *number));
        Self {
            workers: workers
                .filter(|(worker, _)| *worker != WorkerId::NONE.0)
                .collect(),
            raw,
            t_ns: 0,
            thread: 0,
            threads: Vec::new(),
            numbers: HashMap::new(),
            tasks: Vec::new(),
            alive: HashMap::new(),
            locks: HashMap::new(),
            waiting: HashSet::new(),
            unparked_by: HashMap::new(),
            asleep: HashMap::new(),
            events: Vec::with_capacity(raw.steps.len()),
            begun: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn number_of_thread(&mut self, thread: u32) -> u32 {
        *self.numbers.entry(thread).or_insert_with(|| {
            let id = self.threads.len() as u32;
            let entry = self.raw.threads.get(&thread);
            self.threads.push(Thread {
                id,
                name: entry.map_or_else(String::new, |entry| entry.name.clone()),
                kind: entry.map_or(ThreadKind::Other, |entry| entry.kind),
            });
            id
        })
    }

    fn thread_of_worker(&mut self, worker: u64) -> Option<u32> {
        let thread = *self.workers.get(&worker)?;
        Some(self.number_of_thread(thread))
    }

    fn new_task(&mut self, address: u64) -> u32 {
        let id = self.tasks.len() as u32;
        self.tasks.push(Task {
            id,
            ..Task::default()
        });
        self.alive.insert(address, id);
        id
    }

    /// The task that lives at the address. A task that was spawned before the recording is new.
    fn task_at(&mut self, address: u64) -> Option<u32> {
        if address == 0 {
            return None;
        }
        let known = self.alive.get(&address).copied();
        Some(known.unwrap_or_else(|| self.new_task(address)))
    }

    fn lock_at(&mut self, address: u64) -> u64 {
        let next = self.locks.len() as u64;
        *self.locks.entry(address).or_insert(next)
    }

    /// One of a pair of events of a thread: if the end comes first, the pair began before the recording.
    fn pair(&mut self, begins: Kind, is_begin: bool, task: Option<u32>) {
        if self.seen.insert((self.thread, begins)) && !is_begin {
            self.begun.push(Event {
                t_ns: 0,
                thread: self.thread,
                kind: begins,
                task,
                a: (begins == Kind::Park).then_some(0),
                b: None,
            });
        }
    }

    fn begin_with_what_was_going_on(&mut self) {
        if !self.begun.is_empty() {
            self.events.splice(0..0, self.begun.drain(..));
        }
    }

    fn push(&mut self, kind: Kind, task: Option<u32>, a: Option<u64>, b: Option<u64>) {
        self.events.push(Event {
            t_ns: self.t_ns,
            thread: self.thread,
            kind,
            task,
            a,
            b,
        });
    }

    fn record(&mut self, words: Words) {
        match words.kind() {
            UNPARKS => {
                if let Some(sleeper) = self.thread_of_worker(words.payload()) {
                    self.unparked_by.insert(sleeper, self.thread);
                }
            }
            THREAD_IS => self.thread_is(words.payload()),
            NAMED => self.named(words),
            kind => {
                if let Some(kind) = Kind::of(kind) {
                    self.event(kind, words);
                }
            }
        }
    }

    fn thread_is(&mut self, worker: u64) {
        let number = self.numbers.iter().find(|(_, id)| **id == self.thread);
        if let (Some((number, _)), true) = (number, worker != WorkerId::NONE.0) {
            self.workers.insert(worker, *number);
        }
    }

    fn event(&mut self, kind: Kind, words: Words) {
        if kind == Kind::Spawn {
            return self.spawn(words);
        }
        let task = self.task_at(words.task());
        let small = Some(u64::from(words.small()));
        match kind {
            Kind::Queued => {
                let owner = match words.payload() {
                    0 if words.small() == super::Queue::Injector as u8 => None,
                    0 => Some(self.thread),
                    worker => self.thread_of_worker(worker),
                };
                self.push(kind, task, owner.map(u64::from), small);
            }
            Kind::PollBegin => {
                self.pair(kind, true, task);
                if let Some(task) = task
                    && self.tasks[task as usize].name.is_empty()
                    && let Some(table) = words.table()
                {
                    self.tasks[task as usize].name = type_name_of_table(table).to_owned();
                }
                self.push(kind, task, None, None);
            }
            Kind::PollEnd => self.poll_end(task, words.small()),
            Kind::Wake => {
                if words.small() == Cause::Timer as u8 {
                    self.push(Kind::TimerFired, task, None, None);
                }
                let waker = self.task_at(words.payload()).map(u64::from);
                self.push(kind, task, waker, small);
            }
            Kind::Joined => {
                let joined = self.task_at(words.payload()).map(u64::from);
                self.push(kind, task, joined, None);
            }
            Kind::Abort => {
                let by = self.task_at(words.payload()).map(u64::from);
                self.push(kind, task, by, None);
            }
            Kind::Steal => {
                let victim = self.thread_of_worker(words.payload()).map(u64::from);
                self.push(kind, None, victim, Some(words.upper().into()));
            }
            Kind::Park => {
                self.pair(Kind::Park, true, None);
                // A wake before the sleep does not count any more.
                self.unparked_by.remove(&self.thread);
                self.asleep.insert(self.thread, self.events.len());
                self.push(kind, None, small, None);
            }
            Kind::Unpark => {
                self.pair(Kind::Park, false, None);
                self.asleep.remove(&self.thread);
                let by = self.unparked_by.remove(&self.thread);
                self.push(kind, None, by.map(u64::from), None);
            }
            Kind::HandOff => {
                let replacement = words.payload();
                let stuck = replacement & !0xFFFF | u64::from(words.upper());
                let stuck = self.thread_of_worker(stuck).map(u64::from);
                let replacement = self.thread_of_worker(replacement).map(u64::from);
                self.push(kind, None, stuck, replacement);
            }
            Kind::IoPoll => {
                // If the poller was asked during a sleep, the thread slept in it.
                if let Some(park) = self.asleep.get(&self.thread) {
                    self.events[*park].a = Some(1);
                }
                self.push(kind, None, Some(words.1), None);
            }
            Kind::BlockingBegin | Kind::BlockingEnd => {
                self.push(kind, task, Some(words.1), None);
            }
            Kind::LockWait | Kind::LockGot | Kind::LockRelease => {
                let lock = self.lock_at(words.1);
                // If a task is polled while it waits, the same wait continues.
                if kind == Kind::LockWait && !self.waiting.insert((task, lock)) {
                    return;
                }
                if kind == Kind::LockGot {
                    self.waiting.remove(&(task, lock));
                }
                self.push(kind, task, Some(lock), small);
            }
            Kind::TaskEnd => self.task_end(task, words.small()),
            Kind::Search => self.push(kind, task, None, None),
            Kind::OsSwitch => self.push(kind, task, small, Some(words.1)),
            // These are not recorded as such.
            Kind::Spawn | Kind::TimerFired => {}
        }
    }

    fn spawn(&mut self, words: Words) {
        let parent = self.task_at(words.payload());
        let id = self.new_task(words.task());
        self.tasks[id as usize].parent = parent;
        self.call(id, words.upper());
        self.push(Kind::Spawn, Some(id), parent.map(u64::from), None);
    }

    fn named(&mut self, words: Words) {
        if let Some(task) = self.task_at(words.task()) {
            self.call(task, words.upper());
        }
    }

    /// Gives a task the name with that number, and its place.
    fn call(&mut self, task: u32, number: u16) {
        let task = &mut self.tasks[task as usize];
        if let Some((name, site)) = self.raw.names.get(number) {
            name.clone_into(&mut task.name);
            task.site = site.map(|site| format!("{}:{}", site.file(), site.line()));
        }
    }

    fn poll_end(&mut self, task: Option<u32>, outcome: u8) {
        self.pair(Kind::PollBegin, false, task);
        self.push(Kind::PollEnd, task, Some(outcome.into()), None);
        for (ending, how) in [(Outcome::Ready, 0), (Outcome::Panicked, 1)] {
            if outcome == ending as u8 {
                self.task_end(task, how);
            }
        }
    }

    fn task_end(&mut self, task: Option<u32>, how: u8) {
        self.push(Kind::TaskEnd, task, Some(how.into()), None);
    }
}
