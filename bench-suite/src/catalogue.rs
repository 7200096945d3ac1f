//! All workloads of this project, and the function that adds a runtime to all of them.
//!
//! Adding a workload is one line in [`show_all`]; adding a runtime is one call of [`Registry::add_runtime`]. The
//! compiler copies each workload for each runtime, and these copies take most of this crate's build time.

use std::marker::PhantomData;

use runtime_core::Launch;

use crate::registry::{Registry, RuntimeInfo};
use crate::vocabulary::Workload;
use crate::workloads::crawl::Crawl;
use crate::workloads::download::Download;
use crate::workloads::echo::Echo;
use crate::workloads::fib::{FibJoin, FibSpawn};
use crate::workloads::hash::Hash;
use crate::workloads::http::Http;
use crate::workloads::idle::Idle;
use crate::workloads::lock::Lock;
use crate::workloads::matmul::MatMul;
use crate::workloads::mixed::Mixed;
use crate::workloads::mpmc::Mpmc;
use crate::workloads::mutex_contended::MutexContended;
use crate::workloads::nqueens::NQueens;
use crate::workloads::pingpong::PingPong;
use crate::workloads::primitives::{Primitives, Synchronised, With};
use crate::workloads::semaphore::Semaphore;
use crate::workloads::service::Service;
use crate::workloads::skynet::{SkynetJoin, SkynetSpawn};
use crate::workloads::spawn::{Spawn, SpawnBatch};
use crate::workloads::timers::Timers;
use crate::workloads::waiting::{IdleSocket, IdleStack, IdleTimer};
use crate::workloads::yielding::Yield;
use crate::workloads::{LaunchForkJoin, Program, Recursion, joined_by, under};

/// Passes each workload's type to `visitor`, in the order of `lab list`.
fn show_all(visitor: &mut impl Visitor) {
    visitor.program::<Echo>();
    visitor.program::<Http>();
    visitor.program::<Timers>();
    visitor.program::<Crawl>();
    visitor.program::<Download>();
    visitor.program::<Mixed>();
    visitor.program::<Service>();

    visitor.program::<FibSpawn>();
    visitor.recursion::<FibJoin>();
    visitor.program::<SkynetSpawn>();
    visitor.recursion::<SkynetJoin>();
    visitor.program::<MatMul>();
    visitor.program::<Hash>();
    visitor.program::<NQueens>();

    visitor.program::<Spawn>();
    visitor.program::<SpawnBatch>();
    visitor.program::<Yield>();
    visitor.program::<PingPong>();
    visitor.synchronised::<Lock>();
    visitor.synchronised::<MutexContended>();
    visitor.synchronised::<Semaphore>();
    visitor.synchronised::<Mpmc>();
    visitor.program::<Idle>();
    visitor.program::<IdleTimer>();
    visitor.program::<IdleSocket>();
    visitor.program::<IdleStack>();
}

/// Visits all workloads.
trait Visitor {
    /// A workload over `Runtime`.
    fn program<P: Program>(&mut self);
    /// A workload over `Runtime` and the runtime's own locks and queues.
    fn synchronised<W: Synchronised>(&mut self);
    /// A workload over `ForkJoin`.
    fn recursion<C: Recursion>(&mut self);
}

/// Every workload, in the form in which it is listed.
pub(crate) fn workloads() -> Vec<Workload> {
    struct Listed(Vec<Workload>);

    impl Visitor for Listed {
        fn program<P: Program>(&mut self) {
            self.0.push(P::INFO);
        }

        fn synchronised<W: Synchronised>(&mut self) {
            self.0.push(W::INFO);
        }

        fn recursion<C: Recursion>(&mut self) {
            self.0.push(C::INFO);
        }
    }

    let mut listed = Listed(Vec::new());
    show_all(&mut listed);
    listed.0
}

impl Registry {
    /// Adds a runtime to every workload of this project that is written over [`Runtime`](runtime_core::Runtime). `L`
    /// launches the runtime; `K` provides the locks and queues that its users use.
    ///
    /// ```
    /// use bench_suite::launcher::Reactor;
    /// use bench_suite::registry::{Registry, RuntimeInfo};
    /// use bench_suite::workloads::primitives::Ours;
    ///
    /// let mut registry = Registry::standard();
    /// let info = RuntimeInfo::new("other-loop", "one loop, once more");
    /// registry.add_runtime::<runtime_n1::N1, Ours>(info.launched_by::<runtime_n1::N1>(Reactor::Chosen));
    /// assert!(registry.entry("pingpong", "other-loop").is_some());
    /// ```
    pub fn add_runtime<L: Launch, K: Primitives>(&mut self, info: RuntimeInfo) {
        struct Under<'a, L, K>(&'a mut Registry, &'static str, PhantomData<fn() -> (L, K)>);

        impl<L: Launch, K: Primitives> Visitor for Under<'_, L, K> {
            fn program<P: Program>(&mut self) {
                self.0.add(P::INFO.name, self.1, under::<L, P>);
            }

            fn synchronised<W: Synchronised>(&mut self) {
                self.0.add(W::INFO.name, self.1, under::<L, With<W, K>>);
            }

            fn recursion<C: Recursion>(&mut self) {}
        }

        self.runtimes.push(info);
        show_all(&mut Under::<L, K>(self, info.name, PhantomData));
    }

    /// Adds the fork-join of a registered runtime to every workload of this project that is written over
    /// [`ForkJoin`](runtime_core::ForkJoin).
    pub fn add_fork_join<L: LaunchForkJoin>(&mut self, runtime: &'static str) {
        struct Joined<'a, L>(&'a mut Registry, &'static str, PhantomData<fn() -> L>);

        impl<L: LaunchForkJoin> Visitor for Joined<'_, L> {
            fn program<P: Program>(&mut self) {}

            fn synchronised<W: Synchronised>(&mut self) {}

            fn recursion<C: Recursion>(&mut self) {
                self.0.add(C::INFO.name, self.1, joined_by::<L, C>);
            }
        }

        show_all(&mut Joined::<L>(self, runtime, PhantomData));
    }
}
