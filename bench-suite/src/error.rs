//! How a command fails: one line on standard error, and an exit code.

use std::fmt;

/// Why a command failed. `Display` is the one line that the user reads: what, where, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// A workload failed its check, a peer crashed, or the results could not be saved: exit code 1.
    Failed(String),
    /// The command line asks for something that does not exist, is invalid or is not available, such as a port in use
    /// or a read-only folder: exit code 2.
    Usage(String),
    /// A signal asked to stop; the results so far are written: exit code 130.
    Interrupted(String),
}

impl CommandError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Interrupted(_) => 130,
        }
    }
}

/// [`CommandError::Usage`].
pub(crate) fn usage(line: String) -> CommandError {
    CommandError::Usage(line)
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(line) | Self::Usage(line) | Self::Interrupted(line) => f.write_str(line),
        }
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::CommandError;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        assert_eq!(CommandError::Failed(String::new()).exit_code(), 1);
        assert_eq!(CommandError::Usage(String::new()).exit_code(), 2);
        assert_eq!(CommandError::Interrupted(String::new()).exit_code(), 130);
    }
}
