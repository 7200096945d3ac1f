//! The process pool, tested by a program that is its own child: its `main` calls `init`, as users' do, and then runs
//! the tests.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use libtest_mimic::{Arguments, Trial};
use runtime_core::yield_now;
use runtime_n1::Loop;
use runtime_n1::process_pool::{self, CallError, ProcessPool};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize, Serializer};

const TIME_LIMIT: Duration = Duration::from_secs(60);

// The functions that the children run.

fn square(number: u64) -> u64 {
    number * number
}

fn doubled(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_within(..);
    bytes
}

fn failing(message: String) {
    panic!("{message}")
}

async fn failing_later(message: String) {
    yield_now().await;
    panic!("{message}")
}

fn ending(code: i32) {
    std::process::exit(code)
}

/// Blocks for ever and ignores everything.
fn block_forever(_: ()) {
    loop {
        std::thread::sleep(TIME_LIMIT);
    }
}

/// Blocks until the file exists.
fn wait_for_file(file: PathBuf) -> u32 {
    while !file.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::process::id()
}

/// Panics unless it runs alone in its process.
fn alone(_: ()) -> u32 {
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0);
    std::thread::sleep(Duration::from_millis(1));
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    std::process::id()
}

/// Returns when this many calls of it are in one process at the same time.
async fn meet(calls: u64) -> u32 {
    static ARRIVED: AtomicU64 = AtomicU64::new(0);
    ARRIVED.fetch_add(1, Ordering::SeqCst);
    while ARRIVED.load(Ordering::SeqCst) < calls {
        yield_now().await;
    }
    std::process::id()
}

static HOLDING: AtomicU64 = AtomicU64::new(0);
static RELEASED: AtomicU64 = AtomicU64::new(0);

struct Holding;

impl Drop for Holding {
    fn drop(&mut self) {
        HOLDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps a place in its process until `release` is called there.
async fn hold(_: ()) -> u32 {
    HOLDING.fetch_add(1, Ordering::SeqCst);
    let _holding = Holding;
    while RELEASED.load(Ordering::SeqCst) == 0 {
        yield_now().await;
    }
    std::process::id()
}

async fn release(_: ()) -> u32 {
    RELEASED.store(1, Ordering::SeqCst);
    std::process::id()
}

/// How many calls of `hold` are alive in this process.
async fn holding(_: ()) -> u64 {
    HOLDING.load(Ordering::SeqCst)
}

async fn own_id(_: ()) -> u32 {
    std::process::id()
}

fn input_to_its_end(_: ()) -> usize {
    std::io::read_to_string(std::io::stdin()).map_or(usize::MAX, |text| text.len())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Circle { radius: f64 },
    Named(String, Option<Box<Shape>>),
}

fn grown(shape: Shape) -> Shape {
    match shape {
        Shape::Circle { radius } => Shape::Circle {
            radius: 2.0 * radius,
        },
        Shape::Named(name, inner) => Shape::Named(
            name.to_uppercase(),
            inner.map(|inner| Box::new(grown(*inner))),
        ),
    }
}

/// A value that can't be sent.
#[derive(Debug, PartialEq, Deserialize)]
struct Stuck(u8);

impl Serialize for Stuck {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("stuck"))
    }
}

fn taking(_: Stuck) {}

fn giving(number: u8) -> Stuck {
    Stuck(number)
}

