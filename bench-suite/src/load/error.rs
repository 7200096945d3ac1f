//! The reasons why there is no report.

use std::fmt;
use std::net::SocketAddr;

/// The reason why there is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A connection could not be made.
    Connect {
        /// The server's address.
        server: SocketAddr,
        /// The number of this connection.
        number: usize,
        /// The number of connections in all.
        of: usize,
        /// The system's error message.
        error: String,
    },
    /// This side has no descriptor, port or memory for another connection.
    Refused {
        /// The number of this connection.
        number: usize,
        /// The number of connections in all.
        of: usize,
        /// The system's error message.
        error: String,
    },
    /// The server's answer is wrong.
    Wrong(String),
    /// A connection broke, or something on this side failed.
    Failed(String),
    /// The process that wanted the report is gone.
    Abandoned,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect {
                server,
                number,
                of,
                error,
            } => write!(
                f,
                "connecting to {server} (connection {number} of {of}): {error}; is a server listening there?"
            ),
            Self::Refused { number, of, error } => write!(
                f,
                "connection {number} of {of}: {error}; ask for fewer connections, or raise the limit (`ulimit -n`)"
            ),
            Self::Wrong(why) | Self::Failed(why) => f.write_str(why),
            Self::Abandoned => f.write_str("the process that wanted the result is gone"),
        }
    }
}

impl std::error::Error for LoadError {}
