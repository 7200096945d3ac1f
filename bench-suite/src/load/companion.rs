//! What runs beside the measured process: a client that puts load on it, or a site that it fetches from.
//!
//! A companion is this program's own executable in another process, so that its CPU time is not the measured one's. It
//! talks in lines of JSON over its standard input and output: it says when it is ready, waits to be told to go, and
//! gives its report. The end of its standard input ends it, so that it never outlives the measured process, however
//! that ends.
//!
//! A process whose `main` does not call [`serve_if_asked`] (a test, a criterion bench) can't be started as its own
//! companion; there the companion is a thread, with the same lines over pipes. Its CPU time is then within the
//! process's and is to be taken off: [`Companion::shares_process`].

use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use super::site::{self, SiteOptions};
use super::{LoadError, LoadOptions, LoadReport, Ready};
use crate::terminal;
use crate::vocabulary::{Failure, is_refusal};

/// The hidden command that starts a companion; its role follows as JSON.
const COMMAND: &str = "__companion";

/// Set by [`serve_if_asked`]: this executable can be started as a companion.
static AVAILABLE: AtomicBool = AtomicBool::new(false);

/// What a companion is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Put load on a server, once.
    Load(LoadOptions),
    /// Serve pages until the end.
    Site(SiteOptions),
}

/// What a companion says.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    /// It can be told to go; a site says where it listens.
    Ready(Option<SocketAddr>),
    Done(Box<LoadReport>),
    WrongAnswer(String),
    Refused(String),
    Failed(String),
}

/// Becomes a companion if the command line asks for it; else remembers that this executable can be one. To be called
/// first in `main`.
pub fn serve_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|command| command != COMMAND) {
        // Relaxed: read by threads that are started later.
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

/// A companion's whole life.
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
    // From here on the input only ever ends.
    ready.end_with(input.get_ref().as_fd())?;
    ready.run()
}

fn say(output: &mut impl Write, message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_string(message)?;
    line.push('\n');
    output.write_all(line.as_bytes())
}

/// A companion at work. Dropping it ends it.
pub struct Companion {
    /// `None` once it was closed, which ends the companion.
    input: Option<PipeWriter>,
    output: BufReader<PipeReader>,
    place: Place,
    address: Option<SocketAddr>,
}

enum Place {
    Process(Child),
    Thread(Option<JoinHandle<io::Result<()>>>),
}

impl Companion {
    /// Starts a companion and waits until it is ready. Blocks.
    ///
    /// # Errors
    /// [`Failure::Refused`] when it can't be started, and what it says itself.
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
            Place::Process(child)
        } else {
            let role = role.clone();
            let thread = std::thread::Builder::new().name("companion".to_owned());
            Place::Thread(Some(
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

    /// Where a site listens.
    ///
    /// # Panics
    /// When it is not a site.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a site says where it listens")
    }

    /// Whether the companion's CPU time is part of this process's.
    pub fn shares_process(&self) -> bool {
        matches!(self.place, Place::Thread(_))
    }

    /// Tells a client to go and waits for its report. Blocks.
    ///
    /// # Errors
    /// [`Failure::WrongAnswer`] when the server's answers were wrong, [`Failure::Crashed`] when the client failed
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

    /// The next message; failures are returned as such.
    fn hear(&mut self) -> Result<Message, Failure> {
        let mut line = String::new();
        let heard = self.output.read_line(&mut line);
        if !matches!(heard, Ok(length) if length > 0) {
            return Err(Failure::Crashed(
                "the companion ended without a word".to_owned(),
            ));
        }
        match serde_json::from_str(&line) {
            Ok(Message::WrongAnswer(why)) => Err(Failure::WrongAnswer(why)),
            Ok(Message::Refused(why)) => Err(Failure::Refused(format!("the companion: {why}"))),
            Ok(Message::Failed(why)) => Err(Failure::Crashed(format!("the companion: {why}"))),
            Ok(message) => Ok(message),
            Err(error) => Err(Failure::Crashed(format!(
                "the companion said nonsense: {error}"
            ))),
        }
    }
}

fn unexpected(message: &Message) -> Failure {
    Failure::Crashed(format!("the companion said {message:?} out of turn"))
}

impl Drop for Companion {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input = None;
        match &mut self.place {
            Place::Process(child) => {
                let _ = child.wait();
            }
            Place::Thread(thread) => {
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }
}
