//! Tasks that are always ready.

use std::time::{Duration, Instant};

use crate::zoo::client::{Target, ask, at_start};
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "self-wake",
    measured: "echoes within 5 s beside twice as many tasks as workers that wake themselves in every poll",
    about: "A task wakes itself and returns from its poll, as a poll loop or a `yield_now` does. The run queue is \
            never empty. A scheduler that checks sockets and timers only when it has nothing else to do never \
            checks them. The program starts twice as many of these tasks as there are workers, and asks for echoes.",
    issue: "https://github.com/tokio-rs/tokio/issues/5209",
    bound: Bound::All("echoes"),
    size: 20,
    quick_size: 10,
    program: server::serve,
    drive: Some(drive),
    descriptors: None,
};

fn drive(target: &Target) -> Result<f64, String> {
    let mut stream = target.connect(Duration::from_secs(5)).map_err(at_start)?;
    for _ in 0..target.workers * 2 {
        if ask(&mut stream, b'y').is_err() {
            return Ok(0.0);
        }
    }
    // The connection's task must wait for a request, so that the others get their first turn before the echoes.
    std::thread::sleep(Duration::from_millis(100));
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut echoes = 0;
    while echoes < target.size && Instant::now() < deadline && ask(&mut stream, b'e').is_ok() {
        echoes += 1;
    }
    Ok(echoes as f64)
}
