//! `echo`: a TCP server that sends back what it gets, a task for each connection.
//!
//! Next to nothing is computed: what remains is the way from a socket that became readable to the task that waits for
//! it, and the system calls. The client is another process, one thread that is never idle in the closed loop; both
//! share the machine, so that the sturdy figure is the *server's CPU time* for each request and not requests per
//! second.
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
pub(super) async fn bind<R: Runtime>(rt: &R) -> Result<R::TcpListener, Failure> {
    rt.bind(client::loopback()).await.map_err(crashed)
}

pub(crate) fn crashed(error: io::Error) -> Failure {
    Failure::of_system("the listener", &error)
}

/// Accepts for ever, a task for each connection.
pub async fn serve<R: Runtime>(rt: R, listener: R::TcpListener) {
    accept_with(&rt, &listener, None, conversation).await
}

/// [`serve`] under measurement: ends when the system refuses what a connection needs, and notes that.
pub(crate) async fn serve_noting<R: Runtime>(rt: R, listener: R::TcpListener, refusals: Refusals) {
    accept_with(&rt, &listener, Some(&refusals), conversation).await
}

async fn conversation<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    // A peer that resets its connection is no failure of the server.
    let _ = converse(stream).await;
}

/// Accepts for ever and spawns what `converse` makes of each connection. With `refusals` it ends at the first refusal
/// of the system, and with it the connections that it has not accepted: a client need not wait for those.
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
    /// Out of descriptors: no use to ask at once again.
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let task = rt.spawn(converse(stream));
                // A task that was given no thread has ended already.
                if let Some(refusals) = refusals
                    && task.is_finished()
                    && let Err(JoinError::SpawnFailed(error)) = task.await
                {
                    return refusals.note(&error);
                }
            }
            // The peer was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => match refusals.filter(|_| is_refusal(&error)) {
                Some(refusals) => return refusals.note(&error),
                None => rt.sleep(PAUSE).await,
            },
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
