//! Why a run has no figure, and how errors and panics are converted to that.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// The reason why a run has no figure. A failed check makes the run fail, however fast it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The workload's check of its own result failed.
    WrongAnswer(String),
    /// The system refused a resource that the size needs, such as threads or descriptors.
    Refused(String),
    /// Something that the runtime or a peer needs is not installed. Says how to install it.
    NotInstalled(String),
    /// It ended in an error.
    Crashed(String),
}

impl Failure {
    /// The failure for a panic with this message. Much code panics if the system refuses it a thread, a descriptor or
    /// memory, and the message then contains the system's error.
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

    /// The failure for a system error: a refusal if a resource was exhausted, otherwise a crash.
    pub(crate) fn of_system(what: &str, error: &io::Error) -> Self {
        let said = format!("{what}: {error}");
        if is_refusal(error) {
            Self::Refused(said)
        } else {
            Self::Crashed(said)
        }
    }
}

/// Whether the system ran out of the requested resource: threads, processes, descriptors, memory.
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
    fn a_lack_of_threads_is_a_refusal_from_any_source() {
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
