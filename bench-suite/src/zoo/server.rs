//! The server of several pathologies, for the Rust runtimes. [`client`](super::client) describes its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime_core::{Runtime as _, TcpListener as _};

use super::stage::Stage;
use crate::any_runtime::{AnyListener, AnyRuntime, AnyStream, BoxFuture};

/// How long an `h` or a `b` occupies its thread.
const HELD: Duration = Duration::from_secs(2);

const CHUNK: usize = 64 * 1024;
const CHUNKS: u64 = 4096;

#[derive(Clone)]
struct Server {
    rt: AnyRuntime,
    listener: Arc<AnyListener>,
    /// The KiB that the writes of `s` have accepted.
    streamed: Arc<AtomicU64>,
}

/// Serves until the process is killed.
pub(crate) fn serve(stage: &Stage) -> Result<f64, String> {
    stage.serving(|rt, listener| async move {
        let server = Server {
            rt,
            listener: Arc::new(listener),
            streamed: Arc::default(),
        };
        accept(server).await;
    })
}

async fn accept(server: Server) {
    loop {
        match server.listener.accept().await {
            Ok((stream, _)) => drop(server.rt.spawn(answer(server.clone(), stream))),
            // No descriptor is left. There may be one later.
            Err(_) => server.rt.sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Behind `dyn`, because an accepting task starts tasks that start accepting tasks.
fn accept_too(server: Server) -> BoxFuture<'static, ()> {
    Box::pin(accept(server))
}

async fn answer(server: Server, mut stream: AnyStream) {
    // A client that is gone needs no answer.
    let _ = converse(&server, &mut stream).await;
}

async fn converse(server: &Server, stream: &mut AnyStream) -> std::io::Result<()> {
    let mut byte = [0];
    while stream.read(&mut byte).await? == 1 {
        match byte[0] {
            b's' => {
                let chunk = vec![0_u8; CHUNK];
                for _ in 0..CHUNKS {
                    stream.write_all(&chunk).await?;
                    server
                        .streamed
                        .fetch_add(CHUNK as u64 / 1024, Ordering::Relaxed);
                }
                continue;
            }
            b'c' => {
                let text = format!("{}\n", server.streamed.load(Ordering::Relaxed));
                stream.write_all(text.as_bytes()).await?;
                continue;
            }
            _ => stream.write_all(&byte).await?,
        }
        match byte[0] {
            b'h' => {
                let begun = Instant::now();
                while begun.elapsed() < HELD {
                    std::hint::spin_loop();
                }
                stream.write_all(b"d").await?;
            }
            b'b' => {
                std::thread::sleep(HELD);
                stream.write_all(b"d").await?;
            }
            b'y' => drop(server.rt.spawn(always_ready())),
            b'a' => {
                for _ in 0..1000 {
                    drop(server.rt.spawn(accept_too(server.clone())));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Ready again after each run, through its own waker. It does not use the runtime's `yield_now`, which may have special
/// treatment.
async fn always_ready() {
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        std::task::Poll::<()>::Pending
    })
    .await;
}
