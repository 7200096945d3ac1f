//! The wheel against a model, and its corner cases.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::wheel::{FIRED, IDLE, Node, TICK_SHIFT, Wheel};
use crate::saved_waker::SavedWaker;
use crate::wake_batch::WakeBatch;

const TICK: u64 = 1 << TICK_SHIFT;

type Woken = Arc<Mutex<Vec<usize>>>;

struct Record {
    id: usize,
    woken: Woken,
}

impl Wake for Record {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.id);
    }
}

/// A wheel with nodes that it owns, which all wake into one list. `Drop` removes what is still in the wheel.
struct Bench {
    wheel: Wheel,
    nodes: Vec<Pin<Box<Node>>>,
    woken: Woken,
    now: u64,
}

#[allow(unsafe_code)]
impl Bench {
    fn new(now: u64) -> Self {
        Self {
            wheel: Wheel::new(now),
            nodes: Vec::new(),
            woken: Woken::default(),
            now,
        }
    }

    fn insert(&mut self, deadline: u64) -> usize {
        let id = self.nodes.len();
        self.nodes.push(Box::pin(Node::new(deadline)));
        let waker = Waker::from(Arc::new(Record {
            id,
            woken: self.woken.clone(),
        }));
        let node = NonNull::from(&*self.nodes[id]);
        // SAFETY: a new node, boxed; `Drop` removes it at the latest.
        unsafe { self.wheel.insert(node, self.now, SavedWaker::of(&waker)) };
        id
    }

    /// True if the timer was still in the wheel.
    fn cancel(&mut self, id: usize) -> bool {
        // SAFETY: the node is alive and was only ever in this wheel.
        unsafe { self.wheel.remove(NonNull::from(&*self.nodes[id])) }.is_some()
    }

    /// Fires what is due at `now`. Returns the timers in the order of firing.
    fn advance_to(&mut self, now: u64) -> Vec<usize> {
        self.now = now;
        let mut more = true;
        while more {
            let mut due = WakeBatch::new();
            more = self.wheel.take_due(now, &mut due);
            due.wake_all();
        }
        std::mem::take(&mut self.woken.lock().unwrap())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for id in 0..self.nodes.len() {
            self.cancel(id);
        }
    }
}

fn due_tick(deadline: u64) -> u64 {
    deadline.div_ceil(TICK)
}

#[derive(Clone, Debug)]
enum Step {
    /// A timer this many nanoseconds from now.
    Insert(u64),
    /// The timer at this index, modulo the number of timers so far.
    Cancel(usize),
    /// The clock advances by so much.
    Advance(u64),
    /// The clock advances to the wheel's own estimate of its earliest deadline.
    AdvanceToEarliest,
}

