use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::{Runtime as _, spawn};

use super::{FIRST_PAUSE, Haul, Hauls, LONGEST_PAUSE, WINDOW};
use crate::{Builder, Runtime};

/// Long enough for any machine; nothing here waits for it unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

const STEAL: Duration = Duration::from_micros(4);
const WAKE: Duration = Duration::from_micros(50);
const LITTLE: Duration = Duration::from_micros(2);
const MUCH: Duration = Duration::from_micros(200);

/// One thief, and a clock.
struct Thief {
    hauls: Hauls,
    haul: Haul,
    now: Duration,
}

impl Thief {
    fn new(steal: Duration) -> Self {
        Self {
            hauls: Hauls::new(steal, WAKE),
            haul: Haul::default(),
            now: Duration::from_secs(1),
        }
    }

    fn now_ns(&self) -> u64 {
        self.now.as_nanos() as u64
    }

    fn rests(&self) -> bool {
        self.hauls.rests(|| self.now_ns())
    }

    fn steal(&mut self, brings: Duration) {
        self.hauls.begin(&self.haul, || self.now_ns());
        self.haul.found();
        self.now += brings;
        self.hauls.end(&self.haul, || self.now_ns());
    }

    /// Steals until stealing rests. The number of steals; a hundred windows are enough.
    fn steal_until_rest(&mut self, brings: Duration) -> Option<u64> {
        (1..=100 * WINDOW).find(|_| {
            self.steal(brings);
            self.rests()
        })
    }

    fn sleep_until_woken(&mut self) {
        self.hauls.sleeps(&self.haul, || self.now_ns());
        self.haul.woke(true);
    }

    /// How long the rest lasts from now on, to the microsecond. The clock is at its end afterwards.
    fn rest(&mut self) -> Duration {
        let begun = self.now;
        while self.rests() {
            self.now += Duration::from_micros(1);
        }
        self.now - begun
    }
}

#[test]
fn hauls_that_are_worth_their_steals_go_on() {
    assert_eq!(Thief::new(STEAL).steal_until_rest(STEAL), None);
    assert_eq!(Thief::new(STEAL).steal_until_rest(MUCH), None);
}

#[test]
fn small_hauls_make_stealing_rest_and_a_large_one_among_them_does_not_let_it() {
    let mut thief = Thief::new(STEAL);
    assert_eq!(thief.steal_until_rest(LITTLE), Some(WINDOW));
    let mut thief = Thief::new(STEAL);
    for _ in 0..10 {
        thief.steal(MUCH);
        for _ in 1..WINDOW {
            thief.steal(LITTLE);
        }
        assert!(!thief.rests());
    }
}

