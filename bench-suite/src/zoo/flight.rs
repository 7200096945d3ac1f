//! The process of a traced cell: its flight recorder, and the file that the lab reads.
//!
//! The recorder keeps the last events of each thread. It writes them once: when the lab asks for them with SIGUSR1,
//! which it does before it ends the process; when the program has its figure; or on an abort, which waits for this.
//! The file is opened at the start, because a pathology may use up all descriptors. It has three names in turn:
//! `.open` until the process handles the signal, `.part` while the lab may ask for the trace, and its final name when
//! it is complete.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::signal::{SignalKind, use_signal_stack};
use runtime_core::trace::Recorded;
use runtime_core::trace::flight::{Flight, Handle, Options, Reason};
use signal_hook::consts::{SIGABRT, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::error::CommandError;
use crate::registry::RuntimeInfo;
use crate::trace::command::missing;
use crate::trace::format::{SCHEMA, Trace};
use crate::trace::record;

/// Twice as many as a page shows for all threads together.
const RECORDS_PER_THREAD: usize = 1 << 14;
/// Enough for two thousand threads. A ring's pages take memory only when they are written.
const RECORDS_IN_ALL: usize = 1 << 25;
/// How long the end of a program waits for its trace.
const TRACE_TIMEOUT: Duration = Duration::from_secs(5);

static IS_WRITTEN: AtomicBool = AtomicBool::new(false);

/// The name of the trace while the lab may ask for it.
pub(super) fn unfinished(file: &Path) -> PathBuf {
    file.with_extension("part")
}

/// A recorder that runs until the process ends.
#[derive(Debug)]
pub(super) struct Recording {
    asks: Handle,
}

impl Recording {
    /// Writes the trace, unless it is already written, and waits for it.
    pub(super) fn write(&self) {
        self.asks.dump();
        await_written();
    }
}

/// Calls only functions that a signal handler may call.
fn await_written() {
    let begun = Instant::now();
    while !IS_WRITTEN.load(Relaxed) && begun.elapsed() < TRACE_TIMEOUT {
        thread::sleep(Duration::from_millis(2));
    }
}

/// Starts to record `info`'s runtime, for a trace at `file`. Launch the runtime after this call.
///
/// # Errors
/// [`CommandError::Failed`] if the system refuses the file, the signal or the thread.
pub(super) fn start(file: &Path, info: &RuntimeInfo) -> Result<Recording, CommandError> {
    let asks = try_start(file, info)
        .map_err(|error| CommandError::Failed(format!("--flight: cannot record ({error})")))?;
    Ok(Recording { asks })
}

fn try_start(file: &Path, info: &RuntimeInfo) -> io::Result<Handle> {
    info.set_followed.inspect(|set| set(true));
    let open = file.with_extension("open");
    let mut dump = Dump {
        runtime: info.name.to_owned(),
        missing: missing(info),
        part: Some(File::create(&open)?),
        file: file.to_owned(),
    };
    let options = Options {
        records_per_thread: RECORDS_PER_THREAD,
        records_in_all: RECORDS_IN_ALL,
        longest_poll: None,
    };
    let flight = Flight::start(options, move |reason, recorded| {
        // Panics write no trace here: a pathology may have ten thousand of them.
        if reason == Reason::Asked {
            dump.write(&recorded);
        }
    })?;
    // The action that is registered first for a signal runs first: an abort asks for the trace, and then waits for it.
    let mut signals = Signals::new([SIGUSR1, SIGABRT])?;
    wait_in_abort()?;
    use_signal_stack(SignalKind::USER1)?;
    let (asks, asked) = (flight.handle(), flight.handle());
    // The thread ends with the process.
    std::mem::forget(flight);
    let listener = thread::Builder::new().name("lab-flight-signal".to_owned());
    listener.spawn(move || signals.forever().for_each(|_| asked.dump()))?;
    fs::rename(open, unfinished(file))?;
    Ok(asks)
}

#[expect(unsafe_code, reason = "an action that waits in a signal handler")]
fn wait_in_abort() -> io::Result<()> {
    // SAFETY: the action reads a clock and an atomic, and sleeps in the kernel. It takes no lock and allocates nothing.
    unsafe { signal_hook::low_level::register(SIGABRT, await_written) }.map(drop)
}

struct Dump {
    runtime: String,
    missing: Vec<String>,
    /// `None` once it is written.
    part: Option<File>,
    file: PathBuf,
}

impl Dump {
    fn write(&mut self, recorded: &Recorded) {
        let Some(mut part) = self.part.take() else {
            return;
        };
        let mut run = record::run(&self.runtime, Default::default(), recorded);
        run.missing.clone_from(&self.missing);
        let trace = Trace {
            schema: SCHEMA.to_owned(),
            runs: vec![run],
            ..Trace::default()
        };
        let text = serde_json::to_vec(&trace).unwrap_or_default();
        // If there is no file, the lab reports that.
        let named = || fs::rename(unfinished(&self.file), &self.file);
        let _ = part.write_all(&text).and_then(|()| named());
        IS_WRITTEN.store(true, Relaxed);
    }
}
