//! `echo`: a TCP server that sends back what it receives, with a task per connection.
//!
//! It hardly computes. What remains is the path from a readable socket to the task that waits for it, and the system
//! calls. The client is another process with one thread, which is never idle in the closed loop. Both share the
//! machine, so the robust figure is the *server's CPU time* per request, and not requests per second.
//!
//! One op is one request: `bytes` bytes there and back. The client checks that every byte comes back.

use std::io;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime_core::{JoinError, Runtime, TaskHandle as _, TcpListener as _};

use super::refusals::Refusals;
use super::{Program, client};
use crate::load::Protocol;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload, is_refusal};

/// The size of a read.
pub const BUFFER: usize = 4096;

/// An echo server and a client process.
pub struct Echo;

impl Program for Echo {
    const INFO: Workload = Workload {
        name: "echo",
        group: Group::Io,
        mode: Mode::Closed,
        about: "a TCP server that sends back what it receives: readiness, wake-ups, system calls",
        op: "one request there and back",
        parameters: &[client::CONNECTIONS, client::BYTES, client::rate(0)],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let listener = bind(&rt).await?;
        let server = listener.local_addr().map_err(crashed)?;
        let refusals = Refusals::default();
        let accepting = rt.spawn(serve_noting(rt.clone(), listener, refusals.clone()));
        let duration = Duration::from_nanos(params.budget_ns);
        let options = client::options(Protocol::Echo, server, params, duration);
        let measured = client::measure(&rt, options, meter).await;
        accepting.abort();
        refusals.explain(measured)
    }
}

/// A listener on the loopback interface.
pub(crate) async fn bind<R: Runtime>(rt: &R) -> Result<R::TcpListener, Failure> {
    rt.bind(client::loopback()).await.map_err(crashed)
}

pub(crate) fn crashed(error: io::Error) -> Failure {
    Failure::of_system("the listener", &error)
}

/// Accepts forever, and serves each connection in a task.
pub async fn serve<R: Runtime>(rt: R, listener: R::TcpListener) {
    accept_with(&rt, &listener, None, conversation).await
}

/// [`serve`] under measurement: ends and takes a note if the system refuses a resource for a connection.
pub(crate) async fn serve_noting<R: Runtime>(rt: R, listener: R::TcpListener, refusals: Refusals) {
    accept_with(&rt, &listener, Some(&refusals), conversation).await
}

async fn conversation<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    // A client that resets its connection is not a failure of the server.
    let _ = converse(stream).await;
}

/// Accepts forever, and spawns the future that `converse` returns for each connection. With `refusals` it ends at the
/// system's first refusal. Connections that were not accepted then break, so that no client waits for them.
pub(crate) async fn accept_with<R, F, C>(
    rt: &R,
    listener: &R::TcpListener,
    refusals: Option<&Refusals>,
    converse: F,
) where
    R: Runtime,
    F: Fn(R::TcpStream) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    /// When out of descriptors, it is useless to retry at once.
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let task = rt.spawn(converse(stream));
                // A task that got no thread is already finished.
                if let Some(refusals) = refusals
                    && task.is_finished()
                    && let Err(JoinError::SpawnFailed(error)) = task.await
                {
                    return refusals.note(&error);
                }
            }
            // The client was gone before the connection was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => match refusals.filter(|_| is_refusal(&error)) {
                Some(refusals) => return refusals.note(&error),
                None => rt.sleep(PAUSE).await,
            },
        }
    }
}

/// Sends everything back until the client has sent its last byte, then closes.
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