fn not_added(_: ()) {}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_child = arguments
        .iter()
        .any(|argument| argument == "--process-pool-child");
    if is_child && std::env::var_os("TEST_CHILDREN_END_EARLY").is_some() {
        std::process::exit(9);
    }
    process_pool::init(|functions| {
        functions
            .add(square)
            .add(doubled)
            .add(failing)
            .add_async(failing_later)
            .add(ending)
            .add(block_forever)
            .add(wait_for_file)
            .add(alone)
            .add_async(meet)
            .add_async(hold)
            .add_async(release)
            .add_async(holding)
            .add_async(own_id)
            .add(input_to_its_end)
            .add(grown)
            .add(taking)
            .add(giving);
        if is_child && std::env::var_os("TEST_CHILDREN_DIFFER").is_some() {
            functions.add(not_added);
        }
    });
    match arguments.get(1).map(String::as_str) {
        Some("be-a-parent") => return be_a_parent(),
        Some("expect-failed-starts") => return expect_failed_starts(),
        _ => {}
    }
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        trial("results_come_back_whatever_their_order", results_come_back),
        trial("structures_cross_as_they_are", structures_cross),
        trial("results_larger_than_any_buffer", large_results),
        trial("async_calls_run_side_by_side_in_a_process", side_by_side),
        trial(
            "blocking_calls_have_their_process_alone",
            blocking_calls_alone,
        ),
        trial(
            "panics_are_errors_and_the_process_lives_on",
            panics_are_errors,
        ),
        trial("a_killed_process_fails_its_own_calls_alone", killed_process),
        trial("a_process_that_ends_itself_is_replaced", ends_itself),
        trial("a_dropped_async_call_is_aborted", dropped_async_call),
        trial(
            "dropped_calls_that_wait_are_not_made",
            dropped_waiting_calls,
        ),
        trial("a_dropped_pool_ends_busy_processes", dropped_pool),
        trial("closing_waits_for_every_call", closing),
        trial("what_cannot_be_sent_is_an_error", cannot_be_sent),
        trial("children_die_with_a_parent_that_is_killed", die_with_parent),
        trial("children_that_never_get_ready_are_reported", failed_starts),
        trial("interrupts_and_input_are_the_parents", interrupts_and_input),
        trial("misuse_is_named", misuse),
        trial("many_pools_come_and_go", many_pools),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn pool(processes: usize) -> ProcessPool {
    ProcessPool::builder().processes(processes).build().unwrap()
}

