//! How often a busy scheduler polls its sockets. For schedulers with a reactor; not one of the suite's cases.

use std::net::Ipv4Addr;

use runtime_kernel::{spawn, yield_now};
use runtime_library::Runtime;

/// The number of task polls from one poll of the sockets to the next, while `tasks` tasks are always ready. Await it
/// as the root.
///
/// # Panics
/// If the runtime does not count its polls of the sockets, or does not poll them at all.
pub async fn polls_between_looks(runtime: impl Runtime, tasks: u64) -> u64 {
    const YIELDS: u64 = 40_000;
    // Without a socket there is nothing to poll for.
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let _socket = runtime.bind(address).await.expect("a free port");
    let looks = || runtime.metrics().io_polls.expect("looks are counted");
    let before = looks();
    let yielding = (0..tasks).map(|_| {
        spawn(async move {
            for _ in 0..YIELDS / tasks {
                yield_now().await;
            }
        })
    });
    for task in yielding.collect::<Vec<_>>() {
        task.await.expect("it only yields");
    }
    YIELDS / (looks() - before)
}
