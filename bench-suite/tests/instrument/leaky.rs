//! Schedulers with leaks: the loop of `runtime-n1`, with one kind of leak at each start.

use std::fs::File;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::mem::forget;

use bench_suite::launcher::Reactor;
use bench_suite::registry::RuntimeInfo;
use runtime_core::{Launch, LaunchConfig};
use runtime_n1::{Handle, N1};

pub(crate) const RUNTIMES: [RuntimeInfo; 5] = [
    leaky::<Nothing>("tidy"),
    leaky::<Descriptor>("leaks-descriptors"),
    leaky::<Thread>("leaks-threads"),
    leaky::<Memory>("leaks-memory"),
    RuntimeInfo::new("leaks-tasks", "a test's").launched_by::<Unfinished>(Reactor::Chosen),
];

const fn leaky<K: Kind>(name: &'static str) -> RuntimeInfo {
    RuntimeInfo::new(name, "a test's").launched_by::<Leaky<K>>(Reactor::Chosen)
}

/// The kind of leak.
trait Kind: Send + 'static {
    fn leak();
}

struct Nothing;

impl Kind for Nothing {
    fn leak() {}
}

struct Descriptor;

impl Kind for Descriptor {
    fn leak() {
        forget(File::open("/dev/null").unwrap());
    }
}

struct Thread;

impl Kind for Thread {
    fn leak() {
        std::thread::Builder::new()
            .name("forgotten".to_owned())
            .spawn(|| {
                loop {
                    std::thread::park();
                }
            })
            .unwrap();
    }
}

struct Memory;

impl Kind for Memory {
    fn leak() {
        // Write to it, because memory that was never touched is not resident.
        forget(vec![1_u8; 16 << 20]);
    }
}

struct Leaky<K>(PhantomData<K>);

impl<K: Kind> Launch for Leaky<K> {
    type Runtime = Handle;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        K::leak();
        N1::run(config, root)
    }
}

/// Never ends its loop, so it drops nothing of what the root left running.
struct Unfinished;

impl Launch for Unfinished {
    type Runtime = Handle;

    fn run<F, R>(_config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        let event_loop = runtime_n1::Loop::new()?;
        let root = root(event_loop.handle().clone());
        let output = event_loop.block_on(root);
        forget(event_loop);
        Ok(output)
    }
}