/// Spans of every magnitude, from below a tick to years.
fn span() -> impl Strategy<Value = u64> {
    (0u32..58, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => span().prop_map(Step::Insert),
        2 => any::<usize>().prop_map(Step::Cancel),
        2 => span().prop_map(Step::Advance),
        2 => Just(Step::AdvanceToEarliest),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fires_exactly_the_due_timers_in_the_order_of_ticks(
        start in span(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut bench = Bench::new(start);
        let mut model = BTreeMap::new();
        for step in steps {
            let to = match step {
                Step::Insert(span) => {
                    let deadline = bench.now.saturating_add(span);
                    let id = bench.insert(deadline);
                    model.insert((due_tick(deadline), id), deadline);
                    continue;
                }
                Step::Cancel(_) if bench.nodes.is_empty() => continue,
                Step::Cancel(index) => {
                    let id = index % bench.nodes.len();
                    let expected = model.keys().copied().find(|&(_, other)| other == id);
                    prop_assert_eq!(bench.cancel(id), expected.is_some());
                    if let Some(key) = expected {
                        model.remove(&key);
                    }
                    continue;
                }
                Step::Advance(span) => bench.now.saturating_add(span),
                Step::AdvanceToEarliest => match bench.wheel.earliest() {
                    u64::MAX => continue,
                    earliest => earliest.max(bench.now),
                },
            };
            let fired = bench.advance_to(to);
            let rest = model.split_off(&(to / TICK + 1, 0));
            let due = std::mem::replace(&mut model, rest);
            for &deadline in due.values() {
                prop_assert!(deadline <= to, "early");
            }
            let ticks: Vec<u64> = fired.iter().map(|&id| due_tick(bench.nodes[id].deadline_ns())).collect();
            prop_assert!(ticks.is_sorted());
            let mut fired = fired;
            fired.sort_unstable();
            let mut expected: Vec<usize> = due.keys().map(|&(_, id)| id).collect();
            expected.sort_unstable();
            prop_assert_eq!(fired, expected);
            let earliest = bench.wheel.earliest();
            match model.first_key_value() {
                None => prop_assert_eq!(earliest, u64::MAX),
                Some((&(tick, _), _)) => {
                    prop_assert!(earliest > to, "no progress: a loop that waits for it would spin");
                    prop_assert!(earliest <= tick.saturating_mul(TICK));
                }
            }
        }
    }
}

#[test]
fn the_earliest_is_exact_while_few_timers_share_a_slot() {
    let mut bench = Bench::new(0);
    for tick in [70_000, 65_600, 65_537] {
        bench.insert(tick * TICK);
    }
    assert_eq!(bench.wheel.earliest(), 65_537 * TICK);
}

#[test]
fn a_crowded_slot_gives_a_lower_bound_that_leads_to_the_deadline_in_few_steps() {
    let mut bench = Bench::new(0);
    let deadline = 3_000_000_000_000;
    for _ in 0..100 {
        bench.insert(deadline);
    }
    for steps in 1.. {
        let earliest = bench.wheel.earliest();
        let fired = bench.advance_to(earliest);
        if !fired.is_empty() {
            assert_eq!(fired.len(), 100);
            assert!(earliest >= deadline);
            assert!(steps <= 8, "one step a level at most, not {steps}");
            break;
        }
    }
}

#[test]
fn timers_of_one_tick_fire_in_fifo_order() {
    let mut bench = Bench::new(0);
    for _ in 0..100 {
        bench.insert(40 * TICK);
    }
    assert_eq!(bench.advance_to(40 * TICK), (0..100).collect::<Vec<_>>());
}

#[test]
fn cancelled_timers_leave_no_room_behind() {
    const ROUNDS: usize = if cfg!(miri) { 50 } else { 1000 };
    let mut bench = Bench::new(0);
    // One timer stays, while time-outs come and go around it.
    bench.insert(40 * TICK);
    let mut running = Vec::new();
    for round in 0..ROUNDS {
        running.push(bench.insert(40 * TICK));
        if round % 3 > 0 {
            assert!(bench.cancel(running.remove(round % running.len())));
        }
        if running.len() > 10 {
            running.drain(..).for_each(|id| assert!(bench.cancel(id)));
        }
        assert!(bench.wheel.entries() <= 4 * (running.len() + 1) + 2);
    }
    assert_eq!(bench.advance_to(40 * TICK).len(), running.len() + 1);
    assert_eq!(bench.wheel.entries(), 0);
}

#[test]
fn timers_cancelled_while_their_slot_fires_do_not_keep_the_others_from_it() {
    for cancelled in [33..100, 40..99, 32..70, 50..100] {
        let mut bench = Bench::new(0);
        for _ in 0..100 {
            bench.insert(40 * TICK);
        }
        let mut due = WakeBatch::new();
        assert!(bench.wheel.take_due(40 * TICK, &mut due));
        due.wake_all();
        for id in cancelled.clone() {
            assert!(bench.cancel(id));
        }
        let late = bench.insert(3 * TICK);
        let mut expected: Vec<_> = (0..100).filter(|id| !cancelled.contains(id)).collect();
        expected.push(late);
        assert_eq!(bench.advance_to(40 * TICK), expected);
        assert_eq!(bench.wheel.earliest(), u64::MAX);
    }
}

#[test]
fn a_timer_inserted_behind_the_current_tick_fires_at_the_next_look() {
    let mut bench = Bench::new(0);
    bench.insert(1000 * TICK);
    bench.advance_to(900 * TICK);
    let late = bench.insert(5 * TICK);
    assert!(bench.wheel.earliest() <= 900 * TICK);
    assert_eq!(bench.advance_to(900 * TICK), [late]);
}

#[test]
fn the_last_expressible_deadline_neither_overflows_nor_fires_early() {
    let mut bench = Bench::new(0);
    let last = bench.insert(u64::MAX - 1);
    assert_eq!(bench.advance_to(u64::MAX - 2), []);
    assert!(bench.cancel(last));
    assert_eq!(bench.nodes[last].state(), IDLE);
}

#[test]
fn a_node_that_fired_is_out_of_the_wheel() {
    let mut bench = Bench::new(0);
    let id = bench.insert(TICK);
    assert_eq!(bench.advance_to(TICK), [id]);
    assert_eq!(bench.nodes[id].state(), FIRED);
    assert!(!bench.cancel(id));
    assert_eq!(bench.wheel.earliest(), u64::MAX);
}
