//! The settings of a load.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::affine::Affine;

/// The server's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The server sends every byte back.
    Echo,
    /// HTTP/1.1 with keep-alive: `GET /` is answered with 200.
    Http,
}

/// The settings of a load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadOptions {
    /// The server's protocol.
    pub protocol: Protocol,
    /// The server's address.
    pub server: SocketAddr,
    /// The number of connections. Each has at most one request in flight.
    pub connections: usize,
    /// The length of an echo message in bytes.
    pub bytes: usize,
    /// Requests per second over all connections, measured from the intended start; `None` for the closed loop.
    pub rate: Option<f64>,
    /// Duration of closed-loop load before the measured part; not reported.
    pub warm_up: Duration,
    /// How long requests are started.
    pub duration: Duration,
    /// The expected body of every HTTP response; with `None`, all must equal the first.
    pub body: Option<String>,
    /// For an echo of eight bytes or more: the first eight, a little-endian number, come back as the value of this map.
    #[serde(default)]
    pub answer: Option<Affine>,
}