/// Runs it inside a task, so that both ways of awaiting are used.
fn on_a_loop<F: Future + 'static>(future: F) -> F::Output
where
    F::Output: 'static,
{
    Loop::new().unwrap().block_on(future)
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + TIME_LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: it never happened");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the process runs; a zombie does not count.
fn runs(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
    let state = stat.ok().and_then(|stat| {
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.chars().next()
    });
    state.is_some_and(|state| !"ZX".contains(state))
}

fn kill(id: u32, signal: Signal) {
    kill_process(Pid::from_raw(id as i32).unwrap(), signal).unwrap();
}

fn results_come_back() {
    let pool = pool(2);
    let calls: Vec<_> = (0..500).map(|number| pool.call(square, number)).collect();
    for (number, call) in calls.into_iter().enumerate().rev() {
        assert_eq!(block_on(call), Ok((number * number) as u64));
    }
    // Created and dropped inside a task.
    let inside = on_a_loop(async { crate::pool(1).call(square, 12).await });
    assert_eq!(inside, Ok(144));
}

fn structures_cross() {
    let pool = pool(1);
    let shape = Shape::Named(
        "disc".to_owned(),
        Some(Box::new(Shape::Circle { radius: 1.5 })),
    );
    assert_eq!(
        block_on(pool.call(grown, shape)).unwrap(),
        Shape::Named(
            "DISC".to_owned(),
            Some(Box::new(Shape::Circle { radius: 3.0 })),
        )
    );
}

fn large_results() {
    let pool = pool(2);
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    // More bytes at once than the sockets can buffer.
    let calls: Vec<_> = (0..4).map(|_| pool.call(doubled, bytes.clone())).collect();
    for call in calls {
        let result = block_on(call).unwrap();
        assert_eq!(result.len(), 2 * bytes.len());
        assert!(result.chunks(bytes.len()).all(|half| half == bytes));
    }
}

fn side_by_side() {
    let pool = pool(1);
    let calls: Vec<_> = (0..100).map(|_| pool.call_async(meet, 100)).collect();
    let first = pool.ids();
    for call in calls {
        let id = block_on(call).unwrap();
        assert!(first.is_empty() || first == [id]);
    }
}

fn blocking_calls_alone() {
    let pool = pool(2);
    let calls: Vec<_> = (0..100).map(|_| pool.call(alone, ())).collect();
    let mut ids: Vec<u32> = calls
        .into_iter()
        .map(|call| block_on(call).unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2, "both processes had some");
}

fn panics_are_errors() {
    let pool = pool(1);
    let before = block_on(pool.call_async(own_id, ()));
    let error = block_on(pool.call(failing, "at once".to_owned())).unwrap_err();
    assert_eq!(error, CallError::Panicked("at once".to_owned()));
    let error = block_on(pool.call_async(failing_later, "later".to_owned())).unwrap_err();
    assert_eq!(error, CallError::Panicked("later".to_owned()));
    assert!(error.to_string().contains("later"));
    assert_eq!(block_on(pool.call_async(own_id, ())), before);
}

fn killed_process() {
    let pool = pool(2);
    let ids: Vec<u32> = pool
        .call_on_each(own_id, |_| ())
        .into_iter()
        .map(|call| block_on(call).unwrap())
        .collect();
    assert_eq!(ids, pool.ids());
    let mut held = pool.call_on_each(hold, |_| ());
    let second = held.pop().unwrap();
    // A process's death ends only the calls that it is running. A call that is still queued would go to the next
    // process.
    for call in pool.call_on_each(holding, |_| ()) {
        assert_eq!(block_on(call), Ok(1));
    }
    kill(ids[0], Signal::KILL);
    match block_on(held.pop().unwrap()) {
        Err(CallError::ProcessDied { process, status }) => {
            use std::os::unix::process::ExitStatusExt as _;
            assert_eq!(process, ids[0]);
            assert_eq!(status.and_then(|status| status.signal()), Some(9));
        }
        other => panic!("{other:?}"),
    }
    // The other process continues, and so does the pool, with a new process.
    let released: Vec<_> = pool.call_on_each(release, |_| ());
    let released: Vec<u32> = released
        .into_iter()
        .map(|call| block_on(call).unwrap())
        .collect();
    assert_eq!(block_on(second), Ok(ids[1]));
    assert_eq!(released[1], ids[1]);
    assert_ne!(released[0], ids[0]);
    assert_eq!(pool.ids(), released);
}

fn ends_itself() {
    let pool = pool(1);
    for code in 0..3 {
        let ended = pool.call(ending, code);
        let behind = pool.call(square, 3);
        match block_on(ended) {
            Err(CallError::ProcessDied { status, .. }) => {
                assert_eq!(status.and_then(|status| status.code()), Some(code));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(block_on(behind), Ok(9), "it waited for another process");
    }
}

fn dropped_async_call() {
    let builder = ProcessPool::builder().processes(1).calls_per_process(2);
    let pool = builder.build().unwrap();
    for _ in 0..20 {
        // Both places are taken: a third call would wait for ever.
        let (one, two) = (pool.call_async(hold, ()), pool.call_async(hold, ()));
        drop(one);
        while block_on(pool.call_async(holding, ())) != Ok(1) {}
        drop(two);
        while block_on(pool.call_async(holding, ())) != Ok(0) {}
    }
}

fn dropped_waiting_calls() {
    let pool = pool(1);
    let id = block_on(pool.call_async(own_id, ())).unwrap();
    let file = std::env::temp_dir().join(format!("process-pool-{id}"));
    let first = pool.call(wait_for_file, file.clone());
    // If any of these calls were made, it would end the process.
    drop((0..1000).map(|_| pool.call(ending, 1)).collect::<Vec<_>>());
    std::fs::write(&file, "").unwrap();
    assert_eq!(block_on(first), Ok(id));
    // If a blocking call is dropped while it runs, it keeps its process, and its result is discarded.
    for _ in 0..20 {
        drop(pool.call(alone, ()));
        assert_eq!(block_on(pool.call(alone, ())), Ok(id));
    }
    std::fs::remove_file(&file).unwrap();
}

fn dropped_pool() {
    let pool = pool(3);
    let ready: Vec<_> = pool.call_on_each(own_id, |_| ());
    let ids: Vec<u32> = ready
        .into_iter()
        .map(|call| block_on(call).unwrap())
        .collect();
    let calls = [pool.call(block_forever, ()), pool.call(block_forever, ())];
    let held = pool.call_async(hold, ());
    let waiting: Vec<_> = (0..10).map(|_| pool.call(block_forever, ())).collect();
    drop(pool);
    assert!(!ids.into_iter().any(runs), "all are gone when it is");
    for call in calls.into_iter().chain(waiting) {
        assert_eq!(block_on(call), Err(CallError::Closed));
    }
    assert_eq!(block_on(held), Err(CallError::Closed));
}

fn closing() {
    let pool = pool(2);
    let calls: Vec<_> = (0..200).map(|number| pool.call(square, number)).collect();
    pool.close();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(block_on(call), Ok((number * number) as u64));
    }
}

fn cannot_be_sent() {
    let pool = pool(1);
    let stuck = |error| matches!(error, CallError::Codec(why) if !why.is_empty());
    assert!(stuck(block_on(pool.call(taking, Stuck(1))).unwrap_err()));
    assert!(stuck(block_on(pool.call(giving, 1)).unwrap_err()));
    assert_eq!(block_on(pool.call(square, 5)), Ok(25));
}

fn this_program(argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(argument);
    command
}

/// Plays a parent that is killed while its children are busy or idle.
fn be_a_parent() {
    let pool = pool(2);
    let ready: Vec<_> = pool.call_on_each(own_id, |_| ());
    let ids: Vec<u32> = ready
        .into_iter()
        .map(|call| block_on(call).unwrap())
        .collect();
    let _deaf = pool.call(block_forever, ());
    println!("{} {}", ids[0], ids[1]);
    std::thread::sleep(2 * TIME_LIMIT);
}

fn die_with_parent() {
    let mut parent = this_program("be-a-parent")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = parent.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let ids: Vec<u32> = line
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(ids.len() == 2 && ids.iter().all(|&id| runs(id)));
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the children end", || !ids.iter().any(|&id| runs(id)));
}

fn failed_starts() {
    for (variable, reason) in [
        ("TEST_CHILDREN_END_EARLY", "9"),
        ("TEST_CHILDREN_DIFFER", "other functions"),
    ] {
        let mut child = this_program("expect-failed-starts");
        let status = child.arg(reason).env(variable, "1").status().unwrap();
        assert!(status.success(), "{variable}");
    }
}

fn expect_failed_starts() {
    let reason = std::env::args().nth(2).unwrap();
    let pool = pool(2);
    for _ in 0..2 {
        match block_on(pool.call(square, 1)) {
            Err(CallError::StartFailed(why)) => assert!(why.contains(&reason), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

fn interrupts_and_input() {
    let pool = pool(1);
    let id = block_on(pool.call_async(own_id, ())).unwrap();
    kill(id, Signal::INT);
    assert_eq!(block_on(pool.call(input_to_its_end, ())), Ok(0));
    assert_eq!(block_on(pool.call_async(own_id, ())), Ok(id));
}

fn misuse() {
    let message = |misuse: fn()| {
        let payload = std::panic::catch_unwind(misuse).unwrap_err();
        payload
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| {
                let text: &&str = payload.downcast_ref().unwrap();
                (*text).to_owned()
            })
    };
    assert!(message(|| _ = ProcessPool::builder().processes(0)).contains("give 1 or more"));
    assert!(message(|| _ = ProcessPool::builder().calls_per_process(0)).contains("give 1 or more"));
    assert!(message(|| drop(pool(1).call(not_added, ()))).contains("not_added"));
    assert!(message(|| process_pool::init(|_| ())).contains("twice"));
    assert!(message(|| on_a_loop(async { pool(1).close() })).contains("drop the pool"));
}

fn many_pools() {
    for round in 0..10 {
        let pool = pool(2);
        let call = pool.call(square, round);
        if round % 2 == 0 {
            assert_eq!(block_on(call), Ok(round * round));
        } else {
            // Dropped before its processes are ready.
            drop(pool);
            assert_eq!(block_on(call), Err(CallError::Closed));
        }
    }
}
