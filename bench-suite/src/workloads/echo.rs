//! `echo`: a TCP server that sends back what it gets, a task for each connection.
//!
//! Next to nothing is computed: what remains is the way from a socket that became readable to the task that waits for it, and
//! the system calls. The client is another process, one thread that is never idle in the closed loop; both share the machine,
//! so that the sturdy figure is the *server's CPU time* for each request and not requests per second.
//!
//! One op is one request: `bytes` bytes there and back. The client checks that every byte comes back.

use std::io;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime_core::{Runtime, TaskHandle as _, TcpListener as _};

use super::{Program, client};
use crate::load::Protocol;
use crate::measure::Meter;
use crate::registry::{Failure, Group, Mode, Params, Workload};

/// Bytes that a connection reads at once.
pub const BUFFER: usize = 4096;

/// An echo server and a client process.
pub struct Echo;

impl Program for Echo {
    const INFO: Workload = Workload {
        name: "echo",
        group: Group::Io,
        mode: Mode::Closed,
        about: "a TCP server that sends back what it gets: readiness, wake-ups, system calls",
        op: "one request there and back",
        parameters: &[client::CONNECTIONS, client::BYTES, client::rate(0)],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let listener = bind(&rt).await?;
        let server = listener.local_addr().map_err(crashed)?;
        let accepting = rt.spawn(serve(rt.clone(), listener));
        let duration = Duration::from_nanos(params.budget_ns);
        let options = client::options(Protocol::Echo, server, params, duration);
        let measured = client::measure(&rt, options, meter).await;
        accepting.abort();
        measured
    }
}

/// A listener on the loopback interface.
pub(super) async fn bind<R: Runtime>(rt: &R) -> Result<R::TcpListener, Failure> {
    rt.bind(client::loopback()).await.map_err(crashed)
}

pub(crate) fn crashed(error: io::Error) -> Failure {
    Failure::Crashed(format!("the listener: {error}"))
}

/// Accepts for ever, a task for each connection.
pub async fn serve<R: Runtime>(rt: R, listener: R::TcpListener) {
    accept_with(&rt, &listener, |stream| async move {
        // A peer that resets its connection is no failure of the server.
        let _ = converse(stream).await;
    })
    .await
}

/// Accepts for ever and spawns what `converse` makes of each connection.
pub(crate) async fn accept_with<R, F, C>(rt: &R, listener: &R::TcpListener, converse: F)
where
    R: Runtime,
    F: Fn(R::TcpStream) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    /// Out of descriptors: no use to ask at once again.
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => drop(rt.spawn(converse(stream))),
            // The peer was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => rt.sleep(PAUSE).await,
        }
    }
}

/// Sends everything back until the peer has sent its last byte, then closes.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return stream.close().await;
        }
        stream.write_all(&buffer[..length]).await?;
    }
}
