//! A server without descriptors: are waiting clients served once descriptors are available again?

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::zoo::client::{Target, ask, at_start};
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::server;

/// The server's limit on descriptors. It is lower than the number of connections.
pub(super) const DESCRIPTORS: u64 = 96;
const CONNECTIONS: usize = 160;
/// The number of clients that leave. It is large enough for the others to fit even if a connection takes two
/// descriptors.
const CLOSED: usize = 130;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "accept-emfile",
    measured: "clients served, of those that waited while the server had no descriptor left",
    about: "A server reaches its limit of open descriptors, and `accept` fails. The connection stays in the \
            kernel's queue. A loop that gives up never serves anyone again. A loop that closes the connections \
            that it can't take turns clients away. A loop that waits for another edge waits forever. The program \
            may have 96 descriptors. 160 clients connect, 130 leave, and the other 30 must all get an answer \
            within 5 s.",
    issue: "https://github.com/joyent/libuv/issues/315",
    bound: Bound::All("clients"),
    size: (CONNECTIONS - CLOSED) as u64,
    quick_size: (CONNECTIONS - CLOSED) as u64,
    program: server::serve,
    drive: Some(drive),
    descriptors: Some(DESCRIPTORS),
};

fn drive(target: &Target) -> Result<f64, String> {
    let mut clients = crowd(target)?;
    clients.drain(..CLOSED);
    let deadline = Instant::now() + Duration::from_secs(5);
    let served = clients.iter_mut().filter_map(|client| {
        let mut answer = [0];
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = client.set_read_timeout(Some(left.max(Duration::from_millis(1))));
        matches!(client.read(&mut answer), Ok(1)).then_some(())
    });
    Ok(served.count() as f64)
}

/// More clients than the server has descriptors. Each has sent a request.
pub(super) fn crowd(target: &Target) -> Result<Vec<TcpStream>, String> {
    let timeout = Duration::from_secs(5);
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let mut client = target.connect(timeout).map_err(at_start)?;
        if number == 0 {
            ask(&mut client, b'e').map_err(at_start)?;
        } else if client.write_all(b"e").is_err() {
            // The server has already turned it away. It will not count as served.
            continue;
        }
        clients.push(client);
    }
    thread::sleep(Duration::from_millis(300));
    Ok(clients)
}
