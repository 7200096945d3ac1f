//! Which call goes to which process. All of this runs on the supervisor's thread.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use crate::sync::{Queue, Semaphore, oneshot};

use super::error::{Answer, CallError};
use super::inbox::{Inbox, Order, Request, UNBOUNDED};
use super::wire::{Frame, Kind};

/// If this many children in a row end before they are ready, waiting calls are given up.
pub(super) const MAX_FAILED_STARTS: u32 = 3;

/// What the supervisor's tasks share.
pub(super) struct Pool {
    calls_per_process: usize,
    inbox: Arc<Inbox>,
    /// Closed when the pool ends: it serves as an event that stays set.
    pub(super) ending: Semaphore,
    state: RefCell<State>,
}

struct State {
    /// Waiting calls for any process.
    queue: VecDeque<Request>,
    places: Vec<ProcessSlot>,
    failed_starts: u32,
    finishing: bool,
}

/// A place for a process; processes come and go.
#[derive(Default)]
struct ProcessSlot {
    /// Frames for the process; `None` while no process is ready here.
    outbox: Option<Rc<Queue<Frame>>>,
    /// The promises for the calls that it runs, by number.
    calls: HashMap<u64, oneshot::Sender<Answer>>,
    /// The call that blocks it.
    blocking: Option<u64>,
    /// Waiting calls for this very place.
    queue: VecDeque<Request>,
}

impl ProcessSlot {
    fn has_room(&self, calls_per_process: usize) -> bool {
        self.outbox.is_some() && self.blocking.is_none() && self.calls.len() < calls_per_process
    }

    fn run(&mut self, request: Request) {
        self.write(Frame {
            kind: Kind::Run,
            function: request.function,
            call: request.id,
            body: request.argument,
        });
        self.calls.insert(request.id, request.answer);
        if request.blocking {
            self.blocking = Some(request.id);
        }
    }

    fn write(&self, frame: Frame) {
        if let Some(outbox) = &self.outbox {
            drop(outbox.try_put(frame));
        }
    }
}

/// The next call that its caller has not given up.
fn next_wanted(queue: &mut VecDeque<Request>) -> Option<Request> {
    loop {
        let request = queue.pop_front()?;
        if !request.answer.is_closed() {
            return Some(request);
        }
    }
}

impl Pool {
    pub(super) fn new(inbox: Arc<Inbox>, processes: usize, calls_per_process: usize) -> Rc<Self> {
        Rc::new(Self {
            calls_per_process,
            inbox,
            ending: Semaphore::new(0),
            state: RefCell::new(State {
                queue: VecDeque::new(),
                places: (0..processes).map(|_| ProcessSlot::default()).collect(),
                failed_starts: 0,
                finishing: false,
            }),
        })
    }

    /// Ends the pool when all calls so far were answered.
    pub(super) fn finish(&self) {
        self.state.borrow_mut().finishing = true;
    }

    pub(super) fn enqueue(&self, request: Request) {
        let mut state = self.state.borrow_mut();
        match request.place {
            Some(place) => state.places[place].queue.push_back(request),
            None => state.queue.push_back(request),
        }
    }

    /// Assigns waiting calls to processes that have room: first those for a certain process, then the others, each to
    /// the process with the fewest calls.
    pub(super) fn place_calls(&self) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        for place in &mut state.places {
            while place.has_room(self.calls_per_process)
                && let Some(request) = next_wanted(&mut place.queue)
            {
                place.run(request);
            }
        }
        loop {
            let free = state.places.iter_mut();
            let free = free.filter(|place| place.has_room(self.calls_per_process));
            let Some(place) = free.min_by_key(|place| place.calls.len()) else {
                break;
            };
            let Some(request) = next_wanted(&mut state.queue) else {
                break;
            };
            place.run(request);
        }
        let idle = |place: &ProcessSlot| place.calls.is_empty() && place.queue.is_empty();
        if state.finishing && state.queue.is_empty() && state.places.iter().all(idle) {
            self.inbox.send(Order::End);
        }
    }

    /// A call's promise was dropped. If the call is queued, it is skipped when its turn comes.
    pub(super) fn cancel(&self, id: u64) {
        let state = self.state.borrow();
        let mut places = state.places.iter();
        let runs = places.find(|place| place.calls.contains_key(&id));
        // A call that blocks its process can't be reached there.
        if let Some(place) = runs.filter(|place| place.blocking != Some(id)) {
            place.write(Frame {
                kind: Kind::Cancel,
                function: 0,
                call: id,
                body: Vec::new(),
            });
        }
    }

    /// A process is ready. Returns the queue of frames to write to it.
    pub(super) fn ready(&self, place: usize, id: u32) -> Rc<Queue<Frame>> {
        let outbox = Rc::new(Queue::new(UNBOUNDED));
        {
            let mut state = self.state.borrow_mut();
            state.failed_starts = 0;
            state.places[place].outbox = Some(Rc::clone(&outbox));
        }
        self.inbox.ids.lock()[place] = Some(id);
        self.place_calls();
        outbox
    }

    /// A process has answered a call.
    pub(super) fn answered(&self, place: usize, frame: Frame) {
        let answer = {
            let place = &mut self.state.borrow_mut().places[place];
            place.blocking = place.blocking.filter(|blocking| *blocking != frame.call);
            place.calls.remove(&frame.call)
        };
        if let Some(answer) = answer {
            let text = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
            // A dropped receiver does not need it.
            let _ = answer.send(match frame.kind {
                Kind::Value => Ok(frame.body),
                Kind::Panicked => Err(CallError::Panicked(text(frame.body))),
                // Only a caller that is gone cancels.
                Kind::Cancelled => Err(CallError::Closed),
                _ => Err(CallError::Codec(text(frame.body))),
            });
        }
        self.place_calls();
    }

    /// A process takes no more calls: it has ended, or is about to. Returns whether it runs some.
    pub(super) fn gone(&self, place: usize) -> bool {
        self.inbox.ids.lock()[place] = None;
        let place = &mut self.state.borrow_mut().places[place];
        place.outbox = None;
        !place.calls.is_empty()
    }

    /// All calls of a process that has died end with `error`.
    pub(super) fn fail_calls(&self, place: usize, error: &CallError) {
        let calls = {
            let place = &mut self.state.borrow_mut().places[place];
            place.blocking = None;
            std::mem::take(&mut place.calls)
        };
        for answer in calls.into_values() {
            let _ = answer.send(Err(error.clone()));
        }
        self.place_calls();
    }

    /// A process ended before it was ready. Returns how many did so in a row. If there were too many and no process is
    /// ready, the waiting calls are given up.
    pub(super) fn start_failed(&self, place: usize, why: &str) -> u32 {
        let mut given_up = VecDeque::new();
        let failed_starts = {
            let mut state = self.state.borrow_mut();
            state.failed_starts = state.failed_starts.saturating_add(1);
            if state.failed_starts >= MAX_FAILED_STARTS {
                given_up.append(&mut state.places[place].queue);
                if state.places.iter().all(|place| place.outbox.is_none()) {
                    given_up.append(&mut state.queue);
                }
            }
            state.failed_starts
        };
        for request in given_up {
            let failed = CallError::StartFailed(why.to_owned());
            let _ = request.answer.send(Err(failed));
        }
        failed_starts
    }
}
