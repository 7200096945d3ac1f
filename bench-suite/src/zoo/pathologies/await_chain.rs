//! A million tasks, each of which awaits the previous one.

use runtime_core::{JoinError, Runtime as _, TaskHandle as _};

use crate::any_runtime::{AnyHandle, AnyRuntime};
use crate::zoo::pathology::{Bound, Pathology};
use crate::zoo::stage::Stage;

pub(super) const PATHOLOGY: Pathology = Pathology {
    name: "await-chain",
    measured: "links of a chain of a million tasks, each awaiting the previous one, that pass a number on to the \
               end",
    about: "A task awaits a task, which awaits a task, a million times. The first one ends, and each wakes the \
            next. If waking or cancelling is a nested call, it needs a stack as deep as the chain. The program \
            passes a number along one such chain. It then cancels another chain from its last link, if the \
            language supports cancelling.",
    issue: "https://github.com/python/cpython/issues/80637",
    bound: Bound::All("links"),
    size: 1_000_000,
    quick_size: 2_000,
    program,
    drive: None,
    descriptors: None,
};

fn program(stage: &Stage) -> Result<f64, String> {
    let size = stage.size;
    stage.room_for(size)?;
    stage.inside(move |rt| async move {
        let (start, mut started) = rt.channel::<()>(1);
        let first = rt.spawn(async move {
            runtime_core::ChannelReceiver::recv(&mut started).await;
            0
        });
        let last = chain(&rt, first, size).await;
        let sent = runtime_core::ChannelSender::send(&start, ()).await;
        sent.map_err(|()| "the first link is gone".to_owned())?;
        let links: u64 = last.await.map_err(|error| error.to_string())?;

        let first = rt.spawn(std::future::pending());
        let last = chain(&rt, first, size).await;
        last.abort();
        match last.await {
            Err(JoinError::Cancelled) => Ok(links as f64),
            other => Err(format!("the last link was cancelled and yields {other:?}")),
        }
    })
}

async fn chain(rt: &AnyRuntime, first: AnyHandle<u64>, size: u64) -> AnyHandle<u64> {
    let mut last = first;
    for number in 0..size {
        let before = last;
        last = rt.spawn(async move { before.await.map_or(0, |links| links + 1) });
        // Lets the links start to wait before the chain is complete.
        if number % 1000 == 0 {
            rt.yield_now().await;
        }
    }
    last
}
