//! With state machines, which is what Tornado's generators were: a function `yield`s where it waits. When it is called
//! again, it continues from there, with its variables.
//!
//! Python turns the generator into a machine, as Rust does with an `async fn`. Here the machines are written by hand.
//! Each variant is a place where the function can stop, with the variables that are still needed there.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use runtime_core::{JoinHandle, spawn};

use super::{expect_page, print_costs, urls};
use crate::client::{Answer, get};
use crate::site::Site;

type Boxed<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

// ANCHOR: cost
/// The cost of a page.
enum Cost {
    Begin {
        url: String,
    },
    Fetching {
        begun: Instant,
        answer: Boxed<Answer>,
    },
    Ended,
}

impl Cost {
    /// Continues from where it stopped: to the next place, or to the result. `Pending` is the `yield`.
    fn resume(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Duration>> {
        loop {
            match self {
                Self::Begin { url } => {
                    let url = std::mem::take(url);
                    *self = Self::Fetching {
                        begun: Instant::now(),
                        answer: Box::pin(async move { get(&url).await }),
                    };
                }
                Self::Fetching { begun, answer } => {
                    let outcome = ready!(answer.as_mut().poll(cx)).and_then(expect_page);
                    let cost = begun.elapsed();
                    *self = Self::Ended;
                    return Poll::Ready(outcome.map(|()| cost));
                }
                Self::Ended => panic!("resumed after its end"),
            }
        }
    }
}
// ANCHOR_END: cost

// ANCHOR: program
/// The whole program.
enum Program {
    Begin,
    Opening {
        site: Boxed<Site>,
    },
    Waiting {
        site: Site,
        begun: Instant,
        tasks: Vec<JoinHandle<io::Result<Duration>>>,
        costs: Vec<Duration>,
    },
    Ended,
}

impl Program {
    fn resume(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self {
                Self::Begin => {
                    *self = Self::Opening {
                        site: Box::pin(Site::for_groups_of(5)),
                    };
                }
                Self::Opening { site } => {
                    let site = ready!(site.as_mut().poll(cx))?;
                    let begun = Instant::now();
                    let start = |url| spawn(Cost::Begin { url });
                    let tasks = urls(&site)?.into_iter().map(start).collect();
                    *self = Self::Waiting {
                        site,
                        begun,
                        tasks,
                        costs: Vec::new(),
                    };
                }
                Self::Waiting {
                    site,
                    begun,
                    tasks,
                    costs,
                } => {
                    // Joined one after the other, while all of them run.
                    while let Some(task) = tasks.get_mut(costs.len()) {
                        let cost = ready!(Pin::new(task).poll(cx)).map_err(io::Error::other)?;
                        costs.push(cost?);
                    }
                    print_costs(costs, begun.elapsed(), site);
                    *self = Self::Ended;
                    return Poll::Ready(Ok(()));
                }
                Self::Ended => panic!("resumed after its end"),
            }
        }
    }
}

pub async fn run() -> io::Result<()> {
    Program::Begin.await
}
// ANCHOR_END: program

/// The runtime polls a machine that can be resumed.
impl Future for Cost {
    type Output = io::Result<Duration>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.resume(cx)
    }
}

impl Future for Program {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.resume(cx)
    }
}
