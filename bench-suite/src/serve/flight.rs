//! `lab serve --flight`: a server's flight recorder, and where its dumps go.

use std::path::{Path, PathBuf};
use std::thread;

use runtime_core::signal::{SignalKind, use_signal_stack};
use runtime_core::trace::Recorded;
use runtime_core::trace::flight::{Flight, Options, Reason};
use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::{Handle as SignalHandle, Signals};

use crate::cli::ServeArgs;
use crate::error::CommandError;
use crate::output::ensure_folder;
use crate::terminal;
use crate::trace::format::{SCHEMA, Trace};
use crate::trace::{files, record};

/// The most unrequested dump files per server. A recurring fault must not fill the disk.
const MAX_UNREQUESTED: u32 = 100;

/// A running flight recorder with its signal handler. Dropping it ends both.
pub(super) struct Recording {
    _flight: Flight,
    signals: SignalHandle,
    listener: Option<thread::JoinHandle<()>>,
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// Starts to record.
///
/// # Errors
/// [`CommandError::Usage`] if the folder can't be written to; [`CommandError::Failed`] if the system refuses a thread.
pub(super) fn start(folder: &Path, arguments: &ServeArgs) -> Result<Recording, CommandError> {
    ensure_folder(folder, "--flight")?;
    let failed = |error| CommandError::Failed(format!("--flight: cannot record ({error})"));
    let options = Options {
        longest_poll: Some(arguments.flight_poll),
        ..Options::default()
    };
    let mut dumps = Dumps {
        folder: folder.to_owned(),
        runtime: arguments.runtime.clone(),
        protocol: format!("{:?}", arguments.protocol).to_lowercase(),
        number: 0,
        unasked: 0,
    };
    let flight = Flight::start(options, move |reason, recorded| {
        dumps.write(reason, &recorded)
    });
    let flight = flight.map_err(failed)?;
    let mut signals = Signals::new([SIGUSR1]).map_err(failed)?;
    use_signal_stack(SignalKind::USER1).map_err(failed)?;
    let (handle, asks) = (signals.handle(), flight.handle());
    let listener = thread::Builder::new()
        .name("lab-flight-signal".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                asks.dump();
            }
        })
        .map_err(failed)?;
    Ok(Recording {
        _flight: flight,
        signals: handle,
        listener: Some(listener),
    })
}

/// The dumps of one server, numbered.
struct Dumps {
    folder: PathBuf,
    runtime: String,
    protocol: String,
    number: u32,
    unasked: u32,
}

impl Dumps {
    fn write(&mut self, reason: Reason, recorded: &Recorded) {
        if reason != Reason::Asked {
            self.unasked += 1;
            if self.unasked > MAX_UNREQUESTED {
                return;
            }
        }
        self.number += 1;
        let trace = Trace {
            schema: SCHEMA.to_owned(),
            workload: format!("serve {}", self.protocol),
            runs: vec![record::run(&self.runtime, Default::default(), recorded)],
            ..Trace::default()
        };
        let name = format!(
            "flight-{}-{:03}-{}",
            std::process::id(),
            self.number,
            reason.word()
        );
        match files::write(&trace, &self.folder, &name) {
            Ok(written) => {
                let first = written.first().map(|path| path.display().to_string());
                terminal::say(&format!("flight: {}", first.unwrap_or_default()));
            }
            Err(error) => terminal::say(&format!("flight: {error}")),
        }
    }
}
