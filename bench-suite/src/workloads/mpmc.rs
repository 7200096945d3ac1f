//! `mpmc`: a few producers and a few consumers with one bounded queue.
//!
//! Each side sometimes waits for the other, because the queue is full or empty. With several workers, the queue's lock
//! or its atomics are also contended. Each runtime uses the queue that [`primitives`](super::primitives) pairs with it.
//!
//! With `alone=1`, one task puts and gets in turn: the cost of a queue without waiting.
//!
//! One op is one item through the queue. The check: every item comes out once, and each consumer sees each producer's
//! items in order.

use runtime_core::Runtime;

use super::primitives::{Primitives, Synchronised};
use super::{check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// Many producers, many consumers.
pub struct Mpmc;

const fn ends(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        default: 4,
        min: 1,
        max: 1_000,
    }
}

impl Synchronised for Mpmc {
    const INFO: Workload = Workload {
        name: "mpmc",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "producers and consumers over one bounded queue: waiting on both sides",
        op: "one item through the queue",
        parameters: &[
            size("items of each producer", 10_000, 1, 1_000_000_000),
            ends("producers", "tasks that put"),
            ends("consumers", "tasks that get"),
            Parameter {
                name: "capacity",
                about: "items that the queue holds",
                default: 128,
                min: 1,
                max: 1_000_000,
            },
            Parameter {
                name: "alone",
                about: "1: one task alternately puts and gets, as many items as one producer",
                default: 0,
                min: 0,
                max: 1,
            },
        ],
        metric: "wall_ns_per_op",
    };

    async fn run<K: Primitives, R: Runtime>(
        rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        let capacity = params.value("capacity") as usize;
        let each = params.value("size");
        let producers = params.value("producers");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let queue = K::queue(capacity);
            if params.value("alone") == 1 {
                alone::<K>(&queue, each).await?;
                repetitions.done(meter, each);
            } else {
                pass::<K, R>(&rt, &queue, each, producers, params.value("consumers")).await?;
                repetitions.done(meter, each * producers);
            }
        }
        Ok(())
    }
}

async fn alone<K: Primitives>(queue: &K::Queue, items: u64) -> Result<(), Failure> {
    for item in 0..items {
        if !K::put(queue, item).await {
            return Err(closed(item));
        }
        let got = K::get(queue).await;
        if got != Some(item) {
            return check("the item", got, Some(item));
        }
    }
    Ok(())
}

/// An item consists of its producer and its number.
const PRODUCER_SHIFT: u32 = 40;

async fn pass<K: Primitives, R: Runtime>(
    rt: &R,
    queue: &K::Queue,
    each: u64,
    producers: u64,
    consumers: u64,
) -> Result<(), Failure> {
    let getting: Vec<_> = (0..consumers)
        .map(|_| {
            let queue = queue.clone();
            rt.spawn(async move {
                let mut got = 0_u64;
                let mut next = vec![0; producers as usize];
                while let Some(item) = K::get(&queue).await {
                    let number = item & ((1 << PRODUCER_SHIFT) - 1);
                    let next = &mut next[(item >> PRODUCER_SHIFT) as usize];
                    if number < *next {
                        return Err(Failure::WrongAnswer(format!(
                            "item {number} of a producer came after its item {}",
                            *next - 1
                        )));
                    }
                    *next = number + 1;
                    got += 1;
                }
                Ok(got)
            })
        })
        .collect();
    let putting: Vec<_> = (0..producers)
        .map(|producer| {
            let queue = queue.clone();
            rt.spawn(async move {
                for number in 0..each {
                    if !K::put(&queue, producer << PRODUCER_SHIFT | number).await {
                        return Err(closed(number));
                    }
                }
                Ok(())
            })
        })
        .collect();
    for task in putting {
        task.await.map_err(lost)??;
    }
    K::close(queue);
    let mut got = 0;
    for task in getting {
        got += task.await.map_err(lost)??;
    }
    check("the number of items", got, each * producers)
}

fn closed(item: u64) -> Failure {
    Failure::WrongAnswer(format!("the queue closed at item {item}"))
}
