//! The three schedulers, one after the other.

use std::panic::resume_unwind;
use std::sync::Arc;

use runtime_core::context::Ambient;
use runtime_core::{Capabilities, JoinHandle, Metrics, Native, green};

/// One of the three, so that each case is compiled only once.
#[derive(Clone)]
pub(crate) struct Any(Arc<dyn Ambient>);

impl Native for Any {
    const NAME: &'static str = "any";

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.0
    }
    fn capabilities(&self) -> Capabilities {
        unreachable!("the cases don't ask")
    }
    fn metrics(&self) -> Metrics {
        unreachable!("the cases don't ask")
    }
}

/// Runs `case` in a green task of each scheduler.
pub(crate) fn each(case: impl Fn(Any) + Clone + Send + 'static) {
    let of = |ambient: &Arc<dyn Ambient>| {
        let (any, case) = (Any(Arc::clone(ambient)), case.clone());
        move || root(any, case)
    };
    eprintln!("N:1");
    let event_loop = runtime_n1::Loop::new().unwrap();
    let root_of = of(event_loop.handle().ambient());
    event_loop.block_on(async move { settle(root_of().await) });
    eprintln!("M:N");
    let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
    let root_of = of(runtime.handle().ambient());
    runtime.block_on(async move { settle(root_of().await) });
    eprintln!("1:1");
    let runtime = runtime_threads::Runtime::new().unwrap();
    let root_of = of(runtime.handle().ambient());
    runtime.block_on(async move { settle(root_of().await) });
}

fn root(any: Any, case: impl Fn(Any) + Send + 'static) -> JoinHandle<()> {
    // The assertions of the cases format error messages.
    let builder = green::Builder::new().stack_bytes(256 * 1024);
    builder.spawn_on(&any.clone(), move || case(any))
}

fn settle(result: Result<(), runtime_core::JoinError>) {
    if let Err(error) = result {
        match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => panic!("{error}"),
        }
    }
}
