//! A newcomer among busy connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::zoo::client::{Target, ask, at_start};
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

const BUSY: usize = 32;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "new-connections",
    measured: "turns that each of 32 busy connections has while a new one connects and gets its first echo",
    about: "32 connections send their next request as soon as they get an answer, so one of them is always ready. \
            The server must accept a new connection, and its task must get its first turn. It waits long if the \
            scheduler prefers the tasks that it has just run, or checks the listening socket last. The program \
            counts the echoes of the busy connections meanwhile, and takes the median over the new connections.",
    issue: "https://github.com/libuv/libuv/issues/2311",
    bound: Bound::AtMost(50.0, "turns"),
    size: 40,
    quick_size: 10,
    program: server::serve,
    drive: Some(drive),
    descriptors: None,
};

fn drive(target: &Target) -> Result<f64, String> {
    let timeout = Duration::from_secs(5);
    let stop = Arc::new(AtomicBool::new(false));
    let echoes = Arc::new(AtomicU64::new(0));
    let mut busy = Vec::with_capacity(BUSY);
    for _ in 0..BUSY {
        let mut stream = target.connect(timeout).map_err(at_start)?;
        ask(&mut stream, b'e').map_err(at_start)?;
        let (stop, echoes) = (Arc::clone(&stop), Arc::clone(&echoes));
        busy.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) && ask(&mut stream, b'e').is_ok() {
                echoes.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let newcomer = || {
        let before = echoes.load(Ordering::Relaxed);
        let mut stream = target.connect(timeout)?;
        ask(&mut stream, b'e')?;
        Ok(echoes.load(Ordering::Relaxed) - before)
    };
    let waits: std::io::Result<Vec<u64>> = (0..target.size).map(|_| newcomer()).collect();
    stop.store(true, Ordering::Relaxed);
    for thread in busy {
        let _ = thread.join();
    }
    let mut waits = waits.map_err(|error| format!("a new connection got no echo ({error})"))?;
    waits.sort_unstable();
    let median = waits.get(waits.len() / 2).copied().unwrap_or_default();
    Ok(median as f64 / BUSY as f64)
}
