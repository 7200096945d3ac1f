//! The process beside the measured one: a client that generates load, or a site to fetch from.
//!
//! A companion runs this program's own executable in another process, so that its CPU time does not count as the
//! measured process's. It exchanges lines of JSON over its standard input and output: it says that it is ready, waits
//! for the go-ahead, and returns its report. When its standard input closes, it exits, so it never outlives the
//! measured process.
//!
//! If a process's `main` does not call [`serve_if_asked`], as in tests and criterion benches, its executable can't run
//! as a companion. The companion is then a thread with the same lines over pipes. Its CPU time is part of the process's
//! CPU time and must be subtracted: see [`Companion::shares_process`].

use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use super::error::LoadError;
use super::options::LoadOptions;
use super::ready::Ready;
use super::report::LoadReport;
use super::site::{self, SiteOptions};
use crate::terminal;
use crate::vocabulary::{Failure, is_refusal};

/// The hidden command that starts a companion. The role follows as JSON.
const COMMAND: &str = "__companion";

/// Set by [`serve_if_asked`] if this executable can run as a companion.
static AVAILABLE: AtomicBool = AtomicBool::new(false);

/// The role of a companion.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Generates load for a server, once.
    Load(LoadOptions),
    /// Serves pages until its input closes.
    Site(SiteOptions),
}

/// A companion's messages.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    /// It is ready to start; a site says where it listens.
    Ready(Option<SocketAddr>),
    Done(Box<LoadReport>),
    WrongAnswer(String),
    Refused(String),
    Failed(String),
}

/// Runs a companion if the command line asks for one; otherwise records that this executable can run as one. Call it
/// first in `main`.
pub fn serve_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|command| command != COMMAND) {
        // Relaxed is enough, because only threads that start later read it.
        AVAILABLE.store(true, Ordering::Relaxed);
        return None;
    }
    let served = arguments
        .next()
        .ok_or_else(|| io::Error::other("a companion needs a role"))
        .and_then(|role| serde_json::from_slice(role.as_encoded_bytes()).map_err(io::Error::other))
        .and_then(|role| {
            let input = io::stdin().as_fd().try_clone_to_owned()?;
            let output = io::stdout().as_fd().try_clone_to_owned()?;
            serve(role, input.into(), output.into())
        });
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(&format!("{COMMAND}: {error}"));
            ExitCode::FAILURE
        }
    })
}

/// Runs a companion from start to end.
fn serve(role: Role, input: PipeReader, mut output: PipeWriter) -> io::Result<()> {
    let message = match role {
        Role::Load(options) => match put_load_on(options, input, &mut output) {
            Ok(report) => Message::Done(Box::new(report)),
            Err(LoadError::Wrong(why)) => Message::WrongAnswer(why),
            Err(LoadError::Abandoned) => return Ok(()),
            Err(error @ LoadError::Refused { .. }) => Message::Refused(error.to_string()),
            Err(error) => Message::Failed(error.to_string()),
        },
        Role::Site(options) => {
            let ready = |address| say(&mut output, &Message::Ready(Some(address)));
            match site::serve(options, input, ready) {
                Ok(()) => return Ok(()),
                Err(error) if is_refusal(&error) => Message::Refused(error.to_string()),
                Err(error) => Message::Failed(error.to_string()),
            }
        }
    };
    say(&mut output, &message)
}

fn put_load_on(
    options: LoadOptions,
    input: PipeReader,
    output: &mut PipeWriter,
) -> Result<LoadReport, LoadError> {
    let mut ready = Ready::new(options)?;
    let mut input = BufReader::new(input);
    say(output, &Message::Ready(None)).map_err(|_| LoadError::Abandoned)?;
    let mut go = String::new();
    if input.read_line(&mut go).unwrap_or(0) == 0 {
        return Err(LoadError::Abandoned);
    }
    // From here on, the only event on the input is its end.
    ready.end_with(input.get_ref().as_fd())?;
    ready.run()
}

fn say(output: &mut impl Write, message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_string(message)?;
    line.push('\n');
    output.write_all(line.as_bytes())
}

