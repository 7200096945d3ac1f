//! Why a run gave no figure, and what errors and panics come to.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// Why a run gave no figure. A failed check is a failed run, never a fast one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The workload's check of its own result failed.
    WrongAnswer(String),
    /// The system refused what the size needs, such as threads or descriptors.
    Refused(String),
    /// Something that the runtime or a peer needs is not on this machine; says how to install it.
    NotInstalled(String),
    /// It ended in an error.
    Crashed(String),
}

impl Failure {
    /// What a panic with this message comes to. Much code panics when the system gives it no thread, descriptor or
    /// memory: the error that it was given is in the message.
    pub(crate) fn of_panic(message: &str) -> Self {
        let refused = [
            io::Error::from_raw_os_error(libc::EAGAIN),
            io::Error::from_raw_os_error(libc::ENOMEM),
            io::Error::from_raw_os_error(libc::EMFILE),
            io::Error::from_raw_os_error(libc::ENFILE),
        ]
        .iter()
        .filter_map(|error| Some(error.to_string().split_once(" (os error")?.0.to_owned()))
        .any(|reason| message.contains(&reason));
        if refused {
            Self::Refused(message.to_owned())
        } else {
            Self::Crashed(format!("panicked: {message}"))
        }
    }

    /// What an error of the system comes to: a refusal if there was no more of something, a crash otherwise.
    pub(crate) fn of_system(what: &str, error: &io::Error) -> Self {
        let said = format!("{what}: {error}");
        if is_refusal(error) {
            Self::Refused(said)
        } else {
            Self::Crashed(said)
        }
    }
}

/// Whether the system had no more of what was asked for: threads, processes, descriptors, memory.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOBUFS)
    )
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongAnswer(why) => write!(f, "wrong answer: {why}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::NotInstalled(why) => write!(f, "not installed: {why}"),
            Self::Crashed(why) => write!(f, "crashed: {why}"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_threads_is_a_refusal_whoever_tells_it() {
        let refused = std::io::Error::from_raw_os_error(libc::EAGAIN);
        for message in [
            format!("OS can't spawn worker thread: {refused}"),
            format!("failed to spawn thread: {refused:?}"),
        ] {
            let failure = Failure::of_panic(&message);
            assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
        }
        let crashed = Failure::of_panic("index out of bounds");
        assert_eq!(
            crashed,
            Failure::Crashed("panicked: index out of bounds".into())
        );
        let failure = Failure::of_system("the listener", &refused);
        assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
    }
}