#[test]
fn the_pause_grows_while_stealing_does_not_pay_and_is_short_again_when_it_does() {
    let mut thief = Thief::new(STEAL);
    let mut pause = FIRST_PAUSE;
    for _ in 0..10 {
        thief.steal_until_rest(LITTLE).unwrap();
        let rested = thief.rest();
        assert!(rested.abs_diff(pause) <= LITTLE, "{rested:?} {pause:?}");
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    for _ in 0..WINDOW {
        thief.steal(MUCH);
    }
    thief.steal_until_rest(LITTLE).unwrap();
    assert!(thief.rest() <= FIRST_PAUSE);
}

#[test]
fn a_wake_up_costs_too() {
    // The steals alone pay for themselves.
    let mut thief = Thief::new(STEAL);
    let rested = (0..WINDOW).any(|_| {
        thief.sleep_until_woken();
        thief.steal(STEAL * 2);
        thief.rests()
    });
    assert!(rested);
    let mut thief = Thief::new(STEAL);
    for _ in 0..10 * WINDOW {
        thief.sleep_until_woken();
        thief.steal(WAKE + STEAL);
        assert!(!thief.rests());
    }
}

#[test]
fn who_was_woken_and_finds_nothing_was_woken_in_vain_but_not_if_it_finds_something_else() {
    let mut thief = Thief::new(STEAL);
    let rested = (0..WINDOW).any(|_| {
        thief.sleep_until_woken();
        thief.rests()
    });
    assert!(rested);
    let mut thief = Thief::new(STEAL);
    for _ in 0..10 * WINDOW {
        thief.sleep_until_woken();
        // A socket's task, perhaps.
        thief.haul.found();
        assert!(!thief.rests());
    }
}

#[test]
fn the_rest_can_be_ended_and_a_steal_that_costs_nothing_begins_none() {
    let mut thief = Thief::new(STEAL);
    thief.steal_until_rest(LITTLE).unwrap();
    thief.hauls.end_rest();
    assert!(!thief.rests() && !thief.hauls.may_rest());
    assert_eq!(Thief::new(Duration::ZERO).steal_until_rest(LITTLE), None);
}

#[test]
fn while_a_worker_is_stuck_no_rest_begins() {
    let mut thief = Thief::new(STEAL);
    thief.steal_until_rest(LITTLE).unwrap();
    let until = thief.now + 1000 * LITTLE;
    thief.hauls.stay_awake_until(until.as_nanos() as u64);
    while thief.now + LITTLE < until {
        thief.steal(LITTLE);
        assert!(!thief.rests());
    }
    assert!(thief.steal_until_rest(LITTLE).is_some());
}

#[test]
fn a_single_piece_is_worth_a_steal_if_it_takes_as_long() {
    let hauls = Hauls::new(STEAL, WAKE);
    let took_ns = 10 * STEAL.as_nanos() as u64;
    assert!(hauls.is_worth_a_steal(10, took_ns));
    assert!(!hauls.is_worth_a_steal(11, took_ns));
}

// ---- in a runtime of two workers

fn two_workers() -> Builder {
    Runtime::builder().workers(2).warn_of_stuck(false)
}

/// Stealing rests until something ends that.
fn rest_for_ever(runtime: &Runtime) {
    hauls(runtime).until_ns.store(u64::MAX, Relaxed);
}

fn hauls(runtime: &Runtime) -> &Hauls {
    &runtime.handle().core.shared.hauls
}

#[test]
fn while_stealing_rests_a_worker_has_its_spawned_tasks_to_itself() {
    // No piece of work is ever worth it.
    let builder = two_workers().stuck_after(PATIENCE).steal_cost(PATIENCE);
    let runtime = builder.build().unwrap();
    rest_for_ever(&runtime);
    let handle = runtime.handle().clone();
    let ran_beside = runtime.block_on(async {
        let ran = Arc::new(AtomicUsize::new(0));
        // So many that somebody would be woken.
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let ran = Arc::clone(&ran);
                spawn(async move { ran.fetch_add(1, Relaxed) })
            })
            .collect();
        // The other worker wakes up for something else, and has time enough to steal, if it may.
        let elsewhere = thread::spawn(move || handle.spawn(async {}));
        drop(elsewhere.join().unwrap());
        thread::sleep(Duration::from_millis(20));
        let ran_beside = ran.load(Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        ran_beside
    });
    assert_eq!(ran_beside, 0);
    // It has looked and gone to sleep again, instead of looking all the time at what it may not take.
    let workers = runtime.handle().metrics().workers;
    let tried: u64 = workers.iter().map(|worker| worker.steals_tried).sum();
    assert!(tried < 1000, "{tried}");
}

#[test]
fn tasks_that_take_long_end_the_rest() {
    let runtime = two_workers().build().unwrap();
    rest_for_ever(&runtime);
    runtime.block_on(async {
        let busy = || {
            let began = Instant::now();
            while began.elapsed() < MUCH {
                std::hint::spin_loop();
            }
        };
        let tasks: Vec<_> = (0..64).map(|_| spawn(async move { busy() })).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert!(!hauls(&runtime).may_rest());
}

#[test]
fn a_stuck_worker_ends_the_rest() {
    let runtime = two_workers().build().unwrap();
    rest_for_ever(&runtime);
    runtime.block_on(async {
        let (done, waits) = mpsc::channel();
        drop(spawn(async move { done.send(()).unwrap() }));
        // Only another worker can run it now.
        waits.recv_timeout(PATIENCE).unwrap();
    });
    assert!(!hauls(&runtime).may_rest());
}
