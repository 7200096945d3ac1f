//! The worker that serves the sockets alone, and its replacement when it can't.

use std::os::fd::AsFd;
use std::time::Duration;

use runtime_core::park::Parker;
use runtime_core::reactor::{Direction, Initially, IoDriver, Registration};

use super::*;
use crate::block_in_place;
use crate::policy::IoSharing;

/// Work that waits this long was found only because the poll before it counts as stuck.
const STUCK: Duration = Duration::from_millis(10);
/// More than it takes to send a replacement worker, and less than a thread without work is kept.
const SOON: Duration = Duration::from_millis(50);

/// A socket of the runtime, of which only the number matters.
fn socket(runtime: &Runtime) -> Arc<Registration> {
    let file = std::fs::File::open("/dev/null").unwrap();
    let driver = IoDriver::Reactor(Arc::clone(&runtime.handle().core.shared.reactor));
    Arc::new(Registration::new(file.into(), &driver, Initially::Waiting).unwrap())
}

fn report(runtime: &Runtime, socket: &Registration) {
    runtime.handle().core.shared.reactor.report(socket.as_fd());
}

/// The task of the first socket does not return from its poll, or blocks in place, until the task of the second socket
/// has run. The second socket is reported when the first task runs, whether its worker is the owner or not. Another
/// worker serves it, or a replacement worker if there is no other one. That one then ends, and leaves the third socket
/// to others.
#[test]
fn another_worker_serves_the_sockets_while_the_owner_is_delayed() {
    let turn = AtomicUsize::new(0);
    check_in_time(move || {
        let turn = turn.fetch_add(1, Relaxed);
        let policy = ["go-like", "no-steal", "shed", "global-queue"][turn / 2 % 4];
        let (workers, at_most) = [(3, STUCK), (1, SOON)][turn / 8 % 2];
        let builder = builder().workers(workers).io_sharing(IoSharing::Never);
        let builder = builder.poll_tick(1).max_replacement_workers(1);
        let runtime = builder.build_by_name(policy).unwrap();
        let tally = Tally::new(4);
        let [first, second, third] = [(); 3].map(|()| socket(&runtime));
        let (gate, began) = (Parker::new(), mock_clock::elapsed());
        let opens = gate.unparker();
        let of_first = (
            Arc::clone(&first),
            Arc::clone(&second),
            runtime.handle().clone(),
        );
        let holds_up = runtime.spawn(tally.task(0, async move {
            let (first, second, handle) = of_first;
            first.ready(Direction::Read).await.unwrap();
            handle.core.shared.reactor.report(second.as_fd());
            if turn % 2 == 0 {
                gate.park(None);
            } else {
                block_in_place(|| gate.park(None));
            }
        }));
        let is_second = Arc::clone(&second);
        let frees = runtime.spawn(tally.task(1, async move {
            is_second.ready(Direction::Read).await.unwrap();
            opens.unpark();
        }));
        let is_third = Arc::clone(&third);
        let last = runtime.spawn(tally.task(2, async move {
            is_third.ready(Direction::Read).await.unwrap();
        }));
        let busy = runtime.spawn(tally.task(3, yields(2)));
        report(&runtime, &first);
        runtime.block_on(holds_up).unwrap();
        // A replacement worker ends meanwhile.
        mock_clock::sleep(SOON);
        report(&runtime, &third);
        for task in [frees, last, busy] {
            runtime.block_on(task).unwrap();
        }
        let lasted = mock_clock::elapsed() - began - SOON;
        assert!(lasted < at_most, "it took {lasted:?} under {policy}");
        drop((first, second, third));
        drop(runtime);
        tally.assert_all_ran_once();
    });
}

/// Busy workers poll the reactor in passing, idle ones wait in it, and the owner changes.
#[test]
fn each_socket_is_served_under_any_owner() {
    let turn = AtomicUsize::new(0);
    check(move || {
        let (never, measured) = (IoSharing::Never, IoSharing::Measured);
        let rules = [never, measured, never, IoSharing::Always];
        let rule = rules[turn.fetch_add(1, Relaxed) % 4];
        let builder = builder().workers(2).io_sharing(rule);
        let runtime = builder.poll_tick(1).build().unwrap();
        let tally = Tally::new(8);
        for round in 0..2 {
            let socket = socket(&runtime);
            let waits = Arc::clone(&socket);
            let served = runtime.spawn(tally.task(round, async move {
                waits.ready(Direction::Read).await.unwrap();
                yields(1).await;
            }));
            // A worker that polls the reactor in passing may keep the owner from it when the owner goes to sleep.
            let busy = [0, 1, 2].map(|number| {
                let busy = tally.task(2 + 3 * round + number, yields(2 + number));
                runtime.spawn(busy)
            });
            for task in busy {
                runtime.block_on(task).unwrap();
            }
            report(&runtime, &socket);
            runtime.block_on(served).unwrap();
        }
        drop(runtime);
        tally.assert_all_ran_once();
    });
}
