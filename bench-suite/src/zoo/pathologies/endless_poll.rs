//! Polls that never yield, on every worker.

use std::time::Duration;

use crate::zoo::client::{Target, ask, at_start, echoes_before_an_end};
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "endless-poll",
    measured: "echoes beside twice as many tasks as workers, each computing for 2 s without a pause",
    about: "A task computes and never yields. If tasks are not preempted, it keeps its thread, and enough such \
            tasks keep all threads: no other task, timer or socket is served. The program starts twice as many \
            such tasks as there are workers, through connections to a server. It counts the echoes that another \
            connection gets before the first of them ends.",
    issue: "https://github.com/golang/go/issues/10958",
    bound: Bound::AtLeast(10.0, "echoes"),
    size: 10,
    quick_size: 10,
    program: server::serve,
    drive: Some(drive),
    descriptors: None,
};

fn drive(target: &Target) -> Result<f64, String> {
    beside(target, b'h', target.workers * 2)
}

/// Counts echoes beside `count` tasks that each occupy a thread, after receiving `byte`.
pub(super) fn beside(target: &Target, byte: u8, count: usize) -> Result<f64, String> {
    let timeout = Duration::from_secs(5);
    let mut beside = target.connect(timeout).map_err(at_start)?;
    let hogs: Result<Vec<_>, _> = (0..count).map(|_| target.connect(timeout)).collect();
    let mut hogs = hogs.map_err(at_start)?;
    for stream in hogs.iter_mut().chain([&mut beside]) {
        ask(stream, b'e').map_err(at_start)?;
    }
    for hog in &mut hogs {
        use std::io::Write as _;
        hog.write_all(&[byte]).map_err(at_start)?;
    }
    // The first answer shows that one task occupies its thread. The others follow if there are more threads.
    for hog in &mut hogs {
        use std::io::Read as _;
        let _ = hog.set_read_timeout(Some(Duration::from_millis(300)));
        let mut answer = [0];
        let _ = hog.read(&mut answer);
    }
    echoes_before_an_end(&mut beside, &mut hogs, target.size, Duration::from_secs(4))
}