/// A running companion. Dropping it ends it.
pub struct Companion {
    /// `None` once it is closed, which ends the companion.
    input: Option<PipeWriter>,
    output: BufReader<PipeReader>,
    place: RunsIn,
    address: Option<SocketAddr>,
}

enum RunsIn {
    Process(Child),
    Thread(Option<JoinHandle<io::Result<()>>>),
}

impl Companion {
    /// Starts a companion and waits until it is ready. Blocks.
    ///
    /// # Errors
    /// [`Failure::Refused`] if it can't be started, and the companion's own failures.
    pub fn start(role: &Role) -> Result<Self, Failure> {
        let mut companion = Self::launch(role)
            .map_err(|error| Failure::Refused(format!("the companion did not start: {error}")))?;
        match companion.hear()? {
            Message::Ready(address) => companion.address = address,
            other => return Err(unexpected(&other)),
        }
        Ok(companion)
    }

    fn launch(role: &Role) -> io::Result<Self> {
        let (input_reader, input) = io::pipe()?;
        let (output, output_writer) = io::pipe()?;
        let place = if AVAILABLE.load(Ordering::Relaxed) {
            let child = Command::new(std::env::current_exe()?)
                .arg(COMMAND)
                .arg(serde_json::to_string(role)?)
                .stdin(Stdio::from(OwnedFd::from(input_reader)))
                .stdout(Stdio::from(OwnedFd::from(output_writer)))
                .spawn()?;
            RunsIn::Process(child)
        } else {
            let role = role.clone();
            let thread = std::thread::Builder::new().name("companion".to_owned());
            RunsIn::Thread(Some(
                thread.spawn(move || serve(role, input_reader, output_writer))?,
            ))
        };
        Ok(Self {
            input: Some(input),
            output: BufReader::new(output),
            place,
            address: None,
        })
    }

    /// The address where a site listens.
    ///
    /// # Panics
    /// If it is not a site.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a site says where it listens")
    }

    /// Whether the companion's CPU time is part of this process's.
    pub fn shares_process(&self) -> bool {
        matches!(self.place, RunsIn::Thread(_))
    }

    /// Starts a client's load and waits for its report. Blocks.
    ///
    /// # Errors
    /// [`Failure::WrongAnswer`] if the server's answers were wrong, [`Failure::Crashed`] if the client failed
    /// otherwise.
    pub fn go(&mut self) -> Result<LoadReport, Failure> {
        let input = self.input.as_mut().expect("open until the drop");
        input
            .write_all(b"go\n")
            .map_err(|error| Failure::Crashed(format!("the companion is gone: {error}")))?;
        match self.hear()? {
            Message::Done(report) => Ok(*report),
            other => Err(unexpected(&other)),
        }
    }

    /// The next message. A failure that the companion reports becomes an error.
    fn hear(&mut self) -> Result<Message, Failure> {
        let mut line = String::new();
        let heard = self.output.read_line(&mut line);
        if !matches!(heard, Ok(length) if length > 0) {
            return Err(Failure::Crashed(
                "the companion ended without a message".to_owned(),
            ));
        }
        match serde_json::from_str(&line) {
            Ok(Message::WrongAnswer(why)) => Err(Failure::WrongAnswer(why)),
            Ok(Message::Refused(why)) => Err(Failure::Refused(format!("the companion: {why}"))),
            Ok(Message::Failed(why)) => Err(Failure::Crashed(format!("the companion: {why}"))),
            Ok(message) => Ok(message),
            Err(error) => Err(Failure::Crashed(format!(
                "the companion sent an invalid message: {error}"
            ))),
        }
    }
}

fn unexpected(message: &Message) -> Failure {
    Failure::Crashed(format!(
        "the companion sent an unexpected message: {message:?}"
    ))
}

impl Drop for Companion {
    fn drop(&mut self) {
        // Closing its input ends it.
        self.input = None;
        match &mut self.place {
            RunsIn::Process(child) => {
                let _ = child.wait();
            }
            RunsIn::Thread(thread) => {
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }
}
