//! The functions that can be called: the same list in the parent and in its children.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::OnceLock;

use runtime_kernel::task::JoinHandle;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event_loop::EventLoop;
use super::wire::Kind;

/// A call as the child runs it: it takes the argument's bytes, and yields the answer's bytes.
pub(super) type Running = Pin<Box<dyn Future<Output = (Kind, Vec<u8>)>>>;

/// Decodes the argument and starts the call.
type Run = Box<dyn Fn(&[u8]) -> Running + Send + Sync>;

/// The functions that a pool's processes can run, in the order in which they were added.
///
/// A function has one argument, a tuple if it needs more. Arguments and results are sent between processes with serde.
#[derive(Default)]
pub struct Functions {
    list: Vec<Entry>,
    by_type: HashMap<TypeId, u32>,
}

struct Entry {
    name: &'static str,
    run: Run,
}

/// Set by [`register`].
static REGISTERED: OnceLock<(Functions, EventLoop)> = OnceLock::new();

/// Records which functions this program may run, and on which loop.
///
/// # Panics
/// If it is called twice.
pub(super) fn register(functions: Functions, event_loop: EventLoop) {
    assert!(
        REGISTERED.set((functions, event_loop)).is_ok(),
        "`process_pool::init` was called twice: add all functions in one call"
    );
}

/// What this program has registered.
///
/// # Panics
/// Before [`register`]: otherwise a child would not know that it is one, would run `main`, and start its own children.
fn given() -> &'static (Functions, EventLoop) {
    REGISTERED.get().unwrap_or_else(|| {
        panic!("a process pool was made before `process_pool::init`: call that first in `main`, with the functions to be called")
    })
}

/// The functions of this program.
///
/// # Panics
/// Like [`given`].
pub(super) fn registered() -> &'static Functions {
    &given().0
}

/// The loop of this program's processes.
///
/// # Panics
/// Like [`given`].
pub(super) fn event_loop() -> EventLoop {
    given().1
}

/// Starts a task on the loop that the calling thread runs.
pub(super) fn spawn_local(future: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    (event_loop().spawn)(Box::pin(future))
}

impl Functions {
    /// Adds a function that computes or blocks. While it runs, its process does nothing else: it gets no other call,
    /// and its async calls wait.
    ///
    /// You can add only a function itself, or a closure that captures nothing, because it is identified by its type.
    pub fn add<F, A, R>(&mut self, function: F) -> &mut Self
    where
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        self.enter::<F>(Box::new(move |argument| {
            let argument = postcard::from_bytes::<A>(argument);
            Box::pin(async move {
                match argument {
                    Ok(argument) => encode(&function(argument)),
                    Err(error) => (Kind::Undecodable, error.to_string().into_bytes()),
                }
            })
        }))
    }

    /// Adds an async function: it runs on its process's loop, together with others. It need not be `Send`.
    ///
    /// You can add only a function itself, or a closure that captures nothing, because it is identified by its type.
    pub fn add_async<F, A, C>(&mut self, function: F) -> &mut Self
    where
        F: Fn(A) -> C + Copy + Send + Sync + 'static,
        A: DeserializeOwned + 'static,
        C: Future + 'static,
        C::Output: Serialize,
    {
        self.enter::<F>(Box::new(move |argument| {
            let argument = postcard::from_bytes::<A>(argument);
            Box::pin(async move {
                match argument {
                    Ok(argument) => encode(&function(argument).await),
                    Err(error) => (Kind::Undecodable, error.to_string().into_bytes()),
                }
            })
        }))
    }

    fn enter<F: 'static>(&mut self, run: Run) -> &mut Self {
        const {
            assert!(
                size_of::<F>() == 0,
                "add the function itself, not a pointer to it: all functions of one signature have the same type of pointer"
            );
        }
        let number = u32::try_from(self.list.len()).expect("fewer than 2^32 functions");
        // A function that is added again keeps its first number.
        self.by_type.entry(TypeId::of::<F>()).or_insert_with(|| {
            self.list.push(Entry {
                name: type_name::<F>(),
                run,
            });
            number
        });
        self
    }

    /// The number of a function, by its type.
    ///
    /// # Panics
    /// If it was not added.
    pub(super) fn number_of<F: 'static>(&self) -> u32 {
        *self.by_type.get(&TypeId::of::<F>()).unwrap_or_else(|| {
            panic!(
                "`{}` is not among the functions of `process_pool::init`: add it there",
                type_name::<F>()
            )
        })
    }

    /// Starts a function; `None` if no function has that number.
    pub(super) fn run(&self, number: u32, argument: &[u8]) -> Option<Running> {
        let entry = self.list.get(usize::try_from(number).ok()?)?;
        Some((entry.run)(argument))
    }

    /// A hash with which a child and its parent check that they have the same functions.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for entry in &self.list {
            entry.name.hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn encode<R: Serialize>(result: &R) -> (Kind, Vec<u8>) {
    match postcard::to_stdvec(result) {
        Ok(bytes) => (Kind::Value, bytes),
        Err(error) => (Kind::Unencodable, error.to_string().into_bytes()),
    }
}
